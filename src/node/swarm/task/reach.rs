//! Whether anybody can be reached, and what the user can do about it. Nothing of this is an error anywhere.

use std::time::{Duration, Instant};

use libp2p::Multiaddr;

use super::SwarmTask;
use crate::node::event::UserEvent;
use crate::node::swarm::address::{for_others, ip_of, is_link_local, port_of};
use crate::node::swarm::failure::ONLY_LINK_LOCAL;

/// The node's addresses are judged once they have not changed for this long: they come one by one.
const LISTENS_SETTLE_TIMEOUT: Duration = Duration::from_secs(3);
/// A node that looks for others and has found nobody by then says what to try.
const ALONE_TIMEOUT: Duration = Duration::from_secs(20);

/// What is still to be told.
#[derive(Debug)]
pub(super) struct Reach {
    listens_judged_at: Option<Instant>,
    /// None once somebody was found, or the user was told.
    alone_until: Option<Instant>,
}

impl Reach {
    pub(super) fn new(now: Instant) -> Self {
        Self { listens_judged_at: None, alone_until: Some(now + ALONE_TIMEOUT) }
    }

    pub(super) fn listens_changed(&mut self, now: Instant) {
        self.listens_judged_at = Some(now + LISTENS_SETTLE_TIMEOUT);
    }

    pub(super) fn found_somebody(&mut self) {
        self.alone_until = None;
    }
}

impl SwarmTask {
    /// Tells the user, once, what nobody else will tell.
    pub(super) fn judge_reach(&mut self, now: Instant) {
        let are_listens_due = self.reach.listens_judged_at.take_if(|at| *at <= now).is_some();
        let is_alone = self.reach.alone_until.take_if(|until| *until <= now).is_some();
        if !are_listens_due && !is_alone {
            return;
        }
        let listens: Vec<Multiaddr> = self.listens.iter().map(|(_, address)| address.clone()).collect();
        if are_listens_due && has_only_link_local(&listens) {
            (self.tell_user)(UserEvent::Warning(ONLY_LINK_LOCAL.to_owned()));
        }
        if is_alone && let Some(advice) = alone(self.config.mdns, !self.config.peers.is_empty(), &listens) {
            (self.tell_user)(UserEvent::Warning(advice));
        }
    }
}

fn has_only_link_local(listens: &[Multiaddr]) -> bool {
    let mut abroad = listens.iter().filter(|address| !is_loopback(address)).peekable();
    abroad.peek().is_some() && abroad.all(is_link_local)
}

fn is_loopback(address: &Multiaddr) -> bool {
    ip_of(address).is_some_and(|ip| ip.is_loopback())
}

/// What to try, if the node looks for others at all.
fn alone(has_mdns: bool, has_peers: bool, listens: &[Multiaddr]) -> Option<String> {
    let problem = match (has_mdns, has_peers) {
        (false, false) => return None,
        (true, false) => {
            "no other node found so far. Not every network passes multicast on, those of schools and guests least"
        }
        (_, true) => "no other node reached so far",
    };
    let here = for_others(listens);
    let Some((ip, port)) =
        here.iter().filter(|address| !is_link_local(address)).find_map(|address| ip_of(address).zip(port_of(address)))
    else {
        return Some(format!(
            "{problem}. This machine has no address at which others could reach it: is it on a network?"
        ));
    };
    let address = std::net::SocketAddr::new(ip, port);
    let where_from = if ip.is_loopback() { "At another node of this machine" } else { "At another node" };
    Some(format!("{problem}. {where_from}, type `connect {address}`, or start it with `--peer {address}`"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addresses(texts: &[&str]) -> Vec<Multiaddr> {
        texts.iter().map(|text| text.parse().expect("a multiaddr")).collect()
    }

    #[test]
    fn link_local_alone_reaches_nobody() {
        for (listens, is_cut_off) in [
            (vec!["/ip6/::1/tcp/1", "/ip6/fe80::1/tcp/1"], true),
            (vec!["/ip4/127.0.0.1/tcp/1"], false),
            (vec!["/ip6/fe80::1/tcp/1", "/ip4/10.0.0.1/tcp/1"], false),
            (vec![], false),
        ] {
            assert_eq!(has_only_link_local(&addresses(&listens)), is_cut_off, "{listens:?}");
        }
    }

    #[test]
    fn a_node_that_is_alone_says_what_to_type_elsewhere() {
        let listens = addresses(&["/ip4/127.0.0.1/tcp/1", "/ip6/fe80::1/tcp/1", "/ip4/10.0.0.1/tcp/1"]);
        let advice = |mdns, peers, listens: &[Multiaddr]| alone(mdns, peers, listens).unwrap_or_default();
        assert!(advice(true, false, &listens).contains("multicast"));
        assert!(advice(true, false, &listens).contains("At another node, type `connect 10.0.0.1:1`"));
        assert!(!advice(false, true, &listens).contains("multicast"));
        assert_eq!(advice(false, false, &listens), "", "it looks for nobody");
        assert!(
            advice(false, true, &addresses(&["/ip6/::1/tcp/1"])).contains("of this machine, type `connect [::1]:1`")
        );
        assert!(advice(true, false, &addresses(&["/ip6/fe80::1/tcp/1"])).contains("is it on a network?"));
    }
}
