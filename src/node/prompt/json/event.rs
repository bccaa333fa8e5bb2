//! Events, as [`super`] documents them.

use std::borrow::Cow;

use libp2p::Multiaddr;
use serde::Serialize;

use super::line;
use crate::engine::event::{Fate, Notice, RolledBack};
use crate::node::handle::UserEvent;
use crate::node::prompt::notice::{self, Roster};
use crate::node::prompt::outcome::{self, Direction, Identity, LifeRow, PlaceRow, TransactionRow};
use crate::node::swarm::PeerRow;
use crate::protocol::{Address, BlockId, Height, TransactionId};

#[derive(Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
enum Event<'a> {
    Ready {
        peer_id: String,
        address: Address,
        listen: &'a [Multiaddr],
        http: Option<String>,
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
    RolledBack {
        transactions: Vec<RolledBackRow>,
        untold: usize,
    },
    Watch(LifeRow),
    Warning {
        code: &'a str,
        message: Cow<'a, str>,
    },
    Fatal {
        message: &'a str,
    },
}

impl Event<'_> {
    /// As `event` says it.
    fn name(&self) -> &'static str {
        match self {
            Self::Ready { .. } => "ready",
            Self::PeerConnected(_) => "peer_connected",
            Self::PeerDisconnected(_) => "peer_disconnected",
            Self::Tip { .. } => "tip",
            Self::Transaction(_) => "transaction",
            Self::RolledBack { .. } => "rolled_back",
            Self::Watch(_) => "watch",
            Self::Warning { .. } => "warning",
            Self::Fatal { .. } => "fatal",
        }
    }
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

#[derive(Serialize)]
struct RolledBackRow {
    id: TransactionId,
    height: Height,
    block: BlockId,
    fate: &'static str,
    reason: Option<String>,
}

impl From<&RolledBack> for RolledBackRow {
    fn from(one: &RolledBack) -> Self {
        let (fate, reason) = match one.fate {
            Fate::Mined => ("mined", None),
            Fate::Pending => ("pending", None),
            Fate::Gone(reason) => ("gone", Some(reason.to_string())),
        };
        Self { id: one.transaction.id(), height: one.place.height, block: one.place.id, fate, reason }
    }
}

/// The line for an event, if it is one for scripts.
pub fn event(event: &UserEvent, identity: &Identity, roster: &Roster) -> Option<String> {
    Some(line(&fields(event, identity, roster)?))
}

/// The name of an event and the object for it, which has the name too.
pub fn named_event(event: &UserEvent, identity: &Identity, roster: &Roster) -> Option<(&'static str, String)> {
    let event = fields(event, identity, roster)?;
    Some((event.name(), line(&event)))
}

fn fields<'a>(event: &'a UserEvent, identity: &'a Identity, roster: &Roster) -> Option<Event<'a>> {
    Some(match event {
        UserEvent::Ready { listen, http } => Event::Ready {
            peer_id: identity.peer_id.to_string(),
            address: identity.names.me,
            listen,
            http: http.map(outcome::url),
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
        UserEvent::Notice(Notice::RolledBack { transactions, untold }) => {
            Event::RolledBack { transactions: transactions.iter().map(Into::into).collect(), untold: *untold }
        }
        UserEvent::Notice(Notice::ReorganisationRefused { checkpoint, peer, height }) => Event::Warning {
            code: "reorganisation_refused",
            message: notice::reorganisation_refused(*checkpoint, &roster.name(*peer), *height).into(),
        },
        UserEvent::Notice(Notice::ClockDiffers { peer, offset_millis }) => Event::Warning {
            code: "peer_clock",
            message: notice::peer_clock(&roster.name(*peer), *offset_millis).into(),
        },
        UserEvent::Notice(Notice::OurClockDiffers { offset_millis }) => {
            Event::Warning { code: "own_clock", message: notice::own_clock(*offset_millis).into() }
        }
        UserEvent::Life { id, life } => Event::Watch(LifeRow::new(*id, life)),
        UserEvent::Warning(message) => Event::Warning { code: "node", message: message.into() },
        UserEvent::Fatal(message) => Event::Fatal { message },
        // Nobody watches the index at work.
        UserEvent::Indexed(_) => return None,
    })
}
