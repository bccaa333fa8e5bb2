//! `quipu verify-page FILE`: writes the page that verifies receipts without a node and without a network.

use std::io::ErrorKind;
use std::path::Path;

use serde::Serialize;

use crate::files::write_new;
use crate::node::api::error::{Code, Failure};
use crate::node::page::standalone::verify_page;

/// What was written.
#[derive(Debug, Serialize)]
pub(super) struct WrittenPage {
    pub(super) file: String,
    pub(super) bytes: u64,
}

/// Writes it, unless the file is there.
pub(super) fn run(file: &Path) -> Result<WrittenPage, Failure> {
    let page = verify_page();
    write_new(file, page.as_bytes()).map_err(|error| match error.kind() {
        ErrorKind::AlreadyExists => {
            Failure::new(Code::FileExists, format!("{} is there already: nothing was written", file.display()))
        }
        _ => Failure::new(Code::WriteFailed, format!("cannot write {}: {error}", file.display())),
    })?;
    Ok(WrittenPage { file: file.display().to_string(), bytes: page.len() as u64 })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_is_written_once() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("verify.html");
        let written = run(&file).expect("nothing is there");
        let content = std::fs::read_to_string(&file).expect("it was written");
        assert!(content == verify_page() && content.len() as u64 == written.bytes);
        std::fs::write(&file, "mine").expect("it can be written");
        assert_eq!(run(&file).expect_err("it is there").code, Code::FileExists);
        assert_eq!(std::fs::read_to_string(&file).expect("it is there"), "mine");
    }
}
