//! Texts of the protocol: records, receipts, amounts, addresses.

use quipu::protocol::record::{Content, RecordError};
use quipu::protocol::{Address, Amount, BlockId, Receipt, Record, Tag};

/// Any data reads as a record; if the record can be written, it reads the same again.
pub(crate) fn records(data: &[u8]) {
    let record = Record::read(data);
    record.content_hash();
    match record.to_data() {
        Ok(written) => {
            assert_eq!(Record::read(&written), record, "a written record reads the same");
            // Only around a text without tags may an envelope be longer than necessary.
            let is_bare_text = record.tags.is_empty() && matches!(record.content, Content::Text(_));
            assert!(written == data || is_bare_text, "a record is written in one way");
        }
        // Data from a peer may be longer than a writer's limit, and raw bytes have no other form.
        Err(RecordError::TooLong { .. }) => {}
        Err(error) => panic!("read but not written: {error}"),
    }
}

/// A text that is a receipt has one form except for white space, and is proven or refuted.
pub(crate) fn receipts(data: &[u8]) {
    match Receipt::read(data) {
        Ok(receipt) => {
            let text = receipt.to_json();
            assert_eq!(Receipt::read(text.as_bytes()), Ok(receipt.clone()), "a written receipt reads the same");
            if let Err(error) = receipt.verify() {
                assert!(!error.is_unreadable(), "it was read: {error}");
                one_line(&error.to_string());
            }
        }
        Err(error) => {
            assert!(error.is_unreadable(), "it was not read: {error}");
            one_line(&error.to_string());
        }
    }
}

/// Small texts; a parsed value is shown as a text that parses to the same.
pub(crate) fn values(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    same_again::<Amount>(text);
    same_again::<Address>(text);
    same_again::<BlockId>(text);
    if let Ok(tag) = text.parse::<Tag>() {
        assert_eq!(tag.as_str(), text);
    }
}

fn same_again<T: std::str::FromStr + std::fmt::Display + PartialEq>(text: &str) {
    if let Ok(value) = text.parse::<T>() {
        assert!(value.to_string().parse::<T>().is_ok_and(|again| again == value), "{text} is {value}");
    }
}

/// Errors are one line, whatever the input was.
pub(crate) fn one_line(text: &str) {
    assert!(!text.contains(['\n', '\r']), "an error is one line: {text:?}");
}
