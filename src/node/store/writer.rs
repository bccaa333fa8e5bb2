//! The thread that owns the store: all queued batches become one durable commit (group commit).
//!
//! A batch without a waiting caller is gathered with those that come soon after it: a new block is on its way to other
//! nodes meanwhile, and writing it would compete with that.

use std::sync::Arc;
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded};

use super::progress::Progress;
use super::{Store, StoreError};
use crate::engine::Event;
use crate::engine::event::{Batch, StoreEffect};
use crate::node::inbox::EngineSender;

/// Queued batches. A driver that is further ahead waits for the disk.
const BATCHES_MAX: usize = 4096;
/// A commit takes in no more batches once it has this many writes, so that none takes long.
const COMMIT_WRITES_MAX: usize = 32_768;
/// The time for which batches without a waiting caller are gathered. A crash loses them, and peers give them again.
const GATHER_TIME: Duration = Duration::from_millis(20);
/// After this long without a write, the journal is checkpointed: the work that a new block causes is over, here and at
/// the nodes that share the machine.
const QUIET_TIME: Duration = Duration::from_millis(100);

#[derive(Debug, Clone)]
pub struct Writer {
    batches: Sender<Batch>,
    progress: Arc<Progress>,
}

impl Writer {
    /// The writer for a store, and the receivers for [`run`].
    pub fn new(store: &Store) -> (Self, Receiver<Batch>) {
        let (batches, receiver) = bounded(BATCHES_MAX);
        (Self { batches, progress: Arc::clone(&store.progress) }, receiver)
    }

    /// Carries out an effect of the engine. Blocks while the queue is full.
    pub fn carry_out(&self, effect: StoreEffect) {
        match effect {
            // A writer that has failed has reported it, and the node shuts down.
            StoreEffect::Persist(batch) => drop(self.batches.send(batch)),
            StoreEffect::Sync => self.progress.hurry(),
        }
    }
}

/// Works until all senders of `queue` are gone and everything is written, or until a commit fails. The store is closed
/// on return. `committed` is called after each commit; it must not block.
pub fn run(
    mut store: Store,
    queue: &Receiver<Batch>,
    engine: &EngineSender,
    committed: impl Fn(),
) -> Result<(), StoreError> {
    let mut batches = Vec::new();
    while let Some(first) = next_batch(&mut store, queue)? {
        if queue.is_empty() {
            store.progress.await_hurry(GATHER_TIME);
        }
        let mut writes = first.writes.len();
        batches.push(first);
        while writes < COMMIT_WRITES_MAX
            && let Ok(batch) = queue.try_recv()
        {
            writes += batch.writes.len();
            batches.push(batch);
        }
        store.write(&batches)?;
        committed();
        if let Some(Batch { sequence, .. }) = batches.drain(..).next_back() {
            engine.deliver(Event::Persisted { sequence });
        }
    }
    Ok(())
}

/// The next batch, `None` when no more will come. Checkpoints the journal after a while without one.
fn next_batch(store: &mut Store, queue: &Receiver<Batch>) -> Result<Option<Batch>, StoreError> {
    if store.should_checkpoint() {
        match queue.recv_timeout(QUIET_TIME) {
            Ok(batch) => return Ok(Some(batch)),
            Err(RecvTimeoutError::Timeout) => store.checkpoint_journal()?,
            Err(RecvTimeoutError::Disconnected) => return Ok(None),
        }
    }
    Ok(queue.recv().ok())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::node::fixture::{Chain, batch};
    use crate::node::inbox::Queues;
    use crate::node::store::FolderLock;
    use crate::protocol::Height;

    #[test]
    fn what_is_queued_is_one_commit_and_a_reader_sees_what_was_shown() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let mut chain = Chain::new(1);
        (0..3).for_each(|_| chain.mine(vec![]));
        let lock = FolderLock::acquire(folder.path(), "test").expect("free");
        let (store, _) = Store::open(lock, &chain.network).expect("a store");
        let reader = store.reader();
        let (engine, Queues { results, .. }) = EngineSender::new();
        let (writer, queue) = Writer::new(&store);
        for (number, writes) in (1..).zip(chain.writes_above(0).chunks(2)) {
            writer.carry_out(StoreEffect::Persist(batch(number, writes.to_vec())));
            reader.note_shown(number);
        }
        let reading = std::thread::spawn(move || {
            let tip = reader.snapshot().expect("readable").tip().height;
            (tip, reader)
        });
        let thread = std::thread::spawn(move || run(store, &queue, &engine, || {}));
        let (tip, reader) = reading.join().expect("it reads");
        assert_eq!(tip, Height(3), "all that was shown");
        drop(writer);
        thread.join().expect("it ends").expect("written");
        let persisted: Vec<_> = results.try_iter().collect();
        assert!(matches!(persisted[..], [Event::Persisted { sequence: 3 }]), "{persisted:?}");
        assert!(reader.snapshot().is_err(), "the store is closed");
        FolderLock::acquire(folder.path(), "test").expect("the folder is free");
    }

    #[test]
    fn nothing_is_durable_after_a_failure_and_no_reader_waits_for_it() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let chain = Chain::new(1);
        let lock = FolderLock::acquire(folder.path(), "test").expect("free");
        let (store, _) = Store::open(lock, &chain.network).expect("a store");
        let reader = store.reader();
        let (engine, Queues { results, .. }) = EngineSender::new();
        let (writer, queue) = Writer::new(&store);
        let missing = crate::engine::event::Write::Condemn { place: chain.tip() };
        writer.carry_out(StoreEffect::Persist(batch(1, vec![missing])));
        writer.carry_out(StoreEffect::Sync);
        reader.note_shown(1);
        assert_eq!(
            run(store, &queue, &engine, || panic!("nothing was committed")).expect_err("no such block").code(),
            "database_damaged"
        );
        assert_eq!(results.len(), 0);
        assert!(reader.snapshot().is_err(), "the store is closed");
    }
}
