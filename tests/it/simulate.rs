//! `quipu simulate` as a process: exit statuses, the one line of JSON, and a page that a browser can read.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;

use crate::harness::{number, text};

/// Some seconds of real time even in a debug build.
const TINY: [&str; 4] = ["--nodes", "6", "--hours", "0.02"];

fn simulate(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_quipu"));
    command.arg("simulate").args(arguments).env_remove("QUIPU_JSON").output().expect("the program runs")
}

fn stdout(output: &Output) -> &str {
    std::str::from_utf8(&output.stdout).expect("text")
}

/// The only line on stdout.
fn object(output: &Output) -> Value {
    assert_eq!(stdout(output).lines().count(), 1, "{output:?}");
    serde_json::from_str(stdout(output)).expect("JSON")
}

fn path(path: &Path) -> &str {
    path.to_str().expect("a plain path")
}

/// The same seed gives the same line except for the real time, another seed another one.
pub(crate) fn a_seed_gives_the_same_run() {
    let run = |seed| {
        let output = simulate(&[&["lan", "--json", "--seed", seed], &TINY[..]].concat());
        assert_eq!(output.status.code(), Some(0), "{output:?}");
        let mut object = object(&output);
        assert!(object["wall_seconds"].take().is_number());
        object
    };
    let (one, again, other) = (run("7"), run("7"), run("8"));
    assert_eq!(one, again);
    assert_ne!(one["trace_hash"], other["trace_hash"]);
    assert_eq!((number(&one, "seed"), number(&one, "nodes"), text(&one, "scenario").as_str()), (7, 6, "lan"));
    assert!(one["virtual_seconds"].as_f64().is_some_and(|seconds| seconds >= 72.0));
    assert!(number(&one, "height") > 0 && number(&one, "messages") > 0 && number(&one, "bytes") > 0);
    assert_eq!((&one["agreed"], &one["interrupted"]), (&Value::Bool(true), &Value::Bool(false)));
    for field in ["p50", "p95", "p99"] {
        assert!(number(&one["propagation_ms"], field) < 1_000, "{one}");
    }
    assert_eq!(one["checks"]["broken"], Value::Null);
    assert_eq!(one["checks"]["blocks"], one["height"], "each block of the chain is judged once");
    assert!(one["reorg_depths"].is_object() && one["miners"].is_array() && one["stale_rate"].is_number());
}

/// People get a table, scripts an object, and a partition that is not healed is a disagreement.
pub(crate) fn a_partition_that_stays_is_status_1() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("cut.toml");
    let scenario = "name = \"cut\"\ndescription = \"Two halves.\"\nnodes = 4\nhours = 0.05\n\
                    [mining]\nminers = 4\nrule = \"equal\"\n[[events]]\nat = \"5s\"\npartition = [\"0-1\", \"2-3\"]\n";
    fs::write(&file, scenario).expect("written");
    let output = simulate(&[path(&file)]);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert!(stdout(&output).starts_with("cut: 4 nodes for 0:"), "{output:?}");
    assert!(stdout(&output).contains("\nall agree         NO"), "{output:?}");
}

/// Each mistake is one line, with status 2, before anything runs.
pub(crate) fn impossible_runs_are_status_2() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (scenario, precious) = (folder.path().join("bad.toml"), folder.path().join("precious.html"));
    fs::write(&scenario, "name = \"bad\"\ndescription = \"\"\nnodes = 4\nhours = \"long\"\n").expect("written");
    fs::write(&precious, "<html>mine</html>").expect("written");
    let cases: [(&[&str], &str, &str); 5] = [
        (&["nowhere.toml"], "bad_scenario", "lan, internet, partition"),
        (&[path(&scenario)], "bad_scenario", "line 4: hours"),
        (&["lan", "--nodes", "0"], "bad_scenario", "from 1 to"),
        (&["--show", "nothing"], "bad_scenario", "lan, internet, partition"),
        (&["lan", "--report", path(&precious)], "file_exists", "not a report"),
    ];
    for (arguments, code, words) in cases {
        let output = simulate(&[arguments, &["--json"]].concat());
        assert_eq!(output.status.code(), Some(2), "{output:?}");
        let error = &object(&output)["error"];
        assert_eq!(text(error, "code"), code);
        assert!(text(error, "message").contains(words), "{error}");
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(stderr.lines().count() == 1 && stderr.contains(words), "{stderr}");
    }
    assert_eq!(simulate(&["--nodes", "many"]).status.code(), Some(2));
    assert_eq!(fs::read_to_string(&precious).expect("still there"), "<html>mine</html>");
}

/// The page is well-formed, fetches nothing and replaces an earlier one.
pub(crate) fn a_report_is_one_well_formed_page() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("report.html");
    for seed in ["1", "2"] {
        let output = simulate(&[&["partition", "--seed", seed, "--report", path(&file)], &TINY[..]].concat());
        assert_eq!(output.status.code(), Some(0), "{output:?}");
        let page = fs::read_to_string(&file).expect("written");
        check_tags(&page);
        assert!(page.contains(&format!("seed {seed}")) && page.contains("partition = ["));
        assert_eq!(page.matches("<svg ").count(), page.matches("<figure").count());
        assert!(page.matches("<svg ").count() >= 5, "{page}");
        for word in ["<script", "src=", "href=", "url(", "@import", "NaN", "inf,"] {
            assert!(!page.contains(word), "{word}");
        }
    }
    assert_eq!(fs::read_dir(folder.path()).expect("a folder").count(), 1, "nothing temporary stays");
}

/// Every tag is closed, in the right order, and outside of tags there is no stray `<`.
fn check_tags(page: &str) {
    let mut open = Vec::new();
    let mut rest = page.strip_prefix("<!DOCTYPE html>\n").expect("a page of HTML");
    while let Some(at) = rest.find('<') {
        rest = &rest[at + 1..];
        if let Some(comment) = rest.strip_prefix("!--") {
            rest = comment.split_once("-->").expect("a closed comment").1;
            continue;
        }
        let (tag, after) = rest.split_once('>').expect("a closed tag");
        assert!(!tag.contains('<') && tag.matches('"').count() % 2 == 0, "{tag}");
        match tag.strip_prefix('/') {
            Some(name) => assert_eq!(open.pop(), Some(name), "{tag}"),
            None if tag.ends_with('/') => {}
            None => open.push(tag.split_whitespace().next().expect("a name")),
        }
        rest = after;
    }
    assert_eq!(open, [""; 0], "all are closed");
}

/// The list names runnable scenarios, and a shown one can be run as a file.
pub(crate) fn shown_scenarios_can_be_run() {
    let list = simulate(&["--list", "--json"]);
    let names: Vec<String> =
        object(&list).as_array().expect("a list").iter().map(|scenario| text(scenario, "name")).collect();
    assert_eq!(names, ["lan", "internet", "partition", "selfish", "shock", "slow", "churn"]);
    for name in &names {
        assert!(stdout(&simulate(&["--list"])).contains(&format!("{name}: ")));
    }
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("mine.toml");
    fs::write(&file, &simulate(&["--show", "slow"]).stdout).expect("written");
    let (mine, shipped) = (
        object(&simulate(&[&[path(&file), "--json"], &TINY[..]].concat())),
        object(&simulate(&[&["slow", "--json"], &TINY[..]].concat())),
    );
    assert_eq!(mine["trace_hash"], shipped["trace_hash"]);
}

/// Ctrl-C reports the results so far.
#[cfg(unix)]
pub(crate) fn an_interrupted_run_reports_its_results_so_far() {
    use std::io::{BufRead, BufReader, Read};
    use std::process::Stdio;

    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("long.toml");
    // Events after the end are reported on stderr, when signal handlers are set and the run begins.
    let scenario = "name = \"long\"\ndescription = \"\"\nnodes = 3\nhours = 8000\n\
                    [[events]]\nat = \"9000h\"\nheal = true\n";
    fs::write(&file, scenario).expect("written");
    let mut command = Command::new(env!("CARGO_BIN_EXE_quipu"));
    command.args(["simulate", path(&file), "--json"]).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("the program runs");
    let mut line = String::new();
    BufReader::new(child.stderr.take().expect("piped")).read_line(&mut line).expect("readable");
    assert!(line.contains("1 event would come after the end"), "{line}");
    let process = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(process, rustix::process::Signal::INT).expect("it runs");
    let mut stdout = String::new();
    child.stdout.take().expect("piped").read_to_string(&mut stdout).expect("readable");
    assert_eq!(child.wait().expect("it ends").code(), Some(130));
    let object: Value = serde_json::from_str(&stdout).expect("JSON");
    assert_eq!(object["interrupted"], true);
}
