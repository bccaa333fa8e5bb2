//! The thread that carries commands out, one after the other, and gives their results in that order.
//!
//! Transactions wait for the disk, which writes a thousand as fast as one. So the next one may begin while one waits,
//! up to [`OPEN_MAX`]; all other commands have the node to themselves.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use crossbeam_channel::{Receiver, Sender};

use super::command::PromptCommand;
use super::job::{CommandRunner, Sending};
use super::outcome::CommandOutcome;
use crate::node::api::error::Failure;
use crate::node::api::rows::Identity;
use crate::node::handle::Handle;
use crate::node::wallet::password::Sources;

/// Commands that were read and are not answered yet. At this number reading pauses.
pub(super) const OPEN_MAX: usize = 1024;

/// The running thread. It ends when this is dropped.
pub(super) struct Worker {
    tasks: Sender<WorkerTask>,
    /// One result for each command, in order.
    pub(super) results: Receiver<Result<CommandOutcome, Failure>>,
}

enum WorkerTask {
    Run(PromptCommand),
    Wait(Sending),
    Refuse(Failure),
}

/// The prompt's side of commands.
#[derive(Clone)]
pub(super) struct Desk {
    pub(super) handle: Handle,
    pub(super) identity: Identity,
    pub(super) passwords: Sources,
    /// `chain` alone lists all of it.
    pub(super) whole_chain: bool,
    /// Set when the user has cancelled the command.
    pub(super) cancel: Arc<AtomicBool>,
}

impl Desk {
    fn runner(&self) -> CommandRunner<'_> {
        CommandRunner {
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
    pub(super) fn start(desk: Desk) -> io::Result<Self> {
        let (tasks, todo) = crossbeam_channel::bounded(OPEN_MAX);
        let (done, results) = crossbeam_channel::bounded(1);
        std::thread::Builder::new().name("commands".to_owned()).spawn(move || {
            for task in todo {
                let result = match task {
                    WorkerTask::Run(command) => desk.runner().run(&command),
                    WorkerTask::Wait(sending) => sending.wait(),
                    WorkerTask::Refuse(failure) => Err(failure),
                };
                if done.send(result).is_err() {
                    break;
                }
            }
        })?;
        Ok(Self { tasks, results })
    }

    /// Carries a command out, or says in its turn why not. Returns whether others may begin before the result is there.
    pub(super) fn begin(&self, command: Result<PromptCommand, Failure>, desk: &Desk) -> bool {
        let (task, lets_begin) = match command {
            Err(failure) => (WorkerTask::Refuse(failure), true),
            Ok(command) => match desk.runner().begin_sending(&command) {
                Some(sending) => (WorkerTask::Wait(sending), true),
                None => (WorkerTask::Run(command), false),
            },
        };
        // Never full: the number of open commands is bounded. A thread that is gone answers by its closed channel.
        let _ = self.tasks.try_send(task);
        lets_begin
    }
}
