//! One peer of the dial book: its addresses, and the moment of the next attempt.

use std::time::{Duration, Instant};

use libp2p::{Multiaddr, PeerId};

/// The pause after the first failure; it doubles with each further one.
pub(super) const BACKOFF_MIN: Duration = Duration::from_millis(250);
/// The longest pause for a peer that was connected a moment ago: its link may be back any second.
pub(super) const BACKOFF_MAX_LOST: Duration = Duration::from_secs(1);
/// The longest pause for `--peer`, and for others at first.
pub(super) const BACKOFF_MAX: Duration = Duration::from_secs(10);
/// The longest pause for a peer that has not answered [`GONE_FAILURES`] times.
const BACKOFF_MAX_GONE: Duration = Duration::from_secs(300);
pub(super) const GONE_FAILURES: u32 = 30;
/// A peer that we dialled is good once it has been ready for this long.
pub(super) const GOOD_AFTER: Duration = Duration::from_secs(60);
/// How long a lost peer counts as just lost.
pub(super) const JUST_LOST: Duration = Duration::from_secs(300);

/// When to try again.
#[derive(Debug, Clone, Copy)]
pub(super) struct Backoff {
    pub(super) failures: u32,
    pub(super) next: Instant,
}

impl Backoff {
    pub(super) fn new(now: Instant) -> Self {
        Self { failures: 0, next: now }
    }

    pub(super) fn failed(&mut self, now: Instant, longest: Duration, chance: u64) {
        let pause = BACKOFF_MIN.saturating_mul(1 << self.failures.min(16)).min(longest);
        self.failures = self.failures.saturating_add(1);
        // Three to five quarters of it, so that two nodes don't keep meeting or missing each other.
        self.next = now + pause.mul_f64(0.75 + (chance % 512) as f64 / 1024.0);
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum DialState {
    Idle,
    Dialling,
    Connected,
}

/// How far a peer is trusted to be worth dialling.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::node::swarm) enum Standing {
    /// Somebody said that it is there.
    Heard,
    /// It was a ready peer of ours, now or in an earlier run. Anybody who calls us becomes that.
    Met,
    /// We reached it ourselves, and it stayed for [`GOOD_AFTER`] without a fault.
    Good,
}

/// A peer that was heard of.
#[derive(Debug)]
pub(super) struct KnownPeer {
    /// Best first.
    pub(super) addresses: Vec<Multiaddr>,
    pub(super) state: DialState,
    pub(super) backoff: Backoff,
    pub(super) standing: Standing,
    /// It was one of those that we had for longest, in an earlier run.
    pub(super) anchor: bool,
    /// We dialled it, and so chose it or were told to.
    pub(super) dialled: bool,
    /// The user has named it since the start.
    pub(super) named: bool,
    /// When it was discovered, connected or lost last.
    pub(super) heard: Instant,
    /// When its last session became ready.
    pub(super) ready: Option<Instant>,
    /// When its last session that had been ready ended.
    pub(super) lost: Option<Instant>,
    /// How many sessions in a row were too short.
    pub(super) short_sessions: u32,
    /// The obstacle that was traced last.
    pub(super) traced: Option<&'static str>,
}

/// A `--peer` address.
#[derive(Debug)]
pub(super) struct FixedPeer {
    pub(super) address: Multiaddr,
    /// The peer in the address, or the one that answered there.
    pub(super) peer: Option<PeerId>,
    /// The address itself demands that peer.
    pub(super) pinned: bool,
    /// It is our own, and never dialled.
    pub(super) ours: bool,
    pub(super) dialling: bool,
    pub(super) backoff: Backoff,
}

impl KnownPeer {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            addresses: Vec::new(),
            state: DialState::Idle,
            backoff: Backoff::new(now),
            standing: Standing::Heard,
            anchor: false,
            dialled: false,
            named: false,
            heard: now,
            ready: None,
            lost: None,
            short_sessions: 0,
            traced: None,
        }
    }

    /// Its standing, as of now.
    pub(super) fn standing(&self, now: Instant) -> Standing {
        let is_good = self.dialled && self.ready_for(now) >= GOOD_AFTER;
        if is_good { Standing::Good } else { self.standing }
    }

    /// How long its session has been ready.
    pub(super) fn ready_for(&self, now: Instant) -> Duration {
        self.ready.map_or(Duration::ZERO, |ready| now.saturating_duration_since(ready))
    }

    /// Why it is not dialled now, in one phrase. Bans are not known here.
    pub(super) fn obstacle(&self, now: Instant) -> Option<&'static str> {
        match self.state {
            DialState::Connected => Some("connected"),
            DialState::Dialling => Some("being dialled"),
            DialState::Idle if self.addresses.is_empty() => Some("no address"),
            DialState::Idle if self.backoff.next > now => Some("backing off"),
            DialState::Idle => None,
        }
    }

    /// Traces the obstacle, if it is another one than before. Dials and connections are traced where they happen.
    pub(super) fn trace(&mut self, peer: &PeerId, obstacle: Option<&'static str>, now: Instant) {
        let before = std::mem::replace(&mut self.traced, obstacle);
        let Some(why) = obstacle.filter(|_| obstacle != before && self.state == DialState::Idle) else { return };
        let Backoff { failures, next } = self.backoff;
        let retry_millis = next.saturating_duration_since(now).as_millis();
        tracing::debug!(%peer, why, failures, retry_millis, addresses = self.addresses.len(), "not dialled");
    }

    pub(super) fn failed(&mut self, now: Instant, is_fixed: bool, chance: u64) {
        let just_lost = self.lost.is_some_and(|lost| now.duration_since(lost) < JUST_LOST);
        let longest = if just_lost {
            BACKOFF_MAX_LOST.saturating_mul(1 << self.short_sessions.min(8)).min(BACKOFF_MAX)
        } else if is_fixed || self.backoff.failures < GONE_FAILURES {
            BACKOFF_MAX
        } else {
            BACKOFF_MAX_GONE
        };
        self.backoff.failed(now, longest, chance);
    }
}
