//! A link between two nodes on loopback: a TCP proxy that can be cut, stalled and slowed down.
//!
//! The proxy has another address of loopback than the nodes. A node believes a peer's claim about its listening port
//! only for the address at which the peer is seen, so no node ever learns a way around its links.

use std::collections::BTreeMap;
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use socket2::{Domain, Socket, Type};

use crate::scenario::script::LinkFault;

/// The address of all proxies. Nodes are at 127.0.0.1.
const ADDRESS: Ipv4Addr = Ipv4Addr::new(127, 77, 0, 1);
/// The most bytes that are forwarded at once.
const PIECE_BYTES: usize = 16 << 10;
/// The timeout for a node of this machine to accept.
const DIAL_TIMEOUT: Duration = Duration::from_secs(5);

/// A link that exists until it is dropped.
#[derive(Debug)]
pub(super) struct ProxyLink {
    shared: Arc<SharedLink>,
    address: SocketAddr,
}

#[derive(Debug, Default)]
struct SharedLink {
    state: Mutex<LinkState>,
    news: Condvar,
}

#[derive(Debug, Default)]
struct LinkState {
    /// The address at which the node listens; `None` if it does not run.
    target: Option<SocketAddr>,
    cut: bool,
    fault: Option<LinkMode>,
    over: bool,
    /// Both ends of each connection.
    open: BTreeMap<u64, [TcpStream; 2]>,
    next: u64,
}

/// A fault, as seen from the end that dials.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum LinkMode {
    HeldOut,
    HeldIn,
    Held,
    Slow(Duration),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum LinkDirection {
    /// From the end that dialled.
    Out,
    In,
}

impl ProxyLink {
    /// Makes a link that leads nowhere yet.
    pub(super) fn new() -> io::Result<Self> {
        let listener = TcpListener::bind((ADDRESS, 0))
            .map_err(|error| io::Error::new(error.kind(), format!("links are at {ADDRESS}: {error}")))?;
        let link = Self { shared: Arc::default(), address: listener.local_addr()? };
        let shared = Arc::clone(&link.shared);
        std::thread::spawn(move || {
            while let Ok((dialler, _)) = listener.accept() {
                if shared.lock().over {
                    break;
                }
                // A refused connection is closed, which the dialler notices.
                let _ = shared.take(dialler);
            }
        });
        Ok(link)
    }

    /// The address that the dialling node connects to.
    pub(super) fn multiaddr(&self) -> String {
        format!("/ip4/{}/tcp/{}", self.address.ip(), self.address.port())
    }

    /// Sets the address at which the other node listens.
    pub(super) fn lead_to(&self, target: Option<SocketAddr>) {
        self.shared.lock().target = target;
    }

    /// Closes all connections and accepts no more.
    pub(super) fn cut(&self) {
        let mut state = self.shared.lock();
        state.cut = true;
        state.close_all();
        self.shared.news.notify_all();
    }

    /// Whether it is cut.
    pub(super) fn is_cut(&self) -> bool {
        self.shared.lock().cut
    }

    /// Whether it has another fault.
    pub(super) fn is_hampered(&self) -> bool {
        self.shared.lock().fault.is_some()
    }

    /// Puts a fault on it; `from_dialler` names the end that a [`LinkFault::OneWay`] silences.
    pub(super) fn hamper(&self, fault: LinkFault, from_dialler: bool) {
        let way = match fault {
            LinkFault::OneWay if from_dialler => LinkMode::HeldOut,
            LinkFault::OneWay => LinkMode::HeldIn,
            LinkFault::Stalled => LinkMode::Held,
            LinkFault::Slow(time) => LinkMode::Slow(time),
        };
        self.shared.lock().fault = Some(way);
        self.shared.news.notify_all();
    }

    /// Accepts connections again. A fault stays.
    pub(super) fn open(&self) {
        self.shared.lock().cut = false;
    }

    /// Removes the fault. A cut stays.
    pub(super) fn mend(&self) {
        self.shared.lock().fault = None;
        self.shared.news.notify_all();
    }
}

impl Drop for ProxyLink {
    fn drop(&mut self) {
        let mut state = self.shared.lock();
        state.over = true;
        state.close_all();
        drop(state);
        self.shared.news.notify_all();
        // Wakes the thread that accepts. If that fails, it has ended already.
        let _ = TcpStream::connect(self.address);
    }
}

impl LinkState {
    fn close_all(&mut self) {
        for stream in std::mem::take(&mut self.open).into_values().flatten() {
            // It may be closed already.
            let _ = stream.shutdown(Shutdown::Both);
        }
    }
}

impl SharedLink {
    fn lock(&self) -> MutexGuard<'_, LinkState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take(self: &Arc<Self>, dialler: TcpStream) -> io::Result<()> {
        let Some(target) = self.lock().target else { return Ok(()) };
        let listener = dial(target)?;
        dialler.set_nodelay(true)?;
        listener.set_nodelay(true)?;
        let kept = [dialler.try_clone()?, listener.try_clone()?];
        let mut state = self.lock();
        if state.cut || state.over {
            return Ok(());
        }
        let id = state.next;
        state.next += 1;
        state.open.insert(id, kept);
        drop(state);
        self.pump(id, LinkDirection::Out, dialler.try_clone()?, listener.try_clone()?);
        self.pump(id, LinkDirection::In, listener, dialler);
        Ok(())
    }

    /// Forwards data until either end closes.
    fn pump(self: &Arc<Self>, id: u64, direction: LinkDirection, mut from: TcpStream, mut to: TcpStream) {
        let shared = Arc::clone(self);
        std::thread::spawn(move || {
            let mut piece = vec![0; PIECE_BYTES];
            while let Ok(length @ 1..) = from.read(&mut piece) {
                if !shared.may_pass(id, direction) || to.write_all(&piece[..length]).is_err() {
                    break;
                }
            }
            let ends = shared.lock().open.remove(&id);
            for end in ends.into_iter().flatten() {
                let _ = end.shutdown(Shutdown::Both);
            }
            shared.news.notify_all();
        });
    }

    /// Waits as long as the link's fault demands. Returns false if the connection is closed meanwhile.
    fn may_pass(&self, id: u64, direction: LinkDirection) -> bool {
        let came = Instant::now();
        let mut state = self.lock();
        loop {
            if !state.open.contains_key(&id) {
                return false;
            }
            let pause = match (state.fault, direction) {
                (Some(LinkMode::Held), _)
                | (Some(LinkMode::HeldOut), LinkDirection::Out)
                | (Some(LinkMode::HeldIn), LinkDirection::In) => None,
                (Some(LinkMode::Slow(time)), _) => Some(time.saturating_sub(came.elapsed())),
                _ => Some(Duration::ZERO),
            };
            state = match pause {
                Some(Duration::ZERO) => return true,
                Some(pause) => self.news.wait_timeout(state, pause).unwrap_or_else(PoisonError::into_inner).0,
                None => self.news.wait(state).unwrap_or_else(PoisonError::into_inner),
            };
        }
    }
}

/// Connects from the proxies' own address, so that the node sees its peers there.
fn dial(target: SocketAddr) -> io::Result<TcpStream> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
    socket.bind(&SocketAddr::from((ADDRESS, 0)).into())?;
    socket.connect_timeout(&target.into(), DIAL_TIMEOUT)?;
    Ok(socket.into())
}
