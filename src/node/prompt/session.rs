//! The loop that serves one user.

mod learning;

use std::collections::VecDeque;
use std::io::{self, IsTerminal};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, never, select};
use zeroize::Zeroizing;

use super::PROMPT;
use super::command::{self, Parsed, PromptCommand};
use super::completion::Known;
use super::doubt::{Doubtful, QUESTION};
use super::input::{Input, Typed};
use super::json;
use super::leave::{Leave, LoopStep};
use super::notice::{Digest, NoticeLine, Shown};
use super::outcome::CommandOutcome;
use super::overtaken::Overtaken;
use super::render::{self, CommandsFrom, Renderer};
use super::screen::Screen;
use super::signal::{Signal, Signals};
use super::worker::{Desk, OPEN_MAX, Worker};
use crate::engine::View;
use crate::engine::event::CommandError;
use crate::engine::view::SyncView;
use crate::node::api::error::{Code, Failure};
use crate::node::api::event::Roster;
use crate::node::api::query::Who;
use crate::node::api::rows::Identity;
use crate::node::api::{self, queries};
use crate::node::event::UserEvent;
use crate::node::handle::Handle;
use crate::node::telemetry::LogSink;
use crate::node::wallet::password::Sources;
use crate::output;
use crate::protocol::Height;
use crate::text::{Style, Tone, grouped};

/// How often the progress line is redrawn, and summaries are looked for.
const TICK: Duration = Duration::from_millis(250);
/// The same where nobody looks on: only the time of an unlocked wallet runs out.
const TICK_OF_SCRIPTS: Duration = Duration::from_secs(1);
/// Events that are written in one piece: few enough that a command does not wait for them.
const EVENTS_TOGETHER_MAX: usize = 64;
/// The time that a cancelled command has to answer before the node leaves without it.
const LAST_ANSWER_TIMEOUT: Duration = Duration::from_secs(3);
/// A lag of this few blocks is not worth a progress line.
const SYNC_SHOWN_BLOCKS: u64 = 20;

/// The user's interface.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mode {
    Terminal,
    Plain,
    Json,
}

struct RunningCommand {
    name: String,
    mines: bool,
    since: Instant,
    /// The next one may begin before its answer.
    lets_begin: bool,
}

pub(super) struct PromptSession<'a> {
    handle: &'a Handle,
    identity: Identity,
    desk: Desk,
    mode: Mode,
    /// Somebody sits at a terminal, with a line editor or without.
    is_person: bool,
    style: Style,
    screen: Screen,
    known: Known,
    roster: Roster,
    digest: Digest,
    started: Instant,
    /// In the order in which they are answered.
    running: VecDeque<RunningCommand>,
    overtaken: Overtaken,
    /// A line was asked for and has not come.
    is_reading: bool,
    /// A line has come.
    has_read: bool,
    /// No more lines will come.
    has_ended: bool,
    /// A person was asked whether this is meant.
    doubtful: Option<Doubtful>,
    /// Ctrl-C was pressed at an empty prompt, and nothing since.
    asked_to_confirm: bool,
    /// Tenths of the way in the last report of a synchronisation, and the height where it leads.
    sync_reported: Option<(u64, Height)>,
    leaving: bool,
}

impl<'a> PromptSession<'a> {
    pub(super) fn new(
        handle: &'a Handle,
        identity: Identity,
        passwords: Sources,
        mode: Mode,
        style: Style,
        screen: Screen,
        known: Known,
    ) -> Self {
        let is_person = mode == Mode::Terminal || mode == Mode::Plain && io::stdin().is_terminal();
        let desk = Desk {
            handle: handle.clone(),
            identity: identity.clone(),
            passwords,
            whole_chain: mode == Mode::Json,
            cancel: Arc::default(),
        };
        Self {
            handle,
            identity,
            desk,
            mode,
            is_person,
            style,
            screen,
            known,
            roster: Roster::default(),
            digest: Digest::default(),
            started: Instant::now(),
            running: VecDeque::new(),
            overtaken: Overtaken::new(),
            is_reading: false,
            has_read: false,
            has_ended: false,
            doubtful: None,
            asked_to_confirm: false,
            sync_reported: None,
            leaving: false,
        }
    }

    /// Serves until the user leaves. Fails if something could not be shown.
    pub(super) fn run(
        mut self,
        input: Option<Input>,
        events: &Receiver<UserEvent>,
        logs: &Receiver<String>,
        signals: &Signals,
        log: &LogSink,
    ) -> io::Result<()> {
        let mut shown = Ok(());
        self.learn_wallets();
        // Without a thread for commands there is nothing to serve; the caller shuts the node down.
        if let Ok(worker) = Worker::start(self.desk.clone()) {
            let ticks = crossbeam_channel::tick(if self.mode == Mode::Json { TICK_OF_SCRIPTS } else { TICK });
            let (nothing_typed, typed) = (never(), input.as_ref().map(|input| &input.typed));
            loop {
                let next = self.overtaken.or(events).clone();
                let step = select! {
                    recv(next) -> event => match event {
                        Ok(event) => self.on_events(event, &next, input.as_ref()),
                        Err(_) => Err(Leave::WANTED),
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
                if let Err(Leave(error)) = step {
                    shown = error.map_or(Ok(()), Err);
                    break;
                }
            }
            signals.leaving();
            let last = self.finish(&worker, events);
            shown = shown.and(last);
        }
        self.screen.close();
        output::unless_closed(shown)
    }

    /// Writes an event, and those that have come behind it, in one piece, so that a reader wakes up once.
    fn on_events(&mut self, first: UserEvent, more: &Receiver<UserEvent>, input: Option<&Input>) -> LoopStep {
        self.screen.hold();
        let mut events = std::iter::once(first).chain(more.try_iter().take(EVENTS_TOGETHER_MAX - 1));
        let step = events.try_for_each(|event| self.on_event(&event, input));
        self.screen.release()?;
        step
    }

    fn on_event(&mut self, event: &UserEvent, input: Option<&Input>) -> LoopStep {
        self.show_event(event, input)?;
        match event {
            UserEvent::Ready { .. } => self.ask(input),
            UserEvent::Fatal(_) => Err(Leave::WANTED),
            _ => Ok(()),
        }
    }

    fn show_event(&mut self, event: &UserEvent, input: Option<&Input>) -> LoopStep {
        self.roster.learn(event);
        self.learn(|known| known.learn_event(event));
        match (self.mode, event) {
            (Mode::Json, _) => {
                if let Some(line) = api::event::event(event, &self.identity, &self.roster) {
                    self.screen.line(&line)?;
                }
            }
            (_, UserEvent::Ready { .. }) => {
                let status = queries::status(self.handle, &self.identity);
                let commands = match input {
                    None => CommandsFrom::Nowhere,
                    Some(_) if self.is_person => CommandsFrom::Terminal,
                    Some(_) => CommandsFrom::Input,
                };
                let banner = self.renderer().banner(&status, commands);
                self.screen.line(&banner)?;
            }
            _ => {
                if self.sync_reported.is_none()
                    && let Some(sync) = self.far_behind(&self.handle.view())
                {
                    self.report_sync(Some(&sync), sync.height)?;
                }
                let mining = self.running.front().is_some_and(|running| running.mines);
                let shown = Shown { progress: mining || self.sync_reported.is_some() };
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

    fn on_typed(&mut self, typed: Typed, worker: &Worker, input: Option<&Input>) -> LoopStep {
        self.screen.end_reading(typed == Typed::End)?;
        let confirmed = std::mem::take(&mut self.asked_to_confirm);
        self.is_reading = false;
        self.has_read |= typed != Typed::End;
        if let Some(doubtful) = self.doubtful.take() {
            self.begin(doubtful.name.clone(), doubtful.answered(&typed), worker);
            self.has_ended |= typed == Typed::End;
            return self.ask_if_free(input);
        }
        match typed {
            Typed::Line(line) => {
                match command::parse(&line) {
                    Some(Parsed { name, doubt: Some(doubt), .. }) if self.is_person => {
                        return self.ask_whether_meant(Doubtful::new(name, doubt), input);
                    }
                    Some(Parsed { name, command, .. }) => self.begin(name, command, worker),
                    None => {}
                }
                self.ask_if_free(input)
            }
            Typed::Unreadable(failure) => {
                self.begin(String::new(), Err(failure), worker);
                self.ask_if_free(input)
            }
            Typed::Interrupted { empty: false } => self.ask(input),
            Typed::Interrupted { empty: true } if confirmed => Err(Leave::WANTED),
            Typed::Interrupted { empty: true } => {
                self.ask_to_confirm()?;
                self.ask(input)
            }
            Typed::End => {
                if !self.has_read && !self.is_person {
                    let why = "there are no commands on stdin, so this ends: `--no-prompt` keeps a node running";
                    output::complain(why);
                }
                self.has_ended = true;
                self.leave_if_done()
            }
        }
    }

    fn ask_to_confirm(&mut self) -> LoopStep {
        self.asked_to_confirm = true;
        self.say(&NoticeLine::new(Tone::Quiet, "Ctrl-C again, Ctrl-D or `quit` stops the node"))
    }

    /// Once the input has ended, the node leaves with the last answer.
    fn leave_if_done(&self) -> LoopStep {
        if self.has_ended && self.running.is_empty() { Err(Leave::WANTED) } else { Ok(()) }
    }

    fn begin(&mut self, name: String, command: Result<PromptCommand, Failure>, worker: &Worker) {
        if let Ok(
            PromptCommand::Tx { to: Who::Address(address), .. } | PromptCommand::Balance(Some(Who::Address(address))),
        ) = &command
        {
            self.known.learn(address);
        }
        self.desk.cancel.store(false, Ordering::Relaxed);
        let mines = matches!(command, Ok(PromptCommand::Mine { .. }));
        let lets_begin = worker.begin(command, &self.desk);
        self.running.push_back(RunningCommand { name, mines, since: Instant::now(), lets_begin });
    }

    fn on_result(
        &mut self,
        result: &Result<CommandOutcome, Failure>,
        events: &Receiver<UserEvent>,
        input: Option<&Input>,
    ) -> LoopStep {
        for event in self.overtaken.before_answer(events) {
            self.show_event(&event, input)?;
            self.leaving |= matches!(event, UserEvent::Fatal(_));
        }
        let Some(running) = self.running.pop_front() else { return Ok(()) };
        if let Ok(outcome) = result {
            self.learn(|known| known.learn_answer(outcome));
            if outcome.changes_names() {
                self.learn_names();
            }
        }
        self.screen.progress(None)?;
        self.answer(&running.name, result)?;
        if self.leaving || matches!(result, Ok(CommandOutcome::Quit {})) {
            return Err(Leave::WANTED);
        }
        self.leave_if_done()?;
        self.ask_if_free(input)
    }

    fn on_signal(&mut self, signal: Signal) -> LoopStep {
        let Some(running) = self.running.front() else {
            // The line editor asks itself; without one, a person is asked here.
            let is_asked = self.is_reading && self.is_person && signal == Signal::Interrupt;
            return if is_asked && !self.asked_to_confirm { self.ask_to_confirm() } else { Err(Leave::WANTED) };
        };
        if self.desk.cancel.swap(true, Ordering::Relaxed) {
            return Err(Leave::WANTED);
        }
        if running.mines {
            // Its answer is that of the command that it stops.
            drop(self.handle.cancel_mining());
        }
        // A person's Ctrl-C is for the command alone; otherwise the node leaves when it has answered.
        if !self.is_person || signal == Signal::Terminate {
            self.leaving = true;
            return Err(Leave::WANTED);
        }
        Ok(())
    }

    fn on_tick(&mut self, log: &LogSink) -> LoopStep {
        let locked = self.handle.wallets().lock_if_due(Instant::now());
        if self.mode == Mode::Json {
            return Ok(());
        }
        if locked {
            let name = self.handle.wallets().current().name;
            self.say(&NoticeLine::new(Tone::Quiet, format!("{name} is locked again: its time is over")))?;
        }
        let view = self.handle.view();
        self.learn_peers(&view);
        let mining = self.running.front().filter(|running| running.mines);
        let since = mining.map(|running| u64::try_from(running.since.elapsed().as_millis()).unwrap_or(u64::MAX));
        let mining_line = since.and_then(|since| render::mining_line(&view.mining, since, self.handle.network()));
        let syncing = self.far_behind(&view);
        match (mining_line, &syncing) {
            (Some(line), _) => self.screen.progress(Some(&line))?,
            (None, Some(sync)) => self.screen.progress(Some(&render::sync_line(sync)))?,
            (None, None) => self.screen.progress(None)?,
        }
        self.report_sync(syncing.as_ref(), view.tip.height)?;
        while let Some(line) = self.digest.tick(&self.roster, self.started.elapsed()) {
            self.say(&line)?;
        }
        match log.take_dropped() {
            0 => Ok(()),
            dropped => {
                self.say(&NoticeLine::new(Tone::Quiet, format!("{} lines of the log were dropped", grouped(dropped))))
            }
        }
    }

    /// The progress of a synchronisation that is worth a line; to its end, once it was.
    fn far_behind(&self, view: &View) -> Option<SyncView> {
        view.syncing.filter(|sync| {
            self.sync_reported.is_some() || sync.target.saturating_since(sync.height) > SYNC_SHOWN_BLOCKS
        })
    }

    /// Without a redrawn progress line: a line for each tenth of the way. Always: a line for the end of it.
    fn report_sync(&mut self, sync: Option<&SyncView>, height: Height) -> LoopStep {
        let Some(sync) = sync else {
            return match self.sync_reported.take() {
                None => Ok(()),
                Some((_, target)) => self.say(&render::sync_end(height, target)),
            };
        };
        let tenth = sync.height.0.saturating_mul(10) / sync.target.0.max(1);
        let reported = self.sync_reported.map(|(reported, _)| reported);
        let is_new = reported.is_none_or(|reported| tenth > reported);
        self.sync_reported = Some((reported.map_or(tenth, |reported| reported.max(tenth)), sync.target));
        if is_new && self.mode == Mode::Plain {
            self.say(&NoticeLine::new(Tone::Quiet, render::sync_line(sync)))?;
        }
        Ok(())
    }

    /// Every line that was read gets its answer, also when the node leaves.
    fn finish(&mut self, worker: &Worker, events: &Receiver<UserEvent>) -> io::Result<()> {
        let mut shown = Ok(());
        let deadline = Instant::now() + LAST_ANSWER_TIMEOUT;
        while let Some(running) = self.running.front() {
            let name = running.name.clone();
            let step = if self.leaving
                && let Ok(result) = worker.results.recv_deadline(deadline)
            {
                self.on_result(&result, events, None)
            } else {
                self.running.pop_front();
                self.answer(&name, &Err(CommandError::Closing.into()))
            };
            if let Err(Leave(Some(error))) = step {
                shown = shown.and(Err(error));
            }
        }
        shown
    }

    /// Asks for a line if one can be begun: people want the answer to the last one first.
    fn ask_if_free(&mut self, input: Option<&Input>) -> LoopStep {
        let is_free = match self.running.back() {
            None => true,
            Some(last) => !self.is_person && last.lets_begin && self.running.len() < OPEN_MAX,
        };
        if is_free && !self.is_reading && !self.has_ended { self.ask(input) } else { Ok(()) }
    }

    fn ask(&mut self, input: Option<&Input>) -> LoopStep {
        self.read(input, None)
    }

    fn ask_whether_meant(&mut self, doubtful: Doubtful, input: Option<&Input>) -> LoopStep {
        self.say(&NoticeLine::new(Tone::Warning, doubtful.told()))?;
        if self.mode == Mode::Plain && !self.screen.has_prompt() {
            self.screen.line(QUESTION)?;
        }
        self.doubtful = Some(doubtful);
        self.read(input, Some(QUESTION))
    }

    fn read(&mut self, input: Option<&Input>, question: Option<&'static str>) -> LoopStep {
        if let Some(input) = input {
            self.is_reading = true;
            let shown = (self.mode == Mode::Plain && self.is_person).then(|| question.unwrap_or(PROMPT));
            self.screen.begin_reading(shown)?;
            input.ask(question);
        }
        Ok(())
    }

    fn answer(&mut self, name: &str, result: &Result<CommandOutcome, Failure>) -> LoopStep {
        // A phrase may be in it.
        let text = Zeroizing::new(match self.mode {
            Mode::Json => json::answer(name, result),
            Mode::Terminal | Mode::Plain => self.renderer().answer(result),
        });
        let shown = self.screen.line(&text);
        // A phrase is shown once: even a reader that wants no more must be told.
        if let (Err(error), Ok(CommandOutcome::WalletMade(made))) = (&shown, result) {
            let told = format!("{error}: nobody has seen the recovery phrase of the new wallet {}", made.name);
            return Err(io::Error::other(told).into());
        }
        Ok(shown?)
    }

    fn say(&mut self, line: &NoticeLine) -> LoopStep {
        Ok(self.screen.line(&self.style.paint(line.tone, &line.text))?)
    }

    fn renderer(&self) -> Renderer<'_> {
        // What is no terminal may be a log, that others read.
        let page = self.handle.page().filter(|_| io::stdout().is_terminal());
        let folder = Some(self.handle.reader().folder());
        Renderer { style: self.style, identity: &self.identity, page, folder }
    }
}
