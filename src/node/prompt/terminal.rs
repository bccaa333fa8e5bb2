//! The line editor: history, hints, and the keys for completion. Nothing is typed here that must stay secret.

use std::borrow::Cow;
use std::cell::Cell;
use std::collections::VecDeque;
use std::io::Write;
use std::path::{Path, PathBuf};

use rustyline::completion::{Completer, Pair};
use rustyline::error::ReadlineError;
use rustyline::highlight::Highlighter;
use rustyline::hint::{Hint, Hinter};
use rustyline::history::FileHistory;
use rustyline::validate::Validator;
use rustyline::{ColorMode, CompletionType, Config, Context, Editor, ExternalPrinter, Helper};

use super::PROMPT;
use super::command::{COMMANDS, find, parse};
use super::completion::{Completions, Known, Offer, complete};
use super::input::{Input, Typed};
use crate::node::api::error::{Code, Failure};
use crate::text::{Style, Tone};

const HISTORY_FILE: &str = "history";
const HISTORY_LINES_MAX: usize = 1000;

/// Whether a line may be kept on disk: a command, and none about a key that could not be understood. People type passwords
/// where none is asked for.
fn is_worth_keeping(line: &str) -> bool {
    let Some(parsed) = parse(line) else { return false };
    let is_about_a_key = |name: &str| ["lock", "unlock", "wallet"].contains(&name);
    find(&parsed.name).is_some_and(|entry| parsed.command.is_ok() || !is_about_a_key(entry.name))
}

/// The answer to several lines that were pasted behind typed text.
const MIXED: &str = "several lines were pasted behind typed text: none of them was carried out or recorded. A record at the \
    prompt is one line: put the text into a file, and `record @FILE`. Commands are pasted on an empty line";

/// Takes the terminal, or says why it can't be used: stdin or stdout is none, or one without a cursor.
pub(super) fn open(
    folder: &Path,
    style: Style,
    known: Known,
) -> Result<(Input, impl ExternalPrinter + Send + 'static), ReadlineError> {
    let config = Config::builder()
        .max_history_size(HISTORY_LINES_MAX)?
        .history_ignore_dups(true)?
        .history_ignore_space(true)
        .completion_type(CompletionType::List)
        .color_mode(if style.colour { ColorMode::Enabled } else { ColorMode::Disabled })
        .build();
    let mut editor: Editor<PromptHelper, FileHistory> = Editor::with_config(config)?;
    let printer = editor.create_external_printer()?;
    editor.set_helper(Some(PromptHelper { known, style, typing: Typing::default() }));
    let history = folder.join(HISTORY_FILE);
    // There is none at the first start, and one that can't be read is no reason to go without a prompt.
    let _ = editor.load_history(&history);
    let mut reader = LineReader { editor, history, style, pasted: VecDeque::new() };
    let input = Input::start(move |question| reader.read(question))?;
    Ok((input, printer))
}

struct LineReader {
    editor: Editor<PromptHelper, FileHistory>,
    history: PathBuf,
    style: Style,
    /// Lines that were pasted together with the last one.
    pasted: VecDeque<String>,
}

impl LineReader {
    /// Reads a command, or the answer to a question, which is none of the lines that were pasted.
    fn read(&mut self, question: Option<&str>) -> Typed {
        if let Some(question) = question {
            return match self.editor.readline(question) {
                Ok(answer) => Typed::Line(answer),
                Err(ReadlineError::Interrupted) => Typed::Interrupted { empty: false },
                Err(_) => Typed::End,
            };
        }
        if let Some(line) = self.pasted.pop_front() {
            // Its answer should stand below it, as if it had been typed. A terminal that is gone shows nothing anyway.
            let _ = writeln!(std::io::stdout(), "{}{line}", self.style.paint(Tone::Strong, PROMPT));
            return Typed::Line(line);
        }
        if let Some(helper) = self.editor.helper() {
            helper.typing.begin();
        }
        match self.editor.readline(PROMPT) {
            Ok(text) => {
                let (first, others) = split_pasted(&text);
                if !others.is_empty() && self.editor.helper().is_some_and(|helper| helper.typing.is_mixed()) {
                    return Typed::Unreadable(Failure::new(Code::BadLine, MIXED));
                }
                for line in std::iter::once(&first).chain(&others) {
                    if is_worth_keeping(line) && self.editor.add_history_entry(line.trim()).unwrap_or(false) {
                        // A full disk must not stop the user from typing.
                        let _ = self.editor.append_history(&self.history);
                    }
                }
                self.pasted.extend(others);
                Typed::Line(first)
            }
            Err(ReadlineError::Interrupted) => {
                Typed::Interrupted { empty: self.editor.helper().is_none_or(|helper| helper.typing.is_empty()) }
            }
            Err(_) => Typed::End,
        }
    }
}

/// A terminal hands over several pasted lines as one text: its first line, and the others.
fn split_pasted(text: &str) -> (String, Vec<String>) {
    let mut lines = text.lines().filter(|line| !line.trim().is_empty()).map(str::to_owned);
    (lines.next().unwrap_or_default(), lines.collect())
}

struct PromptHelper {
    known: Known,
    style: Style,
    typing: Typing,
}

/// The history of a line that is being typed. The editor does not tell it, but asks for a hint at each change.
#[derive(Debug, Default)]
struct Typing {
    /// Line feeds in the text after the last change.
    line_feeds: Cell<usize>,
    has_text: Cell<bool>,
    /// Lines were pasted into a text that was there: they belong to it, and are no commands.
    mixed: Cell<bool>,
}

impl Typing {
    fn begin(&self) {
        self.note("");
    }

    fn note(&self, text: &str) {
        let line_feeds = text.matches('\n').count();
        let added = line_feeds > self.line_feeds.get() && self.has_text.get();
        self.mixed.set(line_feeds > 0 && (self.mixed.get() || added));
        self.line_feeds.set(line_feeds);
        self.has_text.set(!text.is_empty());
    }

    fn is_empty(&self) -> bool {
        !self.has_text.get()
    }

    fn is_mixed(&self) -> bool {
        self.mixed.get()
    }
}

impl Helper for PromptHelper {}
impl Validator for PromptHelper {}

impl Highlighter for PromptHelper {
    fn highlight_prompt<'b, 's: 'b, 'p: 'b>(&'s self, prompt: &'p str, _default: bool) -> Cow<'b, str> {
        self.style.paint(Tone::Strong, prompt).into()
    }

    fn highlight_hint<'h>(&self, hint: &'h str) -> Cow<'h, str> {
        self.style.paint(Tone::Quiet, hint).into()
    }
}

impl Completer for PromptHelper {
    type Candidate = Pair;

    fn complete(&self, line: &str, pos: usize, _: &Context<'_>) -> rustyline::Result<(usize, Vec<Pair>)> {
        let Completions { start, offered } = complete(&line[..pos], &self.known);
        let pair = |offer: Offer| Pair { display: offer.shown, replacement: offer.typed };
        Ok((start, offered.into_iter().map(pair).collect()))
    }
}

impl Hinter for PromptHelper {
    type Hint = UsageHint;

    fn hint(&self, line: &str, pos: usize, _: &Context<'_>) -> Option<UsageHint> {
        self.typing.note(line);
        if pos < line.len() { None } else { usage_hint(line) }
    }
}

/// The arguments that may follow, shown behind the cursor.
#[derive(Debug, PartialEq, Eq)]
struct UsageHint {
    shown: String,
    /// The length of the part that the right arrow key types.
    typed: usize,
}

impl Hint for UsageHint {
    fn display(&self) -> &str {
        &self.shown
    }

    fn completion(&self) -> Option<&str> {
        (self.typed > 0).then(|| &self.shown[..self.typed])
    }
}

fn usage_hint(line: &str) -> Option<UsageHint> {
    if let Some((name, "")) = line.split_once(' ') {
        let entry = find(name).filter(|entry| !entry.arguments.is_empty())?;
        return Some(UsageHint { shown: entry.arguments.to_owned(), typed: 0 });
    }
    if line.is_empty() || line.contains(char::is_whitespace) {
        return None;
    }
    let mut matching = COMMANDS.iter().filter(|entry| entry.name.starts_with(line));
    match (matching.next(), matching.next()) {
        (Some(entry), None) => {
            let shown = entry.usage()[line.len()..].to_owned();
            (!shown.is_empty()).then(|| UsageHint { shown, typed: entry.name.len() - line.len() })
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_be_a_password_is_not_kept() {
        for line in ["mine 3", "MINE", "?", "tx lab2", "record secret is what I say", "unlock 5", "wallet use lab"] {
            assert!(is_worth_keeping(line), "{line}");
        }
        for line in ["secret12", "mien 3", "unlock secret12", "wallet unlock secret12", "wallet secret12", "", "# note"]
        {
            assert!(!is_worth_keeping(line), "{line}");
        }
    }

    #[test]
    fn pasted_lines_are_commands_of_their_own() {
        let cases: [(&str, &str, &[&str]); 4] = [
            ("", "", &[]),
            ("status", "status", &[]),
            ("\nmine 3\n\nstatus\r\n peers \n", "mine 3", &["status", " peers "]),
            ("record a\u{85}b", "record a\u{85}b", &[]),
        ];
        for (text, first, others) in cases {
            let others = others.iter().map(|line| (*line).to_owned()).collect();
            assert_eq!(split_pasted(text), (first.to_owned(), others), "{text:?}");
        }
    }

    #[test]
    fn lines_pasted_behind_typed_text_are_no_commands() {
        // The texts after each change, and whether lines were pasted into a text that was there.
        let cases: [(&[&str], bool); 9] = [
            (&["r", "re", "record ", "record a\nmine 3"], true),
            (&["mine 3\nstatus"], false),
            (&["mine 3\nstatus", "mine 3\nstatus x"], false),
            (&["mine 3\nstatus", "mine 3\nstatus\nmine 3"], true),
            (&["x", "", "mine 3\nstatus"], false),
            (&["x", "x\ny\nz", "x", "xy"], false),
            (&[" ", " a\nb"], true),
            (&["x", "a\nbx", "a\nb"], true),
            (&["status"], false),
        ];
        for (texts, mixed) in cases {
            let typing = Typing::default();
            typing.begin();
            texts.iter().for_each(|text| typing.note(text));
            assert_eq!(typing.is_mixed(), mixed, "{texts:?}");
            typing.begin();
            assert!(typing.is_empty() && !typing.is_mixed());
        }
    }

    #[test]
    fn hints_show_usage() {
        let hint = |line| usage_hint(line).map(|usage| (usage.shown.clone(), usage.completion().map(str::to_owned)));
        assert_eq!(hint("tx "), Some(("TO AMOUNT [--fee F]".to_owned(), None)));
        assert_eq!(hint("bal"), Some(("ance [WHO]".to_owned(), Some("ance".to_owned()))));
        assert_eq!(hint("statu"), Some(("s".to_owned(), Some("s".to_owned()))));
        for line in ["", "p", "status", "status ", "tx 0x", "zz"] {
            assert_eq!(hint(line), None, "{line:?}");
        }
    }
}
