//! The thread that owns the store: all queued batches become one durable commit (group commit).
//!
//! [`Writer`] is the way to it. It gathers batches that nobody waits for: a new block is on its way to other nodes
//! meanwhile, and writing it would compete with that, as would waking up the thread.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, after, bounded, never, select};

use super::progress::{CopyRequest, Progress};
use super::{Store, StoreError};
use crate::engine::Event;
use crate::engine::event::{Batch, StoreEffect, Write};
use crate::node::inbox::EngineSender;
use crate::protocol::encode::EncodedSize;
use crate::protocol::ledger::AccountChange;

/// Groups of batches that may wait. A driver that is further ahead waits for the disk, which waits for nobody.
const GROUPS_MAX: usize = 256;
/// A commit takes in no more groups once it has this many writes, so that none takes long.
const COMMIT_WRITES_MAX: usize = 32_768;
/// The same for bytes, so that a commit fits into the database's buffer: one that does not is written twice.
const COMMIT_BYTES_MAX: usize = 4 << 20;
/// The time for which batches without a waiting caller are gathered: a full block has reached nodes on the same machine
/// by then. A crash loses them, and peers give them again.
const GATHER_TIME: Duration = Duration::from_millis(50);
/// With this many writes gathered, they are sent at once: a sync is under way, and waits when too much is not written.
const GATHERED_WRITES_MAX: usize = 128;
/// The same for bytes: long enough to go into the database at once, and not by way of the journal.
const GATHERED_BYTES_MAX: usize = 3 << 20;
/// A write without a block or accounts, at most.
const WRITE_BYTES: usize = 256;
/// With nothing to write for this long, a checkpoint of the journal is due: the traffic of a new block is over, here and at the
/// nodes that share the machine.
const QUIET_TIME: Duration = Duration::from_millis(100);

/// The way to the thread, for the one who has the batches.
#[derive(Debug)]
pub struct Writer {
    groups: Sender<Vec<Batch>>,
    gathered: Vec<Batch>,
    size: Size,
    /// When they are sent: `None` if there are none.
    due: Option<Instant>,
    progress: Arc<Progress>,
}

impl Writer {
    /// For a store, with the queue that [`run`] reads.
    pub fn new(store: &Store) -> (Self, Receiver<Vec<Batch>>) {
        let (groups, queue) = bounded(GROUPS_MAX);
        let progress = Arc::clone(&store.progress);
        (Self { groups, gathered: Vec::new(), size: Size::default(), due: None, progress }, queue)
    }

    /// Takes in what the engine asks for. It is sent by [`Self::flush`] when it is due.
    pub fn carry_out(&mut self, effect: StoreEffect) {
        match effect {
            StoreEffect::Persist(batch) => {
                self.size.add(&batch);
                self.gathered.push(batch);
                self.due.get_or_insert_with(|| Instant::now() + GATHER_TIME);
                if self.size.writes >= GATHERED_WRITES_MAX || self.size.bytes >= GATHERED_BYTES_MAX {
                    self.hurry();
                }
            }
            StoreEffect::Sync => self.hurry(),
        }
    }

    /// When [`Self::flush`] is to be called.
    pub fn due(&self) -> Option<Instant> {
        self.due
    }

    /// Sends what has gathered. Blocks while too much waits.
    pub fn flush(&mut self) {
        self.due = None;
        self.size = Size::default();
        if !self.gathered.is_empty() {
            // A writer that has failed has told so, and the node shuts down.
            let _ = self.groups.send(std::mem::take(&mut self.gathered));
        }
    }

    /// Whether nothing will be written any more: the commit failed, or the node ends.
    pub fn is_closed(&self) -> bool {
        self.progress.is_closed()
    }

    /// A message here means that a reader waits for the gathered batches.
    pub fn hurried(&self) -> &Receiver<()> {
        self.progress.hurried()
    }

    /// Somebody waits: what has gathered is due now.
    pub fn hurry(&mut self) {
        self.due = self.due.map(|due| due.min(Instant::now()));
    }
}

/// How much there is to write, about.
#[derive(Debug, Clone, Copy, Default)]
struct Size {
    writes: usize,
    bytes: usize,
}

impl Size {
    fn add(&mut self, batch: &Batch) {
        self.writes += batch.writes.len();
        self.bytes += batch.writes.iter().map(bytes_of).sum::<usize>();
    }
}

fn bytes_of(write: &Write) -> usize {
    WRITE_BYTES
        + match write {
            Write::Block(block) => block.length(),
            Write::Connect { delta, .. } | Write::Disconnect { delta, .. } => {
                delta.changes.len() * AccountChange::ENCODED_BYTES_MIN
            }
            Write::PutPending(transaction) => transaction.length(),
            Write::Condemn { .. } | Write::DropPending(_) | Write::Checkpoint(_) => 0,
        }
}

/// Works until all senders of `queue` are gone and everything is written, or until a commit fails. The store is closed
/// on return. `committed` is called after each commit; it must not block.
pub fn run(
    mut store: Store,
    queue: &Receiver<Vec<Batch>>,
    engine: &EngineSender,
    committed: impl Fn(),
) -> Result<(), StoreError> {
    while let Some(mut batches) = next_group(&mut store, queue)? {
        let mut size = Size::default();
        batches.iter().for_each(|batch| size.add(batch));
        while size.writes < COMMIT_WRITES_MAX
            && size.bytes < COMMIT_BYTES_MAX
            && let Ok(group) = queue.try_recv()
        {
            group.iter().for_each(|batch| size.add(batch));
            batches.extend(group);
        }
        store.write(&batches)?;
        committed();
        if let Some(Batch { sequence, .. }) = batches.last() {
            engine.deliver(Event::Persisted { sequence: *sequence });
        }
    }
    Ok(())
}

/// The next group, `None` when there will be none. Checkpoints the journal when none has come for a while, and makes the
/// copies that are asked for.
fn next_group(store: &mut Store, queue: &Receiver<Vec<Batch>>) -> Result<Option<Vec<Batch>>, StoreError> {
    let progress = Arc::clone(&store.progress);
    loop {
        let quiet = if store.should_checkpoint() { after(QUIET_TIME) } else { never() };
        select! {
            recv(queue) -> group => return Ok(group.ok()),
            recv(progress.copies()) -> request => {
                if let Ok(CopyRequest { folder, done }) = request {
                    // The caller may have gone.
                    let _ = done.send(store.copy_to(&folder));
                }
            }
            recv(quiet) -> _ => store.checkpoint_journal()?,
        }
    }
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
        let (mut writer, queue) = Writer::new(&store);
        for (number, writes) in (1..).zip(chain.writes_above(0).chunks(2)) {
            writer.carry_out(StoreEffect::Persist(batch(number, writes.to_vec())));
            reader.note_shown(number);
        }
        let reading = std::thread::spawn(move || {
            let tip = reader.snapshot().expect("readable").tip().height;
            (tip, reader)
        });
        writer.hurried().recv().expect("the reader waits");
        writer.flush();
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
        let (mut writer, queue) = Writer::new(&store);
        let missing = Write::Condemn { place: chain.tip() };
        writer.carry_out(StoreEffect::Persist(batch(1, vec![missing])));
        writer.carry_out(StoreEffect::Sync);
        assert!(writer.due().is_some_and(|due| due <= Instant::now()), "somebody waits");
        writer.flush();
        reader.note_shown(1);
        assert_eq!(
            run(store, &queue, &engine, || panic!("nothing was committed")).expect_err("no such block").code(),
            "database_damaged"
        );
        assert_eq!(results.len(), 0);
        assert!(reader.snapshot().is_err(), "the store is closed");
        assert!(writer.is_closed(), "whoever ends the node need not wait for it");
    }
}
