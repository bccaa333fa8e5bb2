//! Verifies a receipt from nothing but the receipt.

use super::opening::{Opening, points};
use super::proof::{ChainProof, Content, Form};
use super::{Receipt, ReceiptError};
use crate::account::Address;
use crate::block::{Context, Header, Height};
use crate::check::{CheckedTransaction, Parent, check_header, check_header_in_context, check_transaction_bytes};
use crate::hash::{BlockId, HistoryHash, LeafHash, TransactionId};
use crate::history::{Below, HistoryNode, root_of_opened};
use crate::merkle;
use crate::network::Network;
use crate::record::Record;
use crate::time::UnixMillis;
use crate::transaction::Action;
use crate::work::Work;

/// The proven content of a receipt. Only [`Receipt::verify`] makes one.
///
/// The signature and the content are certain. Everything about blocks is worth [`Proof::work`]: anyone who can spend
/// that many hashes can make another chain with another content, times included (from the parent's on). With
/// [`Form::Witnessed`] not even that: it is worth as much as the knowledge that the [tip](Proof::tip) is on the chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proof {
    network: Network,
    transaction: CheckedTransaction,
    record: Option<Record>,
    chain: ProvenChain,
}

/// What is proven of blocks.
#[derive(Debug, Clone, PartialEq, Eq)]
struct ProvenChain {
    form: Form,
    parent_timestamp: Option<UnixMillis>,
    work: Work,
    /// The transaction's block, the tip, and the blocks between them that are shown, in ascending order.
    blocks: Vec<ProvenBlock>,
}

/// A block with a known header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProvenBlock {
    /// The block's height.
    pub height: Height,
    /// The block's id.
    pub id: BlockId,
    /// The block's time, set by its miner.
    pub timestamp: UnixMillis,
}

impl ProvenBlock {
    fn of(header: &Header, id: BlockId) -> Self {
        Self { height: header.height, id, timestamp: header.timestamp }
    }
}

impl Proof {
    /// The network. Anybody can make one: compare its genesis id with that of the nodes that you know.
    pub fn network(&self) -> &Network {
        &self.network
    }

    /// The transaction, whose signature is valid.
    pub fn transaction(&self) -> &CheckedTransaction {
        &self.transaction
    }

    /// The transaction's id.
    pub fn id(&self) -> TransactionId {
        self.transaction.id()
    }

    /// The signer's address.
    pub fn sender(&self) -> Address {
        self.transaction.sender()
    }

    /// The recorded data, unless the transaction is a transfer.
    pub fn record(&self) -> Option<&Record> {
        self.record.as_ref()
    }

    /// What the receipt shows of the blocks.
    pub fn form(&self) -> Form {
        self.chain.form
    }

    /// The block that holds the transaction.
    pub fn block(&self) -> ProvenBlock {
        *self.chain.blocks.first().expect("the transaction's block is shown")
    }

    /// The time of the parent block, if the receipt shows it. Redoing the work from the block on cannot change it.
    pub fn parent_timestamp(&self) -> Option<UnixMillis> {
        self.chain.parent_timestamp
    }

    /// The block was on no chain before this time, which is its own time less the network's future time limit. This
    /// rests on nodes with right clocks, which refuse it earlier. (The transaction may have been signed long before.)
    pub fn earliest(&self) -> UnixMillis {
        UnixMillis(self.block().timestamp.0.saturating_sub(self.network.parameters().future_time_max.0))
    }

    /// The block existed at this time, which is the time of the first shown block above it. This rests on the clock of that
    /// block's miner, who may date it back as far as this block.
    pub fn latest(&self) -> Option<UnixMillis> {
        self.chain.blocks.get(1).map(|next| next.timestamp)
    }

    /// The number of blocks that confirm it: 1 is the block alone.
    pub fn confirmations(&self) -> u64 {
        self.tip().height.saturating_since(self.block().height) + 1
    }

    /// The expected number of hashes to make the blocks from this one to the tip.
    pub fn work(&self) -> Work {
        self.chain.work
    }

    /// The last block of the receipt.
    pub fn tip(&self) -> ProvenBlock {
        *self.chain.blocks.last().expect("the transaction's block is shown")
    }

    /// The block with this id, if the receipt proves that it is the transaction's or stands on it, and who knows it can rely
    /// on all that the proof says. Of a receipt that shows no work that is the last block alone: those who know a lower one
    /// learn nothing of the blocks above it.
    pub fn find(&self, id: &BlockId) -> Option<ProvenBlock> {
        let block = self.chain.blocks.iter().find(|block| block.id == *id).copied();
        block.filter(|block| self.form() != Form::Witnessed || *block == self.tip())
    }
}

impl Receipt {
    /// The proof, or the first claim that is untrue, in this order: network, transaction, headers, histories, samples, tip.
    /// (A path that no history belongs to comes before the headers.)
    ///
    /// # Panics
    ///
    /// If the parts do not fit together as they do in a receipt that was read.
    pub fn verify(&self) -> Result<Proof, ReceiptError> {
        let network = Network::new(self.parameters.clone()).map_err(ReceiptError::Parameters)?;
        if network.genesis_id() != self.genesis {
            return Err(ReceiptError::Genesis { claimed: self.genesis, actual: network.genesis_id() });
        }
        let transaction = check_transaction_bytes(&self.transaction, &network).map_err(ReceiptError::of_transaction)?;
        let content = self.inclusion.fold(transaction.leaf());
        let chain = match &self.proof {
            ChainProof::Full { height, context, headers } => full(content, *height, context, headers, &network),
            ChainProof::Sampled { opening, headers, outcome, contents, nodes } => {
                sampled(Content { outcome: *outcome, root: content }, opening, headers, contents, nodes, &network)
            }
            ChainProof::WitnessedBlock { context, header } => witnessed_block(content, context, header, &network),
            ChainProof::Witnessed { outcome, header, content: tip_content, tip, nodes } => {
                let content = Content { outcome: *outcome, root: content };
                witnessed((header, content), (tip, *tip_content), nodes, &network)
            }
        }?;
        let record = match &transaction.signed().transaction.action {
            Action::Record { data } => Some(Record::read(data)),
            Action::Transfer { .. } => None,
        };
        let proof = Proof { record, transaction, network, chain };
        match proof.tip().id {
            tip if tip == self.tip => Ok(proof),
            actual => Err(ReceiptError::Tip { claimed: self.tip, actual }),
        }
    }
}

/// The root that a header has if its block has this content and was built upon this chain.
fn root_of(content: Content, history: HistoryHash) -> LeafHash {
    let Content { outcome, root } = content;
    merkle::node(&Context { history, outcome }.leaf(), &root)
}

fn full(
    content: LeafHash,
    height: Height,
    context: &LeafHash,
    headers: &[Header],
    network: &Network,
) -> Result<ProvenChain, ReceiptError> {
    let first = headers.partition_point(|header| header.height < height);
    let (below, chain) = headers.split_at(first);
    if merkle::node(context, &content) != chain[0].root {
        return Err(ReceiptError::Path);
    }
    let blocks = check_headers(headers, network)?.split_off(first);
    Ok(ProvenChain {
        form: Form::Full,
        parent_timestamp: below.last().map(|parent| parent.timestamp),
        work: chain.iter().map(|header| header.target.work()).sum(),
        blocks,
    })
}

fn witnessed_block(
    content: LeafHash,
    context: &LeafHash,
    header: &Header,
    network: &Network,
) -> Result<ProvenChain, ReceiptError> {
    if merkle::node(context, &content) != header.root {
        return Err(ReceiptError::Path);
    }
    let blocks = check_headers(std::slice::from_ref(header), network)?;
    Ok(ProvenChain { form: Form::Witnessed, parent_timestamp: None, work: header.target.work(), blocks })
}

fn witnessed(
    (header, content): (&Header, Content),
    (tip, tip_content): (&Header, Content),
    nodes: &[HistoryNode],
    network: &Network,
) -> Result<ProvenChain, ReceiptError> {
    let mut blocks = check_headers(std::slice::from_ref(header), network)?;
    blocks.extend(check_headers(std::slice::from_ref(tip), network)?);
    let (mut below_block, mut found) = (Work::ZERO, Ok(()));
    let root = root_of_opened(tip.height.0, &[header.height.0], nodes, |_, below| {
        below_block = below.work();
        found = check_root(header, content, below).map_err(|_| ReceiptError::Path);
        HistoryNode::of(header)
    });
    found?;
    if root_of(tip_content, root.hash) != tip.root {
        return Err(ReceiptError::History { height: tip.height });
    }
    let work = Work(root.work.0 + tip.target.work().0 - below_block.0);
    Ok(ProvenChain { form: Form::Witnessed, parent_timestamp: None, work, blocks })
}

/// Whether a block was built upon what is below it.
fn check_root(header: &Header, content: Content, below: Below<'_>) -> Result<(), ReceiptError> {
    let is_root = root_of(content, below.history()) == header.root;
    if is_root { Ok(()) } else { Err(ReceiptError::History { height: header.height }) }
}

fn sampled(
    content: Content,
    opening: &Opening,
    headers: &[Header],
    contents: &[Content],
    nodes: &[HistoryNode],
    network: &Network,
) -> Result<ProvenChain, ReceiptError> {
    let ids = check_headers(headers, network)?;
    let at = |height: u64| headers.partition_point(|header| header.height.0 < height);
    let Opening { block, tip, tail, .. } = *opening;

    // The work below each opened block and below the tail, and the first block that was built upon another chain.
    let (mut starts, mut found) = (Vec::new(), Ok(()));
    let mut contents = contents.iter().copied();
    let mut next = || contents.next().expect("one for each opened block, for the tail and for the tip");
    let mut check = |header: &Header, below: Below<'_>| {
        starts.push((header.height, below.work()));
        let checked = if header.height == block {
            check_root(header, content, below).map_err(|_| ReceiptError::Path)
        } else {
            check_root(header, next(), below)
        };
        if found.is_ok() {
            found = checked;
        }
    };
    let leaves = opening.leaves();
    let root = root_of_opened(tip.0, &leaves, nodes, |height, below| {
        let header = &headers[at(height)];
        if header.height <= tail {
            check(header, below);
        }
        HistoryNode::of(header)
    });
    let last = headers.last().expect("the tip is shown");
    let total = root.work + last.target.work();
    if tail == tip {
        starts.push((tip, root.work));
    }
    found?;
    if root_of(next(), root.hash) != last.root {
        return Err(ReceiptError::History { height: tip });
    }

    let (_, below_block) = starts[0];
    let (_, below_tail) = starts[starts.len() - 1];
    for point in points(total, below_tail, &ids[ids.len() - 1].id) {
        let opened = starts.partition_point(|(_, below)| *below <= point);
        let is_met = match opened.checked_sub(1) {
            // It lies below the transaction's block.
            None => true,
            Some(opened) => {
                let (height, below) = starts[opened];
                height >= tail || point < below + headers[at(height.0)].target.work()
            }
        };
        if !is_met {
            return Err(ReceiptError::Samples { work: point });
        }
    }
    let shown =
        |proven: &ProvenBlock| starts.iter().any(|(height, _)| *height == proven.height) || proven.height >= tail;
    Ok(ProvenChain {
        form: Form::Sampled,
        parent_timestamp: block.0.checked_sub(1).map(|parent| headers[at(parent)].timestamp),
        work: Work(total.0 - below_block.0),
        blocks: ids.into_iter().filter(shown).collect(),
    })
}

/// Applies every rule on headers alone, and those on targets to all but the first two of each run, since a target follows
/// from two ancestors.
fn check_headers(headers: &[Header], network: &Network) -> Result<Vec<ProvenBlock>, ReceiptError> {
    let genesis = Parent::genesis(network);
    let mut run: Option<(Parent, usize)> = None;
    let mut checked = Vec::with_capacity(headers.len());
    for header in headers {
        let fail = |violation| ReceiptError::of_header(header.height, violation);
        let (place, position) = match run.filter(|(before, _)| before.height.next() == header.height) {
            None if header.height == genesis.height => (genesis, 2),
            // The time since its own parent is not known, and it is not used.
            None => (genesis.child(header), 0),
            Some((before, position)) => {
                if position > 0 {
                    check_header_in_context(header, &before, network).map_err(fail)?;
                }
                (before.child(header), position + 1)
            }
        };
        let id = check_header(header, network).map_err(fail)?;
        run = Some((place, position));
        checked.push(ProvenBlock::of(header, id));
    }
    Ok(checked)
}
