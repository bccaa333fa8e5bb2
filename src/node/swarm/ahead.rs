//! Responses that were read from the store before the swarm takes them up.
//!
//! The store is read faster than a busy swarm works, and each response may have 2 MiB.

use crossbeam_channel::{Receiver, Sender, bounded};

/// Responses that are read and that the swarm has not taken up. The next one is read when it has.
const RESPONSES_AHEAD_MAX: usize = 8;

/// The place of a response among those; free when it is dropped.
#[derive(Debug)]
pub struct ResponsePlace(Receiver<()>);

impl Drop for ResponsePlace {
    fn drop(&mut self) {
        let _ = self.0.try_recv();
    }
}

/// The places of responses.
#[derive(Debug)]
pub struct ResponsePlaces {
    take: Sender<()>,
    free: Receiver<()>,
}

impl Default for ResponsePlaces {
    fn default() -> Self {
        let (take, free) = bounded(RESPONSES_AHEAD_MAX);
        Self { take, free }
    }
}

impl ResponsePlaces {
    /// Blocks until there is one.
    pub fn take(&self) -> ResponsePlace {
        self.take.send(()).expect("the other end is here");
        ResponsePlace(self.free.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn responses_that_nobody_takes_up_are_few() {
        let places = ResponsePlaces::default();
        let mut taken: Vec<ResponsePlace> = (0..RESPONSES_AHEAD_MAX).map(|_| places.take()).collect();
        assert!(places.take.is_full(), "the next one waits");
        taken.pop();
        taken.push(places.take());
        drop(taken);
        assert!(places.take.is_empty());
    }
}
