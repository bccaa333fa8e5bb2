//! The file `chain.journal`: the latest commits, one after the other, until a checkpoint has synced them into the
//! database.
//!
//! A commit is durable when it is in the journal, which takes one write and one sync; the database is synced once for
//! many of them. Then the journal is overwritten from its start, because overwriting a file syncs faster than
//! extending it. This is write-ahead logging (Mohan et al., "ARIES", 1992; only its redo half is needed).
//!
//! The file is a magic of 16 bytes, the 16 random bytes of its database, and records. A record is a head, four fields
//! of 8 bytes (the record's number and the length of its content in bytes, little endian; a checksum of these two, and
//! one of the content), and the content, filled up with zeros to a multiple of 8 bytes. Numbers are never reused in a
//! database, so stale records are told from new ones.
//!
//! Always true of what [`Journal::open`] gives: each record that was synced, in order; and perhaps the one that was
//! being written when the power went. A record that is damaged before others that are not is an error. If it is the
//! last one, it can't be told from one that was never finished.

use redb::StorageBackend;
use sha2::{Digest, Sha256};

/// The first bytes of the file. This format is part of the database's schema.
const MAGIC: [u8; 16] = *b"quipu journal 1\n";
/// [`MAGIC`] and the id, in bytes.
const BEGIN_BYTES: usize = 32;
/// The length of a record's head.
const HEAD_BYTES: usize = 32;
/// Records begin at multiples of this.
const ALIGNMENT_BYTES: usize = 8;
/// No record ends beyond this. It bounds what a startup replays after a crash, and what is kept in memory until the
/// next checkpoint. Small in tests, so that checkpoints are frequent.
const JOURNAL_BYTES_MAX: usize = if cfg!(test) { 32 << 10 } else { 8 << 20 };
/// A longer commit, as a synchronisation has them, goes into the database at once: writing all of it twice takes longer than
/// syncing the database. Two full blocks are shorter.
const RECORD_BYTES_MAX: usize = JOURNAL_BYTES_MAX / 4;
/// The file grows by multiples of this.
const GROW_BYTES: usize = if cfg!(test) { 4 << 10 } else { 128 << 10 };

/// Tells a database from all others.
pub(super) type JournalId = [u8; 16];

/// The open file.
#[derive(Debug)]
pub(super) struct Journal {
    file: Box<dyn StorageBackend>,
    id: JournalId,
    /// Where the next record goes.
    position: usize,
    length: usize,
    /// The number of the last record.
    last: u64,
}

impl Journal {
    /// Makes an empty journal of whatever is in the file. Durable on return. Records are numbered from after `last`.
    pub(super) fn create(file: Box<dyn StorageBackend>, id: JournalId, last: u64) -> Result<Self, redb::Error> {
        file.set_len(0)?;
        let mut begin = vec![0; GROW_BYTES];
        begin[..16].copy_from_slice(&MAGIC);
        begin[16..BEGIN_BYTES].copy_from_slice(&id);
        file.write(0, &begin)?;
        file.sync_data()?;
        Ok(Self { file, id, position: BEGIN_BYTES, length: GROW_BYTES, last })
    }

    /// The journal of the database `id`, and the content of its records after number `settled`. The next record
    /// overwrites the start, so a checkpoint is due before it is written.
    pub(super) fn open(
        file: Box<dyn StorageBackend>,
        id: JournalId,
        settled: u64,
    ) -> Result<(Self, Vec<Vec<u8>>), redb::Error> {
        let length = usize::try_from(file.len()?).unwrap_or(usize::MAX).min(JOURNAL_BYTES_MAX + GROW_BYTES);
        let mut bytes = vec![0; length];
        file.read(0, &mut bytes)?;
        if bytes.get(..BEGIN_BYTES) != Some(&[MAGIC, id].concat()) {
            return Err(corrupted("its chain.journal is missing, or another database's"));
        }
        let (mut contents, mut position, mut last) = (Vec::new(), BEGIN_BYTES, settled);
        while let Some((head, content)) =
            Head::with_content(&bytes, position, &id).filter(|(head, _)| head.number > last)
        {
            if head.number != last + 1 {
                return Err(corrupted("its chain.journal goes on later than it ends"));
            }
            contents.push(content.to_vec());
            position += record_bytes(content.len());
            last = head.number;
        }
        // A record is begun only when the one before is durable.
        let is_later = |at| Head::at(&bytes, at, &id).is_some_and(|head| head.number > last);
        if (position..bytes.len()).step_by(ALIGNMENT_BYTES).skip(1).any(is_later) {
            return Err(corrupted("its chain.journal is damaged"));
        }
        // The next record may have been begun and have left its head. Its number is skipped, so that the stale head
        // never looks like a later record.
        Ok((Self { file, id, position: BEGIN_BYTES, length, last: last + 1 }, contents))
    }

    /// The id of the database.
    pub(super) fn id(&self) -> &JournalId {
        &self.id
    }

    /// The number of the last record.
    pub(super) fn last(&self) -> u64 {
        self.last
    }

    /// Whether a record fits behind the others and is short enough to be worth it.
    pub(super) fn takes(&self, content: &[u8]) -> bool {
        content.len() <= RECORD_BYTES_MAX && self.position + record_bytes(content.len()) <= JOURNAL_BYTES_MAX
    }

    /// Whether a checkpoint is due when nobody waits.
    pub(super) fn is_long(&self) -> bool {
        self.position > JOURNAL_BYTES_MAX / 8
    }

    /// Adds a record, for which there must be room. Durable on return. After an error it may be there or not, and
    /// nothing more may be added.
    pub(super) fn append(&mut self, content: &[u8]) -> Result<(), redb::Error> {
        let number = self.last + 1;
        let end = self.position + record_bytes(content.len());
        let grown = if end > self.length { end.next_multiple_of(GROW_BYTES) } else { end };
        let mut record = Vec::with_capacity(grown - self.position);
        record.extend_from_slice(&Head::of(&self.id, number, content).encode(&self.id));
        record.extend_from_slice(content);
        record.resize(grown - self.position, 0);
        self.file.write(self.position as u64, &record)?;
        self.file.sync_data()?;
        (self.position, self.length, self.last) = (end, self.length.max(grown), number);
        Ok(())
    }

    /// Goes back to the start: a checkpoint has synced all records into the database.
    pub(super) fn restart(&mut self) {
        self.position = BEGIN_BYTES;
    }

    /// Empties the file: the database is complete and will be closed.
    pub(super) fn empty(&self) -> Result<(), redb::Error> {
        Ok(self.file.set_len(0)?)
    }
}

/// The head of a record.
struct Head {
    number: u64,
    length: u64,
    /// Of the content.
    sum: [u8; 8],
}

impl Head {
    fn of(id: &JournalId, number: u64, content: &[u8]) -> Self {
        Self { number, length: content.len() as u64, sum: checksum(id, number, content) }
    }

    fn encode(&self, id: &JournalId) -> [u8; HEAD_BYTES] {
        let own_sum = checksum(id, self.number, &self.length.to_le_bytes());
        let mut head = [0; HEAD_BYTES];
        let fields = [self.number.to_le_bytes(), self.length.to_le_bytes(), own_sum, self.sum];
        head.as_chunks_mut().0.copy_from_slice(&fields);
        head
    }

    /// The head of a record, whatever its content is.
    fn at(bytes: &[u8], position: usize, id: &JournalId) -> Option<Self> {
        let found = bytes.get(position..)?.get(..HEAD_BYTES)?;
        let [number, length, _, sum] = found.as_chunks().0 else { unreachable!("a head is four times 8 bytes") };
        let head = Self { number: u64::from_le_bytes(*number), length: u64::from_le_bytes(*length), sum: *sum };
        // Most bytes are zeros, and hashing them would be waste.
        (head.number > 0 && head.encode(id) == *found).then_some(head)
    }

    /// A record that is whole.
    fn with_content<'a>(bytes: &'a [u8], position: usize, id: &JournalId) -> Option<(Self, &'a [u8])> {
        let head = Self::at(bytes, position, id)?;
        let content = bytes.get(position + HEAD_BYTES..)?.get(..usize::try_from(head.length).ok()?)?;
        (checksum(id, head.number, content) == head.sum).then_some((head, content))
    }
}

/// How many bytes of the file a record takes.
fn record_bytes(content: usize) -> usize {
    (HEAD_BYTES + content).next_multiple_of(ALIGNMENT_BYTES)
}

/// Detects damage by disks and power cuts. The id is random, so no block can contain a forged head.
fn checksum(id: &JournalId, number: u64, content: &[u8]) -> [u8; 8] {
    let hash = Sha256::new().chain_update(id).chain_update(number.to_le_bytes()).chain_update(content).finalize();
    *hash.first_chunk().expect("a hash is 32 bytes")
}

fn corrupted(detail: &str) -> redb::Error {
    redb::Error::Corrupted(detail.to_owned())
}
