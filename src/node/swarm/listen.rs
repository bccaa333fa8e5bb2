//! Listening. libp2p shares a TCP port with any program of the same user that does so too, so a port is tried here
//! first: two nodes on one port would each get half of the connections.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::time::Duration;

use anyhow::{anyhow, bail};
use libp2p::{Multiaddr, Swarm, TransportError, multiaddr};
use socket2::{Domain, Protocol, Socket, Type};

use super::address::{self, Carrier, carrier, ip_of, port_of};
use super::behaviour::Behaviour;
use super::failure;

/// The port of a node that was told nothing else.
pub(in crate::node) const DEFAULT_PORT: u16 = 7787;
/// Attempts to find a port that is free for IPv4 and IPv6.
const ANY_PORT_ATTEMPTS: usize = 16;
/// How long another node that is starting may hold the right to try a port: attempts and the pause between them.
const TRIAL_ATTEMPTS: usize = 10;
const TRIAL_PAUSE: Duration = Duration::from_millis(10);

/// Listens on the addresses, or on the default ones if there are none. Returns a warning for the user, if any.
pub(super) fn listen(swarm: &mut Swarm<Behaviour>, addresses: &[Multiaddr]) -> anyhow::Result<Option<String>> {
    if addresses.is_empty() {
        return listen_on_default(swarm);
    }
    for address in addresses {
        listen_on(swarm, address).map_err(|error| match error.kind() {
            io::ErrorKind::AddrInUse => {
                anyhow!("{address}: address already in use by another program: choose another --listen or port 0")
            }
            io::ErrorKind::AddrNotAvailable => anyhow!("{address}: this machine does not have that address"),
            io::ErrorKind::PermissionDenied => anyhow!("{address}: no permission: choose a port from 1024 up"),
            _ => anyhow!("{address}: can't listen: {error}"),
        })?;
    }
    Ok(None)
}

fn listen_on_default(swarm: &mut Swarm<Behaviour>) -> anyhow::Result<Option<String>> {
    for port in std::iter::once(DEFAULT_PORT).chain(std::iter::repeat_n(0, ANY_PORT_ATTEMPTS)) {
        match listen_on_both(swarm, port) {
            Ok(DEFAULT_PORT) => return Ok(None),
            Ok(port) => {
                let warning = format!("port {DEFAULT_PORT} is in use by another program: listening on port {port}");
                return Ok(Some(warning));
            }
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => {}
            Err(error) => bail!("can't listen on any interface: {error}"),
        }
    }
    bail!("found no free port to listen on: choose one with --listen")
}

/// Listens on one port for IPv4 and IPv6; 0 is any. A machine may lack either, not both.
fn listen_on_both(swarm: &mut Swarm<Behaviour>, port: u16) -> io::Result<u16> {
    let port = if port == 0 { any_port()? } else { port };
    let _turn = Turn::wait(port);
    let wildcards = [IpAddr::V4(Ipv4Addr::UNSPECIFIED), IpAddr::V6(Ipv6Addr::UNSPECIFIED)];
    let mut usable = Vec::new();
    let mut failure = io::Error::from(io::ErrorKind::AddrNotAvailable);
    for ip in wildcards {
        match try_tcp(SocketAddr::new(ip, port)) {
            Ok(_) => usable.push(Multiaddr::from(ip).with(multiaddr::Protocol::Tcp(port))),
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => return Err(error),
            Err(error) => failure = error,
        }
    }
    if usable.is_empty() {
        return Err(failure);
    }
    for address in usable {
        swarm.listen_on(address).map_err(io_error)?;
    }
    Ok(port)
}

fn listen_on(swarm: &mut Swarm<Behaviour>, address: &Multiaddr) -> io::Result<()> {
    let (plain, _) = address::split(address.clone());
    let (Some(carrier), Some(ip), Some(port)) = (carrier(&plain), ip_of(&plain), port_of(&plain)) else {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "not an address to listen on: use /ip4/…/tcp/PORT, /ip6/…/tcp/PORT or /ip4/…/udp/PORT/quic-v1",
        ));
    };
    // QUIC needs no trial: its port is never shared.
    let _turn = if carrier == Carrier::Tcp { Some(Turn::wait(port)) } else { None };
    if carrier == Carrier::Tcp {
        try_tcp(SocketAddr::new(ip, port))?;
    }
    swarm.listen_on(plain).map(drop).map_err(io_error)
}

fn io_error(error: TransportError<io::Error>) -> io::Error {
    match error {
        TransportError::Other(error) => failure::io_cause(&error).unwrap_or(error),
        TransportError::MultiaddrNotSupported(_) => {
            io::Error::new(io::ErrorKind::InvalidInput, "unknown kind of address")
        }
    }
}

fn any_port() -> io::Result<u16> {
    let socket = try_tcp(SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0))
        .or_else(|_| try_tcp(SocketAddr::new(IpAddr::V6(Ipv6Addr::UNSPECIFIED), 0)))?;
    socket.local_addr()?.as_socket().map(|address| address.port()).ok_or_else(|| io::ErrorKind::Unsupported.into())
}

/// Binds without sharing, which fails if another program listens there.
fn try_tcp(address: SocketAddr) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    // Without it a port is taken for a minute after a node has left it.
    #[cfg(unix)]
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())?;
    Ok(socket)
}

/// The right to try a TCP port and then listen on it, so that of two nodes that start at the same moment only one
/// finds it free. It is a UDP socket on loopback, held for that moment.
struct Turn {
    _socket: Option<UdpSocket>,
}

impl Turn {
    fn wait(port: u16) -> Self {
        for _ in 0..TRIAL_ATTEMPTS {
            match UdpSocket::bind((Ipv4Addr::LOCALHOST, port)) {
                Ok(socket) if port != 0 => return Self { _socket: Some(socket) },
                Err(error) if error.kind() == io::ErrorKind::AddrInUse => std::thread::sleep(TRIAL_PAUSE),
                _ => break,
            }
        }
        Self { _socket: None } // a program that uses the port for itself: there is nothing to wait for
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn a_port_with_a_listener_is_taken() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("loopback has a free port");
        let address = listener.local_addr().expect("it is bound");
        assert_eq!(try_tcp(address).expect_err("taken").kind(), io::ErrorKind::AddrInUse);
        drop(listener);
        assert!(try_tcp(address).is_ok());
    }

    #[test]
    fn one_turn_at_a_time() {
        let port = any_port().expect("there is a free port");
        let turn = Turn::wait(port);
        assert!(turn._socket.is_some());
        assert!(UdpSocket::bind((Ipv4Addr::LOCALHOST, port)).is_err());
        drop(turn);
        assert!(Turn::wait(port)._socket.is_some());
    }
}
