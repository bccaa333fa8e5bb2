//! Scenario scripts, written by people for `scripts/scenario`.

#[path = "../../it/scenario/language/mod.rs"]
mod language;

use std::io::Write;

use self::language::question::{Comparison, Question};
use self::language::script::{Expectation, ExpectedAnswer, NodeSelection, Script, ScriptStep};
use self::language::values::Values;
use super::texts::one_line;

/// The limits of the language.
const NODES_MAX: usize = 12;
const STEPS_MAX: usize = 10_000;

/// A script is accepted, with every name known and everything within bounds, or refused in one line that begins with
/// the file.
pub(crate) fn scenarios(data: &[u8]) {
    let mut file = tempfile::NamedTempFile::new().expect("a temporary file");
    file.write_all(data).expect("a new file can be written");
    match Script::open(file.path()) {
        Ok(script) => check(&script, std::str::from_utf8(data).expect("a script is text")),
        Err(error) => {
            let error = error.to_string();
            assert!(error.starts_with(&file.path().display().to_string()), "it says where: {error:?}");
            one_line(&error);
        }
    }
}

fn check(script: &Script, text: &str) {
    assert!(script.nodes.len() <= NODES_MAX && script.lines.len() <= STEPS_MAX);
    let mut values = Values::default();
    let mut started = Vec::new();
    for line in &script.lines {
        assert!(line.number <= text.lines().count() && line.number > 0, "the line is there");
        if let ScriptStep::Start { nodes, .. } = &line.step {
            started.extend(nodes.clone());
        }
        for node in named(&line.step) {
            assert!(started.contains(node), "{node} is named and not started: {line:?}");
        }
        check_step(&line.step, &mut values);
    }
    assert_eq!(started, script.nodes, "nodes start in this order");
}

/// The nodes that a step names.
fn named(step: &ScriptStep) -> Vec<&String> {
    match step {
        ScriptStep::Start { nodes, key_of, .. } => nodes.iter().chain(key_of).collect(),
        ScriptStep::Connect(from, to) | ScriptStep::Hamper { from, to, .. } => vec![from, to],
        ScriptStep::Type { node, .. } | ScriptStep::Keep { node, .. } => vec![node],
        ScriptStep::Cut(sides) => sides.iter().flatten().collect(),
        ScriptStep::Kill(nodes) | ScriptStep::Stop(nodes) | ScriptStep::Restart(nodes) => nodes.iter().collect(),
        ScriptStep::Expect { who: NodeSelection::Some(nodes), .. } => nodes.iter().collect(),
        ScriptStep::Expect { who: NodeSelection::All, .. } | ScriptStep::Heal | ScriptStep::WaitBlocks { .. } => {
            Vec::new()
        }
    }
}

/// Checks that each `$NAME` was kept before, and that a question reads as it was written.
fn check_step(step: &ScriptStep, values: &mut Values) {
    match step {
        ScriptStep::Type { command, answer, .. } => {
            assert!(!command.is_empty());
            fill(values, command);
            if let ExpectedAnswer::Kept(name) = answer {
                values.keep(name, serde_json::json!({ "id": "1" }));
            }
        }
        ScriptStep::Keep { question, name, .. } => {
            check_question(question, values);
            values.keep(name, "1".into());
        }
        ScriptStep::Expect { what: Expectation::Says { question, comparison, value }, .. } => {
            check_question(question, values);
            fill(values, value);
            assert_eq!(Comparison::split(&format!("a {} b", comparison.sign())), Some(("a", *comparison, "b")));
            assert!(Comparison::Equal.holds(value, value), "{value:?} is itself");
        }
        _ => {}
    }
}

fn check_question(question: &Question, values: &Values) {
    assert_eq!(Question::parse(&question.text()).as_ref(), Ok(question), "a shown question parses to the same");
    fill(values, &question.argument);
}

fn fill(values: &Values, text: &str) {
    // A missing field is only noticed when it is looked up.
    if let Err(problem) = values.fill(text) {
        assert!(problem.contains(" has no `"), "it was kept before: {problem}");
        one_line(&problem);
    }
}
