//! Headers from peers: checked one by one, and added to the index only when they show more work than our chain.

use quipu_protocol::check::{Parent, check_header, check_header_in_context, check_header_time};
use quipu_protocol::message::RESPONSE_HEADERS_MAX;
use quipu_protocol::{BlockId, Header, Work};

use super::super::Engine;
use super::super::event::{Effect, Fault, Now, PeerKey};
use super::super::peers::Candidate;

/// Headers of a chain with less work than ours that are kept for a peer, at least. One that needs many more to
/// overtake us is given up until it tells of another tip.
const CANDIDATE_HEADERS_MIN: u64 = 65_536;

impl Engine {
    /// Takes in headers that a peer was asked for.
    pub(super) fn on_headers(
        &mut self,
        peer: PeerKey,
        claimed: Work,
        headers: Vec<Header>,
        now: Now,
        effects: &mut Vec<Effect>,
    ) {
        let Some(session) = self.peers.get_mut(peer) else { return };
        session.timeouts = 0;
        let mut candidate = std::mem::take(&mut session.candidate);
        let tip = session.status.as_ref().map(|status| status.tip);
        let (Some(first), true) = (headers.first(), headers.len() <= RESPONSE_HEADERS_MAX) else {
            session.exhausted_tip = tip;
            return self.peers.punish(peer, Fault::WrongAnswer, effects);
        };
        let mut complete = headers.len() < RESPONSE_HEADERS_MAX;
        let known_parent = self.chain.index().find(&first.parent);
        let (parent, base) = match (candidate.headers.last(), known_parent) {
            (Some(last), _) if candidate.last == Some(first.parent) => (Parent::from(last), candidate.work),
            (_, Some(known)) if !self.chain.index().is_condemned(known) => {
                candidate = Candidate::default();
                (self.chain.index().as_parent(known), self.chain.index().work(known))
            }
            _ => return self.peers.punish(peer, Fault::WrongAnswer, effects),
        };
        match self.vet(first.parent, parent, &headers, now) {
            Ok((good, work)) => {
                complete |= good < headers.len();
                candidate.work = base + work;
                candidate.headers.extend(&headers[..good]);
                candidate.last = candidate.headers.last().map(Header::id);
            }
            Err(fault) => return self.peers.punish(peer, fault, effects),
        }
        let all_came = headers.len() < RESPONSE_HEADERS_MAX && candidate.headers.last() == headers.last();
        if all_came && candidate.work < claimed {
            // It told of work that it does not have.
            self.peers.punish(peer, Fault::WrongAnswer, effects);
        }
        self.settle_candidate(peer, candidate, complete, tip);
    }

    /// Checks that headers follow each other and keep the rules. Gives how many do before the first one that is too
    /// early, and their work.
    fn vet(
        &self,
        mut below: BlockId,
        mut parent: Parent,
        headers: &[Header],
        now: Now,
    ) -> Result<(usize, Work), Fault> {
        let mut work = Work::ZERO;
        for (good, header) in headers.iter().enumerate() {
            if header.parent != below {
                return Err(Fault::WrongAnswer);
            }
            below = check_header(header, &self.network).map_err(Fault::Invalid)?;
            check_header_in_context(header, &parent, &self.network).map_err(Fault::Invalid)?;
            if check_header_time(header, now.unix, &self.network).is_err() {
                return Ok((good, work));
            }
            parent = Parent::from(header);
            work = work + header.target.work();
        }
        Ok((headers.len(), work))
    }

    /// Adds a peer's headers to the index once they show more work than our chain, and else keeps or forgets them.
    fn settle_candidate(&mut self, peer: PeerKey, candidate: Candidate, complete: bool, tip: Option<BlockId>) {
        let has_more = candidate.work > self.chain.index().work(self.chain.tip());
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
            // Where headers end before the tip that was told of, it has to tell of another first.
            session.exhausted_tip = tip.filter(|_| complete);
            return;
        }
        let ours = candidate.headers.first().map_or(0, |first| self.chain.tip_place().height - first.height);
        let Some(session) = self.peers.get_mut(peer) else { return };
        if complete || candidate.headers.len() as u64 > CANDIDATE_HEADERS_MIN.max(4 * ours) {
            session.exhausted_tip = tip;
        } else {
            session.candidate = candidate;
        }
    }
}
