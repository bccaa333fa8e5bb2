use crossbeam_channel::{Receiver, unbounded};
use redb::{ReadableDatabase, ReadableTable};

use super::*;
use crate::engine::event::Write;
use crate::node::fixture::{Chain, batch};
use crate::node::store::{FolderLock, Store};
use crate::protocol::record::{Record, Tag};
use crate::protocol::{
    Action, Address, Amount, Block, CheckedTransaction, Millis, Parameters, SecretKey, TransactionId, UnixMillis,
};
use crate::random::Random;

mod life;

/// Longer than anything here takes on a machine that works.
const PATIENCE: Duration = Duration::from_secs(30);

/// A store and an index beside it, in a folder of their own.
struct World {
    folder: tempfile::TempDir,
    network: Arc<Network>,
    store: Store,
    written: u64,
}

/// An index that is stopped when this is dropped.
struct Running {
    index: ChainIndex,
    told: Receiver<Place>,
    thread: Option<JoinHandle<()>>,
}

impl World {
    fn new(chain: &Chain) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let lock = FolderLock::acquire(folder.path(), "test").expect("free");
        let (store, _) = Store::open(lock, &chain.network).expect("a store");
        Self { folder, network: Arc::clone(&chain.network), store, written: 0 }
    }

    fn write(&mut self, writes: Vec<Write>) {
        self.written += 1;
        self.store.write(&[batch(self.written, writes)]).expect("written");
    }

    fn index(&self) -> Running {
        self.index_in(self.folder.path())
    }

    fn index_in(&self, folder: &Path) -> Running {
        let (tell, told) = unbounded();
        let tell = move |place| tell.send(place).expect("the test waits");
        let (index, thread) = ChainIndex::start(folder, self.store.reader(), &self.network, tell).expect("a thread");
        Running { index, told, thread: Some(thread) }
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join(file::FILE)
    }
}

impl Running {
    fn view(&self) -> IndexView {
        self.index.view().expect("in time")
    }

    fn wait_for(&self, tip: Place) {
        while self.told.recv_timeout(PATIENCE).expect("the index goes on") != tip {}
    }

    /// The keys of all rows there are.
    fn rows(&self) -> Vec<u128> {
        self.view().keys()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.index.stop();
        self.thread.take().map(JoinHandle::join);
    }
}

/// The rows of an index that is made of the store as it is now.
fn rows_anew(world: &World) -> Vec<u128> {
    let folder = tempfile::tempdir().expect("a temporary folder");
    world.index_in(folder.path()).rows()
}

/// The keys of the rows in a file that nobody has open.
fn rows_in(file: &Path, network: &Network) -> Vec<u128> {
    let (database, _) = file::open(file, network).expect("a good file");
    let rows = database.begin_read().expect("readable").open_table(file::ROWS).expect("made");
    rows.iter().expect("readable").map(|row| row.expect("readable").0.value()).collect()
}

fn key(number: u8) -> SecretKey {
    SecretKey::from_seed([number; 32])
}

fn address(number: u8) -> Address {
    key(number).public_key().address()
}

fn record(chain: &Chain, number: u8, nonce: u64, data: &str) -> CheckedTransaction {
    chain.signed(&key(number), nonce, Action::Record { data: data.as_bytes().to_vec().into() })
}

fn tagged(tags: &[&str], text: &str) -> String {
    let tags: Vec<_> = tags.iter().map(|tag| format!("{tag:?}")).collect();
    format!(r#"{{"quipu":1,"tags":[{}],"text":{text:?}}}"#, tags.join(","))
}

fn tag(text: &str) -> Tag {
    text.parse().expect("a tag")
}

const ACCOUNTS: u8 = 4;

/// A chain whose blocks have some transactions of some accounts, from the first block on.
fn random_chain(seed: u64, blocks: u64) -> Chain {
    let (mut chain, mut random) = (Chain::new(1), Random::new(seed));
    let mut nonces = [0_u64; ACCOUNTS as usize + 1];
    for _ in 0..blocks {
        let mut transactions = Vec::new();
        // Accounts that were paid before can pay.
        let mut coins = chain.ledger.account(&chain.address()).balance.whole_units().units() / Amount::COIN.units();
        for _ in 0..random.below(6) {
            let who = random.below(u64::from(ACCOUNTS)) as u8 + 1;
            let nonce = &mut nonces[usize::from(who)];
            if who == 1 && coins > 0 && random.below(2) == 0 {
                let to = address(random.below(u64::from(ACCOUNTS)) as u8 + 1);
                transactions.push(chain.signed(&key(1), *nonce, Action::Transfer { to, amount: Amount::COIN }));
                coins -= 1;
            } else {
                let text = format!("text {}", random.below(10));
                let data = match random.below(4) {
                    0 => text,
                    1 => tagged(&["a"], &text),
                    2 => tagged(&["b", "a"], &text),
                    _ => tagged(&["c", "b"], &text),
                };
                transactions.push(record(&chain, who, *nonce, &data));
            }
            *nonce += 1;
        }
        let to = address(random.below(u64::from(ACCOUNTS)) as u8 + 1);
        chain.mine_for(to, Millis(random.below(3) * 1000), transactions);
    }
    chain
}

/// All blocks, the newest first.
fn newest_first(chain: &Chain) -> Vec<Block> {
    chain.blocks.iter().rev().map(|(block, _)| block.to_block()).collect()
}

/// A transaction of a chain.
struct Row {
    block: Block,
    position: u32,
    id: TransactionId,
    record: Option<(Address, Record)>,
}

fn transactions_newest_first(chain: &Chain) -> Vec<Row> {
    let mut all = Vec::new();
    for block in newest_first(chain) {
        for (position, signed) in (0..).zip(block.body.transactions.iter()).collect::<Vec<_>>().into_iter().rev() {
            let record = match &signed.transaction.action {
                Action::Record { data } => Some((signed.transaction.sender.address(), Record::read(data))),
                Action::Transfer { .. } => None,
            };
            let id = signed.transaction.id(&chain.network.genesis_id());
            all.push(Row { block: block.clone(), position, id, record });
        }
    }
    all
}

/// All pages, one after the other, each of `limit` rows but the last.
fn all_pages<T>(limit: usize, mut page: impl FnMut(Option<Cursor>) -> Page<T>) -> Vec<T> {
    let (mut all, mut before) = (Vec::new(), None);
    loop {
        let Page { entries, next } = page(before);
        assert!(entries.len() == limit || (next.is_none() && entries.len() <= limit));
        all.extend(entries);
        let Some(next) = next else { return all };
        // As a user would pass it on.
        before = Some(next.to_string().parse().expect("a cursor"));
    }
}

#[test]
fn a_history_says_what_an_account_did() {
    let mut chain = Chain::new(1);
    let me = chain.address();
    chain.mine(vec![]);
    let to_myself = Action::Transfer { to: me, amount: Amount::COIN };
    chain.mine(vec![chain.signed(&chain.key, 0, to_myself), record(&chain, 1, 1, "x"), record(&chain, 2, 0, "y")]);
    chain.mine_for(address(2), Millis(5), vec![chain.transfer(2)]);
    let mut world = World::new(&chain);
    world.write(chain.writes_above(0));
    let running = world.index();
    let view = running.view();
    let roles = |address: &Address| -> Vec<(u64, Option<u32>, String)> {
        let page = view.history(address, Period::default(), None, 100).expect("readable");
        assert_eq!(page.next, None);
        let describe = |entry: HistoryEntry| {
            let Roles { sent, received, mined, recorded } = entry.roles;
            let words = [(sent, "sent"), (received, "received"), (mined, "mined"), (recorded, "recorded")];
            let words: Vec<_> = words.iter().filter(|(is, _)| *is).map(|(_, word)| *word).collect();
            let location = view.find(&entry.id).expect("readable").expect("on the chain");
            assert_eq!(location.place, entry.place);
            (entry.place.height.0, location.position, words.join("+"))
        };
        page.entries.into_iter().map(describe).collect()
    };
    let row = |height, position, words: &str| (height, position, words.to_owned());
    assert_eq!(
        roles(&me),
        [
            row(3, Some(0), "sent"),
            row(2, Some(1), "recorded"),
            row(2, Some(0), "sent+received"),
            row(2, None, "mined"),
            row(1, None, "mined")
        ]
    );
    assert_eq!(roles(&address(2)), [row(3, None, "mined"), row(2, Some(2), "recorded")]);
    assert_eq!(roles(&Address([9; 20])), [row(3, Some(0), "received")]);
    assert_eq!(roles(&Address([8; 20])), []);
}

#[test]
fn records_are_what_a_scan_of_the_chain_finds() {
    for seed in 0..3 {
        let chain = random_chain(seed, 60);
        let mut world = World::new(&chain);
        world.write(chain.writes_above(0));
        let running = world.index();
        let view = running.view();
        let all = transactions_newest_first(&chain);
        let start = chain.network.genesis().header.timestamp.0;
        let (mut asked, mut found) = (0, 0);
        for tag in [None, Some(tag("a")), Some(tag("b")), Some(tag("nothing"))] {
            for from in [None, Some(address(1)), Some(address(3)), Some(Address([7; 20]))] {
                for (since, until) in [
                    (None, None),
                    (Some(0), Some(start + 1_000_000)),
                    (Some(start), None),
                    (Some(start + 30_000), Some(start + 200_000)),
                    (None, Some(start + 30_000)),
                    (Some(start + 1_000_000), None),
                    (None, Some(start)),
                ] {
                    for (find, text) in [
                        (None, None),
                        (Some(Record::read(b"text 3").content_hash()), None),
                        (None, Some("ext 3".to_owned())),
                    ] {
                        let (since, until) = (since.map(UnixMillis), until.map(UnixMillis));
                        let query = RecordQuery { tag: tag.clone(), from, since, until, find, text };
                        let wanted = all.iter().filter(|Row { block, record, .. }| {
                            record.as_ref().is_some_and(|(sender, record)| {
                                query.tag.as_ref().is_none_or(|tag| record.tags.contains(tag))
                                    && query.from.is_none_or(|from| from == *sender)
                                    && query.since.is_none_or(|since| block.header.timestamp >= since)
                                    && query.until.is_none_or(|until| block.header.timestamp < until)
                                    && query.text.as_ref().is_none_or(|text| says(record, text))
                                    && query.find.is_none_or(|find| find == record.content_hash())
                            })
                        });
                        let wanted: Vec<_> =
                            wanted.map(|row| (row.block.header.height, row.position, row.id)).collect();
                        for limit in [1, 3, 1000] {
                            let pages =
                                all_pages(limit, |before| view.records(&query, before, limit).expect("readable"));
                            let rows = pages.into_iter().map(|row| (row.place.height, row.position, row.id));
                            assert_eq!(rows.collect::<Vec<_>>(), wanted, "seed {seed}, {query:?}, {limit}");
                        }
                        asked += 1;
                        found += usize::from(!wanted.is_empty());
                    }
                }
            }
        }
        assert!(found * 5 > asked, "too few of the questions have an answer: {found} of {asked}");
    }
}

#[test]
fn histories_are_what_a_scan_of_the_chain_finds() {
    let chain = random_chain(7, 60);
    let mut world = World::new(&chain);
    world.write(chain.writes_above(0));
    let running = world.index();
    let view = running.view();
    let middle = newest_first(&chain)[30].header.timestamp;
    for address in (1..=ACCOUNTS).map(address) {
        let mut wanted = Vec::new();
        for block in newest_first(&chain) {
            for signed in block.body.transactions.iter().rev() {
                let is_to = matches!(&signed.transaction.action, Action::Transfer { to, .. } if *to == address);
                if is_to || signed.transaction.sender.address() == address {
                    wanted.push(signed.transaction.id(&chain.network.genesis_id()));
                }
            }
            if block.body.reward.to == address {
                wanted.push(block.body.reward.id(&block.header.parent));
            }
        }
        assert!(wanted.len() > 20);
        for limit in [1, 7, 1000] {
            let pages =
                all_pages(limit, |before| view.history(&address, Period::default(), before, limit).expect("readable"));
            assert_eq!(pages.into_iter().map(|entry| entry.id).collect::<Vec<_>>(), wanted);
        }
        let (since, until) = (UnixMillis(middle.0 - 60_000), middle);
        let part = Period { since: Some(since), until: Some(until) };
        let is_in = |entry: &HistoryEntry| entry.timestamp >= since && entry.timestamp < until;
        let all = view.history(&address, Period::default(), None, 1000).expect("readable").entries;
        let wanted: Vec<_> = all.into_iter().filter(is_in).collect();
        assert!(!wanted.is_empty());
        assert_eq!(all_pages(2, |before| view.history(&address, part, before, 2).expect("readable")), wanted);
    }
}

#[test]
fn ids_are_found_by_their_beginnings() {
    let chain = random_chain(3, 30);
    let mut world = World::new(&chain);
    world.write(chain.writes_above(0));
    let running = world.index();
    let view = running.view();
    for Row { block, position, id, .. } in transactions_newest_first(&chain) {
        let location = view.find(&id).expect("readable").expect("on the chain");
        assert_eq!((location.place.id, location.position), (block.header.id(), Some(position)));
        let digits = id.to_string();
        for length in [8, 9, 15, 16, 63, 64] {
            assert_eq!(view.find_prefix(&digits[..length]).expect("readable"), [id], "{length}");
            assert_eq!(view.find_prefix(&digits[..length].to_uppercase()).expect("readable"), [id], "{length}");
        }
        // Rows that begin alike are told apart.
        let mut other = id;
        other.0[31] ^= 1;
        assert_eq!(view.find(&other).expect("readable"), None);
        assert_eq!(view.find_prefix(&other.to_string()).expect("readable"), []);
    }
    let block = newest_first(&chain)[0].clone();
    let reward = block.body.reward.id(&block.header.parent);
    let location = view.find(&reward).expect("readable").expect("on the chain");
    assert_eq!((location.place, location.position), (chain.tip(), None));
    for bad in ["", "0123456", "0123456g", "é1234567", &"0".repeat(65)] {
        assert!(matches!(view.find_prefix(bad), Err(IndexError::BadPrefix)), "{bad}");
    }
}

#[test]
fn accounts_are_found_by_their_beginnings() {
    let chain = random_chain(3, 30);
    let mut world = World::new(&chain);
    world.write(chain.writes_above(0));
    let running = world.index();
    let view = running.view();
    let rows = transactions_newest_first(&chain);
    let begin = |digit: u32, most| view.accounts_from(&format!("{digit:x}"), most).expect("readable");
    let all: Vec<Address> = (0..16).flat_map(|digit| begin(digit, usize::MAX)).collect();
    for Row { block, position, .. } in &rows {
        let sender = block.body.transactions[*position as usize].transaction.sender.address();
        assert!(all.contains(&sender), "{sender} has a history");
    }
    assert!(all.is_sorted() && all.len() < rows.len(), "each of them once, in order");
    let digit = (0..16).find(|digit| !begin(*digit, 1).is_empty()).expect("there are accounts");
    assert_eq!(begin(digit, 1).len(), 1);
    for one in &all {
        let digits = hex::encode(one.0);
        for length in [12, 15, 16, 40] {
            assert_eq!(view.accounts_from(&digits[..length], 9).expect("readable"), [*one], "{length}");
        }
        let mut other = *one;
        other.0[19] ^= 1;
        assert_eq!(view.accounts_from(&hex::encode(other.0), 9).expect("readable"), []);
    }
    assert!(matches!(view.accounts_from("g", 9), Err(IndexError::BadPrefix)));
}

#[test]
fn a_reorganisation_leaves_the_rows_of_the_new_chain() {
    let (old, new) = (random_chain(1, 20), random_chain(2, 25));
    // With the rows in memory, and with all of them in the file.
    for is_written in [false, true] {
        let mut world = World::new(&old);
        let mut running = world.index();
        world.write(old.writes_above(0));
        assert_eq!(running.view().tip(), old.tip());
        let lost = transactions_newest_first(&old)[0].id;
        assert!(running.view().find(&lost).expect("readable").is_some());
        let steps = [
            old.undo_above(10),
            old.writes_above(10),
            [old.undo_above(0), new.writes_above(0)].concat(),
            [new.undo_above(0), old.writes_above(0)[..30].to_vec()].concat(),
            old.writes_above(15),
        ];
        for (number, writes) in steps.into_iter().enumerate() {
            if is_written {
                drop(running);
                running = world.index();
            }
            world.write(writes);
            assert_eq!(running.rows(), rows_anew(&world), "step {number}");
            assert_eq!(running.view().find(&lost).expect("readable").is_some(), [1, 4].contains(&number));
        }
        assert!(running.rows().len() > 100);
        running.wait_for(old.tip());
        drop(running);
        assert_eq!(rows_in(&world.file(), &world.network), rows_anew(&world));
    }
}
