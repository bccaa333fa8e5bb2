//! What travels between peers: requests and their responses. Blocks and transactions also travel as gossip, as
//! the plain encoding of a [`Block`] or a [`Bundle`](crate::Bundle).

use bincode::{Decode, Encode};

use crate::block::{Block, Header, Height};
use crate::bundle::BUNDLE_BYTES_MAX;
use crate::encode::List;
use crate::hash::{BlockId, TransactionId};
use crate::network::{BLOCK_BYTES_LIMIT, Network};
use crate::time::UnixMillis;
use crate::transaction::SignedTransaction;
use crate::work::Work;

/// Version in every protocol name and topic.
pub const PROTOCOL_VERSION: u32 = 1;
/// The most ids in one request.
pub const REQUEST_IDS_MAX: usize = 4096;
/// The longest encoded request, in bytes: a tag, a count and the ids, with room to spare.
pub const REQUEST_BYTES_MAX: usize = REQUEST_IDS_MAX * 32 + 64;
/// The most headers in one response.
pub const RESPONSE_HEADERS_MAX: usize = 4096;
/// The most transaction ids in one response.
pub const RESPONSE_IDS_MAX: usize = 32_768;
/// A response stops growing at this many bytes, but holds at least one block or transaction if there is one.
pub const RESPONSE_BYTES_SOFT_MAX: usize = 2 << 20;
/// The longest encoded response, in bytes.
pub const RESPONSE_BYTES_MAX: usize = RESPONSE_BYTES_SOFT_MAX + BLOCK_BYTES_LIMIT + 64;
/// The longest name that a node gives itself, in bytes.
pub const NICKNAME_BYTES_MAX: usize = 32;
/// What is shown of a problem with a file, in characters.
pub const PROBLEM_CHARACTERS_MAX: usize = 300;

/// What a node asks another.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub enum Request {
    /// How far are you? Tells how far the asker is, so that one exchange informs both.
    Status(Status),
    /// The headers of your best chain after the first of these blocks that is on it.
    Headers {
        /// Ids from the asker's best chain, newest first, thinning out towards genesis; at most [`REQUEST_IDS_MAX`].
        locator: List<BlockId>,
    },
    /// These blocks.
    Blocks {
        /// At most [`REQUEST_IDS_MAX`].
        ids: List<BlockId>,
    },
    /// The ids of what waits in your memory pool.
    Pending,
    /// These transactions from your memory pool.
    Transactions {
        /// At most [`REQUEST_IDS_MAX`].
        ids: List<TransactionId>,
    },
}

/// The answer to the [`Request`] of the same name.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub enum Response {
    /// How far the answering node is.
    Status(Status),
    /// Consecutive headers, oldest first, at most [`RESPONSE_HEADERS_MAX`]. Empty: nothing after the locator.
    Headers(List<Header>),
    /// A prefix, without the blocks that are not there, of what was asked for.
    Blocks(List<Block>),
    /// At most [`RESPONSE_IDS_MAX`], best paying first.
    Pending(List<TransactionId>),
    /// Those that are there, in the order asked for, until the response is full.
    Transactions(List<SignedTransaction>),
}

/// How far a node is.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Status {
    /// The id of its best block.
    pub tip: BlockId,
    /// That block's height.
    pub height: Height,
    /// The work of the chain that ends there.
    pub work: Work,
    /// Its clock, to tell people whose clocks are wrong.
    pub clock: UnixMillis,
    /// How many transactions wait in its memory pool.
    pub pending: u64,
    /// What its owner calls it, at most [`NICKNAME_BYTES_MAX`] of UTF-8. A hint for people, never an identity.
    pub nickname: List<u8>,
}

impl Status {
    /// The nickname as printable text: cut to size, anything that could confuse a terminal left out.
    pub fn nickname(&self) -> String {
        let bytes = &self.nickname[..self.nickname.len().min(NICKNAME_BYTES_MAX)];
        String::from_utf8_lossy(bytes).chars().filter(|c| !confuses(*c)).collect()
    }
}

/// What a parser says of somebody's file, which it may quote at any length: one line, cut to
/// [`PROBLEM_CHARACTERS_MAX`], with escapes for what could confuse a terminal.
pub fn printable_problem(text: &str) -> String {
    let mut shown = String::new();
    for character in text.chars().take(PROBLEM_CHARACTERS_MAX) {
        if confuses(character) {
            shown.extend(character.escape_default());
        } else {
            shown.push(character);
        }
    }
    if text.chars().nth(PROBLEM_CHARACTERS_MAX).is_some() {
        shown.push('…');
    }
    shown
}

/// Control characters, and those that are not seen but hide, reorder or join what is (Unicode's Cf and line breaks).
fn confuses(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
            | '\u{feff}' | '\u{fff9}'..='\u{fffd}' | '\u{e0000}'..='\u{e007f}')
}

/// The longest gossip message of a network, in bytes. The same on every node, since a longer one silences a link.
pub fn gossip_bytes_max(network: &Network) -> usize {
    network.block_bytes_max().max(BUNDLE_BYTES_MAX)
}

/// The topic of blocks or transactions of a network.
pub fn topic(network: &Network, kind: &str) -> String {
    format!("/quipu/{PROTOCOL_VERSION}/{}/{kind}", network.tag())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::encode::{decode, encode};

    #[test]
    fn the_largest_request_fits() {
        let request = Request::Blocks { ids: vec![BlockId([1; 32]); REQUEST_IDS_MAX].into() };
        assert!(encode(&request).len() <= REQUEST_BYTES_MAX);
    }

    #[test]
    fn an_unknown_kind_of_request_is_refused() {
        assert!(decode::<Request>(&encode(&Request::Pending), 100).is_ok());
        assert!(decode::<Request>(&[5, 0, 0, 0], 100).is_err());
    }

    #[test]
    fn problems_are_one_line_of_bounded_length() {
        let cases = [
            ("unknown field `ü\"`", "unknown field `ü\"`".to_owned()),
            ("a\nb\r\t", "a\\nb\\r\\t".to_owned()),
            ("\u{1b}[2J\u{202e}", "\\u{1b}[2J\\u{202e}".to_owned()),
            (&"x".repeat(1000), "x".repeat(PROBLEM_CHARACTERS_MAX) + "…"),
        ];
        for (text, want) in cases {
            assert_eq!(printable_problem(text), want);
        }
    }

    #[test]
    fn nicknames_are_made_harmless() {
        let shown = |nickname: &[u8]| {
            let (tip, nickname) = (BlockId([0; 32]), nickname.to_vec().into());
            Status { tip, height: Height(0), work: Work::ZERO, clock: UnixMillis(0), pending: 0, nickname }.nickname()
        };
        assert_eq!(shown(b"lab\x1b[31m\xff"), "lab[31m");
        assert_eq!(shown("a\u{202e}b\u{200b}c\u{feff}é".as_bytes()), "abcé");
        assert_eq!(shown(&[b'x'; 100]), "x".repeat(NICKNAME_BYTES_MAX));
    }
}
