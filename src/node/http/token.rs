//! The bearer token: a remote client that has it may do what the node's user may.

use std::io;
use std::path::Path;

use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use super::HttpError;
use crate::node::private_file;

/// In the data folder, for its owner alone.
const FILE: &str = "http-token";
/// The length of the token, before it is written in hex. It is part of an address that fits in a line.
const TOKEN_BYTES: usize = 16;
/// A shorter text is no token.
const TEXT_BYTES_MIN: usize = 2 * TOKEN_BYTES;
/// A longer file is no token of ours.
const FILE_BYTES_MAX: usize = 4096;

/// A secret that is only ever compared.
#[derive(Debug)]
pub(super) struct Token {
    /// The hash of the token's text, so that comparing takes the same time for each candidate.
    hash: [u8; 32],
}

impl Token {
    pub(super) fn new(text: &str) -> Self {
        Self { hash: Sha256::digest(text).into() }
    }

    /// Compares a candidate.
    pub(super) fn is(&self, offered: &str) -> bool {
        Sha256::digest(offered)[..] == self.hash
    }
}

/// The text of this data folder's token; the first call makes it.
pub(super) fn load_or_create(folder: &Path) -> Result<Zeroizing<String>, HttpError> {
    let file = folder.join(FILE);
    let failed = |error| HttpError::Token { file: file.clone(), error };
    match private_file::read(&file, FILE_BYTES_MAX) {
        Ok(content) => {
            let text = std::str::from_utf8(&content).map(str::trim).unwrap_or_default();
            if text.len() < TEXT_BYTES_MIN {
                let problem = "it holds no token: remove it, a new one is made";
                return Err(failed(io::Error::new(io::ErrorKind::InvalidData, problem)));
            }
            Ok(Zeroizing::new(text.to_owned()))
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let mut bytes = [0; TOKEN_BYTES];
            getrandom::fill(&mut bytes).map_err(|error| failed(error.into()))?;
            let text = Zeroizing::new(hex::encode(bytes));
            private_file::write_new(&file, format!("{}\n", *text).as_bytes()).map_err(failed)?;
            Ok(text)
        }
        Err(error) => Err(failed(error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_made_once_and_kept() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let made = load_or_create(folder.path()).expect("a new file");
        let text = std::fs::read_to_string(folder.path().join(FILE)).expect("it is there");
        assert!(*made == text.trim() && made.len() == 32);
        let again = load_or_create(folder.path()).expect("the same file");
        let token = Token::new(&again);
        assert!(token.is(text.trim()) && !token.is("") && !token.is(&text[1..]));
    }

    #[test]
    fn a_file_that_holds_no_token_is_not_taken_for_one() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        std::fs::write(folder.path().join(FILE), "\n").expect("our own folder");
        let error = load_or_create(folder.path()).expect_err("an empty token would let everybody in");
        assert_eq!(error.code(), "cannot_keep_token");
    }
}
