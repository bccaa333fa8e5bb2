//! The loop that serves one user.

use std::io::{self, IsTerminal};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, never, select};

use super::command::{self, Command, Parsed, Who};
use super::failure::{Code, Failure};
use super::input::{Input, Typed};
use super::job::{self, Job};
use super::json;
use super::names::Names;
use super::notice::{Digest, Line, Roster, Shown};
use super::outcome::{Identity, Outcome};
use super::overtaken::Overtaken;
use super::render::{self, CommandsFrom, Renderer};
use super::screen::Screen;
use super::signal::{Signal, Signals};
use super::terminal::KnownAddresses;
use super::text::{Style, Tone, grouped};
use crate::engine::View;
use crate::engine::event::{self, Notice};
use crate::engine::view::SyncView;
use crate::node::handle::{Handle, UserEvent};
use crate::node::telemetry::LogSink;
use crate::node::wallet::password::Sources;
use crate::protocol::{Action, Height};

/// How often the progress line is redrawn, and summaries are looked for.
const TICK: Duration = Duration::from_millis(250);
/// How long a command that was stopped may take to answer before the node leaves without it.
const LAST_ANSWER_WAIT: Duration = Duration::from_secs(3);
/// Being so few blocks behind is not worth a progress line.
const SYNC_SHOWN_BLOCKS: u64 = 20;

/// What the user sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mode {
    /// A line editor.
    Terminal,
    /// Lines of text.
    Plain,
    /// JSON lines.
    Json,
}

/// Why the loop ends: the user wants it, or nobody reads what is written.
struct Leave;

impl From<io::Error> for Leave {
    fn from(_: io::Error) -> Self {
        Self
    }
}

type Step = Result<(), Leave>;

/// A command that runs.
struct Running {
    name: String,
    mines: bool,
    since: Instant,
}

/// One user of one node.
pub(super) struct Session<'a> {
    handle: &'a Handle,
    identity: Identity,
    passwords: Sources,
    mode: Mode,
    /// Whether somebody sits at a terminal, with a line editor or without.
    is_person: bool,
    style: Style,
    screen: Screen,
    known: KnownAddresses,
    roster: Roster,
    digest: Digest,
    started: Instant,
    running: Option<Running>,
    cancel: Arc<AtomicBool>,
    overtaken: Overtaken,
    /// Ctrl-C was pressed at an empty prompt, and nothing since.
    asked_to_confirm: bool,
    /// Tenths of the way when a synchronisation was last told of, and where it leads.
    sync_told: Option<(u64, Height)>,
    leaving: bool,
}

/// The thread that runs commands.
struct Worker {
    commands: Sender<Command>,
    results: Receiver<Result<Outcome, Failure>>,
}

impl<'a> Session<'a> {
    /// Nothing is written yet.
    pub(super) fn new(
        handle: &'a Handle,
        identity: Identity,
        passwords: Sources,
        mode: Mode,
        style: Style,
        screen: Screen,
        known: KnownAddresses,
    ) -> Self {
        let is_person = mode == Mode::Terminal || mode == Mode::Plain && io::stdin().is_terminal();
        Self {
            handle,
            identity,
            passwords,
            mode,
            is_person,
            style,
            screen,
            known,
            roster: Roster::default(),
            digest: Digest::default(),
            started: Instant::now(),
            running: None,
            cancel: Arc::default(),
            overtaken: Overtaken::new(),
            asked_to_confirm: false,
            sync_told: None,
            leaving: false,
        }
    }

    /// Until the user leaves.
    pub(super) fn run(
        mut self,
        input: Option<Input>,
        events: &Receiver<UserEvent>,
        logs: &Receiver<String>,
        signals: &Signals,
        log: &LogSink,
    ) {
        // Without a thread for commands there is nothing to serve; the caller shuts the node down.
        if let Ok(worker) = self.start_worker() {
            let ticks = crossbeam_channel::tick(TICK);
            let (nothing_typed, typed) = (never(), input.as_ref().map(|input| &input.typed));
            loop {
                let next = self.overtaken.or(events).clone();
                let step = select! {
                    recv(next) -> event => match event {
                        Ok(event) => self.on_event(&event, input.as_ref()),
                        Err(_) => Err(Leave),
                    },
                    recv(logs) -> line => line.map_or(Ok(()), |line| Ok(self.screen.line(&line)?)),
                    recv(typed.unwrap_or(&nothing_typed)) -> typed => {
                        self.on_typed(typed.unwrap_or(Typed::End), &worker, input.as_ref())
                    }
                    recv(worker.results) -> result => {
                        let result = result.unwrap_or_else(|_| Err(Failure::new(Code::Closing, "the command broke off")));
                        self.on_result(&result, events, input.as_ref())
                    }
                    recv(signals.receiver) -> signal => self.on_signal(signal.unwrap_or(Signal::Terminate)),
                    recv(ticks) -> _ => self.on_tick(log),
                };
                if step.is_err() {
                    break;
                }
            }
            signals.leaving();
            self.finish(&worker, events);
        }
        self.screen.close();
    }

    fn start_worker(&self) -> io::Result<Worker> {
        let (commands, todo) = crossbeam_channel::bounded::<Command>(1);
        let (done, results) = crossbeam_channel::bounded(1);
        let (handle, identity, cancel) = (self.handle.clone(), self.identity.clone(), self.cancel.clone());
        let passwords = self.passwords.clone();
        let whole_chain = self.mode == Mode::Json;
        std::thread::Builder::new().name("commands".to_owned()).spawn(move || {
            let job = Job {
                handle: &handle,
                identity: &identity,
                passwords: &passwords,
                folder: Path::new(""),
                whole_chain,
                cancel: &cancel,
            };
            for command in todo {
                if done.send(job.run(&command)).is_err() {
                    break;
                }
            }
        })?;
        Ok(Worker { commands, results })
    }

    fn on_event(&mut self, event: &UserEvent, input: Option<&Input>) -> Step {
        self.show_event(event, input)?;
        match event {
            UserEvent::Ready { .. } => self.ask(input),
            UserEvent::Fatal(_) => Err(Leave),
            _ => Ok(()),
        }
    }

    fn show_event(&mut self, event: &UserEvent, input: Option<&Input>) -> Step {
        self.roster.learn(event);
        self.learn_addresses(event);
        match (self.mode, event) {
            (Mode::Json, _) => {
                if let Some(line) = json::event(event, &self.identity, &self.roster) {
                    self.screen.line(&line)?;
                }
            }
            (_, UserEvent::Ready { .. }) => {
                let status = job::status(self.handle, &self.identity);
                let commands = match input {
                    None => CommandsFrom::Nowhere,
                    Some(_) if self.is_person => CommandsFrom::Terminal,
                    Some(_) => CommandsFrom::Input,
                };
                let banner = self.renderer().banner(&status, commands);
                self.screen.line(&banner)?;
            }
            _ => {
                if self.sync_told.is_none()
                    && let Some(sync) = self.far_behind(&self.handle.view())
                {
                    self.tell_sync(Some(&sync), sync.height)?;
                }
                let mining = self.running.as_ref().is_some_and(|running| running.mines);
                let shown = Shown { progress: mining || self.sync_told.is_some() };
                if let Some(line) =
                    self.digest.take(event, &self.roster, &self.identity.names, shown, self.started.elapsed())
                {
                    self.say(&line)?;
                }
            }
        }
        self.roster.forget(event);
        Ok(())
    }

    fn on_typed(&mut self, typed: Typed, worker: &Worker, input: Option<&Input>) -> Step {
        self.screen.end_reading();
        let confirmed = std::mem::take(&mut self.asked_to_confirm);
        match typed {
            Typed::Line(line) => match command::parse(&line) {
                None => self.ask(input),
                Some(Parsed { name, command: Ok(command) }) => {
                    self.begin(name, command, worker);
                    Ok(())
                }
                Some(Parsed { name, command: Err(failure) }) => {
                    self.answer(&name, &Err(failure))?;
                    self.ask(input)
                }
            },
            Typed::Unreadable(failure) => {
                self.answer("", &Err(failure))?;
                self.ask(input)
            }
            Typed::Interrupted { empty: false } => self.ask(input),
            Typed::Interrupted { empty: true } if confirmed => Err(Leave),
            Typed::Interrupted { empty: true } => {
                self.say(&Line::new(Tone::Quiet, "Ctrl-C again, Ctrl-D or `quit` stops the node"))?;
                self.asked_to_confirm = true;
                self.ask(input)
            }
            Typed::End => Err(Leave),
        }
    }

    fn begin(&mut self, name: String, command: Command, worker: &Worker) {
        if let Command::Tx { to: Who::Address(address), .. } | Command::Balance(Some(Who::Address(address))) = &command
        {
            self.known.learn(address);
        }
        self.cancel.store(false, Ordering::Relaxed);
        let mines = matches!(command, Command::Mine { .. });
        self.running = Some(Running { name, mines, since: Instant::now() });
        // Never full: there is one command at a time. A worker that is gone answers by its closed channel.
        let _ = worker.commands.try_send(command);
    }

    fn on_result(
        &mut self,
        result: &Result<Outcome, Failure>,
        events: &Receiver<UserEvent>,
        input: Option<&Input>,
    ) -> Step {
        for event in self.overtaken.before_answer(events) {
            self.show_event(&event, input)?;
            self.leaving |= matches!(event, UserEvent::Fatal(_));
        }
        let Some(running) = self.running.take() else { return Ok(()) };
        if result.as_ref().is_ok_and(Outcome::changes_names) {
            self.learn_names();
        }
        self.screen.progress(None)?;
        self.answer(&running.name, result)?;
        if self.leaving || matches!(result, Ok(Outcome::Quit {})) {
            return Err(Leave);
        }
        self.ask(input)
    }

    fn on_signal(&mut self, signal: Signal) -> Step {
        let Some(running) = &self.running else { return Err(Leave) };
        if self.cancel.swap(true, Ordering::Relaxed) {
            return Err(Leave);
        }
        if running.mines {
            // Its answer is that of the command that it stops.
            drop(self.handle.command(event::Command::CancelMining));
        }
        // A person's Ctrl-C is for the command alone; otherwise the node leaves when it has answered.
        if !self.is_person || signal == Signal::Terminate {
            self.leaving = true;
            return Err(Leave);
        }
        Ok(())
    }

    /// Reads each wallet's file, so not after every command.
    fn learn_names(&mut self) {
        self.identity.names = Names::of(self.handle);
        self.known.learn_names(&self.identity.names);
    }

    fn on_tick(&mut self, log: &LogSink) -> Step {
        let locked = self.handle.wallets().lock_if_due(Instant::now());
        if self.mode == Mode::Json {
            return Ok(());
        }
        if locked {
            let name = self.handle.wallets().current().name;
            self.say(&Line::new(Tone::Quiet, format!("{name} is locked again: its time is over")))?;
        }
        let view = self.handle.view();
        let mining = self.running.as_ref().filter(|running| running.mines);
        let since = mining.map(|running| u64::try_from(running.since.elapsed().as_millis()).unwrap_or(u64::MAX));
        let mining_line = since.and_then(|since| render::mining_line(&view.mining, since));
        let syncing = self.far_behind(&view);
        match (mining_line, &syncing) {
            (Some(line), _) => self.screen.progress(Some(&line))?,
            (None, Some(sync)) => self.screen.progress(Some(&render::sync_line(sync)))?,
            (None, None) => self.screen.progress(None)?,
        }
        self.tell_sync(syncing.as_ref(), view.tip.height)?;
        if let Some(line) = self.digest.tick(self.started.elapsed()) {
            self.say(&line)?;
        }
        match log.take_dropped() {
            0 => Ok(()),
            dropped => self.say(&Line::new(Tone::Quiet, format!("{} lines of the log were dropped", grouped(dropped)))),
        }
    }

    /// A synchronisation that is worth a progress line; to its end, once it was.
    fn far_behind(&self, view: &View) -> Option<SyncView> {
        view.syncing.filter(|sync| self.sync_told.is_some() || sync.target - sync.height > SYNC_SHOWN_BLOCKS)
    }

    /// Where no progress line is redrawn, a line for each tenth of the way; everywhere the end of it.
    fn tell_sync(&mut self, sync: Option<&SyncView>, height: Height) -> Step {
        let Some(sync) = sync else {
            return match self.sync_told.take() {
                None => Ok(()),
                Some((_, target)) => self.say(&render::sync_end(height, target)),
            };
        };
        let tenth = sync.height.0.saturating_mul(10) / sync.target.0.max(1);
        let told = self.sync_told.map(|(told, _)| told);
        let is_new = told.is_none_or(|told| tenth > told);
        self.sync_told = Some((told.map_or(tenth, |told| told.max(tenth)), sync.target));
        if is_new && self.mode == Mode::Plain {
            self.say(&Line::new(Tone::Quiet, render::sync_line(sync)))?;
        }
        Ok(())
    }

    /// Every line that was read gets its answer, also when the node leaves.
    fn finish(&mut self, worker: &Worker, events: &Receiver<UserEvent>) {
        let Some(running) = &self.running else { return };
        let name = running.name.clone();
        if self.leaving
            && let Ok(result) = worker.results.recv_timeout(LAST_ANSWER_WAIT)
        {
            // Nobody is left to be told that stdout is closed.
            let _ = self.on_result(&result, events, None);
            return;
        }
        let _ = self.answer(&name, &Err(event::CommandError::Closing.into()));
    }

    fn ask(&mut self, input: Option<&Input>) -> Step {
        if let Some(input) = input {
            self.screen.begin_reading()?;
            input.ask();
        }
        Ok(())
    }

    fn answer(&mut self, name: &str, result: &Result<Outcome, Failure>) -> Step {
        let text = match self.mode {
            Mode::Json => json::answer(name, result),
            Mode::Terminal | Mode::Plain => self.renderer().answer(result),
        };
        Ok(self.screen.line(&text)?)
    }

    fn say(&mut self, line: &Line) -> Step {
        Ok(self.screen.line(&self.style.paint(line.tone, &line.text))?)
    }

    fn renderer(&self) -> Renderer<'_> {
        Renderer { style: self.style, identity: &self.identity }
    }

    fn learn_addresses(&self, event: &UserEvent) {
        if let UserEvent::Notice(Notice::Transaction(transaction)) = event {
            self.known.learn(&transaction.sender());
            if let Action::Transfer { to, .. } = &transaction.signed().transaction.action {
                self.known.learn(to);
            }
        }
    }
}
