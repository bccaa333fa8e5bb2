//! The time at which a node finds a block.
//!
//! A search that tries a given number of nonces each virtual second meets a target after an exponentially distributed
//! time. That time is drawn; the nonce is then really searched, so that every block has the work that the rules
//! require. That is quick on a network whose easiest target needs few hashes, and the hash rates are chosen to fit it.

use super::random::Random;
use crate::engine::event::Key;
use crate::protocol::hash::sha256;
use crate::protocol::{BlockId, Header, Millis};

/// The search time of a miner without a hash rate, in milliseconds.
const AT_ONCE_MILLIS: (u64, u64) = (1, 3);
/// An hour in milliseconds: hash rates are per hour.
const HOUR_MILLIS: u128 = 3_600_000;

/// The hash rate of a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum HashRate {
    /// It finds every block at once: for tests of other things.
    #[default]
    AtOnce,
    /// Hashes in a virtual hour. With 0 it finds nothing.
    PerHour(u64),
}

/// A node's miner.
#[derive(Debug, Default)]
pub(crate) struct VirtualMiner {
    pub(crate) rate: HashRate,
    search: Option<NonceSearch>,
}

#[derive(Debug)]
struct NonceSearch {
    key: Key,
    header: Header,
    found_at: Option<Millis>,
}

impl VirtualMiner {
    /// Searches for this header, instead of any before.
    pub(crate) fn start(&mut self, key: Key, header: Header, now: Millis, random: &mut Random) {
        self.search = Some(NonceSearch { key, header, found_at: None });
        self.draw(now, random);
    }

    /// Changes the hash rate. The search so far has no memory.
    pub(crate) fn set_rate(&mut self, rate: HashRate, now: Millis, random: &mut Random) {
        self.rate = rate;
        self.draw(now, random);
    }

    fn draw(&mut self, now: Millis, random: &mut Random) {
        let Some(search) = &mut self.search else { return };
        search.found_at = match self.rate {
            HashRate::AtOnce => Some(now + Millis(random.between(AT_ONCE_MILLIS.0, AT_ONCE_MILLIS.1))),
            HashRate::PerHour(0) => None,
            HashRate::PerHour(rate) => {
                let mean = search.header.target.work().0.saturating_mul(HOUR_MILLIS) / u128::from(rate);
                let mean = u64::try_from(mean).unwrap_or(u64::MAX);
                Some(now + Millis(random.exponential(mean).max(1)))
            }
        };
    }

    pub(crate) fn stop(&mut self) {
        self.search = None;
    }

    /// The time at which the next block is found.
    pub(crate) fn due(&self) -> Option<Millis> {
        self.search.as_ref().and_then(|search| search.found_at)
    }

    /// The searched header, with a nonce that meets its target, if it is found by now.
    pub(crate) fn take_found(&mut self, now: Millis, random: &mut Random) -> Option<(Key, Header, BlockId)> {
        let search = self.search.take_if(|search| search.found_at.is_some_and(|at| at <= now))?;
        let (header, id) = find_nonce(search.header, random.bits());
        Some((search.key, header, id))
    }
}

fn find_nonce(mut header: Header, first: u64) -> (Header, BlockId) {
    let mut bytes = header.to_bytes();
    header.nonce = first;
    loop {
        // The nonce is the last field.
        *bytes.last_chunk_mut().expect("a header is longer than a nonce") = header.nonce.to_le_bytes();
        let id = BlockId(sha256(&[&bytes]));
        if header.target.is_met_by(&id) {
            return (header, id);
        }
        header.nonce = header.nonce.wrapping_add(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::check::check_header;
    use crate::protocol::{Network, Parameters, Target};

    fn header(target: Target) -> Header {
        let mut header = Network::new(Parameters::dev()).expect("a preset is valid").genesis().header;
        header.height = header.height.next();
        Header { target, ..header }
    }

    #[test]
    fn a_found_nonce_keeps_the_rules() {
        let network = Network::new(Parameters::dev()).expect("a preset is valid");
        let mut miner = VirtualMiner::default();
        let mut random = Random::new(1);
        miner.start(Key(1), header(network.parameters().easiest_target), Millis(0), &mut random);
        assert!(miner.take_found(Millis(0), &mut random).is_none());
        let (_, found, id) = miner.take_found(Millis(3), &mut random).expect("at once");
        assert_eq!(check_header(&found, &network), Ok(id));
        assert!(miner.take_found(Millis(99), &mut random).is_none());
    }

    #[test]
    fn twice_the_rate_takes_half_the_time() {
        let target = Target(0x1e03_ffff);
        let mean = |rate| {
            let mut miner = VirtualMiner::default();
            let mut random = Random::new(1);
            miner.rate = HashRate::PerHour(rate);
            let draw = |_| {
                miner.start(Key(1), header(target), Millis(0), &mut random);
                miner.due().expect("it has a rate").0
            };
            (0..4_000).map(draw).sum::<u64>() / 4_000
        };
        let hour = 3_600_000;
        // 2^22 hashes an hour meet this target once an hour.
        assert!(mean(1 << 22).abs_diff(hour) < hour / 30, "{}", mean(1 << 22));
        assert!(mean(1 << 23).abs_diff(hour / 2) < hour / 60, "{}", mean(1 << 23));
    }
}
