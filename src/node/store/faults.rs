//! Disks that lose power, fail and fill up, under the real store.
//!
//! Shown for every point at which a recorded run can be cut: the store opens without help; it holds
//! exactly what was there after some commit, and that is the last one that was acknowledged or the one under way; what
//! was not acknowledged was shown to nobody; and it can be written again.

mod disk;
mod failures;
mod power;
mod script;

use std::path::Path;

use super::error::guarded;
use super::writer;
use super::*;
use crate::node::inbox::EngineSender;
use disk::{DATABASE, FakeDisk, JOURNAL};
use script::{Picture, Script};

/// Opens the store on a disk in memory, as [`Store::open`] does on a file.
fn open_on(disk: &FakeDisk, folder: &Path, network: &Arc<Network>) -> Result<(Store, Stored), StoreError> {
    let (path, lock) = (folder.join(open::FILE), FolderLock::acquire(folder, "test")?);
    let database = guarded(&path, || Ok(open::builder().create_with_backend(disk.open(DATABASE))?))?;
    let journal = Box::new(disk.open(JOURNAL));
    open::adopt(Files { database: Some(database), path, _lock: lock }, journal, network)
}

/// A new store on a disk, closed again.
fn create_on(disk: &FakeDisk, network: &Network) -> Result<(), StoreError> {
    let path = Path::new(open::FILE);
    guarded(path, || open::fill(&open::builder().create_with_backend(disk.open(DATABASE))?, network))
}

fn picture(disk: &FakeDisk, folder: &Path, network: &Arc<Network>) -> Result<Picture, StoreError> {
    let (store, stored) = open_on(disk, folder, network)?;
    Picture::of(&store, &stored, network)
}

/// A run of the script that was watched.
struct Run {
    /// How many steps the disk had seen when the empty store was there, and when each commit was acknowledged.
    acknowledged: Vec<usize>,
    result: Result<(), StoreError>,
}

impl Run {
    /// Makes a store on a disk and has the real writer write the script to it.
    fn record(disk: &FakeDisk, folder: &Path, script: &Script) -> Self {
        let mut run = Self { acknowledged: Vec::new(), result: Ok(()) };
        let opened = create_on(disk, &script.network).and_then(|()| {
            run.acknowledged.push(disk.step_count());
            open_on(disk, folder, &script.network)
        });
        run.result = opened.and_then(|(store, _)| run.write(disk, store, script));
        run
    }

    /// Each commit is put into the queue when the one before is done, so that there are as many as in the script.
    fn write(&mut self, disk: &FakeDisk, store: Store, script: &Script) -> Result<(), StoreError> {
        let (engine, _queues) = EngineSender::new();
        let (queue, batches) = crossbeam_channel::unbounded();
        let (tell, told) = crossbeam_channel::unbounded();
        let (go, may_go) = crossbeam_channel::unbounded::<()>();
        let reader = store.reader();
        let committed = move || {
            // Where the disk fails, readers see nothing.
            let tip = reader.written().ok().map(|snapshot| snapshot.tip());
            tell.send(tip).expect("the test waits");
            // Until the next commit is in the queue, whole. There may be none.
            let _ = may_go.recv();
        };
        // A writer that has ended drops what it is sent.
        let put = |batches: &[Batch]| drop(queue.send(batches.to_vec()));
        let mut rest = script.commits.iter();
        rest.next().into_iter().for_each(|first| put(first));
        let thread = std::thread::spawn(move || writer::run(store, &batches, &engine, committed));
        for number in 1.. {
            // The writer has ended, or told what can be read after a commit.
            let Ok(tip) = told.recv() else { break };
            self.acknowledged.push(disk.step_count());
            if let Some(tip) = tip {
                assert_eq!(tip, script.pictures[number].tip(&script.network), "commit {number} is seen, no other");
            }
            let Some(batches) = rest.next() else { break };
            put(batches);
            go.send(()).expect("the writer holds the other end");
        }
        drop((go, queue));
        thread.join().expect("a failing disk is no panic")
    }

    /// How many commits were acknowledged; `None` if there was not even an empty store.
    fn commits(&self) -> Option<usize> {
        self.acknowledged.len().checked_sub(1)
    }
}

/// The number of the commit after which the store was like this: `least`, or the one after it.
fn commit_of(found: &Picture, script: &Script, least: usize) -> Option<usize> {
    (least..=least + 1).find(|number| script.pictures.get(*number) == Some(found))
}
