//! The form for scripts (`--json`): one JSON object on each line of stdout, and nothing else there.
//!
//! # Answers
//!
//! Each line of stdin gets exactly one answer, in order; a blank line and one that begins with `#` get none. The next
//! line is read when the answer is written, so a command that takes its time (`mine 5`, `resolve`, `connect`, `save`)
//! holds up those after it. At the end of the input the node stops, with exit status 0.
//!
//! ```json
//! {"ok":true,"command":"mine","result":{"blocks":[{"height":1,"id":"00ab…"}]}}
//! {"ok":false,"command":"tx","error":{"code":"insufficient_balance","message":"…"}}
//! ```
//!
//! `command` is the first word of the line. Codes are stable words ([`Code`](super::failure::Code)); messages are for
//! people and may change. A node that can't start writes one answer to the command `start` and leaves with exit
//! status 1, or 2 if the arguments are wrong.
//!
//! | command | result |
//! | --- | --- |
//! | `mine`, `mine N` | `{blocks: [{height, id}]}`, oldest first; fewer than asked for if it was stopped |
//! | `mine on`, `off`, `pending` | `{mode}` |
//! | `tx`, `record` | `{id}` |
//! | `chain` | `{length, blocks: [block]}`; `length` counts genesis. Without FROM: all blocks |
//! | `block` | a block, with `best_chain`: whether it is on the best chain |
//! | `pending` | `[transaction]`, in the order in which they would be mined now |
//! | `balance` | `{address, balance, nonce, pending}`; `nonce` is the next one, `pending` a count |
//! | `address` | `{address}` |
//! | `peers` | `[{peer_id, address, name, agent, height, direction, ping_ms}]` |
//! | `connect` | `{peer_id, address, agent, direction}` |
//! | `resolve` | `{replaced, answered, asked, height, tip}`: whether another chain took the place of ours, peers |
//! | `save` | `{file, blocks, bytes}` |
//! | `status` | `{name, network, genesis, height, tip, work, peers, pending, balance, address, mining: {mode, hash_rate}, syncing}`; `peers` and `pending` are counts, `hash_rate` is in hashes per second, `syncing` is true or false |
//! | `help` | `{commands: [{name, usage, summary, details}]}` |
//! | `quit` | `{}`; the node stops after it |
//!
//! A block is `{height, id, parent, timestamp, target, nonce, miner, transactions: [transaction]}`. Its reward is the
//! first transaction. A transaction is `{id, type, sender, nonce, fee, to, amount, data}`; all fields are always there:
//!
//! | type | sender | nonce | to, amount | data |
//! | --- | --- | --- | --- | --- |
//! | `reward` | `"0"` | null | the miner, subsidy and fees | null |
//! | `transfer` | address | number | address, coins | null |
//! | `record` | address | number | null | text, or `{"hex": "…"}` if it is no UTF-8 |
//!
//! Amounts are decimal strings of coins (`"2.5"`). `work` and the `nonce` of a block are decimal strings too: they may
//! exceed 2^53, which many readers round. `target` is a hex string (`"0x1e03ffff"`), ids are 64 hex digits, addresses
//! `0x…` with a checksum. Heights, counts and a transaction's nonce are numbers; times are Unix milliseconds.
//! `direction` is `inbound` or `outbound`; `height` and `ping_ms` of a peer are null until known, and `name` is empty.
//!
//! # Events
//!
//! They come between answers, never inside a line, in the order in which things happened:
//!
//! | event | fields |
//! | --- | --- |
//! | `ready` | `peer_id`, `address` (of the account), `listen` (multiaddresses), `network`, `genesis`; always the first line |
//! | `peer_connected` | `peer_id`, `address`, `agent`, `direction`; a transaction sent now reaches this peer |
//! | `peer_disconnected` | the same |
//! | `tip` | `height`, `id`, `reorg_depth`: how many blocks left the best chain |
//! | `transaction` | the fields of a transaction that entered the memory pool |
//! | `warning` | `code` (`block_refused`, `peer_clock`, `own_clock`, `node`), `message` |
//! | `fatal` | `message`; the node stops, with exit status 1 |
//!
//! A script that does not read for long loses events, never answers.

use std::borrow::Cow;

use libp2p::Multiaddr;
use serde::Serialize;

use super::failure::Failure;
use super::notice::{self, Roster};
use super::outcome::{Direction, Identity, Outcome, PlaceRow, TransactionRow};
use crate::engine::event::Notice;
use crate::node::handle::UserEvent;
use crate::node::swarm::PeerRow;
use crate::protocol::{Address, BlockId};

#[derive(Serialize)]
struct Answer<'a, R> {
    ok: bool,
    command: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    result: Option<R>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<ErrorFields<'a>>,
}

#[derive(Serialize)]
struct ErrorFields<'a> {
    code: &'a str,
    message: &'a str,
}

/// The line for a command that worked or did not.
pub fn answer(command: &str, result: &Result<Outcome, Failure>) -> String {
    match result {
        Ok(outcome) => line(&Answer { ok: true, command, result: Some(outcome), error: None }),
        Err(failure) => error(command, failure.code.as_str(), &failure.message),
    }
}

/// The line for a node that can't start.
pub fn start_failure(code: &str, message: &str) -> String {
    error("start", code, message)
}

fn error(command: &str, code: &str, message: &str) -> String {
    line(&Answer::<()> { ok: false, command, result: None, error: Some(ErrorFields { code, message }) })
}

#[derive(Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
enum Event<'a> {
    Ready {
        peer_id: String,
        address: Address,
        listen: &'a [Multiaddr],
        network: &'a str,
        genesis: BlockId,
    },
    PeerConnected(PeerFields<'a>),
    PeerDisconnected(PeerFields<'a>),
    Tip {
        #[serde(flatten)]
        tip: PlaceRow,
        reorg_depth: u64,
    },
    Transaction(TransactionRow),
    Warning {
        code: &'a str,
        message: Cow<'a, str>,
    },
    Fatal {
        message: &'a str,
    },
}

#[derive(Serialize)]
struct PeerFields<'a> {
    peer_id: String,
    address: &'a Multiaddr,
    agent: &'a str,
    direction: Direction,
}

impl<'a> From<&'a PeerRow> for PeerFields<'a> {
    fn from(row: &'a PeerRow) -> Self {
        Self { peer_id: row.peer_id.to_string(), address: &row.address, agent: &row.agent, direction: row.into() }
    }
}

/// The line for an event.
pub fn event(event: &UserEvent, identity: &Identity, roster: &Roster) -> String {
    line(&match event {
        UserEvent::Ready { listen } => Event::Ready {
            peer_id: identity.peer_id.to_string(),
            address: identity.address,
            listen,
            network: &identity.network,
            genesis: identity.genesis,
        },
        UserEvent::PeerConnected(row) => Event::PeerConnected(row.into()),
        UserEvent::PeerDisconnected(row) => Event::PeerDisconnected(row.into()),
        UserEvent::Notice(Notice::Tip { tip, reorg_depth, .. }) => {
            Event::Tip { tip: (*tip).into(), reorg_depth: *reorg_depth }
        }
        UserEvent::Notice(Notice::Transaction(checked)) => Event::Transaction(checked.into()),
        UserEvent::Notice(Notice::BlockRefused { place, violation }) => {
            Event::Warning { code: "block_refused", message: notice::block_refused(*place, violation).into() }
        }
        UserEvent::Notice(Notice::ClockDiffers { peer, offset_millis }) => Event::Warning {
            code: "peer_clock",
            message: notice::peer_clock(&roster.name(*peer), *offset_millis).into(),
        },
        UserEvent::Notice(Notice::OurClockDiffers { offset_millis }) => {
            Event::Warning { code: "own_clock", message: notice::own_clock(*offset_millis).into() }
        }
        UserEvent::Warning(message) => Event::Warning { code: "node", message: message.into() },
        UserEvent::Fatal(message) => Event::Fatal { message },
    })
}

fn line(value: &impl Serialize) -> String {
    serde_json::to_string(value).expect("strings, numbers and lists always serialise")
}
