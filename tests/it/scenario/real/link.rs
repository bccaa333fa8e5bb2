//! A link between two nodes on loopback: a TCP proxy that can be cut, held back and slowed down.
//!
//! The proxy is at another address of loopback than the nodes. A node believes a peer's word about where it listens only
//! for the address that the peer is seen at, so no node ever learns a way around its links.

use std::collections::BTreeMap;
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use socket2::{Domain, Socket, Type};

use crate::scenario::script::Fault;

/// Where all proxies are. Nodes are at 127.0.0.1.
const ADDRESS: Ipv4Addr = Ipv4Addr::new(127, 77, 0, 1);
/// What is passed on at once.
const PIECE_BYTES: usize = 16 << 10;
/// How long a node of this machine may take to accept.
const DIAL_TIME: Duration = Duration::from_secs(5);

/// A link that exists until it is dropped.
#[derive(Debug)]
pub(super) struct Link {
    shared: Arc<Shared>,
    address: SocketAddr,
}

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    news: Condvar,
}

#[derive(Debug, Default)]
struct State {
    /// Where the node listens; none, if it does not run.
    target: Option<SocketAddr>,
    cut: bool,
    fault: Option<Way>,
    over: bool,
    /// Both ends of each connection.
    open: BTreeMap<u64, [TcpStream; 2]>,
    next: u64,
}

/// A fault, as seen from the end that dials.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    HeldOut,
    HeldIn,
    Held,
    Slow(Duration),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Direction {
    /// From the end that dialled.
    Out,
    In,
}

impl Link {
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
                // A connection that is not taken is closed, which the dialler notices.
                let _ = shared.take(dialler);
            }
        });
        Ok(link)
    }

    /// What the dialling node is told to connect to.
    pub(super) fn multiaddr(&self) -> String {
        format!("/ip4/{}/tcp/{}", self.address.ip(), self.address.port())
    }

    /// Says where the other node listens.
    pub(super) fn lead_to(&self, target: Option<SocketAddr>) {
        self.shared.lock().target = target;
    }

    /// Closes all connections and takes no more.
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

    /// Whether something else is wrong with it.
    pub(super) fn is_hampered(&self) -> bool {
        self.shared.lock().fault.is_some()
    }

    /// Puts a fault on it; `from_dialler` tells whose sending a [`Fault::OneWay`] holds back.
    pub(super) fn hamper(&self, fault: Fault, from_dialler: bool) {
        let way = match fault {
            Fault::OneWay if from_dialler => Way::HeldOut,
            Fault::OneWay => Way::HeldIn,
            Fault::Stalled => Way::Held,
            Fault::Slow(time) => Way::Slow(time),
        };
        self.shared.lock().fault = Some(way);
        self.shared.news.notify_all();
    }

    /// Takes connections again. A fault stays.
    pub(super) fn open(&self) {
        self.shared.lock().cut = false;
    }

    /// Takes the fault off. A cut stays.
    pub(super) fn mend(&self) {
        self.shared.lock().fault = None;
        self.shared.news.notify_all();
    }
}

impl Drop for Link {
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

impl State {
    fn close_all(&mut self) {
        for stream in std::mem::take(&mut self.open).into_values().flatten() {
            // It may be closed already.
            let _ = stream.shutdown(Shutdown::Both);
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
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
        self.pump(id, Direction::Out, dialler.try_clone()?, listener.try_clone()?);
        self.pump(id, Direction::In, listener, dialler);
        Ok(())
    }

    /// Passes on what comes until either end closes.
    fn pump(self: &Arc<Self>, id: u64, direction: Direction, mut from: TcpStream, mut to: TcpStream) {
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

    /// Waits as long as the link's fault demands. False if the connection is closed meanwhile.
    fn may_pass(&self, id: u64, direction: Direction) -> bool {
        let came = Instant::now();
        let mut state = self.lock();
        loop {
            if !state.open.contains_key(&id) {
                return false;
            }
            let pause = match (state.fault, direction) {
                (Some(Way::Held), _) | (Some(Way::HeldOut), Direction::Out) | (Some(Way::HeldIn), Direction::In) => {
                    None
                }
                (Some(Way::Slow(time)), _) => Some(time.saturating_sub(came.elapsed())),
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

/// Connects from the proxies' own address, so that this is where the node sees its peers.
fn dial(target: SocketAddr) -> io::Result<TcpStream> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
    socket.bind(&SocketAddr::from((ADDRESS, 0)).into())?;
    socket.connect_timeout(&target.into(), DIAL_TIME)?;
    Ok(socket.into())
}
