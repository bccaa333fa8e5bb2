//! Sessions with peers: status, questions, budgets and trust.

use std::collections::{BTreeMap, VecDeque};

use quipu_protocol::{BlockId, Millis, Request, SignedTransaction, Status, TransactionId, UnixMillis, Work};

use super::budget::{
    BLOCK_BYTES, BLOCKS, Bucket, FAILED_ANNOUNCEMENT_COST, REFUSALS, REQUESTS, TRANSACTION_BYTES, TRANSACTIONS, Turn,
};
use super::event::{Effect, Fault, Gossip, Key, Now, PeerEffect, PeerKey, Ticket};
use super::header_tree::BlockRef;
use super::pace::{ANSWER_TIMEOUT, ANSWER_TIMEOUT_MAX, Pace};
use super::sync::Presync;

/// The points at which a peer is cut off.
const POINTS_MAX: u32 = 100;
/// The ban of a peer that was cut off for a fault.
pub const BAN: Millis = Millis::from_secs(600);
/// The ban of a peer that merely did not answer, or asked too much.
pub const SILENCE_BAN: Millis = Millis::from_secs(30);
/// The pause after a refusal, and how often it doubles when the next is refused too.
const BUSY_PAUSE: Millis = Millis(250);
const BUSY_DOUBLINGS_MAX: u32 = 4;
/// Timed-out questions to one peer whose answers are still of use. The oldest are forgotten first.
pub(crate) const LATE_PER_PEER_MAX: usize = 8;

/// The subject of a question to a peer.
#[derive(Debug, Clone)]
pub(crate) enum PeerQuestion {
    Status,
    Headers {
        /// The tip that the peer reported, and its work.
        tip: BlockId,
        claimed: Work,
        /// The last of the peer's blocks that we know.
        after: Option<BlockId>,
        /// The greatest number of transactions in the answer.
        count: usize,
    },
    Blocks(Vec<BlockRef>),
    Pending,
    Transactions(Vec<TransactionId>),
}

impl PeerQuestion {
    /// The first block, if it asks for any.
    pub(crate) fn first_block(&self) -> Option<BlockRef> {
        match self {
            Self::Blocks(blocks) => blocks.first().copied(),
            Self::Status | Self::Headers { .. } | Self::Pending | Self::Transactions(_) => None,
        }
    }

    /// As the log calls it.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Status => "status",
            Self::Headers { .. } => "headers",
            Self::Blocks(_) => "blocks",
            Self::Pending => "pending",
            Self::Transactions(_) => "transactions",
        }
    }
}

/// A question under way, and its deadline.
#[derive(Debug, Clone)]
pub(crate) struct Flight {
    pub(crate) key: Key,
    pub(crate) question: PeerQuestion,
    pub(crate) asked_at: Millis,
    pub(crate) deadline: Millis,
    /// The expected length of the answer, in bytes.
    pub(crate) bytes: usize,
    /// Whether nobody else is asked for the same blocks.
    pub(crate) is_exclusive: bool,
}

impl Flight {
    /// Whether a peer of normal speed would have answered by now.
    pub(crate) fn is_overdue(&self, now: Now) -> bool {
        now.elapsed >= self.asked_at + ANSWER_TIMEOUT
    }
}

/// A session with one peer.
#[derive(Debug)]
pub(crate) struct PeerState {
    /// The peer's last reported status.
    pub(crate) status: Option<Status>,
    /// When it is asked for its status, counted from its last report.
    pub(crate) status_turn: Turn,
    /// The earliest time of the next question for headers.
    pub(crate) headers_at: Millis,
    pub(crate) clock_offset_millis: Option<i64>,
    /// The best known block that the peer has too.
    pub(crate) best: Option<BlockRef>,
    /// A tip whose headers were requested in vain, until the peer reports another.
    pub(crate) exhausted_tip: Option<BlockId>,
    /// The end of the pause in requests for headers, after headers that left out the checkpoint.
    pub(crate) barred_until: Option<Millis>,
    /// The time at which headers that were too early may be requested again.
    pub(crate) early_until: Option<UnixMillis>,
    /// Whether the last work that it claimed was not there when we asked. Its word alone then counts for nothing.
    pub(crate) doubtful: bool,
    /// A tip that it did not deliver, and the end of the pause before it is requested again.
    pub(crate) withheld: Option<(BlockId, Millis)>,
    /// The long branch whose headers are downloaded in two passes.
    pub(crate) presync: Option<Box<Presync>>,
    pub(crate) status_flight: Option<Flight>,
    /// The question other than the status: one at a time, since a long answer delays those behind it.
    pub(crate) flight: Option<Flight>,
    /// Timed-out questions. Their answers are used if they arrive.
    pub(crate) late: VecDeque<Flight>,
    /// Whether a long answer is overdue. Until it arrives, other peers go first.
    pub(crate) is_overdue: bool,
    pub(crate) pace: Pace,
    /// Requests in a row without an answer in time. Until it has answered one, it gets no share of blocks that others
    /// have too.
    pub(crate) timeouts: u32,
    /// Status questions in a row that timed out, while nothing else arrived either.
    pub(crate) silences: u32,
    /// Ids of its pending transactions that we lack, to be pulled.
    pub(crate) wanted_transactions: Vec<TransactionId>,
    pub(crate) pending_turn: Turn,
    /// Requests in a row that it has refused, and the end of the pause after the last of them. Being busy is no fault,
    /// and says nothing about what it has.
    pub(crate) refusals: u32,
    pub(crate) busy_until: Millis,
    /// Our budget of requests to it.
    pub(crate) questions: Bucket,
    pub(crate) question_bytes: Bucket,
    /// Its budget of requests to us.
    pub(crate) requests: Bucket,
    pub(crate) block_bytes: Bucket,
    /// Its requests that wait for that budget.
    pub(crate) delayed: VecDeque<(Ticket, Request)>,
    /// Its requests whose blocks are being read.
    pub(crate) serving: usize,
    /// The refusals that it may still cause before it is cut off.
    refused: Bucket,
    gossip_transactions: Bucket,
    gossip_bytes: Bucket,
    gossip_blocks: Bucket,
    points: u32,
    /// Why it was not asked last time, as the log has told.
    pub(crate) idle_reason: Option<&'static str>,
}

impl PeerState {
    fn new(now: Now) -> Self {
        Self {
            status: None,
            status_turn: Turn::default(),
            headers_at: Millis(0),
            clock_offset_millis: None,
            best: None,
            exhausted_tip: None,
            barred_until: None,
            early_until: None,
            doubtful: false,
            withheld: None,
            presync: None,
            status_flight: None,
            flight: None,
            late: VecDeque::new(),
            is_overdue: false,
            pace: Pace::default(),
            timeouts: 0,
            silences: 0,
            wanted_transactions: Vec::new(),
            pending_turn: Turn::default(),
            refusals: 0,
            busy_until: Millis(0),
            questions: Bucket::new(REQUESTS.used(), now),
            question_bytes: Bucket::new(BLOCK_BYTES.used(), now),
            requests: Bucket::new(REQUESTS, now),
            block_bytes: Bucket::new(BLOCK_BYTES, now),
            delayed: VecDeque::new(),
            serving: 0,
            refused: Bucket::new(REFUSALS, now),
            gossip_transactions: Bucket::new(TRANSACTIONS, now),
            gossip_bytes: Bucket::new(TRANSACTION_BYTES, now),
            gossip_blocks: Bucket::new(BLOCKS, now),
            points: 0,
            idle_reason: None,
        }
    }

    /// Removes the question with this key, in time or late.
    pub(crate) fn take_flight(&mut self, key: Key) -> Option<Flight> {
        let is_it = |flight: &mut Flight| flight.key == key;
        let in_time = self.status_flight.take_if(is_it).or_else(|| self.flight.take_if(is_it));
        in_time.or_else(|| {
            let at = self.late.iter().position(|flight| flight.key == key)?;
            self.late.remove(at)
        })
    }

    /// Whether a question here may have timed out, or may soon.
    pub(crate) fn may_be_late(&self, now: Now) -> bool {
        let is_expired = self.status_flight.as_ref().is_some_and(|flight| flight.deadline <= now.elapsed);
        let waits = self.early_until.is_some() || self.barred_until.is_some() || !self.late.is_empty();
        is_expired || self.flight.is_some() || self.is_overdue || waits
    }

    /// Removes the questions that have timed out.
    pub(crate) fn take_expired(&mut self, now: Now) -> [Option<Flight>; 2] {
        let has_expired = |flight: &mut Flight| flight.deadline <= now.elapsed;
        [self.status_flight.take_if(has_expired), self.flight.take_if(has_expired)]
    }

    /// Remembers a timed-out question.
    pub(crate) fn keep_late(&mut self, flight: Flight) {
        self.late.push_back(flight);
        if self.late.len() > LATE_PER_PEER_MAX {
            self.late.pop_front();
        }
    }

    /// Whether a long answer that was given up may still be on its way. An answer to a new question would only arrive
    /// after it.
    pub(crate) fn awaits_late(&self, now: Now) -> bool {
        let is_awaited = |flight: &Flight| {
            !matches!(flight.question, PeerQuestion::Status) && now.elapsed < flight.asked_at + ANSWER_TIMEOUT_MAX
        };
        self.late.iter().any(is_awaited)
    }

    /// Records the time that an answer took. Questions under way get as much time as that shows to be needed.
    pub(crate) fn note_answer(&mut self, took: Millis, bytes: usize) {
        self.silences = 0;
        self.pace.note_answer(took, bytes);
        for flight in [&mut self.status_flight, &mut self.flight].into_iter().flatten() {
            flight.deadline = flight.deadline.max(flight.asked_at + self.pace.timeout(flight.bytes));
        }
    }

    /// Makes the peer's status due at once, and its exhausted tip worth asking for again.
    pub(crate) fn refresh(&mut self) {
        self.status_turn.want();
        self.exhausted_tip = None;
        self.barred_until = None;
    }

    /// Records that it has refused a question, and pauses: longer each time.
    pub(crate) fn note_refusal(&mut self, now: Now) {
        let pause = BUSY_PAUSE.0 << self.refusals.min(BUSY_DOUBLINGS_MAX);
        self.refusals += 1;
        self.busy_until = now.elapsed + Millis(pause);
    }

    /// Lowers its budget of announcements for one that led to nothing.
    pub(crate) fn note_failed_announcement(&mut self, now: Now) {
        self.gossip_blocks.spend(FAILED_ANNOUNCEMENT_COST, now);
    }
}

/// All sessions, in the order in which they began.
#[derive(Debug, Default)]
pub(crate) struct Peers {
    sessions: BTreeMap<PeerKey, PeerState>,
    /// Whether a session may have changed since [`Peers::take_changed`].
    changed: bool,
}

impl Peers {
    /// Whether anything may have changed that decides on the next questions, since the last call.
    pub(crate) fn take_changed(&mut self) -> bool {
        std::mem::take(&mut self.changed)
    }

    /// Records that our chain has changed, on which the next questions depend too.
    pub(crate) fn note_changed(&mut self) {
        self.changed = true;
    }

    pub(crate) fn connect(&mut self, peer: PeerKey, now: Now) {
        self.changed = true;
        self.sessions.insert(peer, PeerState::new(now));
    }

    pub(crate) fn disconnect(&mut self, peer: PeerKey) -> Option<PeerState> {
        self.changed = true;
        self.sessions.remove(&peer)
    }

    pub(crate) fn get(&self, peer: PeerKey) -> Option<&PeerState> {
        self.sessions.get(&peer)
    }

    pub(crate) fn get_mut(&mut self, peer: PeerKey) -> Option<&mut PeerState> {
        self.changed = true;
        self.sessions.get_mut(&peer)
    }

    /// A session for a change that does not affect the next questions. A caller that finds that it does calls
    /// [`Peers::note_changed`].
    pub(crate) fn get_quietly(&mut self, peer: PeerKey) -> Option<&mut PeerState> {
        self.sessions.get_mut(&peer)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (PeerKey, &PeerState)> {
        self.sessions.iter().map(|(peer, session)| (*peer, session))
    }

    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = (PeerKey, &mut PeerState)> {
        self.changed = true;
        self.sessions.iter_mut().map(|(peer, session)| (*peer, session))
    }

    pub(crate) fn len(&self) -> usize {
        self.sessions.len()
    }

    /// Whether one more bundle or block by gossip is within a peer's budget.
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

    /// Records a fault, and cuts the peer off when it has too many. The shell then reports the end of the session.
    pub(crate) fn punish(&mut self, peer: PeerKey, fault: Fault, effects: &mut Vec<Effect>) {
        let Some(session) = self.sessions.get_mut(&peer) else { return };
        let (points, ban) = match &fault {
            // Only a program that breaks the rules on purpose sends these.
            Fault::Malformed | Fault::Invalid(_) => (POINTS_MAX, BAN),
            Fault::WrongAnswer => (34, BAN),
            Fault::Silent | Fault::Flood => (POINTS_MAX, SILENCE_BAN),
        };
        self.changed = true;
        let before = session.points;
        session.points = before.saturating_add(points);
        tracing::debug!(%peer, why = ?fault, points = session.points, "fault");
        if before < POINTS_MAX && session.points >= POINTS_MAX {
            tracing::debug!(%peer, why = ?fault, ban_millis = ban.0, "cut off");
            effects.push(Effect::Peer(PeerEffect::Close { peer, fault, ban }));
        }
    }

    /// Records that a request of a peer had to be refused because it asks too much.
    pub(crate) fn note_flood(&mut self, peer: PeerKey, now: Now, effects: &mut Vec<Effect>) {
        if self.sessions.get_mut(&peer).is_some_and(|session| !session.refused.take(1, now)) {
            self.punish(peer, Fault::Flood, effects);
        }
    }

    /// Whether a peer has been cut off, although its session has not ended yet.
    pub(crate) fn is_cut_off(&self, peer: PeerKey) -> bool {
        self.sessions.get(&peer).is_none_or(|session| session.points >= POINTS_MAX)
    }
}
