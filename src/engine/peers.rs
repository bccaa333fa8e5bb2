//! Sessions with peers: what each has told, what it was asked, what it may still ask, and how far it is trusted.

use std::collections::{BTreeMap, VecDeque};

use quipu_protocol::{BlockId, Header, Millis, SignedTransaction, Status, TransactionId, UnixMillis, Work};

use super::bundles::UNCHECKED_MAX;
use super::event::{Effect, Fault, Gossip, Key, Now, PeerKey};
use super::index::BlockRef;
use super::pace::{ANSWER_TIMEOUT, ANSWER_TIMEOUT_MAX, Pace};

/// At this many points a peer is cut off.
const POINTS_MAX: u32 = 100;
/// How long a peer that was cut off for a fault may not come back.
pub const BAN: Millis = Millis::from_secs(600);
/// How long a peer that merely did not answer may not come back.
pub const SILENCE_BAN: Millis = Millis::from_secs(30);
/// Requests that a peer may send at once, and how many more each second.
const REQUESTS: Rate = Rate { burst: 256, per_second: 64 };
/// Transactions by gossip, likewise, and their encoded bytes, however many come in one message. What is over it is
/// ignored; the peer's pool can still be pulled. As many as may wait for their check: what keeps a flood from taking all
/// the time of the processor is that few checks run at once.
const TRANSACTIONS: Rate = Rate { burst: UNCHECKED_MAX as u64, per_second: UNCHECKED_MAX as u64 };
const TRANSACTION_BYTES: Rate = Rate { burst: 80 << 20, per_second: 40 << 20 };
/// Blocks by gossip, likewise. What is over it heals by synchronisation.
const BLOCKS: Rate = Rate { burst: 256, per_second: 64 };
/// Questions to one peer that were given up and whose answers are still of use. The oldest are forgotten first.
pub(crate) const LATE_PER_PEER_MAX: usize = 8;

/// A token bucket's size and refill.
#[derive(Debug, Clone, Copy)]
struct Rate {
    burst: u64,
    per_second: u64,
}

/// What a peer may still send.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bucket {
    rate: Rate,
    /// In thousandths of what is counted.
    tokens: u64,
    filled_at: Millis,
}

impl Bucket {
    fn new(rate: Rate, now: Now) -> Self {
        Self { rate, tokens: rate.burst * 1000, filled_at: now.elapsed }
    }

    /// Takes so many, if they are left.
    pub(crate) fn take(&mut self, count: u64, now: Now) -> bool {
        let gained = now.elapsed.saturating_sub(self.filled_at).0.saturating_mul(self.rate.per_second);
        self.tokens = self.tokens.saturating_add(gained).min(self.rate.burst * 1000);
        self.filled_at = now.elapsed;
        let left = self.tokens.checked_sub(1000 * count);
        self.tokens = left.unwrap_or(self.tokens);
        left.is_some()
    }
}

/// What a peer was asked.
#[derive(Debug, Clone)]
pub(crate) enum Asked {
    Status,
    Headers {
        /// The tip that the peer told of, and its work.
        tip: BlockId,
        claimed: Work,
        /// The last of its blocks that we know.
        after: Option<BlockId>,
        /// How many there may be.
        count: usize,
    },
    Blocks(Vec<BlockRef>),
    Pending,
    Transactions(Vec<TransactionId>),
}

/// Something a peer was asked, and until when it has to answer.
#[derive(Debug, Clone)]
pub(crate) struct Flight {
    pub(crate) key: Key,
    pub(crate) asked: Asked,
    pub(crate) asked_at: Millis,
    pub(crate) deadline: Millis,
    /// About how long the answer will be, in bytes.
    pub(crate) bytes: usize,
    /// Whether nobody else is asked for the same blocks.
    pub(crate) is_exclusive: bool,
}

impl Flight {
    /// Whether others have answered by this time.
    pub(crate) fn is_overdue(&self, now: Now) -> bool {
        now.elapsed >= self.asked_at + ANSWER_TIMEOUT
    }
}

/// Headers of a chain that has not shown more work than ours yet. Kept out of the index until it has.
#[derive(Debug, Default)]
pub(crate) struct Candidate {
    pub(crate) headers: Vec<Header>,
    pub(crate) last: Option<BlockId>,
    pub(crate) work: Work,
}

/// One session.
#[derive(Debug)]
pub(crate) struct Session {
    /// What it last told of itself.
    pub(crate) status: Option<Status>,
    /// When it told, or when the last attempt to ask ended.
    pub(crate) status_at: Option<Millis>,
    pub(crate) clock_offset_millis: Option<i64>,
    /// The best block of ours that we know it has.
    pub(crate) best: Option<BlockRef>,
    /// The tip whose headers were asked for in vain, until it tells of another.
    pub(crate) exhausted_tip: Option<BlockId>,
    /// Until when it is not asked for headers, after some that left out the checkpoint.
    pub(crate) barred_until: Option<Millis>,
    /// When its headers that were too early may be asked for again.
    pub(crate) early_until: Option<UnixMillis>,
    /// Whether the last work that it told of was not there when we asked. Its word alone then counts for nothing.
    pub(crate) doubtful: bool,
    /// A tip that it did not deliver, and until when it is not asked for that again.
    pub(crate) withheld: Option<(BlockId, Millis)>,
    pub(crate) candidate: Candidate,
    pub(crate) status_flight: Option<Flight>,
    /// All but the status: one at a time, since an answer of any length holds up those behind it.
    pub(crate) flight: Option<Flight>,
    /// What was given up. Its answers are used if they come.
    pub(crate) late: VecDeque<Flight>,
    /// Whether an answer of some length is overdue. Others go first until it is there.
    pub(crate) is_overdue: bool,
    pub(crate) pace: Pace,
    /// Requests in a row that it did not answer in time or not at all. Until it has answered one, it gets no share of what
    /// others have too.
    pub(crate) timeouts: u32,
    /// Questions for its status in a row that ran out, with nothing else coming either.
    pub(crate) silences: u32,
    /// Ids of its pending transactions that we lack, to be pulled.
    pub(crate) wanted_transactions: Vec<TransactionId>,
    pub(crate) pending_asked_at: Option<Millis>,
    pub(crate) requests: Bucket,
    gossip_transactions: Bucket,
    gossip_bytes: Bucket,
    gossip_blocks: Bucket,
    points: u32,
}

impl Session {
    fn new(now: Now) -> Self {
        Self {
            status: None,
            status_at: None,
            clock_offset_millis: None,
            best: None,
            exhausted_tip: None,
            barred_until: None,
            early_until: None,
            doubtful: false,
            withheld: None,
            candidate: Candidate::default(),
            status_flight: None,
            flight: None,
            late: VecDeque::new(),
            is_overdue: false,
            pace: Pace::default(),
            timeouts: 0,
            silences: 0,
            wanted_transactions: Vec::new(),
            pending_asked_at: None,
            requests: Bucket::new(REQUESTS, now),
            gossip_transactions: Bucket::new(TRANSACTIONS, now),
            gossip_bytes: Bucket::new(TRANSACTION_BYTES, now),
            gossip_blocks: Bucket::new(BLOCKS, now),
            points: 0,
        }
    }

    /// Takes the question with this key, in time or late.
    pub(crate) fn take_flight(&mut self, key: Key) -> Option<Flight> {
        let is_it = |flight: &mut Flight| flight.key == key;
        let in_time = self.status_flight.take_if(is_it).or_else(|| self.flight.take_if(is_it));
        in_time.or_else(|| {
            let at = self.late.iter().position(|flight| flight.key == key)?;
            self.late.remove(at)
        })
    }

    /// Whether something here may run out of time, or may have.
    pub(crate) fn may_be_late(&self, now: Now) -> bool {
        let is_expired = self.status_flight.as_ref().is_some_and(|flight| flight.deadline <= now.elapsed);
        let waits = self.early_until.is_some() || self.barred_until.is_some() || !self.late.is_empty();
        is_expired || self.flight.is_some() || self.is_overdue || waits
    }

    /// Takes the questions that have run out of time.
    pub(crate) fn take_expired(&mut self, now: Now) -> [Option<Flight>; 2] {
        let has_expired = |flight: &mut Flight| flight.deadline <= now.elapsed;
        [self.status_flight.take_if(has_expired), self.flight.take_if(has_expired)]
    }

    /// Keeps in mind what was given up.
    pub(crate) fn keep_late(&mut self, flight: Flight) {
        self.late.push_back(flight);
        if self.late.len() > LATE_PER_PEER_MAX {
            self.late.pop_front();
        }
    }

    /// Whether an answer of some length that was given up may still be on its way. Whatever is asked now would only come
    /// after it.
    pub(crate) fn awaits_late(&self, now: Now) -> bool {
        let is_awaited = |flight: &Flight| {
            !matches!(flight.asked, Asked::Status) && now.elapsed < flight.asked_at + ANSWER_TIMEOUT_MAX
        };
        self.late.iter().any(is_awaited)
    }

    /// Takes in how long an answer took. What is still under way gets as much time as that shows to be needed.
    pub(crate) fn note_answer(&mut self, took: Millis, bytes: usize) {
        self.silences = 0;
        self.pace.note_answer(took, bytes);
        for flight in [&mut self.status_flight, &mut self.flight].into_iter().flatten() {
            flight.deadline = flight.deadline.max(flight.asked_at + self.pace.timeout(flight.bytes));
        }
    }

    /// Has it asked at once how far it is, and also for what it had no more of last time.
    pub(crate) fn look_again(&mut self) {
        self.status_at = None;
        self.exhausted_tip = None;
        self.barred_until = None;
    }
}

/// All sessions, in the order in which they began.
#[derive(Debug, Default)]
pub(crate) struct Peers {
    sessions: BTreeMap<PeerKey, Session>,
    /// Whether a session may have changed since [`Peers::take_changed`].
    changed: bool,
}

impl Peers {
    /// Whether anything may have changed that decides what is to be asked, since the last call.
    pub(crate) fn take_changed(&mut self) -> bool {
        std::mem::take(&mut self.changed)
    }

    /// What is to be asked depends on our chain too, and that has changed.
    pub(crate) fn note_changed(&mut self) {
        self.changed = true;
    }

    pub(crate) fn connect(&mut self, peer: PeerKey, now: Now) {
        self.changed = true;
        self.sessions.insert(peer, Session::new(now));
    }

    pub(crate) fn disconnect(&mut self, peer: PeerKey) -> Option<Session> {
        self.changed = true;
        self.sessions.remove(&peer)
    }

    pub(crate) fn get(&self, peer: PeerKey) -> Option<&Session> {
        self.sessions.get(&peer)
    }

    pub(crate) fn get_mut(&mut self, peer: PeerKey) -> Option<&mut Session> {
        self.changed = true;
        self.sessions.get_mut(&peer)
    }

    /// For a change that alters nothing of what is to be asked. Whoever finds that it does says so with
    /// [`Peers::note_changed`].
    pub(crate) fn get_quietly(&mut self, peer: PeerKey) -> Option<&mut Session> {
        self.sessions.get_mut(&peer)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (PeerKey, &Session)> {
        self.sessions.iter().map(|(peer, session)| (*peer, session))
    }

    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = (PeerKey, &mut Session)> {
        self.changed = true;
        self.sessions.iter_mut().map(|(peer, session)| (*peer, session))
    }

    pub(crate) fn len(&self) -> usize {
        self.sessions.len()
    }

    /// Whether one more bundle or block by gossip is within a peer's share.
    pub(crate) fn may_gossip(&mut self, peer: PeerKey, gossip: &Gossip, now: Now) -> bool {
        let session = self.sessions.get_mut(&peer).filter(|session| session.points < POINTS_MAX);
        session.is_some_and(|session| match gossip {
            Gossip::Block(_) | Gossip::Compact(_) => session.gossip_blocks.take(1, now),
            Gossip::Transactions(bundle) => {
                let bytes: usize = bundle.iter().map(SignedTransaction::length).sum();
                let (count, bytes) = (bundle.len() as u64, bytes as u64);
                session.gossip_transactions.take(count, now) && session.gossip_bytes.take(bytes, now)
            }
        })
    }

    /// Notes a fault, and cuts the peer off when it has too many. The shell then reports the end of the session.
    pub(crate) fn punish(&mut self, peer: PeerKey, fault: Fault, effects: &mut Vec<Effect>) {
        let Some(session) = self.sessions.get_mut(&peer) else { return };
        let (points, ban) = match &fault {
            // What only a program that breaks the rules on purpose sends.
            Fault::Malformed | Fault::Invalid(_) => (POINTS_MAX, BAN),
            Fault::WrongAnswer => (34, BAN),
            Fault::Silent => (POINTS_MAX, SILENCE_BAN),
            Fault::Flood => (1, BAN),
        };
        self.changed = true;
        let before = session.points;
        session.points = before.saturating_add(points);
        if before < POINTS_MAX && session.points >= POINTS_MAX {
            effects.push(Effect::Close { peer, fault, ban });
        }
    }

    /// Whether a peer has been cut off, although its session has not ended yet.
    pub(crate) fn is_cut_off(&self, peer: PeerKey) -> bool {
        self.sessions.get(&peer).is_none_or(|session| session.points >= POINTS_MAX)
    }
}
