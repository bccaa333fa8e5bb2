//! Headers from peers: checked one by one, and added to the tree only when they show more work than our chain. Branches
//! that take more than one answer to show it are the subject of `presync`.

use quipu_protocol::check::{Parent, check_header, check_header_in_context, check_header_time};
use quipu_protocol::message::RESPONSE_HEADERS_MAX;
use quipu_protocol::{BlockId, Header, UnixMillis, Work};

use super::super::Engine;
use super::super::event::{Effect, Fault, NotFollowed, Now, PeerKey};
use super::super::peers::PeerQuestion;
use super::presync::Presync;

impl Engine {
    /// Processes headers from a peer.
    pub(super) fn on_headers(
        &mut self,
        peer: PeerKey,
        question: &PeerQuestion,
        headers: &[Header],
        now: Now,
        effects: &mut Vec<Effect>,
    ) {
        let &PeerQuestion::Headers { tip, claimed, after, .. } = question else { unreachable!("these are headers") };
        let Some(session) = self.peers.get_mut(peer) else { return };
        session.timeouts = 0;
        let presync = session.presync.take();
        let (Some(first), true) = (headers.first(), headers.len() <= RESPONSE_HEADERS_MAX) else {
            (session.exhausted_tip, session.doubtful) = (Some(tip), true);
            match presync {
                Some(presync) if presync.is_in_second_pass() => {
                    self.give_up_presync(peer, &presync, tip, NotFollowed::Undelivered, now);
                }
                first_pass => session.presync = first_pass,
            }
            return self.peers.punish(peer, Fault::WrongAnswer, effects);
        };
        let presync = match presync.filter(|presync| presync.after() == first.parent) {
            Some(presync) if presync.is_in_second_pass() => {
                return self.on_headers_again(peer, presync, headers, tip, now, effects);
            }
            first_pass => first_pass,
        };
        let (branch, new) = match self.find_branch(presync, headers, now) {
            Ok(found) => found,
            Err(fault) => return self.peers.punish(peer, fault, effects),
        };
        let (last, parent) = branch.last();
        let vetted = match self.vet(last, parent, new, now) {
            Ok(vetted) => vetted,
            Err(fault) => return self.peers.punish(peer, fault, effects),
        };
        // An answer may end anywhere. If the peer does not have the work that it claimed, the next one is empty.
        let complete = vetted.early_until.is_some() || branch.work() + vetted.work >= claimed;
        let tree = self.chain.tree();
        if tree.is_barred(branch.fork()) || (!new.is_empty() && tree.bars_child_of(branch.fork())) {
            return self.bar(peer, tip, now);
        }
        if !complete && after.is_some_and(|after| after != first.parent) {
            // The headers begin anew, which no peer does unless it is on another chain by now. Some never come to an
            // end.
            self.peers.punish(peer, Fault::WrongAnswer, effects);
        }
        self.settle_headers(peer, branch, (&new[..vetted.good], vetted.work), (tip, complete));
        if let Some(session) = self.peers.get_mut(peer) {
            session.early_until = vetted.early_until;
        }
        if let Some(until) = vetted.early_until {
            self.report_early(peer, tip, claimed, until, now);
        }
    }

    /// The branch that headers continue, and those that are new to us.
    fn find_branch<'a>(
        &self,
        presync: Option<Box<Presync>>,
        headers: &'a [Header],
        now: Now,
    ) -> Result<(Box<Presync>, &'a [Header]), Fault> {
        let tree = self.chain.tree();
        let mut below = headers[0].parent;
        let Some(mut fork) = tree.find(&below) else { return Ok((presync.ok_or(Fault::WrongAnswer)?, headers)) };
        let mut known = 0;
        for header in headers {
            if header.parent != below {
                return Err(Fault::WrongAnswer);
            }
            below = header.id();
            let Some(found) = tree.find(&below) else { break };
            (fork, known) = (found, known + 1);
        }
        if tree.is_condemned(fork) {
            return Err(Fault::WrongAnswer);
        }
        Ok((Box::new(Presync::above(fork, tree, now)), &headers[known..]))
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
            parent = parent.child(header);
            vetted.work = vetted.work + header.target.work();
            vetted.good += 1;
        }
        Ok(vetted)
    }

    /// Adds a peer's headers to the tree once they show more work than our chain. Otherwise only a branch that goes on is
    /// remembered. A peer that has no more has to report another tip than this one, before it is asked again.
    fn settle_headers(
        &mut self,
        peer: PeerKey,
        mut branch: Box<Presync>,
        (headers, work): (&[Header], Work),
        (tip, complete): (BlockId, bool),
    ) {
        let has_more = branch.work() + work > self.chain.tree().work(self.chain.tip());
        let mut best = branch.fork();
        if has_more && branch.is_empty() {
            for header in headers {
                let Some(block) = self.chain.insert_vetted(header) else { break };
                best = block;
            }
            tracing::debug!(%peer, headers = headers.len(), "headers of a chain with more work");
        }
        let Some(session) = self.peers.get_mut(peer) else { return };
        if branch.is_empty() && (has_more || headers.is_empty()) {
            session.best = Some(best);
        }
        if has_more {
            session.doubtful = false;
            if branch.is_empty() {
                session.exhausted_tip = complete.then_some(tip);
                return;
            }
        }
        branch.extend(headers, work);
        if has_more {
            branch.begin_second_pass();
        } else if complete || branch.is_too_long() {
            (session.exhausted_tip, session.doubtful) = (Some(tip), true);
            let too_long = "more headers than can be kept show no more work than ours";
            let why = if complete { "all its headers show no more work than ours" } else { too_long };
            tracing::debug!(%peer, %tip, why, "not followed");
        }
        session.presync = Some(branch).filter(|branch| !branch.is_empty());
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
