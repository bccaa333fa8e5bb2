//! One end of a connection: the delay of messages.
//!
//! Links are streams: nothing is lost or overtaken as long as the connection lasts. A message waits for those before it
//! (bandwidth), then takes the link's latency and a bit of jitter. A cut link holds everything back, as a transport
//! does that retransmits lost data, until it is healed or the connection is given up. Deliberately absent: bandwidth
//! shared by several links.
//! a bandwidth that several links share.

use super::id::NodeId;
use super::random::Random;
use super::wheel::Message;
use crate::engine::event::PeerKey;
use crate::protocol::Millis;

/// The quality of a link, the same in both directions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quality {
    /// Latency of one way, in milliseconds, at least 1.
    pub latency_millis: u64,
    /// The greatest addition to it, drawn for each message.
    pub jitter_millis: u64,
    /// Bandwidth of each direction. `None`: no limit.
    pub bytes_per_second: Option<u64>,
}

impl Default for Quality {
    /// A local network with some wireless parts.
    fn default() -> Self {
        Self { latency_millis: 1, jitter_millis: 19, bytes_per_second: None }
    }
}

/// A session with a peer, and the link to it.
#[derive(Debug)]
pub(crate) struct Link {
    /// The key of our session with the peer.
    pub(crate) session: PeerKey,
    pub(crate) peer: NodeId,
    /// The key of the peer's session with us.
    pub(crate) peer_session: PeerKey,
    pub(crate) quality: Quality,
    pub(crate) in_mesh: bool,
    /// The end of the backoff after a refusal by the mesh.
    pub(crate) backoff_until: Millis,
    /// While the link is cut: the time of the cut, and the held messages.
    pub(crate) held: Option<(Millis, Vec<(Message, u64)>)>,
    stalled_until: Millis,
    /// The time at which the last byte so far has left, in microseconds.
    sent_micros: u64,
    last_arrival: Millis,
}

impl Link {
    pub(crate) fn new(session: PeerKey, peer: NodeId, peer_session: PeerKey, quality: Quality) -> Self {
        Self {
            session,
            peer,
            peer_session,
            quality,
            in_mesh: false,
            backoff_until: Millis(0),
            held: None,
            stalled_until: Millis(0),
            sent_micros: 0,
            last_arrival: Millis(0),
        }
    }

    /// The arrival of a message that is sent now. Never in the same millisecond, never before an earlier message.
    pub(crate) fn arrival(&mut self, bytes: u64, now: Millis, random: &mut Random) -> Millis {
        let Quality { latency_millis, jitter_millis, bytes_per_second } = self.quality;
        let micros = bytes_per_second.map_or(0, |rate| bytes.saturating_mul(1_000_000) / rate.max(1));
        self.sent_micros = self.sent_micros.max(now.0 * 1000) + micros;
        let sent = Millis(self.sent_micros.div_ceil(1000)).max(self.stalled_until);
        let travel = latency_millis.max(1) + if jitter_millis == 0 { 0 } else { random.between(0, jitter_millis) };
        self.last_arrival = self.last_arrival.max(sent + Millis(travel));
        self.last_arrival
    }

    /// Delays all later messages until `until`.
    pub(crate) fn stall(&mut self, until: Millis) {
        self.stalled_until = self.stalled_until.max(until);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn link(quality: Quality) -> Link {
        Link::new(PeerKey(1), NodeId(1), PeerKey(2), quality)
    }

    #[test]
    fn a_long_message_delays_those_behind_it() {
        let mut random = Random::new(1);
        let mut link = link(Quality { latency_millis: 50, jitter_millis: 0, bytes_per_second: Some(1_000) });
        assert_eq!(link.arrival(2_000, Millis(100), &mut random), Millis(2_150));
        assert_eq!(link.arrival(1, Millis(100), &mut random), Millis(2_151));
        assert_eq!(link.arrival(1, Millis(9_000), &mut random), Millis(9_051));
    }

    #[test]
    fn jitter_never_reorders() {
        let mut random = Random::new(1);
        let mut link = link(Quality { latency_millis: 1, jitter_millis: 200, bytes_per_second: None });
        let arrivals: Vec<Millis> = (0..500).map(|now| link.arrival(10, Millis(now), &mut random)).collect();
        assert!(arrivals.is_sorted());
        assert!(arrivals.iter().zip(0..).all(|(at, now)| at.0 > now));
    }

    #[test]
    fn a_stall_holds_back_what_is_sent_after_it() {
        let mut random = Random::new(1);
        let mut link = link(Quality { latency_millis: 5, jitter_millis: 0, bytes_per_second: None });
        link.stall(Millis(1_000));
        assert_eq!(link.arrival(10, Millis(0), &mut random), Millis(1_005));
        assert_eq!(link.arrival(10, Millis(2_000), &mut random), Millis(2_005));
    }
}
