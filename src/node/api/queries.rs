//! Answers that several front ends give: made once, from the node, its store and its index.

use libp2p::Multiaddr;

use super::error::{Code, Failure};
use super::lookup;
use super::query::{BlockName, LIST_ROWS, Order, Range};
use super::rows::{
    AccountRow, AliasRow, BlockPage, BlockRow, BriefBlock, BriefPage, HistoryPage, Identity, NodeStatus, Peer,
    PendingPage, RecordPage, StandingBlock, TransactionRow, WalletRow,
};
use super::walk::{BlockFilter, Step, Walk};
use crate::node::event::PeerRow;
use crate::node::handle::Handle;
use crate::node::handle::ask::AccountState;
use crate::node::index::{Period, RecordQuery};
use crate::node::swarm;
use crate::protocol::encode::encode;
use crate::protocol::{Address, Block, CheckedTransaction, Height};

pub(in crate::node) fn peers(handle: &Handle) -> Vec<Peer> {
    handle.peers().iter().map(|row| peer(handle, row)).collect()
}

/// A connection, with the peer's own figures.
pub(in crate::node) fn peer(handle: &Handle, row: &PeerRow) -> Peer {
    let view = handle.view();
    Peer::new(row, view.peers.iter().find(|told| told.peer == row.peer))
}

/// Connects to a peer; answered when it is one of ours, or when it is clear that it will not be. Blocks.
pub(in crate::node) fn connect(handle: &Handle, address: &Multiaddr) -> Result<Peer, Failure> {
    let row = handle.connect(address.clone());
    Ok(peer(handle, &row.map_err(|error| Failure::new(Code::ConnectFailed, error.to_string()))?))
}

pub(in crate::node) fn status(handle: &Handle, identity: &Identity) -> NodeStatus {
    let (wallet, listen) = (handle.wallets().current(), (swarm::for_others(&handle.listen()), handle.http()));
    NodeStatus::new(identity, &handle.view(), &wallet, handle.peers().len(), listen, handle.now())
}

/// An account, with the name that it has here.
pub(in crate::node) fn account(handle: &Handle, address: Address, state: &AccountState) -> AccountRow {
    let AccountState { account, spendable, pending } = state;
    let alias = handle.aliases().list().into_iter().find(|(_, owner)| *owner == address).map(|(name, _)| name);
    AccountRow {
        address,
        balance: account.balance,
        spendable: *spendable,
        nonce: account.nonce,
        pending: *pending,
        alias,
    }
}

/// All names that addresses have.
pub(in crate::node) fn aliases(handle: &Handle) -> Vec<AliasRow> {
    handle.aliases().list().into_iter().map(|(name, address)| AliasRow { name, address }).collect()
}

/// All wallets. Reads each file.
pub(in crate::node) fn wallets(handle: &Handle) -> Result<Vec<WalletRow>, Failure> {
    let current = handle.wallets().current();
    Ok(handle.wallets().list()?.iter().map(|listed| WalletRow::new(listed, &current)).collect())
}

/// Records that fit a query.
pub(in crate::node) fn records(handle: &Handle, query: &RecordQuery, range: &Range) -> Result<RecordPage, Failure> {
    Ok(lookup::index(handle)?.view()?.records(query, range.before, range.rows())?.into())
}

/// The history of an account.
pub(in crate::node) fn history(handle: &Handle, address: Address, range: &Range) -> Result<HistoryPage, Failure> {
    history_in(handle, address, Period::default(), range)
}

/// A part of it in time.
pub(in crate::node) fn history_in(
    handle: &Handle,
    address: Address,
    period: Period,
    range: &Range,
) -> Result<HistoryPage, Failure> {
    let page = lookup::index(handle)?.view()?.history(&address, period, range.before, range.rows())?;
    Ok(HistoryPage::new(address, &page))
}

/// A block, and where it stands.
pub(in crate::node) fn block(handle: &Handle, name: BlockName) -> Result<StandingBlock, Failure> {
    let snapshot = handle.reader().snapshot()?;
    let (block, best_chain) = lookup::block(&snapshot, name)?;
    let confirmations = if best_chain { snapshot.tip().height.saturating_since(block.header.height) + 1 } else { 0 };
    let size = encode(&block).len();
    Ok(StandingBlock { block: BlockRow::new(&block, handle.network()), best_chain, confirmations, size })
}

/// A part of the pending transactions.
#[derive(Debug, Clone, Copy, Default)]
pub(in crate::node) struct PendingRange {
    /// The place of the first one, counted from 0.
    pub(in crate::node) from: u64,
    pub(in crate::node) limit: u64,
    /// As in [`BlockRange`].
    pub(in crate::node) bytes_max: usize,
    /// Only those that this account has signed. Places are counted among them.
    pub(in crate::node) sender: Option<Address>,
}

/// Some of the pending transactions, in the order in which they would be mined now.
pub(in crate::node) struct PendingPart {
    /// The number of all that are meant.
    pub(in crate::node) length: u64,
    pub(in crate::node) transactions: Vec<CheckedTransaction>,
    /// The place of the next one, if there is one.
    pub(in crate::node) next: Option<u64>,
}

impl From<PendingPart> for PendingPage {
    fn from(part: PendingPart) -> Self {
        let transactions = part.transactions.iter().map(TransactionRow::from).collect();
        Self { length: part.length, transactions, next: part.next }
    }
}

/// A part of the pending transactions. Blocks.
pub(in crate::node) fn pending(handle: &Handle, range: PendingRange) -> Result<PendingPart, Failure> {
    let mut transactions = handle.pending().wait()?;
    transactions.retain(|one| range.sender.is_none_or(|sender| one.sender() == sender));
    let length = transactions.len() as u64;
    transactions.drain(..range.from.min(length) as usize);
    let mut bytes = 0;
    let fits = |one: &&CheckedTransaction| {
        bytes += one.length();
        bytes <= range.bytes_max || bytes == one.length()
    };
    let count = transactions.iter().take_while(fits).count().min(range.limit as usize);
    transactions.truncate(count);
    let next = Some(range.from.saturating_add(count as u64)).filter(|next| *next < length);
    Ok(PendingPart { length, transactions, next })
}

/// A part of the best chain.
#[derive(Debug, Clone, Copy)]
pub(in crate::node) struct BlockRange {
    /// The first one; `None`: the best block, or genesis if heights rise.
    pub(in crate::node) from: Option<Height>,
    /// How many; `None`: [`LIST_ROWS`].
    pub(in crate::node) limit: Option<u64>,
    /// Whether heights fall or rise.
    pub(in crate::node) order: Order,
    /// A page ends before its blocks are longer than this in all, encoded, but has at least one; their JSON is several
    /// times as long.
    pub(in crate::node) bytes_max: usize,
}

/// Blocks of the best chain. Checks before each block whether the caller still waits for it.
pub(in crate::node) fn blocks(
    handle: &Handle,
    range: BlockRange,
    is_cancelled: impl Fn() -> bool,
) -> Result<BlockPage, Failure> {
    blocks_where(handle, range, &BlockFilter::default(), is_cancelled)
}

/// Those of them that fit a filter.
pub(in crate::node) fn blocks_where(
    handle: &Handle,
    range: BlockRange,
    filter: &BlockFilter,
    is_cancelled: impl Fn() -> bool,
) -> Result<BlockPage, Failure> {
    let part = part_of_chain(handle, range, filter, is_cancelled, |block, _| BlockRow::new(block, handle.network()))?;
    Ok(BlockPage { length: part.length, blocks: part.rows, next: part.next })
}

/// The same without their transactions.
pub(in crate::node) fn brief_blocks(
    handle: &Handle,
    range: BlockRange,
    filter: &BlockFilter,
) -> Result<BriefPage, Failure> {
    let part = part_of_chain(handle, range, filter, || false, BriefBlock::new)?;
    Ok(BriefPage { length: part.length, blocks: part.rows, next: part.next })
}

struct PartOfChain<T> {
    length: u64,
    rows: Vec<T>,
    next: Option<u64>,
}

/// `row` makes a row of a block and its size in bytes.
fn part_of_chain<T>(
    handle: &Handle,
    range: BlockRange,
    filter: &BlockFilter,
    is_cancelled: impl Fn() -> bool,
    row: impl Fn(&Block, usize) -> T,
) -> Result<PartOfChain<T>, Failure> {
    let mut walk = Walk::start(handle.reader().snapshot()?, range.from, range.order, filter)?;
    let limit = range.limit.unwrap_or(LIST_ROWS as u64);
    let (mut rows, mut bytes) = (Vec::new(), 0);
    while (rows.len() as u64) < limit {
        if is_cancelled() {
            return Err(Failure::new(Code::Cancelled, "stopped"));
        }
        let Step::At(block, size) = walk.step()? else { break };
        bytes += size;
        if bytes > range.bytes_max && !rows.is_empty() {
            break;
        }
        rows.push(row(&block, size));
        walk.pass();
    }
    Ok(PartOfChain { length: walk.tip().0 + 1, rows, next: walk.next() })
}
