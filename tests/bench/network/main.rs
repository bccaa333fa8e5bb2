//! What a node takes in from the network: `cargo bench --bench network`.
//!
//! Four peers send 50,000 transactions (`QUIPU_BENCH_TRANSACTIONS`) to a real node by gossip, each a quarter of them, in
//! full bundles that were made beforehand; the time ends when the node says that all of them wait in its pool. Beside it
//! stands what the same signatures take if nothing is done but verify them in batches, on all cores. The peers run on the
//! same cores as the node.
//!
//! The transactions are records of 20 bytes, as long as transfers, from 500 accounts (`QUIPU_BENCH_ACCOUNTS`): the pool
//! takes at most 16,384 of one account and about 28,000 of one peer, and it keeps what spends coins that are not there out.

mod node;
mod sender;

use std::sync::Arc;
use std::time::{Duration, Instant};

use node::Node;
use quipu::protocol::check::check_transactions;
use quipu::protocol::{Action, Amount, Bundle, Network, Parameters, SecretKey, SignedTransaction, Transaction};
use sender::Sender;

const PEERS: usize = 4;
/// Signatures that are verified together.
const BATCH: usize = 256;
/// Between two questions how many there are.
const POLL_INTERVAL: Duration = Duration::from_millis(5);
/// How long to wait for the last of them.
const PATIENCE: Duration = Duration::from_secs(60);

fn main() {
    let number = |name: &str, default| std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default);
    let (count, accounts) = (number("QUIPU_BENCH_TRANSACTIONS", 50_000), number("QUIPU_BENCH_ACCOUNTS", 500));
    let network = Arc::new(Network::new(Parameters::dev()).expect("a preset is valid"));
    let records: Vec<Vec<SignedTransaction>> = std::thread::scope(|scope| {
        let network = &network;
        let share = move |peer| {
            let is_theirs = |at: &u64| at % accounts % PEERS as u64 == peer;
            (0..count).filter(is_theirs).map(|at| record(at, accounts, network)).collect()
        };
        let signers: Vec<_> = (0..PEERS as u64).map(|peer| scope.spawn(move || share(peer))).collect();
        signers.into_iter().map(|signer| signer.join().expect("it signs")).collect()
    });
    for _ in 0..number("QUIPU_BENCH_ROUNDS", 3) {
        let (verified, taken) = (verify(&records, &network), take_in(&records, &network));
        let rate = |time: Duration| count as f64 / time.as_secs_f64();
        let ratio = rate(taken) / rate(verified);
        println!("{count} transactions: {:.0}/s verified, {:.0}/s taken in, {ratio:.2} x", rate(verified), rate(taken));
    }
}

/// Those of an account have ascending nonces, and all of an account are the same peer's.
fn record(at: u64, accounts: u64, network: &Network) -> SignedTransaction {
    let mut seed = [7; 32];
    seed[..8].copy_from_slice(&(at % accounts).to_le_bytes());
    let key = SecretKey::from_seed(seed);
    let action = Action::Record { data: vec![at as u8; 20].into() };
    let transaction = Transaction { sender: key.public_key(), nonce: at / accounts, fee: Amount::ZERO, action };
    transaction.sign(&network.genesis_id(), &key)
}

/// Signature verification alone, in batches on all cores.
fn verify(records: &[Vec<SignedTransaction>], network: &Network) -> Duration {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let all: Vec<SignedTransaction> = records.concat();
    let shares: Vec<Vec<Vec<SignedTransaction>>> = all
        .chunks(all.len().div_ceil(cores))
        .map(|share| share.chunks(BATCH).map(<[SignedTransaction]>::to_vec).collect())
        .collect();
    let begin = Instant::now();
    std::thread::scope(|scope| {
        for share in shares {
            scope.spawn(|| {
                for batch in share {
                    assert!(check_transactions(batch, network).iter().all(Result::is_ok));
                }
            });
        }
    });
    begin.elapsed()
}

/// From the first message until all are in the pool.
fn take_in(records: &[Vec<SignedTransaction>], network: &Arc<Network>) -> Duration {
    let node = Node::start();
    let senders: Vec<Sender> = (0..PEERS).map(|_| Sender::connect(network, &node.address())).collect();
    let bundles: Vec<Vec<Bundle>> = records.iter().map(|share| Bundle::pack(share.iter().cloned())).collect();
    let count = records.iter().map(Vec::len).sum::<usize>() as u64;
    if std::env::var_os("QUIPU_BENCH_PAUSE").is_some() {
        eprintln!("the node is process {}", node.process());
        std::thread::sleep(Duration::from_secs(3));
    }
    let begin = Instant::now();
    std::thread::scope(|scope| {
        for (sender, bundles) in senders.iter().zip(bundles) {
            scope.spawn(|| bundles.into_iter().for_each(|bundle| sender.publish(bundle)));
        }
    });
    loop {
        let pending = node.pending();
        if pending >= count {
            return begin.elapsed();
        }
        assert!(begin.elapsed() < PATIENCE, "{pending} of {count} have arrived");
        std::thread::sleep(POLL_INTERVAL);
    }
}
