//! A second opinion on the validity of chains: a simple and slow model of `protocol/README.md`, sections 1 to 12.
//!
//! It takes blocks as bytes and names the first rule that one breaks, in the order of section 11.1, or computes the
//! whole state after it. It was written from that page alone and shares no rule with the protocol crate: decoding,
//! targets, Merkle roots, genesis and accounts are its own. Two implementations seldom share a mistake, so a chain that
//! one accepts and the other refuses reveals a bug in one of them, or in the page.
//!
//! Shared: SHA-256, Ed25519 by the rules of ZIP 215 and numbers of 256 bits, from the same libraries; and the crate's
//! plain data (addresses, ids, amounts), so that states can be compared.
//!
//! [`forge`] makes the blocks on which the model is compared with the protocol crate and with engines.
//!
//! Deliberately not here: optimisations (it copies every account for every block), the memory pool, blame, and
//! everything that is not consensus.

pub mod forge;
mod read;
mod target;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use ed25519_zebra::{Signature, VerificationKey};
use sha2::{Digest, Sha256};

use crate::protocol::check::Parent;
use crate::protocol::{
    Account, Address, BlockId, Height, HistoryHash, Millis, OpeningBalance, Parameters, Target, UnixMillis, Wei,
};
use read::{RawAction, RawBlock, RawTransaction};

/// The most data in a record, in bytes (R3).
const RECORD_BYTES_MAX: usize = 4096;

/// The reason why a block does not join the model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// It breaks the rule of this number in `protocol/README.md`, and none before it in the order of section 11.1.
    #[error("it breaks R{0}: look the rule up in protocol/README.md")]
    Rule(u8),
    /// Its parent has not joined.
    #[error("its parent is unknown or was refused: offer the parent first")]
    NoParent,
}

/// The first invalid block of a chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("block {position} of the chain is refused: {refused}")]
pub struct BrokenChain {
    /// Its position in the chain, from 0, whatever its header says.
    pub position: usize,
    /// The reason.
    pub refused: Refused,
}

/// Wei in a unit of amounts, by section 4.
const WEI_PER_UNIT: u128 = 10_000_000_000;

/// The state after a block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelState {
    /// The block's id.
    pub tip: BlockId,
    /// The number of blocks below it.
    pub height: u64,
    /// The work of the block and those below it, without genesis.
    pub work: u128,
    /// All accounts with a balance or a used nonce.
    pub accounts: BTreeMap<Address, Account>,
    timestamp: u64,
    target: u32,
    /// The time from the parent's timestamp to this one; the spacing for genesis.
    interval: u64,
    /// Over this block and all below it, the largest first.
    subtrees: Vec<Subtree>,
}

impl ModelState {
    /// The history that a block on top of this one commits to.
    pub fn history(&self) -> HistoryHash {
        HistoryHash(history(&self.subtrees))
    }

    /// The parts of its header that the rules on children need.
    pub fn as_parent(&self) -> Parent {
        Parent {
            height: Height(self.height),
            timestamp: UnixMillis(self.timestamp),
            target: Target(self.target),
            interval: Millis(self.interval),
        }
    }

    /// The account at an address; balance 0 and nonce 0 if it was never used.
    pub fn account(&self, address: &Address) -> Account {
        self.accounts.get(address).copied().unwrap_or_default()
    }

    /// The sum of all balances, in wei.
    pub fn wei(&self) -> u128 {
        self.accounts.values().map(|account| account.balance.0).sum()
    }
}

/// Judges a whole chain: encoded blocks from height 1 upwards, each the parent of the next. `now` is the clock for R14.
///
/// # Errors
///
/// The first block that is refused.
///
/// # Panics
///
/// If the parameters make no network by section 10.
pub fn judge<B: AsRef<[u8]>>(
    parameters: &Parameters,
    blocks: impl IntoIterator<Item = B>,
    now: UnixMillis,
) -> Result<ModelState, BrokenChain> {
    let rules = Rules::new(parameters);
    let mut state = rules.genesis.clone();
    for (position, bytes) in blocks.into_iter().enumerate() {
        let broken = |refused| BrokenChain { position, refused };
        let block = rules.open(bytes.as_ref()).map_err(broken)?;
        if block.parent != state.tip.0 {
            return Err(broken(Refused::NoParent));
        }
        state = rules.join(&state, &block, now).map_err(broken)?;
    }
    Ok(state)
}

/// A tree of all valid blocks that were offered, with the state after each, and the best of them by section 12.
#[derive(Debug, Clone)]
pub struct Model {
    rules: Rules,
    states: BTreeMap<BlockId, ModelState>,
    best: BlockId,
}

impl Model {
    /// A model with the genesis block alone.
    ///
    /// # Panics
    ///
    /// If the parameters make no network by section 10.
    pub fn new(parameters: &Parameters) -> Self {
        let rules = Rules::new(parameters);
        let best = rules.genesis.tip;
        Self { states: BTreeMap::from([(best, rules.genesis.clone())]), best, rules }
    }

    /// Offers an encoded block, and returns its id. A block that has joined already changes nothing, and its body is
    /// not checked again.
    ///
    /// # Errors
    ///
    /// The first rule that it breaks, or that its parent has not joined.
    pub fn offer(&mut self, bytes: &[u8], now: UnixMillis) -> Result<BlockId, Refused> {
        let block = self.rules.open(bytes)?;
        let id = BlockId(block.id());
        if self.states.contains_key(&id) {
            return Ok(id);
        }
        let parent = self.states.get(&BlockId(block.parent)).ok_or(Refused::NoParent)?;
        let state = self.rules.join(parent, &block, now)?;
        if state.work > self.best().work {
            self.best = id;
        }
        self.states.insert(id, state);
        Ok(id)
    }

    /// The state after an encoded block on top of a given state. The model keeps neither.
    ///
    /// # Errors
    ///
    /// The first rule that it breaks, or that its parent is another block.
    pub fn next(&self, parent: &ModelState, bytes: &[u8], now: UnixMillis) -> Result<ModelState, Refused> {
        let block = self.rules.open(bytes)?;
        if block.parent == parent.tip.0 { self.rules.join(parent, &block, now) } else { Err(Refused::NoParent) }
    }

    /// The state after a block that has joined.
    pub fn state(&self, id: &BlockId) -> Option<&ModelState> {
        self.states.get(id)
    }

    /// The state after the block with the most work; ties go to the one that joined first.
    pub fn best(&self) -> &ModelState {
        &self.states[&self.best]
    }
}

/// A network's parameters in the form that the rules use (section 10).
#[derive(Debug, Clone)]
struct Rules {
    spacing: u64,
    half_life: u64,
    grace: u64,
    easiest: u32,
    future_time_max: u64,
    subsidy: u64,
    fee_min: u64,
    block_bytes_max: usize,
    /// The state after genesis: the opening balances.
    genesis: ModelState,
}

impl Rules {
    fn new(parameters: &Parameters) -> Self {
        let easiest = parameters.easiest_target.0;
        assert!(target::expand(easiest).is_some(), "a network's easiest target is a target by section 5");
        Self {
            spacing: parameters.target_spacing.0,
            half_life: parameters.half_life.0,
            grace: parameters.grace.0,
            easiest,
            future_time_max: parameters.future_time_max.0,
            subsidy: parameters.subsidy.units(),
            fee_min: parameters.fee_min.units(),
            block_bytes_max: parameters.block_bytes_max as usize,
            genesis: ModelState {
                tip: BlockId(genesis_id(parameters)),
                height: 0,
                work: 0,
                accounts: parameters.opening_balances.iter().map(opening).collect(),
                timestamp: parameters.genesis_time.0,
                target: easiest,
                interval: parameters.target_spacing.0,
                subtrees: with_block(Vec::new(), &genesis_id(parameters), 0),
            },
        }
    }

    /// Steps 1 and 2 of section 11.1: the bytes, and the header alone.
    fn open<'a>(&self, bytes: &'a [u8]) -> Result<RawBlock<'a>, Refused> {
        let block = read::block(bytes).ok_or(Refused::Rule(1))?;
        if block.height == 0 {
            demand(block.id() == self.genesis.tip.0, 19)?;
            return Ok(block);
        }
        demand(block.version == 2, 4)?;
        let easiest = target::expand(self.easiest).expect("the target was checked when the rules were made");
        let bound = target::expand(block.target).filter(|bound| *bound <= easiest).ok_or(Refused::Rule(5))?;
        demand(target::number(&block.id()) <= bound, 6)?;
        Ok(block)
    }

    /// Steps 3 to 6 of section 11.1, and the state after the block.
    fn join(&self, parent: &ModelState, block: &RawBlock<'_>, now: UnixMillis) -> Result<ModelState, Refused> {
        // The genesis block has joined already, and never joins a second time.
        demand(block.height != 0, 19)?;
        demand(block.height == parent.height.wrapping_add(1), 11)?;
        demand(block.timestamp >= parent.timestamp, 12)?;
        demand(block.target == self.target_after(parent, block.timestamp), 13)?;
        demand(u128::from(block.timestamp) <= u128::from(now.0) + u128::from(self.future_time_max), 14)?;

        demand(root(block) == block.root, 7)?;
        demand(block.length <= self.block_bytes_max, 2)?;
        for transaction in &block.transactions {
            self.check_form(transaction)?;
        }
        for transaction in &block.transactions {
            demand(is_signed(transaction, &self.genesis.tip), 10)?;
        }
        demand(block.history == history(&parent.subtrees), 20)?;
        demand(block.outcome == [0; 32], 21)?;
        let accounts = self.connect(&parent.accounts, block)?;
        let subtrees = with_block(parent.subtrees.clone(), &block.id(), target::work(block.target));
        Ok(ModelState {
            tip: BlockId(block.id()),
            height: block.height,
            work: parent.work.saturating_add(target::work(block.target)),
            accounts,
            timestamp: block.timestamp,
            target: block.target,
            interval: block.timestamp - parent.timestamp,
            subtrees,
        })
    }

    fn target_after(&self, parent: &ModelState, timestamp: u64) -> u32 {
        let Self { spacing, half_life, grace, easiest, .. } = *self;
        let spaced = target::Spaced { spacing, half_life, grace, easiest };
        spaced.target_after(parent.target, parent.interval, timestamp - parent.timestamp)
    }

    fn check_form(&self, transaction: &RawTransaction<'_>) -> Result<(), Refused> {
        demand(transaction.fee >= self.fee_min, 8)?;
        match transaction.action {
            RawAction::Transfer { amount, .. } => demand(amount != 0, 9),
            RawAction::Record { length } => demand(length <= RECORD_BYTES_MAX, 3),
        }
    }

    /// Section 11.2: the accounts after a block.
    fn connect(
        &self,
        before: &BTreeMap<Address, Account>,
        block: &RawBlock<'_>,
    ) -> Result<BTreeMap<Address, Account>, Refused> {
        let mut accounts = before.clone();
        let mut reward = self.subsidy;
        for transaction in &block.transactions {
            let sender = transaction.sender_address();
            let mut account = accounts.get(&sender).copied().unwrap_or_default();
            demand(transaction.nonce == account.nonce, 15)?;
            let moved = match transaction.action {
                RawAction::Transfer { amount, .. } => amount,
                RawAction::Record { .. } => 0,
            };
            let spent = sum(transaction.fee, moved)?;
            let rest = account.balance.0.checked_sub(u128::from(spent) * WEI_PER_UNIT).ok_or(Refused::Rule(16))?;
            account.balance = Wei(rest);
            account.nonce = sum(account.nonce, 1)?;
            accounts.insert(sender, account);
            if let RawAction::Transfer { to, amount } = transaction.action {
                credit(&mut accounts, Address(to), amount)?;
            }
            reward = sum(reward, transaction.fee)?;
        }
        demand(block.reward_amount == reward, 17)?;
        credit(&mut accounts, Address(block.reward_to), reward)?;
        accounts.retain(|_, account| *account != Account::default());
        Ok(accounts)
    }
}

fn demand(holds: bool, rule: u8) -> Result<(), Refused> {
    if holds { Ok(()) } else { Err(Refused::Rule(rule)) }
}

/// R18: the sum, if it does not overflow.
fn sum(one: u64, other: u64) -> Result<u64, Refused> {
    one.checked_add(other).ok_or(Refused::Rule(18))
}

fn opening(opening: &OpeningBalance) -> (Address, Account) {
    let balance = Wei(u128::from(opening.amount.units()) * WEI_PER_UNIT);
    (opening.address, Account { balance, nonce: 0 })
}

fn credit(accounts: &mut BTreeMap<Address, Account>, to: Address, units: u64) -> Result<(), Refused> {
    let account = accounts.entry(to).or_default();
    let balance = account.balance.0.checked_add(u128::from(units) * WEI_PER_UNIT);
    account.balance = Wei(balance.ok_or(Refused::Rule(18))?);
    Ok(())
}

/// SHA-256 by section 2.
fn sha256(parts: &[&[u8]]) -> [u8; 32] {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update(part);
    }
    hash.finalize().into()
}

/// The Merkle root by section 7, over hashes of leaves. Never empty, since a body has a reward.
fn merkle_root(leaves: &[[u8; 32]]) -> [u8; 32] {
    if let [leaf] = leaves {
        return *leaf;
    }
    let mut split = 1;
    while split * 2 < leaves.len() {
        split *= 2;
    }
    sha256(&[&[1], &merkle_root(&leaves[..split]), &merkle_root(&leaves[split..])])
}

/// The root by section 9.
fn root(block: &RawBlock<'_>) -> [u8; 32] {
    let mut leaves = vec![sha256(&[&[0], block.reward_bytes])];
    leaves.extend(block.transactions.iter().map(|transaction| sha256(&[&[0], transaction.bytes])));
    sha256(&[&[1], &sha256(&[&[0], block.context_bytes]), &merkle_root(&leaves)])
}

/// A complete subtree of section 7.2, by its number of blocks.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Subtree {
    blocks: u64,
    hash: [u8; 32],
    work: u128,
}

fn above(left: &Subtree, right: &Subtree) -> Subtree {
    let [left_work, right_work] = [left, right].map(|part| part.work.to_le_bytes());
    let hash = sha256(&[&[3], &left.hash, &left_work, &right.hash, &right_work]);
    Subtree { blocks: left.blocks + right.blocks, hash, work: left.work + right.work }
}

/// The subtrees over one block more.
fn with_block(mut subtrees: Vec<Subtree>, id: &[u8; 32], work: u128) -> Vec<Subtree> {
    subtrees.push(Subtree { blocks: 1, hash: sha256(&[&[2], id, &work.to_le_bytes()]), work });
    while let [.., left, right] = subtrees.as_slice()
        && left.blocks == right.blocks
    {
        let joined = above(left, right);
        subtrees.truncate(subtrees.len() - 2);
        subtrees.push(joined);
    }
    subtrees
}

/// The history of a block on top of these.
fn history(subtrees: &[Subtree]) -> [u8; 32] {
    let root = subtrees.iter().rev().cloned().reduce(|right, left| above(&left, &right));
    root.map_or_else(|| sha256(&[]), |root| root.hash)
}

/// The signature by section 8. The library verifies by ZIP 215.
fn is_signed(transaction: &RawTransaction<'_>, genesis: &BlockId) -> bool {
    let message = [b"\x13quipu transaction 2", &genesis.0[..], transaction.unsigned_bytes].concat();
    VerificationKey::try_from(transaction.sender)
        .is_ok_and(|key| key.verify(&Signature::from(transaction.signature), &message).is_ok())
}

/// The genesis block's id by section 10.
fn genesis_id(parameters: &Parameters) -> [u8; 32] {
    let name = parameters.name.as_bytes();
    let mut encoding = (name.len() as u64).to_le_bytes().to_vec();
    encoding.extend(name);
    let times = [parameters.genesis_time.0, parameters.target_spacing.0, parameters.half_life.0, parameters.grace.0];
    for number in times {
        encoding.extend(number.to_le_bytes());
    }
    encoding.extend(parameters.easiest_target.0.to_le_bytes());
    for number in [parameters.future_time_max.0, parameters.subsidy.units(), parameters.fee_min.units()] {
        encoding.extend(number.to_le_bytes());
    }
    encoding.extend(parameters.block_bytes_max.to_le_bytes());
    encoding.extend((parameters.opening_balances.len() as u64).to_le_bytes());
    for opening in &parameters.opening_balances {
        encoding.extend(opening.address.0);
        encoding.extend(opening.amount.units().to_le_bytes());
    }
    encoding.extend(u64::from(parameters.contracts.is_some()).to_le_bytes());
    if let Some(contracts) = parameters.contracts {
        for number in [contracts.block_gas, contracts.transaction_gas, contracts.chain_id] {
            encoding.extend(number.to_le_bytes());
        }
    }
    let tag = sha256(&[b"quipu network 2"]);
    let hash = sha256(&[&tag, &tag, &encoding]);

    let no_reward = [0; 28];
    let context = [history(&[]), [0; 32]].concat();
    let mut header = 2_u32.to_le_bytes().to_vec();
    header.extend(0_u64.to_le_bytes());
    header.extend(hash);
    header.extend(sha256(&[&[1], &sha256(&[&[0], &context]), &sha256(&[&[0], &no_reward])]));
    header.extend(parameters.genesis_time.0.to_le_bytes());
    header.extend(parameters.easiest_target.0.to_le_bytes());
    header.extend(0_u64.to_le_bytes());
    sha256(&[&header])
}
