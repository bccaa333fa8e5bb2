//! The chains and transactions that scripts play with: good branches, a long one with a bad block in it, blocks with one
//! thing wrong each. All peers are made of these.

use std::sync::Arc;

use quipu::protocol::encode::{decode, encode};
use quipu::protocol::network::BLOCK_BYTES_LIMIT;
use quipu::protocol::{
    Block, BlockId, Header, Network, Request, Response, SignedTransaction, Status, TransactionId, UnixMillis, Work,
};
use quipu::sim::random::Random;
use quipu::sim::reference::forge::Forge;
use quipu::sim::reference::{Model, Refused};

/// The clock of the model, for which nothing is too early: what is, depends on when an engine is asked.
pub(super) const ANY_TIME: UnixMillis = UnixMillis(u64::MAX);
/// Blocks that are spoiled, each on a block of some branch.
const SPOILED: usize = 60;
/// What only the body breaks, so that the header is taken at first.
const BODY_RULES: [u8; 10] = [2, 3, 7, 8, 9, 10, 15, 16, 17, 18];

/// What scripts play with.
pub(super) struct Pool {
    pub(super) forge: Forge,
    /// Has every good block.
    pub(super) model: Model,
    /// All blocks, good and bad.
    pub(super) blocks: Vec<Block>,
    /// Chains from height 1 up, each what one peer has.
    pub(super) branches: Vec<Vec<Block>>,
    /// Ids of the same blocks, so that answers need not hash them.
    branch_ids: Vec<Vec<BlockId>>,
    /// The good branch with the most work.
    pub(super) best: usize,
    pub(super) transactions: Vec<SignedTransaction>,
    /// Ids of the same.
    pub(super) transaction_ids: Vec<TransactionId>,
}

impl Pool {
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
        };
        let mut random = Random::new(1);
        pool.grow(&[], 40, &mut random);
        let main = pool.branches[0].clone();
        pool.grow(&main[..15], 40, &mut random);
        pool.grow(&main[..37], 4, &mut random);
        pool.grow(&[], 5, &mut random);
        pool.spoil(&mut random);
        pool.grow_on_bad(&main[..25], 50, &mut random);
        let work =
            |branch: &Vec<Block>| pool.model.state(&branch[branch.len() - 1].header.id()).map(|state| state.work);
        let works: Vec<_> = pool.branches.iter().map(work).collect();
        pool.best = (0..works.len()).max_by_key(|branch| works[*branch]).expect("there are branches");
        pool.transactions = pool.blocks.iter().flat_map(|block| block.body.transactions.iter().cloned()).collect();
        pool.transactions.truncate(200);
        let ids = pool.transactions.iter().map(|signed| signed.transaction.id(&network.genesis_id()));
        pool.transaction_ids = ids.collect();
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

    /// A branch that leaves another after `base`.
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

    fn spoil(&mut self, random: &mut Random) {
        let mut spoiled = 0;
        while spoiled < SPOILED {
            let (block, _) = self.spoiled_on(&self.branches[0].clone(), random);
            spoiled += 1;
            self.blocks.push(block);
        }
    }

    /// A block with one thing wrong, on some block of a branch, that decodes; and the rule that it breaks.
    fn spoiled_on(&mut self, branch: &[Block], random: &mut Random) -> (Block, Refused) {
        loop {
            let parent = branch[random.between(0, branch.len() as u64 - 1) as usize].header;
            let state = self.model.state(&parent.id()).expect("the branch is good");
            let good = self.forge.block(&parent, state, random);
            let bytes = self.forge.spoil(good, &parent, random);
            // Some break nothing, and would be good blocks that nobody expects.
            if let Ok(block) = decode::<Block>(&bytes, BLOCK_BYTES_LIMIT)
                && let Err(refused) = self.model.clone().offer(&bytes, ANY_TIME)
            {
                return (block, refused);
            }
        }
    }

    /// A branch with more work than any, whose first block after `base` has a good header and a bad body.
    fn grow_on_bad(&mut self, base: &[Block], count: usize, random: &mut Random) {
        let last = base.len() - 1;
        let bad = loop {
            let (block, refused) = self.spoiled_on(&base[last..], random);
            if matches!(refused, Refused::Rule(rule) if BODY_RULES.contains(&rule) && rule != 7) {
                break block;
            }
        };
        let state = self.model.state(&base[last].header.id()).expect("the base is good").clone();
        let mut branch = base.to_vec();
        branch.push(bad);
        for _ in 0..count {
            let parent: Header = branch[branch.len() - 1].header;
            branch.push(self.forge.block(&parent, &state, random));
        }
        self.blocks.extend_from_slice(&branch[base.len()..]);
        self.branches.push(branch);
    }

    /// What a peer answers that has this branch and nothing else.
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
        }
    }
}
