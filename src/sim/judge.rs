//! The properties that every honest node must keep, whatever the faults.
//!
//! | property | when |
//! | --- | --- |
//! | its chain breaks no rule, by the [reference model](super::reference) | always |
//! | its accounts are the model's after that chain, and its coins are the subsidies | always |
//! | an acknowledged transaction is in its chain or still pending; an acknowledged block is stored | always |
//! | the same for transactions of a [`Setup`](super::setup::Setup)'s users, unless a reorganisation took their coins | always |
//! | no container exceeds its bound | always |
//! | it blames no honest node, except for silence | always |
//! | it rests no longer than it may without blocks of a better chain | whenever the judge watches |
//! | a transaction of one reaches all others | a stated time after the last fault, whoever else is connected |
//! | all nodes have the same tip | a stated time after the last fault |
//! | nothing waits for an answer; its user was told of the tip on its disk | some quiet seconds after that |
//! | no pending transaction has a used nonce | the same |
//!
//! A run of thousands of nodes can be judged as it goes: each block is judged once, and nodes at the same tip are
//! compared with the first of them by the deltas of their blocks. The model's states are dropped except at tips and at
//! some blocks below them (one in `MARK_BLOCKS`), so that a reorganisation does not require judging everything again.
//!
//! The judge observes and changes nothing. It does not decide whether an account can afford its promises: commands that
//! must be kept have to be sent from accounts whose coins no reorganisation takes away.

mod liveness;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use super::clock::START;
use super::id::NodeId;
use super::reference::{Model, ModelState, Refused};
use super::world::World;
use crate::engine::event::{Answer, Command, Fault, Place, Ticket};
use crate::protocol::encode::encode;
use crate::protocol::{Account, Address, BlockId, CheckedBlock, Height, Millis, OpeningBalance, TransactionId, Wei};

/// Containers that are empty when nothing is under way.
const EMPTY_AT_REST: [&str; 3] = ["requested_blocks", "unchecked_transactions", "checks"];

/// The state is kept after one block in `MARK_BLOCKS`, for the last few of those below the highest tip.
const MARK_BLOCKS: u64 = 64;
const MARKS_KEPT: u64 = 8;

/// A violated property.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The world's seed.
    pub seed: u64,
    /// The time since the world began.
    pub at: Millis,
    /// The node that violates it.
    pub node: NodeId,
    /// The violation.
    pub what: Box<Breach>,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "seed {}, after {}, node {}: {}", self.seed, self.at, self.node, self.what)
    }
}

/// A property that a node violates.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Breach {
    /// Its best chain is not valid.
    #[error("block {id} at height {height} of the best chain is refused by the reference model: {refused}")]
    Invalid {
        /// The height of the invalid block.
        height: Height,
        /// The id of the invalid block.
        id: BlockId,
        /// The model's reason.
        refused: Refused,
    },
    /// An account differs from the result of its chain.
    #[error("{address} has {found:?}, and after block {tip} it must have {expected:?}")]
    Account {
        /// The account's address.
        address: Address,
        /// The tip after which the two were compared.
        tip: BlockId,
        /// The node's account.
        found: Account,
        /// The model's account.
        expected: Account,
    },
    /// Coins were made or lost.
    #[error("there are {found} units at height {height}, and the subsidies so far are {expected}")]
    Coins {
        /// The height of the tip.
        height: Height,
        /// The sum of all balances, in units.
        found: u128,
        /// The sum of all subsidies, in units.
        expected: u128,
    },
    /// An acknowledged transaction is neither mined nor pending.
    #[error("transaction {id} was acknowledged, and is neither in the chain nor pending")]
    TransactionLost {
        /// The transaction's id.
        id: TransactionId,
    },
    /// An acknowledged block is not stored.
    #[error("block {} at height {} was acknowledged and is not stored", place.id, place.height)]
    BlockLost {
        /// Height and id of the block.
        place: Place,
    },
    /// A container exceeds its bound.
    #[error("{container} holds {found}, more than {most}")]
    Overfull {
        /// The container's name in [`Engine::occupancy`](crate::engine::Engine::occupancy).
        container: &'static str,
        /// The container's size.
        found: usize,
        /// The container's bound.
        most: usize,
    },
    /// It cut off an honest node.
    #[error("it has cut off node {peer}, which is honest: {fault:?}")]
    Blamed {
        /// The node that was cut off.
        peer: NodeId,
        /// The fault that it was blamed for.
        fault: Fault,
    },
    /// It waits for a better chain that does not come.
    #[error("it has mined nothing for {rested}, waiting for a chain of which {blocks} blocks came")]
    Rests {
        /// The time for which it has waited.
        rested: Millis,
        /// The number of blocks that came meanwhile.
        blocks: u64,
    },
    /// A transaction did not reach it.
    #[error("{limit} after it was sent, transaction {id} is neither pending nor mined here")]
    NotRelayed {
        /// The time in which it had to come.
        limit: Millis,
        /// The transaction's id.
        id: TransactionId,
    },
    /// Its tip differs from that of the others.
    #[error("{} after the last fault its tip is {} at {}, and another honest node has {} at {}",
        .limit, .found.id, .found.height, .other.id, .other.height)]
    Apart {
        /// The time that all nodes had to agree.
        limit: Millis,
        /// Its tip.
        found: Place,
        /// Another node's tip.
        other: Place,
    },
    /// Its user was told of another tip than it has stored.
    #[error("its user was told of block {} at {}, and its stored tip is {stored:?}", told.id, told.height)]
    TellsOther {
        /// The tip that its user was told of.
        told: Place,
        /// The tip on its disk.
        stored: Option<Place>,
    },
    /// A pending transaction has a used nonce.
    #[error("transaction {id} is still pending, although its nonce {nonce} has been used")]
    Stale {
        /// The transaction's id.
        id: TransactionId,
        /// The transaction's nonce.
        nonce: u64,
    },
    /// Something is still under way after a quiet time.
    #[error("{container} still holds {found} after a quiet time")]
    Unfinished {
        /// The container that should be empty.
        container: &'static str,
        /// The container's size.
        found: usize,
    },
}

/// An acknowledgement that a node gave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Promise {
    Transaction(TransactionId),
    Block(Place),
}

/// The observer that judges a world.
#[derive(Debug)]
pub struct Judge {
    model: Model,
    /// The model's states after tips, and after some blocks below them.
    states: BTreeMap<BlockId, ModelState>,
    judged: BTreeSet<BlockId>,
    /// The greatest lead of any clock in the judged world. A block may come earlier than it should by this much.
    clocks_ahead: Millis,
    /// Commands whose answers are promises.
    asked: Vec<(NodeId, Ticket)>,
    promised: Vec<(NodeId, Promise)>,
    /// The nodes that waited for a better chain when they were last watched: since when, and their height then.
    resting: BTreeMap<NodeId, (Millis, Height)>,
    /// The number of closed sessions that were already judged.
    closed_seen: usize,
}

impl Judge {
    /// A judge of a world in which no clock is ahead by more than `clocks_ahead`.
    pub fn new(world: &World, clocks_ahead: Millis) -> Self {
        Self {
            model: Model::new(world.network().parameters()),
            states: BTreeMap::new(),
            judged: BTreeSet::new(),
            clocks_ahead,
            asked: Vec::new(),
            promised: Vec::new(),
            resting: BTreeMap::new(),
            closed_seen: 0,
        }
    }

    /// Gives a command whose acknowledgement has to be kept from then on.
    pub fn hold(&mut self, world: &mut World, node: NodeId, command: Command) {
        let ticket = world.begin(node, command);
        self.asked.push((node, ticket));
    }

    /// The number of promises so far.
    pub fn promises(&self) -> usize {
        self.promised.len()
    }

    /// The number of different blocks judged by the reference model so far.
    pub fn blocks(&self) -> usize {
        self.judged.len()
    }

    /// Checks the properties that hold always.
    ///
    /// # Errors
    ///
    /// The first violated property.
    pub fn check(&mut self, world: &mut World) -> Result<(), Finding> {
        self.take_promises(world);
        let mut tips: BTreeMap<BlockId, Tip> = BTreeMap::new();
        for node in world.nodes().filter(|node| world.is_honest(*node)).collect::<Vec<_>>() {
            let found = |what| finding(world, node, what);
            let disk = world.disk(node);
            let id = disk.tip().map_or(world.network().genesis_id(), |tip| tip.id);
            let judged = tips.get(&id).is_some_and(|tip| world.disk(tip.first).has_same_accounts(disk));
            if !judged {
                self.check_chain(world, node).map_err(found)?;
            }
            let tip = tips.entry(id).or_insert_with(|| Tip { first: node, mined: None });
            check_acknowledged(world, node, tip).map_err(found)?;
            self.check_promises(world, node).map_err(found)?;
            check_bounds(world, node).map_err(|what| finding(world, node, what))?;
        }
        let highest = self.states.values().map(|state| state.height).max().unwrap_or_default();
        self.states.retain(|id, state| {
            let is_mark = state.height.is_multiple_of(MARK_BLOCKS);
            tips.contains_key(id) || is_mark && state.height + MARKS_KEPT * MARK_BLOCKS > highest
        });
        self.check_blame(world)
    }

    /// Checks that each honest engine's accounts in memory equal those on its disk. To be called after
    /// [`Judge::check`], before anything has happened.
    ///
    /// # Errors
    ///
    /// The first account that differs.
    pub fn check_memory(&self, world: &mut World) -> Result<(), Finding> {
        let honest = |node: &NodeId| world.is_honest(*node) && world.is_running(*node);
        for node in world.nodes().filter(honest).collect::<Vec<_>>() {
            let tip = world.view(node).tip.id;
            // Otherwise a write is under way, and there is no state to compare with.
            let Some(state) = world.disk(node).tip().filter(|stored| stored.id == tip).and(self.states.get(&tip))
            else {
                continue;
            };
            let ledger = world.engine(node).ledger();
            let wrong = state.accounts.iter().find(|(address, account)| ledger.account(address) != **account);
            if let Some((address, expected)) = wrong {
                let what =
                    Breach::Account { address: *address, tip, found: ledger.account(address), expected: *expected };
                return Err(finding(world, node, what));
            }
        }
        Ok(())
    }

    /// Checks the properties that hold when nothing is under way any more: no fault, no block, no adversary.
    ///
    /// # Errors
    ///
    /// The first violated property.
    pub fn check_rest(&mut self, world: &mut World) -> Result<(), Finding> {
        self.check(world)?;
        let honest = |node: &NodeId| world.is_honest(*node) && world.is_running(*node);
        for node in world.nodes().filter(honest).collect::<Vec<_>>() {
            let checked = check_node_at_rest(world, node)
                .and_then(|()| self.check_ledger(world, node))
                .and_then(|()| self.check_pool(world, node));
            checked.map_err(|what| finding(world, node, what))?;
        }
        Ok(())
    }

    fn take_promises(&mut self, world: &mut World) {
        let mut kept = Vec::new();
        for (node, ticket) in std::mem::take(&mut self.asked) {
            match world.node_mut(node).answers.remove(&ticket) {
                Some(Ok(Answer::Sent { id, .. })) => self.promised.push((node, Promise::Transaction(id))),
                Some(Ok(Answer::Mined(places))) => {
                    self.promised.extend(places.into_iter().map(|place| (node, Promise::Block(place))));
                }
                Some(_) => {}
                None => kept.push((node, ticket)),
            }
        }
        self.asked = kept;
    }

    fn check_chain(&mut self, world: &World, node: NodeId) -> Result<(), Breach> {
        let now = START + world.now() + self.clocks_ahead;
        let disk = world.disk(node);
        let chain: Vec<&Arc<CheckedBlock>> = disk.chain().collect();
        let known = chain.iter().rposition(|block| self.states.contains_key(&block.id()));
        let known_state = known.map(|at| self.states[&chain[at].id()].clone());
        let mut state = known_state.unwrap_or_else(|| self.model.best().clone());
        for block in &chain[known.map_or(0, |at| at + 1)..] {
            let next = self.model.next(&state, &encode(block.as_ref()), now);
            state =
                next.map_err(|refused| Breach::Invalid { height: block.header().height, id: block.id(), refused })?;
            self.judged.insert(block.id());
            if state.height.is_multiple_of(MARK_BLOCKS) {
                self.states.insert(state.tip, state.clone());
            }
        }
        let tip = state.tip;
        let state = self.states.entry(tip).or_insert(state);
        let parameters = world.network().parameters();
        let opening = |one: &OpeningBalance| (one.address, Account { balance: one.amount.into(), nonce: 0 });
        let mut accounts: BTreeMap<_, _> = parameters.opening_balances.iter().map(opening).collect();
        accounts.extend(disk.changed_accounts());
        for address in accounts.keys().chain(state.accounts.keys()) {
            let found = accounts.get(address).copied().unwrap_or_default();
            let expected = state.account(address);
            if found != expected {
                return Err(Breach::Account { address: *address, tip, found, expected });
            }
        }
        let found = accounts.values().map(|account| account.balance.0).sum();
        let height = disk.tip().map_or(Height::GENESIS, |tip| tip.height);
        let opening = parameters.opening_balances.iter().map(|one| Wei::from(one.amount).0).sum::<u128>();
        let expected = opening + u128::from(height.0) * Wei::from(parameters.subsidy).0;
        if found == expected { Ok(()) } else { Err(Breach::Coins { height, found, expected }) }
    }

    fn check_promises(&self, world: &World, node: NodeId) -> Result<(), Breach> {
        if self.promised.iter().all(|(of, _)| *of != node) {
            return Ok(());
        }
        let disk = world.disk(node);
        let stored = disk.stored();
        let genesis = world.network().genesis_id();
        let mined = disk.chain().flat_map(|block| block.transactions().iter().map(|mined| mined.id()));
        let waiting = stored.pending.iter().map(|signed| signed.transaction.id(&genesis));
        let transactions: BTreeSet<TransactionId> = mined.chain(waiting).collect();
        let blocks: BTreeSet<BlockId> = stored.headers.iter().map(|header| header.id).collect();
        for (_, promise) in self.promised.iter().filter(|(of, _)| *of == node) {
            match promise {
                Promise::Transaction(id) if !transactions.contains(id) => {
                    return Err(Breach::TransactionLost { id: *id });
                }
                Promise::Block(place) if !blocks.contains(&place.id) => {
                    return Err(Breach::BlockLost { place: *place });
                }
                Promise::Transaction(_) | Promise::Block(_) => {}
            }
        }
        Ok(())
    }

    fn check_blame(&mut self, world: &World) -> Result<(), Finding> {
        let closed = world.closed();
        for (node, peer, fault) in &closed[self.closed_seen..] {
            // A node that is cut off by a fault appears silent.
            if *fault != Fault::Silent && world.is_honest(*node) && world.is_honest(*peer) {
                let what = Breach::Blamed { peer: *peer, fault: fault.clone() };
                return Err(finding(world, *node, what));
            }
        }
        self.closed_seen = closed.len();
        Ok(())
    }

    /// Compares the engine's accounts in memory, one by one.
    fn check_ledger(&self, world: &mut World, node: NodeId) -> Result<(), Breach> {
        let tip = world.tip(node).id;
        let state = &self.states[&tip];
        for (address, expected) in &state.accounts {
            let answer = world.command(node, Command::Account { address: *address });
            let Ok(Answer::Account { account: found, .. }) = answer else { panic!("no account: {answer:?}") };
            if found != *expected {
                return Err(Breach::Account { address: *address, tip, found, expected: *expected });
            }
        }
        Ok(())
    }

    /// Checks that each pending transaction can still be mined, sooner or later.
    fn check_pool(&self, world: &mut World, node: NodeId) -> Result<(), Breach> {
        let tip = world.tip(node).id;
        let state = self.states[&tip].clone();
        let answer = world.command(node, Command::Pending);
        let Ok(Answer::Pending(pending)) = answer else { panic!("no list: {answer:?}") };
        for waiting in pending {
            let nonce = waiting.signed().transaction.nonce;
            if nonce < state.account(&waiting.sender()).nonce {
                return Err(Breach::Stale { id: waiting.id(), nonce });
            }
        }
        Ok(())
    }
}

/// A tip that honest nodes have.
struct Tip {
    /// The node whose chain was judged.
    first: NodeId,
    /// All transactions of that chain, once they are needed.
    mined: Option<BTreeSet<TransactionId>>,
}

/// Every acknowledged transaction is in the chain or still pending. A reorganisation may take the coins of a payment,
/// and then the account's later transactions need not be pending either; a transaction sent with the same nonce instead
/// may find the first one mined.
fn check_acknowledged(world: &World, node: NodeId, tip: &mut Tip) -> Result<(), Breach> {
    let mut sent = world.node(node).traffic.acknowledged();
    if sent.len() == 0 {
        return Ok(());
    }
    let disk = world.disk(node);
    let ids = || disk.chain().flat_map(|block| block.transactions().iter().map(|mined| mined.id())).collect();
    let mined = tip.mined.get_or_insert_with(ids);
    match sent.find(|one| !mined.contains(&one.id) && disk.pending(&one.id).is_none()) {
        Some(lost) if lost.is_safe || !world.node(node).was_reorganised => Err(Breach::TransactionLost { id: lost.id }),
        _ => Ok(()),
    }
}

fn finding(world: &World, node: NodeId, what: Breach) -> Finding {
    Finding { seed: world.seed(), at: world.now(), node, what: Box::new(what) }
}

fn check_bounds(world: &mut World, node: NodeId) -> Result<(), Breach> {
    if !world.is_running(node) {
        return Ok(());
    }
    let links = world.node(node).links.len();
    let engine = world.engine(node);
    let bounds: BTreeMap<&str, usize> = engine.bounds().into_iter().chain([("peers", links + 1)]).collect();
    for (container, found) in engine.occupancy() {
        let most = bounds.get(container).copied().unwrap_or(usize::MAX);
        if found > most {
            return Err(Breach::Overfull { container, found, most });
        }
    }
    Ok(())
}

fn check_node_at_rest(world: &mut World, node: NodeId) -> Result<(), Breach> {
    let (told, stored) = (world.view(node).tip, world.disk(node).tip());
    if stored.is_some_and(|stored| stored != told) || world.tip(node) != told {
        return Err(Breach::TellsOther { told, stored });
    }
    let open = world.node(node).open_tickets();
    let peers = (world.node(node).links.len(), world.view(node).peers.len());
    let of_engine = world.engine(node).occupancy().into_iter().filter(|(name, _)| EMPTY_AT_REST.contains(name));
    let lost_sessions = ("ended sessions", peers.1 - peers.0.min(peers.1));
    let left = of_engine.chain([("verdicts, replies and answers that are due", open), lost_sessions]);
    match left.into_iter().find(|(_, found)| *found > 0) {
        Some((container, found)) => Err(Breach::Unfinished { container, found }),
        None => Ok(()),
    }
}
