//! Carries a command out on the running node. Blocks until it is done, so it runs on a thread of its own.

mod ledger;
mod wallet;

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use super::command::{COMMANDS, PromptCommand, Recorded};
use super::outcome::{CommandOutcome, HelpRow};
use crate::node::api::error::{Code, Failure};
use crate::node::api::queries::BlockRange;
use crate::node::api::query::{Order, Who};
use crate::node::api::receipt::{Extent, ReceiptOptions};
use crate::node::api::rows::{FileRow, Identity, Mining, Sent, TransactionRow};
use crate::node::api::{again, backup, export, lookup, queries};
use crate::node::handle::Handle;
use crate::node::handle::ask::Asked;
use crate::node::wallet::password::Sources;
use crate::protocol::{Action, Address, Amount, Height, TransactionId};

/// Blocks that `chain` shows to people who do not say which.
const CHAIN_SHOWN: u64 = 10;
/// Blocks that `chain FROM` shows to people who do not say how many.
const CHAIN_PAGE: u64 = 50;
/// `chain` fails if the encoded blocks are longer than this; their JSON is several times as long.
const CHAIN_BYTES_MAX: usize = 32 << 20;

/// The surroundings in which commands are carried out.
pub(super) struct CommandRunner<'a> {
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
    answer: Result<Asked<(TransactionId, Amount)>, Failure>,
    /// The recorded file, if it is one.
    file: Option<FileRow>,
    /// What is signed.
    action: Option<Action>,
}

impl Sending {
    /// Blocks until it is durable.
    pub(super) fn wait(self) -> Result<CommandOutcome, Failure> {
        self.sent().map(CommandOutcome::Sent)
    }

    /// The same, for one of several.
    fn sent(self) -> Result<Sent, Failure> {
        let (id, fee) = self.answer?.wait()?;
        Ok(Sent { id, fee, file: self.file, signed: self.action })
    }
}

impl From<Failure> for Sending {
    fn from(failure: Failure) -> Self {
        Self { answer: Err(failure), file: None, action: None }
    }
}

impl CommandRunner<'_> {
    /// Carries out a command.
    pub(super) fn run(&self, command: &PromptCommand) -> Result<CommandOutcome, Failure> {
        let handle = self.handle;
        Ok(match command {
            PromptCommand::Mine { count, to } => {
                let places = handle.mine(*count, self.maybe(to.as_ref())?).wait()?;
                CommandOutcome::Mined { mined: places.into(), wanted: *count }
            }
            PromptCommand::SetMining { mode, to } => {
                handle.set_mining(*mode, self.maybe(to.as_ref())?).wait()?;
                CommandOutcome::MiningSet(Mining { mode: *mode, ..handle.view().mining.into() })
            }
            PromptCommand::Tx { to, amount, fee } => {
                let action = Action::Transfer { to: lookup::address(handle, to)?, amount: *amount };
                self.send(action, *fee, None).wait()?
            }
            PromptCommand::Record(recording) => match &recording.what {
                Recorded::File(path) if self.file(path).is_dir() => self.record_folder(path, recording)?,
                _ => self.record(recording).wait()?,
            },
            PromptCommand::Records { filter, range } => self.records(filter, range)?,
            PromptCommand::History { of, range } => {
                let address = self.maybe(of.as_ref())?.unwrap_or_else(|| handle.address());
                CommandOutcome::History(queries::history(handle, address, range)?)
            }
            PromptCommand::Watch(name) => self.watch(name)?,
            PromptCommand::Watching => self.watching(),
            PromptCommand::Unwatch(name) => self.unwatch(name)?,
            PromptCommand::Again(name) => CommandOutcome::Sent(again::again(handle, name)?),
            PromptCommand::Receipt { of, confirmations, form, file } => {
                let extent = confirmations.map_or(Extent::All, Extent::Exactly);
                self.receipt(of, ReceiptOptions { extent, form: *form }, file)?
            }
            PromptCommand::ReceiptTip => self.tip()?,
            PromptCommand::Checkpoint => {
                CommandOutcome::Checkpoint { checkpoint: handle.view().checkpoint.map(Into::into) }
            }
            PromptCommand::SetCheckpoint(height) => {
                CommandOutcome::Checkpoint { checkpoint: handle.set_checkpoint(*height).wait()?.map(Into::into) }
            }
            PromptCommand::Aliases(name) => self.aliases(name.as_deref())?,
            PromptCommand::SetAlias { name, address } => self.set_alias(name, *address)?,
            PromptCommand::RemoveAlias(name) => self.remove_alias(name)?,
            PromptCommand::Wallet(command) => self.wallet(command)?,
            PromptCommand::Chain { from, count } => self.chain(*from, *count)?,
            PromptCommand::Block(name) => CommandOutcome::Block(Box::new(queries::block(handle, *name)?)),
            PromptCommand::Pending => {
                CommandOutcome::Pending(handle.pending().wait()?.iter().map(TransactionRow::from).collect())
            }
            PromptCommand::Balance(address) => {
                let address = self.maybe(address.as_ref())?.unwrap_or_else(|| handle.address());
                CommandOutcome::Balance(queries::account(handle, address, &handle.account(address).wait()?))
            }
            PromptCommand::Address => CommandOutcome::Address { address: handle.address() },
            PromptCommand::Peers => CommandOutcome::Peers(queries::peers(handle)),
            PromptCommand::Connect(address) => CommandOutcome::Connected(queries::connect(handle, address)?),
            PromptCommand::Resolve => CommandOutcome::Resolved(handle.resolve().wait()?.into()),
            PromptCommand::Save(file) => self.save(file)?,
            PromptCommand::Backup(folder) => CommandOutcome::BackedUp(backup::of_running(handle, &self.file(folder))?),
            PromptCommand::Status => CommandOutcome::Status(Box::new(queries::status(handle, self.identity))),
            PromptCommand::Help(entry) => {
                let commands =
                    entry.map_or_else(|| COMMANDS.iter().map(HelpRow::from).collect(), |entry| vec![entry.into()]);
                CommandOutcome::Help { commands }
            }
            PromptCommand::Quit => CommandOutcome::Quit {},
        })
    }

    fn file(&self, name: &Path) -> PathBuf {
        self.folder.join(name)
    }

    fn save(&self, file: &Path) -> Result<CommandOutcome, Failure> {
        let (snapshot, network) = (self.handle.reader().snapshot()?, self.handle.network());
        let block_at = |height| lookup::block_at(&snapshot, height);
        let saved = export::save(&self.file(file), network, snapshot.tip().height, self.cancel, block_at)?;
        Ok(CommandOutcome::Saved(saved))
    }

    /// Begins a command that sends a transaction and has nothing to look up first. Does not block.
    pub(super) fn begin_sending(&self, command: &PromptCommand) -> Option<Sending> {
        match command {
            PromptCommand::Tx { to: Who::Address(to), amount, fee } => {
                Some(self.send(Action::Transfer { to: *to, amount: *amount }, *fee, None))
            }
            PromptCommand::Record(recording) if !matches!(recording.what, Recorded::File(_)) => {
                Some(self.record(recording))
            }
            _ => None,
        }
    }

    /// Signs a transaction, and has it written.
    fn send(&self, action: Action, fee: Option<Amount>, file: Option<FileRow>) -> Sending {
        let key = self.handle.key().map_err(Failure::from);
        let answer = key.map(|key| self.handle.send(key, action.clone(), fee));
        Sending { answer, file, action: Some(action) }
    }

    fn maybe(&self, who: Option<&Who>) -> Result<Option<Address>, Failure> {
        who.map(|who| lookup::address(self.handle, who)).transpose()
    }

    fn chain(&self, from: Option<Height>, count: Option<u64>) -> Result<CommandOutcome, Failure> {
        let length = self.handle.reader().snapshot()?.tip().height.0 + 1;
        let default = if self.whole_chain { 0 } else { length.saturating_sub(CHAIN_SHOWN) };
        let from = from.unwrap_or(Height(default));
        let count = count.or_else(|| (!self.whole_chain).then_some(CHAIN_PAGE));
        let limit = Some(count.unwrap_or(u64::MAX));
        let range = BlockRange { from: Some(from), limit, order: Order::Oldest, bytes_max: CHAIN_BYTES_MAX };
        let page = queries::blocks(self.handle, range, || self.cancel.load(Ordering::Relaxed))?;
        let fits = page.blocks.len() as u64;
        if page.next.is_some() && count.is_none_or(|count| fits < count) {
            let message = format!("too much for one answer: ask for {fits} blocks at a time, or `save` the chain");
            return Err(Failure::new(Code::TooMany, message));
        }
        Ok(CommandOutcome::Chain(page))
    }
}
