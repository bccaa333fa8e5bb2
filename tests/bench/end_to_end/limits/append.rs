//! A file that grows by records, each on disk (fdatasync) before the next one: what a promise of durability costs at least.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::Path;
use std::time::{Duration, Instant};

/// A file that grows.
pub(crate) struct Journal(File);

impl Journal {
    /// A new one in this folder.
    pub(crate) fn create(folder: &Path) -> Self {
        let file = OpenOptions::new().create_new(true).append(true).open(folder.join("journal"));
        Self(file.expect("a new file"))
    }

    /// How long a record of so many bytes takes.
    pub(crate) fn append(&mut self, record_bytes: usize) -> Duration {
        let record = vec![0x5a; record_bytes];
        let start = Instant::now();
        self.0.write_all(&record).and_then(|()| self.0.sync_data()).expect("room on the disk");
        start.elapsed()
    }
}

/// How long so many records take, in a new journal in this folder.
pub(crate) fn append(folder: &Path, records: usize, record_bytes: usize) -> Duration {
    let mut journal = Journal::create(folder);
    (0..records).map(|_| journal.append(record_bytes)).sum()
}
