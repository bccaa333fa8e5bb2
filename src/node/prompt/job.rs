//! Carries a command out on the running node. Blocks until it is done, so it runs on a thread of its own.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::SystemTime;

use super::command::{BlockName, COMMANDS, Command};
use super::export;
use super::failure::{Code, Failure};
use super::outcome::{BlockRow, Direction, HelpRow, Identity, Outcome, Peer, Status, TransactionRow};
use super::text::grouped;
use crate::engine::event::{self, Answer};
use crate::node::handle::Handle;
use crate::node::store::Snapshot;
use crate::node::swarm;
use crate::protocol::encode::encode;
use crate::protocol::{Action, Amount, Block, Height, UnixMillis};

/// How many blocks `chain` shows to people who do not say which.
const CHAIN_SHOWN: u64 = 10;
/// An answer to `chain` ends in a refusal at so many bytes of encoded blocks; their JSON is several times as long.
const CHAIN_BYTES_MAX: usize = 32 << 20;

/// What a command needs beside itself.
pub(super) struct Job<'a> {
    /// The node.
    pub(super) handle: &'a Handle,
    /// Who it is.
    pub(super) identity: &'a Identity,
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
                self.ask(event::Command::Mine { count: *count, to: *to }, |answer| match answer {
                    Answer::Mined(places) => {
                        Some(Outcome::Mined { blocks: places.into_iter().map(Into::into).collect(), wanted: *count })
                    }
                    _ => None,
                })
            }
            Command::SetMining { mode, to } => self
                .ask(event::Command::SetMining { mode: *mode, to: *to }, |_| Some(Outcome::MiningSet { mode: *mode })),
            Command::Tx { to, amount, fee } => self.send(Action::Transfer { to: *to, amount: *amount }, *fee),
            Command::Record(text) => self.send(Action::Record { data: text.clone().into_bytes().into() }, None),
            Command::Chain { from, count } => self.chain(*from, *count),
            Command::Block(name) => self.block(*name),
            Command::Pending => self.ask(event::Command::Pending, |answer| match answer {
                Answer::Pending(rows) => Some(Outcome::Pending(rows.iter().map(TransactionRow::from).collect())),
                _ => None,
            }),
            Command::Balance(address) => {
                let address = address.unwrap_or(self.identity.address);
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
            Command::Address => Ok(Outcome::Address { address: self.identity.address }),
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
                export::save(file, handle.network(), snapshot.tip().height, self.cancel, |height| {
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

    fn ask(&self, command: event::Command, read: impl FnOnce(Answer) -> Option<Outcome>) -> Result<Outcome, Failure> {
        let closing = || Failure::from(event::CommandError::Closing);
        let answer = self.handle.command(command).recv().map_err(|_| closing())??;
        Ok(read(answer).expect("the engine gives the answer that belongs to the command"))
    }

    fn send(&self, action: Action, fee: Option<Amount>) -> Result<Outcome, Failure> {
        let fee = fee.unwrap_or(self.handle.network().parameters().fee_min);
        let key = self.handle.key().map_err(|error| Failure::new(Code::WalletLocked, error.to_string()))?;
        self.ask(event::Command::Send { key, action, fee }, |answer| match answer {
            Answer::Sent(id) => Some(Outcome::Sent { id }),
            _ => None,
        })
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
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let now = UnixMillis(u64::try_from(now.as_millis()).unwrap_or(u64::MAX));
    Status::new(identity, &handle.view(), handle.peers().len(), swarm::for_others(&handle.listen()), now)
}
