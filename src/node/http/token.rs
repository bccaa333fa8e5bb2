//! The bearer token: a remote client that has it may do what the node's user may.

use std::io;
use std::path::Path;

use sha2::{Digest, Sha256};

use super::HttpError;
use crate::node::private_file;

/// In the data folder, for its owner alone.
const FILE: &str = "http-token";
/// The length of the token, before it is written in hex.
const TOKEN_BYTES: usize = 32;
/// A longer file is no token of ours.
const FILE_BYTES_MAX: usize = 4096;

/// A secret that is only ever compared.
#[derive(Debug)]
pub(super) struct Token {
    /// The hash of the token's text, so that comparing takes the same time for each candidate.
    hash: [u8; 32],
}

impl Token {
    fn new(text: &str) -> Self {
        Self { hash: Sha256::digest(text).into() }
    }

    /// Compares a candidate.
    pub(super) fn is(&self, offered: &str) -> bool {
        Sha256::digest(offered)[..] == self.hash
    }
}

/// The token of this data folder; the first call makes it.
pub(super) fn load_or_create(folder: &Path) -> Result<Token, HttpError> {
    let file = folder.join(FILE);
    let failed = |error| HttpError::Token { file: file.clone(), error };
    match private_file::read(&file, FILE_BYTES_MAX) {
        Ok(content) => {
            let text = std::str::from_utf8(&content).map(str::trim).unwrap_or_default();
            if text.len() < TOKEN_BYTES {
                let problem = "it holds no token: remove it, a new one is made";
                return Err(failed(io::Error::new(io::ErrorKind::InvalidData, problem)));
            }
            Ok(Token::new(text))
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let mut bytes = [0; TOKEN_BYTES];
            getrandom::fill(&mut bytes).map_err(|error| failed(error.into()))?;
            let text = hex::encode(bytes);
            private_file::write_new(&file, format!("{text}\n").as_bytes()).map_err(failed)?;
            Ok(Token::new(&text))
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
        assert!(made.is(text.trim()) && text.trim().len() == 64);
        let again = load_or_create(folder.path()).expect("the same file");
        assert!(again.is(text.trim()) && !again.is("") && !again.is(&text[1..]));
    }

    #[test]
    fn a_file_that_holds_no_token_is_not_taken_for_one() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        std::fs::write(folder.path().join(FILE), "\n").expect("our own folder");
        let error = load_or_create(folder.path()).expect_err("an empty token would let everybody in");
        assert_eq!(error.code(), "cannot_keep_token");
    }
}
