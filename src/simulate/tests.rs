use super::*;

/// Small enough for a build without optimisation.
const TINY: Overrides = Overrides { nodes: Some(5), hours: Some(0.01), seed: Some(3), threads: None };

fn run_tiny(name: &str) -> (Scenario, RunFacts) {
    let scenario = Scenario::load(name, TINY).expect(name);
    let facts = simulate(&scenario, &|| false).expect(name);
    (scenario, facts)
}

#[test]
fn every_shipped_scenario_runs() {
    for name in shipped::NAMES {
        let (_, facts) = run_tiny(name);
        assert!(facts.summary.agreed && facts.summary.virtual_seconds >= 36.0 && !facts.interrupted, "{name}");
        assert_eq!(facts.messages.len(), 5);
        assert_eq!(facts.messages.iter().sum::<u64>(), facts.summary.messages);
        assert_eq!(facts.chain.len() as u64, facts.summary.height);
        assert!(facts.checks.broken.is_none(), "{name}: {:?}", facts.checks.broken);
        assert!(facts.checks.blocks as u64 >= facts.summary.height, "{name}: {}", facts.checks.blocks);
    }
}

/// Blocks come faster than they spread, so all nodes agree at hardly any moment.
#[test]
fn a_run_gets_time_to_settle() {
    let text = "name = \"far\"\ndescription = \"\"\nnodes = 6\nhours = 0.1\ntopology = { links = [[0, 1], [1, 2], [2, 3], \
                [3, 4], [4, 5]] }\nlinks.latency_ms = 900\nmining.shares = [1, 0, 0, 1, 0, 1]\nmining.hash_rate = 2400\n";
    let run = |seed| {
        let overrides = Overrides { seed: Some(seed), ..Overrides::default() };
        let scenario = scenario::parse(text, std::path::Path::new("."), overrides).expect("valid");
        let facts = simulate(&scenario, &|| false).expect("possible");
        assert!(facts.summary.agreed, "{:?}", facts.summary);
        facts
    };
    // Some happen to agree just when the time is over.
    let facts = (1..=8).map(run).find(|facts| facts.summary.virtual_seconds > 360.0).expect("a run that settles later");
    let rates: Vec<f64> = facts.summary.miners.iter().map(|miner| miner.hash_rate).collect();
    assert!(rates.iter().all(|rate| (rate - 1.0 / 3.0).abs() < 1e-6), "{rates:?}");
}

/// Each span of constant hash rates has a line with the formula's result.
#[test]
fn a_selfish_miner_has_a_line_for_each_hash_rate() {
    let text = "name = \"short\"\ndescription = \"\"\nnodes = 4\nhours = 0.5\ntopology = \"full\"\nlinks.latency_ms = 2\n\
                network.half_life = 0\nnetwork.target_spacing = 2_000\nmining.shares = [1, 1, 1, 1]\n\
                [[adversaries]]\nnodes = 0\nkind = \"selfish\"\n\
                [[events]]\nat = \"15m\"\nhash_rate = { nodes = 0, share = 0.4 }\n";
    let scenario = scenario::parse(text, std::path::Path::new("."), Overrides::default()).expect("valid");
    let facts = simulate(&scenario, &|| false).expect("possible");
    assert!(facts.summary.agreed && facts.checks.broken.is_none(), "{:?}", facts.checks);
    let [first, second] = &facts.selfish[..] else { panic!("{:?}", facts.selfish) };
    assert_eq!([first.hash_rate, second.hash_rate], [0.25, 0.4]);
    for phase in [first, second] {
        let (formula, error) = (phase.formula.expect("alone"), phase.chain_error.expect("many blocks"));
        assert!((phase.chain - formula).abs() < 5.0 * error, "{phase:?}");
    }
    let text = summary::text(&scenario, &facts);
    assert!(text.contains("node 0, from 0:15:00       40.0 %"), "{text}");
}

/// Whatever adversaries do, the judge finds nothing, and the honest nodes agree.
#[test]
fn adversaries_of_every_kind_break_nothing() {
    let kinds = ["double_spend\"\npayee = \"1", "eclipse", "spam", "timestamp", "liar", "equivocate", "selfish"];
    for kind in kinds {
        let text = format!(
            "name = \"bad\"\ndescription = \"\"\nnodes = 6\nhours = 0.1\ntransactions_per_second = 1\n[mining]\nminers = 3\n\
             [[adversaries]]\nnodes = 0\nkind = \"{kind}\"\n"
        );
        let text = text.replace("payee = \"1\"", "payee = 1");
        // With the second seed, a node gives up a transaction whose coins are gone, sends another one with its nonce,
        // and finds the first one mined.
        for seed in [1, 576] {
            let overrides = Overrides { seed: Some(seed), ..Overrides::default() };
            let scenario = scenario::parse(&text, std::path::Path::new("."), overrides).expect(kind);
            let facts = simulate(&scenario, &|| false).expect("possible");
            assert!(facts.summary.agreed && facts.checks.broken.is_none(), "{kind}, {seed}: {:?}", facts.checks);
        }
    }
}

#[test]
fn an_interruption_ends_a_run_at_the_next_second() {
    let scenario = Scenario::load("lan", Overrides { hours: Some(100.0), ..TINY }).expect("shipped");
    let facts = simulate(&scenario, &|| true).expect("possible");
    assert!(facts.interrupted);
    assert_eq!(facts.summary.virtual_seconds, 1.0);
    assert!(summary::text(&scenario, &facts).contains("(stopped early)"));
}

#[test]
fn the_table_has_every_number() {
    let (scenario, facts) = run_tiny("lan");
    let text = summary::text(&scenario, &facts);
    assert!(text.starts_with("lan: 5 nodes for 0:00:"), "{text}");
    for word in ["all agree", "propagation", "stale", &facts.summary.trace_hash, "node 4", "best chain"] {
        assert!(text.contains(word), "{word}: {text}");
    }
}

#[test]
fn a_report_replaces_a_report_and_nothing_else() {
    let (scenario, facts) = run_tiny("lan");
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("report.html");
    for _ in 0..2 {
        report::write(&file, &scenario, &facts).expect("written");
    }
    std::fs::write(&file, "precious").expect("written");
    let error = report::write(&file, &scenario, &facts).expect_err("it is no report");
    assert_eq!(error.code(), "file_exists");
    assert_eq!(std::fs::read_to_string(&file).expect("still there"), "precious");
    let nowhere = folder.path().join("no/such.html");
    assert_eq!(report::write(&nowhere, &scenario, &facts).expect_err("no folder").code(), "write_failed");
}

#[test]
fn times_and_sizes() {
    assert_eq!([summary::clock(59_999), summary::clock(3_725_000)], ["0:00:59", "1:02:05"]);
    assert_eq!([12.0, 1_500.0, 2e6, 3e9].map(summary::bytes), ["12 B", "1.5 kB", "2.0 MB", "3.0 GB"]);
    assert_eq!(summary::percent(0.025), "2.5 %");
}
