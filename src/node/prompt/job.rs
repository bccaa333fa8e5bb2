//! Carries a command out on the running node. Blocks until it is done, so it runs on a thread of its own.

mod ledger;
mod wallet;

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use super::command::{COMMANDS, Command, Recorded};
use super::outcome::{HelpRow, Outcome};
use crate::node::api::error::{Code, Failure};
use crate::node::api::queries::BlockRange;
use crate::node::api::query::{Order, Who};
use crate::node::api::rows::{FileRow, Identity, Mining, Sent, TransactionRow};
use crate::node::api::{export, lookup, queries};
use crate::node::handle::Handle;
use crate::node::handle::ask::Asked;
use crate::node::wallet::password::Sources;
use crate::protocol::{Action, Address, Amount, Height, TransactionId};

/// Blocks that `chain` shows to people who do not say which.
const CHAIN_SHOWN: u64 = 10;
/// `chain` fails if the encoded blocks are longer than this; their JSON is several times as long.
const CHAIN_BYTES_MAX: usize = 32 << 20;

/// The surroundings in which commands are carried out.
pub(super) struct Job<'a> {
    pub(super) handle: &'a Handle,
    /// Its names may have changed since.
    pub(super) identity: &'a Identity,
    /// The source of passwords.
    pub(super) passwords: &'a Sources,
    /// The base of file names that are not absolute; empty: the working directory of the process.
    pub(super) folder: &'a Path,
    /// `chain` alone lists all of it.
    pub(super) whole_chain: bool,
    /// Set when the user has cancelled the command.
    pub(super) cancel: &'a AtomicBool,
}

/// A transaction on its way to the disk, or the reason why there is none.
pub(super) struct Sending {
    answer: Result<Asked<TransactionId>, Failure>,
    /// The recorded file, if it is one.
    file: Option<FileRow>,
}

impl Sending {
    /// Blocks until it is durable.
    pub(super) fn wait(self) -> Result<Outcome, Failure> {
        let id = self.answer?.wait()?;
        Ok(Outcome::Sent(Sent { id, file: self.file }))
    }
}

impl From<Failure> for Sending {
    fn from(failure: Failure) -> Self {
        Self { answer: Err(failure), file: None }
    }
}

impl Job<'_> {
    /// Carries out a command.
    pub(super) fn run(&self, command: &Command) -> Result<Outcome, Failure> {
        let handle = self.handle;
        Ok(match command {
            Command::Mine { count, to } => {
                let places = handle.mine(*count, self.maybe(to.as_ref())?).wait()?;
                Outcome::Mined { mined: places.into(), wanted: *count }
            }
            Command::SetMining { mode, to } => {
                handle.set_mining(*mode, self.maybe(to.as_ref())?).wait()?;
                Outcome::MiningSet(Mining { mode: *mode, hash_rate: handle.view().mining.hash_rate })
            }
            Command::Tx { to, amount, fee } => {
                let action = Action::Transfer { to: lookup::address(handle, to)?, amount: *amount };
                self.send(action, *fee, None).wait()?
            }
            Command::Record(recording) => self.record(recording).wait()?,
            Command::Records { filter, range } => self.records(filter, range)?,
            Command::History { of, range } => {
                let address = self.maybe(of.as_ref())?.unwrap_or_else(|| handle.address());
                Outcome::History(queries::history(handle, address, range)?)
            }
            Command::Watch(name) => self.watch(name)?,
            Command::Watching => self.watching(),
            Command::Unwatch(name) => self.unwatch(name)?,
            Command::Receipt { of, confirmations, file } => self.receipt(of, *confirmations, file)?,
            Command::ReceiptTip => self.tip()?,
            Command::Checkpoint => Outcome::Checkpoint { checkpoint: handle.view().checkpoint.map(Into::into) },
            Command::SetCheckpoint(height) => {
                Outcome::Checkpoint { checkpoint: handle.set_checkpoint(*height).wait()?.map(Into::into) }
            }
            Command::Aliases(name) => self.aliases(name.as_deref())?,
            Command::SetAlias { name, address } => self.set_alias(name, *address)?,
            Command::RemoveAlias(name) => self.remove_alias(name)?,
            Command::Wallet(command) => self.wallet(command)?,
            Command::Chain { from, count } => self.chain(*from, *count)?,
            Command::Block(name) => Outcome::Block(Box::new(queries::block(handle, *name)?)),
            Command::Pending => Outcome::Pending(handle.pending().wait()?.iter().map(TransactionRow::from).collect()),
            Command::Balance(address) => {
                let address = self.maybe(address.as_ref())?.unwrap_or_else(|| handle.address());
                Outcome::Balance(queries::account(handle, address, &handle.account(address).wait()?))
            }
            Command::Address => Outcome::Address { address: handle.address() },
            Command::Peers => Outcome::Peers(queries::peers(handle)),
            Command::Connect(address) => Outcome::Connected(queries::connect(handle, address)?),
            Command::Resolve => Outcome::Resolved(handle.resolve().wait()?.into()),
            Command::Save(file) => self.save(file)?,
            Command::Status => Outcome::Status(Box::new(queries::status(handle, self.identity))),
            Command::Help(entry) => {
                let commands =
                    entry.map_or_else(|| COMMANDS.iter().map(HelpRow::from).collect(), |entry| vec![entry.into()]);
                Outcome::Help { commands }
            }
            Command::Quit => Outcome::Quit {},
        })
    }

    fn file(&self, name: &Path) -> PathBuf {
        self.folder.join(name)
    }

    fn save(&self, file: &Path) -> Result<Outcome, Failure> {
        let (snapshot, network) = (self.handle.reader().snapshot()?, self.handle.network());
        let block_at = |height| lookup::block_at(&snapshot, height);
        let saved = export::save(&self.file(file), network, snapshot.tip().height, self.cancel, block_at)?;
        Ok(Outcome::Saved(saved))
    }

    /// Begins a command that sends a transaction and has nothing to look up first. Does not block.
    pub(super) fn begin_sending(&self, command: &Command) -> Option<Sending> {
        match command {
            Command::Tx { to: Who::Address(to), amount, fee } => {
                Some(self.send(Action::Transfer { to: *to, amount: *amount }, *fee, None))
            }
            Command::Record(recording) if !matches!(recording.what, Recorded::File(_)) => Some(self.record(recording)),
            _ => None,
        }
    }

    /// Signs a transaction, and has it written.
    fn send(&self, action: Action, fee: Option<Amount>, file: Option<FileRow>) -> Sending {
        let fee = fee.unwrap_or(self.handle.network().parameters().fee_min);
        let key = self.handle.key().map_err(Failure::from);
        let answer = key.map(|key| self.handle.send(key, action, fee));
        Sending { answer, file }
    }

    fn maybe(&self, who: Option<&Who>) -> Result<Option<Address>, Failure> {
        who.map(|who| lookup::address(self.handle, who)).transpose()
    }

    fn chain(&self, from: Option<Height>, count: Option<u64>) -> Result<Outcome, Failure> {
        let length = self.handle.reader().snapshot()?.tip().height.0 + 1;
        let default = if self.whole_chain { 0 } else { length.saturating_sub(CHAIN_SHOWN) };
        let from = from.unwrap_or(Height(default));
        let limit = Some(count.unwrap_or(u64::MAX));
        let range = BlockRange { from: Some(from), limit, order: Order::Oldest, bytes_max: CHAIN_BYTES_MAX };
        let page = queries::blocks(self.handle, range, || self.cancel.load(Ordering::Relaxed))?;
        let fits = page.blocks.len() as u64;
        if page.next.is_some() && count.is_none_or(|count| fits < count) {
            let message = format!("too much for one answer: ask for {fits} blocks at a time, or `save` the chain");
            return Err(Failure::new(Code::TooMany, message));
        }
        Ok(Outcome::Chain(page))
    }
}
