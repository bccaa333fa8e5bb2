use std::fs;

use super::*;
use crate::sim::adversary::Role;
use crate::sim::adversary::spam::Floods;
use crate::sim::change::Change;
use crate::sim::clock::WallClock;
use crate::sim::id::NodeId;
use crate::sim::miner::HashRate;

const LEAST: &str = "name = \"x\"\ndescription = \"\"\"\nTwo\nlines.\n\"\"\"\nnodes = 12\nhours = 0.5\n";

fn with(more: &str) -> Result<Scenario, String> {
    parse(&format!("{LEAST}{more}"), Path::new("."), Overrides::default())
}

fn setup(more: &str) -> Setup {
    with(more).expect(more).setup
}

#[test]
fn missing_fields_are_those_of_a_lan() {
    let scenario = with("").expect("valid");
    let lan = Setup::lan(12);
    assert_eq!((scenario.name.as_str(), scenario.description.as_str()), ("x", "Two lines."));
    assert_eq!(scenario.span, Millis::from_secs(1_800));
    let Setup { seed, network, topology, links, clock_offset_millis_max, clock_drift_ppm_max, .. } = scenario.setup;
    assert_eq!((seed, network, topology, links), (1, lan.network, lan.topology, lan.links));
    assert_eq!((clock_offset_millis_max, clock_drift_ppm_max), (lan.clock_offset_millis_max, lan.clock_drift_ppm_max));
    assert_eq!(scenario.setup.transactions_per_hour, 0);
    for (one, other) in scenario.setup.hash_rates.iter().zip(&lan.hash_rates) {
        assert!(one.abs_diff(*other) <= one / 10_000, "{one} {other}");
    }
}

#[test]
fn the_command_line_outranks_the_file() {
    let overrides = Overrides { nodes: Some(5), hours: Some(0.001), seed: Some(9), threads: Some(3) };
    let Scenario { setup, span, .. } = parse(LEAST, Path::new("."), overrides).expect("valid");
    assert_eq!((setup.nodes, span, setup.seed, setup.threads), (5, Millis(3_600), 9, 3));
    assert_eq!(setup.topology, Topology::Full, "four others are fewer than eight links");
}

#[test]
fn hash_rates_by_shares_and_by_rules() {
    let rates = |more: &str| setup(&format!("[mining]\nhash_rate = 100\n{more}")).hash_rates;
    assert_eq!(rates("shares = [3, 1]"), [270_000, 90_000]);
    assert_eq!(rates("shares = [0.5, 0, 0.5]"), [180_000, 0, 180_000]);
    assert_eq!(rates("miners = 4\nrule = \"equal\""), [90_000; 4]);
    assert_eq!(rates("miners = 2\nrule = \"harmonic\""), [240_000, 120_000]);
    assert_eq!(rates("miners = 500\nrule = \"equal\"").len(), 12, "no more than there are nodes");
    assert_eq!(rates("shares = []"), [0; 0]);
    assert_eq!(rates("shares = [0]"), [0]);
    // With a fixed difficulty, the hash rate gives the wanted time between blocks.
    assert_eq!(setup("network.half_life = 0\nmining.shares = [1]").hash_rates, [4_096 * 360]);
}

#[test]
fn links_are_spread_in_six_ways() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    fs::write(folder.path().join("measured.csv"), "ms\n10\n20\n").expect("written");
    let latency = |value: &str| {
        let text = format!("{LEAST}[links]\nlatency_ms = {value}\nbytes_per_second = 1_000");
        let links = parse(&text, folder.path(), Overrides::default()).expect(value).setup.links;
        assert_eq!(links.bytes_per_second, Some(Spread::Constant(1_000)));
        links.latency_millis
    };
    assert_eq!(latency("7"), Spread::Constant(7));
    assert_eq!(latency("[1, 2]"), Spread::Table(vec![1, 2]));
    assert_eq!(latency("{ from = 3, to = 9 }"), Spread::Uniform(3, 9));
    assert_eq!(latency("{ median = 40, deviation = 0.75 }"), Spread::LogNormal { median: 40, deviation: 750 });
    assert_eq!(latency("{ quantiles = [[0, 5], [1, 9]] }"), Spread::Quantiles(vec![(0, 5), (1_000_000, 9)]));
    assert_eq!(latency("{ file = \"measured.csv\" }"), Spread::Table(vec![10, 20]));
}

#[test]
fn events_become_changes_in_the_order_of_time() {
    let more = "events = [\n\
        { at = \"20m\", heal = true },\n\
        { at = \"1m\", partition = [\"0%-50%\", \"50%-100%\"] },\n\
        { at = \"2m\", stall = { from = 0, to = \"0-2\", for = \"30s\" } },\n\
        { at = \"3m\", join = { nodes = 1, links = 2 } },\n\
        { at = \"4m\", leave = 12 },\n\
        { at = \"5m\", hash_rate = { nodes = \"0-1\", times = 2.5 } },\n\
        { at = \"6m\", clock = { nodes = 3, offset_ms = -5 } },\n\
        { at = \"2h\", crash = \"all\" },\n\
        ]\n[mining]\nshares = [1]\nhash_rate = 100\n";
    let scenario = with(more).expect("valid");
    let node = NodeId;
    let groups = vec![(0..6).map(node).collect(), (6..12).map(node).collect()];
    let stall = |to| Change::Stall { from: node(0), to: node(to), span: Millis::from_secs(30) };
    let minute = |minute: u64| Millis::from_secs(60 * minute);
    let wanted = vec![
        (minute(1), Change::Partition(groups)),
        (minute(2), stall(1)),
        (minute(2), stall(2)),
        (minute(3), Change::Join { links: 2 }),
        (minute(4), Change::Leave(node(12))),
        (minute(5), Change::HashRate(node(0), HashRate::PerHour(900_000))),
        (minute(6), Change::Clock(node(3), WallClock { offset_millis: -5, drift_ppm: 0 })),
        (minute(20), Change::Heal),
    ];
    assert_eq!(scenario.setup.changes, wanted);
    assert_eq!(scenario.late_events, 1);
    assert_eq!(scenario.events.first(), Some(&(minute(1), "partition")));
}

#[test]
fn links_between_regions_add_their_latency() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    fs::write(folder.path().join("map.csv"), "region,nodes,near,far\nnear,2,3,90\nfar,1,90,4\n").expect("written");
    let text = format!("{LEAST}links.regions = {{ file = \"map.csv\" }}\n");
    let links = parse(&text, folder.path(), Overrides::default()).expect("valid").setup.links;
    assert_eq!(links.latency_millis, Spread::Constant(0));
    let regions = links.regions.expect("named");
    assert_eq!(regions.of, [0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1]);
    assert_eq!(regions.latency_millis, [[3, 90], [90, 4]]);
}

#[test]
fn adversaries_become_changes() {
    let more = "[[adversaries]]\nnodes = 0\nkind = \"selfish\"\n\
        [[adversaries]]\nnodes = \"2-3\"\nkind = \"spam\"\nfloods = [\"orphans\"]\nfrom = \"5m\"\n\
        [[adversaries]]\nnodes = 4\nkind = \"double_spend\"\npayee = 9\n\
        [[adversaries]]\nnodes = 5\nkind = \"timestamp\"\n\
        [[adversaries]]\nnodes = 6\nkind = \"equivocate\"\nfrom = \"2h\"\n";
    let scenario = with(more).expect("valid");
    let floods = Floods { transactions: false, orphans: true, headers: false };
    let corrupt = |node, role| Change::Corrupt(NodeId(node), role);
    let later = Millis::from_secs(300);
    let wanted = vec![
        (Millis(0), corrupt(0, Role::Selfish)),
        (Millis(0), corrupt(4, Role::DoubleSpend { payee: NodeId(9) })),
        (Millis(0), corrupt(5, Role::Timestamp { ahead: Millis(59_500) })),
        (later, corrupt(2, Role::Spam(floods))),
        (later, corrupt(3, Role::Spam(floods))),
    ];
    assert_eq!(scenario.setup.changes, wanted);
    assert_eq!(scenario.late_events, 1);
}

#[test]
fn a_share_of_the_hash_rate_leaves_the_sum_as_it_is() {
    let more = "[mining]\nshares = [1, 1, 2]\nhash_rate = 100\n\
        [[events]]\nat = \"1m\"\nhash_rate = { nodes = 0, share = 0.4 }\n";
    let rate = |node, rate| (Millis::from_secs(60), Change::HashRate(NodeId(node), HashRate::PerHour(rate)));
    assert_eq!(setup(more).changes, [rate(0, 144_000), rate(1, 72_000), rate(2, 144_000)]);
}

/// The lead that the judge has to allow for.
#[test]
fn clocks_are_ahead_by_offset_and_drift() {
    let ahead = |more: &str| with(more).expect(more).clocks_ahead();
    // 20 millionths of half an hour and ten minutes.
    assert_eq!(ahead(""), Millis(100 + 48));
    assert_eq!(ahead("events = [{ at = \"1m\", clock = { nodes = 1, offset_ms = 9_000 } }]"), Millis(9_000));
    assert_eq!(ahead("events = [{ at = \"1m\", clock = { nodes = 1, offset_ms = -9_000 } }]"), Millis(148));
}

#[test]
fn errors_are_one_line() {
    let cases: [(&str, &[&str]); 45] = [
        ("nodes = 3", &["line 8", "duplicate key"]),
        ("sed = 1", &["line 8", "unknown field `sed`", "`seed`"]),
        ("seed = -1", &["line 8: seed"]),
        ("seed = [", &["line 8"]),
        ("transactions_per_second = -1", &["transactions_per_second: choose from 0"]),
        ("transactions_per_second = nan", &["transactions_per_second: choose from 0"]),
        ("topology = \"ring\"", &["line 8", "unknown variant `ring`", "`full`"]),
        ("topology = { links = [[0, 12]] }", &["nodes 0 and 12"]),
        ("topology = { random = 1 }", &["cannot have 1 links"]),
        ("[network]\npreset = \"wan\"", &["no preset wan", "lan, class or dev"]),
        ("[network]\nname = \"x\"", &["line 9", "unknown field `name`"]),
        ("[network]\nsubsidy = \"-1\"", &["line 9: subsidy", "negative"]),
        ("[network]\ntarget_spacing = 0", &["network: target_spacing: must be at least 1"]),
        ("[network]\neasiest_target = 0x1c00ffff", &["easiest_target", "0x1f0fffff"]),
        ("[links]\nlatency_ms = -3", &["line 9: latency_ms", "whole number"]),
        ("[links]\nlatency_ms = { from = 3, to = 1 }", &["links: latency_ms: from is above to"]),
        ("[links]\njitter_ms = []", &["links: jitter_ms: the list is empty"]),
        ("[links]\nlatency_ms = { median = 3, deviation = -1.0 }", &["latency_ms: deviation", "from 0 to 8"]),
        ("[links]\nlatency_ms = { file = \"no.csv\" }", &["latency_ms", "no.csv", "cannot be read"]),
        ("[mining]\nshares = [1]\nminers = 3", &["by shares, or by miners"]),
        ("[mining]\nshares = [-1]", &["shares: each must be"]),
        ("[mining]\nhash_rate = 1e18", &["hash_rate: choose from 0 to"]),
        ("[mining]\nshares = [1,1,1,1,1,1,1,1,1,1,1,1,1]", &["13 hash rates are too many for 12 nodes"]),
        ("[[events]]\nat = \"soon\"\nheal = true", &["line 9: at:", "1h30m"]),
        ("[[events]]\nat = \"1m\"", &["event: one thing happens at a time"]),
        ("[[events]]\nat = \"1m\"\nheal = true\ncrash = 1", &["event: one thing happens at a time"]),
        ("[[events]]\nat = \"1m\"\ncrash = 12", &["line 8: event: node 12 does not exist, there are 12"]),
        ("[[events]]\nat = \"1m\"\ncrash = \"most\"", &["line 10: crash:", "\"all\""]),
        ("[[events]]\nat = \"1m\"\nexplode = true", &["unknown field `explode`", "`crash`"]),
        ("[[events]]\nat = \"1m\"\nhash_rate = { nodes = 0, times = -1 }", &["event: hash_rate: -1 times"]),
        (
            "[[events]]\nat = \"1m\"\nhash_rate = { nodes = 0 }",
            &["event: hash_rate: say how many times, or which share"],
        ),
        ("[[events]]\nat = \"1m\"\nhash_rate = { nodes = 0, share = 2 }", &["a share of 2 is out of range"]),
        ("[[events]]\nat = \"1m\"\nhash_rate = { nodes = \"all\", share = 0.5 }", &["and among the others"]),
        ("[links]\nlatency_ms = { quantiles = [[0, 5], [0.9, 7]] }", &["latency_ms: quantiles go from 0 to 1"]),
        ("[links]\nlatency_ms = { quantiles = [[0, 5], [1, 2]] }", &["values that do not fall"]),
        ("[links]\nregions = { file = \"no.csv\" }", &["links: regions", "no.csv", "cannot be read"]),
        ("[[adversaries]]\nnodes = 0", &["line 8", "missing field `kind`"]),
        ("[[adversaries]]\nnodes = 0\nkind = \"evil\"", &["line 10: kind", "unknown variant `evil`", "`selfish`"]),
        ("[[adversaries]]\nnodes = 12\nkind = \"liar\"", &["line 8: adversary: node 12 does not exist"]),
        ("[[adversaries]]\nnodes = \"all\"\nkind = \"liar\"", &["nobody is left to be honest"]),
        ("[[adversaries]]\nnodes = \"0,1\"\nkind = \"double_spend\"", &["needs a payee"]),
        ("[[adversaries]]\nnodes = 1\nkind = \"double_spend\"\npayee = 1", &["cannot cheat itself"]),
        ("[[adversaries]]\nnodes = 1\nkind = \"liar\"\npayee = 1", &["payee belongs to the kind double_spend"]),
        ("[[adversaries]]\nnodes = 1\nkind = \"spam\"\nfloods = []", &["floods: name at least one"]),
        (
            "adversaries = [{ nodes = 1, kind = \"liar\" }, { nodes = 1, kind = \"spam\" }]",
            &["line 8: adversary: node 1 is an adversary already"],
        ),
    ];
    for (more, words) in cases {
        let problem = with(more).expect_err(more);
        assert!(!problem.contains('\n'), "{more}: {problem}");
        for word in words {
            assert!(problem.contains(word), "{more}: {problem}");
        }
    }
    assert!(parse("", Path::new("."), Overrides::default()).is_err_and(|problem| problem.contains("missing field")));
}

#[test]
fn runs_have_a_range_of_hours() {
    for hours in [0.0, -1.0, f64::NAN, f64::INFINITY, 0.0001, 9_000.0] {
        let problem = parse(LEAST, Path::new("."), Overrides { hours: Some(hours), ..Overrides::default() });
        assert!(problem.is_err_and(|problem| problem.contains("is out of range")), "{hours}");
    }
}

#[test]
fn every_shipped_scenario_has_a_description() {
    for name in shipped::NAMES {
        let scenario = Scenario::load(name, Overrides::default()).expect(name);
        assert_eq!(scenario.name, name);
        assert!(scenario.description.len() > 200 && scenario.late_events == 0, "{name}");
    }
    let internet = Scenario::load("internet", Overrides::default()).expect("shipped");
    assert_eq!(internet.setup.nodes, 1_000);
}
