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

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::net::TcpStream;
use tokio::sync::OnceCell;

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
    pub(super) async fn is_own_user(&self) -> bool {
        let Some(ends) = self.ends else { return false };
        let told = self.is_own_user.get_or_init(|| async move {
            tokio::task::spawn_blocking(move || ends.are_of_own_user()).await.unwrap_or(false)
        });
        *told.await
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
