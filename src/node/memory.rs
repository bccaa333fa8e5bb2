//! Memory that a busy moment has taken goes back to the system.
//!
//! glibc keeps what is freed, in an arena for each few threads, for the next time. After a flood that is many times
//! what the node needs, for good. So this looks now and then at the size of the process, and once it has grown and grows
//! no more, asks for the unused pages to be given back (malloc_trim(3)). Other systems' allocators do so by themselves.

use std::io;

use super::thread::Stoppable;

/// Starts looking, where that is of use.
pub(super) fn start(failed: impl FnOnce(String) + Send + 'static) -> io::Result<Option<Stoppable>> {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    return Stoppable::spawn("memory", failed, |stopped| glibc::run(&stopped)).map(Some);
    #[cfg(not(all(target_os = "linux", target_env = "gnu")))]
    {
        drop(failed);
        Ok(None)
    }
}

#[cfg(all(target_os = "linux", target_env = "gnu"))]
mod glibc {
    use std::fs;
    use std::time::Duration;

    use crossbeam_channel::{Receiver, RecvTimeoutError};
    use rustix::param::page_size;

    /// Between two looks. Giving back takes about a millisecond, and the pages cost as much again if they are needed.
    const LOOK_INTERVAL: Duration = Duration::from_secs(5);
    /// Growth that is not worth giving back: this part of the size after the last time.
    const KEPT_PART: usize = 10;
    /// A process that has grown by less than this part since the last look grows no more.
    const GROWING_PART: usize = 20;

    pub(super) fn run(stopped: &Receiver<()>) {
        // What comes right after the start counts as growth.
        let mut watch = Watch { least: resident_bytes(), ..Watch::default() };
        while stopped.recv_timeout(LOOK_INTERVAL) == Err(RecvTimeoutError::Timeout) {
            // Without proc(5) nothing is given back.
            let Some(resident) = resident_bytes() else { return };
            if watch.is_time(resident) {
                give_back();
                let left = resident_bytes().unwrap_or(resident);
                tracing::debug!(resident, left, "gave unused memory back");
                watch.gave_back(left);
            }
        }
    }

    /// Decides when to give back.
    #[derive(Debug, Default)]
    pub(super) struct Watch {
        /// The least size since the last time.
        least: Option<usize>,
        /// The size at the last look.
        last: usize,
    }

    impl Watch {
        /// Whether the process has grown, and grows no more.
        pub(super) fn is_time(&mut self, resident: usize) -> bool {
            let last = std::mem::replace(&mut self.last, resident);
            let grows = resident > last + last / GROWING_PART;
            let least = self.least.get_or_insert(resident);
            *least = resident.min(*least);
            !grows && resident - *least > *least / KEPT_PART
        }

        pub(super) fn gave_back(&mut self, left: usize) {
            *self = Self { least: Some(left), last: left };
        }
    }

    /// The resident memory of this process (proc(5)).
    fn resident_bytes() -> Option<usize> {
        let pages = fs::read_to_string("/proc/self/statm").ok()?.split(' ').nth(1)?.parse::<usize>().ok()?;
        Some(pages * page_size())
    }

    #[allow(unsafe_code)]
    fn give_back() {
        // SAFETY: it may be called at any time by any thread, and changes nothing that is in use.
        unsafe { libc::malloc_trim(0) };
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        #[test]
        fn memory_is_given_back_once_after_it_has_grown() {
            let mut watch = Watch::default();
            let sizes = [100, 100, 105, 300, 900, 900];
            let due: Vec<bool> = sizes.map(|size| watch.is_time(size)).into();
            assert_eq!(due, [false, false, false, false, false, true], "not while it grows");
            watch.gave_back(400);
            assert!(!watch.is_time(400), "what is in use can't be given back");
            assert!(!watch.is_time(150) && !watch.is_time(160), "it has grown less by itself, then a little");
            assert!(!watch.is_time(170) && watch.is_time(169));
        }

        #[test]
        fn what_was_freed_leaves_the_process() {
            // Small pieces between which something stays: free memory in the middle, which the allocator keeps.
            let (mut freed, mut kept) = (Vec::new(), Vec::new());
            for _ in 0..12_000 {
                freed.push(vec![1_u8; 16 << 10]);
                kept.push(vec![1_u8; 64]);
            }
            let full = resident_bytes().expect("proc(5)");
            drop(freed);
            give_back();
            let left = resident_bytes().expect("proc(5)");
            assert!(left + (96 << 20) < full, "{left} of {full} bytes, {}", kept.len());
        }
    }
}
