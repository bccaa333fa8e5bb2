//! Carries a command out on the running node. Blocks until it is done, so it runs on a thread of its own.

mod ledger;
mod wallet;

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use super::command::{BlockName, COMMANDS, Command, Who};
use super::export;
use super::failure::{Code, Failure};
use super::outcome::{BlockRow, Direction, HelpRow, Identity, Outcome, Peer, Status, TransactionRow};
use super::text::{distance, grouped};
use crate::engine::event::{self, Answer, CommandError};
use crate::node::handle::Handle;
use crate::node::store::Snapshot;
use crate::node::swarm;
use crate::node::wallet::password::Sources;
use crate::protocol::encode::encode;
use crate::protocol::{Action, Address, Amount, Block, Height, TransactionId};

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
                let id = self.send(Action::Transfer { to: self.address_of(to)?, amount: *amount }, *fee)?;
                Ok(Outcome::Sent { id, file: None })
            }
            Command::Record(recording) => self.record(recording),
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
            Command::Block(name) => self.block(*name),
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
            Command::Peers => Ok(Outcome::Peers(peers(handle))),
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
                export::save(&self.file(file), handle.network(), snapshot.tip().height, self.cancel, |height| {
                    block_at(&snapshot, height)
                })
            }
            Command::Status => Ok(Outcome::Status(Box::new(status(handle, self.identity)))),
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

    /// Signs, and waits until it is durable.
    fn send(&self, action: Action, fee: Option<Amount>) -> Result<TransactionId, Failure> {
        let fee = fee.unwrap_or(self.handle.network().parameters().fee_min);
        let command = event::Command::Send { key: self.handle.key()?, action, fee };
        match self.answer(command)? {
            Answer::Sent(id) => Ok(id),
            other => unreachable!("{other:?} answers another command"),
        }
    }

    /// Whose account is meant.
    fn address_of(&self, who: &Who) -> Result<Address, Failure> {
        let name = match who {
            Who::Address(address) => return Ok(*address),
            Who::Name(name) => name,
        };
        let (aliases, wallets) = (self.handle.aliases(), self.handle.wallets().list()?);
        let own = wallets.iter().find(|wallet| wallet.name == *name);
        let wallet = || own.and_then(|wallet| wallet.state.as_ref().ok()).map(|(address, _)| *address);
        aliases.find(name).or_else(wallet).ok_or_else(|| {
            let known = aliases.list().into_iter().map(|(name, _)| name).chain(wallets.iter().map(|w| w.name.clone()));
            let near = known.map(|known| (distance(name, &known), known)).min().filter(|(distance, _)| *distance <= 2);
            let hint = near
                .map_or_else(|| "give it one with `alias`".to_owned(), |(_, known)| format!("did you mean {known}?"));
            let message = format!("{name}: neither an address (0x and 40 hex digits) nor a name; {hint}");
            Failure::new(Code::BadAddress, message)
        })
    }

    fn maybe(&self, who: Option<&Who>) -> Result<Option<Address>, Failure> {
        who.map(|who| self.address_of(who)).transpose()
    }

    fn chain(&self, from: Option<Height>, count: Option<u64>) -> Result<Outcome, Failure> {
        let (snapshot, network) = (self.handle.reader().snapshot()?, self.handle.network());
        let length = snapshot.tip().height.0 + 1;
        let default = if self.whole_chain { 0 } else { length.saturating_sub(CHAIN_SHOWN) };
        let first = from.map_or(default, |height| height.0);
        if first >= length {
            return Err(above(Height(length - 1)));
        }
        let end = count.map_or(length, |count| first.saturating_add(count).min(length));
        let (mut blocks, mut bytes) = (Vec::new(), 0);
        for height in first..end {
            if self.cancel.load(Ordering::Relaxed) {
                return Err(Failure::new(Code::Cancelled, "stopped"));
            }
            let block = block_at(&snapshot, Height(height))?;
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

    fn block(&self, name: BlockName) -> Result<Outcome, Failure> {
        let (snapshot, network) = (self.handle.reader().snapshot()?, self.handle.network());
        let found = match name {
            BlockName::Id(id) => snapshot.block(&id)?,
            BlockName::Short(digits) => block_shown_as(&snapshot, digits)?,
            BlockName::Height(height) => match (snapshot.block_at(height)?, as_short_id(height)) {
                (Some(block), _) => Some((block, true)),
                (None, digits) => digits.map(|digits| block_shown_as(&snapshot, digits)).transpose()?.flatten(),
            },
        };
        let (block, best_chain) = found.ok_or_else(|| match name {
            BlockName::Id(id) => Failure::new(Code::NotFound, format!("this node has no block {id}")),
            BlockName::Short(digits) => Failure::new(Code::NotFound, format!("this node has no block {digits:08x}")),
            BlockName::Height(_) => above(snapshot.tip().height),
        })?;
        Ok(Outcome::Block { block: BlockRow::new(&block, network), best_chain })
    }
}

fn block_shown_as(snapshot: &Snapshot, digits: u32) -> Result<Option<(Block, bool)>, Failure> {
    match snapshot.ids_shown_as(digits)?.as_slice() {
        [] => Ok(None),
        [id] => Ok(snapshot.block(id)?),
        [one, other, ..] => {
            let message = format!("{digits:08x} is short for {one} and for {other}: use the whole id");
            Err(Failure::new(Code::BadId, message))
        }
    }
}

/// Eight digits may be a short id that happens to have no letters.
fn as_short_id(height: Height) -> Option<u32> {
    Some(height.0.to_string())
        .filter(|digits| digits.len() == 8)
        .and_then(|digits| u32::from_str_radix(&digits, 16).ok())
}

fn above(tip: Height) -> Failure {
    Failure::new(Code::NotFound, format!("the chain ends at height {}: ask for one up to that", grouped(tip.0)))
}

fn block_at(snapshot: &Snapshot, height: Height) -> Result<Block, Failure> {
    let gap = || Failure::new(Code::StoreUnreadable, format!("block {height} is missing from the store"));
    snapshot.block_at(height)?.ok_or_else(gap)
}

fn peers(handle: &Handle) -> Vec<Peer> {
    let view = handle.view();
    let told = |row: &swarm::PeerRow| view.peers.iter().find(|told| told.peer == row.peer);
    handle.peers().iter().map(|row| Peer::new(row, told(row))).collect()
}

/// How the node is now.
pub(super) fn status(handle: &Handle, identity: &Identity) -> Status {
    let (wallet, listen) = (handle.wallets().current(), swarm::for_others(&handle.listen()));
    Status::new(identity, &handle.view(), &wallet, handle.peers().len(), listen, handle.now())
}
