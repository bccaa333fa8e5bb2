//! Makes the vectors of chains: blocks offered in order, and the outcome.

use quipu_protocol::block::VERSION;
use quipu_protocol::check::Parent;
use quipu_protocol::encode::{decode, encode};
use quipu_protocol::{
    Address, Amount, Block, BlockId, Body, Context, Header, Height, HistoryNode, Network, Peaks, Reward,
    SignedTransaction, Target, UnixMillis,
};

use crate::form::{ChainCase, ChainRejected, Chains, HexBytes};
use crate::replay::replay;
use crate::world::{address, network, sign, transfer};

pub(crate) const COIN: u64 = quipu_protocol::amount::UNITS_PER_COIN;

/// The default miner, which therefore has coins to spend.
pub(crate) const MINER: u8 = 1;

/// The blocks of a case under construction.
pub(crate) struct CaseChain {
    pub(crate) network: Network,
    name: &'static str,
    pub(crate) tip: Header,
    place: Parent,
    below: Peaks,
    blocks: Vec<Vec<u8>>,
}

impl CaseChain {
    pub(crate) fn new(name: &'static str) -> Self {
        let network = network(name);
        let (tip, place) = (network.genesis().header, Parent::genesis(&network));
        let below = Peaks::from_iter([HistoryNode::of(&tip)]);
        Self { network, name, tip, place, below, blocks: Vec::new() }
    }

    /// The blocks up to the tip.
    pub(crate) fn below(&self) -> &Peaks {
        &self.below
    }

    /// The blocks that were appended, all of them good.
    pub(crate) fn decoded(&self) -> impl Iterator<Item = Block> {
        self.blocks.iter().map(|block| decode::<Block>(block, 1 << 20).expect("a good block"))
    }

    /// The header of the first block that was appended.
    pub(crate) fn first(&self) -> Header {
        decode::<Block>(&self.blocks[0], 10_000).expect("a good block").header
    }

    pub(crate) fn sign(&self, seed: u8, nonce: u64, fee: u64, to: u8, units: u64) -> SignedTransaction {
        sign(&self.network, seed, nonce, fee, transfer(to, units))
    }

    /// A block on the tip that keeps every rule outside the ledger, but has no nonce yet.
    pub(crate) fn draft(&self, millis: u64, transactions: Vec<SignedTransaction>) -> Block {
        let fees = transactions.iter().fold(0_u64, |sum, signed| sum.wrapping_add(signed.transaction.fee.units()));
        let amount = Amount::from_units(self.network.parameters().subsidy.units().wrapping_add(fees));
        let context = Context::of(self.below.root());
        let reward = Reward { to: address(MINER), amount };
        let body = Body { context, reward, transactions: transactions.into() };
        let mut header = Header {
            version: VERSION,
            height: self.tip.height.next(),
            parent: self.tip.id(),
            root: body.root(),
            timestamp: self.tip.timestamp,
            target: self.tip.target,
            nonce: 0,
        };
        self.date(&mut header, i128::from(millis));
        Block { header, body }
    }

    /// Sets a timestamp relative to the tip's, and the target that follows from it.
    pub(crate) fn date(&self, header: &mut Header, millis: i128) {
        let timestamp = i128::from(self.tip.timestamp.0) + millis;
        header.timestamp = UnixMillis(timestamp.try_into().expect("in range"));
        header.target = self.place.target_after(header.timestamp, &self.network);
    }

    /// Appends a block after finding its nonce; the next draft is on top of it.
    pub(crate) fn push(&mut self, block: Block) {
        let block = mined(block, true);
        (self.tip, self.place) = (block.header, self.place.child(&block.header));
        self.below.push(HistoryNode::of(&block.header), |_, _| {});
        self.blocks.push(encode(&block));
    }

    pub(crate) fn push_bytes(&mut self, bytes: Vec<u8>) {
        self.blocks.push(bytes);
    }

    /// Appends a good block.
    pub(crate) fn good(&mut self, millis: u64, transactions: Vec<SignedTransaction>) -> &mut Self {
        let block = self.draft(millis, transactions);
        self.push(block);
        self
    }

    /// A case whose last block breaks a rule.
    pub(crate) fn rejected(self, name: &str, rule: u8, blame: &str) -> ChainCase {
        let rejected =
            ChainRejected { block: self.blocks.len() - 1, rule: format!("R{rule}"), blame: blame.to_owned() };
        self.case(name, Some(rejected), now())
    }

    pub(crate) fn accepted(self, name: &str) -> ChainCase {
        self.case(name, None, now())
    }

    fn case(self, name: &str, reject: Option<ChainRejected>, now: UnixMillis) -> ChainCase {
        let blocks: Vec<_> = self.blocks.into_iter().map(HexBytes).collect();
        let accept = match &reject {
            Some(_) => None,
            None => Some(replay(&self.network, now, &blocks).unwrap_or_else(|rejected| panic!("{name}: {rejected:?}"))),
        };
        ChainCase {
            name: name.to_owned(),
            network: self.name.to_owned(),
            now: now.0.to_string(),
            blocks,
            accept,
            reject,
        }
    }
}

/// The clock in most cases: a day after the genesis blocks.
fn now() -> UnixMillis {
    UnixMillis(quipu_protocol::Parameters::lan().genesis_time.0 + 86_400_000)
}

/// The same block with the first nonce that meets its target, or misses it. For an invalid target any nonce will do.
pub(crate) fn mined(mut block: Block, meets: bool) -> Block {
    while block.header.target.expand().is_some() && block.header.target.is_met_by(&block.header.id()) != meets {
        block.header.nonce += 1;
    }
    block
}

/// A chain on which the miner owns two coins.
pub(crate) fn funded() -> CaseChain {
    let mut chain = CaseChain::new("knots");
    chain.good(20_000, vec![]).good(20_000, vec![]);
    chain
}

fn accepted() -> Vec<ChainCase> {
    let empty = CaseChain::new("lan");
    let mut genesis = CaseChain::new("dev");
    genesis.push_bytes(encode(network("dev").genesis()));
    let mut payments = funded();
    let (one, two) = (payments.sign(MINER, 0, 1000, 2, COIN / 2), payments.sign(2, 0, 2000, 3, 7));
    let all = payments.sign(3, 0, 1000, 3, 1);
    let record = sign(&payments.network, 2, 1, 1000, crate::world::record(5));
    payments.good(9_000, vec![one, two, record]);
    let fund = payments.sign(MINER, 1, 1000, 3, 999);
    payments.good(12_345, vec![fund]).good(0, vec![]);
    // Account 3 now has 1006: it moves 1 to itself and pays 1000.
    payments.good(1, vec![all]);
    let mut spend_everything = funded();
    let rest = spend_everything.sign(MINER, 0, 1000, 2, 2 * COIN - 1000);
    spend_everything.good(10_000, vec![rest]);
    let mut retargeted = CaseChain::new("knots");
    for millis in [10_000_000, 0, 0, 5_000, 10_000, 15_000, 60_000, 1, 200_000, 9_999] {
        retargeted.good(millis, vec![]);
    }
    let mut real = CaseChain::new("lan");
    real.good(60_000, vec![]);
    vec![
        empty.accepted("no blocks: the chain is genesis"),
        genesis.accepted("the genesis block offered by a peer is known already"),
        real.accepted("the first block of the network lan"),
        payments.accepted("payments, a record, and coins that are spent in the block that brings them"),
        spend_everything.accepted("an account that spends its last unit"),
        retargeted.accepted("targets follow the time between blocks"),
        at_limits("the fullest block, with the longest record", 0).accepted_here(),
        ahead(60_000).accepted_here(),
        tie(),
        dated_back(),
        heirs(),
        riches(),
        heavier_reorganises(),
        fewer_blocks_with_more_work(),
    ]
}

/// A case and its expected outcome.
struct Draft {
    name: &'static str,
    chain: CaseChain,
    now: UnixMillis,
}

impl Draft {
    fn accepted_here(self) -> ChainCase {
        self.chain.case(self.name, None, self.now)
    }

    fn rejected_here(self, rule: u8, blame: &str) -> ChainCase {
        let rejected =
            ChainRejected { block: self.chain.blocks.len() - 1, rule: format!("R{rule}"), blame: blame.to_owned() };
        self.chain.case(self.name, Some(rejected), self.now)
    }
}

/// A block that is `over` bytes longer than allowed.
fn at_limits(name: &'static str, over: usize) -> Draft {
    let mut chain = funded();
    let room = chain.network.block_bytes_max() + over - 196;
    let full = 132 + 4096;
    let lengths = [4096, 4096, 4096, room - 3 * full - 132];
    let record = |(nonce, length)| sign(&chain.network, MINER, nonce, 1000, crate::world::record(length));
    let records: Vec<_> = (0..).zip(lengths).map(record).collect();
    chain.good(10_000, records);
    Draft { name, chain, now: now() }
}

/// A block that is `millis` ahead of the clock.
fn ahead(millis: u64) -> Draft {
    let mut chain = CaseChain::new("knots");
    chain.good(1_000_000, vec![]);
    let now = UnixMillis(chain.tip.timestamp.0 - millis);
    let name =
        if millis > 60_000 { "a timestamp a millisecond too far ahead" } else { "a timestamp as far ahead as may be" };
    Draft { name, chain, now }
}

fn tie() -> ChainCase {
    let mut chain = CaseChain::new("knots");
    let mut other = chain.draft(20_000, vec![]);
    chain.good(20_000, vec![]);
    other.body.reward.to = address(2);
    other.header.root = other.body.root();
    let first = chain.tip;
    chain.push(other);
    assert_ne!(chain.tip.id(), first.id());
    chain.accepted("fork choice: of two blocks with the same work, the first seen stays")
}

/// The sibling is dated back as far as it may be, in a network whose targets have moved.
fn dated_back() -> ChainCase {
    let mut chain = funded();
    chain.good(0, vec![]).good(0, vec![]);
    let sibling = chain.draft(0, vec![]);
    chain.good(30_000, vec![]);
    let first = chain.tip;
    assert_eq!(sibling.header.target, first.target);
    chain.push(sibling);
    let case = chain.accepted("fork choice: a sibling that is dated back has no more work, so the first seen stays");
    assert_eq!(case.accept.as_ref().expect("accepted").tip, first.id().to_string());
    case
}

/// Coins that are there before the first block.
fn heirs() -> ChainCase {
    let mut chain = CaseChain::new("heirs");
    let spends = [chain.sign(2, 0, 0, 5, 700_000_000), chain.sign(3, 0, 1, 2, u64::MAX - 1)];
    chain.good(10_000, spends.into()).good(10_000, vec![]);
    chain.accepted("opening balances, spent in the first block")
}

/// More than 64 bits of units on one account.
fn riches() -> ChainCase {
    let mut chain = CaseChain::new("riches");
    chain.good(10_000, vec![]);
    // The miner's reward and its transfer are each the largest amount.
    let all = chain.sign(MINER, 0, 0, 2, u64::MAX);
    chain.good(10_000, vec![all]).good(10_000, vec![]);
    let more = chain.sign(MINER, 1, 0, 2, u64::MAX);
    chain.good(10_000, vec![more]);
    chain.accepted("balances beyond the largest amount")
}

fn heavier_reorganises() -> ChainCase {
    let mut chain = funded();
    let fork = (chain.tip, chain.place, chain.below.clone());
    let payment = chain.sign(MINER, 0, 1000, 2, COIN);
    chain.good(10_000, vec![payment]);
    (chain.tip, chain.place, chain.below) = fork;
    let rival = chain.sign(MINER, 0, 1000, 3, COIN);
    chain.good(11_000, vec![rival]).good(10_000, vec![]);
    chain.accepted("fork choice: the longer branch wins, and what the other one moved is undone")
}

fn fewer_blocks_with_more_work() -> ChainCase {
    let mut chain = CaseChain::new("knots");
    chain.good(20_000, vec![]);
    let fork = (chain.tip, chain.place, chain.below.clone());
    for _ in 0..10 {
        chain.good(20_000, vec![]);
    }
    (chain.tip, chain.place, chain.below) = fork;
    for _ in 0..9 {
        chain.good(0, vec![]);
    }
    let case = chain.accepted("fork choice: nine blocks with more work win over ten");
    assert_eq!(case.accept.as_ref().expect("accepted").height, "10");
    case
}

/// Cases whose fault is in the header, or in the bytes.
fn rejected_headers() -> Vec<ChainCase> {
    let edited = |name: &str, rule: u8, edit: &dyn Fn(&CaseChain, &mut Header)| {
        let mut chain = funded();
        let mut block = chain.draft(10_000, vec![]);
        edit(&chain, &mut block.header);
        chain.push(block);
        chain.rejected(name, rule, "block")
    };
    // The parent came early, so a harder target than its own is due.
    let hurried = |name: &str, edit: &dyn Fn(&CaseChain, &mut Header)| {
        let mut chain = funded();
        let mut block = chain.good(1_000, vec![]).draft(10_000, vec![]);
        edit(&chain, &mut block.header);
        chain.push(block);
        chain.rejected(name, 13, "block")
    };
    let target =
        |name: &str, rule: u8, compact: u32| edited(name, rule, &move |_, header| header.target = Target(compact));
    let mut lazy = funded();
    lazy.push_bytes(encode(&mined(lazy.draft(10_000, vec![]), false)));
    let mut foreign = CaseChain::new("dev");
    foreign.push_bytes(encode(network("lan").genesis()));
    vec![
        edited("version 0", 4, &|_, header| header.version = 0),
        edited("version 1", 4, &|_, header| header.version = 1),
        edited("version 3", 4, &|_, header| header.version = 3),
        target("a target easier than the easiest", 5, 0x2008_0000),
        target("a target of zero", 5, 0),
        target("a negative target", 5, 0x1f87_ffff),
        target("a compact target with a short mantissa", 5, 0x2100_07ff),
        target("a compact target of more than 256 bits", 5, 0x2201_0000),
        target("a target below 2^160", 5, 0x1500_ffff),
        lazy.rejected("a header without work", 6, "block"),
        edited("a height that skips one", 11, &|_, header| header.height = Height(4)),
        edited("the parent's height", 11, &|_, header| header.height = Height(2)),
        edited("a timestamp a millisecond before the parent's", 12, &|chain, header| chain.date(header, -1)),
        hurried("the parent's target where a harder one is due", &|chain, header| header.target = chain.tip.target),
        hurried("a block dated back that asks for a harder target", &|chain, header| {
            chain.date(header, 0);
            header.target.0 -= 1;
        }),
        edited("a target harder than what is due", 13, &|_, header| header.target = Target(0x2007_fffe)),
        hurried("forward-dating beyond the grace without the target that goes with it", &|chain, header| {
            chain.date(header, 0);
            header.timestamp.0 += 61_000;
        }),
        ahead(60_001).rejected_here(14, "nobody"),
        foreign.rejected("the genesis block of the network lan", 19, "block"),
        edited("a second block at height 0", 19, &|_, header| header.height = Height(0)),
        edited("a second root: height 0 and no parent", 19, &|_, header| {
            header.height = Height(0);
            header.parent = BlockId([0; 32]);
        }),
    ]
}

/// Cases in which the body was mutilated after the header was made.
fn rejected_bytes() -> Vec<ChainCase> {
    let bytes = |name: &str, rule: u8, edit: &dyn Fn(&mut Block) -> Option<Vec<u8>>| {
        let mut chain = funded();
        let transactions = (0..3).map(|nonce| chain.sign(MINER, nonce, 1000, 2, 5)).collect();
        let mut block = mined(chain.draft(10_000, transactions), true);
        let bytes = edit(&mut block).unwrap_or_else(|| encode(&block));
        chain.push_bytes(bytes);
        chain.rejected(name, rule, "bytes")
    };
    let transactions = |name: &str, edit: &dyn Fn(&mut Vec<SignedTransaction>)| {
        bytes(name, 7, &|block: &mut Block| {
            let mut transactions = std::mem::take(&mut block.body.transactions).into_vec();
            edit(&mut transactions);
            block.body.transactions = transactions.into();
            None
        })
    };
    vec![
        bytes("a byte left over after the block", 1, &|block| Some([encode(block), vec![0]].concat())),
        bytes("a block that ends early", 1, &|block| Some(encode(block)[..200].to_vec())),
        bytes("a decode bomb: 2^40 transactions claimed", 1, &|block| {
            let mut bytes = encode(block);
            bytes[188..196].copy_from_slice(&(1_u64 << 40).to_le_bytes());
            Some(bytes)
        }),
        transactions("merkle mutation: the last transaction repeated", &|all| all.push(all[2].clone())),
        transactions("merkle mutation: a transaction left out", &|all| {
            all.pop();
        }),
        transactions("merkle mutation: two transactions swapped", &|all| all.swap(0, 1)),
        transactions("a signature replaced under the same root", &|all| all[0].signature = all[1].signature),
        bytes("the reward sent to somebody else", 7, &|block| {
            block.body.reward.to = Address([9; 20]);
            None
        }),
        bytes("another history under the same root", 7, &|block| {
            block.body.context.history.0[0] ^= 1;
            None
        }),
        bytes("an overlong body under a good header: the header is not to blame", 7, &|block| {
            let network = network("knots");
            let record = |nonce| sign(&network, MINER, nonce, 1000, crate::world::record(4096));
            block.body.transactions = (0..5).map(record).collect();
            None
        }),
    ]
}

pub(crate) fn chains() -> Chains {
    let too_long = at_limits("a block one byte too long", 1).rejected_here(2, "block");
    let cases = [accepted(), rejected_headers(), rejected_bytes(), vec![too_long], crate::bodies::rejected()].concat();
    Chains {
        about: "Blocks offered one after the other to a node that knows only genesis and whose clock stands at `now`: \
                the tip and all accounts that were ever used at the end, or the first block that is refused (counted \
                from 0), the rule that it breaks and who is to blame."
            .to_owned(),
        cases,
    }
}
