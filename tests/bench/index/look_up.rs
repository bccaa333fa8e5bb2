//! The time of each kind of look-up, including the opening of a view.

use std::fs::File;
use std::path::Path;
use std::time::{Duration, Instant};

use crossbeam_channel::unbounded;
use quipu::node::index::{ChainIndex, IndexView, Period, RecordQuery};
use quipu::node::store::Store;
use quipu::protocol::hash::sha256;
use rustix::fs::{Advice, fadvise};

use crate::chain::{RecordChain, random, tag, text};
use crate::statistics::quantile_ms;
use crate::{open, start_index};

/// The longest time of any look-up.
const TIME_MAX: Duration = Duration::from_millis(10);
/// Rows on a page.
const PAGE: usize = 20;
/// The number of look-ups of each kind.
const COLD: u64 = 10;
const WARM: u64 = 2000;

/// A look-up about one record, which must be found.
type LookUp = fn(&IndexView, &RecordChain, u64) -> usize;

const KINDS: [(&str, LookUp); 8] = [
    ("find by id", |view, chain, record| {
        let id = chain.id_of(record);
        usize::from(view.find(&id).expect("readable").is_some())
    }),
    ("find by 8 digits", |view, chain, record| {
        let id = chain.id_of(record).to_string();
        view.find_prefix(&id[..8]).expect("readable").len()
    }),
    ("records by content", |view, _, record| {
        let find = Some(sha256(&[text(record).as_bytes()]));
        records(view, &RecordQuery { find, ..RecordQuery::default() })
    }),
    ("records by tag", |view, _, record| {
        let tag = Some(tag(record).parse().expect("a tag"));
        records(view, &RecordQuery { tag, ..RecordQuery::default() })
    }),
    ("records from", |view, chain, record| {
        let from = Some(chain.address(random(record, 0)));
        records(view, &RecordQuery { from, ..RecordQuery::default() })
    }),
    ("records since", |view, chain, record| {
        let since = Some(chain.time_of(record));
        records(view, &RecordQuery { since, ..RecordQuery::default() })
    }),
    ("records by tag from", |view, chain, record| {
        let from = Some(chain.address(random(record, 0)));
        let tag = Some(tag(random(record, 2)).parse().expect("a tag"));
        records(view, &RecordQuery { tag, from, ..RecordQuery::default() })
    }),
    ("history", |view, chain, record| {
        view.history(&chain.address(record), Period::default(), None, PAGE).expect("readable").entries.len()
    }),
];

/// Measures all, and returns whether all were in time.
pub(crate) fn all(folder: &Path, chain: &RecordChain) -> bool {
    let megabytes = |file: &str| folder.join(file).metadata().map_or(0, |data| data.len() >> 20);
    println!("chain.redb {} MB, index.redb {} MB", megabytes("chain.redb"), megabytes("index.redb"));
    println!("{:<22} {:>10} {:>10} {:>10}", "look-up", "p50", "p99", "max");
    let mut is_good = true;
    for (name, look_up) in KINDS {
        let cold = (0..COLD).map(|round| with_index(folder, chain, true, |index| time(index, chain, look_up, round)));
        is_good &= report(&format!("{name}, cold"), cold.collect());
    }
    with_index(folder, chain, false, |index| {
        for (name, look_up) in KINDS {
            let mut warm: Vec<_> = (0..2 * WARM).map(|round| time(index, chain, look_up, round)).collect();
            is_good &= report(&format!("{name}, warm"), warm.split_off(WARM as usize));
        }
    });
    is_good
}

fn time(index: &ChainIndex, chain: &RecordChain, look_up: LookUp, round: u64) -> Duration {
    let record = random(round, 3) % chain.records();
    let start = Instant::now();
    let view = index.view().expect("in time");
    let found = look_up(&view, chain, record);
    let time = start.elapsed();
    assert!(found > 0, "nothing was found of record {record}");
    time
}

fn report(name: &str, mut times: Vec<Duration>) -> bool {
    let [median, p99, most] = [50, 99, 100].map(|percent| quantile_ms(&mut times, percent));
    println!("{name:<27} {median:>7.3} ms {p99:>7.3} ms {most:>7.3} ms");
    most < TIME_MAX.as_secs_f64() * 1e3
}

fn with_index<T>(folder: &Path, chain: &RecordChain, cold: bool, body: impl FnOnce(&ChainIndex) -> T) -> T {
    let (store, _): (Store, _) = open(folder, &chain.network);
    let (tell, _told) = unbounded();
    let (index, thread) = start_index(folder, store.reader(), &chain.network, tell);
    // It has been opened then.
    drop(index.view().expect("in time"));
    if cold {
        for file in ["chain.redb", "index.redb"] {
            let file = File::open(folder.join(file)).expect("readable");
            file.sync_all().expect("writable");
            fadvise(&file, 0, None, Advice::DontNeed).expect("only advice");
        }
    }
    let result = body(&index);
    index.stop();
    thread.join().expect("in order");
    result
}

fn records(view: &IndexView, query: &RecordQuery) -> usize {
    view.records(query, None, PAGE).expect("readable").entries.len()
}
