//! Limits for one client, so that no other on the network takes the node from its owner.
//!
//! Clients on this machine are not limited: a program that runs here can do worse. A remote client has at most
//! [`CLIENT_CONNECTIONS_MAX`] open connections, and its requests take from a bucket that fills again with time; an
//! empty one is 429. All remote clients together leave [`LOCAL_CONNECTIONS_KEPT`] connections to this machine.
//!
//! An IPv6 client is its /64, because a host has as many addresses there as it likes.
//!
//! Not here: the minimum speed of a connection (`serve`), the size of a body (`extract`).

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::http::StatusCode;
use parking_lot::{Mutex, MutexGuard};

use super::problem::Problem;

/// Connections at once. Any more are closed: a browser needs six, a class of streams five hundred.
const CONNECTIONS_MAX: usize = 1024;
/// The part of them that is kept for this machine alone.
const LOCAL_CONNECTIONS_KEPT: usize = 128;
/// Connections of one remote client. Any more are closed; a few browsers behind one address need fewer.
const CLIENT_CONNECTIONS_MAX: usize = 64;
/// Requests of one remote client that are answered at once, after it was quiet: a page with all that is on it.
const BURST_REQUESTS_MAX: u32 = 200;
/// The interval of such a client's requests in the long run.
const REQUEST_INTERVAL: Duration = Duration::from_millis(20);
/// Remote clients that are remembered. The least active client is evicted.
const CLIENTS_MAX: usize = 4096;
/// Open files that the node would like to have: connections of HTTP and of peers, and its own.
const FILES_WANTED: u64 = 4096;

/// All connections, and the request rates of remote clients.
#[derive(Debug)]
pub(super) struct Limits {
    connections_max: usize,
    state: Mutex<ClientTable>,
}

#[derive(Debug, Default)]
struct ClientTable {
    connections: usize,
    /// The connections of remote clients.
    foreign: usize,
    clients: BTreeMap<IpAddr, ClientUse>,
}

/// The use by a remote client. (The "virtual scheduling" form of a leaky bucket: ITU-T I.371, annex A.)
#[derive(Debug, Clone, Copy)]
struct ClientUse {
    connections: usize,
    /// The time when its bucket is full again.
    full_at: Instant,
}

/// The origin of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Client {
    Local,
    Foreign(IpAddr),
}

impl From<IpAddr> for Client {
    fn from(ip: IpAddr) -> Self {
        match ip.to_canonical() {
            ip if ip.is_loopback() => Self::Local,
            ip @ IpAddr::V4(_) => Self::Foreign(ip),
            IpAddr::V6(ip) => Self::Foreign(Ipv6Addr::from_bits(ip.to_bits() >> 64 << 64).into()),
        }
    }
}

/// An admitted connection, until it is dropped.
#[derive(Debug)]
pub(super) struct ConnectionPermit {
    limits: Arc<Limits>,
    client: Client,
}

impl Limits {
    /// For a server with this many connections.
    pub(super) fn new(connections_max: usize) -> Arc<Self> {
        Arc::new(Self { connections_max, state: Mutex::default() })
    }

    /// A place for a connection, if there is one.
    pub(super) fn admit(self: &Arc<Self>, client: Client, now: Instant) -> Option<ConnectionPermit> {
        let mut state = self.state();
        if state.connections >= self.connections_max {
            return None;
        }
        if let Client::Foreign(ip) = client {
            if state.foreign + LOCAL_CONNECTIONS_KEPT.min(self.connections_max / 2) >= self.connections_max {
                return None;
            }
            let asked = state.client(ip, now);
            if asked.connections >= CLIENT_CONNECTIONS_MAX {
                return None;
            }
            asked.connections += 1;
            state.foreign += 1;
        }
        state.connections += 1;
        Some(ConnectionPermit { limits: Arc::clone(self), client })
    }

    /// Whether a request is within the limit.
    pub(super) fn ask(&self, client: Client, now: Instant) -> Result<(), Problem> {
        let Client::Foreign(ip) = client else { return Ok(()) };
        let mut state = self.state();
        let asked = state.client(ip, now);
        let full_at = asked.full_at.max(now) + REQUEST_INTERVAL;
        if full_at - now > REQUEST_INTERVAL * BURST_REQUESTS_MAX {
            let detail = "too many requests from your address: wait a second, and ask less often";
            return Err(Problem::new(StatusCode::TOO_MANY_REQUESTS, "too_many_requests", detail));
        }
        asked.full_at = full_at;
        Ok(())
    }

    fn leave(&self, client: Client) {
        let mut state = self.state();
        state.connections -= 1;
        if let Client::Foreign(ip) = client {
            state.foreign -= 1;
            if let Some(asked) = state.clients.get_mut(&ip) {
                asked.connections -= 1;
            }
        }
    }

    fn state(&self) -> MutexGuard<'_, ClientTable> {
        // No code that holds the lock panics half-way.
        self.state.lock()
    }
}

impl ClientTable {
    fn client(&mut self, ip: IpAddr, now: Instant) -> &mut ClientUse {
        if self.clients.len() >= CLIENTS_MAX && !self.clients.contains_key(&ip) {
            // Clients with a connection are fewer than the places here, so one can always be evicted.
            self.clients.retain(|_, asked| asked.connections > 0 || asked.full_at > now);
            let idle = self.clients.iter().filter(|(_, asked)| asked.connections == 0);
            let first = idle.min_by_key(|(_, asked)| asked.full_at).map(|(ip, _)| *ip);
            if let Some(first) = first.filter(|_| self.clients.len() >= CLIENTS_MAX) {
                self.clients.remove(&first);
            }
        }
        self.clients.entry(ip).or_insert(ClientUse { connections: 0, full_at: now })
    }
}

impl Drop for ConnectionPermit {
    fn drop(&mut self) {
        self.limits.leave(self.client);
    }
}

/// How many connections fit beside everything else that the node has open. Asks the system for more open files first:
/// where it gives few (often 1024), clients of HTTP must not leave the peers and the store without.
pub(super) fn connections_max() -> usize {
    #[cfg(unix)]
    {
        use rustix::process::{Resource, getrlimit, setrlimit};
        let mut limit = getrlimit(Resource::Nofile);
        let wanted = limit.maximum.map_or(FILES_WANTED, |most| most.min(FILES_WANTED));
        if limit.current.is_some_and(|current| current < wanted) {
            let current = limit.current.replace(wanted);
            if let Err(error) = setrlimit(Resource::Nofile, limit) {
                tracing::debug!(%error, "the limit on open files stays");
                limit.current = current;
            }
        }
        let half = limit.current.and_then(|files| usize::try_from(files / 2).ok());
        CONNECTIONS_MAX.min(half.unwrap_or(CONNECTIONS_MAX))
    }
    #[cfg(not(unix))]
    CONNECTIONS_MAX
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(ip: &str) -> Client {
        ip.parse::<IpAddr>().expect("an address").into()
    }

    #[test]
    fn a_client_is_a_machine() {
        let cases = [
            ("127.0.0.1", "::1", true),
            ("127.0.0.1", "::ffff:127.0.0.1", true),
            ("192.168.1.5", "::ffff:192.168.1.5", true),
            ("192.168.1.5", "192.168.1.6", false),
            ("2001:db8::1", "2001:db8::ffff:1", true),
            ("2001:db8::1", "2001:db8:0:1::1", false),
        ];
        for (one, other, same) in cases {
            assert_eq!(client(one) == client(other), same, "{one} {other}");
        }
    }

    /// A burst, then as many as the time allows; another client and this machine are not concerned.
    #[test]
    fn who_asks_too_often_waits() {
        let (limits, start) = (Limits::new(10), Instant::now());
        let [busy, other, local] = ["10.0.0.1", "10.0.0.2", "127.0.0.1"].map(client);
        let answered = |client, now| (0..1000).take_while(|_| limits.ask(client, now).is_ok()).count();
        assert_eq!(answered(busy, start), 200);
        assert_eq!(limits.ask(busy, start).expect_err("empty").code(), "too_many_requests");
        assert_eq!(answered(busy, start + Duration::from_secs(1)), 50);
        assert_eq!(answered(other, start), 200);
        assert_eq!(answered(local, start), 1000);
        assert_eq!(answered(busy, start + Duration::from_secs(60)), 200);
    }

    #[test]
    fn connections_of_others_leave_room_for_this_machine() {
        let (limits, now) = (Limits::new(CONNECTIONS_MAX), Instant::now());
        let admit = |ip: IpAddr| limits.admit(ip.into(), now);
        let mut held: Vec<ConnectionPermit> = Vec::new();
        for host in 1..=200 {
            held.extend((0..100).map_while(|_| admit([10, 0, 0, host].into())));
            assert!(held.len() <= CLIENT_CONNECTIONS_MAX * usize::from(host), "one client has too many");
        }
        assert_eq!(held.len(), CONNECTIONS_MAX - LOCAL_CONNECTIONS_KEPT);
        let local: Vec<ConnectionPermit> = (0..1000).map_while(|_| admit([127, 0, 0, 1].into())).collect();
        assert_eq!(local.len(), LOCAL_CONNECTIONS_KEPT);
        drop((held, local));
        assert!(admit([10, 0, 0, 1].into()).is_some(), "who leaves makes room");
    }

    #[test]
    fn many_clients_are_forgotten_and_those_who_ask_most_last() {
        let (limits, now) = (Limits::new(10), Instant::now());
        let busy = client("10.9.9.9");
        let answered = (0..1000).take_while(|_| limits.ask(busy, now).is_ok()).count();
        for ip in 0..2 * CLIENTS_MAX as u32 {
            limits.ask(IpAddr::from(ip.to_be_bytes()).into(), now).expect("the first request");
        }
        assert!(answered > 0 && limits.ask(busy, now).is_err(), "it is remembered");
        assert!(limits.state().clients.len() <= CLIENTS_MAX);
    }
}
