//! Peers that are remembered between runs: `peers.json` in the data folder. It is a convenience, so no error about it
//! stops the node.

use std::fs;
use std::io::{self, Write};
use std::path::Path;

use libp2p::{Multiaddr, PeerId};
use serde::{Deserialize, Serialize};

/// The most peers in the file. Those with the oldest connections are evicted.
pub(super) const REMEMBERED_PEERS_MAX: usize = 256;
/// Of these, peers that were merely met: anybody who calls us is.
pub(super) const REMEMBERED_MET_MAX: usize = 64;
/// The longest file, in bytes. A longer one is not ours.
const FILE_BYTES_MAX: u64 = 1 << 20;
const FILE_NAME: &str = "peers.json";

/// A peer of our network that we were connected to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Remembered {
    pub(super) peer: PeerId,
    /// Best first.
    pub(super) addresses: Vec<Multiaddr>,
    pub(super) tie: Tie,
}

/// The role that a remembered peer had for us.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Tie {
    /// One of those that we dialled and had for longest: dialled first.
    Anchor,
    /// We dialled it, and it proved itself.
    Good,
    /// It was connected once. Nothing is known for it.
    #[default]
    Met,
}

#[derive(Serialize, Deserialize)]
struct PeersFile {
    peers: Vec<PeerEntry>,
}

#[derive(Serialize, Deserialize)]
struct PeerEntry {
    peer_id: String,
    addresses: Vec<Multiaddr>,
    /// Files of earlier versions don't tell.
    #[serde(default)]
    tie: Tie,
}

/// The peers of the last run, best first. A file that can't be used is a warning.
pub(super) fn load(folder: &Path) -> (Vec<Remembered>, Option<String>) {
    let path = folder.join(FILE_NAME);
    match read(&path) {
        Ok(peers) => (peers, None),
        Err(error) if error.kind() == io::ErrorKind::NotFound => (Vec::new(), None),
        Err(error) => (Vec::new(), Some(format!("{}: {error}: starting without remembered peers", path.display()))),
    }
}

fn read(path: &Path) -> io::Result<Vec<Remembered>> {
    if fs::metadata(path)?.len() > FILE_BYTES_MAX {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "too long"));
    }
    let file: PeersFile = serde_json::from_slice(&fs::read(path)?)?;
    let known = file.peers.into_iter().take(REMEMBERED_PEERS_MAX);
    known
        .map(|row| {
            let peer = row.peer_id.parse().map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
            Ok(Remembered { peer, addresses: row.addresses, tie: row.tie })
        })
        .collect()
}

/// Replaces the file in one step, so that a crash leaves the old one or the new one.
pub(super) fn save(folder: &Path, peers: &[Remembered]) -> io::Result<()> {
    let peers = peers.iter().take(REMEMBERED_PEERS_MAX);
    let rows = peers.map(|known| PeerEntry {
        peer_id: known.peer.to_string(),
        addresses: known.addresses.clone(),
        tie: known.tie,
    });
    let file = PeersFile { peers: rows.collect() };
    let temporary = folder.join(format!("{FILE_NAME}.new"));
    let mut writer = fs::File::create(&temporary)?;
    writer.write_all(&serde_json::to_vec_pretty(&file)?)?;
    writer.sync_data()?;
    fs::rename(temporary, folder.join(FILE_NAME))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peers(count: usize) -> Vec<Remembered> {
        let address = "/ip4/192.168.1.7/tcp/7787".parse::<Multiaddr>().expect("a multiaddr");
        let ties = [Tie::Anchor, Tie::Good, Tie::Met].into_iter().cycle();
        ties.map(|tie| Remembered { peer: PeerId::random(), addresses: vec![address.clone()], tie })
            .take(count)
            .collect()
    }

    #[test]
    fn what_is_saved_is_loaded() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        assert_eq!(load(folder.path()), (Vec::new(), None), "no file is no warning");
        let peers = peers(3);
        save(folder.path(), &peers).expect("an empty folder");
        assert_eq!(load(folder.path()), (peers, None));
    }

    #[test]
    fn what_an_earlier_version_remembered_was_met() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let peer = PeerId::random();
        let text = format!("{{\"peers\": [{{\"peer_id\": \"{peer}\", \"addresses\": [\"/ip4/10.0.0.9/tcp/1\"]}}]}}");
        fs::write(folder.path().join(FILE_NAME), text).expect("a writable folder");
        let (peers, warning) = load(folder.path());
        assert_eq!((peers[0].peer, peers[0].tie, warning), (peer, Tie::Met, None));
    }

    #[test]
    fn the_file_is_bounded() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let peers = peers(REMEMBERED_PEERS_MAX + 5);
        save(folder.path(), &peers).expect("an empty folder");
        assert_eq!(load(folder.path()).0, peers[..REMEMBERED_PEERS_MAX]);
    }

    #[test]
    fn a_damaged_file_is_a_warning_and_no_peers() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        for damage in ["", "{\"peers\": [{\"peer", "{\"peers\": [{\"peer_id\": \"x\", \"addresses\": []}]}"] {
            fs::write(folder.path().join(FILE_NAME), damage).expect("a writable folder");
            let (peers, warning) = load(folder.path());
            assert!(peers.is_empty() && warning.is_some_and(|text| text.contains(FILE_NAME)), "{damage}");
        }
    }
}
