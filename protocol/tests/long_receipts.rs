//! The sizes of receipts on long chains. The chains of the network `lan` have no proof of work, which is out of reach: their
//! receipts are measured alone. Easier ones are verified.

use std::ops::Range;

use quipu_protocol::check::Parent;
use quipu_protocol::history::halves;
use quipu_protocol::merkle::{self, AuditPath};
use quipu_protocol::receipt::{Content, Form, Receipt, Shape};
use quipu_protocol::{
    Action, Address, Body, Context, Header, Height, HistoryNode, Network, OutcomeHash, Parameters, Peaks, Record,
    Reward, SecretKey, Target, Transaction, UnixMillis, Work,
};

/// A chain of empty blocks on a first one that holds a record.
struct LongChain {
    network: Network,
    first: Body,
    /// Of all blocks but the first one.
    content: Content,
    headers: Vec<Header>,
    /// The work below each block and below the next one.
    below: Vec<Work>,
    /// The complete nodes of each level.
    levels: Vec<Vec<HistoryNode>>,
}

impl LongChain {
    /// Blocks from height `mined` on have proof of work.
    fn new(parameters: Parameters, blocks: u64, mined: u64) -> Self {
        let network = Network::new(parameters).expect("a preset is valid");
        let genesis = network.genesis().header;
        let reward = Reward { to: Address([7; 20]), amount: network.parameters().subsidy };
        let key = SecretKey::from_seed([1; 32]);
        let data = Record::text("Delivered: 40 pallets, lot 17, temperature 4.1 °C.").to_data().expect("short").into();
        let fee = network.parameters().fee_min;
        let transaction = Transaction { sender: key.public_key(), nonce: 0, fee, action: Action::Record { data } };
        let signed = transaction.sign(&network.genesis_id(), &key);
        let content = merkle::root([reward.leaf()]);
        let mut chain = Self {
            first: Body { context: Context::of(Peaks::default().root()), reward, transactions: vec![signed].into() },
            content: Content { outcome: OutcomeHash::NONE, root: content },
            headers: vec![genesis],
            below: vec![Work::ZERO, Work::ZERO],
            levels: Vec::new(),
            network,
        };
        let mut peaks = Peaks::default();
        let mut place = Parent::genesis(&chain.network);
        chain.note(&mut peaks, HistoryNode::of(&genesis));
        let spacing = chain.network.parameters().target_spacing;
        while chain.headers.len() as u64 <= blocks {
            let parent = chain.headers.last().expect("genesis");
            let context = Context::of(peaks.root());
            let content = if parent.height == Height::GENESIS {
                chain.first.context = context;
                merkle::root(chain.first.leaves())
            } else {
                content
            };
            let timestamp = UnixMillis(parent.timestamp.0 + spacing.0);
            let mut header = Header {
                height: parent.height.next(),
                parent: parent.id(),
                root: merkle::node(&context.leaf(), &content),
                timestamp,
                target: place.target_after(timestamp, &chain.network),
                ..genesis
            };
            while header.height.0 >= mined && !header.target.is_met_by(&header.id()) {
                header.nonce += 1;
            }
            place = place.child(&header);
            chain.headers.push(header);
            chain.note(&mut peaks, HistoryNode::of(&header));
            let work = *chain.below.last().expect("that of genesis") + header.target.work();
            chain.below.push(work);
        }
        chain
    }

    fn note(&mut self, peaks: &mut Peaks, leaf: HistoryNode) {
        peaks.push(leaf, |level, node| {
            if self.levels.len() <= level as usize {
                self.levels.push(Vec::new());
            }
            self.levels[level as usize].push(node);
        });
    }

    fn node(&self, range: Range<u64>) -> HistoryNode {
        let blocks = range.end - range.start;
        if blocks.is_power_of_two() {
            return self.levels[blocks.ilog2() as usize][(range.start / blocks) as usize];
        }
        let (left, right) = halves(&range);
        HistoryNode::above(&self.node(left), &self.node(right))
    }

    /// The receipt of the record after that many confirmations.
    fn receipt(&self, confirmations: u64, form: Option<Form>) -> Receipt {
        let tip = Height(confirmations);
        let id = self.headers[tip.0 as usize].id();
        let below = |height: u64| self.below[height as usize];
        let shape = Shape::choose(Height(1), (tip, &id), form, below).expect("it has a form");
        let shown = shape.gather(|height| self.headers[height as usize], |range| self.node(range));
        let contents = vec![self.content; shown.missing().len()];
        let leaves: Vec<_> = self.first.leaves().collect();
        let proof = shown.proof(&self.first.context, contents);
        Receipt::new(&self.network, &self.first.transactions[0], AuditPath::of(&leaves, 1), proof)
    }
}

/// A network whose blocks take 32 hashes.
fn easy() -> Parameters {
    Parameters { name: "easy".to_owned(), easiest_target: Target(0x2007_ffff), ..Parameters::dev() }
}

#[test]
fn receipts_stay_small() {
    let chain = LongChain::new(Parameters::lan(), 1_000_000, u64::MAX);
    let bytes = |confirmations, form| chain.receipt(confirmations, form).to_json().len();
    for (confirmations, form, most) in [
        (13, Form::Full, 4_200),
        (10_000, Form::Sampled, 110_000),
        (100_000, Form::Sampled, 190_000),
        (1_000_000, Form::Sampled, 270_000),
        (1_000_000, Form::Witnessed, 2_900),
    ] {
        let form = Some(form);
        let found = bytes(confirmations, form);
        println!("{form:?} after {confirmations} blocks: {found} bytes");
        assert!(found <= most, "{form:?} after {confirmations} blocks: {found} bytes");
    }
    let compact = chain.receipt(1_000_000, Some(Form::Witnessed)).to_compact_json().len();
    println!("witnessed, without blanks: {compact} bytes");
    // Where the sampled form begins to be the smaller one.
    let crossing = (1..).find(|confirmations| chain.receipt(*confirmations, None).proof.form() == Form::Sampled);
    println!("sampled from {crossing:?} confirmations on, {} bytes", bytes(crossing.expect("one"), None));
    let curve: Vec<_> =
        [1, 10, 100, 1_000, 10_000, 100_000, 1_000_000].map(|blocks| (blocks, bytes(blocks, None))).into();
    println!("{curve:?}");
    assert!(curve.is_sorted());
}

#[test]
fn receipts_of_long_chains_hold() {
    let chain = LongChain::new(easy(), 20_000, 0);
    let work = |confirmations| chain.below[confirmations as usize + 1];
    for confirmations in [1, 2, 3, 50, 700, 5_000, 20_000] {
        for form in [None, Some(Form::Full), Some(Form::Sampled), Some(Form::Witnessed)] {
            let text = chain.receipt(confirmations, form).to_json();
            let began = std::time::Instant::now();
            let proof = Receipt::read(text.as_bytes()).and_then(|receipt| receipt.verify());
            let proof = proof.unwrap_or_else(|error| panic!("{form:?} after {confirmations} blocks: {error}"));
            println!("{form:?} after {confirmations} blocks: {} bytes, {:?}", text.len(), began.elapsed());
            assert_eq!(proof.confirmations(), confirmations);
            assert_eq!(proof.tip().id, chain.headers[confirmations as usize].id());
            let is_all = confirmations > 1 || proof.form() != Form::Witnessed;
            assert_eq!(proof.work(), if is_all { work(confirmations) } else { chain.headers[1].target.work() });
        }
    }
}

/// A forger has done this share of the work, at the end of the chain where samples are densest, and names one tip after the
/// other, each with proof of work. What is left out is not covered up by another tail, nor by other samples.
#[test]
fn who_has_done_less_than_half_of_the_work_is_refused() {
    const BLOCKS: u64 = 2_000;
    const TRIALS: usize = 100;
    for percent in [10, 30, 49] {
        let mut forged = LongChain::new(easy(), BLOCKS, BLOCKS - BLOCKS * percent / 100);
        for trial in 0..TRIALS {
            let tip = forged.headers.last_mut().expect("a tip");
            tip.nonce += 1;
            while !tip.target.is_met_by(&tip.id()) {
                tip.nonce += 1;
            }
            let verdict = forged.receipt(BLOCKS, Some(Form::Sampled)).verify().map_err(|error| error.code()).err();
            assert_eq!(verdict, Some("work"), "{percent} %, trial {trial}");
        }
    }
}
