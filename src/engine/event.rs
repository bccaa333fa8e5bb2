//! The vocabulary of the engine: events in, effects out. All of its contact with the world is in this file.

mod user;

use std::fmt;
use std::sync::Arc;

use quipu_protocol::{
    Account, Address, Block, BlockId, Bundle, CheckedBlock, CheckedTransaction, CompactBlock, Delta, Header, Height,
    Millis, Request, Response, SignedTransaction, TransactionId, UnixMillis, Violation,
};
pub use user::{
    Answer, Command, CommandError, Fate, GoneReason, MINE_COUNT_MAX, MiningMode, NotFollowed, Notice,
    ROLLED_BACK_TOLD_MAX, RolledBack,
};

/// The time, read by the shell just before it calls the engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Now {
    /// The time since the shell started. Never goes back; timeouts are measured on it.
    pub elapsed: Millis,
    /// The wall clock's time. Blocks are judged by it.
    pub unix: UnixMillis,
}

/// The time at which the engine wants to be called next, whatever happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wake {
    /// At once: there is more to do. Handle the events in the queues in between.
    Now,
    /// With an [`Event::Tick`] at this point of [`Now::elapsed`].
    At(Millis),
}

/// One session with one peer. Never reused, so that a late event cannot hit another session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PeerKey(pub u64);

/// The log's name for a session; the shell has logged it with the peer's name.
impl fmt::Display for PeerKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "#{}", self.0)
    }
}

/// A number that the shell chooses for something that waits for an effect: a gossip message for its verdict, a peer's
/// request for its reply, a command for its answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ticket(pub u64);

/// A number that the engine chooses for something it requested: an answer of a peer, a check, a load, a nonce.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key(pub u64);

/// A message that spreads by gossip.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Gossip {
    /// A new block, whole.
    Block(Box<Block>),
    /// A new block, for peers that have most of its transactions.
    Compact(Box<CompactBlock>),
    /// Transactions to be mined.
    Transactions(Bundle),
}

/// An input of the engine.
#[derive(Debug)]
pub enum Event {
    /// A peer speaks our protocols on our network, and a message published from now on reaches it.
    PeerConnected {
        /// The new session.
        peer: PeerKey,
    },
    /// A session is over; nothing more comes from it.
    PeerDisconnected {
        /// The ended session.
        peer: PeerKey,
    },
    /// A decoded gossip message. Must get one [`PeerEffect::Verdict`].
    Gossip {
        /// The session that forwarded it; its author may be another node.
        peer: PeerKey,
        /// The ticket for the verdict.
        ticket: Ticket,
        /// The message.
        gossip: Gossip,
    },
    /// The shell received bytes that no honest peer sends.
    Misbehaved {
        /// The session that sent them.
        peer: PeerKey,
        /// The fault.
        fault: Fault,
    },
    /// A request of a peer. Must get one [`PeerEffect::Reply`] or [`LoadEffect::Serve`].
    Request {
        /// The asking session.
        peer: PeerKey,
        /// The ticket for the reply.
        ticket: Ticket,
        /// The request.
        request: Request,
    },
    /// The answer to a [`PeerEffect::Ask`], or the failure to get one.
    Response {
        /// The asked session.
        peer: PeerKey,
        /// The key of the effect.
        key: Key,
        /// The response.
        result: Result<Response, RequestFailure>,
    },
    /// The result of a [`CheckEffect::Blocks`], one for each block in the same order.
    BlocksChecked {
        /// The key of the effect.
        key: Key,
        /// The results of the rules without state.
        results: Vec<Result<CheckedBlock, Violation>>,
    },
    /// The result of a [`CheckEffect::Transactions`], one for each in the same order.
    TransactionsChecked {
        /// The key of the effect.
        key: Key,
        /// The results of the rules without state.
        results: Vec<Result<CheckedTransaction, Violation>>,
    },
    /// The result of a [`LoadEffect::Blocks`], one for each place in the same order.
    Loaded {
        /// The key of the effect.
        key: Key,
        /// The blocks, with their deltas if they are connected.
        blocks: Vec<LoadedBlock>,
    },
    /// The response of a [`LoadEffect::Serve`] is on its way.
    Served {
        /// The session of the effect.
        peer: PeerKey,
        /// The part of `bytes_max` that the response does not have.
        unused_bytes: usize,
    },
    /// All batches up to this one survive a crash.
    Persisted {
        /// The number of the batch, [`Batch::sequence`].
        sequence: u64,
    },
    /// A nonce that meets the target of [`MineEffect::Search`].
    Mined {
        /// The key of the effect.
        key: Key,
        /// The nonce.
        nonce: u64,
    },
    /// A command of the node's own user. Must get one [`UserEffect::Answer`].
    Command {
        /// The ticket for the answer.
        ticket: Ticket,
        /// The command.
        command: Command,
    },
    /// The speed of the miner threads, in hashes per second, zero when they rest.
    HashRate(u64),
    /// Time has passed.
    Tick,
}

/// A stored block.
#[derive(Debug, Clone)]
pub struct LoadedBlock {
    /// The block as it was checked before it was stored.
    pub block: Arc<CheckedBlock>,
    /// The effect of connecting it, if it is on the best chain on disk.
    pub delta: Option<Arc<Delta>>,
}

/// The reason why no response came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RequestFailure {
    /// The connection is gone, or the request could not be sent.
    Unreachable,
    /// The peer ended the exchange without a response: it is busy, or does not have that.
    Refused,
    /// The peer did not answer in time.
    Timeout,
    /// The peer answered with bytes that are not a response.
    Malformed,
}

/// A peer's misbehaviour.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// Bytes that are not a message.
    Malformed,
    /// A block or a transaction that breaks a rule.
    Invalid(Violation),
    /// An answer to another question than the one asked.
    WrongAnswer,
    /// No answer, again and again.
    Silent,
    /// Many more requests than its budget.
    Flood,
}

/// An output of the engine, grouped by the part of the shell that carries it out.
///
/// The shell carries out each effect at once, in the order of emission: effects that must wait for the disk are held
/// back by the engine (see `release`) and emitted when their time has come.
#[derive(Debug)]
pub enum Effect {
    /// A task for the network.
    Peer(PeerEffect),
    /// A task for the writer of the store.
    Store(StoreEffect),
    /// A task for the reader of the store.
    Load(LoadEffect),
    /// A task for the checker pool.
    Check(CheckEffect),
    /// A task for the miner.
    Mine(MineEffect),
    /// A message for the node's own user.
    User(UserEffect),
}

/// A task for the network.
#[derive(Debug)]
pub enum PeerEffect {
    /// Publish this to all peers.
    Publish(Gossip),
    /// Decide on a gossip message.
    Verdict {
        /// The session of the event.
        peer: PeerKey,
        /// The ticket of the event.
        ticket: Ticket,
        /// Whether the message is forwarded.
        verdict: Verdict,
    },
    /// Ask a peer. Gets one [`Event::Response`], unless the peer disconnects.
    Ask {
        /// The session to ask.
        peer: PeerKey,
        /// The key for the response.
        key: Key,
        /// The question.
        request: Request,
    },
    /// Answer a peer's request.
    Reply {
        /// The ticket of the event.
        ticket: Ticket,
        /// The answer; `None` refuses the request.
        response: Option<Response>,
    },
    /// End a session.
    Close {
        /// The session.
        peer: PeerKey,
        /// The fault that ends it.
        fault: Fault,
        /// The time for which the peer may not come back.
        ban: Millis,
    },
}

/// A task for the writer of the store.
#[derive(Debug)]
pub enum StoreEffect {
    /// Write this batch, whole or not at all. Gets one [`Event::Persisted`], perhaps together with later ones. It may
    /// be gathered with others for a moment, unless [`StoreEffect::Sync`] follows.
    Persist(Batch),
    /// Write everything now: a held effect waits for it.
    Sync,
}

/// A task for the reader of the store. Everything it reads was persisted.
#[derive(Debug)]
pub enum LoadEffect {
    /// Read blocks for the engine. Gets one [`Event::Loaded`].
    Blocks {
        /// The key for the result.
        key: Key,
        /// The places of the blocks.
        places: Vec<Place>,
    },
    /// Answer a peer's request with these blocks, as many as fit into a response. Gets one [`Event::Served`].
    Serve {
        /// The session of the event, for [`Event::Served`].
        peer: PeerKey,
        /// The ticket of the event.
        ticket: Ticket,
        /// The places of the blocks.
        places: Vec<Place>,
        /// The bytes that the response can have; as many were taken from the peer's budget.
        bytes_max: usize,
    },
}

/// Values to check against the rules without state.
#[derive(Debug)]
pub enum CheckEffect {
    /// Check blocks. Gets one [`Event::BlocksChecked`].
    Blocks {
        /// The key for the result.
        key: Key,
        /// The blocks.
        blocks: Vec<Block>,
    },
    /// Check transactions. Gets one [`Event::TransactionsChecked`].
    Transactions {
        /// The key for the result.
        key: Key,
        /// The transactions.
        transactions: Vec<SignedTransaction>,
    },
}

/// A task for the miner.
#[derive(Debug)]
pub enum MineEffect {
    /// Search a nonce for this header, instead of for any before. Gets an [`Event::Mined`] if one is found.
    Search {
        /// The key for the result.
        key: Key,
        /// The header, whose nonce is to be replaced.
        header: Header,
    },
    /// Stop searching.
    Stop,
}

/// A message for the node's own user.
#[derive(Debug)]
pub enum UserEffect {
    /// The answer to a command. Everything that it acknowledges is durable.
    Answer {
        /// The ticket of the event.
        ticket: Ticket,
        /// The answer.
        answer: Result<Answer, CommandError>,
    },
    /// A notice. Its subject may not be durable yet; peers give it back after a crash.
    Notify(Notice),
}

macro_rules! into_effect {
    ($($group:ident($inner:ident)),*) => {
        $(impl From<$inner> for Effect {
            fn from(effect: $inner) -> Self {
                Self::$group(effect)
            }
        })*
    };
}
into_effect!(
    Peer(PeerEffect),
    Store(StoreEffect),
    Load(LoadEffect),
    Check(CheckEffect),
    Mine(MineEffect),
    User(UserEffect)
);

/// The verdict on a gossip message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Forward it.
    Accept,
    /// Drop it without blame.
    Ignore,
    /// Drop it and blame the sender.
    Reject,
}

/// The place of a block in the store, whose rows are in the order of heights.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place {
    /// The block's height.
    pub height: Height,
    /// The block's id.
    pub id: BlockId,
}

/// Writes that become durable together, numbered from 1 without gaps.
#[derive(Debug, Clone)]
pub struct Batch {
    /// The batch's number.
    pub sequence: u64,
    /// The writes, to be applied in this order.
    pub writes: Vec<Write>,
}

/// One change of the store.
#[derive(Debug, Clone)]
pub enum Write {
    /// A checked block, not connected yet.
    Block(Arc<CheckedBlock>),
    /// The block at `place` is the new tip; the accounts change by `delta`, which is kept for reverting it.
    Connect {
        /// The connected block.
        place: Place,
        /// Its effect on the accounts.
        delta: Arc<Delta>,
    },
    /// The tip at `place` leaves the best chain, and `delta` is reverted.
    Disconnect {
        /// The disconnected block.
        place: Place,
        /// The effect that is reverted.
        delta: Arc<Delta>,
    },
    /// The block at `place` breaks a rule, and is never tried again.
    Condemn {
        /// The invalid block.
        place: Place,
    },
    /// A pending transaction that must survive restarts.
    PutPending(CheckedTransaction),
    /// A transaction that was mined, replaced or given up.
    DropPending(TransactionId),
    /// The new checkpoint; `None` removes it.
    Checkpoint(Option<Place>),
}

/// The stored state at startup.
#[derive(Debug, Default)]
pub struct Stored {
    /// All stored headers except genesis, in the order of heights.
    pub headers: Vec<StoredHeader>,
    /// The tip of the best chain; `None`: genesis.
    pub tip: Option<BlockId>,
    /// All accounts at the tip that a block has changed: the others have their opening balances.
    pub accounts: Vec<(Address, Account)>,
    /// The pending transactions.
    pub pending: Vec<SignedTransaction>,
    /// The checkpoint, on the best chain.
    pub checkpoint: Option<Place>,
}

/// A header in the store.
#[derive(Debug, Clone, Copy)]
pub struct StoredHeader {
    /// Its id, so that it need not be hashed again.
    pub id: BlockId,
    /// The header.
    pub header: Header,
    /// Whether its block breaks a rule.
    pub condemned: bool,
}
