//! What the engine is told and what it asks for. All of the engine's contact with the world is in this file.

mod user;

use std::sync::Arc;

use quipu_protocol::{
    Account, Address, Block, BlockId, Bundle, CheckedBlock, CheckedTransaction, CompactBlock, Delta, Header, Height,
    Millis, Request, Response, SignedTransaction, TransactionId, UnixMillis, Violation,
};
pub use user::{
    Answer, Command, CommandError, Fate, GoneReason, MINE_COUNT_MAX, MiningMode, Notice, ROLLED_BACK_TOLD_MAX,
    RolledBack,
};

/// The time, read by the shell just before it calls the engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Now {
    /// Since the shell started. Never goes back; timeouts are measured on it.
    pub elapsed: Millis,
    /// What the wall clock says. Blocks are judged by it.
    pub unix: UnixMillis,
}

/// When the engine wants to be called next, whatever happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wake {
    /// At once: work was cut up and there is more. Handle what waits in the queues in between.
    Now,
    /// With an [`Event::Tick`] at this point of [`Now::elapsed`].
    At(Millis),
}

/// One session with one peer. Never used again, so that a late event can't hit another session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PeerKey(pub u64);

/// Chosen by the shell for something that waits for an effect: a gossip message for its verdict, a peer's request
/// for its reply, a command for its answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ticket(pub u64);

/// Chosen by the engine for something it asked for: a request to a peer, a check, a load, a template.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key(pub u64);

/// What is spread by gossip.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Gossip {
    /// A new block, all of it.
    Block(Box<Block>),
    /// A new block, for whoever knows its transactions.
    Compact(Box<CompactBlock>),
    /// Transactions that wait to be mined.
    Transactions(Bundle),
}

/// Something happened.
#[derive(Debug)]
pub enum Event {
    /// A peer speaks our protocols on our network, and a message published from now on reaches it.
    PeerConnected {
        /// The new session.
        peer: PeerKey,
    },
    /// A session is over; nothing more comes from it.
    PeerDisconnected {
        /// Which.
        peer: PeerKey,
    },
    /// A gossip message that decoded. Must get one [`PeerEffect::Verdict`].
    Gossip {
        /// Who passed it on, not necessarily who made it.
        peer: PeerKey,
        /// For the verdict.
        ticket: Ticket,
        /// What it said.
        gossip: Gossip,
    },
    /// The shell saw bytes that no honest peer sends.
    Misbehaved {
        /// Who sent them.
        peer: PeerKey,
        /// What was wrong.
        fault: Fault,
    },
    /// A peer asks. Must get one [`PeerEffect::Reply`] or [`LoadEffect::Serve`].
    Request {
        /// Who asks.
        peer: PeerKey,
        /// For the reply.
        ticket: Ticket,
        /// What it wants.
        request: Request,
    },
    /// The answer to a [`PeerEffect::Ask`], or none.
    Response {
        /// Who was asked.
        peer: PeerKey,
        /// As in the effect.
        key: Key,
        /// What came back.
        result: Result<Response, RequestFailure>,
    },
    /// The result of a [`CheckEffect::Blocks`], one for each block in the same order.
    BlocksChecked {
        /// As in the effect.
        key: Key,
        /// What the rules without state say.
        results: Vec<Result<CheckedBlock, Violation>>,
    },
    /// The result of a [`CheckEffect::Transactions`], one for each in the same order.
    TransactionsChecked {
        /// As in the effect.
        key: Key,
        /// What the rules without state say.
        results: Vec<Result<CheckedTransaction, Violation>>,
    },
    /// The result of a [`LoadEffect::Blocks`], one for each place in the same order.
    Loaded {
        /// As in the effect.
        key: Key,
        /// The blocks, with what undoes them if they are connected.
        blocks: Vec<LoadedBlock>,
    },
    /// Everything up to and including this batch survives a crash.
    Persisted {
        /// [`Batch::sequence`].
        sequence: u64,
    },
    /// A nonce that meets the target of [`MineEffect::Search`].
    Mined {
        /// As in the effect.
        key: Key,
        /// The nonce.
        nonce: u64,
    },
    /// The node's own user wants something. Must get one [`UserEffect::Answer`].
    Command {
        /// For the answer.
        ticket: Ticket,
        /// What.
        command: Command,
    },
    /// How fast the miner threads have been, in hashes per second, zero when they rest.
    HashRate(u64),
    /// Time has passed.
    Tick,
}

/// A stored block.
#[derive(Debug, Clone)]
pub struct LoadedBlock {
    /// The block as it was checked before it was stored.
    pub block: Arc<CheckedBlock>,
    /// What connecting it changed, if it is on the best chain on disk.
    pub delta: Option<Arc<Delta>>,
}

/// Why no response came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RequestFailure {
    /// The connection is gone, or the request could not be sent.
    Unreachable,
    /// The peer did not answer in time.
    Timeout,
    /// The peer answered with bytes that are no response.
    Malformed,
}

/// What a peer did wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// Bytes that are no message.
    Malformed,
    /// A block or a transaction that breaks a rule.
    Invalid(Violation),
    /// An answer to another question than was asked.
    WrongAnswer,
    /// No answer, again and again.
    Silent,
    /// More than its share.
    Flood,
}

/// Something to be done by the shell, grouped by the part of the shell that does it.
///
/// Each is carried out at once, in the order in which they are emitted: what must wait for the disk is held back by the
/// engine (see `release`) and emitted when its time has come.
#[derive(Debug)]
pub enum Effect {
    /// For the network.
    Peer(PeerEffect),
    /// For whoever writes the store.
    Store(StoreEffect),
    /// For whoever reads the store.
    Load(LoadEffect),
    /// For the checker pool.
    Check(CheckEffect),
    /// For the miner.
    Mine(MineEffect),
    /// For the node's own user.
    User(UserEffect),
}

/// What the network is to do.
#[derive(Debug)]
pub enum PeerEffect {
    /// Spread this to all peers.
    Publish(Gossip),
    /// Decide on a gossip message.
    Verdict {
        /// The session of the event.
        peer: PeerKey,
        /// The ticket of the event.
        ticket: Ticket,
        /// Whether the message is passed on.
        verdict: Verdict,
    },
    /// Ask a peer. Gets one [`Event::Response`], unless the peer disconnects.
    Ask {
        /// The session to ask.
        peer: PeerKey,
        /// For the response.
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
        /// What the peer did.
        fault: Fault,
        /// How long the peer may not come back.
        ban: Millis,
    },
}

/// What whoever writes the store is to do.
#[derive(Debug)]
pub enum StoreEffect {
    /// Write this, all of it or nothing. Gets one [`Event::Persisted`], perhaps together with later ones. Nobody waits for
    /// it unless [`StoreEffect::Sync`] follows, so it may be gathered with others for a moment.
    Persist(Batch),
    /// Somebody waits: write now all that was given.
    Sync,
}

/// What whoever reads the store is to do. All that is read here was persisted.
#[derive(Debug)]
pub enum LoadEffect {
    /// Read blocks for the engine. Gets one [`Event::Loaded`].
    Blocks {
        /// For the result.
        key: Key,
        /// The blocks.
        places: Vec<Place>,
    },
    /// Answer a peer's request for blocks with these, as many as fit into a response.
    Serve {
        /// The ticket of the event.
        ticket: Ticket,
        /// The blocks.
        places: Vec<Place>,
    },
}

/// The rules that need no state are to be applied.
#[derive(Debug)]
pub enum CheckEffect {
    /// To blocks. Gets one [`Event::BlocksChecked`].
    Blocks {
        /// For the result.
        key: Key,
        /// The blocks.
        blocks: Vec<Block>,
    },
    /// To transactions. Gets one [`Event::TransactionsChecked`].
    Transactions {
        /// For the result.
        key: Key,
        /// The transactions.
        transactions: Vec<SignedTransaction>,
    },
}

/// What the miner is to do.
#[derive(Debug)]
pub enum MineEffect {
    /// Search a nonce for this header, instead of for any before. Gets an [`Event::Mined`] if one is found.
    Search {
        /// For the result.
        key: Key,
        /// The header; its nonce is to be replaced.
        header: Header,
    },
    /// Stop searching.
    Stop,
}

/// What the node's own user is to be told.
#[derive(Debug)]
pub enum UserEffect {
    /// The answer to a command. All that it acknowledges is durable.
    Answer {
        /// The ticket of the event.
        ticket: Ticket,
        /// The answer.
        answer: Result<Answer, CommandError>,
    },
    /// Something that has happened. It may not be durable yet; peers give it back after a crash.
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

/// What to do with a gossip message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Pass it on.
    Accept,
    /// Drop it; nobody is to blame.
    Ignore,
    /// Drop it and remember who sent it.
    Reject,
}

/// Where a block is in the store: rows are in the order of heights.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place {
    /// Its height.
    pub height: Height,
    /// Its id.
    pub id: BlockId,
}

/// Writes that become durable together, numbered from 1 without gaps.
#[derive(Debug, Clone)]
pub struct Batch {
    /// Its number.
    pub sequence: u64,
    /// In this order.
    pub writes: Vec<Write>,
}

/// One change of what is stored.
#[derive(Debug, Clone)]
pub enum Write {
    /// A checked block, not connected yet.
    Block(Arc<CheckedBlock>),
    /// The block at `place` is the new tip; the accounts change by `delta`, which is kept to undo it.
    Connect {
        /// Which.
        place: Place,
        /// What it changes.
        delta: Arc<Delta>,
    },
    /// The tip at `place` is taken off the best chain again, and `delta` undone.
    Disconnect {
        /// Which.
        place: Place,
        /// What it had changed.
        delta: Arc<Delta>,
    },
    /// The block at `place` breaks a rule: never again.
    Condemn {
        /// Which.
        place: Place,
    },
    /// A transaction that must not be forgotten.
    PutPending(CheckedTransaction),
    /// A transaction that was mined, replaced or given up.
    DropPending(TransactionId),
    /// The block of the best chain that must never be left, instead of any before; `None`: there is none any more.
    Checkpoint(Option<Place>),
}

/// What the store gives back at a start.
#[derive(Debug, Default)]
pub struct Stored {
    /// All stored headers but genesis, in the order of heights, with whether they are condemned.
    pub headers: Vec<StoredHeader>,
    /// The tip of the best chain; `None`: genesis.
    pub tip: Option<BlockId>,
    /// All accounts at the tip.
    pub accounts: Vec<(Address, Account)>,
    /// Transactions put and not dropped.
    pub pending: Vec<SignedTransaction>,
    /// The block of the best chain that must never be left.
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
