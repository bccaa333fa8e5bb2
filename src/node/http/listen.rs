//! The choice of the address to serve on.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener};

use super::HttpError;

/// The default port; one above the port for peers.
pub(super) const DEFAULT_PORT: u16 = 7788;
/// Ports after the first one that are tried; more nodes on one machine get any free one.
const PORTS_TRIED: u16 = 32;

/// The requested address, or the default port of the loopback interface, or the next free one.
pub(super) fn bind(wanted: Option<SocketAddr>) -> Result<TcpListener, HttpError> {
    let listener = match wanted {
        Some(address) => TcpListener::bind(address).map_err(|error| HttpError::Address { address, error })?,
        None => first_free(DEFAULT_PORT)?,
    };
    listener.set_nonblocking(true)?;
    Ok(listener)
}

fn first_free(first: u16) -> Result<TcpListener, HttpError> {
    let address = |port| SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port);
    for port in (first..first + PORTS_TRIED).chain([0]) {
        match TcpListener::bind(address(port)) {
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => {}
            Err(error) => return Err(HttpError::Address { address: address(port), error }),
            Ok(listener) => return Ok(listener),
        }
    }
    let error = io::Error::from(io::ErrorKind::AddrInUse);
    Err(HttpError::Address { address: address(first), error })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two nodes on one machine serve side by side.
    #[test]
    fn the_next_port_is_taken_if_the_first_is_not_free() {
        let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("some port is free");
        let port = taken.local_addr().expect("it is bound").port();
        let next = first_free(port).expect("another one is free");
        assert_ne!(next.local_addr().expect("it is bound").port(), port);
        let refused = bind(Some(taken.local_addr().expect("it is bound")));
        assert_eq!(refused.map_err(|error| error.code()).err(), Some("cannot_serve"));
    }
}
