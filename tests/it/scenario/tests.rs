//! The language by itself, failures in the form that people get, and the agreement of all stages.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};

use super::question::Comparison;
use super::real::{Ground, Processes};
use super::runner::{Runner, Stage, run};
use super::script::{Expectation, ExpectedAnswer, NodeSelection, Script, ScriptStep};
use super::simulated::Simulated;
use super::values::Values;

/// All tests in here by name.
pub(super) const ALL: [(&str, fn()); 9] = [
    ("a_script_is_read", a_script_is_read),
    ("bad_lines_are_refused_in_words", bad_lines_are_refused_in_words),
    ("kept_values_are_filled_in", kept_values_are_filled_in),
    ("answers_are_compared_by_their_kind", answers_are_compared_by_their_kind),
    ("a_failure_says_what_was_expected_and_seen", a_failure_says_what_was_expected_and_seen),
    ("a_slow_a_stalled_and_a_one_way_link", a_slow_a_stalled_and_a_one_way_link),
    ("a_simulated_script_is_the_same_each_time", a_simulated_script_is_the_same_each_time),
    ("both_stages_have_the_same_result", both_stages_have_the_same_result),
    ("a_command_that_takes_too_long_is_reported", a_command_that_takes_too_long_is_reported),
];

fn parse(text: &str) -> Result<Script, String> {
    Script::parse(Path::new("test.scn"), text).map_err(|error| error.to_string())
}

/// Comments, repetitions and times.
fn a_script_is_read() {
    let script = parse(
        "# nothing\n\nnetwork lan # the slow one\nstart a b\nlet x = a: record pallet #7\nrepeat 2\n  b: record $round of $x\nend\n\
         cut a | rest\nexpect a b records --tag t >= 2 within 5s",
    )
    .expect("a good script");
    assert_eq!((script.network.as_str(), script.nodes.as_slice()), ("lan", ["a", "b"].map(str::to_owned).as_slice()));
    let numbers: Vec<_> = script.lines.iter().map(|line| line.number).collect();
    assert_eq!(numbers, [4, 5, 7, 7, 9, 10]);
    let steps: Vec<_> = script.lines.into_iter().map(|line| line.step).collect();
    let typed =
        |node: &str, command: &str, answer| ScriptStep::Type { node: node.into(), command: command.into(), answer };
    assert_eq!(steps[1], typed("a", "record pallet #7", ExpectedAnswer::Kept("x".into())));
    assert_eq!(
        steps[2..4],
        [typed("b", "record 1 of $x", ExpectedAnswer::Done), typed("b", "record 2 of $x", ExpectedAnswer::Done)]
    );
    assert_eq!(steps[4], ScriptStep::Cut(vec![vec!["a".into()], vec!["b".into()]]));
    let ScriptStep::Expect { who, what: Expectation::Says { question, comparison, value }, within } = &steps[5] else {
        panic!("{:?}", steps[5]);
    };
    assert_eq!(
        (who, question.text()),
        (&NodeSelection::Some(vec!["a".into(), "b".into()]), "records --tag t".to_owned())
    );
    assert_eq!((comparison, value.as_str(), *within), (&Comparison::AtLeast, "2", Duration::from_secs(5)));
}

/// Each error has its line, the problem, and if possible the probable intention.
fn bad_lines_are_refused_in_words() {
    let cases = [
        ("start a\nstrt b", "test.scn:2: `strt` is not a step: did you mean `start`?"),
        (
            "start a\nfrobnicate",
            "test.scn:2: `frobnicate` is not a step: a line is `NODE: COMMAND` or begins with one of",
        ),
        ("start alice\nalise: mine", "no node is called `alise`: did you mean `alice`?"),
        ("start alice\nalice mine", "after the node's name comes a colon"),
        ("a: mine", "no node was started yet"),
        ("start a a", "a was started before"),
        ("start a\nstart b c as a", "one node at a time"),
        ("start a\nstart b as c", "no node is called `c`"),
        ("start all", "`all` means something else"),
        ("start A", "can't be a node's name"),
        ("start a b c d e f g h i j k l m", "more than 12 nodes"),
        ("start a\nnetwork dev", "before the first start"),
        ("start a\na:", "nothing is typed"),
        ("start a\na! mine", "with which code"),
        ("start a\na: record $x", "nothing is kept as $x: `let x = …` first"),
        ("start a\nlet pallet = a: record x\na: watch $palet", "nothing is kept as $palet: did you mean $pallet?"),
        ("start a\na: record $round", "$round stands only between"),
        ("start a\nlet 1 = a: mine", "can't be kept under"),
        ("start a\nlet x = a! mine -> busy", "a refusal has nothing"),
        ("start a b c\ncut a | b", "on which side is c?"),
        ("start a b\ncut a b", "two sides or more"),
        ("start a b\ncut a b | b", "b can't be on two sides"),
        ("start a b\nslow a | b", "by 100ms"),
        ("start a b\nslow a | b by 100", "`100` is not a time"),
        ("start a b\nstall a b", "between which two?"),
        ("start a\nheal a", "heal takes nothing"),
        ("start a\nkill", "which node?"),
        ("start a\nkill a a", "a stands there twice"),
        ("start a\nwait 3 seconds", "no node is called `3`"),
        ("start a\nwait a pending 3", "`expect` waits for all else"),
        ("start a b\nexpect all b height = 1", "`b` is nothing that a node knows"),
        ("start a\nexpect a hieght = 3", "`hieght` is nothing that a node knows: did you mean `height`?"),
        ("start a\nexpect a height", "compared with what?"),
        ("start a\nexpect a height =", "compared with what?"),
        ("start a\nexpect a height 5 = 5", "write it as `height`"),
        ("start a\nexpect a state = gone", "write it as `state $ID`"),
        ("start a\nexpect all agree within soon", "`soon` is not a time"),
        ("start a\nexpect refusal busy", "mark the line that must fail"),
        ("start a\nexpect receipt x", "holds|fails"),
        ("repeat 2\nstart a", "test.scn:1: this repeat has no `end`"),
        ("repeat x\nend", "`x` is not a number of times"),
        ("end", "no repeat that could end here"),
        ("start a\nrepeat 2\nrepeat 2\nend\nend", "can't stand in another one"),
        ("start a\nrepeat 20000\na: mine\nend", "more than 10000 steps"),
        ("repeat 18446744073709551615\nnetwork dev\nend", "more than 10000 steps"),
        ("start a\nlet x\u{1b}[2J = a: mine", "`x\\u{1b}[2J` can't be kept under"),
    ];
    for (text, wanted) in cases {
        let problem = parse(text).expect_err(text);
        assert!(problem.contains(wanted) && problem.lines().count() == 1, "{text:?}: {problem}");
    }
    let missing = Script::open(Path::new("/nowhere.scn")).expect_err("there is no such file").to_string();
    assert!(missing.starts_with("/nowhere.scn: cannot be read: "), "{missing}");
}

/// An answer stands for its id, fields can be named, and a dollar sign can be written.
fn kept_values_are_filled_in() {
    let mut values = Values::default();
    values.keep("pay", json!({"id": "ab", "fees": [{"coins": "0.5"}], "height": 3}));
    values.keep("tip", json!("cd"));
    let cases = [
        ("watch $pay", Ok("watch ab")),
        ("$pay.fees.0.coins/$pay.height", Ok("0.5/3")),
        ("paid with $pay.", Ok("paid with ab.")),
        ("$tip$tip", Ok("cdcd")),
        ("costs $5, $$pay, $", Ok("costs $5, $pay, $")),
        ("$pay.fee", Err("$pay has no `fee`")),
        ("$pai", Err("nothing is kept as $pai")),
    ];
    for (text, wanted) in cases {
        match (values.fill(text), wanted) {
            (Ok(seen), Ok(wanted)) => assert_eq!(seen, wanted, "{text}"),
            (Err(seen), Err(wanted)) => assert!(seen.contains(wanted), "{text}: {seen}"),
            (seen, wanted) => panic!("{text}: {seen:?}, not {wanted:?}"),
        }
    }
}

/// Numbers are compared as numbers, whatever their decimals; other texts as text.
fn answers_are_compared_by_their_kind() {
    let cases = [
        ("2.50 = 2.5", true),
        ("10 > 9", true),
        ("0.00000001 <= 0", false),
        ("184467440737.09551615 < 184467440737.09551616", true),
        ("184467440737.09551616 < 184467440737.09551615", false),
        ("3 >= 3", true),
        ("3 != 3.0", false),
        ("none = none", true),
        ("none != 3", true),
        ("none >= 3", false),
        ("1.123456789 = 1.123456789", true),
    ];
    for (text, wanted) in cases {
        let (left, comparison, right) = Comparison::split(text).expect(text);
        assert_eq!(comparison.holds(left, right), wanted, "{text}");
    }
}

/// The failure of a script in the form that people read, on each stage.
fn fails(text: &str) -> [String; 2] {
    fn failure<S: Stage>(script: &Script, stage: S) -> String {
        run(script, stage, &mut |_, _| {}).err().expect("the script is wrong").to_string()
    }
    let script = parse(text).unwrap_or_else(|problem| panic!("{problem}"));
    [failure(&script, Processes::new(&script, Ground::loopback())), failure(&script, simulated(&script))]
}

fn simulated(script: &Script) -> Simulated {
    Simulated::new(script).unwrap_or_else(|problem| panic!("{problem}"))
}

/// Runs a script that must succeed.
fn play<S: Stage>(script: &Script, stage: S) -> Runner<S> {
    run(script, stage, &mut |_, _| {}).unwrap_or_else(|failure| panic!("{failure}"))
}

/// File, line, step, the expected and the observed state, and the nodes' last events.
fn a_failure_says_what_was_expected_and_seen() {
    for seen in fails("start a b\n\na: mine 2\nexpect b height = 3 within 300ms") {
        for part in [
            "test.scn:4: expect b height = 3 within 300ms",
            "expected: height = 3, within 300ms",
            "seen:     b: 2",
            "node b:",
            "\"event\":\"tip\"",
        ] {
            assert!(seen.contains(part), "{part}: {seen}");
        }
    }
    let cases = [
        ("a: tx b 5", "refused with insufficient_balance"),
        ("a! mine -> busy", "it works: {\"blocks\""),
        ("a! tx b 5 -> pool_full", "`tx b 5` is refused with pool_full"),
        ("restart b", "it runs"),
        ("kill a b\nexpect all agree", "there is none"),
        ("b: quit\nb: mine", "`restart b` first"),
        ("cut a | b\nstart c", "on no side"),
        ("cut a | b\na: mine\nexpect all agree within 200ms", "b: 0 "),
        ("connect a b", "they have one"),
        ("start c apart\nstall a | c", "there is none"),
        ("let x = a: status\nb: record $x", "$x has no `id`"),
        ("expect receipt none.json holds", "none.json cannot be read"),
    ];
    for (lines, wanted) in cases {
        for seen in fails(&format!("start a b\n{lines}")) {
            assert!(seen.contains(wanted), "{lines}: {seen}");
        }
    }
}

/// Held messages do not arrive, slow ones do, and after `heal` all is as before. A fault outlives a new cut.
fn a_slow_a_stalled_and_a_one_way_link() {
    let script = parse(
        "start a b\nslow a | b by 20ms\na: mine 2\nexpect all agree\nheal\n\
         stall a | b\nb: mine\nheal\nexpect a height = 3\n\
         cut a -> b\na: mine\nexpect a b peers = 0\nexpect b height = 3\nheal\nexpect b height = 4\n\
         start c\nstall a | b\ncut a b | c\na: mine\nexpect b height = 4\ncut a | b c\nexpect b height = 4\nheal\n\
         expect all height = 5",
    );
    let script = script.unwrap_or_else(|problem| panic!("{problem}"));
    play(&script, Processes::new(&script, Ground::loopback()));
    play(&script, simulated(&script));
}

fn shipped(name: &str) -> Script {
    Script::open(&Path::new(super::FOLDER).join(format!("{name}.scn"))).unwrap_or_else(|problem| panic!("{problem}"))
}

/// Down to the last message: the same ids in all answers, and the same trace.
fn a_simulated_script_is_the_same_each_time() {
    for name in ["crash-while-mining", "double-spend", "free-under-load"] {
        let script = shipped(name);
        let once = || {
            let mut runner = play(&script, simulated(&script));
            (runner.stage.trace_hash(), facts(&mut runner, |node| vec![format!("block {}", node["height"])]))
        };
        assert_eq!(once(), once(), "{name}");
    }
}

/// The final state of all nodes, as far as it does not depend on the time of day.
fn both_stages_have_the_same_result() {
    for name in ["chain-of-custody", "double-spend", "fork-and-heal", "kill-all", "wallets-and-names"] {
        let script = shipped(name);
        let real = told(&mut play(&script, Processes::new(&script, Ground::loopback())));
        assert_eq!(told(&mut play(&script, simulated(&script))), real, "{name}");
    }
}

/// Heights, pending transactions, balances and nonces of all, texts and tags of all records.
fn told<S: Stage>(runner: &mut Runner<S>) -> BTreeMap<String, Vec<String>> {
    let names: Vec<_> = runner.accounts.keys().cloned().collect();
    let told =
        facts(runner, |_| names.iter().map(|name| format!("balance {name}")).chain(["records".to_owned()]).collect());
    let kept = |answer: &Value| {
        let records = answer["records"].as_array().into_iter().flatten();
        let records: Vec<_> = records.map(|record| json!([record["text"], record["json"], record["tags"]])).collect();
        let fields = ["height", "pending", "peers", "wallet", "locked", "balance", "nonce"].map(|field| &answer[field]);
        format!("{} {}", json!(fields), json!(records))
    };
    told.into_iter().map(|(name, answers)| (name, answers.iter().map(kept).collect())).collect()
}

/// The status of each node, and its answers to the lines that are made of it.
fn facts<S: Stage>(runner: &mut Runner<S>, lines: impl Fn(&Value) -> Vec<String>) -> BTreeMap<String, Vec<Value>> {
    let mut facts = BTreeMap::new();
    for name in runner.stage.running() {
        let mut ask = |line: &str| runner.tell(&name, line).unwrap_or_else(|trouble| panic!("{trouble:?}"));
        let mut answers = vec![ask("status")];
        for line in lines(&answers[0]) {
            answers.push(ask(&line));
        }
        facts.insert(name, answers);
    }
    facts
}

/// On a network with far too hard a target nothing is mined, and virtual time does not go on for ever.
fn a_command_that_takes_too_long_is_reported() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let hard = std::fs::read_to_string(Path::new(super::FOLDER).join("lesson.toml")).expect("it is shipped");
    let hard = hard.replace("0x1e1fffff", "0x15010000");
    std::fs::write(folder.path().join("hard.toml"), hard).expect("a new folder takes a file");
    let script =
        Script::parse(&folder.path().join("x.scn"), "network hard.toml\nstart a\na: mine").expect("a good script");
    let failure = run(&script, simulated(&script), &mut |_, _| {}).err().expect("it takes ages").to_string();
    assert!(
        failure.contains("an answer to `mine` at a, within 300s") && failure.contains("no answer at all"),
        "{failure}"
    );
}
