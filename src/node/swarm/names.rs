//! Names in addresses, which the system looks up (getaddrinfo(3)): so a name means what it means to every other program of
//! the machine, `name.local` on a LAN included (RFC 6762), where the system knows it.

use std::io;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures::FutureExt;
use futures::future::{BoxFuture, select_ok};
use libp2p::core::muxing::StreamMuxerBox;
use libp2p::core::transport::{Boxed, DialOpts, ListenerId, TransportError, TransportEvent};
use libp2p::multiaddr::Protocol;
use libp2p::{Multiaddr, PeerId, Transport};
use parking_lot::Mutex;

use super::address::is_link_local;

/// Addresses of one name that are tried, all at once.
const ADDRESSES_TRIED_MAX: usize = 4;

type Output = (PeerId, StreamMuxerBox);

/// A transport that dials names, too.
pub(super) struct NamesByTheSystem(Arc<Mutex<Boxed<Output>>>);

impl NamesByTheSystem {
    pub(super) fn new(inner: Boxed<Output>) -> Self {
        Self(Arc::new(Mutex::new(inner)))
    }
}

impl Transport for NamesByTheSystem {
    type Output = Output;
    type Error = io::Error;
    type ListenerUpgrade = <Boxed<Output> as Transport>::ListenerUpgrade;
    type Dial = BoxFuture<'static, io::Result<Output>>;

    fn listen_on(&mut self, id: ListenerId, address: Multiaddr) -> Result<(), TransportError<io::Error>> {
        self.0.lock().listen_on(id, address)
    }

    fn remove_listener(&mut self, id: ListenerId) -> bool {
        self.0.lock().remove_listener(id)
    }

    fn dial(&mut self, address: Multiaddr, options: DialOpts) -> Result<Self::Dial, TransportError<io::Error>> {
        let Some((name, is_wanted)) = name_of(&address) else {
            return Ok(self.0.lock().dial(address, options)?.boxed());
        };
        let inner = self.0.clone();
        Ok(async move {
            let found = tokio::net::lookup_host((name, 0)).await?;
            let found =
                found.map(|found| found.ip()).filter(|ip| is_wanted(*ip) && !is_link_local(&Multiaddr::from(*ip)));
            let mut dials = Vec::new();
            for ip in found.take(ADDRESSES_TRIED_MAX) {
                let address = address.replace(0, |_| Some(Protocol::from(ip))).expect("it begins with a name");
                match inner.lock().dial(address, options) {
                    Ok(dial) => dials.push(dial),
                    Err(TransportError::Other(error)) => return Err(error),
                    Err(error) => return Err(io::Error::other(error)),
                }
            }
            if dials.is_empty() {
                return Err(io::Error::new(io::ErrorKind::NotFound, "no records found for that name"));
            }
            select_ok(dials).await.map(|(reached, _)| reached)
        }
        .boxed())
    }

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<TransportEvent<Self::ListenerUpgrade, io::Error>> {
        Pin::new(&mut *self.0.lock()).poll(context)
    }
}

/// Which addresses of a name are meant.
type IsWanted = fn(IpAddr) -> bool;

/// The name that an address begins with.
fn name_of(address: &Multiaddr) -> Option<(String, IsWanted)> {
    match address.iter().next()? {
        Protocol::Dns(name) => Some((name.into_owned(), |_| true)),
        Protocol::Dns4(name) => Some((name.into_owned(), |ip| ip.is_ipv4())),
        Protocol::Dns6(name) => Some((name.into_owned(), |ip| ip.is_ipv6())),
        _ => None,
    }
}
