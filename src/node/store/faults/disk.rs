//! A simulated disk with two files. It records every operation, fails on demand, and can lose power.
//!
//! Synced data survives a power cut. Of the operations after a file's last sync any subset may survive: each write and
//! each change of length by itself, and a part of the write that was under way. Not modelled: a disk that lies about a
//! sync, and one that damages data that it was not asked to write; redb's checksums turn those into `database_damaged`.

use std::collections::BTreeSet;
use std::io::{self, ErrorKind};
use std::sync::Arc;

use parking_lot::{Mutex, MutexGuard};
use redb::StorageBackend;

/// The unit of allocation: blocks that were never written take no room.
const BLOCK_BYTES: u64 = 4096;

/// The contents of both files.
pub(super) type DiskImage = [Vec<u8>; 2];
/// Indexes into a [`DiskImage`].
pub(super) const DATABASE: usize = 0;
pub(super) const JOURNAL: usize = 1;

/// An operation on a file.
#[derive(Debug, Clone)]
pub(super) struct DiskStep {
    pub(super) file: usize,
    pub(super) operation: Operation,
}

/// The kind of an operation.
#[derive(Debug, Clone)]
pub(super) enum Operation {
    Write { at: u64, bytes: Arc<[u8]> },
    SetLength(u64),
    Sync,
}

impl DiskStep {
    /// Applies the step to the files.
    pub(super) fn apply(&self, files: &mut DiskImage) {
        let file = &mut files[self.file];
        match &self.operation {
            Operation::Write { at, bytes } => {
                let at = usize::try_from(*at).expect("a small file");
                // If the new length did not survive, neither does the data beyond it.
                let end = (at + bytes.len()).min(file.len());
                if at < end {
                    file[at..end].copy_from_slice(&bytes[..end - at]);
                }
            }
            Operation::SetLength(length) => file.resize(usize::try_from(*length).expect("a small file"), 0),
            Operation::Sync => {}
        }
    }

    /// The step, if only its first `kept` bytes were written.
    pub(super) fn torn(&self, kept: usize) -> Option<Self> {
        match &self.operation {
            Operation::Write { at, bytes } => {
                let operation = Operation::Write { at: *at, bytes: bytes[..kept.min(bytes.len())].into() };
                Some(Self { file: self.file, operation })
            }
            Operation::SetLength(_) | Operation::Sync => None,
        }
    }
}

/// Replays steps in order. `after` is called before the first and after each, with the synced files and the steps
/// since.
pub(super) fn replay(mut synced: DiskImage, steps: &[DiskStep], mut after: impl FnMut(usize, &DiskImage, &[DiskStep])) {
    let mut unsynced: Vec<DiskStep> = Vec::new();
    after(0, &synced, &unsynced);
    for (at, step) in steps.iter().enumerate() {
        match step.operation {
            Operation::Sync => {
                let now_synced = unsynced.extract_if(.., |done| done.file == step.file);
                now_synced.for_each(|done| done.apply(&mut synced));
            }
            Operation::Write { .. } | Operation::SetLength(_) => unsynced.push(step.clone()),
        }
        after(at + 1, &synced, &unsynced);
    }
}

/// When and how the disk fails.
#[derive(Debug, Clone, Copy)]
pub(super) struct DiskFailure {
    /// The number of the first call that fails, reads included, from 0.
    pub(super) call: u64,
    /// The error that it fails with.
    pub(super) kind: ErrorKind,
    /// Whether all calls fail from then on, or only this one.
    pub(super) lasts: bool,
}

/// A disk. Clones share it.
#[derive(Debug, Clone, Default)]
pub(super) struct FakeDisk(Arc<Mutex<Inside>>);

/// A file on a disk.
#[derive(Debug)]
struct OpenFile {
    disk: FakeDisk,
    file: usize,
}

#[derive(Debug, Default)]
struct Inside {
    files: DiskImage,
    steps: Vec<DiskStep>,
    calls: u64,
    failure: Option<DiskFailure>,
    /// The blocks that were ever written, and how many bytes of them there may be.
    taken: BTreeSet<(usize, u64)>,
    room_bytes: Option<u64>,
}

impl FakeDisk {
    /// A disk with these files, all of it synced.
    pub(super) fn with(files: DiskImage) -> Self {
        Self(Arc::new(Mutex::new(Inside { files, ..Inside::default() })))
    }

    /// Opens one of the files.
    pub(super) fn open(&self, file: usize) -> impl StorageBackend {
        OpenFile { disk: self.clone(), file }
    }

    /// A disk that fails.
    pub(super) fn failing(failure: DiskFailure) -> Self {
        Self(Arc::new(Mutex::new(Inside { failure: Some(failure), ..Inside::default() })))
    }

    /// Fails from now on.
    pub(super) fn fail(&self, failure: DiskFailure) {
        self.inside().failure = Some(failure);
    }

    /// A disk that is full after this number of bytes.
    pub(super) fn of_size(room_bytes: u64) -> Self {
        Self(Arc::new(Mutex::new(Inside { room_bytes: Some(room_bytes), ..Inside::default() })))
    }

    /// All steps so far.
    pub(super) fn steps(&self) -> Vec<DiskStep> {
        self.inside().steps.clone()
    }

    /// The number of steps so far.
    pub(super) fn step_count(&self) -> usize {
        self.inside().steps.len()
    }

    /// The number of calls so far, those that change nothing included.
    pub(super) fn calls(&self) -> u64 {
        self.inside().calls
    }

    /// The files as other processes see them: all of it, synced or not.
    pub(super) fn files(&self) -> DiskImage {
        self.inside().files.clone()
    }

    /// The bytes that it takes up on the disk.
    pub(super) fn taken_bytes(&self) -> u64 {
        self.inside().taken.len() as u64 * BLOCK_BYTES
    }

    fn inside(&self) -> MutexGuard<'_, Inside> {
        self.0.lock()
    }

    /// Counts a call, and fails it if it is its turn.
    fn call(&self) -> io::Result<MutexGuard<'_, Inside>> {
        let mut inside = self.inside();
        let number = inside.calls;
        inside.calls += 1;
        match inside.failure {
            Some(DiskFailure { call, kind, lasts }) if number == call || lasts && number > call => {
                Err(io::Error::new(kind, "the disk was told to fail"))
            }
            _ => Ok(inside),
        }
    }
}

impl Inside {
    /// Allocates room for a write, and returns the number of its bytes that fit.
    fn take(&mut self, file: usize, at: u64, length: u64) -> u64 {
        for block in at / BLOCK_BYTES..(at + length).div_ceil(BLOCK_BYTES) {
            let left = self.room_bytes.map(|room| room.saturating_sub(self.taken.len() as u64 * BLOCK_BYTES));
            if !self.taken.contains(&(file, block)) {
                if let Some(left) = left.filter(|left| *left < BLOCK_BYTES) {
                    return (block * BLOCK_BYTES + left).saturating_sub(at).min(length);
                }
                self.taken.insert((file, block));
            }
        }
        length
    }
}

impl OpenFile {
    fn call(&self) -> io::Result<MutexGuard<'_, Inside>> {
        self.disk.call()
    }

    fn step(&self, operation: Operation) -> DiskStep {
        DiskStep { file: self.file, operation }
    }
}

impl StorageBackend for OpenFile {
    fn len(&self) -> io::Result<u64> {
        Ok(self.call()?.files[self.file].len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let inside = self.call()?;
        let from = usize::try_from(offset).map_err(io::Error::other)?;
        let bytes = inside.files[self.file].get(from..).and_then(|rest| rest.get(..out.len()));
        out.copy_from_slice(bytes.ok_or(ErrorKind::UnexpectedEof)?);
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let mut inside = self.call()?;
        let step = self.step(Operation::SetLength(len));
        step.apply(&mut inside.files);
        let gone = (self.file, len.div_ceil(BLOCK_BYTES))..(self.file + 1, 0);
        inside.taken.extract_if(gone, |_| true).for_each(drop);
        inside.steps.push(step);
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        self.call()?.steps.push(self.step(Operation::Sync));
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let mut inside = self.call()?;
        let length = inside.take(self.file, offset, data.len() as u64);
        let fitting = &data[..usize::try_from(length).expect("a part of the data")];
        // A file grows when one writes beyond its end.
        let end = usize::try_from(offset).expect("a small file") + fitting.len();
        if inside.files[self.file].len() < end {
            inside.files[self.file].resize(end, 0);
            inside.steps.push(self.step(Operation::SetLength(end as u64)));
        }
        let step = self.step(Operation::Write { at: offset, bytes: fitting.into() });
        step.apply(&mut inside.files);
        inside.steps.push(step);
        if fitting.len() < data.len() { Err(ErrorKind::StorageFull.into()) } else { Ok(()) }
    }
}
