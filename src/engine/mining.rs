//! The work for the miner threads, and the account that gets the reward.

use std::sync::Arc;

use quipu_protocol::block::{Header, Reward, VERSION};
use quipu_protocol::{Address, Amount, CheckedBlock, CheckedBody, Context, Millis, UnixMillis};

use super::Engine;
use super::event::{Answer, CommandError, Effect, Key, MINE_COUNT_MAX, MineEffect, MiningMode, Now, Place, Ticket};
use super::header_tree::BlockRef;
use super::view::{MiningView, MiningWait};

/// The greatest age of a template: a new one has a later timestamp, and so an easier target, and newer transactions.
const TEMPLATE_AGE_MAX: Millis = Millis(1_000);

/// Blocks mined here whose fate is not known yet, so that the user is told that they are ours.
pub(super) const MINED_HERE_MAX: usize = 64;

/// The mining mode and the running job.
#[derive(Debug)]
pub(crate) struct MiningState {
    mode: MiningMode,
    /// The account for rewards of mining by mode; `None`: the node's own account.
    to: Option<Address>,
    job: Option<MiningJob>,
    template: Option<BlockTemplate>,
    /// Whether the miner threads may be searching.
    searching: bool,
    hash_rate: u64,
}

/// A running `mine N`.
#[derive(Debug)]
struct MiningJob {
    ticket: Ticket,
    count: u64,
    /// The account for the rewards; `None`: the node's own account.
    to: Option<Address>,
    mined: Vec<Place>,
    /// A block that has not had its chance to be connected yet.
    found: Option<BlockRef>,
}

/// The header and body that the miner threads search a nonce for.
#[derive(Debug)]
struct BlockTemplate {
    key: Key,
    parent: BlockRef,
    header: Header,
    body: CheckedBody,
    made_at: Millis,
    /// The number of pending transactions when it was made.
    pending: usize,
}

impl MiningState {
    pub(crate) fn new(mode: MiningMode) -> Self {
        Self { mode, to: None, job: None, template: None, searching: false, hash_rate: 0 }
    }

    /// Whether the node mines without a command for a number of blocks.
    pub(crate) fn is_by_itself(&self) -> bool {
        self.job.is_none() && self.mode != MiningMode::Off
    }

    /// Records the miner threads' hash rate. Reports after a stop are about the past and do not count.
    pub(crate) fn note_hash_rate(&mut self, rate: u64) {
        self.hash_rate = if self.searching { rate } else { 0 };
    }

    /// The time at which the template becomes stale.
    pub(crate) fn deadline(&self) -> Option<Millis> {
        self.template.as_ref().map(|template| template.made_at + TEMPLATE_AGE_MAX)
    }
}

impl Engine {
    pub(super) fn on_mine(&mut self, ticket: Ticket, count: u64, to: Option<Address>) {
        if self.mining.job.is_some() {
            return self.answer(ticket, Err(CommandError::Busy));
        }
        self.mining.job =
            Some(MiningJob { ticket, count: count.clamp(1, MINE_COUNT_MAX), to, mined: Vec::new(), found: None });
    }

    pub(super) fn on_cancel_mining(&mut self) {
        if let Some(job) = self.mining.job.take() {
            self.answer(job.ticket, Ok(Answer::Mined(job.mined)));
        }
    }

    pub(super) fn on_set_mining(&mut self, mode: MiningMode, to: Option<Address>) -> Result<Answer, CommandError> {
        self.mining.mode = mode;
        self.mining.to = to;
        Ok(Answer::Done)
    }

    /// The account that gets the reward of the next block, if one is to be mined.
    fn wants_block(&self) -> Option<Address> {
        if self.chain.is_reorganising() {
            return None;
        }
        if let Some(job) = &self.mining.job {
            return Some(job.to.unwrap_or(self.account));
        }
        let wanted = self.mining.is_by_itself() && self.mining_waits_for().is_none();
        wanted.then(|| self.mining.to.unwrap_or(self.account))
    }

    /// What a node that mines by itself waits for.
    fn mining_waits_for(&self) -> Option<MiningWait> {
        if self.is_resting() {
            return Some(MiningWait::Chain);
        }
        let lacks_transactions = self.mining.mode == MiningMode::Pending && !self.mempool.has_ready();
        lacks_transactions.then_some(MiningWait::Transactions)
    }

    /// The state of mining, for readers.
    pub(super) fn mining_view(&self) -> MiningView {
        let MiningState { mode, hash_rate, .. } = self.mining;
        let job = self.mining.job.as_ref().map(|job| (job.mined.len() as u64, job.count));
        let waits_for = self.mining_waits_for().filter(|_| self.mining.is_by_itself());
        MiningView { mode, hash_rate, job, waits_for }
    }

    /// Keeps the miner threads on the best template.
    pub(super) fn plan_mining(&mut self, now: Now, effects: &mut Vec<Effect>) {
        if self.mining.job.is_some() || self.mining.mode != MiningMode::Off {
            self.catch_up_pool();
        }
        let Some(to) = self.wants_block() else {
            self.mining.template = None;
            if std::mem::take(&mut self.mining.searching) {
                self.mining.hash_rate = 0;
                effects.push(Effect::Mine(MineEffect::Stop));
            }
            return;
        };
        let current = self.mining.template.as_ref().is_some_and(|template| {
            let fresh = now.elapsed < template.made_at + TEMPLATE_AGE_MAX;
            // An empty block is not worth finishing when there are transactions to include.
            let useful = !template.body.transactions().is_empty() || template.pending == self.mempool.len();
            template.parent == self.chain.tip() && template.body.reward().to == to && fresh && useful
        });
        if !current {
            let template = self.make_template(to, now);
            effects.push(Effect::Mine(MineEffect::Search { key: template.key, header: template.header }));
            self.mining.template = Some(template);
            self.mining.searching = true;
        }
    }

    fn fail_job(&mut self, error: CommandError) {
        let job = self.mining.job.take().expect("the job is running");
        let error = match (error, job.mined.len()) {
            (CommandError::BlockRefused(why), count @ 1..) => {
                let blocks = if count == 1 { "block was" } else { "blocks were" };
                CommandError::BlockRefused(format!("{why}; {count} {blocks} mined before"))
            }
            (error, _) => error,
        };
        self.answer(job.ticket, Err(error));
    }

    fn make_template(&mut self, to: Address, now: Now) -> BlockTemplate {
        let parent = self.chain.tip();
        let room = self.network.block_bytes_max() - CheckedBlock::length_of(&[]);
        let mut transactions = self.mempool.select(self.chain.ledger(), room);
        let fees: u128 = transactions.iter().map(|one| u128::from(one.signed().transaction.fee.units())).sum();
        let subsidy = self.network.parameters().subsidy;
        let mut reward = fees + u128::from(subsidy.units());
        if reward > u128::from(u64::MAX) {
            // On a network whose subsidy is beyond reason: leave them to others.
            transactions.clear();
            reward = subsidy.units().into();
        }
        let amount = Amount::from_units(u64::try_from(reward).expect("it fits, or is the subsidy alone"));
        let context = Context::of(self.chain.peaks().root());
        let body = CheckedBody::new(context, Reward { to, amount }, transactions);
        let place = self.chain.tree().as_parent(parent);
        let timestamp: UnixMillis = now.unix.max(place.timestamp);
        let header = Header {
            version: VERSION,
            height: place.height.next(),
            parent: self.chain.tree().id(parent),
            root: body.root(),
            timestamp,
            target: place.target_after(timestamp, &self.network),
            nonce: 0,
        };
        let pending = self.mempool.len();
        BlockTemplate { key: self.new_key(), parent, header, body, made_at: now.elapsed, pending }
    }

    /// Processes a nonce that the miner threads found.
    pub(super) fn on_mined(&mut self, key: Key, nonce: u64) {
        let Some(template) = self.mining.template.take_if(|template| template.key == key) else { return };
        let header = Header { nonce, ..template.header };
        let Ok(block) = CheckedBlock::complete(header, template.body, &self.network) else { return };
        let Some(found) = self.chain.insert_vetted(block.header()) else { return };
        let place = self.chain.tree().place(found);
        self.chain.store_body(found, Arc::new(block));
        self.mined_here.push_back(place.id);
        if self.mined_here.len() > MINED_HERE_MAX {
            self.mined_here.pop_front();
        }
        if let Some(job) = &mut self.mining.job {
            job.found = Some(found);
        }
    }

    /// Counts the block that was found for a job, once it is on the best chain, and answers for the last one. A block
    /// that was refused ends the job.
    pub(super) fn settle_mined(&mut self) {
        if self.chain.is_reorganising() {
            return;
        }
        let Some(found) = self.mining.job.as_mut().and_then(|job| job.found.take()) else { return };
        if self.chain.tree().is_condemned(found) {
            return self.fail_job(CommandError::BlockRefused(self.why_refused(found)));
        }
        let (is_best, place) = (self.chain.is_best(found), self.chain.tree().place(found));
        let job = self.mining.job.as_mut().expect("it was there");
        job.mined.extend(is_best.then_some(place));
        if job.mined.len() as u64 >= job.count {
            let job = self.mining.job.take().expect("it was there");
            self.answer(job.ticket, Ok(Answer::Mined(job.mined)));
        }
    }
}
