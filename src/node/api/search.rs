//! One question for everything that has a name: heights, ids and addresses from their first digits on, names, tags, and
//! the text of records.
//!
//! Always true: the work is bounded. Ids are looked up in order, so a beginning costs as much as the hits; the text of
//! the newest [`RECORDS_READ_MAX`] records is read, until the caller has waited for [`READ_TIMEOUT`] or is gone.
//!
//! Not here: typing errors, words in any order, and older records: those have a tag, a sender and a time.

use std::time::{Duration, Instant};

use super::error::Failure;
use super::rows::{HitKind, SearchHit, SearchPage};
use crate::node::handle::Handle;
use crate::node::index::{ChainIndex, Cursor, IndexView, RecordQuery, says, words};
use crate::protocol::record::{Record, Tag};
use crate::protocol::{Action, Address, Height, SignedTransaction, TransactionId};
use crate::text::{folded, harmless, one_form};

/// The newest records whose text is read.
const RECORDS_READ_MAX: usize = 2000;
/// Those that are read between two looks at the clock.
const RECORDS_AT_ONCE: usize = 50;
/// How long records are read; the first piece of them in any case.
const READ_TIMEOUT: Duration = Duration::from_secs(2);
/// Hits of one kind.
pub(in crate::node) const HITS_MAX: usize = 20;
/// The least hex digits that are looked for at the beginning of ids and addresses; fewer begin too many of them.
const DIGITS_MIN: usize = 4;
/// An id is shown without its leading zeros; no transaction's id with more of them has ever been found.
const ID_ZEROS_MAX: usize = 4;
/// Hex digits of an id, and of an address.
const ID_DIGITS: usize = 64;
const ADDRESS_DIGITS: usize = 40;
/// Characters of a record in a hit.
const TEXT_CHARACTERS_MAX: usize = 120;

/// Hex digits, as typed with or without `0x`.
struct Digits<'a> {
    text: &'a str,
    /// Only an address is written so.
    has_mark: bool,
}

impl<'a> Digits<'a> {
    fn of(wanted: &'a str) -> Option<Self> {
        let (text, has_mark) = wanted.strip_prefix("0x").map_or((wanted, false), |rest| (rest, true));
        let is_hex = (DIGITS_MIN..=ID_DIGITS).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_hexdigit());
        is_hex.then_some(Self { text, has_mark })
    }
}

/// How much is read.
struct Effort {
    records_max: usize,
    timeout: Duration,
}

/// Everything that `text` is the name of, or the beginning or a part of it. Blocks.
pub(in crate::node) fn search(
    handle: &Handle,
    text: &str,
    is_cancelled: impl Fn() -> bool,
) -> Result<SearchPage, Failure> {
    let effort = Effort { records_max: RECORDS_READ_MAX, timeout: READ_TIMEOUT };
    search_with(&effort, handle, text, is_cancelled)
}

fn search_with(
    effort: &Effort,
    handle: &Handle,
    text: &str,
    is_cancelled: impl Fn() -> bool,
) -> Result<SearchPage, Failure> {
    let wanted = folded(text.trim());
    let mut page = SearchPage { hits: Vec::new(), records_read: 0, complete: true };
    if wanted.is_empty() {
        return Ok(page);
    }
    // Without an index there are still blocks, what waits, and names.
    let view = handle.index().map(ChainIndex::view).transpose()?;
    page.hits.extend(block_at(handle, &wanted)?);
    page.hits.extend(names(handle, &wanted));
    if let Some(digits) = Digits::of(&wanted) {
        page.hits.extend(by_digits(handle, view.as_ref(), &digits)?);
    }
    if let Some(view) = &view {
        page.hits.extend(tag(view, text.trim())?);
        read_records(effort, handle, view, &wanted, &is_cancelled, &mut page)?;
    } else {
        page.complete = false;
    }
    // The order of finding stays among equals.
    page.hits.sort_by_key(|hit| !hit.exact);
    Ok(page)
}

/// The block of a height, written as at the prompt or with separators.
fn block_at(handle: &Handle, wanted: &str) -> Result<Option<SearchHit>, Failure> {
    let Ok(height) = wanted.replace([',', ' '], "").parse() else { return Ok(None) };
    let header = handle.reader().snapshot()?.header_at(Height(height))?;
    Ok(header
        .map(|header| SearchHit { height: Some(header.height), ..hit(HitKind::Block, header.id().to_string(), true) }))
}

/// Accounts whose name is or has this.
fn names(handle: &Handle, wanted: &str) -> Vec<SearchHit> {
    let named = handle.aliases().list().into_iter().filter_map(|(name, address)| {
        let known = folded(&name);
        known
            .contains(wanted)
            .then(|| SearchHit { text: Some(name), ..hit(HitKind::Account, address.to_string(), known == wanted) })
    });
    let mut found: Vec<_> = named.collect();
    found.sort_by_key(|hit| !hit.exact);
    found.truncate(HITS_MAX);
    found
}

fn by_digits(handle: &Handle, view: Option<&IndexView>, digits: &Digits<'_>) -> Result<Vec<SearchHit>, Failure> {
    let mut hits = Vec::new();
    if !digits.has_mark {
        hits.extend(blocks(handle, digits.text)?);
        hits.extend(transactions(handle, view, digits.text)?);
        if let (Some(view), Some(hash)) = (view, hash_of(digits.text)) {
            let records = view.records(&RecordQuery { find: Some(hash), ..RecordQuery::default() }, None, 1)?;
            hits.extend(records.entries.first().map(|_| hit(HitKind::Content, digits.text.to_owned(), true)));
        }
    }
    hits.extend(accounts(view, digits.text)?);
    Ok(hits)
}

fn blocks(handle: &Handle, digits: &str) -> Result<Vec<SearchHit>, Failure> {
    let snapshot = handle.reader().snapshot()?;
    let genesis = handle.network().genesis_id();
    let shown = genesis.to_string();
    let is_genesis = shown.starts_with(digits) || shown.trim_start_matches('0').starts_with(digits);
    let mut hits = Vec::new();
    for id in is_genesis.then_some(genesis).into_iter().chain(snapshot.ids_from(digits, HITS_MAX)?) {
        let is_exact = id.to_string() == digits || id.short() == digits;
        let height = snapshot.block(&id)?.map(|(block, _)| block.header.height);
        hits.push(SearchHit { height, ..hit(HitKind::Block, id.to_string(), is_exact) });
    }
    Ok(hits)
}

/// Those that wait, and those on the best chain.
fn transactions(handle: &Handle, view: Option<&IndexView>, digits: &str) -> Result<Vec<SearchHit>, Failure> {
    let begins = |id: &TransactionId| {
        let id = id.to_string();
        id.starts_with(digits) || id.trim_start_matches('0').starts_with(digits)
    };
    let waiting = handle.pending().wait()?;
    let mut found: Vec<_> = waiting.iter().map(|one| one.id()).filter(begins).take(HITS_MAX).collect();
    for zeros in 0..=ID_ZEROS_MAX.min(ID_DIGITS - digits.len()) {
        let Some(view) = view else { break };
        found.extend(view.ids_from(&format!("{}{digits}", "0".repeat(zeros)), HITS_MAX)?);
    }
    found.sort_unstable();
    found.dedup();
    found.truncate(HITS_MAX);
    let is_exact = |id: &TransactionId| id.to_string() == digits || id.short() == digits;
    Ok(found.iter().map(|id| hit(HitKind::Transaction, id.to_string(), is_exact(id))).collect())
}

/// Accounts with a history; a whole address needs none.
fn accounts(view: Option<&IndexView>, digits: &str) -> Result<Vec<SearchHit>, Failure> {
    let mut bytes = [0; ADDRESS_DIGITS / 2];
    if hex::decode_to_slice(digits, &mut bytes).is_ok() {
        return Ok(vec![hit(HitKind::Account, Address(bytes).to_string(), true)]);
    }
    let Some(view) = view.filter(|_| digits.len() < ADDRESS_DIGITS) else { return Ok(Vec::new()) };
    let found = view.accounts_from(digits, HITS_MAX)?;
    Ok(found.iter().map(|address| hit(HitKind::Account, address.to_string(), false)).collect())
}

fn hash_of(digits: &str) -> Option<[u8; 32]> {
    let mut hash = [0; 32];
    hex::decode_to_slice(digits, &mut hash).ok().map(|()| hash)
}

/// The tag as it was typed, if there is a record with it.
fn tag(view: &IndexView, text: &str) -> Result<Option<SearchHit>, Failure> {
    let Ok(tag) = one_form(text).parse::<Tag>() else { return Ok(None) };
    let id = tag.to_string();
    let records = view.records(&RecordQuery { tag: Some(tag), ..RecordQuery::default() }, None, 1)?;
    Ok(records.entries.first().map(|_| hit(HitKind::Tag, id, true)))
}

/// Adds the records that say it: first those that wait, then from the newest block on.
fn read_records(
    effort: &Effort,
    handle: &Handle,
    view: &IndexView,
    wanted: &str,
    is_cancelled: &impl Fn() -> bool,
    page: &mut SearchPage,
) -> Result<(), Failure> {
    let deadline = Instant::now() + effort.timeout;
    let mut found = Vec::new();
    for waiting in handle.pending().wait()?.iter().take(effort.records_max) {
        found.extend(said(waiting.signed(), waiting.id(), None, wanted));
    }
    let mut before: Option<Cursor> = None;
    loop {
        let records = view.records(&RecordQuery::default(), before, RECORDS_AT_ONCE)?;
        page.records_read += records.entries.len();
        for entry in &records.entries {
            found.extend(said(&entry.signed, entry.id, Some(entry.place.height), wanted));
        }
        before = records.next;
        let is_over = page.records_read >= effort.records_max || Instant::now() >= deadline || is_cancelled();
        if before.is_none() || is_over || found.len() > HITS_MAX {
            break;
        }
    }
    page.complete &= before.is_none() && found.len() <= HITS_MAX;
    found.truncate(HITS_MAX);
    page.hits.extend(found);
    Ok(())
}

/// A hit, if it is a record that says this.
fn said(signed: &SignedTransaction, id: TransactionId, height: Option<Height>, wanted: &str) -> Option<SearchHit> {
    let Action::Record { data } = &signed.transaction.action else { return None };
    let record = Record::read(data);
    let text = words(&record).filter(|_| says(&record, wanted))?;
    let text = Some(harmless(text, TEXT_CHARACTERS_MAX));
    Some(SearchHit { height, text, ..hit(HitKind::Record, id.to_string(), false) })
}

fn hit(kind: HitKind, id: String, exact: bool) -> SearchHit {
    SearchHit { kind, id, height: None, text: None, exact }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::node::tests::{end, folder, mine, node, send};

    /// Longer than any test takes.
    const LONG: Duration = Duration::from_secs(3600);

    #[test]
    fn a_search_ends_however_many_records_there_are() {
        let (folder, count) = (folder(), 2 * RECORDS_AT_ONCE + 10);
        let node = node(folder.path());
        for number in 0..count {
            let said = if number % 10 == 0 { "needle" } else { "hay" };
            send(&node, Action::Record { data: format!("{said} {number}").into_bytes().into() });
        }
        mine(&node, 1);
        let handle = &node.handle();
        let look = |text: &str, records_max, timeout, is_cancelled| {
            let page = search_with(&Effort { records_max, timeout }, handle, text, || is_cancelled).expect("readable");
            (page.hits.len(), page.records_read, page.complete)
        };
        let all = 2 * count;
        assert_eq!(look("needle", all, LONG, false), (count / 10, count, true));
        assert_eq!(look("needle", RECORDS_AT_ONCE, LONG, false), (RECORDS_AT_ONCE / 10, RECORDS_AT_ONCE, false));
        assert_eq!(look("needle", all, Duration::ZERO, false), (RECORDS_AT_ONCE / 10, RECORDS_AT_ONCE, false));
        assert_eq!(look("needle", all, LONG, true), (RECORDS_AT_ONCE / 10, RECORDS_AT_ONCE, false));
        assert_eq!(look("hay", all, LONG, false), (HITS_MAX, RECORDS_AT_ONCE, false), "no more than can be shown");
        end(node).expect("in order");
    }
}
