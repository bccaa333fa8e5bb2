//! A slow and simple node that accepts blocks in order, keeps every state and follows the most work.

use std::collections::{BTreeMap, BTreeSet};

use quipu_protocol::check::{check_block_bytes, check_header_in_context, check_header_time};
use quipu_protocol::{Address, Blame, BlockId, Header, Ledger, Network, UnixMillis, Violation, Work};

use crate::form::{AccountCase, ChainAccepted, ChainRejected, HexBytes};

struct ReplayedBlock {
    header: Header,
    work: Work,
    ledger: Ledger,
    touched: BTreeSet<Address>,
}

/// Offers the blocks in order. Stops at the first that breaks a rule.
pub(crate) fn replay(network: &Network, now: UnixMillis, blocks: &[HexBytes]) -> Result<ChainAccepted, ChainRejected> {
    let genesis = network.genesis().header;
    let root = ReplayedBlock { header: genesis, work: Work::ZERO, ledger: Ledger::default(), touched: BTreeSet::new() };
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
            balance: account.balance.units().to_string(),
            nonce: account.nonce.to_string(),
        }
    });
    Ok(ChainAccepted {
        tip: tip.to_string(),
        height: best.header.height.to_string(),
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
    check_header_in_context(&header, &(&parent.header).into(), network)?;
    check_header_time(&header, now, network)?;
    let delta = parent.ledger.connect(&block, network)?;
    let (mut ledger, mut touched) = (parent.ledger.clone(), parent.touched.clone());
    ledger.apply(&delta);
    touched.extend(delta.changes.iter().map(|change| change.address));
    Ok(Some((block.id(), ReplayedBlock { header, work: parent.work + header.target.work(), ledger, touched })))
}

fn blame_word(blame: Blame) -> &'static str {
    match blame {
        Blame::Bytes => "bytes",
        Blame::Block => "block",
        Blame::Nobody => "nobody",
    }
}
