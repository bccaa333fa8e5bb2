//! The chains and transactions of the scripts: good branches, a long one with a bad block in it, blocks with one fault
//! each. All peers have some of these.

use std::collections::BTreeSet;
use std::sync::Arc;

use quipu::protocol::encode::{decode, encode};
use quipu::protocol::network::BLOCK_BYTES_LIMIT;
use quipu::protocol::{
    Block, BlockId, Header, Network, Request, Response, SignedTransaction, Status, TransactionId, UnixMillis, Work,
};
use quipu::sim::random::Random;
use quipu::sim::reference::forge::Forge;
use quipu::sim::reference::{Model, Refused};

/// The clock of the model, for which nothing is too early: that depends on the time at which an engine is asked.
pub(super) const ANY_TIME: UnixMillis = UnixMillis(u64::MAX);
/// The number of spoiled blocks, each on a block of some branch.
const SPOILED: usize = 60;
/// The rules that only the body breaks, under a header that stays good: one long branch with a bad block for each.
const BODY_RULES: [u8; 16] = [2, 3, 8, 9, 10, 15, 15, 15, 15, 16, 16, 17, 17, 17, 18, 18];
/// The number of transactions that an honest peer announces.
const TRANSACTIONS: usize = 200;
/// The number of good headers with the body of another block (R7).
const SWAPPED: usize = 20;

/// The material of the scripts.
pub(super) struct ScriptPool {
    pub(super) forge: Forge,
    /// Has every good block.
    pub(super) model: Model,
    /// All blocks, good and bad.
    pub(super) blocks: Vec<Block>,
    /// Chains from height 1 up, each the chain of some peer.
    pub(super) branches: Vec<Vec<Block>>,
    /// The ids of the same blocks, so that answers need not hash them.
    branch_ids: Vec<Vec<BlockId>>,
    /// The good branch with the most work.
    pub(super) best: usize,
    /// Transactions of the good branches, each once, which an honest peer announces.
    transactions: Vec<SignedTransaction>,
    /// Their ids.
    pub(super) transaction_ids: Vec<TransactionId>,
    /// These transactions and all others, good and bad.
    pub(super) any_transactions: Vec<SignedTransaction>,
}

impl ScriptPool {
    pub(super) fn new() -> Self {
        let network = Arc::new(Network::new(Forge::parameters()).expect("valid parameters"));
        let mut pool = Self {
            forge: Forge::new(network.clone()),
            model: Model::new(network.parameters()),
            blocks: Vec::new(),
            branches: Vec::new(),
            branch_ids: Vec::new(),
            best: 0,
            transactions: Vec::new(),
            transaction_ids: Vec::new(),
            any_transactions: Vec::new(),
        };
        let mut random = Random::new(1);
        pool.grow(&[], 40, &mut random);
        let main = pool.branches[0].clone();
        pool.grow(&main[..15], 40, &mut random);
        pool.grow(&main[..37], 4, &mut random);
        pool.grow(&[], 5, &mut random);
        let work =
            |branch: &Vec<Block>| pool.model.state(&branch[branch.len() - 1].header.id()).map(|state| state.work);
        pool.best = (0..pool.branches.len()).max_by_key(|at| work(&pool.branches[*at])).expect("there are branches");
        let best = pool.branches[pool.best].clone();
        for _ in 0..SPOILED {
            let (block, _) = pool.spoiled_on(&best, &mut random);
            pool.blocks.push(block);
        }
        for rule in BODY_RULES {
            pool.grow_on_bad(&best, rule, &mut random);
        }
        for pair in best[best.len() - SWAPPED - 1..].windows(2) {
            pool.blocks.push(Block { header: pair[0].header, body: pair[1].body.clone() });
        }
        let mut known = BTreeSet::new();
        for signed in pool.branches[..=pool.best].iter().flatten().flat_map(|block| block.body.transactions.iter()) {
            let id = signed.transaction.id(&network.genesis_id());
            if known.insert(id) && pool.transactions.len() < TRANSACTIONS {
                pool.transactions.push(signed.clone());
                pool.transaction_ids.push(id);
            }
        }
        let spoiled = pool.blocks.iter().rev().flat_map(|block| block.body.transactions.iter());
        pool.any_transactions = spoiled.chain(&pool.transactions).cloned().collect();
        let ids = |branch: &Vec<Block>| branch.iter().map(|block| block.header.id()).collect();
        pool.branch_ids = pool.branches.iter().map(ids).collect();
        pool
    }

    pub(super) fn network(&self) -> &Arc<Network> {
        self.forge.network()
    }

    pub(super) fn genesis_id(&self) -> BlockId {
        self.network().genesis_id()
    }

    /// Adds a branch that leaves another after `base`.
    fn grow(&mut self, base: &[Block], count: usize, random: &mut Random) {
        let mut branch = base.to_vec();
        for _ in 0..count {
            let parent = branch.last().map_or(self.network().genesis().header, |block| block.header);
            let state = self.model.state(&parent.id()).expect("the branch is good");
            let block = self.forge.block(&parent, state, random);
            self.model.offer(&encode(&block), ANY_TIME).expect("a good block");
            self.blocks.push(block.clone());
            branch.push(block);
        }
        self.branches.push(branch);
    }

    /// A decodable block with one fault, on some block of a branch; and the rule that it breaks.
    fn spoiled_on(&mut self, branch: &[Block], random: &mut Random) -> (Block, Refused) {
        loop {
            let parent = branch[random.between(0, branch.len() as u64 - 1) as usize].header;
            let state = self.model.state(&parent.id()).expect("the branch is good");
            let good = self.forge.block(&parent, state, random);
            let bytes = self.forge.spoil(good, &parent, state, random);
            // Some faults break nothing, and would make good blocks that no test expects.
            if let Ok(block) = decode::<Block>(&bytes, BLOCK_BYTES_LIMIT)
                && let Err(refused) = self.model.clone().offer(&bytes, ANY_TIME)
            {
                return (block, refused);
            }
        }
    }

    /// Adds a branch with more work than any, in which one block breaks this rule.
    fn grow_on_bad(&mut self, best: &[Block], rule: u8, random: &mut Random) {
        let last = random.between(best.len() as u64 / 2, best.len() as u64 - 1) as usize;
        let bad = loop {
            let (block, refused) = self.spoiled_on(&best[last..=last], random);
            if refused == Refused::Rule(rule) {
                break block;
            }
        };
        let state = self.model.state(&best[last].header.id()).expect("the base is good").clone();
        let mut branch = best[..=last].to_vec();
        branch.push(bad);
        while branch.len() < best.len() + 8 {
            let parent: Header = branch[branch.len() - 1].header;
            branch.push(self.forge.block(&parent, &state, random));
        }
        self.blocks.extend_from_slice(&branch[last + 1..]);
        self.branches.push(branch);
    }

    /// The answer of a peer that has this branch and nothing else.
    pub(super) fn answer(&self, branch: usize, request: &Request, clock: UnixMillis) -> Response {
        let (chain, ids_of_chain) = (&self.branches[branch], &self.branch_ids[branch]);
        match request {
            Request::Status(_) => {
                let tip = chain[chain.len() - 1].header;
                Response::Status(Status {
                    tip: tip.id(),
                    height: tip.height,
                    work: chain.iter().fold(Work::ZERO, |work, block| work + block.header.target.work()),
                    clock,
                    pending: self.transactions.len() as u64,
                    nickname: b"peer".to_vec().into(),
                })
            }
            Request::Headers { locator } => {
                let known = |id: &BlockId| {
                    let at = ids_of_chain.iter().position(|other| other == id).map(|at| at + 1);
                    at.or((*id == self.genesis_id()).then_some(0))
                };
                let from = locator.iter().find_map(known).unwrap_or(0);
                Response::Headers(chain[from..].iter().map(|block| block.header).collect())
            }
            Request::Blocks { ids } => {
                let at = ids.iter().filter_map(|id| ids_of_chain.iter().position(|other| other == id));
                Response::Blocks(at.map(|at| chain[at].clone()).collect())
            }
            Request::Pending => Response::Pending(self.transaction_ids.iter().copied().collect()),
            Request::Transactions { ids } => {
                let at = ids.iter().filter_map(|id| self.transaction_ids.iter().position(|other| other == id));
                Response::Transactions(at.map(|at| self.transactions[at].clone()).collect())
            }
            Request::BlockTransactions { block, places } => {
                let block = ids_of_chain.iter().position(|id| id == block).map(|at| &chain[at]);
                let at = |place: &u32| block?.body.transactions.get(*place as usize).cloned();
                Response::BlockTransactions(places.iter().filter_map(at).collect())
            }
        }
    }
}
