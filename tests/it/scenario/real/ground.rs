//! What is between the nodes: links on loopback, or a LAN of namespaces on which they find each other by mDNS.
//!
//! Always so: after each call, nodes that can see each other are connected, and nodes that can't know it. Only a
//! [`Fault`] leaves that to the nodes.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use super::Member;
use super::link::Link;
use crate::harness::{Lan, Node, Options};
use crate::scenario::outcome::Trouble;
use crate::scenario::runner::COMMAND_TIME;
use crate::scenario::script::{Fault, WITHIN};

/// How long it takes at most to look at a connection again.
const GLANCE: Duration = Duration::from_millis(100);

/// Nodes by name.
type Members = BTreeMap<String, Member>;

/// Where a script runs.
#[derive(Debug)]
pub(crate) struct Ground {
    kind: Kind,
    /// Who sees whom; empty: everybody everybody.
    sides: Vec<Vec<String>>,
}

#[derive(Debug)]
enum Kind {
    /// By the node that dials and the one that listens.
    Loopback(BTreeMap<(String, String), Link>),
    /// Machine 1 is the first node.
    Lan { lan: Lan, machines: Vec<String> },
}

impl Ground {
    /// This machine alone.
    pub(crate) fn loopback() -> Self {
        Self { kind: Kind::Loopback(BTreeMap::new()), sides: Vec::new() }
    }

    /// A LAN with a machine for each of these nodes.
    pub(crate) fn lan(nodes: &[String]) -> Self {
        Self { kind: Kind::Lan { lan: Lan::up(nodes.len()), machines: nodes.to_vec() }, sides: Vec::new() }
    }

    /// How a node is started here.
    pub(super) fn options(&self, name: &str) -> Options {
        match &self.kind {
            Kind::Loopback(_) => Options::default(),
            Kind::Lan { lan, machines } => lan.options(machine(machines, name)),
        }
    }

    /// New nodes run.
    pub(super) fn joined(&mut self, members: &Members, names: &[String], apart: bool) -> Result<(), Trouble> {
        if apart {
            return self.loopback_only("start … apart").map(drop);
        }
        if let Kind::Loopback(links) = &mut self.kind {
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

    /// A link of its own between two nodes.
    pub(super) fn connect(&mut self, members: &Members, from: &str, to: &str) -> Result<(), Trouble> {
        let links = self.loopback_only("connect")?;
        let key = (from.to_owned(), to.to_owned());
        if links.contains_key(&key) || links.contains_key(&(to.to_owned(), from.to_owned())) {
            return Err(Trouble::new("two nodes without a link", "they have one", &[]));
        }
        links.insert(key, link()?);
        self.settle(members)
    }

    /// Nothing passes between the sides any more.
    pub(super) fn cut(&mut self, members: &Members, sides: &[Vec<String>]) -> Result<(), Trouble> {
        self.sides = sides.to_vec();
        if let Kind::Lan { lan, machines } = &self.kind {
            let numbers = |side: &Vec<String>| side.iter().map(|name| machine(machines, name)).collect();
            lan.part(&sides.iter().map(numbers).collect::<Vec<_>>());
        }
        self.settle(members)
    }

    /// Puts a fault on a link.
    pub(super) fn hamper(&mut self, fault: Fault, from: &str, to: &str) -> Result<(), Trouble> {
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

    /// All is well again.
    pub(super) fn heal(&mut self, members: &Members) -> Result<(), Trouble> {
        self.sides.clear();
        match &self.kind {
            Kind::Lan { lan, .. } => lan.join(),
            Kind::Loopback(links) => {
                // What was held back is as good as lost: its connections are made anew, or are about to break.
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

    /// Makes the links what they should be, and waits until the nodes know. To be called when nodes came or went.
    pub(super) fn settle(&self, members: &Members) -> Result<(), Trouble> {
        let all: Vec<_> = match &self.kind {
            Kind::Loopback(links) => links.keys().cloned().collect(),
            Kind::Lan { machines, .. } => {
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
        if let Kind::Loopback(links) = &self.kind {
            for pair in &apart {
                links[pair].cut();
            }
        }
        for (from, to) in &apart {
            wait(members, from, to, false)?;
        }
        if let Kind::Loopback(links) = &self.kind {
            let cut: Vec<_> = together.iter().filter(|pair| links[pair].is_cut()).collect();
            for pair in &cut {
                links[*pair].lead_to(Some(listens(&members[&pair.1].node)));
                links[*pair].open();
            }
            // A node calls again by itself. Being told to is quicker, and both come to the same.
            std::thread::scope(|scope| {
                for (dialler, member) in members {
                    let mine = cut.iter().filter(|pair| pair.0 == *dialler).map(|pair| links[*pair].multiaddr());
                    let mine: Vec<_> = mine.collect();
                    scope.spawn(move || {
                        for address in mine {
                            // Refused or not: whether they are connected is asked below.
                            let _ = member.node.try_ask(&format!("connect {address}"), COMMAND_TIME);
                        }
                    });
                }
            });
        }
        // A fault of its own may keep two apart.
        let is_hampered = |pair: &(String, String)| match &self.kind {
            Kind::Loopback(links) => links[pair].is_hampered(),
            Kind::Lan { .. } => false,
        };
        for (from, to) in together.iter().filter(|pair| !is_hampered(pair)) {
            wait(members, from, to, true)?;
        }
        Ok(())
    }

    fn loopback_only(&mut self, what: &str) -> Result<&mut BTreeMap<(String, String), Link>, Trouble> {
        match &mut self.kind {
            Kind::Loopback(links) => Ok(links),
            Kind::Lan { .. } => {
                Err(Trouble::new(format!("{what} on loopback"), "this is a LAN: run the script without --lan", &[]))
            }
        }
    }
}

fn machine(machines: &[String], name: &str) -> usize {
    1 + machines.iter().position(|machine| machine == name).expect("the script names all nodes")
}

/// A link that is cut until [`Ground::settle`] looks at it.
fn link() -> Result<Link, Trouble> {
    let link = Link::new().map_err(|error| Trouble::new("a link on loopback", error.to_string(), &[]))?;
    link.cut();
    Ok(link)
}

fn listens(node: &Node) -> SocketAddr {
    let listen = node.listen();
    let port = listen.split('/').nth(4).and_then(|port| port.parse::<u16>().ok()).expect("/ip4/127.0.0.1/tcp/PORT");
    SocketAddr::from(([127, 0, 0, 1], port))
}

/// Waits until those of the two that run see each other, or do not.
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
