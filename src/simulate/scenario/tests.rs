use super::*;
use crate::sim::change::Change;
use crate::sim::clock::Clock;
use crate::sim::miner::HashRate;
use crate::sim::random::Spread;
use crate::sim::world::NodeId;

const LEAST: &str = "name = \"x\"\ndescription = \"\"\"\nTwo\nlines.\n\"\"\"\nnodes = 12\nhours = 0.5\n";

fn with(more: &str) -> Result<Scenario, String> {
    parse(&format!("{LEAST}{more}"), Path::new("."), Overrides::default())
}

fn setup(more: &str) -> Setup {
    with(more).expect(more).setup
}

#[test]
fn what_is_left_out_is_as_on_a_lan() {
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
    // Where the difficulty is fixed, a block takes what is wanted.
    assert_eq!(setup("network.half_life = 0\nmining.shares = [1]").hash_rates, [4_096 * 360]);
}

#[test]
fn links_are_spread_in_five_ways() {
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
        (minute(6), Change::Clock(node(3), Clock { offset_millis: -5, drift_ppm: 0 })),
        (minute(20), Change::Heal),
    ];
    assert_eq!(scenario.setup.changes, wanted);
    assert_eq!(scenario.late_events, 1);
    assert_eq!(scenario.events.first(), Some(&(minute(1), "partition")));
}

#[test]
fn what_is_wrong_is_said_in_one_line() {
    let cases: [(&str, &[&str]); 30] = [
        ("nodes = 3", &["line 8", "duplicate key"]),
        ("sed = 1", &["line 8", "unknown field `sed`", "`seed`"]),
        ("seed = -1", &["line 8: seed"]),
        ("seed = [", &["line 8"]),
        ("transactions_per_second = -1", &["transactions_per_second: choose from 0"]),
        ("transactions_per_second = nan", &["transactions_per_second: choose from 0"]),
        ("topology = \"ring\"", &["line 8", "unknown variant `ring`", "`full`"]),
        ("topology = { links = [[0, 12]] }", &["nodes 0 and 12"]),
        ("topology = { random = 1 }", &["cannot have 1 links"]),
        ("[network]\npreset = \"wan\"", &["no preset wan", "lan or dev"]),
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
fn times_that_no_run_takes() {
    for hours in [0.0, -1.0, f64::NAN, f64::INFINITY, 0.0001, 9_000.0] {
        let problem = parse(LEAST, Path::new("."), Overrides { hours: Some(hours), ..Overrides::default() });
        assert!(problem.is_err_and(|problem| problem.contains("is no time to run")), "{hours}");
    }
}

#[test]
fn every_shipped_scenario_says_what_it_is() {
    for name in shipped::NAMES {
        let scenario = Scenario::load(name, Overrides::default()).expect(name);
        assert_eq!(scenario.name, name);
        assert!(scenario.description.len() > 200 && scenario.late_events == 0, "{name}");
    }
    let internet = Scenario::load("internet", Overrides::default()).expect("shipped");
    assert_eq!(internet.setup.nodes, 1_000);
}
