//! Parsing of values for every front end: each function returns the value, or an error that says what to write.

use std::str::FromStr;

use libp2p::Multiaddr;

use super::error::{Code, Failure};
use super::peer_address::peer_address;
use super::query::{BlockName, Since, TransactionName, Who};
use crate::engine::event::MiningMode;
use crate::node::aliases;
use crate::node::index::Cursor;
use crate::protocol::receipt::Form;
use crate::protocol::record::{Tag, TagError};
use crate::protocol::{Address, Amount, BlockId, Height, Millis};
use crate::text::{date_time_of, excerpt, grouped, one_form};

/// How many digits of an id are shown.
const SHORT_ID_DIGITS: usize = 8;
/// Most rows of a list.
pub(in crate::node) const LIMIT_MAX: u64 = 1000;

pub(in crate::node) fn bad(code: Code, word: &str, problem: &str) -> Failure {
    Failure::new(code, format!("{}: {problem}", excerpt(word)))
}

/// An address, or a name whose owner is looked up later.
pub(in crate::node) fn who(word: &str) -> Result<Who, Failure> {
    let name = one_form(word);
    if aliases::check_name(&name).is_ok() {
        return Ok(Who::Name(name.into_owned()));
    }
    address(word).map(Who::Address)
}

pub(in crate::node) fn address(word: &str) -> Result<Address, Failure> {
    word.parse().map_err(|error: <Address as FromStr>::Err| bad(Code::BadAddress, word, &error.to_string()))
}

pub(in crate::node) fn amount(word: &str, what: &str) -> Result<Amount, Failure> {
    word.parse::<Amount>().map_err(|error| {
        let with_point = word.replacen(',', ".", 1);
        // Many write a decimal comma; a group of three may be meant as thousands.
        let problem = match with_point.parse::<Amount>() {
            Ok(_) if word.contains(',') => format!("write it with a point, as in {with_point}"),
            _ => format!("not a valid {what}: {error}"),
        };
        bad(Code::BadAmount, word, &problem)
    })
}

pub(in crate::node) fn height(word: &str) -> Result<Height, Failure> {
    let problem = "a height is a whole number, 0 for the first block";
    whole(word).map(Height).ok_or_else(|| bad(Code::BadNumber, word, problem))
}

pub(in crate::node) fn count(word: &str, what: &str) -> Result<u64, Failure> {
    let problem = format!("{what} is a whole number, at least 1");
    whole(word).filter(|count| *count > 0).ok_or_else(|| bad(Code::BadNumber, word, &problem))
}

/// The whole id of a block.
pub(in crate::node) fn block_id(word: &str) -> Result<BlockId, Failure> {
    word.parse().map_err(|_| bad(Code::BadId, word, "an id is 64 hex digits"))
}

/// The form of a receipt.
pub(in crate::node) fn receipt_form(word: &str) -> Result<Form, Failure> {
    Form::of_word(word).ok_or_else(|| bad(Code::Usage, word, "a receipt is full, sampled or witnessed"))
}

pub(in crate::node) fn limit(word: &str) -> Result<usize, Failure> {
    let problem = format!("a list shows 1 to {LIMIT_MAX} rows");
    let limit = whole(word).filter(|limit| (1..=LIMIT_MAX).contains(limit));
    limit.map(|limit| limit as usize).ok_or_else(|| bad(Code::BadNumber, word, &problem))
}

/// A place in a list that is counted from 0.
pub(in crate::node) fn place(word: &str) -> Result<u64, Failure> {
    whole(word).ok_or_else(|| bad(Code::BadNumber, word, "a place in a list is a whole number, counted from 0"))
}

/// The end of an earlier part of a list.
pub(in crate::node) fn cursor(word: &str) -> Result<Cursor, Failure> {
    let problem = "a place in a list is what its last line names, such as 120.3";
    word.parse().map_err(|_| bad(Code::BadNumber, word, problem))
}

/// A whole number, also in the form of answers: `20,000`.
fn whole(word: &str) -> Option<u64> {
    let number = word.replace(',', "").parse::<u64>().ok()?;
    (!word.contains(',') || word == grouped(number)).then_some(number)
}

pub(in crate::node) fn block_name(word: &str) -> Result<BlockName, Failure> {
    let short = || u32::from_str_radix(word, 16).ok().filter(|_| word.len() == SHORT_ID_DIGITS);
    let name = (word.parse().ok().map(BlockName::Id))
        .or_else(|| whole(word).map(|height| BlockName::Height(Height(height))))
        .or_else(|| short().map(BlockName::Short));
    let problem = "a block is named by its height or its id (64 hex digits, or the 8 that `chain` shows)";
    name.ok_or_else(|| bad(Code::BadId, word, problem))
}

pub(in crate::node) fn transaction_name(word: &str) -> Result<TransactionName, Failure> {
    let is_short = || word.len() >= SHORT_ID_DIGITS && word.len() < 64 && word.bytes().all(|b| b.is_ascii_hexdigit());
    let name = (word.parse().ok().map(TransactionName::Id))
        .or_else(|| is_short().then(|| TransactionName::Short(word.to_lowercase())));
    let problem = "a transaction is named by its id (64 hex digits, or at least the 8 that are shown)";
    name.ok_or_else(|| bad(Code::BadId, word, problem))
}

/// A moment: a date in UTC, with or without a time, or a span back from now.
pub(in crate::node) fn since(word: &str) -> Result<Since, Failure> {
    let span = || {
        let unit = word.chars().next_back()?;
        let seconds = match unit {
            's' => 1,
            'm' => 60,
            'h' => 3_600,
            'd' => 86_400,
            _ => return None,
        };
        let number = whole(&word[..word.len() - 1])?;
        number.checked_mul(seconds)?.checked_mul(1000).map(|millis| Since::Ago(Millis(millis)))
    };
    let problem = "not a moment, write it like 2026-11-21, 2026-11-21T14:30 (UTC), 30m, 12h or 7d";
    date_time_of(word).map(Since::At).or_else(span).ok_or_else(|| bad(Code::BadNumber, word, problem))
}

/// A tag.
pub(in crate::node) fn tag(word: &str) -> Result<Tag, Failure> {
    one_form(word).parse().map_err(|error: TagError| bad(Code::BadTag, word, &error.to_string()))
}

pub(in crate::node) fn sha256(text: &str, code: Code) -> Result<[u8; 32], Failure> {
    let mut hash = [0; 32];
    let problem = "a SHA-256 is 64 hex digits, as `sha256sum` prints them";
    hex::decode_to_slice(text, &mut hash).map(|()| hash).map_err(|_| bad(code, text, problem))
}

/// A name for an address.
pub(in crate::node) fn alias(name: &str) -> Result<String, Failure> {
    let name = &*one_form(name);
    aliases::check_name(name).map(|()| name.to_owned()).map_err(|problem| bad(Code::BadName, name, &problem))
}

/// An address of a peer.
pub(in crate::node) fn multiaddr(word: &str) -> Result<Multiaddr, Failure> {
    peer_address(word).map_err(|problem| bad(Code::BadMultiaddr, word, &problem))
}

/// `off`, `on` or `pending`.
pub fn mode(text: &str) -> Result<MiningMode, String> {
    match text {
        "off" => Ok(MiningMode::Off),
        "on" => Ok(MiningMode::On),
        "pending" => Ok(MiningMode::Pending),
        _ => Err("mining is off, on or pending".to_owned()),
    }
}
