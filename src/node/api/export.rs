//! `save`: the whole chain as one JSON document, block by block, in constant memory.
//!
//! The document is `{"network", "genesis", "length", "blocks": [...]}` with blocks as in [`super::rows`], each on a
//! line. A temporary file is written and then moved to its place when it is complete and on disk, so there is never
//! half of one. Only a saved chain is ever replaced, no other file.

use std::fs::File;
use std::io::{self, BufWriter, Read, Write};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use super::error::{Code, Failure};
use super::lookup;
use super::rows::{BlockRow, Saved};
use crate::files::{self, Temporary};
use crate::node::handle::Handle;
use crate::protocol::{Block, Height, Network};

/// The beginning of every saved chain.
const BEGINNING: &[u8] = b"{\"network\":";

/// Writes the chain of a node to a file.
pub(in crate::node) fn save_chain(handle: &Handle, file: &Path) -> Result<Saved, Failure> {
    let snapshot = handle.reader().snapshot()?;
    let is_over = AtomicBool::new(false);
    save(file, handle.network(), snapshot.tip().height, &is_over, |height| lookup::block_at(&snapshot, height))
}

/// Writes blocks 0 to `tip` of `network`, as `block_at` gives them, to `file`.
pub(in crate::node) fn save(
    file: &Path,
    network: &Network,
    tip: Height,
    cancel: &AtomicBool,
    block_at: impl FnMut(Height) -> Result<Block, Failure>,
) -> Result<Saved, Failure> {
    let failed = |error: io::Error| unwritten(file, &error);
    refuse_to_replace(file)?;
    let temporary = Temporary::beside(file).map_err(failed)?;
    let opened = temporary.create(false).map_err(failed)?;
    let bytes = write_chain(opened, network, tip, cancel, block_at, failed)?;
    // Again, in case a file has appeared there meanwhile.
    refuse_to_replace(file)?;
    temporary.replace(file).map_err(failed)?;
    Ok(Saved { file: file.display().to_string(), blocks: tip.0 + 1, bytes })
}

fn unwritten(file: &Path, error: &io::Error) -> Failure {
    let what = format!("cannot write {}: {error}; nothing was changed, choose another place", file.display());
    Failure::new(Code::WriteFailed, what)
}

fn refuse_to_replace(file: &Path) -> Result<(), Failure> {
    let mut beginning = [0; BEGINNING.len()];
    let saved_earlier = match files::open(file) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        // Something is there.
        Err(error) if error.kind() == io::ErrorKind::InvalidInput => false,
        Err(error) => return Err(unwritten(file, &error)),
        Ok(mut opened) => opened.read_exact(&mut beginning).is_ok() && beginning == BEGINNING,
    };
    if saved_earlier {
        return Ok(());
    }
    let message = format!("{} is there already and is not a saved chain: choose another name", file.display());
    Err(Failure::new(Code::FileExists, message))
}

fn write_chain(
    opened: File,
    network: &Network,
    tip: Height,
    cancel: &AtomicBool,
    mut block_at: impl FnMut(Height) -> Result<Block, Failure>,
    failed: impl Fn(io::Error) -> Failure,
) -> Result<u64, Failure> {
    let mut out = CountingWriter { inner: BufWriter::new(opened), bytes: 0 };
    let (name, genesis) = (&network.parameters().name, network.genesis_id());
    let length = tip.0 + 1;
    write!(out, "{{\"network\":\"{name}\",\"genesis\":\"{genesis}\",\"length\":{length},\"blocks\":[")
        .map_err(&failed)?;
    for height in 0..length {
        if cancel.load(Ordering::Relaxed) {
            return Err(Failure::new(Code::Cancelled, "stopped; nothing was written"));
        }
        let row = BlockRow::new(&block_at(Height(height))?, network);
        out.write_all(if height == 0 { b"\n" } else { b",\n" }).map_err(&failed)?;
        serde_json::to_writer(&mut out, &row).map_err(|error| failed(error.into()))?;
    }
    out.write_all(b"\n]}\n").map_err(&failed)?;
    let bytes = out.bytes;
    let file = out.inner.into_inner().map_err(|error| failed(error.into_error()))?;
    file.sync_all().map_err(&failed)?;
    Ok(bytes)
}

/// Counts the bytes that go through.
struct CountingWriter<W> {
    inner: W,
    bytes: u64,
}

impl<W: Write> Write for CountingWriter<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.inner.write(bytes)?;
        self.bytes += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::protocol::Parameters;

    fn block_at(network: &Network) -> impl FnMut(Height) -> Result<Block, Failure> {
        |height| {
            let mut block = network.genesis().clone();
            block.header.height = height;
            Ok(block)
        }
    }

    fn names(folder: &Path) -> Vec<String> {
        let entries = fs::read_dir(folder).expect("a folder");
        entries.map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned()).collect()
    }

    #[test]
    fn a_chain_is_saved_and_saved_again() {
        let (folder, network) =
            (tempfile::tempdir().expect("a folder"), Network::new(Parameters::dev()).expect("valid"));
        let file = folder.path().join("chain.json");
        let run = AtomicBool::new(false);
        for tip in [2, 5] {
            let saved = save(&file, &network, Height(tip), &run, block_at(&network)).expect("saved");
            let text = fs::read_to_string(&file).expect("written");
            let value: serde_json::Value = serde_json::from_str(&text).expect("JSON");
            assert_eq!(value["network"], "dev");
            assert_eq!(value["length"], tip + 1);
            let heights: Vec<_> =
                value["blocks"].as_array().expect("a list").iter().map(|b| b["height"].as_u64()).collect();
            assert_eq!(heights, (0..=tip).map(Some).collect::<Vec<_>>());
            assert!(saved.blocks == tip + 1 && saved.bytes == text.len() as u64);
        }
        assert_eq!(names(folder.path()), ["chain.json"]);
    }

    #[test]
    fn a_failure_leaves_everything_as_it_was() {
        let (folder, network) =
            (tempfile::tempdir().expect("a folder"), Network::new(Parameters::dev()).expect("valid"));
        let file = folder.path().join("chain.json");
        let (run, stop) = (AtomicBool::new(false), AtomicBool::new(true));
        let code = |result: Result<Saved, Failure>| result.expect_err("must fail").code;

        assert_eq!(code(save(&file, &network, Height(3), &stop, block_at(&network))), Code::Cancelled);
        let broken = |height: Height| match height.0 {
            0..2 => Ok(network.genesis().clone()),
            _ => Err(Failure::new(Code::StoreUnreadable, "broken")),
        };
        assert_eq!(code(save(&file, &network, Height(3), &run, broken)), Code::StoreUnreadable);
        let nowhere = folder.path().join("no/such/folder");
        assert_eq!(code(save(&nowhere, &network, Height(3), &run, block_at(&network))), Code::WriteFailed);
        assert_eq!(code(save(Path::new(".."), &network, Height(3), &run, block_at(&network))), Code::FileExists);
        assert!(names(folder.path()).is_empty());

        fs::write(&file, "precious").expect("written");
        assert_eq!(code(save(&file, &network, Height(3), &run, block_at(&network))), Code::FileExists);
        assert_eq!(fs::read_to_string(&file).expect("still there"), "precious");
    }
}
