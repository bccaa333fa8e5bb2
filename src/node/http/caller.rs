//! Whether the node's own user sits at the other end of a connection.
//!
//! On Linux the system's table of sockets has the user of the other end, as long as that socket is on this machine, in
//! the same network namespace, and held by a process. Everywhere else it cannot be told, and then the answer is no.
//!
//! Always true: the answer belongs to the connection, so it is looked up once, and only if a request needs it; whoever
//! made the socket counts, even if another process goes on with it. Root is another user: services of root speak for
//! others (proxies, inetd), and a person who is root can read the token.

#[cfg(target_os = "linux")]
mod table;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use crossbeam_channel::{Receiver, Sender, unbounded};
use tokio::net::TcpStream;
use tokio::sync::{OnceCell, oneshot};

use crate::node::thread;

/// The way to the thread that looks callers up, one after the other: a table may be long, and threads that make long
/// answers would keep more memory if they were more.
#[derive(Debug)]
pub(super) struct Registry(Sender<(Ends, oneshot::Sender<bool>)>);

impl Registry {
    /// Starts the thread. It ends with this.
    pub(super) fn start(failed: impl FnOnce(String) + Send + 'static) -> io::Result<Self> {
        // Bounded by the connections, each of which asks once.
        let (sender, asked): (_, Receiver<(Ends, oneshot::Sender<bool>)>) = unbounded();
        thread::spawn("callers", failed, move || {
            for (ends, answer) in asked {
                // The connection may have ended.
                let _ = answer.send(ends.are_of_own_user());
            }
        })?;
        Ok(Self(sender))
    }

    async fn look_up(&self, ends: Ends) -> bool {
        let (answer, told) = oneshot::channel();
        self.0.send((ends, answer)).is_ok() && told.await.unwrap_or(false)
    }
}

/// The other end of a connection.
#[derive(Debug)]
pub(super) struct Caller {
    ends: Option<Ends>,
    is_own_user: OnceCell<bool>,
}

/// Both ends of a connection.
#[derive(Debug, Clone, Copy)]
#[cfg_attr(not(target_os = "linux"), expect(dead_code, reason = "there is no table to look them up in"))]
struct Ends {
    client: SocketAddr,
    server: SocketAddr,
    /// The number of our socket.
    server_inode: u64,
}

impl Caller {
    /// The caller of an accepted connection.
    pub(super) fn of(stream: &TcpStream, client: SocketAddr) -> Arc<Self> {
        Arc::new(Self { ends: Ends::of(stream, client), is_own_user: OnceCell::new() })
    }

    /// Whether it is the user as whom this node runs. Looked up by the first call.
    pub(super) async fn is_own_user(&self, registry: &Registry) -> bool {
        let Some(ends) = self.ends else { return false };
        *self.is_own_user.get_or_init(|| registry.look_up(ends)).await
    }
}

#[cfg(target_os = "linux")]
impl Ends {
    fn of(stream: &TcpStream, client: SocketAddr) -> Option<Self> {
        let server_inode = rustix::fs::fstat(stream).ok()?.st_ino;
        Some(Self { client, server: stream.local_addr().ok()?, server_inode })
    }

    fn are_of_own_user(self) -> bool {
        let own = rustix::process::geteuid().as_raw();
        table::owner(&self).is_some_and(|uid| uid == own && table::is_known(uid))
    }
}

#[cfg(not(target_os = "linux"))]
impl Ends {
    fn of(_: &TcpStream, _: SocketAddr) -> Option<Self> {
        None
    }

    fn are_of_own_user(self) -> bool {
        false
    }
}
