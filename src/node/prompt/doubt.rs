//! A record that looks like a slip: it can't be taken back, so a person is asked whether it is meant.

use super::command::{Doubt, PromptCommand};
use super::input::Typed;
use super::render::recording_in_words;
use crate::node::api::error::{Code, Failure};

/// The question. Anything but yes means no.
pub(super) const QUESTION: &str = "record this text? [y/N] ";

/// A record that waits for a person's answer.
#[derive(Debug)]
pub(super) struct Doubtful {
    /// The command's name.
    pub(super) name: String,
    doubt: Doubt,
}

impl Doubtful {
    pub(super) fn new(name: String, doubt: Doubt) -> Self {
        Self { name, doubt }
    }

    /// The line before the question: what looks odd, and what would be recorded.
    pub(super) fn told(&self) -> String {
        let Doubt { word, problem, recording } = &self.doubt;
        let word = crate::text::excerpt(word);
        format!("{word}: {problem}. The text would be {}", recording_in_words(recording))
    }

    /// What the answer makes of it.
    pub(super) fn answered(self, answer: &Typed) -> Result<PromptCommand, Failure> {
        let yes = |answer: &str| ["y", "yes"].contains(&answer.trim().to_lowercase().as_str());
        match answer {
            Typed::Line(answer) if yes(answer) => Ok(PromptCommand::Record(self.doubt.recording)),
            _ => Err(Failure::new(Code::Cancelled, "nothing was recorded")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::node::prompt::command::{Recorded, Recording, parse};

    fn doubtful(line: &str) -> Option<Doubtful> {
        let parsed = parse(line)?;
        assert_eq!(parsed.command.is_err(), parsed.doubt.is_some(), "{line}: a script is refused");
        parsed.doubt.map(|doubt| Doubtful::new(parsed.name, doubt))
    }

    #[test]
    fn what_looks_like_a_slip_is_asked_about() {
        let slips = [
            "record hello --tag",
            "record hello --tag two words",
            "record hello --tags a",
            "record it costs --fee or not",
            "record --note hello",
            "record \u{2014} hello",
            "record \u{2212}5 degrees",
            "record \u{ff0d}tag a hello",
            "record \u{2010}\u{2010}tag a hello",
        ];
        for line in slips {
            let told = doubtful(line).expect(line).told();
            assert!(told.contains("The text would be \"") && told.ends_with(", no tags"), "{told}");
        }
        for line in
            ["record -5 degrees", "record - hello", "record a \u{2014} b", "record -- --tag", "record see -x --oneline"]
        {
            assert!(doubtful(line).is_none(), "{line}");
        }
    }

    #[test]
    fn only_yes_records_it() {
        let answered = |answer| doubtful("record --tag x a --tag").expect("a slip").answered(&answer);
        for yes in ["y", " YES\n", "Y"] {
            let wanted = Recording {
                what: Recorded::Text("a --tag".to_owned()),
                tags: vec!["x".parse().expect("a tag")],
                fee: None,
            };
            assert_eq!(answered(Typed::Line(yes.to_owned())), Ok(PromptCommand::Record(wanted)));
        }
        let no = |text: &str| Typed::Line(text.to_owned());
        for answer in [no("n"), no(""), no("yess"), no("mine"), Typed::Interrupted { empty: true }, Typed::End] {
            assert_eq!(answered(answer).map_err(|failure| failure.code), Err(Code::Cancelled));
        }
    }

    #[test]
    fn a_file_that_looks_like_a_slip_is_refused() {
        let parsed = parse("record @a.pdf --tags x").expect("a command");
        assert!(parsed.command.is_err() && parsed.doubt.is_none());
    }
}
