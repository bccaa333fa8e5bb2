//! A user without a terminal: types a line and gets the line of its answer, and what happened, when it asks.
//!
//! The same parser, jobs and JSON as at a prompt with `--json`. One line at a time, no thread, nothing written: whoever has
//! a typist decides when it reads. Not here: Ctrl-C, and leaving (`quit` is answered, and the caller ends the node).

use std::path::PathBuf;
use std::sync::atomic::AtomicBool;

use crossbeam_channel::Receiver;

use super::command::{self, Parsed};
use super::job::Job;
use super::json;
use crate::node::api::event::{self, Roster};
use crate::node::api::rows::Identity;
use crate::node::event::UserEvent;
use crate::node::handle::Handle;
use crate::node::wallet::password::Sources;

/// One user of one node.
pub struct Typist {
    handle: Handle,
    identity: Identity,
    passwords: Sources,
    folder: PathBuf,
    events: Receiver<UserEvent>,
    roster: Roster,
}

impl Typist {
    /// The first one of a node gets all its events. Files that commands name are in `folder`, unless they say otherwise.
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

    /// Carries out a line, and blocks until it is done. `None`: there is nothing in it.
    pub fn answer(&self, line: &str) -> Option<String> {
        let Parsed { name, command } = command::parse(line)?;
        let job = Job {
            handle: &self.handle,
            identity: &self.identity,
            passwords: &self.passwords,
            folder: &self.folder,
            whole_chain: true,
            cancel: &AtomicBool::new(false),
        };
        Some(json::answer(&name, &command.and_then(|command| job.run(&command))))
    }

    /// What has happened since the last time, a line for each. The node keeps only so much for one who never asks.
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
