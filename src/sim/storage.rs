//! What a node's disk has to do.
//!
//! The disk does one thing after the other, so nothing is read before it is written. A crash forgets all that waits.

use std::collections::VecDeque;

use super::disk::Disk;
use super::random::Random;
use crate::engine::event::{Batch, LoadEffect};
use crate::protocol::Millis;

/// A write or a read, in milliseconds.
const DISK_MILLIS: (u64, u64) = (1, 12);

/// What a disk does.
#[derive(Debug)]
pub(crate) enum DiskTask {
    Write(Batch),
    Read(LoadEffect),
}

/// A disk and what waits for it.
#[derive(Debug, Default)]
pub(crate) struct Storage {
    pub(crate) disk: Disk,
    /// With the time when each is done. Never earlier than those before it.
    tasks: VecDeque<(Millis, DiskTask)>,
}

impl Storage {
    /// Takes in a task. What waits is written in one go, as the real store does, so a queue does not add up.
    pub(crate) fn queue(&mut self, task: DiskTask, now: Millis, random: &mut Random) {
        let due = now + Millis(random.between(DISK_MILLIS.0, DISK_MILLIS.1));
        let last = self.tasks.back().map(|(due, _)| *due);
        self.tasks.push_back((last.map_or(due, |last| last.max(due)), task));
    }

    /// The next task that is done by now. To be called until there is none.
    pub(crate) fn take_done(&mut self, now: Millis) -> Option<DiskTask> {
        self.tasks.pop_front_if(|(due, _)| *due <= now).map(|(_, task)| task)
    }

    /// When there is something to take.
    pub(crate) fn due(&self) -> Option<Millis> {
        self.tasks.front().map(|(due, _)| *due)
    }

    /// Writes all that waits to be written, and forgets the rest.
    pub(crate) fn write_all(&mut self) -> Vec<Batch> {
        let tasks = std::mem::take(&mut self.tasks).into_iter();
        let batches = tasks.filter_map(|(_, task)| if let DiskTask::Write(batch) = task { Some(batch) } else { None });
        batches.inspect(|batch| self.disk.write(batch)).collect()
    }

    /// What was not written yet is lost.
    pub(crate) fn crash(&mut self) {
        self.tasks.clear();
    }
}
