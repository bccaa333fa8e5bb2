//! Gossip in a mesh like that of gossipsub v1.1 (Vyzovitis et al. 2020, "GossipSub"), with the parameters of the real
//! node's library.
//!
//! Modelled: each node forwards accepted messages to the sessions in its mesh, except their sources; its own messages
//! go to all sessions (flood publishing); once a second the mesh is filled up or cut down, and both ends agree by GRAFT
//! and PRUNE with a backoff after a refusal. Message ids are remembered for two minutes. As in the real node, no message
//! is offered by its id (IHAVE, IWANT).
//!
//! Deliberately absent: one mesh for each topic (blocks and transactions share one), scores of peers, exchange of peers
//! in PRUNE, opportunistic grafting, IDONTWANT, and splitting of large messages.

use std::collections::HashSet;
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::Arc;

use super::link::Link;
use super::node::VirtualNode;
use super::random::Random;
use super::surroundings::Surroundings;
use super::wheel::Message;
use crate::engine::event::{Event, Gossip, PeerKey, Ticket};
use crate::protocol::encode::encode;
use crate::protocol::hash::tagged_hash;
use crate::protocol::{Announcement, Millis};

/// Mesh sizes: below the low mark a mesh is filled up to the wanted size, above the high mark it is cut down to that.
const MESH_WANTED: usize = 6;
const MESH_LOW: usize = 5;
const MESH_HIGH: usize = 8;
/// Interval between two repairs of the mesh.
pub(crate) const BEAT_MILLIS: u64 = 1_000;
/// Time that a session stays out of the mesh after a refusal by either side.
const BACKOFF: Millis = Millis::from_secs(60);
/// Minimum time that message ids are remembered. The maximum is twice as long.
const SEEN_SPAN_MIN: Millis = Millis::from_secs(120);

/// The overhead of a frame, in bytes.
const FRAME_BYTES: u64 = 64;

/// A message, shared by all its receivers.
#[derive(Debug)]
pub(crate) struct Published {
    pub(crate) gossip: Gossip,
    /// Part of a hash of the content, computed once.
    pub(crate) id: u64,
    bytes: u64,
}

impl Published {
    pub(crate) fn new(gossip: Gossip) -> Self {
        let (tag, bytes) = match &gossip {
            Gossip::Block(block) => ("block", encode(&Announcement::Whole(block.as_ref().clone()))),
            Gossip::Compact(compact) => ("block", encode(&Announcement::Compact(compact.as_ref().clone()))),
            Gossip::Transactions(bundle) => ("transactions", encode(bundle)),
        };
        let hash = tagged_hash(tag, &[&bytes]);
        let id = u64::from_le_bytes(*hash.first_chunk().expect("32 bytes hold 8"));
        Self { gossip, id, bytes: bytes.len() as u64 + FRAME_BYTES }
    }
}

/// A message that waits for its verdict.
#[derive(Debug)]
pub(crate) struct PendingMessage {
    ticket: Ticket,
    published: Arc<Published>,
    /// The sessions that have it.
    from: Vec<PeerKey>,
}

/// A hasher that returns ids unchanged: they are hashes already.
#[derive(Debug, Default)]
struct AsItIs(u64);

impl Hasher for AsItIs {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, _: &[u8]) {
        unreachable!("ids are written as one number");
    }

    fn write_u64(&mut self, id: u64) {
        self.0 = id;
    }
}

type Ids = HashSet<u64, BuildHasherDefault<AsItIs>>;

/// A node's gossip state.
#[derive(Debug, Default)]
pub(crate) struct GossipState {
    seen: Ids,
    seen_before: Ids,
    turned_at: Millis,
    judged: Vec<PendingMessage>,
    pub(crate) next_beat: Millis,
}

impl GossipState {
    /// An empty state, with a heartbeat at a random phase.
    pub(crate) fn new(now: Millis, random: &mut Random) -> Self {
        let next_beat = now + Millis(random.between(1, BEAT_MILLIS));
        Self { turned_at: now, next_beat, ..Self::default() }
    }

    /// Remembers an id, and returns whether it is new.
    fn note(&mut self, id: u64) -> bool {
        !self.seen_before.contains(&id) && self.seen.insert(id)
    }

    fn turn(&mut self, now: Millis) {
        if now >= self.turned_at + SEEN_SPAN_MIN {
            self.seen_before = std::mem::take(&mut self.seen);
            self.turned_at = now;
        }
    }

    /// The number of messages that wait for their verdict.
    pub(crate) fn judged(&self) -> usize {
        self.judged.len()
    }
}

impl VirtualNode {
    /// Publishes a message of the node's own.
    pub(crate) fn publish(&mut self, gossip: Gossip, around: &mut Surroundings<'_>) {
        let published = Arc::new(Published::new(gossip));
        if self.gossip.note(published.id) {
            for at in 0..self.links.len() {
                let shown = self.version_for(self.links[at].session, &published);
                let bytes = shown.bytes;
                self.send(at, Message::Gossip(shown), bytes, around);
            }
        }
    }

    /// The version of a message for one session: an adversary may have several.
    fn version_for(&self, session: PeerKey, published: &Arc<Published>) -> Arc<Published> {
        let other = self.adversary.as_ref().and_then(|adversary| adversary.instead(&published.gossip, session));
        other.map_or_else(|| published.clone(), |gossip| Arc::new(Published::new(gossip)))
    }

    pub(crate) fn on_gossip(&mut self, session: PeerKey, published: Arc<Published>, around: &mut Surroundings<'_>) {
        if !self.gossip.note(published.id) {
            let waiting = self.gossip.judged.iter_mut().find(|judged| judged.published.id == published.id);
            if let Some(judged) = waiting {
                judged.from.push(session);
            }
            return;
        }
        let ticket = self.new_ticket();
        let gossip = published.gossip.clone();
        self.gossip.judged.push(PendingMessage { ticket, published, from: vec![session] });
        self.handle(Event::Gossip { peer: session, ticket, gossip }, around);
    }

    /// Forwards an accepted message.
    pub(crate) fn on_verdict(&mut self, ticket: Ticket, is_good: bool, around: &mut Surroundings<'_>) {
        let at = self.gossip.judged.iter().position(|judged| judged.ticket == ticket);
        let PendingMessage { published, from, .. } =
            self.gossip.judged.swap_remove(at.expect("every message gets one verdict"));
        if !is_good {
            return;
        }
        for at in 0..self.links.len() {
            let link = &self.links[at];
            if link.in_mesh && !from.contains(&link.session) {
                self.send(at, Message::Gossip(published.clone()), published.bytes, around);
            }
        }
    }

    /// Repairs the mesh.
    pub(crate) fn beat(&mut self, around: &mut Surroundings<'_>) {
        self.gossip.next_beat = around.now + Millis(BEAT_MILLIS);
        self.repair_mesh(around);
        self.gossip.turn(around.now);
    }

    fn links_where(&self, is_wanted: impl Fn(&Link) -> bool) -> Vec<usize> {
        (0..self.links.len()).filter(|at| is_wanted(&self.links[*at])).collect()
    }

    fn mesh_len(&self) -> usize {
        self.links.iter().filter(|link| link.in_mesh).count()
    }

    fn repair_mesh(&mut self, around: &mut Surroundings<'_>) {
        let len = self.mesh_len();
        if len < MESH_LOW {
            let mut outside = self.links_where(|link| !link.in_mesh && link.backoff_until <= around.now);
            self.random.choose(&mut outside, MESH_WANTED - len);
            for at in outside.into_iter().take(MESH_WANTED - len) {
                self.graft(at, around);
            }
        } else if len > MESH_HIGH {
            let mut inside = self.links_where(|link| link.in_mesh);
            self.random.choose(&mut inside, len - MESH_WANTED);
            for at in inside.into_iter().take(len - MESH_WANTED) {
                self.prune(at, around);
            }
        }
    }

    /// Takes a new session into the mesh if that is below its low mark.
    pub(crate) fn welcome(&mut self, at: usize, around: &mut Surroundings<'_>) {
        if self.mesh_len() < MESH_LOW {
            self.graft(at, around);
        }
    }

    fn graft(&mut self, at: usize, around: &mut Surroundings<'_>) {
        self.links[at].in_mesh = true;
        self.send(at, Message::Graft, FRAME_BYTES, around);
    }

    fn prune(&mut self, at: usize, around: &mut Surroundings<'_>) {
        self.links[at].in_mesh = false;
        self.links[at].backoff_until = around.now + BACKOFF;
        self.send(at, Message::Prune, FRAME_BYTES, around);
    }

    pub(crate) fn on_graft(&mut self, at: usize, around: &mut Surroundings<'_>) {
        if self.links[at].in_mesh {
            return;
        }
        if self.links[at].backoff_until > around.now || self.mesh_len() >= MESH_HIGH {
            self.prune(at, around);
        } else {
            self.links[at].in_mesh = true;
        }
    }

    pub(crate) fn on_prune(&mut self, at: usize, now: Millis) {
        self.links[at].in_mesh = false;
        self.links[at].backoff_until = now + BACKOFF;
    }
}
