//! Transactions from the network: four peers send 40,000 transfers by gossip, all signed beforehand; the figure is the
//! rate from the first byte until the node reports all of them pending. Beside it stands the verification of the same
//! signatures on all cores, without anything around it. The peers run on the same cores as the node.
//!
//! The transfers are of 5,000 accounts; each peer has all of an account, in the order of their nonces.

use std::thread;
use std::time::{Duration, Instant};

use anyhow::Result;
use quipu::protocol::{Address, Amount, Bundle, Network, Parameters, SignedTransaction};

use crate::Context;
use crate::chain::{StoredChain, key, on_all_cores, transfer};
use crate::figure::FigureRow;
use crate::limits::signatures::Signatures;
use crate::process::{NodeProcess, NodeProcessOptions, folder};
use crate::sender::Sender;
use crate::statistics::spread;

pub(super) const NAME: &str = "transactions";
const PEERS: usize = 4;
/// Transactions of each account.
const EACH: usize = 8;
const RATIO_MIN: f64 = 0.6;
/// Interval between two questions for their number.
const LOOK_INTERVAL: Duration = Duration::from_millis(2);

pub(super) fn run(context: &mut Context) -> Result<Vec<FigureRow>> {
    let world = SenderAccounts::new(context.size(5_000, 500))?;
    let all: Vec<&SignedTransaction> = world.shares.iter().flatten().collect();
    let signatures = Signatures::of(all, &world.chain.network.genesis_id());
    let (mut ours, mut bare) = (Vec::new(), Vec::new());
    for _ in 0..context.size(5, 1) {
        let round = world.begin()?;
        let start = Instant::now();
        round.send();
        while round.node.ask("status")["pending"] != world.count() {
            thread::sleep(LOOK_INTERVAL);
        }
        ours.push(world.count() as f64 / start.elapsed().as_secs_f64());
        drop(round);
        bare.push(signatures.len() as f64 / signatures.verify().as_secs_f64());
    }
    let what = format!("{} transfers from {PEERS} peers", world.count());
    let (ours, bare) = (spread(&ours).0, spread(&bare).0);
    Ok(vec![FigureRow::new(NAME, &what, ours, "/s").beside("their signatures, all cores", bare).at_least(RATIO_MIN)])
}

/// Accounts with coins, and their transfers.
pub(super) struct SenderAccounts {
    chain: StoredChain,
    /// The transfers of each peer.
    shares: Vec<Vec<SignedTransaction>>,
}

/// A node, and peers that are connected to it and ready to send.
pub(super) struct Round {
    pub(super) node: NodeProcess,
    peers: Vec<(Sender, Vec<Bundle>)>,
}

impl SenderAccounts {
    pub(super) fn new(accounts: usize) -> Result<Self> {
        let mut chain = StoredChain::new(Network::new(Parameters::dev())?);
        let rich = key(accounts);
        chain.add(rich.public_key().address(), Vec::new());
        let gift = |number: usize| {
            let to = key(number).public_key().address();
            transfer(&rich, number as u64, to, Amount::from_units(EACH as u64), &chain.network)
        };
        let gifts = on_all_cores(accounts, gift);
        chain.add(Address([9; 20]), gifts);
        let to = rich.public_key().address();
        let one = |at: usize| {
            let nonce = (at / accounts) as u64;
            let account = at % accounts;
            transfer(&key(account), nonce, to, Amount::from_units(1), &chain.network)
        };
        let mut shares = vec![Vec::new(); PEERS];
        for (at, signed) in on_all_cores(accounts * EACH, one).into_iter().enumerate() {
            shares[at % accounts % PEERS].push(signed.signed().clone());
        }
        Ok(Self { chain, shares })
    }

    pub(super) fn count(&self) -> usize {
        self.shares.iter().map(Vec::len).sum()
    }

    pub(super) fn begin(&self) -> Result<Round> {
        let folder = folder();
        self.chain.store(folder.path())?;
        let node = NodeProcess::start_owning(folder, &NodeProcessOptions::default());
        let address = node.listen().parse()?;
        let peer = |share: &Vec<SignedTransaction>| {
            (Sender::connect(&self.chain.network, &address), Bundle::pack(share.iter().cloned()))
        };
        let peers = self.shares.iter().map(peer).collect();
        Ok(Round { node, peers })
    }
}

impl Round {
    /// Sends all of it, from all peers at once. Returns when it is under way.
    pub(super) fn send(&self) {
        thread::scope(|scope| {
            for (sender, bundles) in &self.peers {
                scope.spawn(|| bundles.iter().for_each(|bundle| sender.publish(bundle.clone())));
            }
        });
    }
}
