//! A script of commits, and the expected contents after each by a model that knows nothing of tables.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::engine::event::{Batch, Place, Stored, Write};
use crate::node::fixture::{Chain, batch, place};
use crate::node::store::{Store, StoreError};
use crate::protocol::{
    Account, Action, Address, Amount, Block, BlockId, CheckedTransaction, Delta, Height, Millis, Network, SecretKey,
    TransactionId, Wei,
};

/// Commits in order, and the contents before the first and after each.
pub(super) struct Script {
    pub(super) network: Arc<Network>,
    pub(super) commits: Vec<Vec<Batch>>,
    pub(super) pictures: Vec<Picture>,
}

/// The contents of a store.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Picture {
    /// Each block with whether it is condemned, and what undoes it if it is on the best chain.
    blocks: BTreeMap<Place, (BlockId, bool, Option<Arc<Delta>>)>,
    /// From height 1 on.
    best: Vec<BlockId>,
    accounts: BTreeMap<Address, Account>,
    /// In their order.
    pending: Vec<TransactionId>,
    checkpoint: Option<Place>,
}

impl Picture {
    /// The contents as the store gives them at startup, checked against what readers see.
    pub(super) fn of(store: &Store, stored: &Stored, network: &Network) -> Result<Self, StoreError> {
        let reader = store.reader();
        let places: Vec<_> =
            stored.headers.iter().map(|header| Place { height: header.header.height, id: header.id }).collect();
        let loaded = reader.load(&places)?;
        let blocks = places.iter().zip(&stored.headers).zip(loaded);
        let blocks = blocks
            .map(|((place, header), loaded)| (*place, (loaded.block.id(), header.condemned, loaded.delta)))
            .collect();
        let snapshot = reader.snapshot()?;
        assert_eq!(stored.tip.unwrap_or(network.genesis_id()), snapshot.tip().id, "readers see what the engine gets");
        let mut best = Vec::new();
        let mut parent = network.genesis_id();
        while let Some(Block { header, .. }) = snapshot.block_at(Height(best.len() as u64 + 1))? {
            assert_eq!(header.parent, parent, "the chain is whole");
            parent = header.id();
            best.push(parent);
        }
        let pending = stored.pending.iter().map(|signed| signed.transaction.id(&network.genesis_id())).collect();
        let accounts: BTreeMap<_, _> = stored.accounts.iter().copied().collect();
        let coins: u128 = accounts.values().map(|account| account.balance.0).sum();
        assert_eq!(coins, best.len() as u128 * Wei::from(Amount::COIN).0, "coins are subsidies");
        Ok(Self { blocks, best, accounts, pending, checkpoint: stored.checkpoint })
    }

    /// The best block.
    pub(super) fn tip(&self, network: &Network) -> Place {
        let id = self.best.last().copied().unwrap_or(network.genesis_id());
        Place { height: Height(self.best.len() as u64), id }
    }

    fn apply(&mut self, write: &Write) {
        match write {
            Write::Block(block) => {
                self.blocks.insert(place(block), (block.id(), false, None));
            }
            Write::Connect { place, delta } => {
                self.best.push(place.id);
                self.block(place).2 = Some(Arc::clone(delta));
                delta.changes.iter().for_each(|change| self.set(change.address, change.after));
            }
            Write::Disconnect { place, delta } => {
                assert_eq!(self.best.pop(), Some(place.id));
                self.block(place).2 = None;
                delta.changes.iter().for_each(|change| self.set(change.address, change.before));
            }
            Write::Condemn { place } => self.block(place).1 = true,
            Write::PutPending(transaction) => self.pending.push(transaction.id()),
            Write::DropPending(id) => self.pending.retain(|other| other != id),
            Write::Checkpoint(place) => self.checkpoint = *place,
        }
    }

    fn block(&mut self, place: &Place) -> &mut (BlockId, bool, Option<Arc<Delta>>) {
        self.blocks.get_mut(place).expect("the script stores it first")
    }

    fn set(&mut self, address: Address, account: Account) {
        self.accounts.insert(address, account);
        self.accounts.retain(|_, account| *account != Account::default());
    }
}

impl Script {
    /// Everything that a node writes: a first synchronisation in large commits, single blocks with transactions,
    /// transactions that come and go, branches, two reorganisations, a condemned block, a checkpoint that comes, moves
    /// and goes.
    pub(super) fn full() -> Self {
        let mut main = fork(0);
        // A first synchronisation.
        let mut commits = vec![vec![main.writes_above(0)]];
        let records: Vec<_> = (0..24).map(|nonce| record(&main, 4 + nonce, 3000)).collect();
        (0..2).for_each(|_| main.mine(vec![]));
        commits.push(vec![main.writes_above(5)]);
        let transfers: Vec<_> = (1..4).map(|nonce| main.transfer(nonce)).collect();
        commits.push(vec![transfers[..2].iter().cloned().map(Write::PutPending).collect()]);
        commits.push(vec![vec![Write::PutPending(transfers[2].clone())]]);
        // A block takes in two of three that wait.
        main.mine(transfers[..2].to_vec());
        let taken = transfers[..2].iter().map(|taken| Write::DropPending(taken.id()));
        commits.push(vec![main.writes_above(7).into_iter().chain(taken).collect()]);
        // A branch comes in, block by block, until it is the longer one. The transactions of the old blocks wait again.
        let mut side = fork(1);
        (0..4).for_each(|_| side.mine_for(Address([5; 20]), Millis(7), vec![]));
        commits.extend(side.blocks[5..].iter().map(|(block, _)| vec![vec![Write::Block(Arc::clone(block))]]));
        let returned = transfers[..2].iter().cloned().map(Write::PutPending);
        let over = main.undo_above(5).into_iter().chain(only_connects(&side, 5)).chain(returned).collect();
        commits.push(vec![over]);
        // And back again, in three batches of two commits.
        let undo = side.undo_above(5);
        commits.push(vec![undo[..2].to_vec(), undo[2..].to_vec()]);
        let taken = transfers[..2].iter().map(|taken| Write::DropPending(taken.id()));
        commits.push(vec![only_connects(&main, 5).into_iter().chain(taken).collect()]);
        commits.push(vec![vec![Write::Condemn { place: place(&side.blocks[8].0) }]]);
        commits.push(vec![vec![Write::Checkpoint(Some(place(&main.blocks[2].0)))]]);
        // Large blocks, so that the file grows, the checkpoint moving on with them.
        main.mine(vec![transfers[2].clone()]);
        for records in records.chunks(6) {
            main.mine(records.to_vec());
        }
        let mut grown = main.writes_above(8);
        grown.extend([Write::DropPending(transfers[2].id()), Write::Checkpoint(Some(main.tip()))]);
        commits.push(vec![grown]);
        commits.push(vec![vec![Write::Checkpoint(None)], vec![]]);
        (0..3).for_each(|_| main.mine(vec![]));
        commits.extend((13..16).map(|at| vec![main.writes_above(at)[..2].to_vec()]));
        Self::of(&main.network, commits)
    }

    /// A few commits of every kind, for tests that run them a thousand times.
    pub(super) fn short() -> Self {
        let (mut main, mut side) = (fork(0), fork(1));
        main.mine(vec![record(&main, 1, 4000)]);
        (0..2).for_each(|_| side.mine_for(Address([5; 20]), Millis(7), vec![]));
        let pending = main.transfer(2);
        let back = main.undo_above(5).into_iter().chain(side.writes_above(5)).collect();
        let commits = vec![
            vec![main.writes_above(0)],
            vec![vec![Write::PutPending(pending.clone())], vec![Write::Checkpoint(Some(place(&main.blocks[1].0)))]],
            vec![back],
            vec![vec![Write::DropPending(pending.id())]],
        ];
        Self::of(&main.network, commits)
    }

    fn of(network: &Arc<Network>, commits: Vec<Vec<Vec<Write>>>) -> Self {
        let mut pictures = vec![Picture::default()];
        for writes in &commits {
            let mut picture = pictures.last().expect("one at least").clone();
            writes.iter().flatten().for_each(|write| picture.apply(write));
            pictures.push(picture);
        }
        let mut sequence = 0;
        let mut number = |writes| {
            sequence += 1;
            batch(sequence, writes)
        };
        let commits = commits.into_iter().map(|commit| commit.into_iter().map(&mut number).collect()).collect();
        Self { network: Arc::clone(network), commits, pictures }
    }
}

/// A chain of five blocks, the same for each branch: mining here is deterministic. The last has a transaction.
fn fork(branch: u8) -> Chain {
    let mut chain = Chain::new(1);
    (0..4).for_each(|_| chain.mine(vec![]));
    chain.mine(vec![chain.transfer(0)]);
    chain.key = if branch == 0 { chain.key } else { SecretKey::from_seed([branch; 32]) };
    chain
}

fn record(chain: &Chain, nonce: u64, length: usize) -> CheckedTransaction {
    let data: Vec<u8> = (0..length).map(|at| (at as u64 * 31 + nonce) as u8).collect();
    chain.signed(&chain.key, nonce, Action::Record { data: data.into() })
}

/// Writes that connect the blocks above `height`, which are stored already.
fn only_connects(chain: &Chain, height: usize) -> Vec<Write> {
    let is_connect = |write: &Write| matches!(write, Write::Connect { .. });
    chain.writes_above(height).into_iter().filter(is_connect).collect()
}
