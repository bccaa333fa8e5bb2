//! Requests and responses between peers. New blocks and transactions also travel as gossip, as the plain encoding of an
//! [`Announcement`](crate::compact::Announcement) or a [`Bundle`](crate::Bundle).

use bincode::{Decode, Encode};

use crate::block::{Block, HEADER_BYTES, Header, Height};
use crate::bundle::BUNDLE_BYTES_MAX;
use crate::compact::BLOCK_TRANSACTIONS_MAX;
use crate::encode::List;
use crate::harmless::confuses;
use crate::hash::{BlockId, TransactionId};
use crate::network::{BLOCK_BYTES_LIMIT, Network};
use crate::time::UnixMillis;
use crate::transaction::SignedTransaction;
use crate::work::Work;

/// The version in every protocol name and topic.
pub const PROTOCOL_VERSION: u32 = 2;
/// The most ids in one request.
pub const REQUEST_IDS_MAX: usize = 4096;
/// The longest encoded request, in bytes: a tag, a count and the ids, with room to spare.
pub const REQUEST_BYTES_MAX: usize = REQUEST_IDS_MAX * 32 + 64;
/// The most positions of transactions in one request, which is the most that a block can have.
pub const REQUEST_PLACES_MAX: usize = BLOCK_TRANSACTIONS_MAX;
/// The most headers in one response.
pub const RESPONSE_HEADERS_MAX: usize = 4096;
/// The most transaction ids in one response.
pub const RESPONSE_IDS_MAX: usize = 32_768;
/// A response stops growing at this many bytes, but holds at least one block or transaction if there is any.
pub const RESPONSE_BYTES_SOFT_MAX: usize = 2 << 20;
/// The longest encoded response, in bytes.
pub const RESPONSE_BYTES_MAX: usize = RESPONSE_BYTES_SOFT_MAX + BLOCK_BYTES_LIMIT + 64;
/// A transaction takes at least 132 bytes of a block, and at most 4 of its announcement.
const BLOCK_BYTES_PER_GOSSIPED_BYTE: usize = 32;
/// Bytes of an announcement for everything but the short ids. Twice the hints that a block is likely to need fit.
const ANNOUNCEMENT_SPARE_BYTES: usize = 8 << 10;
/// The longest nickname of a node, in bytes.
pub const NICKNAME_BYTES_MAX: usize = 32;
/// The most characters that are shown of a problem with a file.
pub const PROBLEM_CHARACTERS_MAX: usize = 300;

/// The longest encoded status, in bytes, with room to spare.
const STATUS_BYTES_MAX: usize = 512;
/// The tag and the count before a list, in bytes.
const LIST_HEAD_BYTES: usize = 4 + 8;

/// The longest encoded answer to a request, in bytes. A longer one breaks the protocol before it is read.
pub fn response_bytes_max(request: &Request) -> usize {
    match request {
        Request::Status(_) => STATUS_BYTES_MAX,
        Request::Headers { .. } => LIST_HEAD_BYTES + RESPONSE_HEADERS_MAX * HEADER_BYTES,
        Request::Pending => LIST_HEAD_BYTES + RESPONSE_IDS_MAX * 32,
        Request::Blocks { .. } | Request::Transactions { .. } | Request::BlockTransactions { .. } => RESPONSE_BYTES_MAX,
    }
}

/// A question of one node to another.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub enum Request {
    /// Asks how far the peer is, and tells how far the asker is, so that one exchange informs both.
    Status(Status),
    /// Asks for the headers of the peer's best chain after the first of these blocks that is on it.
    Headers {
        /// Ids from the asker's best chain, newest first, thinning out towards genesis; at most [`REQUEST_IDS_MAX`].
        locator: List<BlockId>,
    },
    /// Asks for blocks by id.
    Blocks {
        /// The blocks' ids, at most [`REQUEST_IDS_MAX`].
        ids: List<BlockId>,
    },
    /// Asks for the ids of the transactions in the peer's memory pool.
    Pending,
    /// Asks for transactions from the peer's memory pool.
    Transactions {
        /// The transactions' ids, at most [`REQUEST_IDS_MAX`].
        ids: List<TransactionId>,
    },
    /// Asks for transactions of a block that the peer announced.
    BlockTransactions {
        /// The block's id.
        block: BlockId,
        /// The transactions' positions in the block, from 0, ascending; at most [`REQUEST_PLACES_MAX`].
        places: List<u32>,
    },
}

/// The answer to the [`Request`] of the same name.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub enum Response {
    /// The answering node's progress.
    Status(Status),
    /// Consecutive headers, oldest first, at most [`RESPONSE_HEADERS_MAX`]. An empty list means that nothing follows
    /// the locator.
    Headers(List<Header>),
    /// A prefix of the requested blocks, without those that the node does not have.
    Blocks(List<Block>),
    /// At most [`RESPONSE_IDS_MAX`] ids, highest fee first.
    Pending(List<TransactionId>),
    /// The requested transactions that the pool still has, in the order requested, until the response is full.
    Transactions(List<SignedTransaction>),
    /// All the requested transactions, in the order of their positions.
    BlockTransactions(List<SignedTransaction>),
}

/// A node's progress.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Status {
    /// The id of its best block.
    pub tip: BlockId,
    /// That block's height.
    pub height: Height,
    /// The accumulated work of the chain that ends at that block.
    pub work: Work,
    /// The node's clock, so that people can be told when clocks disagree.
    pub clock: UnixMillis,
    /// The number of transactions in the node's memory pool.
    pub pending: u64,
    /// The name that its owner gave it, at most [`NICKNAME_BYTES_MAX`] of UTF-8. A hint for people, never an identity.
    pub nickname: List<u8>,
}

impl Status {
    /// The nickname as printable text, cut to size and without anything that could confuse a terminal.
    pub fn nickname(&self) -> String {
        let bytes = &self.nickname[..self.nickname.len().min(NICKNAME_BYTES_MAX)];
        String::from_utf8_lossy(bytes).chars().filter(|c| !confuses(*c) && *c != char::REPLACEMENT_CHARACTER).collect()
    }
}

/// Makes a parser's message about a foreign file printable, as it may quote the file at any length: one line, cut to
/// [`PROBLEM_CHARACTERS_MAX`], with escapes for anything that could confuse a terminal.
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

/// The longest gossip message of a network, in bytes: a bundle, or the longest block in compact form. It is the same on
/// every node, since a longer one silences a link. Every connection can hold an unfinished one, so it is no longer than
/// it has to be.
pub fn gossip_bytes_max(network: &Network) -> usize {
    (network.block_bytes_max() / BLOCK_BYTES_PER_GOSSIPED_BYTE + ANNOUNCEMENT_SPARE_BYTES).max(BUNDLE_BYTES_MAX)
}

/// The gossip topic of a network's blocks or transactions.
pub fn topic(network: &Network, kind: &str) -> String {
    format!("/quipu/{PROTOCOL_VERSION}/{}/{kind}", network.tag())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::block::CONTEXT_BYTES;
    use crate::compact::WHOLE_BYTES_MAX;
    use crate::encode::{EncodedSize, decode, encode};
    use crate::network::Parameters;

    #[test]
    fn the_longest_announcement_fits() {
        for block_bytes_max in [64 << 10, 1 << 20, BLOCK_BYTES_LIMIT as u32] {
            let network = Network::new(Parameters { block_bytes_max, ..Parameters::dev() }).expect("valid");
            let count = (network.block_bytes_max() - Block::ENCODED_BYTES_MIN) / SignedTransaction::ENCODED_BYTES_MIN;
            let likely_hints = count / 64;
            let fixed = 4 + HEADER_BYTES + CONTEXT_BYTES + 28 + 1 + 8 + 8;
            assert!(fixed + 4 * count + 2 * 8 * likely_hints <= gossip_bytes_max(&network), "{block_bytes_max}");
            assert!(WHOLE_BYTES_MAX + 4 <= gossip_bytes_max(&network));
        }
    }

    #[test]
    fn the_largest_request_fits() {
        let ids = vec![BlockId([1; 32]); REQUEST_IDS_MAX];
        let places = (0..REQUEST_PLACES_MAX as u32).collect();
        for request in
            [Request::Blocks { ids: ids.into() }, Request::BlockTransactions { block: BlockId([1; 32]), places }]
        {
            assert!(encode(&request).len() <= REQUEST_BYTES_MAX);
        }
    }

    #[test]
    fn an_unknown_kind_of_request_is_refused() {
        assert!(decode::<Request>(&encode(&Request::Pending), 100).is_ok());
        assert!(decode::<Request>(&[6, 0, 0, 0], 100).is_err());
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
            let tip = BlockId([0; 32]);
            let nickname = nickname.to_vec().into();
            Status { tip, height: Height(0), work: Work::ZERO, clock: UnixMillis(0), pending: 0, nickname }.nickname()
        };
        assert_eq!(shown(b"lab\x1b[31m\xff"), "lab[31m");
        assert_eq!(shown("a\u{202e}b\u{200b}c\u{feff}é".as_bytes()), "abcé");
        assert_eq!(shown(&[b'x'; 100]), "x".repeat(NICKNAME_BYTES_MAX));
    }
}
