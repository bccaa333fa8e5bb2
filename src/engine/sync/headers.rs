//! Headers from peers: checked one by one, and added to the tree only when they show more work than our chain.

use quipu_protocol::check::{Parent, check_header, check_header_in_context, check_header_time};
use quipu_protocol::message::RESPONSE_HEADERS_MAX;
use quipu_protocol::{BlockId, Header, UnixMillis, Work};

use super::super::Engine;
use super::super::event::{Effect, Fault, Now, PeerKey};
use super::super::peers::{Candidate, PeerQuestion};

/// The least number of headers of a chain with less work than ours that are kept for a peer. A chain that needs many
/// more to overtake us is given up until the peer reports another tip.
const CANDIDATE_HEADERS_MIN: usize = 65_536;

/// The number of headers kept for a peer of a branch that has not overtaken this many of our blocks.
pub(crate) fn candidate_headers_max(ours: u64) -> usize {
    CANDIDATE_HEADERS_MIN.max(usize::try_from(4 * ours).unwrap_or(usize::MAX))
}

impl Engine {
    /// Processes headers from a peer.
    pub(super) fn on_headers(
        &mut self,
        peer: PeerKey,
        question: &PeerQuestion,
        headers: Vec<Header>,
        now: Now,
        effects: &mut Vec<Effect>,
    ) {
        let &PeerQuestion::Headers { tip, claimed, after, .. } = question else { unreachable!("these are headers") };
        let Some(session) = self.peers.get_mut(peer) else { return };
        session.timeouts = 0;
        let mut candidate = std::mem::take(&mut session.candidate);
        let is_full = headers.len() == RESPONSE_HEADERS_MAX;
        let (Some(first), true) = (headers.first(), headers.len() <= RESPONSE_HEADERS_MAX) else {
            (session.exhausted_tip, session.doubtful) = (Some(tip), true);
            return self.peers.punish(peer, Fault::WrongAnswer, effects);
        };
        let known_parent = self.chain.tree().find(&first.parent);
        let (parent, base) = match (candidate.headers.last(), known_parent) {
            (Some(last), _) if candidate.last == Some(first.parent) => (Parent::from(last), candidate.work),
            (_, Some(known)) if !self.chain.tree().is_condemned(known) => {
                candidate = Candidate::default();
                (self.chain.tree().as_parent(known), self.chain.tree().work(known))
            }
            _ => return self.peers.punish(peer, Fault::WrongAnswer, effects),
        };
        let vetted = match self.vet(first.parent, parent, &headers, now) {
            Ok(vetted) => vetted,
            Err(fault) => return self.peers.punish(peer, fault, effects),
        };
        candidate.work = base + vetted.work;
        candidate.headers.extend(&headers[..vetted.good]);
        candidate.last = candidate.headers.last().map(Header::id);
        if !is_full && vetted.early_until.is_none() && candidate.work < claimed {
            // The peer claimed work that it does not have.
            self.peers.punish(peer, Fault::WrongAnswer, effects);
        }
        if self.chain.bars(&candidate.headers) {
            return self.bar(peer, tip, now);
        }
        if is_full && after.is_some_and(|after| after != first.parent) {
            // The headers begin anew, which no peer does unless it is on another chain by now. Some never come to an
            // end.
            self.peers.punish(peer, Fault::WrongAnswer, effects);
        }
        let complete = !is_full || vetted.early_until.is_some();
        self.settle_candidate(peer, candidate, tip, complete);
        if let Some(session) = self.peers.get_mut(peer) {
            session.early_until = vetted.early_until;
        }
    }

    /// Checks that headers follow each other and keep the rules, up to the first one that is too early.
    fn vet(&self, mut below: BlockId, mut parent: Parent, headers: &[Header], now: Now) -> Result<Vetted, Fault> {
        let mut vetted = Vetted { good: 0, work: Work::ZERO, early_until: None };
        for header in headers {
            if header.parent != below {
                return Err(Fault::WrongAnswer);
            }
            below = check_header(header, &self.network).map_err(Fault::Invalid)?;
            check_header_in_context(header, &parent, &self.network).map_err(Fault::Invalid)?;
            if check_header_time(header, now.unix, &self.network).is_err() {
                let until = header.timestamp.0.saturating_sub(self.network.parameters().future_time_max.0);
                vetted.early_until = Some(UnixMillis(until));
                break;
            }
            parent = Parent::from(header);
            vetted.work = vetted.work + header.target.work();
            vetted.good += 1;
        }
        Ok(vetted)
    }

    /// Adds a peer's headers to the tree once they show more work than our chain, and else keeps or forgets them. If
    /// they are `complete`, the peer has to report another tip before it is asked for more.
    fn settle_candidate(&mut self, peer: PeerKey, candidate: Candidate, tip: BlockId, complete: bool) {
        let has_more = candidate.work > self.chain.tree().work(self.chain.tip());
        if has_more {
            let mut best = None;
            for header in &candidate.headers {
                best = self.chain.insert_vetted(header);
                if best.is_none() {
                    break;
                }
            }
            let Some(session) = self.peers.get_mut(peer) else { return };
            session.best = best.or(session.best);
            session.exhausted_tip = complete.then_some(tip);
            session.doubtful = false;
            tracing::debug!(%peer, headers = candidate.headers.len(), "headers of a chain with more work");
            return;
        }
        let ours =
            candidate.headers.first().map_or(0, |first| self.chain.tip_place().height.saturating_since(first.height));
        let too_long = candidate.headers.len() > candidate_headers_max(ours);
        let Some(session) = self.peers.get_mut(peer) else { return };
        if complete || too_long {
            let why = if complete {
                "all its headers show no more work than ours"
            } else {
                "too many headers for their work"
            };
            tracing::debug!(%peer, %tip, headers = candidate.headers.len(), why, "candidate dropped");
            (session.exhausted_tip, session.doubtful) = (Some(tip), true);
        } else {
            session.candidate = candidate;
        }
    }
}

/// The valid part of some headers.
struct Vetted {
    /// The number of valid headers, from the first.
    good: usize,
    work: Work,
    /// The time at which the next header is not too early any more, if it is now.
    early_until: Option<UnixMillis>,
}
