//! The threads that search for nonces: [`search`] is the algorithm, [`kernel`] the hashing.
//!
//! They check for a new template several times a millisecond, and sleep while there is none. Where the system has
//! priorities for threads, theirs is low, so that they use little but idle time. Therefore no other thread may wait for
//! them: a template is handed over, and withdrawn, without a lock.

pub mod kernel;
pub mod search;

use std::io;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{JoinHandle, park};
use std::time::{Duration, Instant};

use arc_swap::ArcSwapOption;
use parking_lot::{Condvar, Mutex, MutexGuard};

use self::kernel::Kernel;
use self::search::Search;
use super::inbox::EngineSender;
use super::thread;
use crate::engine::Event;
use crate::engine::event::{Key, MineEffect};
use crate::protocol::block::VERSION;
use crate::protocol::{BlockId, Header, Height, LeafHash, Target, UnixMillis};

/// Attempts that the caller makes itself before it wakes the threads, for some microseconds. Where nearly any nonce
/// will do (the network `dev`), no thread needs to wake up for a block.
const ATTEMPTS_AT_ONCE: u64 = 64;
/// The first of these are made one by one: a kernel needs some time to prepare.
const ATTEMPTS_ONE_BY_ONE: u64 = 4;
/// How often the hash rate is reported.
const RATE_INTERVAL: Duration = Duration::from_secs(1);

/// The running threads. They end when it is dropped.
pub struct Miner {
    shared: Arc<MinerShared>,
    searching: Vec<JoinHandle<()>>,
    measuring: Option<JoinHandle<()>>,
}

struct MinerShared {
    engine: EngineSender,
    kernel: Kernel,
    /// The last one that was not solved at once. It is stale if its generation is not the newest.
    template: ArcSwapOption<SearchTemplate>,
    /// Counts templates and their ends: found nonces and calls of [`Miner::stop`].
    generation: AtomicU64,
    is_closed: AtomicBool,
    attempts: AtomicU64,
    /// Not for the searching threads: a lock that they hold would be held at a low priority.
    activity: Mutex<Activity>,
    activity_changed: Condvar,
}

#[derive(Default)]
struct Activity {
    is_mining: bool,
    is_closed: bool,
}

struct SearchTemplate {
    generation: u64,
    key: Key,
    search: Search,
}

impl Miner {
    /// Starts this many threads, which wait for a template.
    pub fn start(
        threads: usize,
        engine: EngineSender,
        failed: impl Fn(String) + Clone + Send + 'static,
    ) -> io::Result<Self> {
        let shared = Arc::new(MinerShared {
            engine,
            kernel: Kernel::fastest(),
            template: ArcSwapOption::empty(),
            generation: AtomicU64::new(0),
            is_closed: AtomicBool::new(false),
            attempts: AtomicU64::new(0),
            activity: Mutex::default(),
            activity_changed: Condvar::new(),
        });
        let threads = threads.max(1) as u64;
        tracing::debug!(kernel = shared.kernel.name(), threads, "ready to mine");
        let measuring = {
            let shared = Arc::clone(&shared);
            thread::spawn("hash rate", failed.clone(), move || shared.measure())?
        };
        let mut miner = Self { shared, searching: Vec::new(), measuring: Some(measuring) };
        for first in 0..threads {
            let shared = Arc::clone(&miner.shared);
            let search = move || {
                thread::lower_priority();
                shared.search(first, threads);
            };
            miner.searching.push(thread::spawn("miner", failed.clone(), search)?);
        }
        Ok(miner)
    }

    /// Does what the engine asks for.
    pub fn carry_out(&self, effect: MineEffect) {
        match effect {
            MineEffect::Search { key, header } => self.mine(key, &header),
            MineEffect::Stop => self.stop(),
        }
    }

    /// Searches for a nonce for this header, in place of any before.
    pub fn mine(&self, key: Key, header: &Header) {
        let Some(search) = Search::new(header) else { return };
        let shared = &self.shared;
        let found = (0..ATTEMPTS_ONE_BY_ONE)
            .find(|attempt| search.meets(*attempt))
            .or_else(|| search.find(shared.kernel, ATTEMPTS_ONE_BY_ONE..ATTEMPTS_AT_ONCE));
        shared.attempts.fetch_add(found.map_or(ATTEMPTS_AT_ONCE, |attempt| attempt + 1), Ordering::Relaxed);
        let generation = shared.generation.fetch_add(1, Ordering::SeqCst) + 1;
        match found {
            Some(attempt) => shared.engine.deliver(Event::Mined { key, nonce: Search::nonce(attempt) }),
            None => {
                shared.template.store(Some(Arc::new(SearchTemplate { generation, key, search })));
                self.searching.iter().for_each(|thread| thread.thread().unpark());
            }
        }
        shared.set_mining(true);
    }

    /// Stops searching.
    pub fn stop(&self) {
        self.shared.generation.fetch_add(1, Ordering::SeqCst);
        self.shared.set_mining(false);
    }
}

impl Drop for Miner {
    fn drop(&mut self) {
        self.stop();
        self.shared.is_closed.store(true, Ordering::SeqCst);
        self.shared.activity().is_closed = true;
        self.shared.activity_changed.notify_all();
        for thread in self.searching.drain(..).chain(self.measuring.take()) {
            thread.thread().unpark();
            // A panic was reported where it happened.
            let _ = thread.join();
        }
    }
}

impl MinerShared {
    fn activity(&self) -> MutexGuard<'_, Activity> {
        self.activity.lock()
    }

    fn set_mining(&self, is_mining: bool) {
        let mut activity = self.activity();
        if activity.is_mining != is_mining {
            activity.is_mining = is_mining;
            self.activity_changed.notify_all();
        }
    }

    /// The template that is not stale.
    fn template(&self) -> Option<Arc<SearchTemplate>> {
        let generation = self.generation.load(Ordering::SeqCst);
        self.template.load_full().filter(|template| template.generation == generation)
    }

    /// The work of one thread, the `number`th of `threads`.
    fn search(&self, number: u64, threads: u64) {
        while !self.is_closed.load(Ordering::SeqCst) {
            match self.template() {
                Some(template) => self.search_in(&template, number, threads),
                None => park(),
            }
        }
    }

    /// Ends when a nonce is found, here or by another thread, or the template is replaced.
    fn search_in(&self, template: &SearchTemplate, number: u64, threads: u64) {
        for turn in turns(number, threads, self.kernel.attempts_between_looks()) {
            if self.generation.load(Ordering::Relaxed) != template.generation {
                return;
            }
            let found = template.search.find(self.kernel, turn.clone());
            let made = found.map_or(turn.end, |attempt| attempt + 1) - turn.start;
            self.attempts.fetch_add(made, Ordering::Relaxed);
            if let Some(attempt) = found {
                return self.found(template, Search::nonce(attempt));
            }
        }
    }

    /// Reports a nonce, unless another thread was first or the template was replaced.
    fn found(&self, SearchTemplate { generation, key, .. }: &SearchTemplate, nonce: u64) {
        let ended = self.generation.compare_exchange(*generation, generation + 1, Ordering::SeqCst, Ordering::SeqCst);
        if ended.is_ok() {
            self.engine.deliver(Event::Mined { key: *key, nonce });
        }
    }

    /// Reports the hash rate while the threads search, and zero once after they have stopped.
    fn measure(&self) {
        let mut activity = self.activity();
        loop {
            let rests = |activity: &mut Activity| !activity.is_mining && !activity.is_closed;
            self.activity_changed.wait_while(&mut activity, rests);
            let (began, before) = (Instant::now(), self.attempts.load(Ordering::Relaxed));
            let mines = |activity: &mut Activity| activity.is_mining && !activity.is_closed;
            self.activity_changed.wait_while_for(&mut activity, mines, RATE_INTERVAL);
            if activity.is_closed {
                return;
            }
            let attempts = self.attempts.load(Ordering::Relaxed) - before;
            // Nothing calls `stop` after the last block of a job: no template for a whole interval is its end.
            activity.is_mining &= attempts > 0 || self.template().is_some();
            let rate = if activity.is_mining { attempts as f64 / began.elapsed().as_secs_f64() } else { 0.0 };
            self.engine.deliver(Event::HashRate(rate as u64));
        }
    }
}

/// The ranges that the `number`th of `threads` tries one after the other. Together the threads try everything from
/// [`ATTEMPTS_AT_ONCE`] on, and nothing twice.
fn turns(number: u64, threads: u64, attempts: u32) -> impl Iterator<Item = Range<u64>> {
    let attempts = u64::from(attempts);
    (0..).map(move |turn| {
        let first = ATTEMPTS_AT_ONCE + (turn * threads + number) * attempts;
        first..first + attempts
    })
}

/// The hash rate of this number of threads, measured for `time` with the code that mines.
pub fn measure_rate(threads: usize, time: Duration) -> u64 {
    let (parent, root) = (BlockId([0; 32]), LeafHash([0; 32]));
    let (height, timestamp, target) = (Height::GENESIS, UnixMillis(0), Target::HARDEST);
    let header = Header { version: VERSION, height, parent, root, timestamp, target, nonce: 0 };
    let search = Search::new(&header).expect("a target");
    let kernel = Kernel::fastest();
    let began = Instant::now();
    let count = || {
        let mut attempts = 0;
        while began.elapsed() < time {
            let more = u64::from(kernel.attempts_between_looks());
            // The target is out of reach; a hit would do no harm.
            std::hint::black_box(search.find(kernel, attempts..attempts + more));
            attempts += more;
        }
        attempts
    };
    let attempts: u64 = std::thread::scope(|scope| {
        let others: Vec<_> = (1..threads).map(|_| scope.spawn(count)).collect();
        let own = count();
        own + others.into_iter().map(|thread| thread.join().expect("counting can't panic")).sum::<u64>()
    });
    (attempts as f64 / began.elapsed().as_secs_f64()) as u64
}

#[cfg(test)]
mod tests {
    use crossbeam_channel::Receiver;

    use super::*;
    use crate::node::inbox::Queues;
    use crate::protocol::check::check_header;
    use crate::protocol::{Network, Parameters};

    fn network(target: u32) -> Network {
        let parameters = Parameters { easiest_target: Target(target), ..Parameters::lan() };
        Network::new(parameters).expect("valid parameters")
    }

    fn header(network: &Network, timestamp: u64) -> Header {
        let genesis = network.genesis().header;
        let mut header = Header { height: genesis.height.next(), parent: genesis.id(), ..genesis };
        header.timestamp.0 += timestamp;
        header
    }

    fn miner(threads: usize) -> (Miner, Receiver<Event>) {
        let (engine, Queues { results, .. }) = EngineSender::new();
        (Miner::start(threads, engine, |line| panic!("{line}")).expect("threads"), results)
    }

    fn next_mined(results: &Receiver<Event>) -> (Key, u64) {
        loop {
            match results.recv().expect("the miner runs") {
                Event::Mined { key, nonce } => return (key, nonce),
                Event::HashRate(_) => {}
                other => panic!("{other:?}"),
            }
        }
    }

    #[test]
    fn a_rate_is_measured_with_any_number_of_threads() {
        for threads in [0, 1, 2] {
            assert!(measure_rate(threads, Duration::from_millis(5)) > 0);
        }
    }

    #[test]
    fn threads_try_everything_once() {
        for threads in 1..5 {
            let mut tried: Vec<_> = (0..threads).flat_map(|number| turns(number, threads, 1000).take(7)).collect();
            tried.sort_by_key(|attempts| attempts.start);
            let starts = tried.iter().map(|attempts| attempts.start);
            let ends = [ATTEMPTS_AT_ONCE].into_iter().chain(tried.iter().map(|attempts| attempts.end));
            assert!(starts.eq(ends.take(tried.len())), "{tried:?}");
        }
    }

    #[test]
    fn what_is_found_is_valid_whoever_finds_it() {
        // At once, and by threads (one in 65,536).
        for (target, threads) in [(0x2100_ffff, 1), (0x1f00_ffff, 1), (0x1f00_ffff, 3)] {
            let network = network(target);
            let (miner, results) = miner(threads);
            for number in 0..5 {
                let mut header = header(&network, number);
                miner.mine(Key(number), &header);
                let (key, nonce) = next_mined(&results);
                header.nonce = nonce;
                assert_eq!((key, check_header(&header, &network).is_ok()), (Key(number), true));
            }
            drop(miner);
            let rest: Vec<_> = results.try_iter().filter(|event| matches!(event, Event::Mined { .. })).collect();
            assert!(rest.is_empty(), "one for each template: {rest:?}");
        }
    }

    #[test]
    fn a_new_template_replaces_the_one_before() {
        let (hopeless, easy) = (network(0x1700_ffff), network(0x1f00_ffff));
        let (miner, results) = miner(2);
        miner.mine(Key(1), &header(&hopeless, 0));
        miner.mine(Key(2), &header(&easy, 0));
        assert_eq!(next_mined(&results).0, Key(2));
    }

    #[test]
    fn the_hash_rate_is_told_and_falls_to_zero() {
        let hopeless = network(0x1700_ffff);
        let (miner, results) = miner(1);
        miner.mine(Key(1), &header(&hopeless, 0));
        assert!(matches!(results.recv(), Ok(Event::HashRate(1..))));
        miner.stop();
        loop {
            match results.recv().expect("the miner runs") {
                Event::HashRate(0) => break,
                Event::HashRate(_) => {}
                other => panic!("{other:?}"),
            }
        }
    }
}
