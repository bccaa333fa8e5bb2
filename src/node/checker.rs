//! The pool of threads that applies the rules needing no state: the expensive half of validation, on all cores.
//!
//! A list is cut into chunks, so that all threads work at it and none is busy for long; its results come back as
//! one event in the order of the list. Lists of one chunk (gossip) overtake the rest of longer
//! lists.
//!
//! Signatures cost less the more of them are verified together. So a thread takes its share of the transactions that wait,
//! and a lone one never waits for others.
//!
//! The queues are bounded by what the engine has in flight.

use std::io;
use std::mem;
use std::sync::Arc;
use std::thread::JoinHandle;

use crossbeam_channel::{Receiver, Sender, select, unbounded};
use parking_lot::Mutex;

use super::inbox::EngineSender;
use super::thread;
use crate::engine::Event;
use crate::engine::event::{CheckEffect, Key};
use crate::protocol::check::{check_block, check_lists, check_transactions};
use crate::protocol::{Block, CheckedTransaction, Network, SignedTransaction, Violation};

/// About this many signatures make a chunk: verified in one batch, they take some milliseconds. An empty block counts
/// as one, and a block is never cut. More in one batch save nothing where cores share their vector units.
const CHUNK_SIGNATURES: usize = 256;

/// What a thread does next.
enum CheckTask {
    /// Short lists of transactions may be checked together.
    Transactions(WaitingTransactions),
    Other(OtherTask),
}

type OtherTask = Box<dyn FnOnce(&Network) + Send>;

/// Transactions of one event, and the way to that.
struct WaitingTransactions {
    transactions: Vec<SignedTransaction>,
    done: Box<dyn FnOnce(Vec<Checked>) + Send>,
}

type Checked = Result<CheckedTransaction, Violation>;

/// The running threads. They end when it is dropped; tasks that have not begun are dropped.
pub struct Checker {
    engine: EngineSender,
    network: Arc<Network>,
    queues: CheckQueues<Sender<CheckTask>>,
    threads: Vec<JoinHandle<()>>,
}

/// Chunks of short lists, which go first, and of long ones.
#[derive(Clone)]
struct CheckQueues<T> {
    short: T,
    long: T,
}

impl Checker {
    /// Starts this many threads.
    pub fn start(
        threads: usize,
        network: &Arc<Network>,
        engine: EngineSender,
        failed: impl Fn(String) + Clone + Send + 'static,
    ) -> io::Result<Self> {
        let ((short, short_tasks), (long, long_tasks)) = (unbounded(), unbounded());
        let tasks = CheckQueues { short: short_tasks, long: long_tasks };
        let threads = threads.max(1);
        let threads = (0..threads).map(|_| {
            let (tasks, network) = (tasks.clone(), Arc::clone(network));
            thread::spawn("checker", failed.clone(), move || work(&tasks, threads, &network))
        });
        let threads = threads.collect::<io::Result<_>>()?;
        Ok(Self { engine, network: Arc::clone(network), queues: CheckQueues { short, long }, threads })
    }

    /// Does what the engine asks for.
    pub fn carry_out(&self, effect: CheckEffect) {
        match effect {
            CheckEffect::Blocks { key, blocks } => self.check_blocks(key, blocks),
            CheckEffect::Transactions { key, transactions } => self.check_transactions(key, transactions),
        }
    }

    /// Checks blocks; the engine gets one [`Event::BlocksChecked`]. One without transactions is two hashes, which take
    /// less time than to wake a thread up, and a new block is awaited by the whole network.
    pub fn check_blocks(&self, key: Key, blocks: Vec<Block>) {
        if let [block] = &blocks[..]
            && block.body.transactions.is_empty()
        {
            let results = blocks.into_iter().map(|block| check_block(block, &self.network)).collect();
            return self.engine.deliver(Event::BlocksChecked { key, results });
        }
        let chunks = chunks(blocks, |block| 1 + block.body.transactions.len());
        let check = |blocks: Vec<Block>, network: &Network| {
            blocks.into_iter().map(|block| check_block(block, network)).collect()
        };
        self.submit(chunks, check, move |results| Event::BlocksChecked { key, results });
    }

    /// Checks transactions; the engine gets one [`Event::TransactionsChecked`].
    pub fn check_transactions(&self, key: Key, transactions: Vec<SignedTransaction>) {
        let mut chunks = chunks(transactions, |_| 1);
        let finish = move |results| Event::TransactionsChecked { key, results };
        if chunks.len() > 1 || chunks.is_empty() {
            return self.submit(chunks, check_transactions, finish);
        }
        let engine = self.engine.clone();
        let done = Box::new(move |results| engine.deliver(finish(results)));
        let transactions = chunks.pop().expect("one chunk");
        send(&self.queues.short, CheckTask::Transactions(WaitingTransactions { transactions, done }));
    }

    fn submit<T: Send + 'static, R: Send + 'static>(
        &self,
        chunks: Vec<Vec<T>>,
        check: impl Fn(Vec<T>, &Network) -> Vec<R> + Copy + Send + 'static,
        finish: impl Fn(Vec<R>) -> Event + Send + Sync + 'static,
    ) {
        if chunks.is_empty() {
            return self.engine.deliver(finish(Vec::new()));
        }
        let queue = if chunks.len() == 1 { &self.queues.short } else { &self.queues.long };
        let results = Arc::new(Results::new(chunks.len()));
        let finish = Arc::new(finish);
        for (at, chunk) in chunks.into_iter().enumerate() {
            let (results, finish, engine) = (Arc::clone(&results), Arc::clone(&finish), self.engine.clone());
            let task = Box::new(move |network: &Network| {
                if let Some(all) = results.put(at, check(chunk, network)) {
                    engine.deliver(finish(all));
                }
            });
            send(queue, CheckTask::Other(task));
        }
    }
}

fn send(queue: &Sender<CheckTask>, task: CheckTask) {
    queue.send(task).expect("the threads have receivers for as long as there is a sender");
}

impl Drop for Checker {
    fn drop(&mut self) {
        // Without senders the threads end.
        let (short, long) = (unbounded().0, unbounded().0);
        drop(mem::replace(&mut self.queues, CheckQueues { short, long }));
        for thread in self.threads.drain(..) {
            // A panic was told where it happened.
            let _ = thread.join();
        }
    }
}

fn work(tasks: &CheckQueues<Receiver<CheckTask>>, threads: usize, network: &Network) {
    loop {
        let next = tasks.short.try_recv().or_else(|_| {
            select! {
                recv(tasks.short) -> task => task,
                recv(tasks.long) -> task => task,
            }
        });
        match next {
            Ok(CheckTask::Other(task)) => task(network),
            Ok(CheckTask::Transactions(first)) => {
                let (together, other) = gather(first, &tasks.short, threads);
                check_together(together, network);
                if let Some(task) = other {
                    task(network);
                }
            }
            Err(_) => return,
        }
    }
}

/// This thread's share of the transactions that wait, and the task behind them that is none of that, if it was taken out.
fn gather(
    first: WaitingTransactions,
    queue: &Receiver<CheckTask>,
    threads: usize,
) -> (Vec<WaitingTransactions>, Option<OtherTask>) {
    let (mut sum, mut together) = (first.transactions.len(), vec![first]);
    for _ in 0..queue.len() / threads {
        if sum >= CHUNK_SIGNATURES {
            break;
        }
        match queue.try_recv() {
            Ok(CheckTask::Transactions(waiting)) => {
                sum += waiting.transactions.len();
                together.push(waiting);
            }
            Ok(CheckTask::Other(task)) => return (together, Some(task)),
            Err(_) => break,
        }
    }
    (together, None)
}

fn check_together(waiting: Vec<WaitingTransactions>, network: &Network) {
    let (lists, ways): (Vec<_>, Vec<_>) = waiting.into_iter().map(|one| (one.transactions, one.done)).unzip();
    for (results, done) in check_lists(lists, network).into_iter().zip(ways) {
        done(results);
    }
}

/// Cuts a list where the weights of its elements sum up to a chunk.
fn chunks<T>(list: Vec<T>, weight: impl Fn(&T) -> usize) -> Vec<Vec<T>> {
    let mut chunks = Vec::new();
    let (mut chunk, mut sum) = (Vec::new(), 0);
    for element in list {
        sum += weight(&element);
        chunk.push(element);
        if sum >= CHUNK_SIGNATURES {
            chunks.push(mem::take(&mut chunk));
            sum = 0;
        }
    }
    if !chunk.is_empty() {
        chunks.push(chunk);
    }
    chunks
}

/// The results of a list, chunk by chunk.
struct Results<R>(Mutex<Vec<Option<Vec<R>>>>);

impl<R> Results<R> {
    fn new(chunks: usize) -> Self {
        Self(Mutex::new((0..chunks).map(|_| None).collect()))
    }

    /// Takes in a chunk's results, and gives all of them if this was the last one.
    fn put(&self, at: usize, results: Vec<R>) -> Option<Vec<R>> {
        let mut chunks = self.0.lock();
        chunks[at] = Some(results);
        if chunks.iter().any(Option::is_none) {
            return None;
        }
        Some(mem::take(&mut *chunks).into_iter().flatten().flatten().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::node::fixture::Chain;
    use crate::node::inbox::Queues;
    use crate::protocol::Amount;

    fn checker(chain: &Chain) -> (Checker, Receiver<Event>) {
        let (engine, Queues { results, .. }) = EngineSender::new();
        let checker = Checker::start(3, &chain.network, engine, |line| panic!("{line}")).expect("threads");
        (checker, results)
    }

    #[test]
    fn a_long_list_comes_back_whole_and_in_order() {
        let mut chain = Chain::new(1);
        (0..1000).for_each(|_| chain.mine(vec![]));
        let (checker, results) = checker(&chain);
        let mut blocks: Vec<_> = chain.blocks.iter().map(|(block, _)| block.to_block()).collect();
        blocks[700].header.version = 1;
        checker.check_blocks(Key(7), blocks);
        let Ok(Event::BlocksChecked { key: Key(7), results }) = results.recv() else { panic!("another event") };
        assert_eq!(results.len(), 1000);
        for (at, (result, (block, _))) in results.iter().zip(&chain.blocks).enumerate() {
            match result {
                Ok(checked) => assert_eq!(checked, block.as_ref()),
                Err(violation) => assert_eq!((at, violation), (700, &Violation::Version { version: 1 })),
            }
        }
        assert!(results[700].is_err());
    }

    #[test]
    fn transactions_and_lists_of_nothing() {
        let chain = Chain::new(1);
        let (checker, results) = checker(&chain);
        let transactions: Vec<_> = (0..300).map(|nonce| chain.transfer(nonce).signed().clone()).collect();
        checker.check_transactions(Key(1), transactions.clone());
        let Ok(Event::TransactionsChecked { key: Key(1), results: checked }) = results.recv() else {
            panic!("another event")
        };
        let checked: Vec<_> = checked.into_iter().map(|result| result.expect("valid").signed().clone()).collect();
        assert_eq!(checked, transactions);
        checker.check_blocks(Key(2), vec![]);
        assert!(matches!(results.recv(), Ok(Event::BlocksChecked { key: Key(2), results }) if results.is_empty()));
    }

    #[test]
    fn what_waits_is_checked_together_and_each_list_has_its_own_verdicts() {
        let chain = Chain::new(1);
        let transaction = |nonce| chain.transfer(nonce).signed().clone();
        let (done, came) = unbounded();
        let waiting = |lists: std::ops::Range<u64>, each: u64| {
            let (sender, tasks) = unbounded();
            for list in lists {
                let transactions = (0..each).map(|at| transaction(list * each + at)).collect();
                let done = done.clone();
                let done = Box::new(move |results| done.send((list, results)).expect("received"));
                send(&sender, CheckTask::Transactions(WaitingTransactions { transactions, done }));
            }
            (sender, tasks)
        };
        let first = |tasks: &Receiver<CheckTask>| match tasks.try_recv() {
            Ok(CheckTask::Transactions(first)) => first,
            _ => panic!("transactions"),
        };
        let lengths = |lists: &[WaitingTransactions]| lists.iter().map(|list| list.transactions.len()).sum::<usize>();

        // A lone one goes at once, and others are shared among the threads.
        for (lists, threads, want) in [(1, 2, 1), (9, 2, 5), (9, 1, 9), (3, 4, 1)] {
            let (_sender, tasks) = waiting(0..lists, 1);
            assert_eq!(gather(first(&tasks), &tasks, threads).0.len(), want, "{lists} lists, {threads} threads");
        }
        let (_sender, tasks) = waiting(0..20, 100);
        assert_eq!(lengths(&gather(first(&tasks), &tasks, 1).0), 300, "a batch ends where it is full");

        // Another task among them is neither lost nor overtaken by what came after it.
        let (sender, tasks) = waiting(0..2, 1);
        send(&sender, CheckTask::Other(Box::new(|_| ())));
        let last = WaitingTransactions { transactions: vec![transaction(2)], done: Box::new(|_| ()) };
        send(&sender, CheckTask::Transactions(last));
        let (together, other) = gather(first(&tasks), &tasks, 1);
        assert!(together.len() == 2 && other.is_some() && tasks.len() == 1);

        // One bad signature is one verdict.
        let (_sender, tasks) = waiting(0..3, 4);
        let (mut together, _) = gather(first(&tasks), &tasks, 1);
        together[1].transactions[2].transaction.fee = Amount::from_units(7);
        check_together(together, &chain.network);
        let verdicts: Vec<(u64, Vec<bool>)> = came
            .try_iter()
            .map(|(list, results): (_, Vec<Checked>)| (list, results.iter().map(Result::is_ok).collect()))
            .collect();
        assert_eq!(verdicts, [(0, vec![true; 4]), (1, vec![true, true, false, true]), (2, vec![true; 4])]);
    }

    #[test]
    fn a_single_block_without_transactions_is_judged_like_any_other() {
        let mut chain = Chain::new(1);
        chain.mine(vec![]);
        let (checker, results) = checker(&chain);
        let (good, _) = &chain.blocks[0];
        let mut bad = good.to_block();
        bad.header.version = 1;
        let judged = [(good.to_block(), Ok((**good).clone())), (bad, Err(Violation::Version { version: 1 }))];
        for (block, want) in judged {
            checker.check_blocks(Key(3), vec![block]);
            let Ok(Event::BlocksChecked { key: Key(3), results }) = results.recv() else { panic!("another event") };
            assert_eq!(results, [want]);
        }
    }

    #[test]
    fn a_chunk_ends_where_it_is_full() {
        let lengths = |weights: Vec<usize>| chunks(weights, |weight| *weight).iter().map(Vec::len).collect::<Vec<_>>();
        assert_eq!(lengths(vec![]), [0; 0]);
        assert_eq!(lengths(vec![1; 255]), [255]);
        assert_eq!(lengths(vec![1; 600]), [256, 256, 88]);
        assert_eq!(lengths(vec![5000, 1, 5000, 1]), [1, 2, 1]);
    }
}
