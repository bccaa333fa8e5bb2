//! A file that grows by records, each on disk (fdatasync) before the next one: the least cost of a promise of
//! durability.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::Path;
use std::time::{Duration, Instant};

/// A growing file.
pub(crate) struct AppendFile(File);

impl AppendFile {
    /// A new file in this folder.
    pub(crate) fn create(folder: &Path) -> Self {
        let file = OpenOptions::new().create_new(true).append(true).open(folder.join("journal"));
        Self(file.expect("a new file"))
    }

    /// The time for a record of this many bytes.
    pub(crate) fn append(&mut self, record_bytes: usize) -> Duration {
        let record = vec![0x5a; record_bytes];
        let start = Instant::now();
        self.0.write_all(&record).and_then(|()| self.0.sync_data()).expect("room on the disk");
        start.elapsed()
    }
}

/// The time for that many records, in a new file in this folder.
pub(crate) fn append(folder: &Path, records: usize, record_bytes: usize) -> Duration {
    let mut journal = AppendFile::create(folder);
    (0..records).map(|_| journal.append(record_bytes)).sum()
}
