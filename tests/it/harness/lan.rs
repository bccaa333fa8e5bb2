//! Machines on a bridge, made by `scripts/lan`.

use std::fs::File;
use std::net::IpAddr;
use std::os::fd::AsFd;
use std::process::{Command, Output};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use super::{Node, NodeOptions};

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/scripts/lan");

/// Whether this process can make network namespaces and mount file systems.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Ability {
    /// It can.
    Here,
    /// It cannot, but a process inside `scripts/lan shell` can.
    InShell,
    /// The machine forbids it.
    Forbidden(String),
    /// A program is missing that could be installed.
    Missing(String),
}

/// Asks `scripts/lan check`, once.
pub(crate) fn ability() -> &'static Ability {
    static ABILITY: OnceLock<Ability> = OnceLock::new();
    ABILITY.get_or_init(|| {
        let output = Command::new(SCRIPT).arg("check").output();
        let output = output.unwrap_or_else(|error| panic!("cannot run {SCRIPT}: {error}"));
        let why = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        match output.status.code() {
            Some(0) => Ability::Here,
            Some(3) => Ability::InShell,
            Some(4) => Ability::Forbidden(why),
            Some(5) => Ability::Missing(why),
            _ => panic!("{SCRIPT} check: {} {why}", output.status),
        }
    })
}

/// A LAN that exists until it is dropped.
#[derive(Debug)]
pub(crate) struct Lan {
    name: String,
}

impl Lan {
    /// Makes a LAN of machines 1 to `machines`, apart from every other.
    pub(crate) fn up(machines: usize) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let lan = Self { name: format!("quipu-test-{}-{count}", std::process::id()) };
        lan.script(&["up", &machines.to_string()]);
        lan
    }

    /// Starts a node on a machine, which finds others by mDNS alone.
    pub(crate) fn start(&self, machine: usize) -> Node {
        Node::start(self.options(machine))
    }

    /// The options of such a node.
    pub(crate) fn options(&self, machine: usize) -> NodeOptions {
        NodeOptions {
            listen: vec!["/ip4/0.0.0.0/tcp/0".to_owned()],
            mdns: true,
            namespace: Some(format!("{}-{machine}", self.name)),
            ..NodeOptions::default()
        }
    }

    /// Unplugs a machine.
    pub(crate) fn cut(&self, machine: usize) {
        self.script(&["cut", &machine.to_string()]);
    }

    /// Plugs it in again.
    pub(crate) fn heal(&self, machine: usize) {
        self.script(&["heal", &machine.to_string()]);
    }

    /// Gives each group of machines a switch of its own.
    pub(crate) fn part(&self, groups: &[Vec<usize>]) {
        let numbers = |group: &Vec<usize>| group.iter().map(usize::to_string).collect::<Vec<_>>().join(",");
        let groups: Vec<_> = groups.iter().map(numbers).collect();
        let arguments: Vec<_> = std::iter::once("part").chain(groups.iter().map(String::as_str)).collect();
        self.script(&arguments);
    }

    /// Puts all machines on one switch again.
    pub(crate) fn join(&self) {
        self.script(&["join"]);
    }

    /// A machine's address.
    pub(crate) fn ip(machine: u8) -> IpAddr {
        IpAddr::from([10, 77, 0, machine])
    }

    /// Gives a machine more addresses on the LAN.
    pub(crate) fn add_addresses(&self, machine: usize, addresses: &[IpAddr]) {
        for address in addresses {
            let prefix = if address.is_ipv4() { 24 } else { 64 };
            // Without the search for duplicates, which takes IPv6 a second.
            let flags: &[&str] = if address.is_ipv4() { &[] } else { &["nodad"] };
            self.ip_tool(
                machine,
                &[&["address", "add", &format!("{address}/{prefix}"), "dev", "eth0"], flags].concat(),
            );
        }
    }

    /// Leaves a machine with link-local addresses only.
    pub(crate) fn remove_addresses(&self, machine: usize) {
        self.ip_tool(machine, &["address", "flush", "dev", "eth0", "scope", "global"]);
    }

    /// Makes one machine unable to send to another, or able again.
    pub(crate) fn set_broken(&self, from: usize, to: IpAddr, is_broken: bool) {
        let verb = if is_broken { "add" } else { "delete" };
        self.ip_tool(from, &["route", verb, "blackhole", &to.to_string()]);
    }

    fn ip_tool(&self, machine: usize, arguments: &[&str]) {
        let machine = format!("{}-{machine}", self.name);
        let output = Command::new("ip").args(["-n", &machine]).args(arguments).output();
        let output = output.unwrap_or_else(|error| panic!("cannot run ip: {error}"));
        assert!(output.status.success(), "ip {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    }

    /// Runs an action in a machine's network, on a thread of its own that has moved there.
    pub(crate) fn on<T: Send>(&self, machine: usize, act: impl FnOnce() -> T + Send) -> T {
        let path = format!("/run/netns/{}-{machine}", self.name);
        let namespace = File::open(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
        std::thread::scope(|scope| {
            let moved = scope.spawn(move || {
                move_into_link_name_space(namespace.as_fd(), Some(LinkNameSpaceType::Network)).expect("root may move");
                act()
            });
            moved.join().expect("no panic on the other machine")
        })
    }

    fn script(&self, arguments: &[&str]) {
        let output = self.call(arguments);
        assert!(output.status.success(), "scripts/lan {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    }

    fn call(&self, arguments: &[&str]) -> Output {
        let output = Command::new(SCRIPT).args(arguments).env("QUIPU_LAN", &self.name).output();
        output.unwrap_or_else(|error| panic!("cannot run {SCRIPT}: {error}"))
    }
}

impl Drop for Lan {
    fn drop(&mut self) {
        // A test that fails already must not fail twice.
        let output = self.call(&["down"]);
        if !output.status.success() {
            eprintln!("scripts/lan down: {}", String::from_utf8_lossy(&output.stderr));
        }
    }
}
