//! What waits for a node's disk.
//!
//! The disk does one thing after the other, so nobody is told of anything before it is durable, and nothing is read
//! before it is written. What needs no disk only waits for its turn. A crash forgets all that waits.

use std::collections::VecDeque;
use std::sync::Arc;

use super::disk::Disk;
use super::random::Random;
use crate::engine::View;
use crate::engine::event::{Answer, Batch, CommandError, Gossip, Key, Notice, Place, Ticket};
use crate::protocol::{Millis, Response};

/// A write or a read, in milliseconds.
const DISK_MILLIS: (u64, u64) = (1, 12);

#[derive(Debug)]
pub(crate) enum Job {
    Write(Batch),
    Load { key: Key, places: Vec<Place> },
    Serve { ticket: Ticket, places: Vec<Place> },
    Publish(Gossip),
    Reply { ticket: Ticket, response: Option<Response> },
    Answer { ticket: Ticket, answer: Result<Answer, CommandError> },
    Notice(Notice),
    Show(Arc<View>),
}

impl Job {
    fn takes_time(&self) -> bool {
        matches!(self, Self::Write(_) | Self::Load { .. } | Self::Serve { .. })
    }
}

/// A disk and what waits for it.
#[derive(Debug, Default)]
pub(crate) struct Storage {
    pub(crate) disk: Disk,
    /// With the time when each is done. Never earlier than those before it.
    jobs: VecDeque<(Millis, Job)>,
}

impl Storage {
    /// Takes in a job, or gives it back if it can be done at once.
    pub(crate) fn queue(&mut self, job: Job, now: Millis, random: &mut Random) -> Option<Job> {
        let last = self.jobs.back().map(|(due, _)| *due);
        let due = if job.takes_time() {
            now + Millis(random.between(DISK_MILLIS.0, DISK_MILLIS.1))
        } else if last.is_none() {
            return Some(job);
        } else {
            now
        };
        // What waits is written in one go, as the real store does, so a queue does not add up.
        self.jobs.push_back((last.map_or(due, |last| last.max(due)), job));
        None
    }

    /// The next job that is done by now. To be called until there is none.
    pub(crate) fn take_done(&mut self, now: Millis) -> Option<Job> {
        self.jobs.front().filter(|(due, _)| *due <= now)?;
        self.jobs.pop_front().map(|(_, job)| job)
    }

    /// When there is something to take.
    pub(crate) fn due(&self) -> Option<Millis> {
        self.jobs.front().map(|(due, _)| *due)
    }

    /// Writes all that waits to be written, and forgets the rest.
    pub(crate) fn write_all(&mut self) -> Vec<Batch> {
        let jobs = std::mem::take(&mut self.jobs).into_iter();
        let batches = jobs.filter_map(|(_, job)| if let Job::Write(batch) = job { Some(batch) } else { None });
        batches.inspect(|batch| self.disk.write(batch)).collect()
    }

    /// What was not written yet is lost.
    pub(crate) fn crash(&mut self) {
        self.jobs.clear();
    }
}
