//! The queue of a node's disk.
//!
//! The disk does one thing after the other, so nothing is read before it is written. A crash drops the queue.

use std::collections::VecDeque;

use super::disk::VirtualDisk;
use super::random::Random;
use crate::engine::event::{Batch, LoadEffect};
use crate::protocol::Millis;

/// The duration of a write or a read, in milliseconds.
const DISK_MILLIS: (u64, u64) = (1, 12);

/// A task of the disk.
#[derive(Debug)]
pub(crate) enum DiskTask {
    Write(Batch),
    Read(LoadEffect),
}

/// A disk and its queue.
#[derive(Debug, Default)]
pub(crate) struct Storage {
    pub(crate) disk: VirtualDisk,
    /// Each task with the time when it is done, never earlier than those before it.
    tasks: VecDeque<(Millis, DiskTask)>,
}

impl Storage {
    /// Queues a task. Writes that wait are done in one go, as in the real store, so delays do not add up.
    pub(crate) fn queue(&mut self, task: DiskTask, now: Millis, random: &mut Random) {
        let due = now + Millis(random.between(DISK_MILLIS.0, DISK_MILLIS.1));
        let last = self.tasks.back().map(|(due, _)| *due);
        self.tasks.push_back((last.map_or(due, |last| last.max(due)), task));
    }

    /// The next task that is done by now. To be called until there is none.
    pub(crate) fn take_done(&mut self, now: Millis) -> Option<DiskTask> {
        if self.due()? > now {
            return None;
        }
        self.tasks.pop_front().map(|(_, task)| task)
    }

    /// The time at which the next task is done.
    pub(crate) fn due(&self) -> Option<Millis> {
        self.tasks.front().map(|(due, _)| *due)
    }

    /// Writes all waiting batches, and drops the other tasks.
    pub(crate) fn write_all(&mut self) -> Vec<Batch> {
        let tasks = std::mem::take(&mut self.tasks).into_iter();
        let batches = tasks.filter_map(|(_, task)| if let DiskTask::Write(batch) = task { Some(batch) } else { None });
        batches.inspect(|batch| self.disk.write(batch)).collect()
    }

    /// Drops the queue.
    pub(crate) fn crash(&mut self) {
        self.tasks.clear();
    }
}
