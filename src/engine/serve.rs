//! Answers to peers' requests.

use std::collections::HashSet;

use quipu_protocol::message::{
    REQUEST_IDS_MAX, REQUEST_PLACES_MAX, RESPONSE_BYTES_SOFT_MAX, RESPONSE_HEADERS_MAX, RESPONSE_IDS_MAX,
};
use quipu_protocol::{BlockId, Millis, Request, Response, SignedTransaction, TransactionId};

use super::Engine;
use super::event::{Effect, Event, Fault, LoadEffect, Now, PeerEffect, PeerKey, Place, Ticket};
use super::peers::PeerState;

/// This many ids of pending transactions cost as much of a peer's budget as one request: a list of them is the longest
/// answer to the shortest question.
const IDS_PER_COST: usize = 1_024;
/// This many transactions of a block cost as much of a peer's budget as one request: the engine gathers them, not the
/// store.
const PLACES_PER_COST: usize = 256;
/// A peer's requests that wait for the end of a reorganisation. More are refused: no honest peer has more than one.
pub(super) const DEFERRED_PER_PEER_MAX: usize = 4;

/// A peer's requests that wait for its budget, and those of all peers. More are refused: no honest peer has that many
/// under way.
pub(super) const DELAYED_PER_PEER_MAX: usize = 4;
pub(super) const DELAYED_MAX: usize = 256;

/// Requests for blocks of one peer, and of all peers, whose blocks are being read. Further ones wait: they would queue up
/// with all the places that they name, even if their peer is long gone.
pub(super) const SERVING_PER_PEER_MAX: usize = 4;
pub(super) const SERVING_MAX: usize = 256;

impl Engine {
    pub(super) fn on_request(
        &mut self,
        peer: PeerKey,
        ticket: Ticket,
        request: Request,
        now: Now,
        effects: &mut Vec<Effect>,
    ) {
        let refuse = |effects: &mut Vec<Effect>| {
            effects.push(Effect::Peer(PeerEffect::Reply { ticket, response: None }));
        };
        if self.peers.is_cut_off(peer) {
            return refuse(effects);
        }
        if is_request_malformed(&request) {
            tracing::debug!(%peer, why = "malformed", "request refused");
            self.peers.punish(peer, Fault::Malformed, effects);
            return refuse(effects);
        }
        if self.may_answer(peer, &request, now) {
            return self.answer_request(peer, ticket, request, now, effects);
        }
        let is_full = self.delayed >= DELAYED_MAX;
        let waits_for_reader = self.waits_for_reader(peer, &request);
        let session = self.peers.get_quietly(peer).expect("a session that is not cut off");
        if is_full || session.delayed.len() >= DELAYED_PER_PEER_MAX {
            tracing::debug!(%peer, why = "more requests than its share", "request refused");
            // A slow disk is nobody's fault.
            if !waits_for_reader {
                self.peers.note_flood(peer, now, effects);
            }
            return refuse(effects);
        }
        session.delayed.push_back((ticket, request));
        self.delayed += 1;
    }

    /// Whether a request is within its peer's budget, behind those that wait; if so, takes its cost.
    fn may_answer(&mut self, peer: PeerKey, request: &Request, now: Now) -> bool {
        let (cost, bytes) = (self.cost_of(request), self.block_bytes_of(request) as u64);
        if self.peers.is_cut_off(peer) {
            return false;
        }
        let waits_for_reader = self.waits_for_reader(peer, request);
        let Some(session) = self.peers.get_quietly(peer).filter(|session| session.delayed.is_empty()) else {
            return false;
        };
        if waits_for_reader {
            return false;
        }
        // Both or none: a request that waits is looked at again and again.
        session.block_bytes.has(bytes, now) && session.requests.take(cost, now) && session.block_bytes.take(bytes, now)
    }

    /// Whether a request is for blocks, while others that are being read must be served first.
    fn waits_for_reader(&self, peer: PeerKey, request: &Request) -> bool {
        let of_peer = || self.peers.get(peer).map_or(0, |session| session.serving);
        matches!(request, Request::Blocks { .. }) && (self.serving >= SERVING_MAX || of_peer() >= SERVING_PER_PEER_MAX)
    }

    /// Records that the blocks of a request were read.
    pub(super) fn on_served(&mut self, peer: PeerKey, unused_bytes: usize) {
        self.serving -= 1;
        if let Some(session) = self.peers.get_quietly(peer) {
            session.serving -= 1;
            session.block_bytes.give_back(unused_bytes as u64);
        }
    }

    /// The number of requests whose blocks are being read.
    pub(super) fn serving(&self) -> usize {
        self.serving
    }

    /// Answers the requests whose time has come.
    pub(super) fn answer_delayed(&mut self, now: Now, effects: &mut Vec<Effect>) {
        if self.delayed == 0 || self.chain.is_reorganising() {
            return;
        }
        self.catch_up_pool();
        let waiting = self.peers.iter().filter(|(_, session)| !session.delayed.is_empty());
        for peer in waiting.map(|(peer, _)| peer).collect::<Vec<_>>() {
            let session = self.peers.get_quietly(peer).expect("the list was just made");
            let mut waiting = std::mem::take(&mut session.delayed);
            while let Some((ticket, request)) = waiting.pop_front() {
                if !self.may_answer(peer, &request, now) {
                    waiting.push_front((ticket, request));
                    break;
                }
                self.delayed -= 1;
                self.answer_request(peer, ticket, request, now, effects);
            }
            self.peers.get_quietly(peer).expect("answers end no session").delayed = waiting;
        }
    }

    /// The time at which the first request that waits may be answered.
    pub(super) fn delayed_due(&self) -> Option<Millis> {
        if self.delayed == 0 || self.chain.is_reorganising() {
            return None;
        }
        let due = |peer: PeerKey, session: &PeerState| {
            let (_, request) = session.delayed.front()?;
            // The next read ends with an event.
            if self.waits_for_reader(peer, request) {
                return None;
            }
            let bytes = self.block_bytes_of(request) as u64;
            Some(session.requests.ready_at(self.cost_of(request)).max(session.block_bytes.ready_at(bytes)))
        };
        let waiting = self.peers.iter().filter(|(peer, _)| !self.peers.is_cut_off(*peer));
        waiting.filter_map(|(peer, session)| due(peer, session)).min()
    }

    /// Refuses the requests of a session that has ended.
    pub(super) fn refuse_delayed(&mut self, session: &PeerState, effects: &mut Vec<Effect>) {
        self.delayed -= session.delayed.len();
        let refusal = |(ticket, _): &(Ticket, Request)| PeerEffect::Reply { ticket: *ticket, response: None };
        effects.extend(session.delayed.iter().map(|waiting| Effect::Peer(refusal(waiting))));
    }

    /// The number of requests that wait for their peers' budgets.
    pub(super) fn delayed(&self) -> usize {
        self.delayed
    }

    /// The cost of a request, in requests of a peer's budget.
    fn cost_of(&self, request: &Request) -> u64 {
        match request {
            Request::Pending => pending_cost(self.mempool.len()),
            Request::BlockTransactions { places, .. } => block_transactions_cost(places.len()),
            _ => 1,
        }
    }

    /// The most bytes of blocks in the answer to a request.
    fn block_bytes_of(&self, request: &Request) -> usize {
        let Request::Blocks { ids } = request else { return 0 };
        let block_bytes = self.network.block_bytes_max();
        ids.len().saturating_mul(block_bytes).min(RESPONSE_BYTES_SOFT_MAX.max(block_bytes))
    }

    fn answer_request(&mut self, peer: PeerKey, ticket: Ticket, request: Request, now: Now, effects: &mut Vec<Effect>) {
        let bytes_max = self.block_bytes_of(&request);
        let response = match request {
            Request::Status(status) => {
                self.on_status(peer, status, now, effects);
                Response::Status(self.status(now))
            }
            Request::Headers { locator } => {
                Response::Headers(self.chain.headers_after(&locator, RESPONSE_HEADERS_MAX).into())
            }
            Request::Blocks { ids } => {
                self.serving += 1;
                if let Some(session) = self.peers.get_quietly(peer) {
                    session.serving += 1;
                }
                let serve = LoadEffect::Serve { peer, ticket, places: self.stored_places(&ids), bytes_max };
                return self.gate.emit_after(self.gate.emitted(), serve, effects);
            }
            Request::Pending => Response::Pending(self.mempool.best_ids(RESPONSE_IDS_MAX).into()),
            Request::Transactions { ids } => {
                let transactions = self.pending_transactions(&ids);
                return self.reply_with(
                    ticket,
                    Some(transactions),
                    |list| Response::Transactions(list.into()),
                    effects,
                );
            }
            Request::BlockTransactions { block, places } => {
                let transactions = self.block_transactions(&block, &places);
                let response = |list: Vec<SignedTransaction>| Response::BlockTransactions(list.into());
                return self.reply_with(ticket, transactions, response, effects);
            }
        };
        effects.push(Effect::Peer(PeerEffect::Reply { ticket, response: Some(response) }));
    }

    /// Answers with transactions when those of the node's own user among them are durable; `None` refuses the request.
    fn reply_with(
        &mut self,
        ticket: Ticket,
        transactions: Option<Vec<SignedTransaction>>,
        response: impl FnOnce(Vec<SignedTransaction>) -> Response,
        effects: &mut Vec<Effect>,
    ) {
        let genesis = self.network.genesis_id();
        let shown = transactions.iter().flatten();
        let after = self.gate.batch_of_own(shown.map(|signed| signed.transaction.id(&genesis)));
        let reply = PeerEffect::Reply { ticket, response: transactions.map(response) };
        self.gate.emit_after(after, reply, effects);
    }

    /// Keeps a command, or a peer's request, until the end of a reorganisation.
    pub(super) fn defer(&mut self, event: Event, now: Now, effects: &mut Vec<Effect>) {
        if let Event::Request { peer, ticket, .. } = &event {
            let is_of_peer = |other: &&Event| matches!(other, Event::Request { peer: of, .. } if of == peer);
            if self.deferred.iter().filter(is_of_peer).count() >= DEFERRED_PER_PEER_MAX {
                self.peers.note_flood(*peer, now, effects);
                return effects.push(Effect::Peer(PeerEffect::Reply { ticket: *ticket, response: None }));
            }
        }
        self.deferred.push(event);
    }

    /// Refuses the deferred requests of a peer that has left.
    pub(super) fn refuse_deferred(&mut self, peer: PeerKey, effects: &mut Vec<Effect>) {
        let is_theirs = |event: &mut Event| matches!(event, Event::Request { peer: of, .. } if *of == peer);
        for event in self.deferred.extract_if(.., is_theirs) {
            if let Event::Request { ticket, .. } = event {
                effects.push(Effect::Peer(PeerEffect::Reply { ticket, response: None }));
            }
        }
    }

    /// The places of those blocks that are in the store, each once. The shell reads as many as fit into a response.
    fn stored_places(&self, ids: &[BlockId]) -> Vec<Place> {
        let tree = self.chain.tree();
        let mut named = HashSet::new();
        let stored = ids.iter().filter_map(|id| tree.find(id)).filter(|block| self.chain.is_stored(*block));
        stored.filter(|block| named.insert(*block)).map(|block| tree.place(block)).collect()
    }

    /// Transactions of a block in memory; `None` if it is not there, or has none at one of the positions.
    fn block_transactions(&self, id: &BlockId, places: &[u32]) -> Option<Vec<SignedTransaction>> {
        let block = self.chain.cached(self.chain.tree().find(id)?)?;
        let at = |place: &u32| Some(block.transactions().get(*place as usize)?.signed().clone());
        places.iter().map(at).collect()
    }

    fn pending_transactions(&self, ids: &[TransactionId]) -> Vec<SignedTransaction> {
        let mut bytes = 0;
        let mut named = HashSet::new();
        let waiting = ids.iter().filter(|id| named.insert(**id)).filter_map(|id| self.mempool.get(id));
        let fitting = waiting.take_while(|transaction| {
            bytes += transaction.length();
            bytes <= RESPONSE_BYTES_SOFT_MAX
        });
        fitting.map(|transaction| transaction.signed().clone()).collect()
    }
}

/// The cost of a list of so many pending transactions, in requests.
pub(super) fn pending_cost(ids: usize) -> u64 {
    1 + (ids.min(RESPONSE_IDS_MAX) / IDS_PER_COST) as u64
}

/// The cost of so many transactions of a block, in requests.
pub(super) fn block_transactions_cost(places: usize) -> u64 {
    1 + (places / PLACES_PER_COST) as u64
}

/// Whether a request names more than the protocol allows, or positions that are not in order.
fn is_request_malformed(request: &Request) -> bool {
    let ids = match request {
        Request::Status(_) | Request::Pending => 0,
        Request::Headers { locator } => locator.len(),
        Request::Blocks { ids } => ids.len(),
        Request::Transactions { ids } => ids.len(),
        Request::BlockTransactions { places, .. } => {
            return places.len() > REQUEST_PLACES_MAX || places.windows(2).any(|pair| pair[0] >= pair[1]);
        }
    };
    ids > REQUEST_IDS_MAX
}
