//! The model agrees with the published vectors and with the protocol crate.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde_json::Value;

use super::forge::Forge;
use super::{BrokenChain, Model, Refused, judge, target};
use crate::protocol::check::{
    Parent, check_block, check_context, check_header, check_header_in_context, check_header_time,
};
use crate::protocol::encode::{decode, encode};
use crate::protocol::{
    Amount, Block, BlockId, Header, HistoryNode, Ledger, Millis, Network, Parameters, Peaks, Target, UnixMillis,
    Violation, Wei, Work,
};
use crate::sim::random::Random;

/// Seeds of the comparison with the crate.
const SEEDS: u64 = 150;
/// Blocks that each seed offers.
const OFFERS: u64 = 24;

const CHAINS: &str = include_str!("../../../protocol/vectors/chains.json");
const NETWORKS: &str = include_str!("../../../protocol/vectors/networks.json");
const TARGETS: &str = include_str!("../../../protocol/vectors/targets.json");

fn vectors(file: &str) -> Value {
    serde_json::from_str(file).expect("JSON")
}

fn text<'a>(case: &'a Value, field: &str) -> &'a str {
    case[field].as_str().unwrap_or_else(|| panic!("{field} of {case}"))
}

fn number(case: &Value, field: &str) -> u64 {
    text(case, field).parse().expect("a number")
}

fn compact(case: &Value, field: &str) -> u32 {
    u32::from_str_radix(text(case, field).trim_start_matches("0x"), 16).expect("a target")
}

/// Bytes from hex digits, or from a list of them and of runs.
fn bytes(value: &Value) -> Vec<u8> {
    match value {
        Value::Array(parts) => parts.iter().flat_map(bytes).collect(),
        Value::Object(run) => {
            let times = run["times"].as_u64().expect("a count") as usize;
            bytes(&run["repeat"]).repeat(times)
        }
        other => hex::decode(other.as_str().expect("hex digits")).expect("hex digits"),
    }
}

fn parameters(case: &Value) -> Parameters {
    Parameters {
        name: text(case, "name").to_owned(),
        genesis_time: UnixMillis(number(case, "genesis_time")),
        target_spacing: Millis(number(case, "target_spacing")),
        half_life: Millis(number(case, "half_life")),
        grace: Millis(number(case, "grace")),
        easiest_target: Target(compact(case, "easiest_target")),
        future_time_max: Millis(number(case, "future_time_max")),
        subsidy: Amount::from_units(number(case, "subsidy")),
        fee_min: Amount::from_units(number(case, "fee_min")),
        block_bytes_max: case["block_bytes_max"].as_u64().expect("a number") as u32,
        opening_balances: serde_json::from_value(case["opening_balances"].clone()).expect("balances"),
        contracts: serde_json::from_value(case["contracts"].clone()).expect("limits"),
    }
}

#[test]
fn genesis_is_that_of_the_vectors() {
    for case in vectors(NETWORKS)["cases"].as_array().expect("cases") {
        let model = Model::new(&parameters(case));
        assert_eq!(model.best().tip.to_string(), text(case, "genesis_id"), "{case}");
    }
}

#[test]
fn chains_are_judged_as_the_vectors_say() {
    let networks = vectors(NETWORKS);
    let networks: BTreeMap<_, _> = networks["cases"]
        .as_array()
        .expect("cases")
        .iter()
        .map(|case| (text(case, "name"), parameters(case)))
        .collect();
    for case in vectors(CHAINS)["cases"].as_array().expect("cases") {
        let name = text(case, "name");
        let mut model = Model::new(&networks[text(case, "network")]);
        let now = UnixMillis(number(case, "now"));
        let blocks = case["blocks"].as_array().expect("blocks");
        let broken = blocks
            .iter()
            .enumerate()
            .find_map(|(position, block)| Some((position as u64, model.offer(&bytes(block), now).err()?)));
        if let Some((position, refused)) = broken {
            let Refused::Rule(rule) = refused else { panic!("{name}: {refused}") };
            assert_eq!(case["reject"]["block"], position, "{name}");
            assert_eq!(case["reject"]["rule"], format!("R{rule}"), "{name}");
            continue;
        }
        let accept = &case["accept"];
        let best = model.best();
        assert_eq!(accept["tip"], best.tip.to_string(), "{name}");
        assert_eq!(accept["height"], best.height.to_string(), "{name}");
        assert_eq!(accept["work"], best.work.to_string(), "{name}");
        let touched = accept["accounts"].as_array().unwrap_or_else(|| panic!("{name}: it was accepted"));
        for account in touched {
            let found = best.account(&text(account, "address").parse().expect("an address"));
            assert_eq!(text(account, "balance"), found.balance.0.to_string(), "{name}");
            assert_eq!(number(account, "nonce"), found.nonce, "{name}");
        }
        assert!(touched.len() >= best.accounts.len(), "{name}: accounts that should not be there");
    }
}

#[test]
fn targets_are_those_of_the_vectors() {
    let all = vectors(TARGETS);
    let cases = |name: &str| all[name].as_array().expect("cases").clone();
    for case in cases("compact") {
        let bound = target::expand(compact(&case, "compact")).expect("a target");
        assert_eq!(hex::encode(bound.to_be_bytes()), text(&case, "bound"));
        assert_eq!(target::work(compact(&case, "compact")).to_string(), text(&case, "work"));
    }
    for case in cases("refused") {
        let digits = case.as_str().expect("a target").trim_start_matches("0x");
        assert_eq!(target::expand(u32::from_str_radix(digits, 16).expect("hex digits")), None, "{case}");
    }
    for case in cases("retarget") {
        let [spacing, half_life, grace, before, since] =
            ["spacing", "half_life", "grace", "before", "since"].map(|field| number(&case, field));
        let spaced = target::Spaced { spacing, half_life, grace, easiest: compact(&case, "easiest") };
        let next = spaced.target_after(compact(&case, "parent_target"), before, since);
        assert_eq!(next, compact(&case, "target"), "{case}");
    }
}

/// A block that the protocol crate accepted, and the state after it.
#[derive(Clone)]
struct CrateNode {
    header: Header,
    place: Parent,
    peaks: Peaks,
    work: Work,
    ledger: Ledger,
}

/// The protocol crate's verdicts on the offered blocks.
struct Crate {
    network: Arc<Network>,
    now: UnixMillis,
    nodes: BTreeMap<BlockId, CrateNode>,
}

impl Crate {
    /// `Ok(None)` if the parent is unknown.
    fn offer(&mut self, bytes: &[u8]) -> Result<Option<BlockId>, Violation> {
        let limit = crate::protocol::network::BLOCK_BYTES_LIMIT;
        let block: Block = decode(bytes, limit)?;
        let header = block.header;
        let id = check_header(&header, &self.network)?;
        if self.nodes.contains_key(&id) {
            return Ok(Some(id));
        }
        let Some(parent) = self.nodes.get(&header.parent) else { return Ok(None) };
        check_header_in_context(&header, &parent.place, &self.network)?;
        check_header_time(&header, self.now, &self.network)?;
        let checked = check_block(block, &self.network)?;
        check_context(checked.context(), &parent.peaks)?;
        let mut node = parent.clone();
        node.ledger.apply(&node.ledger.connect(&checked, &self.network)?);
        node.peaks.push(HistoryNode::of(&header), |_, _| {});
        (node.place, node.work, node.header) = (node.place.child(&header), node.work + header.target.work(), header);
        self.nodes.insert(id, node);
        Ok(Some(id))
    }
}

/// Offers random blocks to both, valid and spoiled ones, in a tree. Returns the numbers of the broken rules.
fn compare(seed: u64) -> BTreeSet<u8> {
    let forge = Forge::new(Arc::new(Network::new(Forge::parameters()).expect("valid parameters")));
    let mut random = Random::new(seed);
    let network = forge.network().clone();
    let mut model = Model::new(network.parameters());
    let genesis = network.genesis().header;
    let now = genesis.timestamp + Millis::from_secs(86_400);
    let peaks = Peaks::from_iter([HistoryNode::of(&genesis)]);
    let (place, ledger) = (Parent::genesis(&network), Ledger::opening(&network));
    let nodes = BTreeMap::from([(genesis.id(), CrateNode { header: genesis, place, peaks, work: Work::ZERO, ledger })]);
    let mut ours = Crate { network, now, nodes };
    let mut broken = BTreeSet::new();
    for offer in 0..OFFERS {
        let is_fork = random.between(0, 5) == 0;
        let parent = if is_fork { random.between(0, ours.nodes.len() as u64 - 1) as usize } else { usize::MAX };
        let best = model.best().tip;
        let id = ours.nodes.keys().nth(parent).copied().unwrap_or(best);
        let parent = ours.nodes[&id].header;
        let state = model.state(&id).expect("both know it");
        let block = forge.block(&parent, state, &mut random);
        let is_spoiled = random.between(0, 1) == 0;
        let bytes = if is_spoiled { forge.spoil(block, &parent, state, &mut random) } else { encode(&block) };

        let expected = ours.offer(&bytes).map_err(|violation| Refused::Rule(violation.rule()));
        let expected = expected.and_then(|id| id.ok_or(Refused::NoParent));
        let found = model.offer(&bytes, now);
        assert_eq!(found, expected, "seed {seed}, offer {offer}: {}", hex::encode(&bytes));
        assert!(is_spoiled || found.is_ok(), "seed {seed}, offer {offer}: a good block is refused");
        if let Err(Refused::Rule(rule)) = found {
            broken.insert(rule);
        }
        let Ok(id) = found else { continue };
        let (state, CrateNode { header, work, ledger, .. }) = (model.state(&id).expect("it joined"), &ours.nodes[&id]);
        assert_eq!((state.height, state.work), (header.height.0, work.0), "seed {seed}, offer {offer}");
        assert_eq!(state.accounts.len(), ledger.len(), "seed {seed}, offer {offer}");
        for (address, account) in &state.accounts {
            assert_eq!(*account, ledger.account(address), "seed {seed}, offer {offer}: {address}");
        }
        let subsidies = Wei::from(forge.network().parameters().subsidy).0 * u128::from(state.height);
        assert_eq!(state.wei(), subsidies, "seed {seed}, offer {offer}: coins are subsidies");
    }
    let most = ours.nodes.values().map(|node| node.work.0).max().expect("genesis is there");
    assert_eq!(model.best().work, most, "seed {seed}: the best chain has the most work");
    broken
}

#[test]
fn the_crate_and_the_model_agree_on_random_blocks() {
    let broken: BTreeSet<u8> = (0..SEEDS).flat_map(compare).collect();
    assert_eq!(broken, (1..=21).collect(), "every rule is broken by some seed");
}

#[test]
fn a_chain_is_judged_up_to_its_first_bad_block() {
    let forge = Forge::new(Arc::new(Network::new(Forge::parameters()).expect("valid parameters")));
    let mut random = Random::new(1);
    let mut chain = Vec::new();
    let network = forge.network().clone();
    let now = network.genesis().header.timestamp + Millis::from_secs(86_400);
    let mut parent = network.genesis().header;
    for _ in 0..5 {
        let state = judge(network.parameters(), &chain, now).expect("a good chain");
        let block = forge.block(&parent, &state, &mut random);
        parent = block.header;
        chain.push(encode(&block));
    }
    let state = judge(network.parameters(), &chain, now).expect("a good chain");
    assert_eq!((state.height, state.tip), (5, parent.id()));

    let gap = [&chain[..2], &chain[3..]].concat();
    let judged = judge(network.parameters(), &gap, now).map(|state| state.height);
    assert_eq!(judged, Err(BrokenChain { position: 2, refused: Refused::NoParent }));
    chain[3].pop();
    let judged = judge(network.parameters(), &chain, now).map(|state| state.height);
    assert_eq!(judged, Err(BrokenChain { position: 3, refused: Refused::Rule(1) }));
    let early = judge(network.parameters(), &chain, UnixMillis(0)).map(|state| state.height);
    assert_eq!(early, Err(BrokenChain { position: 0, refused: Refused::Rule(14) }));
}
