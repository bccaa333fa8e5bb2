//! Answers to peers' requests.

use std::collections::HashSet;

use quipu_protocol::message::{
    REQUEST_IDS_MAX, REQUEST_PLACES_MAX, RESPONSE_BYTES_SOFT_MAX, RESPONSE_HEADERS_MAX, RESPONSE_IDS_MAX,
};
use quipu_protocol::{BlockId, Request, Response, SignedTransaction, TransactionId};

use super::Engine;
use super::event::{Effect, Event, Fault, LoadEffect, Now, PeerEffect, PeerKey, Place, Ticket};

/// Cost of a list of pending transactions, in requests of a peer's budget: it is the longest answer to the shortest
/// question.
const PENDING_COST: u64 = 32;
/// This many transactions of a block cost as much of a peer's budget as one request: the engine gathers them, not the
/// store.
const PLACES_PER_COST: usize = 256;
/// A peer's requests that wait for the end of a reorganisation. More are refused: no honest peer has more than one.
pub(super) const DEFERRED_PER_PEER_MAX: usize = 4;

impl Engine {
    pub(super) fn on_request(
        &mut self,
        peer: PeerKey,
        ticket: Ticket,
        request: Request,
        now: Now,
        effects: &mut Vec<Effect>,
    ) {
        if self.peers.is_cut_off(peer) {
            return effects.push(Effect::Peer(PeerEffect::Reply { ticket, response: None }));
        }
        let cost = match &request {
            Request::Pending => PENDING_COST,
            Request::BlockTransactions { places, .. } => 1 + (places.len() / PLACES_PER_COST) as u64,
            _ => 1,
        };
        let within_budget = self.peers.get_quietly(peer).is_some_and(|session| session.requests.take(cost, now));
        if !within_budget || is_request_malformed(&request) {
            let why = if within_budget { "malformed" } else { "more requests than its share" };
            tracing::debug!(%peer, why, "request refused");
            let fault = if within_budget { Fault::Malformed } else { Fault::Flood };
            self.peers.punish(peer, fault, effects);
            return effects.push(Effect::Peer(PeerEffect::Reply { ticket, response: None }));
        }
        let response = match request {
            Request::Status(status) => {
                self.on_status(peer, status, now, effects);
                Response::Status(self.status(now))
            }
            Request::Headers { locator } => {
                Response::Headers(self.chain.headers_after(&locator, RESPONSE_HEADERS_MAX).into())
            }
            Request::Blocks { ids } => {
                let serve = LoadEffect::Serve { ticket, places: self.stored_places(&ids) };
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
    pub(super) fn defer(&mut self, event: Event, effects: &mut Vec<Effect>) {
        if let Event::Request { peer, ticket, .. } = &event {
            let is_of_peer = |other: &&Event| matches!(other, Event::Request { peer: of, .. } if of == peer);
            if self.deferred.iter().filter(is_of_peer).count() >= DEFERRED_PER_PEER_MAX {
                self.peers.punish(*peer, Fault::Flood, effects);
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
