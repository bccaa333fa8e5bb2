//! Events for scripts and HTTP clients ([`prompt::json`](crate::node::prompt::json) documents the fields), and the
//! sentences about them for people.

use std::borrow::Cow;
use std::collections::BTreeMap;

use libp2p::Multiaddr;
use serde::Serialize;

use super::rows::{self, Direction, Identity, LifeRow, PlaceRow, TransactionRow};
use crate::engine::event::{NotFollowed, Notice, PeerKey, Place, RolledBack};
use crate::node::event::PeerRow;
use crate::node::event::UserEvent;
use crate::protocol::{Address, BlockId, Height, Millis, TransactionId, Violation};
use crate::text::{grouped, harmless, short_peer, span};

#[derive(Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
enum EventFields<'a> {
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
    MiningWaits {
        height: Height,
        target: Height,
    },
    Warning {
        code: &'a str,
        message: Cow<'a, str>,
    },
    Fatal {
        message: &'a str,
    },
}

impl EventFields<'_> {
    /// The data of `event`.
    fn name(&self) -> &'static str {
        match self {
            Self::Ready { .. } => "ready",
            Self::PeerConnected(_) => "peer_connected",
            Self::PeerDisconnected(_) => "peer_disconnected",
            Self::Tip { .. } => "tip",
            Self::Transaction(_) => "transaction",
            Self::RolledBack { .. } => "rolled_back",
            Self::Watch(_) => "watch",
            Self::MiningWaits { .. } => "mining_waits",
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
        let (fate, reason) = rows::fate_in_words(one.fate);
        Self { id: one.transaction.id(), height: one.place.height, block: one.place.id, fate, reason }
    }
}

/// The line for an event, if scripts get it.
pub fn event(event: &UserEvent, identity: &Identity, roster: &Roster) -> Option<String> {
    Some(line(&fields(event, identity, roster)?))
}

/// The name of an event and its object, which has the name too.
pub fn named_event(event: &UserEvent, identity: &Identity, roster: &Roster) -> Option<(&'static str, String)> {
    let event = fields(event, identity, roster)?;
    Some((event.name(), line(&event)))
}

fn fields<'a>(event: &'a UserEvent, identity: &'a Identity, roster: &Roster) -> Option<EventFields<'a>> {
    Some(match event {
        UserEvent::Ready { listen, http } => EventFields::Ready {
            peer_id: identity.peer_id.to_string(),
            address: identity.names.me,
            listen,
            http: http.map(rows::url),
            network: &identity.network,
            genesis: identity.genesis,
        },
        UserEvent::PeerConnected(row) => EventFields::PeerConnected(row.into()),
        UserEvent::PeerDisconnected(row) => EventFields::PeerDisconnected(row.into()),
        UserEvent::Notice(Notice::Tip { tip, reorg_depth, .. }) => {
            EventFields::Tip { tip: (*tip).into(), reorg_depth: *reorg_depth }
        }
        UserEvent::Notice(Notice::Transaction(checked)) => EventFields::Transaction(checked.into()),
        UserEvent::Notice(Notice::BlockRefused { place, violation }) => {
            EventFields::Warning { code: "block_refused", message: block_refused(*place, violation).into() }
        }
        UserEvent::Notice(Notice::RolledBack { transactions, untold }) => {
            EventFields::RolledBack { transactions: transactions.iter().map(Into::into).collect(), untold: *untold }
        }
        UserEvent::Notice(Notice::ReorganisationRefused { checkpoint, peer, height }) => EventFields::Warning {
            code: "reorganisation_refused",
            message: reorganisation_refused(*checkpoint, &roster.name(*peer), *height).into(),
        },
        UserEvent::Notice(Notice::NotFollowed { peer, height, why }) => EventFields::Warning {
            code: "chain_not_followed",
            message: chain_not_followed(&roster.name(*peer), *height, *why).into(),
        },
        UserEvent::Notice(Notice::TipAhead { tip, ahead }) => {
            EventFields::Warning { code: "tip_ahead", message: tip_ahead(*tip, *ahead).into() }
        }
        UserEvent::Notice(Notice::MiningWaits { height, target }) => {
            EventFields::MiningWaits { height: *height, target: *target }
        }
        UserEvent::Notice(Notice::ClockDiffers { peer, offset_millis }) => {
            EventFields::Warning { code: "peer_clock", message: peer_clock(&roster.name(*peer), *offset_millis).into() }
        }
        UserEvent::Notice(Notice::OurClockDiffers { offset_millis }) => {
            EventFields::Warning { code: "own_clock", message: own_clock(*offset_millis).into() }
        }
        UserEvent::Life { id, life, again } => EventFields::Watch(LifeRow::new(*id, life, *again)),
        UserEvent::Warning(message) => EventFields::Warning { code: "node", message: message.into() },
        UserEvent::Fatal(message) => EventFields::Fatal { message },
        // The progress of the index is internal, and what is lost is told as the end of its life.
        UserEvent::Indexed(_) | UserEvent::Notice(Notice::Lost { .. }) => return None,
    })
}

fn line(value: &impl Serialize) -> String {
    serde_json::to_string(value).expect("strings, numbers and lists always serialise")
}

/// A longer name of a peer is cut, in characters.
const PEER_NAME_CHARACTERS_MAX: usize = 24;

/// The peers behind the sessions.
#[derive(Debug, Default)]
pub struct Roster(BTreeMap<PeerKey, Known>);

#[derive(Debug)]
struct Known {
    /// The end of its id.
    id: String,
    /// The peer's own word, once it has said it; empty if it has none.
    name: Option<String>,
}

impl Roster {
    /// Records the sessions that begin. One that ends is kept until [`Roster::forget`], to be named in the line about
    /// its end.
    pub fn learn(&mut self, event: &UserEvent) {
        if let UserEvent::PeerConnected(row) = event {
            self.0.insert(row.peer, Known { id: short_peer(&row.peer_id), name: None });
        }
    }

    /// Records the sessions that end.
    pub fn forget(&mut self, event: &UserEvent) {
        if let UserEvent::PeerDisconnected(row) = event {
            self.0.remove(&row.peer);
        }
    }

    /// Records the name that a peer gives itself, empty if it has none. Returns whether that is news.
    pub fn learn_name(&mut self, peer: PeerKey, name: &str) -> bool {
        let name = harmless(name, PEER_NAME_CHARACTERS_MAX);
        self.0.get_mut(&peer).is_some_and(|known| {
            let is_news = known.name.as_ref() != Some(&name);
            known.name = Some(name);
            is_news
        })
    }

    /// Whether a peer has said its name, or that it has none.
    pub fn has_name(&self, peer: PeerKey) -> bool {
        self.0.get(&peer).is_some_and(|known| known.name.is_some())
    }

    /// The name of a session's peer: the end of its id, and what it calls itself if it has said so.
    pub fn name(&self, peer: PeerKey) -> String {
        match self.0.get(&peer) {
            None => "that has left".to_owned(),
            Some(Known { id, name: Some(name) }) if !name.is_empty() => format!("{name} ({id})"),
            Some(Known { id, .. }) => id.clone(),
        }
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// A refused block, in words.
pub fn block_refused(place: Place, violation: &Violation) -> String {
    format!("refused block {} ({}): {violation}", grouped(place.height.0), place.id.short())
}

/// A chain that leaves out the checkpoint, in words.
pub fn reorganisation_refused(checkpoint: Place, peer: &str, height: Height) -> String {
    let (height, checkpoint) = (grouped(height.0), grouped(checkpoint.height.0));
    format!(
        "refused a chain that leaves ours below the checkpoint at height {checkpoint}: peer {peer} has more work, at \
         height {height} (see `help checkpoint`)"
    )
}

/// A chain with more work than ours that is not followed, in words.
pub fn chain_not_followed(peer: &str, height: Height, why: NotFollowed) -> String {
    let height = grouped(height.0);
    // The blocks are not taken yet, so their work is the peer's word.
    if let NotFollowed::Early(wait) = why {
        let wait = span(wait.0);
        return format!(
            "peer {peer} says that it has a chain with more work than ours, up to height {height}: its blocks are dated \
             ahead of this machine's clock, so they are kept back for {wait}"
        );
    }
    if matches!(why, NotFollowed::Rival) {
        return format!(
            "peer {peer} has another chain of height {height} with hardly more work: the one that came first is kept until \
             the next block decides, or for a while (`resolve` moves to it now)"
        );
    }
    format!("a chain with more work than ours, up to height {height}, is not followed: {why} (peer {peer})")
}

/// An own best block of the future, in words.
pub fn tip_ahead(tip: Place, ahead: Millis) -> String {
    format!(
        "our best block {} is dated {} ahead of this machine's clock: other nodes take it, and what is mined on top of it, \
         only then, and may have a better chain by then",
        grouped(tip.height.0),
        span(ahead.0)
    )
}

/// A miner that waits, in words.
pub fn mining_waits(height: Height, target: Height) -> String {
    let (height, target) = (grouped(height.0), grouped(target.0));
    format!("mining waits for a better chain that is being fetched: block {height} of {target}")
}

/// A peer's wrong clock, in words.
pub fn peer_clock(peer: &str, offset_millis: i64) -> String {
    format!("the clock of peer {peer} is {} ours", off_by(offset_millis))
}

/// Our wrong clock, in words.
pub fn own_clock(offset_millis: i64) -> String {
    // The offset is theirs less ours.
    let ours = off_by(offset_millis.saturating_neg());
    format!("this machine's clock is {ours} those of most peers: please set it, or blocks will be refused")
}

fn off_by(offset_millis: i64) -> String {
    let direction = if offset_millis > 0 { "ahead of" } else { "behind" };
    format!("{} {direction}", span(offset_millis.unsigned_abs()))
}
