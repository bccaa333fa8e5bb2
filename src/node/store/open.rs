//! Opening: a new database is made beside its place and moved there whole; an existing one is read and checked for
//! consistency.

use std::fs::{self, OpenOptions};
use std::io;
use std::path::Path;
use std::sync::Arc;

use redb::backends::FileBackend;
use redb::{
    Builder, Database, ReadTransaction, ReadableDatabase, ReadableTable, ReadableTableMetadata, StorageBackend,
};

use super::error::guarded;
use super::headers::read_headers;
use super::journal::{Journal, JournalId};
use super::prune::{SIDE_BYTES_MAX, prune};
use super::rows::Rows;
use super::tables::{
    ACCOUNTS, BEST, BODIES, HEADERS, HEIGHTS, META, META_CHECKPOINT, META_GENESIS, META_JOURNAL, META_NETWORK,
    META_SCHEMA, META_SETTLED, PENDING, PIECES, SCHEMA, SCHEMA_MIN, UNDO, damaged, place_of,
};
use super::{Files, FolderLock, Store, StoreError};
use crate::engine::event::{Place, Stored, StoredHeader};
use crate::files::sync_folder;
use crate::protocol::check::TRANSACTION_BYTES_MAX;
use crate::protocol::encode::decode;
use crate::protocol::{Account, Address, BlockId, Height, Ledger, Network, SignedTransaction, Wei};

/// The database in the data folder.
pub(super) const FILE: &str = "chain.redb";
/// Its journal, beside it.
pub(super) const JOURNAL_FILE: &str = "chain.journal";
/// A database that is being made. One that is found was never finished, and holds nothing.
const FILE_NEW: &str = "chain.redb.new";
/// The database's page cache, in bytes. Half of it may be pages of a commit, and a commit must fit. Blocks are read rarely and in
/// order, and the rest is in the engine: a larger one would only keep what a synchronisation has written.
const CACHE_BYTES: usize = 16 << 20;

/// No memory is reserved for more rows than this, whatever a table claims.
const ROWS_EXPECTED_MAX: usize = 1 << 22;

/// See [`Store::open`].
pub(super) fn open(lock: FolderLock, network: &Arc<Network>) -> Result<(Store, Stored), StoreError> {
    let folder = lock.folder().to_owned();
    let path = folder.join(FILE);
    let there = path.try_exists().map_err(|error| StoreError::from_io(&path, &error))?;
    if !there {
        create(&folder, network)?;
    }
    let database = guarded(&path, || Ok(builder().open(&path)?))?;
    let journal = open_journal(&folder)?;
    adopt(Files { database: Some(database), path, _lock: lock }, Box::new(journal), network)
}

/// The file of the journal, which may be new.
fn open_journal(folder: &Path) -> Result<FileBackend, StoreError> {
    let path = folder.join(JOURNAL_FILE);
    let failed = |error: io::Error| StoreError::from_io(&path, &error);
    let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path).map_err(failed)?;
    sync_folder(folder).map_err(failed)?;
    guarded(&path, || Ok(FileBackend::new(file)?))
}

/// How the database is opened, whatever it is on.
pub(super) fn builder() -> Builder {
    let mut builder = Builder::new();
    builder.set_cache_size(CACHE_BYTES);
    builder
}

/// The store in an open database and its journal, after a consistency check.
pub(super) fn adopt(
    files: Files,
    journal: Box<dyn StorageBackend>,
    network: &Arc<Network>,
) -> Result<(Store, Stored), StoreError> {
    let path = files.path.clone();
    let files = Arc::new(files);
    let found = guarded(&path, || read_identity(files.database()))?;
    if found.schema > SCHEMA {
        return Err(StoreError::TooNew { file: path, found: found.schema, known: SCHEMA });
    }
    if found.schema < SCHEMA_MIN {
        return Err(StoreError::TooOld { file: path, found: found.schema, known: SCHEMA });
    }
    if found.genesis != network.genesis_id() {
        let folder = path.parent().expect("the file is in a folder").to_owned();
        return Err(StoreError::OtherNetwork {
            folder,
            stored: found.title(),
            wanted: ChainIdentity::of(network).title(),
        });
    }
    guarded(&path, || {
        let (journal, records) = begin_journal(files.database(), journal)?;
        let (network, unsettled) = (Arc::clone(network), Vec::new());
        let (tip, pending_next) = (Height::GENESIS, 0);
        let mut store =
            Store { files, network, tip, pending_next, journal, unsettled, is_broken: true, progress: Arc::default() };
        store.settle(records.into_iter().map(Rows::from_bytes), true)?;
        let (mut stored, pending_next) = read(store.files.database(), &store.network)?;
        let tip = tip_of(&store.files.database().begin_read()?, &store.network)?;
        prune(store.files.database(), &mut stored.headers, &tip, SIDE_BYTES_MAX)?;
        (store.tip, store.pending_next, store.is_broken) = (tip.height, pending_next, false);
        Ok((store, stored))
    })
}

/// The database's journal, and what is in it; a new one if the database was closed in order.
fn begin_journal(database: &Database, file: Box<dyn StorageBackend>) -> Result<(Journal, Vec<Vec<u8>>), redb::Error> {
    let meta = database.begin_read()?.open_table(META)?;
    let settled = meta.get(META_SETTLED)?.map(|settled| settled.value().try_into().map(u64::from_le_bytes));
    let settled = settled.transpose().map_err(|_| wrong_meta())?.unwrap_or(0);
    match meta.get(META_JOURNAL)? {
        Some(id) => Journal::open(file, id.value().try_into().map_err(|_| wrong_meta())?, settled),
        None => {
            let mut id = JournalId::default();
            getrandom::fill(&mut id).map_err(io::Error::from)?;
            Ok((Journal::create(file, id, settled)?, Vec::new()))
        }
    }
}

fn wrong_meta() -> redb::Error {
    redb::Error::Corrupted("it does not say what it is".to_owned())
}

/// Makes an empty database. A crash leaves none, or a whole one.
fn create(folder: &Path, network: &Network) -> Result<(), StoreError> {
    let (path, new) = (folder.join(FILE), folder.join(FILE_NEW));
    let failed = |error: io::Error| StoreError::from_io(&path, &error);
    match fs::remove_file(&new) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed(error)),
        _ => {}
    }
    guarded(&path, || fill(&Database::create(&new)?, network))?;
    fs::rename(&new, &path).map_err(failed)?;
    sync_folder(folder).map_err(failed)
}

/// Makes all tables, so that readers find them from the start.
pub(super) fn fill(database: &Database, network: &Network) -> Result<(), redb::Error> {
    let transaction = database.begin_write()?;
    {
        let identity = ChainIdentity::of(network);
        let mut meta = transaction.open_table(META)?;
        meta.insert(META_SCHEMA, identity.schema.to_le_bytes().as_slice())?;
        meta.insert(META_GENESIS, identity.genesis.as_bytes().as_slice())?;
        meta.insert(META_NETWORK, identity.name.as_bytes())?;
        transaction.open_table(HEADERS)?;
        transaction.open_table(BODIES)?;
        transaction.open_table(UNDO)?;
        transaction.open_table(PIECES)?;
        transaction.open_table(BEST)?;
        transaction.open_table(HEIGHTS)?;
        transaction.open_table(ACCOUNTS)?;
        transaction.open_table(PENDING)?;
    }
    transaction.commit()?;
    Ok(())
}

/// The chain that a database holds, and the form of its rows.
struct ChainIdentity {
    schema: u32,
    genesis: BlockId,
    name: String,
}

impl ChainIdentity {
    fn of(network: &Network) -> Self {
        Self { schema: SCHEMA, genesis: network.genesis_id(), name: network.parameters().name.clone() }
    }

    /// Networks of the same name can differ, so the genesis id goes with it.
    fn title(&self) -> String {
        format!("'{}' ({})", self.name, self.genesis.short())
    }
}

fn read_identity(database: &Database) -> Result<ChainIdentity, redb::Error> {
    let meta = database.begin_read()?.open_table(META)?;
    let value = |key: &str| -> Result<Vec<u8>, redb::Error> {
        let value = meta.get(key)?.ok_or_else(|| redb::Error::Corrupted(format!("it does not say its {key}")))?;
        Ok(value.value().to_vec())
    };
    Ok(ChainIdentity {
        schema: u32::from_le_bytes(value(META_SCHEMA)?.try_into().map_err(|_| wrong_meta())?),
        genesis: BlockId(value(META_GENESIS)?.try_into().map_err(|_| wrong_meta())?),
        name: String::from_utf8_lossy(&value(META_NETWORK)?).escape_debug().to_string(),
    })
}

/// The best block.
pub(super) fn tip_of(transaction: &ReadTransaction, network: &Network) -> Result<Place, redb::Error> {
    let last = transaction.open_table(BEST)?.last()?.map(|(height, id)| (height.value(), *id.value()));
    Ok(match last {
        Some((height, id)) => Place { height: Height(height), id: BlockId(id) },
        None => Place { height: Height::GENESIS, id: network.genesis_id() },
    })
}

/// The engine's initial state, and the order number of the next pending transaction.
fn read(database: &Database, network: &Network) -> Result<(Stored, u64), redb::Error> {
    let transaction = database.begin_read()?;
    let headers = read_headers(&transaction)?;
    let tip = tip_of(&transaction, network)?;
    let accounts = read_accounts(&transaction)?;
    check_chain(&transaction, &headers, &tip, &accounts, network)?;

    let mut pending = Vec::new();
    for row in transaction.open_table(PENDING)?.iter()? {
        let (id, value) = row?;
        let (order, bytes) = value.value();
        let signed: SignedTransaction =
            decode(bytes, TRANSACTION_BYTES_MAX).map_err(|error| redb::Error::Corrupted(error.to_string()))?;
        if signed.transaction.id(&network.genesis_id()).as_bytes() != id.value() {
            return Err(redb::Error::Corrupted("a pending transaction has another id".to_owned()));
        }
        pending.push((order, signed));
    }
    pending.sort_by_key(|(order, _)| *order);
    let pending_next = pending.last().map_or(0, |(order, _)| order + 1);

    let checkpoint = read_checkpoint(&transaction, network)?;
    let tip = (tip.height > Height::GENESIS).then_some(tip.id);
    let pending = pending.into_iter().map(|(_, signed)| signed).collect();
    Ok((Stored { headers, tip, accounts, pending, checkpoint }, pending_next))
}

/// The block that is never left, if there is one. It is on the best chain.
fn read_checkpoint(transaction: &ReadTransaction, network: &Network) -> Result<Option<Place>, redb::Error> {
    let Some(value) = transaction.open_table(META)?.get(META_CHECKPOINT)? else { return Ok(None) };
    let key = value.value().try_into().map_err(|_| redb::Error::Corrupted("the checkpoint is no place".to_owned()))?;
    let place = place_of(key);
    let best = match place.height {
        Height::GENESIS => Some(network.genesis_id()),
        height => transaction.open_table(BEST)?.get(height.0)?.map(|id| BlockId(*id.value())),
    };
    if best != Some(place.id) {
        return Err(damaged(&place, &"it is the checkpoint, and not on the best chain"));
    }
    Ok(Some(place))
}

fn read_accounts(transaction: &ReadTransaction) -> Result<Vec<(Address, Account)>, redb::Error> {
    let table = transaction.open_table(ACCOUNTS)?;
    let mut accounts = Vec::with_capacity(usize::try_from(table.len()?).unwrap_or(0).min(ROWS_EXPECTED_MAX));
    for row in table.iter()? {
        let (address, account) = row?;
        let (balance, nonce) = account.value();
        accounts.push((Address(*address.value()), Account { balance: Wei(balance), nonce }));
    }
    Ok(accounts)
}

/// The tables agree with each other: the best chain is whole, and its blocks have made exactly the coins there are.
fn check_chain(
    transaction: &ReadTransaction,
    headers: &[StoredHeader],
    tip: &Place,
    accounts: &[(Address, Account)],
    network: &Network,
) -> Result<(), redb::Error> {
    // Both are in the order of heights, so one pass over the headers finds them all.
    let mut rest = headers.iter();
    let (mut height, mut parent) = (Height::GENESIS, network.genesis_id());
    for row in transaction.open_table(BEST)?.iter()? {
        let (at, id) = row?;
        (height, parent) = match rest.find(|stored| stored.id.as_bytes() == id.value()) {
            Some(StoredHeader { id, header, .. }) if header.parent == parent && at.value() == header.height.0 => {
                (header.height, *id)
            }
            _ => return Err(damaged(tip, &"the chain below is broken")),
        };
    }
    // Accounts that no block has changed are not stored.
    let mut ledger = Ledger::opening(network);
    let opening = ledger.total();
    ledger.restore(accounts.iter().copied());
    let subsidies = Wei::from(network.parameters().subsidy).0 * u128::from(height.0);
    if ledger.total().0 != opening.0 + subsidies {
        return Err(damaged(tip, &"the accounts do not add up"));
    }
    Ok(())
}
