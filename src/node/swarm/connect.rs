//! Users who wait until a peer at an address is ready, or until the attempt has failed.

use std::time::{Duration, Instant};

use crossbeam_channel::Sender;
use libp2p::swarm::ConnectionId;
use libp2p::{Multiaddr, PeerId};

use crate::node::event::ConnectError;
use crate::node::event::PeerRow;

/// How long a user waits for a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// Users who wait at once. More are refused.
const WAITERS_MAX: usize = 64;

type Done = Sender<Result<PeerRow, ConnectError>>;

#[derive(Debug)]
struct Waiter {
    address: Multiaddr,
    /// The attempt made for it; `None`: one was already under way.
    connection: Option<ConnectionId>,
    /// The peer at the address, if it is known or required.
    peer: Option<PeerId>,
    until: Instant,
    done: Done,
}

/// All waiting users.
#[derive(Debug, Default)]
pub(super) struct Waiters(Vec<Waiter>);

impl Waiters {
    pub(super) fn add(
        &mut self,
        address: Multiaddr,
        connection: Option<ConnectionId>,
        peer: Option<PeerId>,
        now: Instant,
        done: Done,
    ) {
        if self.0.len() >= WAITERS_MAX {
            answer(&done, Err(format!("{address}: too many connections are being made: try again in a moment")));
            return;
        }
        self.0.push(Waiter { address, connection, peer, until: now + CONNECT_TIMEOUT, done });
    }

    /// The attempt has reached a peer, which may turn out to be foreign. True if a user waits for it.
    pub(super) fn connected(&mut self, connection: ConnectionId, peer: PeerId) -> bool {
        let waiter = self.0.iter_mut().find(|waiter| waiter.connection == Some(connection));
        waiter.map(|waiter| waiter.peer = Some(peer)).is_some()
    }

    pub(super) fn ready(&mut self, row: &PeerRow) {
        self.finish(|waiter| waiter.peer == Some(row.peer_id), |_| Ok(row.clone()));
    }

    /// The attempt has failed.
    pub(super) fn fail(&mut self, connection: ConnectionId, describe: impl Fn(&Multiaddr) -> String) {
        self.finish(|waiter| waiter.connection == Some(connection), |waiter| Err(describe(&waiter.address)));
    }

    /// The peer is of another network or program. True if a user waits for it.
    pub(super) fn foreign(&mut self, peer: PeerId, why: &str) -> bool {
        let waiting = self.0.len();
        self.finish(|waiter| waiter.peer == Some(peer), |waiter| Err(format!("{}: {why}", waiter.address)));
        self.0.len() < waiting
    }

    pub(super) fn disconnected(&mut self, peer: PeerId) {
        self.finish(
            |waiter| waiter.peer == Some(peer) && waiter.connection.is_some(),
            |waiter| Err(format!("{}: closed the connection", waiter.address)),
        );
    }

    pub(super) fn tick(&mut self, now: Instant) {
        self.finish(|waiter| now >= waiter.until, |waiter| Err(format!("{}: timeout: no answer", waiter.address)));
    }

    fn finish(&mut self, which: impl Fn(&Waiter) -> bool, result: impl Fn(&Waiter) -> Result<PeerRow, String>) {
        self.0.retain(|waiter| {
            let finished = which(waiter);
            if finished {
                answer(&waiter.done, result(waiter));
            }
            !finished
        });
    }
}

/// Answers a user, who may have stopped waiting. Never blocks.
pub(super) fn answer(done: &Done, result: Result<PeerRow, String>) {
    let _ = done.try_send(result.map_err(ConnectError));
}
