//! Makes blocks for comparisons with the reference model: valid ones, and ones with one fault.
//!
//! A spoiled block is sealed again where that is possible (its root matches, its id meets its target), so that it
//! passes the rules before the one that it breaks. A few changes break nothing; the model decides on each block's
//! validity.

use std::sync::Arc;

use super::ModelState;
use crate::protocol::block::{Body, Context, VERSION};
use crate::protocol::encode::encode;
use crate::protocol::transaction::RECORD_BYTES_MAX;
use crate::protocol::{
    Action, Address, Amount, Block, BlockId, Header, Height, HistoryHash, Millis, Network, OutcomeHash, Parameters,
    Reward, SecretKey, Signature, SignedTransaction, Target, Transaction, UnixMillis,
};
use crate::sim::random::Random;

/// The number of accounts.
const KEYS: u8 = 4;
/// The most transactions of a valid block.
const TRANSACTIONS_MAX: u64 = 4;
/// The number of kinds of damage; see [`Forge::spoil`].
const DAMAGES: u64 = 24;

/// A maker of blocks for one network.
#[derive(Debug, Clone)]
pub struct Forge {
    network: Arc<Network>,
    keys: Vec<Arc<SecretKey>>,
}

impl Forge {
    /// A network on which every rule can be broken at little cost: one nonce in 32 meets the target, the difficulty
    /// follows the time, blocks are short, and there is a least fee.
    pub fn parameters() -> Parameters {
        Parameters {
            name: "forge".to_owned(),
            half_life: Millis(180_000),
            easiest_target: Target(0x2007_ffff),
            fee_min: Amount::from_units(10),
            block_bytes_max: 16_384,
            ..Parameters::dev()
        }
    }

    /// A forge for a network whose target is easy to meet.
    pub fn new(network: Arc<Network>) -> Self {
        let keys = (1..=KEYS).map(|seed| Arc::new(SecretKey::from_seed([seed; 32]))).collect();
        Self { network, keys }
    }

    /// The network of the blocks.
    pub fn network(&self) -> &Arc<Network> {
        &self.network
    }

    /// The keys of the accounts.
    pub fn keys(&self) -> &[Arc<SecretKey>] {
        &self.keys
    }

    /// A valid block on top of `parent`, whose state is `state`.
    pub fn block(&self, parent: &Header, state: &ModelState, random: &mut Random) -> Block {
        let transactions = self.transactions(state, random);
        let fees = transactions.iter().fold(0, |sum, signed| sum + signed.transaction.fee.units());
        let amount = Amount::from_units(self.network.parameters().subsidy.units() + fees);
        let context = Context::of(state.history());
        let reward = Reward { to: self.address(random), amount };
        let body = Body { context, reward, transactions: transactions.into() };
        let timestamp = parent.timestamp + Millis(random.between(0, 25_000));
        let mut block = Block {
            header: Header {
                version: VERSION,
                height: parent.height.next(),
                parent: parent.id(),
                root: body.root(),
                timestamp,
                target: state.as_parent().target_after(timestamp, &self.network),
                nonce: 0,
            },
            body,
        };
        self.mine(&mut block.header);
        block
    }

    /// The encoding of a valid block on `parent`, with one fault added.
    pub fn spoil(&self, mut block: Block, parent: &Header, state: &ModelState, random: &mut Random) -> Vec<u8> {
        let damage = random.between(0, DAMAGES - 1);
        match damage {
            0..=3 => return cut_or_flip(encode(&block), random),
            4..=8 => self.spoil_header(damage, &mut block.header, (parent, state), random),
            9..=11 => self.spoil_reward(&mut block.body.reward, random),
            12 => block.body.context.history = HistoryHash(random.bytes()),
            13 => block.body.context.outcome = OutcomeHash(random.bytes()),
            _ => self.spoil_transactions(&mut block, random),
        }
        // Sometimes the root stays that of the original body.
        if random.between(0, 7) > 0 {
            block.header.root = block.body.root();
        }
        self.mine(&mut block.header);
        encode(&block)
    }

    fn spoil_header(
        &self,
        damage: u64,
        header: &mut Header,
        (parent, state): (&Header, &ModelState),
        random: &mut Random,
    ) {
        match damage {
            4 => header.version = random.between(0, 4) as u32,
            5 => header.height = Height(random.between(0, header.height.0 + 2)),
            6 => {
                // A year ahead, or any time before; in half of the cases with the target that follows from it.
                let times = [parent.timestamp.0 + 31_536_000_000, random.between(0, parent.timestamp.0)];
                header.timestamp = UnixMillis(*pick(&times, random));
                if random.bits() & 1 == 0 {
                    header.target = state.as_parent().target_after(header.timestamp, &self.network);
                }
            }
            7 => {
                let easiest = self.network.parameters().easiest_target.0;
                let off_by = random.between(1, 4) as u32;
                let targets = [easiest, easiest + 1, header.target.0 - off_by, header.target.0 | 0x80_0000, 0];
                header.target = Target(*pick(&targets, random));
            }
            _ => header.parent = *pick(&[BlockId(random.bytes()), parent.parent, self.network.genesis_id()], random),
        }
    }

    fn spoil_reward(&self, reward: &mut Reward, random: &mut Random) {
        let units = reward.amount.units();
        reward.amount = Amount::from_units(*pick(&[units - 1, units + 1, 0, u64::MAX, units], random));
        reward.to = self.address(random);
    }

    /// Most of these changes need transactions to spoil, and do nothing without.
    fn spoil_transactions(&self, block: &mut Block, random: &mut Random) {
        let mut all = std::mem::take(&mut block.body.transactions).into_vec();
        let len = all.len() as u64;
        if len == 0 || random.between(0, 2) == 0 {
            self.add_bad_records(&mut all, random);
        } else {
            let at = random.between(0, len - 1) as usize;
            match random.between(0, 8) {
                0 => all.push(all[at].clone()),
                1 => {
                    all.remove(at);
                }
                2 => all.swap(0, at),
                3 => {
                    let Signature::Ed25519(bytes) = &mut all[at].signature;
                    bytes[random.between(0, 63) as usize] ^= 1 << random.between(0, 7);
                }
                4 => all[at] = self.sign(all[at].transaction.clone(), &BlockId(random.bytes())),
                change => {
                    let mut transaction = all[at].transaction.clone();
                    spoil_terms(change, &mut transaction, random);
                    all[at] = self.sign(transaction, &self.network.genesis_id());
                }
            }
        }
        block.body.transactions = all.into();
        // The reward matches if it can, so that only the transactions are wrong.
        let fees =
            block.body.transactions.iter().fold(0_u64, |sum, signed| sum.wrapping_add(signed.transaction.fee.units()));
        block.body.reward.amount = Amount::from_units(self.network.parameters().subsidy.units().wrapping_add(fees));
    }

    /// Adds one record that is too long, or so many records that the block is.
    fn add_bad_records(&self, all: &mut Vec<SignedTransaction>, random: &mut Random) {
        let (count, bytes) = *pick(&[(1, RECORD_BYTES_MAX + 1), (4, RECORD_BYTES_MAX)], random);
        for nonce in 0..count {
            let action = Action::Record { data: vec![7; bytes].into() };
            let sender = self.keys[0].public_key();
            let transaction = Transaction { sender, nonce, fee: Amount::from_units(10), action };
            all.push(self.sign(transaction, &self.network.genesis_id()));
        }
    }

    fn transactions(&self, state: &ModelState, random: &mut Random) -> Vec<SignedTransaction> {
        let fee_min = self.network.parameters().fee_min.units();
        let mut accounts: Vec<_> = self.keys.iter().map(|key| state.account(&key.public_key().address())).collect();
        let mut transactions = Vec::new();
        for _ in 0..random.between(0, TRANSACTIONS_MAX) {
            let (from, to) =
                (random.between(0, u64::from(KEYS) - 1) as usize, random.between(0, u64::from(KEYS) - 1) as usize);
            let (balance, nonce) = (accounts[from].balance.whole_units().units(), accounts[from].nonce);
            if balance <= fee_min {
                continue;
            }
            let fee = random.between(fee_min, balance - 1);
            let units = random.between(1, balance - fee);
            let is_record = random.between(0, 3) == 0;
            let action = if is_record {
                Action::Record { data: vec![9; random.between(0, 40) as usize].into() }
            } else {
                Action::Transfer { to: self.keys[to].public_key().address(), amount: Amount::from_units(units) }
            };
            accounts[from].nonce += 1;
            let moved = if is_record { 0 } else { units };
            accounts[from].balance = Amount::from_units(balance - fee - moved).into();
            let moved = Amount::from_units(moved);
            accounts[to].balance = accounts[to].balance.checked_add(moved).expect("fewer coins than that");
            let sender = self.keys[from].public_key();
            let transaction = Transaction { sender, nonce, fee: Amount::from_units(fee), action };
            transactions.push(self.sign(transaction, &self.network.genesis_id()));
        }
        transactions
    }

    fn sign(&self, transaction: Transaction, genesis: &BlockId) -> SignedTransaction {
        let key = self.keys.iter().find(|key| key.public_key() == transaction.sender).expect("a sender of the forge");
        let key = key.clone();
        transaction.sign(genesis, &key)
    }

    fn address(&self, random: &mut Random) -> Address {
        pick(&self.keys, random).public_key().address()
    }

    /// The first nonce that meets the header's target. If the target is invalid or out of reach, any nonce.
    fn mine(&self, header: &mut Header) {
        const TRIES: u64 = 4096;
        for nonce in 0..TRIES {
            header.nonce = nonce;
            if header.target.expand().is_none() || header.target.is_met_by(&header.id()) {
                return;
            }
        }
    }
}

fn spoil_terms(change: u64, transaction: &mut Transaction, random: &mut Random) {
    match change {
        5 => transaction.fee = Amount::from_units(random.between(0, 20)),
        6 => transaction.nonce = *pick(&[0, transaction.nonce + 1, u64::MAX], random),
        _ => {
            if let Action::Transfer { amount, .. } = &mut transaction.action {
                let units = [0, amount.units() + 1, u64::MAX, u64::MAX / 2];
                *amount = Amount::from_units(*pick(&units, random));
            }
        }
    }
}

fn cut_or_flip(mut bytes: Vec<u8>, random: &mut Random) -> Vec<u8> {
    let at = random.between(0, bytes.len() as u64 - 1) as usize;
    match random.between(0, 3) {
        0 => bytes.truncate(at),
        1 => bytes.push(0),
        2 => bytes[at] ^= 1 << random.between(0, 7),
        // The count of transactions, after header and reward.
        _ => bytes[124 + at % 8] ^= 1 << random.between(0, 7),
    }
    bytes
}

fn pick<'a, T>(all: &'a [T], random: &mut Random) -> &'a T {
    &all[random.between(0, all.len() as u64 - 1) as usize]
}
