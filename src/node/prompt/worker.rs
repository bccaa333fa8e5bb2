//! The thread that carries commands out, one after the other, and gives their results in that order.
//!
//! Transactions wait for the disk, which writes as fast for a thousand as for one. So while one waits the next may be
//! begun, up to [`OPEN_MAX`]; all other commands have the node to themselves.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use crossbeam_channel::{Receiver, Sender};

use super::command::Command;
use super::job::{Job, Sending};
use super::outcome::Outcome;
use crate::node::api::error::Failure;
use crate::node::api::rows::Identity;
use crate::node::handle::Handle;
use crate::node::wallet::password::Sources;

/// Commands that were read and not answered yet. More lines are not read before.
pub(super) const OPEN_MAX: usize = 1024;

/// The running thread. It ends when this is dropped.
pub(super) struct Worker {
    tasks: Sender<Task>,
    /// One for each command, in order.
    pub(super) results: Receiver<Result<Outcome, Failure>>,
}

enum Task {
    Run(Command),
    Wait(Sending),
    Refuse(Failure),
}

/// What commands need of the prompt.
#[derive(Clone)]
pub(super) struct Desk {
    pub(super) handle: Handle,
    pub(super) identity: Identity,
    pub(super) passwords: Sources,
    /// Whether `chain` alone means all of it.
    pub(super) whole_chain: bool,
    /// Set when the user wants no answer any more.
    pub(super) cancel: Arc<AtomicBool>,
}

impl Desk {
    fn job(&self) -> Job<'_> {
        Job {
            handle: &self.handle,
            identity: &self.identity,
            passwords: &self.passwords,
            folder: Path::new(""),
            whole_chain: self.whole_chain,
            cancel: &self.cancel,
        }
    }
}

impl Worker {
    /// Starts it.
    pub(super) fn start(desk: Desk) -> io::Result<Self> {
        let (tasks, todo) = crossbeam_channel::bounded(OPEN_MAX);
        let (done, results) = crossbeam_channel::bounded(1);
        std::thread::Builder::new().name("commands".to_owned()).spawn(move || {
            for task in todo {
                let result = match task {
                    Task::Run(command) => desk.job().run(&command),
                    Task::Wait(sending) => sending.wait(),
                    Task::Refuse(failure) => Err(failure),
                };
                if done.send(result).is_err() {
                    break;
                }
            }
        })?;
        Ok(Self { tasks, results })
    }

    /// Carries a command out, or says in its turn why not. Whether others may be begun before the result is there.
    pub(super) fn begin(&self, command: Result<Command, Failure>, desk: &Desk) -> bool {
        let (task, lets_begin) = match command {
            Err(failure) => (Task::Refuse(failure), true),
            Ok(command) => match desk.job().begin_sending(&command) {
                Some(sending) => (Task::Wait(sending), true),
                None => (Task::Run(command), false),
            },
        };
        // Never full: there are at most so many open commands. A thread that is gone answers by its closed channel.
        let _ = self.tasks.try_send(task);
        lets_begin
    }
}
