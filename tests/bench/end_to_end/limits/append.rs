//! A file that grows by records, each on disk (fdatasync) before the next one: what a promise of durability costs at least.

use std::fs::OpenOptions;
use std::io::Write;
use std::path::Path;
use std::time::{Duration, Instant};

/// How long so many appends take, in a new file of this folder.
pub(crate) fn append(folder: &Path, records: usize, record_bytes: usize) -> Duration {
    let record = vec![0x5a; record_bytes];
    let path = folder.join("append");
    let mut file = OpenOptions::new().create_new(true).append(true).open(&path).expect("a new file");
    let start = Instant::now();
    for _ in 0..records {
        file.write_all(&record).and_then(|()| file.sync_data()).expect("room on the disk");
    }
    let time = start.elapsed();
    std::fs::remove_file(&path).expect("our own file");
    time
}
