//! A slow and simple node that accepts blocks in order, keeps every state and follows the most work.

use std::collections::{BTreeMap, BTreeSet};

use quipu_protocol::check::{Parent, check_block_bytes, check_context, check_header_in_context, check_header_time};
use quipu_protocol::{Address, Blame, BlockId, HistoryNode, Ledger, Network, Peaks, UnixMillis, Violation, Work};

use crate::form::{AccountCase, ChainAccepted, ChainRejected, HexBytes};

struct ReplayedBlock {
    place: Parent,
    /// Of the block and all below it.
    peaks: Peaks,
    work: Work,
    ledger: Ledger,
    touched: BTreeSet<Address>,
}

/// Offers the blocks in order. Stops at the first that breaks a rule.
pub(crate) fn replay(network: &Network, now: UnixMillis, blocks: &[HexBytes]) -> Result<ChainAccepted, ChainRejected> {
    let place = Parent::genesis(network);
    let touched = network.parameters().opening_balances.iter().map(|opening| opening.address).collect();
    let peaks = Peaks::from_iter([HistoryNode::of(&network.genesis().header)]);
    let root = ReplayedBlock { place, peaks, work: Work::ZERO, ledger: Ledger::opening(network), touched };
    let mut nodes = BTreeMap::from([(network.genesis_id(), root)]);
    let mut tip = network.genesis_id();
    for (at, bytes) in blocks.iter().enumerate() {
        let accepted = accept(&nodes, network, now, &bytes.0).map_err(|violation| ChainRejected {
            block: at,
            rule: format!("R{}", violation.rule()),
            blame: blame_word(violation.blame()).to_owned(),
        })?;
        let Some((id, node)) = accepted else { continue };
        if node.work > nodes[&tip].work {
            tip = id;
        }
        nodes.insert(id, node);
    }
    let best = &nodes[&tip];
    let accounts = best.touched.iter().map(|address| {
        let account = best.ledger.account(address);
        AccountCase {
            address: address.to_string(),
            balance: account.balance.0.to_string(),
            nonce: account.nonce.to_string(),
        }
    });
    Ok(ChainAccepted {
        tip: tip.to_string(),
        height: best.place.height.to_string(),
        work: best.work.to_string(),
        accounts: accounts.collect(),
    })
}

/// Accepts a block and returns its id, or `None` if it is known already.
fn accept(
    nodes: &BTreeMap<BlockId, ReplayedBlock>,
    network: &Network,
    now: UnixMillis,
    bytes: &[u8],
) -> Result<Option<(BlockId, ReplayedBlock)>, Violation> {
    let block = check_block_bytes(bytes, network)?;
    if nodes.contains_key(&block.id()) {
        return Ok(None);
    }
    let header = *block.header();
    let parent = nodes.get(&header.parent).expect("vectors have no orphans");
    check_header_in_context(&header, &parent.place, network)?;
    check_header_time(&header, now, network)?;
    check_context(block.context(), &parent.peaks)?;
    let delta = parent.ledger.connect(&block, network)?;
    let mut peaks = parent.peaks.clone();
    peaks.push(HistoryNode::of(&header), |_, _| {});
    let (mut ledger, mut touched) = (parent.ledger.clone(), parent.touched.clone());
    ledger.apply(&delta);
    touched.extend(delta.changes.iter().map(|change| change.address));
    Ok(Some((
        block.id(),
        ReplayedBlock {
            place: parent.place.child(&header),
            peaks,
            work: parent.work + header.target.work(),
            ledger,
            touched,
        },
    )))
}

fn blame_word(blame: Blame) -> &'static str {
    match blame {
        Blame::Bytes => "bytes",
        Blame::Block => "block",
        Blame::Nobody => "nobody",
    }
}
