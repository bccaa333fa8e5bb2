//! Descriptions of failed dials for a person, in one line.

use std::error::Error;
use std::io;

use libp2p::swarm::DialError;
use libp2p::{Multiaddr, TransportError};

use super::address::is_link_local;

/// An address that none of our transports can dial.
const NOT_DIALABLE: &str =
    "not an address that can be dialled: use IP:PORT, NAME:PORT, /ip4/…/tcp/PORT or /ip4/…/udp/PORT/quic-v1";

/// An address that leaves open on which interface it is.
const LINK_LOCAL: &str = "a link-local IPv6 address (fe80::…) can't be dialled: use another address of that machine, or give \
    both an IPv4 address";

/// All that this machine has is link-local.
pub(super) const ONLY_LINK_LOCAL: &str = "this machine has only link-local IPv6 addresses (fe80::…), at which no other node \
    can reach it: give each machine an address, such as 10.0.0.1/24 and 10.0.0.2/24";

/// A node with our own key, at an address that is not ours.
pub(super) const SAME_KEY: &str = "the node there has the key of this one (`node.key`), as after its folder was copied: stop one \
    of them, move its node.key away, and start it again; use a wallet that was copied along on one of them only";

/// Describes why an address was not reached.
pub(super) fn describe(address: &Multiaddr, error: &DialError) -> String {
    format!("{address}: {}", reason(error))
}

/// Describes why a dial failed, without its address.
pub(super) fn reason(error: &DialError) -> String {
    match error {
        // Addresses of our own are not dialled.
        DialError::LocalPeerId { .. } => SAME_KEY.to_owned(),
        DialError::WrongPeerId { obtained, .. } => format!("another node answers there: {obtained}"),
        DialError::Transport(attempts) => match attempts.first() {
            Some((_, TransportError::Other(error))) => describe_io(error),
            Some((_, TransportError::MultiaddrNotSupported(_))) => NOT_DIALABLE.to_owned(),
            None => "unreachable".to_owned(),
        },
        DialError::Denied { cause } => format!("not dialled: {}", innermost(cause)),
        DialError::NoAddresses => NOT_DIALABLE.to_owned(),
        DialError::Aborted | DialError::DialPeerConditionFalse(_) => "the attempt was given up".to_owned(),
    }
}

/// Describes an address that none of our transports can dial.
pub(super) fn not_dialable(address: &Multiaddr) -> String {
    let reason = if is_link_local(address) { LINK_LOCAL } else { NOT_DIALABLE };
    format!("{address}: {reason}")
}

fn describe_io(error: &io::Error) -> String {
    match io_cause(error).map(|cause| cause.kind()) {
        Some(io::ErrorKind::ConnectionRefused) => "refused: no program listens there".to_owned(),
        Some(io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable) => "unreachable".to_owned(),
        Some(io::ErrorKind::TimedOut) => "timeout: no answer".to_owned(),
        Some(io::ErrorKind::ConnectionReset | io::ErrorKind::UnexpectedEof | io::ErrorKind::BrokenPipe) => {
            "the connection was closed at once: it is not quipu, or it has no room".to_owned()
        }
        _ if innermost(error).contains("imeout") => "timeout: no answer".to_owned(),
        _ => match unresolved(&innermost(error)) {
            Some(words) => words.to_owned(),
            None => format!("unreachable: {}", innermost(error)),
        },
    }
}

/// What a failure of the system's look-up of a name means.
fn unresolved(text: &str) -> Option<&'static str> {
    let is_of_look_up = ["lookup address", "no records found", "No such host"];
    if !is_of_look_up.iter().any(|words| text.contains(words)) {
        None
    } else if text.contains("emporary") {
        Some("the name cannot be looked up: the name server does not answer")
    } else {
        Some("there is no address for that name: check it, or name the node by its IP address")
    }
}

/// The error of the operating system behind the wrappers of the transports, or at least one with a kind.
pub(super) fn io_cause(error: &io::Error) -> Option<io::Error> {
    let mut found = None;
    visit(error, &mut |error| {
        if let Some(io) = error.downcast_ref::<io::Error>() {
            match io.raw_os_error() {
                Some(code) => found = Some(io::Error::from_raw_os_error(code)),
                None if io.kind() != io::ErrorKind::Other => found = Some(io.kind().into()),
                None => {}
            }
        }
    });
    // Some wrappers show only the text of what they wrap.
    found.or_else(|| {
        let text = innermost(error);
        let code = text.strip_suffix(')')?.rsplit_once("(os error ")?.1;
        code.parse().ok().map(io::Error::from_raw_os_error)
    })
}

/// The text of the error behind all others, on one line.
pub(super) fn innermost(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    visit(error, &mut |error| text = error.to_string());
    text.lines().next().unwrap_or_default().to_owned()
}

/// Calls for an error and everything behind it, outermost first. [`io::Error::source`] skips what it wraps.
fn visit(error: &(dyn Error + 'static), call: &mut impl FnMut(&(dyn Error + 'static))) {
    const DEPTH_MAX: usize = 16;
    let mut next = Some(error);
    for _ in 0..DEPTH_MAX {
        let Some(error) = next else { return };
        call(error);
        let wrapped = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        next = match wrapped {
            Some(wrapped) => Some(wrapped as &(dyn Error + 'static)),
            None => error.source(),
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_are_not_found_are_told_in_words() {
        let words = |text: &str| describe_io(&io::Error::other(text.to_owned()));
        for text in [
            "no records found for that name",
            "failed to lookup address information: Name or service not known",
            "failed to lookup address information: nodename nor servname provided, or not known",
        ] {
            assert!(words(text).starts_with("there is no address for that name"), "{text}");
        }
        let away = words("failed to lookup address information: Temporary failure in name resolution");
        assert!(away.contains("does not answer"), "{away}");
        assert_eq!(words("something else"), "unreachable: something else");
    }

    #[test]
    fn wrapped_errors_are_found() {
        let inner = io::Error::from(io::ErrorKind::ConnectionRefused);
        let wrapped = io::Error::other(io::Error::other(inner));
        let address = "/ip4/10.0.0.1/tcp/1".parse::<Multiaddr>().expect("a multiaddr");
        let error = DialError::Transport(vec![(address.clone(), TransportError::Other(wrapped))]);
        assert_eq!(describe(&address, &error), "/ip4/10.0.0.1/tcp/1: refused: no program listens there");
    }
}
