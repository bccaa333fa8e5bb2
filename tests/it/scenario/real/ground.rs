//! The links between nodes: on loopback, or a LAN of namespaces on which they find each other by mDNS.
//!
//! Always true: after each call, nodes that can see each other are connected, and separated nodes know it. Only a
//! [`LinkFault`] leaves that to the nodes.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use super::Member;
use super::link::ProxyLink;
use crate::harness::{Lan, Node, NodeOptions};
use crate::scenario::outcome::Trouble;
use crate::scenario::runner::COMMAND_TIMEOUT;
use crate::scenario::script::{LinkFault, WITHIN};

/// The longest pause before a connection is looked at again.
const GLANCE: Duration = Duration::from_millis(100);

/// Nodes by name.
type Members = BTreeMap<String, Member>;

/// The ground on which a script runs.
#[derive(Debug)]
pub(crate) struct Ground {
    kind: GroundKind,
    /// The sides of a cut; empty if there is none.
    sides: Vec<Vec<String>>,
}

#[derive(Debug)]
enum GroundKind {
    /// The links, by the dialling and the listening node.
    Loopback(BTreeMap<(String, String), ProxyLink>),
    /// Machine 1 is the first node.
    Lan { lan: Lan, machines: Vec<String> },
}

impl Ground {
    /// The ground on this machine alone.
    pub(crate) fn loopback() -> Self {
        Self { kind: GroundKind::Loopback(BTreeMap::new()), sides: Vec::new() }
    }

    /// A LAN with a machine for each of these nodes.
    pub(crate) fn lan(nodes: &[String]) -> Self {
        Self { kind: GroundKind::Lan { lan: Lan::up(nodes.len()), machines: nodes.to_vec() }, sides: Vec::new() }
    }

    /// The options of a node here.
    pub(super) fn options(&self, name: &str) -> NodeOptions {
        match &self.kind {
            GroundKind::Loopback(_) => NodeOptions::default(),
            GroundKind::Lan { lan, machines } => lan.options(machine(machines, name)),
        }
    }

    /// Connects new nodes.
    pub(super) fn joined(&mut self, members: &Members, names: &[String], apart: bool) -> Result<(), Trouble> {
        if apart {
            return self.loopback_only("start … apart").map(drop);
        }
        if let GroundKind::Loopback(links) = &mut self.kind {
            for name in names {
                for other in members.keys().filter(|other| *other != name) {
                    let is_there = links.contains_key(&(other.clone(), name.clone()));
                    if !is_there {
                        links.insert((name.clone(), other.clone()), link()?);
                    }
                }
            }
        }
        self.settle(members)
    }

    /// Adds a link between two nodes.
    pub(super) fn connect(&mut self, members: &Members, from: &str, to: &str) -> Result<(), Trouble> {
        let links = self.loopback_only("connect")?;
        let key = (from.to_owned(), to.to_owned());
        if links.contains_key(&key) || links.contains_key(&(to.to_owned(), from.to_owned())) {
            return Err(Trouble::new("two nodes without a link", "they have one", &[]));
        }
        links.insert(key, link()?);
        self.settle(members)
    }

    /// Separates the sides.
    pub(super) fn cut(&mut self, members: &Members, sides: &[Vec<String>]) -> Result<(), Trouble> {
        self.sides = sides.to_vec();
        if let GroundKind::Lan { lan, machines } = &self.kind {
            let numbers = |side: &Vec<String>| side.iter().map(|name| machine(machines, name)).collect();
            lan.part(&sides.iter().map(numbers).collect::<Vec<_>>());
        }
        self.settle(members)
    }

    /// Puts a fault on a link.
    pub(super) fn hamper(&mut self, fault: LinkFault, from: &str, to: &str) -> Result<(), Trouble> {
        let links = self.loopback_only("a fault of one link")?;
        let (dialler, listener) = (from.to_owned(), to.to_owned());
        if let Some(link) = links.get(&(dialler.clone(), listener.clone())) {
            link.hamper(fault, true);
        } else if let Some(link) = links.get(&(listener, dialler)) {
            link.hamper(fault, false);
        } else {
            return Err(Trouble::new(format!("a link between {from} and {to}"), "there is none", &[]));
        }
        Ok(())
    }

    /// Mends everything.
    pub(super) fn heal(&mut self, members: &Members) -> Result<(), Trouble> {
        self.sides.clear();
        match &self.kind {
            GroundKind::Lan { lan, .. } => lan.join(),
            GroundKind::Loopback(links) => {
                // Held messages are as good as lost: their connections are made anew, or are about to break.
                let hampered = links.iter().filter(|(_, link)| link.is_hampered());
                let hampered: Vec<_> = hampered.inspect(|(_, link)| link.cut()).collect();
                for ((dialler, listener), link) in hampered {
                    wait(members, dialler, listener, false)?;
                    link.mend();
                }
            }
        }
        self.settle(members)
    }

    /// Adjusts the links, and waits until the nodes know. To be called when nodes came or went.
    pub(super) fn settle(&self, members: &Members) -> Result<(), Trouble> {
        let all: Vec<_> = match &self.kind {
            GroundKind::Loopback(links) => links.keys().cloned().collect(),
            GroundKind::Lan { machines, .. } => {
                let pairs = machines
                    .iter()
                    .enumerate()
                    .flat_map(|(at, name)| machines[at + 1..].iter().map(|other| (name.clone(), other.clone())));
                pairs.collect()
            }
        };
        let is_up = |name: &String| members.get(name).is_some_and(|member| member.up);
        let side = |name: &String| self.sides.iter().position(|side| side.contains(name));
        let (together, apart): (Vec<_>, Vec<_>) =
            all.into_iter().partition(|(from, to)| is_up(from) && is_up(to) && side(from) == side(to));
        if let GroundKind::Loopback(links) = &self.kind {
            for pair in &apart {
                links[pair].cut();
            }
        }
        for (from, to) in &apart {
            wait(members, from, to, false)?;
        }
        if let GroundKind::Loopback(links) = &self.kind {
            let cut: Vec<_> = together.iter().filter(|pair| links[pair].is_cut()).collect();
            for pair in &cut {
                links[*pair].lead_to(Some(listens(&members[&pair.1].node)));
                links[*pair].open();
            }
            // A node redials by itself. A command is quicker, with the same result.
            std::thread::scope(|scope| {
                for (dialler, member) in members {
                    let mine = cut.iter().filter(|pair| pair.0 == *dialler).map(|pair| links[*pair].multiaddr());
                    let mine: Vec<_> = mine.collect();
                    scope.spawn(move || {
                        for address in mine {
                            // The result is ignored: the connection is checked below.
                            let _ = member.node.try_ask(&format!("connect {address}"), COMMAND_TIMEOUT);
                        }
                    });
                }
            });
        }
        // A fault of its own may keep two nodes apart.
        let is_hampered = |pair: &(String, String)| match &self.kind {
            GroundKind::Loopback(links) => links[pair].is_hampered(),
            GroundKind::Lan { .. } => false,
        };
        for (from, to) in together.iter().filter(|pair| !is_hampered(pair)) {
            wait(members, from, to, true)?;
        }
        Ok(())
    }

    fn loopback_only(&mut self, what: &str) -> Result<&mut BTreeMap<(String, String), ProxyLink>, Trouble> {
        match &mut self.kind {
            GroundKind::Loopback(links) => Ok(links),
            GroundKind::Lan { .. } => {
                Err(Trouble::new(format!("{what} on loopback"), "this is a LAN: run the script without --lan", &[]))
            }
        }
    }
}

fn machine(machines: &[String], name: &str) -> usize {
    1 + machines.iter().position(|machine| machine == name).expect("the script names all nodes")
}

/// A link that is cut until [`Ground::settle`] looks at it.
fn link() -> Result<ProxyLink, Trouble> {
    let link = ProxyLink::new().map_err(|error| Trouble::new("a link on loopback", error.to_string(), &[]))?;
    link.cut();
    Ok(link)
}

fn listens(node: &Node) -> SocketAddr {
    let listen = node.listen();
    let port = listen.split('/').nth(4).and_then(|port| port.parse::<u16>().ok()).expect("/ip4/127.0.0.1/tcp/PORT");
    SocketAddr::from(([127, 0, 0, 1], port))
}

/// Waits until the running ones of the two see each other, or do not.
fn wait(members: &Members, one: &str, other: &str, connected: bool) -> Result<(), Trouble> {
    let deadline = Instant::now() + WITHIN;
    for (from, to) in [(one, other), (other, one)] {
        let (Some(from_member), Some(to_member)) = (members.get(from), members.get(to)) else { continue };
        if !from_member.up {
            continue;
        }
        let (node, peer_id) = (&from_member.node, to_member.node.peer_id());
        loop {
            let mark = node.mark();
            if node.is_connected(&peer_id) == connected {
                break;
            }
            if Instant::now() >= deadline {
                let what = if connected { "is connected" } else { "is no longer connected" };
                let involved = [from.to_owned(), to.to_owned()];
                let seen = if connected { "it is not" } else { "it is" };
                return Err(Trouble::new(format!("{from} {what} to {to} within {WITHIN:?}"), seen, &involved));
            }
            node.glance(mark, GLANCE);
        }
    }
    Ok(())
}
