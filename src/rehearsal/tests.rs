//! Typed lines, their effects, and that both are the same each time. Whole scripts are in `tests/scenarios`.

use serde_json::Value;
use tempfile::TempDir;

use super::*;
use crate::protocol::Parameters;
use crate::sim::link::Quality;

const MINUTE: Millis = Millis::from_secs(60);

/// Two connected nodes on the network `dev`.
struct Two {
    rehearsal: Rehearsal,
    nodes: [NodeId; 2],
    folder: TempDir,
}

impl Two {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let network = Network::new(Parameters::dev()).expect("a preset is valid");
        let mut rehearsal = Rehearsal::new(network, 7);
        let nodes = ["a", "b"].map(|name| {
            let node = rehearsal.add(name, &folder.path().join(name), folder.path(), Sources::default());
            rehearsal.start(node).expect("a new folder");
            node
        });
        rehearsal.world().link_with(nodes[0], nodes[1], Quality::default());
        let mut two = Self { rehearsal, nodes, folder };
        two.run(Millis::from_secs(1));
        two
    }

    fn run(&mut self, span: Millis) {
        self.rehearsal.run(span).expect("the disk has room");
    }

    fn type_line(&mut self, node: NodeId, line: &str) -> Value {
        let answer = self.rehearsal.type_line(node, line, MINUTE).expect("the disk has room");
        serde_json::from_str(&answer.expect("an answer")).expect("JSON")
    }

    fn events(&mut self, node: NodeId, name: &str) -> Vec<Value> {
        let lines = self.rehearsal.events(node).expect("the disk has room");
        let events = lines.iter().map(|line| serde_json::from_str(line).expect("JSON"));
        events.filter(|event: &Value| event["event"] == name).collect()
    }
}

#[test]
fn a_typed_line_goes_through_the_nodes_own_prompt() {
    let mut two = Two::new();
    let [a, b] = two.nodes;
    assert_eq!(two.events(b, "ready")[0]["listen"], serde_json::json!([two.rehearsal.front(b).handle().listen()[0]]));
    let mined = two.type_line(a, "mine 3");
    assert_eq!(mined["result"]["blocks"].as_array().map(Vec::len), Some(3));
    two.run(MINUTE);
    assert_eq!(two.type_line(b, "status")["result"]["height"], 3);
    assert_eq!(two.type_line(b, "status")["result"]["peers"], 1);
    assert_eq!(two.type_line(b, "peers")["result"][0]["name"], "a");
    assert_eq!(
        two.events(b, "tip").last().map(|tip| tip["id"].clone()),
        Some(mined["result"]["blocks"][2]["id"].clone())
    );
    assert_eq!(two.type_line(b, "chain")["result"]["length"], 4);
    assert_eq!(two.type_line(b, "connect /memory/0")["error"]["code"], "connect_failed");
    assert_eq!(two.type_line(b, "mien")["error"]["code"], "unknown_command");
    assert_eq!(two.rehearsal.type_line(b, " ", MINUTE).expect("the disk has room"), None);
}

/// The virtual clock starts an hour after genesis, whatever the machine's clock says; files are in the caller's folder.
#[test]
fn the_prompt_has_the_virtual_clock_and_a_folder_for_its_files() {
    let mut two = Two::new();
    let [a, _] = two.nodes;
    let noon = two.rehearsal.world().time_of_day(a);
    assert_eq!(noon, two.rehearsal.world().network().parameters().genesis_time + CLOCK_START + two.rehearsal.now());
    let id = two.type_line(a, "record the old one")["result"]["id"].as_str().expect("an id").to_owned();
    two.type_line(a, "mine");
    two.run(Millis::from_secs(7200));
    two.type_line(a, "record the new one");
    two.type_line(a, "mine");
    let lately = two.type_line(a, "records --since 1h");
    assert_eq!(lately["result"]["records"].as_array().map(Vec::len), Some(1), "{lately}");
    assert_eq!(two.type_line(a, &format!("receipt {id} proof.json"))["ok"], true);
    assert!(two.folder.path().join("proof.json").is_file());
}

/// An answered command survives a power cut; a node that stops in order writes everything.
#[test]
fn a_node_starts_again_from_its_folder() {
    let mut two = Two::new();
    let [a, b] = two.nodes;
    let tip = two.type_line(a, "mine 5")["result"]["blocks"][4]["id"].clone();
    two.rehearsal.kill(a).expect("the disk has room");
    two.rehearsal.run(MINUTE).expect("the disk has room");
    assert_eq!(two.type_line(b, "status")["result"]["peers"], 0);
    two.rehearsal.start(a).expect("its own folder");
    assert_eq!(two.type_line(a, "status")["result"]["tip"], tip);
    two.run(MINUTE);
    assert_eq!(two.type_line(a, "status")["result"]["peers"], 1);
    two.type_line(b, "mine 2");
    two.rehearsal.stop(b).expect("the disk has room");
    two.rehearsal.start(b).expect("its own folder");
    assert_eq!(two.type_line(b, "status")["result"]["height"], 7);
    assert!(two.events(b, "fatal").is_empty());
}

#[test]
fn a_late_answer_is_none() {
    let mut two = Two::new();
    let [a, _] = two.nodes;
    two.rehearsal.world().set_hash_rate(a, HashRate::PerHour(0));
    let begun = two.rehearsal.now();
    assert_eq!(two.rehearsal.type_line(a, "mine", MINUTE).expect("the disk has room"), None);
    assert!(two.rehearsal.now() >= begun + MINUTE);
    // The prompt is still usable.
    assert_eq!(two.type_line(a, "mine")["error"]["code"], "busy");
}

#[test]
fn the_same_lines_have_the_same_effects() {
    let play = || {
        let mut two = Two::new();
        let [a, b] = two.nodes;
        let mut said = vec![two.type_line(a, "mine 4"), two.type_line(b, "record x"), two.type_line(b, "mine on")];
        two.run(Millis(200));
        said.push(two.type_line(a, "chain"));
        (said, two.rehearsal.world().trace_hash())
    };
    let first = play();
    assert_eq!(first, play());
    assert!(first.0[3]["result"]["length"].as_u64() > Some(10), "{:?}", first.0[3]);
}
