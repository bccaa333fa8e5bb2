//! `quipu backup DIR`: copies a node's data folder, whether the node runs or not; and `quipu restore DIR`.
//!
//! A node that runs copies its chain itself, asked over HTTP; whoever may read its folder has the token for that.

use std::fs;
use std::io::{self, Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::Value;

use crate::node::api::backup;
use crate::node::api::error::{Code, Failure};
use crate::node::api::rows::BackedUp;
use crate::node::store::{FolderLock, Store, StoreError};

pub(super) use crate::node::api::backup::restore;

/// The name that the lock file has for it.
const HOLDER: &str = "backup";
/// The time for copying a chain.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(600);
/// The longest answer, in bytes.
const ANSWER_BYTES_MAX: u64 = 64 << 10;

/// Makes the copy.
pub(super) fn run(data: &Path, to: &Path) -> Result<BackedUp, Failure> {
    if !data.is_dir() {
        let message =
            format!("there is no folder {}: choose a node with --name, --network or --data-dir", data.display());
        return Err(Failure::new(Code::NotFound, message));
    }
    match FolderLock::acquire(data, HOLDER) {
        Ok(lock) => backup::of_stopped(&lock, to),
        Err(StoreError::Locked { .. }) => backup::of_staged(data, &have_staged(data)?, to),
        Err(error) => Err(error.into()),
    }
}

/// The node's folder in a data folder that holds nothing of a node itself.
pub(super) fn mistaken_folder(data: &Path) -> Option<PathBuf> {
    let is_used = Store::is_in(data) || data.join("wallets").exists();
    if is_used { None } else { backup::node_folder_in(data) }
}

/// Asks the node that holds the folder.
fn have_staged(data: &Path) -> Result<String, Failure> {
    let refuse = |why: &str| {
        let message = format!(
            "the node in {} does not copy its chain for others ({why}): type `backup DIR` at its prompt, or stop it first",
            data.display()
        );
        Failure::new(Code::ConnectFailed, message)
    };
    let served = FolderLock::holder_http(data).and_then(|url| url.strip_prefix("http://")?.parse().ok());
    let mut address: SocketAddr = served.ok_or_else(|| refuse("it serves no HTTP, or it is still starting"))?;
    match address.ip() {
        ip if !ip.is_unspecified() => {}
        IpAddr::V4(_) => address.set_ip(Ipv4Addr::LOCALHOST.into()),
        IpAddr::V6(_) => address.set_ip(Ipv6Addr::LOCALHOST.into()),
    }
    let token = fs::read_to_string(data.join("http-token")).map_err(|error| refuse(&format!("no token: {error}")))?;
    let answer = post(address, token.trim()).map_err(|error| refuse(&error.to_string()))?;
    match (&answer["id"], &answer["detail"]) {
        (Value::String(id), _) => Ok(id.clone()),
        (_, Value::String(detail)) => Err(refuse(detail)),
        _ => Err(refuse("its answer is none")),
    }
}

fn post(address: SocketAddr, token: &str) -> io::Result<Value> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(ANSWER_TIMEOUT))?;
    write!(
        stream,
        "POST /api/v1/backup HTTP/1.1\r\nHost: {address}\r\nAuthorization: Bearer {token}\r\nContent-Length: 0\r\n\
         Connection: close\r\n\r\n"
    )?;
    let mut answer = String::new();
    stream.take(ANSWER_BYTES_MAX).read_to_string(&mut answer)?;
    let body = answer.split_once("\r\n\r\n").map_or("", |(_, body)| body);
    serde_json::from_str(body).map_err(io::Error::other)
}
