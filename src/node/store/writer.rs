//! The thread that owns the store: all that is queued becomes one durable commit (group commit).
//!
//! The queue is in order. What was released after a batch is seen by nobody before that batch is durable; if a commit
//! fails, it is never seen.

use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError};

use super::{Store, StoreError};
use crate::engine::Event;
use crate::engine::event::Batch;
use crate::node::driver::EngineSender;

/// Jobs that may wait. A driver that is further ahead waits for the disk, which waits for nobody.
pub const JOBS_MAX: usize = 4096;
/// A commit takes in no more batches once it has this many writes, so that none takes long.
const COMMIT_WRITES_MAX: usize = 32_768;

/// When nothing was asked for so long, it is time to tidy up: what comes with a new block is over, here and at the nodes
/// that share the machine.
const QUIET_TIME: Duration = Duration::from_millis(100);

/// What the writer is asked to do.
pub enum Job {
    /// Write this.
    Persist(Batch),
    /// Run this once everything queued before is durable. It must not block on the engine.
    Release(Box<dyn FnOnce() + Send>),
}

/// Works until all senders of `jobs` are gone and everything is written, or until a commit fails. The store is closed
/// on return. `committed` is called after each commit; it must not block.
pub fn run(
    mut store: Store,
    jobs: &Receiver<Job>,
    engine: &EngineSender,
    committed: impl Fn(),
) -> Result<(), StoreError> {
    let mut batches = Vec::new();
    let mut releases = Vec::new();
    while let Some(first) = next_job(&mut store, jobs)? {
        let mut writes = 0;
        let mut next = Some(first);
        while let Some(job) = next {
            match job {
                Job::Persist(batch) => {
                    writes += batch.writes.len();
                    batches.push(batch);
                }
                Job::Release(release) => releases.push(release),
            }
            next = if writes < COMMIT_WRITES_MAX { jobs.try_recv().ok() } else { None };
        }
        if !batches.is_empty() {
            store.write(&batches)?;
            committed();
        }
        for release in releases.drain(..) {
            release();
        }
        if let Some(Batch { sequence, .. }) = batches.drain(..).next_back() {
            engine.deliver(Event::Persisted { sequence });
        }
    }
    Ok(())
}

/// The next job, `None` when there will be none. Tidies up when none has come for a while.
fn next_job(store: &mut Store, jobs: &Receiver<Job>) -> Result<Option<Job>, StoreError> {
    if store.should_checkpoint() {
        match jobs.recv_timeout(QUIET_TIME) {
            Ok(job) => return Ok(Some(job)),
            Err(RecvTimeoutError::Timeout) => store.checkpoint_journal()?,
            Err(RecvTimeoutError::Disconnected) => return Ok(None),
        }
    }
    Ok(jobs.recv().ok())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::node::driver::Queues;
    use crate::node::fixture::{Chain, batch};
    use crate::node::store::FolderLock;
    use crate::protocol::Height;

    #[test]
    fn what_is_queued_is_one_commit_and_is_released_after_it() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let mut chain = Chain::new(1);
        (0..3).for_each(|_| chain.mine(vec![]));
        let lock = FolderLock::acquire(folder.path(), "test").expect("free");
        let (store, _) = Store::open(lock, &chain.network).expect("a store");
        let reader = store.reader();
        let (engine, Queues { results, .. }) = EngineSender::new();
        let (queue, jobs) = crossbeam_channel::unbounded();
        let (tell, told) = crossbeam_channel::unbounded();
        let release = |number: usize| {
            let (reader, tell) = (reader.clone(), tell.clone());
            let see = move || {
                let tip = reader.snapshot().expect("readable").tip().height;
                tell.send((number, tip)).expect("the test waits");
            };
            queue.send(Job::Release(Box::new(see))).expect("open");
        };
        release(0);
        for (number, writes) in chain.writes_above(0).chunks(2).enumerate() {
            queue.send(Job::Persist(batch(number as u64 + 1, writes.to_vec()))).expect("open");
            release(number + 1);
        }
        drop(queue);
        run(store, &jobs, &engine, || {}).expect("written");
        // All of them see the last block, because they were queued together.
        assert_eq!(told.try_iter().collect::<Vec<_>>(), [0, 1, 2, 3].map(|number| (number, Height(3))));
        let persisted: Vec<_> = results.try_iter().collect();
        assert!(matches!(persisted[..], [Event::Persisted { sequence: 3 }]), "{persisted:?}");
        assert!(reader.snapshot().is_err(), "the store is closed");
        FolderLock::acquire(folder.path(), "test").expect("the folder is free");
    }

    #[test]
    fn nothing_is_released_after_a_failure() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let chain = Chain::new(1);
        let lock = FolderLock::acquire(folder.path(), "test").expect("free");
        let (store, _) = Store::open(lock, &chain.network).expect("a store");
        let (engine, Queues { results, .. }) = EngineSender::new();
        let (queue, jobs) = crossbeam_channel::unbounded();
        let missing = crate::engine::event::Write::Condemn { place: chain.tip() };
        queue.send(Job::Persist(batch(1, vec![missing]))).expect("open");
        let seen = Arc::new(());
        let held = Arc::clone(&seen);
        queue.send(Job::Release(Box::new(move || panic!("released: {held:?}")))).expect("open");
        assert_eq!(
            run(store, &jobs, &engine, || panic!("nothing was committed")).expect_err("no such block").code(),
            "database_damaged"
        );
        assert_eq!(results.len(), 0);
        drop(jobs);
        assert_eq!(Arc::strong_count(&seen), 1, "what was to be released is dropped");
    }
}
