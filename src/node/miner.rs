//! The threads that search for nonces.
//!
//! An attempt is one SHA-256 compression: the first 64 of a header's 96 bytes are the same for all nonces, so their
//! state is kept. Threads look for a new template every fraction of a millisecond, and sleep while there is none.

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use sha2::block_api::compress256;

use super::driver::EngineSender;
use super::thread;
use crate::engine::Event;
use crate::engine::event::Key;
use crate::protocol::block::{HEADER_BYTES, VERSION};
use crate::protocol::{BlockId, Header, Height, LeafHash, Target, UnixMillis};

/// Attempts between two looks for a new template: about a tenth of a millisecond.
const ATTEMPTS_BETWEEN_LOOKS: u64 = 2048;
/// Attempts made at once by who brings a template, some microseconds long. Where nearly any nonce will do (the network
/// `dev`), no thread needs to wake up for a block.
const ATTEMPTS_AT_ONCE: u64 = 64;
/// How often the hash rate is told.
const RATE_INTERVAL: Duration = Duration::from_secs(1);

/// The running threads. They end when it is dropped.
pub struct Miner {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
}

struct Shared {
    engine: EngineSender,
    state: Mutex<State>,
    /// There is a template, or it is time to end.
    work: Condvar,
    /// `is_mining` or `is_closed` changed.
    mood: Condvar,
    /// Counts templates; one that is not the newest is not worth an attempt more.
    generation: AtomicU64,
    attempts: AtomicU64,
}

#[derive(Default)]
struct State {
    template: Option<Template>,
    is_mining: bool,
    is_closed: bool,
}

#[derive(Clone)]
struct Template {
    generation: u64,
    key: Key,
    search: Search,
}

impl Miner {
    /// Starts this many threads, which wait.
    pub fn start(
        threads: usize,
        engine: EngineSender,
        failed: impl Fn(String) + Clone + Send + 'static,
    ) -> io::Result<Self> {
        let shared = Arc::new(Shared {
            engine,
            state: Mutex::default(),
            work: Condvar::new(),
            mood: Condvar::new(),
            generation: AtomicU64::new(0),
            attempts: AtomicU64::new(0),
        });
        let mut miner = Self { shared, threads: Vec::new() };
        let count = threads.max(1) as u64;
        for first in 0..count {
            let shared = Arc::clone(&miner.shared);
            miner.threads.push(thread::spawn("miner", failed.clone(), move || shared.search(first, count))?);
        }
        let shared = Arc::clone(&miner.shared);
        miner.threads.push(thread::spawn("hash rate", failed, move || shared.measure())?);
        Ok(miner)
    }

    /// Searches a nonce for this header, instead of for any before.
    pub fn mine(&self, key: Key, header: &Header) {
        let Some(mut search) = Search::new(header) else { return };
        let found = (0..ATTEMPTS_AT_ONCE).find(|nonce| search.meets(*nonce));
        let shared = &self.shared;
        shared.attempts.fetch_add(found.map_or(ATTEMPTS_AT_ONCE, |nonce| nonce + 1), Ordering::Relaxed);
        let mut state = shared.lock();
        let generation = shared.generation.fetch_add(1, Ordering::Relaxed) + 1;
        if !state.is_mining {
            state.is_mining = true;
            shared.mood.notify_all();
        }
        match found {
            Some(nonce) => {
                state.template = None;
                shared.engine.deliver(Event::Mined { key, nonce });
            }
            None => {
                state.template = Some(Template { generation, key, search });
                shared.work.notify_all();
            }
        }
    }

    /// Stops searching.
    pub fn stop(&self) {
        let mut state = self.shared.lock();
        self.shared.generation.fetch_add(1, Ordering::Relaxed);
        state.template = None;
        state.is_mining = false;
        self.shared.mood.notify_all();
    }
}

impl Drop for Miner {
    fn drop(&mut self) {
        self.stop();
        self.shared.lock().is_closed = true;
        self.shared.work.notify_all();
        self.shared.mood.notify_all();
        for thread in self.threads.drain(..) {
            // A panic was told where it happened.
            let _ = thread.join();
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        // A state is replaced as a whole, so one left by a thread that panicked is as good as any.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The work of one thread: every `count`th nonce.
    fn search(&self, first: u64, count: u64) {
        loop {
            let waits = |state: &mut State| state.template.is_none() && !state.is_closed;
            let state = self.work.wait_while(self.lock(), waits).unwrap_or_else(PoisonError::into_inner);
            let Some(template) = state.template.clone() else { return };
            drop(state);
            self.search_in(template, first, count);
        }
    }

    /// Ends when a nonce is found, here or by another thread, or the template is replaced.
    fn search_in(&self, Template { generation, key, mut search }: Template, first: u64, count: u64) {
        let mut nonce = ATTEMPTS_AT_ONCE + first;
        while self.generation.load(Ordering::Relaxed) == generation {
            for attempts in 1..=ATTEMPTS_BETWEEN_LOOKS {
                if search.meets(nonce) {
                    self.attempts.fetch_add(attempts, Ordering::Relaxed);
                    return self.found(generation, key, nonce);
                }
                nonce = nonce.wrapping_add(count);
            }
            self.attempts.fetch_add(ATTEMPTS_BETWEEN_LOOKS, Ordering::Relaxed);
        }
    }

    /// Tells the engine, unless another thread was first or the template was replaced.
    fn found(&self, generation: u64, key: Key, nonce: u64) {
        let mut state = self.lock();
        if state.template.take_if(|template| template.generation == generation).is_some() {
            self.generation.fetch_add(1, Ordering::Relaxed);
            self.engine.deliver(Event::Mined { key, nonce });
        }
    }

    /// Tells the hash rate while something is searched for, and zero once when nothing is any more.
    fn measure(&self) {
        let mut state = self.lock();
        loop {
            let rests = |state: &mut State| !state.is_mining && !state.is_closed;
            state = self.mood.wait_while(state, rests).unwrap_or_else(PoisonError::into_inner);
            let (began, before) = (Instant::now(), self.attempts.load(Ordering::Relaxed));
            let mines = |state: &mut State| state.is_mining && !state.is_closed;
            let (waited, _) =
                self.mood.wait_timeout_while(state, RATE_INTERVAL, mines).unwrap_or_else(PoisonError::into_inner);
            state = waited;
            if state.is_closed {
                return;
            }
            let attempts = self.attempts.load(Ordering::Relaxed) - before;
            // After the last block of a job nobody says stop: no template came in a whole interval.
            state.is_mining &= attempts > 0 || state.template.is_some();
            let rate = if state.is_mining { attempts as f64 / began.elapsed().as_secs_f64() } else { 0.0 };
            self.engine.deliver(Event::HashRate(rate as u64));
        }
    }
}

/// Hashes per second of so many threads, measured for that long with what mines.
pub fn measure_rate(threads: usize, time: Duration) -> u64 {
    let (parent, body_root) = (BlockId([0; 32]), LeafHash([0; 32]));
    let (height, timestamp, target) = (Height::GENESIS, UnixMillis(0), Target::HARDEST);
    let header = Header { version: VERSION, height, parent, body_root, timestamp, target, nonce: 0 };
    let search = Search::new(&header).expect("a target");
    let began = Instant::now();
    let count = |mut search: Search| {
        let mut attempts = 0;
        while began.elapsed() < time {
            for nonce in attempts..attempts + ATTEMPTS_BETWEEN_LOOKS {
                // 2^160 is out of reach, and it would not matter.
                std::hint::black_box(search.meets(nonce));
            }
            attempts += ATTEMPTS_BETWEEN_LOOKS;
        }
        attempts
    };
    let attempts: u64 = std::thread::scope(|scope| {
        let others: Vec<_> = (1..threads).map(|_| scope.spawn(|| count(search.clone()))).collect();
        let own = count(search.clone());
        own + others.into_iter().map(|thread| thread.join().expect("counting can't panic")).sum::<u64>()
    });
    (attempts as f64 / began.elapsed().as_secs_f64()) as u64
}

/// A header whose nonce is searched for.
#[derive(Clone)]
struct Search {
    /// SHA-256's state after the header's first 64 bytes.
    midstate: [u32; 8],
    /// The last block of the padded header.
    tail: [u8; 64],
    target: Target,
    /// The first 64 bits of the bound: nearly all hashes are told apart by them.
    bound_top: u64,
}

impl Search {
    /// Where the nonce is in the last block.
    const NONCE_AT: usize = HEADER_BYTES - 64 - 8;

    /// `None` if nothing can meet the target because it is none.
    fn new(header: &Header) -> Option<Self> {
        /// FIPS 180-4, section 5.3.3.
        const INITIAL: [u32; 8] =
            [0x6a09_e667, 0xbb67_ae85, 0x3c6e_f372, 0xa54f_f53a, 0x510e_527f, 0x9b05_688c, 0x1f83_d9ab, 0x5be0_cd19];
        let bound = header.target.expand()?.to_be_bytes();
        let bytes = header.to_bytes();
        let (head, rest) = bytes.split_first_chunk::<64>().expect("a header has 96 bytes");
        let mut midstate = INITIAL;
        compress256(&mut midstate, std::slice::from_ref(head));
        let mut tail = [0; 64];
        tail[..rest.len()].copy_from_slice(rest);
        tail[rest.len()] = 0x80;
        tail[56..].copy_from_slice(&(8 * HEADER_BYTES as u64).to_be_bytes());
        let bound_top = u64::from_be_bytes(*bound.first_chunk().expect("256 bits hold 64"));
        Some(Self { midstate, tail, target: header.target, bound_top })
    }

    /// Whether the header with this nonce has the work that its target asks for.
    fn meets(&mut self, nonce: u64) -> bool {
        self.tail[Self::NONCE_AT..][..8].copy_from_slice(&nonce.to_le_bytes());
        let mut state = self.midstate;
        compress256(&mut state, std::slice::from_ref(&self.tail));
        let top = u64::from(state[0]) << 32 | u64::from(state[1]);
        top <= self.bound_top && self.target.is_met_by(&id_of(&state))
    }
}

fn id_of(state: &[u32; 8]) -> BlockId {
    let mut id = [0; 32];
    for (bytes, word) in id.chunks_exact_mut(4).zip(state) {
        bytes.copy_from_slice(&word.to_be_bytes());
    }
    BlockId(id)
}

#[cfg(test)]
mod tests {
    use crossbeam_channel::Receiver;

    use super::*;
    use crate::node::driver::Queues;
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
    fn an_attempt_agrees_with_the_rule() {
        // One nonce in 16, 256 and nearly all of them: both outcomes, on both sides of the shortcut.
        for target in [0x200f_ffff, 0x2000_ffff, 0x2100_ffff] {
            let network = network(target);
            let mut header = header(&network, 1);
            let mut search = Search::new(&header).expect("a target");
            for nonce in (0..2000).chain(u64::MAX - 500..=u64::MAX) {
                header.nonce = nonce;
                assert_eq!(search.meets(nonce), check_header(&header, &network).is_ok(), "{target:#x} {nonce}");
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
