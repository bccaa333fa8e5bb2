//! How people name a node: by a multiaddress, or by what they would type anywhere else.

use std::net::{IpAddr, SocketAddr};

use libp2p::Multiaddr;
use libp2p::multiaddr::Protocol;

use crate::node::swarm::DEFAULT_PORT;

const MULTIADDR_EXAMPLE: &str = "/ip4/192.168.1.5/tcp/7787";

/// An address of a peer: a multiaddress, or what people write: `IP`, `IP:PORT`, `NAME:PORT`, or a `NAME` with a dot.
pub fn peer_address(text: &str) -> Result<Multiaddr, String> {
    let text = text.trim();
    if text.starts_with('/') {
        let address = text.parse::<Multiaddr>().ok().filter(|address| !address.is_empty());
        return address.ok_or_else(|| format!("not a multiaddress, write it like {MULTIADDR_EXAMPLE}"));
    }
    if text.contains("://") {
        return Err(
            "the address of a page or an API is no node's address for peers, which its `status` shows".to_owned()
        );
    }
    if let Ok(socket) = text.parse::<SocketAddr>() {
        return Ok(tcp(socket.ip().into(), socket.port()));
    }
    let bare = text.strip_prefix('[').and_then(|inside| inside.strip_suffix(']')).unwrap_or(text);
    if let Ok(ip) = bare.parse::<IpAddr>() {
        return Ok(tcp(ip.into(), DEFAULT_PORT));
    }
    let unknown =
        || format!("not an address: write it like 192.168.1.5, 192.168.1.5:7787, lab1.local or {MULTIADDR_EXAMPLE}");
    let (name, port) = match text.rsplit_once(':') {
        Some((name, port)) => (name, port.parse().map_err(|_| unknown())?),
        None if text.contains('.') || text.eq_ignore_ascii_case("localhost") => (text, DEFAULT_PORT),
        None => return Err(unknown()),
    };
    if is_host_name(name) { Ok(tcp(Protocol::Dns(name.into()), port)) } else { Err(unknown()) }
}

/// An address to listen on: as [`peer_address`], but no name.
pub fn listen_address(text: &str) -> Result<Multiaddr, String> {
    let address = peer_address(text)?;
    match address.iter().next() {
        Some(Protocol::Dns(_)) => Err("not an address to listen on: use an IP address of this machine".to_owned()),
        _ => Ok(address),
    }
}

fn tcp(host: Protocol<'_>, port: u16) -> Multiaddr {
    Multiaddr::empty().with(host).with(Protocol::Tcp(port))
}

/// Whether a name can be one of a host (RFC 1123, section 2.1); with underscores, which some networks have. One of
/// numbers alone is a mistyped IP address.
fn is_host_name(name: &str) -> bool {
    let is_label = |label: &str| {
        let is_inside = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
        (1..=63).contains(&label.len())
            && label.bytes().all(is_inside)
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    let labels = name.strip_suffix('.').unwrap_or(name);
    let last = labels.rsplit('.').next().unwrap_or_default();
    labels.len() <= 253 && labels.split('.').all(is_label) && !last.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_people_type_is_understood() {
        for (text, address) in [
            ("/ip4/10.0.0.1/udp/7/quic-v1", "/ip4/10.0.0.1/udp/7/quic-v1"),
            ("10.0.0.1", "/ip4/10.0.0.1/tcp/7787"),
            (" 10.0.0.1:80 ", "/ip4/10.0.0.1/tcp/80"),
            ("fd00::1", "/ip6/fd00::1/tcp/7787"),
            ("[fd00::1]", "/ip6/fd00::1/tcp/7787"),
            ("[fd00::1]:80", "/ip6/fd00::1/tcp/80"),
            ("lab1.local", "/dns/lab1.local/tcp/7787"),
            ("Lab-1.local.:80", "/dns/Lab-1.local./tcp/80"),
            ("localhost", "/dns/localhost/tcp/7787"),
            ("lab_2:7787", "/dns/lab_2/tcp/7787"),
        ] {
            assert_eq!(peer_address(text).map(|address| address.to_string()), Ok(address.to_owned()), "{text}");
        }
    }

    #[test]
    fn anything_else_is_refused_with_an_example() {
        for text in [
            "",
            "lab2",
            "1.2.3",
            "1.2.3.4.5",
            "1.2.3.4:",
            "1.2.3.4:70000",
            "lab 2:7",
            "-a.local",
            "a..local",
            ".local:1",
            "a:b:c",
            "lab2:",
            "é.local",
            "[fd00::1",
            "1.2.3.4/24",
        ] {
            let problem = peer_address(text).map(|address| address.to_string()).expect_err(text);
            assert!(problem.contains("192.168.1.5"), "{text}: {problem}");
        }
        assert!(peer_address("/ip4/1.2.3/tcp/1").is_err_and(|problem| problem.contains("not a multiaddress")));
        assert!(peer_address("http://10.0.0.1:7788/").is_err_and(|problem| problem.contains("status")));
        assert!(listen_address("lab1.local").is_err_and(|problem| problem.contains("IP address")));
        assert!(listen_address("0.0.0.0:7787").is_ok());
    }
}
