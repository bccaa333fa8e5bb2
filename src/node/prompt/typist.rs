//! A user without a terminal: a program types a line and gets the line of its answer; it asks for the events.
//!
//! Parser, commands and JSON are those of a prompt with `--json`. One line at a time, no thread, nothing written: the
//! owner of a typist decides when it reads. Not here: Ctrl-C, and leaving (`quit` is answered, and the caller ends the
//! node).

use std::path::PathBuf;
use std::sync::atomic::AtomicBool;

use crossbeam_channel::Receiver;

use super::command::{self, Parsed};
use super::job::CommandRunner;
use super::json;
use crate::node::api::event::{self, Roster};
use crate::node::api::rows::Identity;
use crate::node::event::UserEvent;
use crate::node::handle::Handle;
use crate::node::wallet::password::Sources;

pub struct Typist {
    handle: Handle,
    identity: Identity,
    passwords: Sources,
    folder: PathBuf,
    events: Receiver<UserEvent>,
    roster: Roster,
}

impl Typist {
    /// The first typist of a node gets all its events. Files that commands name are in `folder`, unless they say
    /// otherwise.
    pub fn new(handle: &Handle, name: &str, folder: PathBuf, passwords: Sources) -> Self {
        Self {
            handle: handle.clone(),
            identity: Identity::of(handle, name.to_owned(), false),
            passwords,
            folder,
            events: handle.subscribe(),
            roster: Roster::default(),
        }
    }

    /// Carries out a line, and blocks until it is done. `None`: the line is empty or a comment.
    pub fn answer(&self, line: &str) -> Option<String> {
        let Parsed { name, command, .. } = command::parse(line)?;
        let job = CommandRunner {
            handle: &self.handle,
            identity: &self.identity,
            passwords: &self.passwords,
            folder: &self.folder,
            whole_chain: true,
            cancel: &AtomicBool::new(false),
        };
        Some(json::answer(&name, &command.and_then(|command| job.run(&command))))
    }

    /// The events since the last call, a line for each. The node keeps a bounded number for a typist that never asks.
    pub fn events(&mut self) -> Vec<String> {
        let mut lines = Vec::new();
        for happened in self.events.try_iter() {
            self.roster.learn(&happened);
            lines.extend(event::event(&happened, &self.identity, &self.roster));
            self.roster.forget(&happened);
        }
        lines
    }
}
