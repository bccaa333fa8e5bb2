//! The node's own user: a person at a terminal, lines of text from anywhere, or a script that speaks JSON.
//!
//! [`run`] is the one place where events, log lines, typed lines, answers and signals meet, so everything is written in
//! the order in which it happened. It never blocks on the node: commands run on a thread of their own, one at a time.
//! [`Typist`] is a user for whom none of that is needed: a line, its answer, and what happened, as values.
//! How things look is in [`render`], [`notice`] and [`json`]; what they are is in [`outcome`].

pub mod command;
mod completion;
mod doubt;
#[cfg(test)]
mod fixture;
mod input;
mod job;
pub mod json;
mod leave;
pub mod notice;
pub mod outcome;
mod overtaken;
pub mod render;
mod screen;
mod session;
pub mod signal;
mod terminal;
mod typist;
mod worker;
mod wrap;

use std::io;
use std::path::PathBuf;

use self::completion::Known;
use self::input::Input;
use self::screen::Screen;
use self::session::{Mode, PromptSession};
use self::signal::Signals;
pub use self::typist::Typist;
use super::api::rows::Identity;
use super::config::Config;
use super::event::UserEvent;
use super::handle::Handle;
use super::telemetry::{self, LogSink};
use super::wallet::password::Sources;
use crate::text::Style;
use crossbeam_channel::Receiver;

/// The text before a command on a terminal.
const PROMPT: &str = "quipu> ";

/// How to speak with the user.
#[derive(Debug, Clone)]
pub struct PromptOptions {
    /// The owner's name for the node.
    pub name: String,
    /// The file that keeps the history of typed lines.
    pub folder: PathBuf,
    /// JSON lines on stdout.
    pub json: bool,
    /// Whether to read commands.
    pub reads_commands: bool,
    /// Whether the node looks for others on the LAN.
    pub finds_peers: bool,
    /// The source of wallets' passwords, if it is not the terminal.
    pub passwords: Sources,
}

impl PromptOptions {
    /// The options that the command line gives.
    pub fn new(config: &Config, passwords: &Sources) -> Self {
        Self {
            name: config.name.clone(),
            folder: config.data_dir.clone(),
            json: config.json,
            reads_commands: config.prompt,
            finds_peers: config.mdns,
            passwords: passwords.clone(),
        }
    }
}

/// Serves the user until they leave, the input ends, a signal comes, or the node has stopped by itself. `events` is the
/// first subscription to the node. The caller shuts the node down. Fails if stdout takes no more, unless its reader has
/// closed it.
pub fn run(
    handle: &Handle,
    events: Receiver<UserEvent>,
    options: &PromptOptions,
    log: &LogSink,
    signals: &Signals,
) -> io::Result<()> {
    let identity = Identity::of(handle, options.name.clone(), options.finds_peers);
    let style = Style { colour: !options.json && telemetry::colours(&io::stdout()) };
    let known = Known::default();
    known.learn(&identity.names.me);
    let (mode, screen, input) = open(options, style, &known);
    let logs = if mode == Mode::Terminal && io::IsTerminal::is_terminal(&io::stderr()) {
        log.divert()
    } else {
        crossbeam_channel::never()
    };
    PromptSession::new(handle, identity, options.passwords.clone(), mode, style, screen, known)
        .run(input, &events, &logs, signals, log)
}

/// A terminal gets the line editor, unless it can't have one; then its lines are read like those of a file.
fn open(options: &PromptOptions, style: Style, known: &Known) -> (Mode, Screen, Option<Input>) {
    let plain = if options.json { Mode::Json } else { Mode::Plain };
    if !options.reads_commands {
        return (plain, Screen::plain(plain == Mode::Plain), None);
    }
    if !options.json
        && let Ok((input, printer)) = terminal::open(&options.folder, style, known.clone())
        && let Ok(screen) = Screen::terminal(printer)
    {
        return (Mode::Terminal, screen, Some(input));
    }
    let input = Input::plain().inspect_err(|error| tracing::error!("no commands can be read: {error}")).ok();
    (plain, Screen::plain(plain == Mode::Plain), input)
}
