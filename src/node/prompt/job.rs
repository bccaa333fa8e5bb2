//! Carries a command out on the running node. Blocks until it is done, so it runs on a thread of its own.

mod ledger;
mod wallet;

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use crossbeam_channel::Receiver;

use super::command::{COMMANDS, Command, Recorded};
use super::outcome::{HelpRow, Outcome};
use crate::engine::event::{self, Answer, CommandError};
use crate::node::api::error::{Code, Failure};
use crate::node::api::query::Who;
use crate::node::api::rows::{BlockRow, Direction, FileRow, Identity, TransactionRow};
use crate::node::api::{export, lookup, queries};
use crate::node::handle::Handle;
use crate::node::wallet::password::Sources;
use crate::protocol::encode::encode;
use crate::protocol::{Action, Address, Amount, Height};

/// How many blocks `chain` shows to people who do not say which.
const CHAIN_SHOWN: u64 = 10;
/// An answer to `chain` ends in a refusal at so many bytes of encoded blocks; their JSON is several times as long.
const CHAIN_BYTES_MAX: usize = 32 << 20;

/// What a command needs beside itself.
pub(super) struct Job<'a> {
    /// The node.
    pub(super) handle: &'a Handle,
    /// Who it is; its names may have changed since.
    pub(super) identity: &'a Identity,
    /// Where passwords come from.
    pub(super) passwords: &'a Sources,
    /// Where the names of files begin that are not absolute; empty: where the process works.
    pub(super) folder: &'a Path,
    /// Whether `chain` alone means all of it.
    pub(super) whole_chain: bool,
    /// Set when the user wants no answer any more.
    pub(super) cancel: &'a AtomicBool,
}

/// A transaction on its way to the disk, or why there is none.
pub(super) struct Sending {
    answer: Result<Receiver<Result<Answer, CommandError>>, Failure>,
    /// What is recorded, if it is a file.
    file: Option<FileRow>,
}

impl Sending {
    /// Blocks until it is durable.
    pub(super) fn wait(self) -> Result<Outcome, Failure> {
        match self.answer?.recv().map_err(|_| CommandError::Closing)?? {
            Answer::Sent(id) => Ok(Outcome::Sent { id, file: self.file }),
            other => unreachable!("{other:?} answers another command"),
        }
    }
}

impl From<Failure> for Sending {
    fn from(failure: Failure) -> Self {
        Self { answer: Err(failure), file: None }
    }
}

impl Job<'_> {
    /// Does it.
    pub(super) fn run(&self, command: &Command) -> Result<Outcome, Failure> {
        let handle = self.handle;
        match command {
            Command::Mine { count, to } => {
                let to = self.maybe(to.as_ref())?;
                self.ask(event::Command::Mine { count: *count, to }, |answer| match answer {
                    Answer::Mined(places) => {
                        Some(Outcome::Mined { blocks: places.into_iter().map(Into::into).collect(), wanted: *count })
                    }
                    _ => None,
                })
            }
            Command::SetMining { mode, to } => {
                let to = self.maybe(to.as_ref())?;
                self.ask(event::Command::SetMining { mode: *mode, to }, |_| Some(Outcome::MiningSet { mode: *mode }))
            }
            Command::Tx { to, amount, fee } => {
                let action = Action::Transfer { to: lookup::address(self.handle, to)?, amount: *amount };
                self.send(action, *fee, None).wait()
            }
            Command::Record(recording) => self.record(recording).wait(),
            Command::Records { filter, range } => self.records(filter, range),
            Command::History { of, range } => self.history(of.as_ref(), range),
            Command::Watch(name) => self.watch(name),
            Command::Watching => Ok(self.watching()),
            Command::Unwatch(name) => self.unwatch(name),
            Command::Receipt { of, confirmations, file } => self.receipt(of, *confirmations, file),
            Command::ReceiptTip => self.tip(),
            Command::Checkpoint => Ok(Outcome::Checkpoint { checkpoint: handle.view().checkpoint.map(Into::into) }),
            Command::SetCheckpoint(height) => {
                self.ask(event::Command::SetCheckpoint { height: *height }, |answer| match answer {
                    Answer::Checkpoint(place) => Some(Outcome::Checkpoint { checkpoint: place.map(Into::into) }),
                    _ => None,
                })
            }
            Command::Aliases(name) => self.aliases(name.as_deref()),
            Command::SetAlias { name, address } => self.set_alias(name, *address),
            Command::RemoveAlias(name) => self.remove_alias(name),
            Command::Wallet(command) => self.wallet(command),
            Command::Chain { from, count } => self.chain(*from, *count),
            Command::Block(name) => {
                let (block, best_chain) = lookup::block(&handle.reader().snapshot()?, *name)?;
                Ok(Outcome::Block { block: BlockRow::new(&block, handle.network()), best_chain })
            }
            Command::Pending => self.ask(event::Command::Pending, |answer| match answer {
                Answer::Pending(rows) => Some(Outcome::Pending(rows.iter().map(TransactionRow::from).collect())),
                _ => None,
            }),
            Command::Balance(address) => {
                let address = self.maybe(address.as_ref())?.unwrap_or_else(|| handle.address());
                self.ask(event::Command::Account { address }, |answer| match answer {
                    Answer::Account { account, spendable, pending } => Some(Outcome::Balance {
                        address,
                        balance: account.balance,
                        nonce: account.nonce,
                        pending,
                        spendable,
                    }),
                    _ => None,
                })
            }
            Command::Address => Ok(Outcome::Address { address: handle.address() }),
            Command::Peers => Ok(Outcome::Peers(queries::peers(handle))),
            Command::Connect(address) => {
                let row = handle
                    .connect(address.clone())
                    .map_err(|error| Failure::new(Code::ConnectFailed, error.to_string()))?;
                let direction = Direction::from(&row);
                Ok(Outcome::Connected {
                    peer_id: row.peer_id.to_string(),
                    address: row.address,
                    agent: row.agent,
                    direction,
                })
            }
            Command::Resolve => self.ask(event::Command::Resolve, |answer| match answer {
                Answer::Resolved { replaced, answered, asked, tip } => {
                    Some(Outcome::Resolved { replaced, answered, asked, height: tip.height, tip: tip.id })
                }
                _ => None,
            }),
            Command::Save(file) => {
                let snapshot = handle.reader().snapshot()?;
                let tip = snapshot.tip().height;
                let block_at = |height| lookup::block_at(&snapshot, height);
                export::save(&self.file(file), handle.network(), tip, self.cancel, block_at).map(Outcome::Saved)
            }
            Command::Status => Ok(Outcome::Status(Box::new(queries::status(handle, self.identity)))),
            Command::Help(entry) => {
                let commands =
                    entry.map_or_else(|| COMMANDS.iter().map(HelpRow::from).collect(), |entry| vec![entry.into()]);
                Ok(Outcome::Help { commands })
            }
            Command::Quit => Ok(Outcome::Quit {}),
        }
    }

    fn file(&self, name: &Path) -> PathBuf {
        self.folder.join(name)
    }

    fn answer(&self, command: event::Command) -> Result<Answer, Failure> {
        Ok(self.handle.command(command).recv().map_err(|_| CommandError::Closing)??)
    }

    fn ask(&self, command: event::Command, read: impl FnOnce(Answer) -> Option<Outcome>) -> Result<Outcome, Failure> {
        let answer = self.answer(command)?;
        Ok(read(answer).expect("the engine gives the answer that belongs to the command"))
    }

    /// Begins a command that sends a transaction and needs to look nothing up before. It does not block.
    pub(super) fn begin_sending(&self, command: &Command) -> Option<Sending> {
        match command {
            Command::Tx { to: Who::Address(to), amount, fee } => {
                Some(self.send(Action::Transfer { to: *to, amount: *amount }, *fee, None))
            }
            Command::Record(recording) if !matches!(recording.what, Recorded::File(_)) => Some(self.record(recording)),
            _ => None,
        }
    }

    /// Has a transaction signed and written.
    fn send(&self, action: Action, fee: Option<Amount>, file: Option<FileRow>) -> Sending {
        let fee = fee.unwrap_or(self.handle.network().parameters().fee_min);
        let key = self.handle.key().map_err(Failure::from);
        let answer = key.map(|key| self.handle.command(event::Command::Send { key, action, fee }));
        Sending { answer, file }
    }

    fn maybe(&self, who: Option<&Who>) -> Result<Option<Address>, Failure> {
        who.map(|who| lookup::address(self.handle, who)).transpose()
    }

    fn chain(&self, from: Option<Height>, count: Option<u64>) -> Result<Outcome, Failure> {
        let (snapshot, network) = (self.handle.reader().snapshot()?, self.handle.network());
        let length = snapshot.tip().height.0 + 1;
        let default = if self.whole_chain { 0 } else { length.saturating_sub(CHAIN_SHOWN) };
        let first = from.map_or(default, |height| height.0);
        if first >= length {
            return Err(lookup::above(Height(length - 1)));
        }
        let end = count.map_or(length, |count| first.saturating_add(count).min(length));
        let (mut blocks, mut bytes) = (Vec::new(), 0);
        for height in first..end {
            if self.cancel.load(Ordering::Relaxed) {
                return Err(Failure::new(Code::Cancelled, "stopped"));
            }
            let block = lookup::block_at(&snapshot, Height(height))?;
            bytes += encode(&block).len();
            if bytes > CHAIN_BYTES_MAX {
                let fits = height - first;
                let message = format!("too much for one answer: ask for {fits} blocks at a time, or `save` the chain");
                return Err(Failure::new(Code::TooMany, message));
            }
            blocks.push(BlockRow::new(&block, network));
        }
        Ok(Outcome::Chain { length, blocks })
    }
}
