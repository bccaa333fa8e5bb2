//! The text of a receipt: JSON with a fixed order of fields, one header on each line.
//!
//! Reading is strict without a grammar of its own: the parsed content is written again, and every byte that is not a
//! blank must be the same. So each number, amount and hash can be written in one way only, and no field can be missing,
//! repeated or unknown.

use std::fmt::{self, Write};
use std::marker::PhantomData;

use serde::de::{SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};

use super::{
    RECEIPT_BYTES_MAX, RECEIPT_HEADERS_MAX, RECEIPT_HEADERS_MIN, RECEIPT_STEPS_MAX, RECEIPT_VERSION, Receipt,
    ReceiptError,
};
use crate::block::{HEADER_BYTES, Header};
use crate::check::TRANSACTION_BYTES_MAX;
use crate::encode::decode;
use crate::hash::{BlockId, LeafHash};
use crate::merkle::Step;
use crate::message::printable_problem;
use crate::network::Parameters;

impl Receipt {
    /// The file: ASCII that ends with a line feed, with no blanks but spaces and line feeds. The same receipt always
    /// gets the same bytes.
    pub fn to_json(&self) -> String {
        let mut json = String::new();
        self.write_json(&mut json).expect("a string takes everything");
        json
    }

    /// Reads a file without verifying its content.
    pub fn read(bytes: &[u8]) -> Result<Self, ReceiptError> {
        if bytes.len() > RECEIPT_BYTES_MAX {
            return Err(ReceiptError::TooLong { bytes: bytes.len(), max: RECEIPT_BYTES_MAX });
        }
        let form = |error: serde_json::Error| ReceiptError::Form { problem: printable_problem(&error.to_string()) };
        let file: ReceiptJson = serde_json::from_slice(bytes).map_err(|error| {
            // A file of another version may have other fields.
            match serde_json::from_slice::<Marker>(bytes) {
                Ok(Marker { quipu_receipt: found }) if found != u64::from(RECEIPT_VERSION) => {
                    ReceiptError::Version { found }
                }
                _ => form(error),
            }
        })?;
        if file.quipu_receipt != u64::from(RECEIPT_VERSION) {
            return Err(ReceiptError::Version { found: file.quipu_receipt });
        }
        let receipt = Self {
            parameters: file.network,
            genesis: file.genesis,
            transaction: file.transaction.0,
            path: file.path.0.into_iter().map(Step::from).collect(),
            headers: file.headers.0.into_iter().map(|header| header.0).collect(),
            tip: file.tip,
        };
        if receipt.headers.len() < RECEIPT_HEADERS_MIN {
            let problem = format!("fewer than {RECEIPT_HEADERS_MIN} headers");
            return Err(ReceiptError::Form { problem });
        }
        if receipt.is_text(bytes) { Ok(receipt) } else { Err(ReceiptError::NotCanonical) }
    }

    fn write_json(&self, out: &mut impl Write) -> fmt::Result {
        let parameters = serde_json::to_string_pretty(&self.parameters).expect("plain fields").replace('\n', "\n  ");
        writeln!(out, "{{\n  \"quipu_receipt\": {RECEIPT_VERSION},\n  \"network\": {parameters},")?;
        writeln!(out, "  \"genesis\": \"{}\",", self.genesis)?;
        writeln!(out, "  \"transaction\": \"{}\",", hex::encode(&self.transaction))?;
        write_list(out, "path", &self.path, |out, step| match step {
            Step::Left(hash) => write!(out, "{{\"left\": \"{hash}\"}}"),
            Step::Right(hash) => write!(out, "{{\"right\": \"{hash}\"}}"),
        })?;
        write_list(out, "headers", &self.headers, |out, header| write!(out, "\"{}\"", hex::encode(header.to_bytes())))?;
        writeln!(out, "  \"tip\": \"{}\"\n}}", self.tip)
    }

    /// Whether these bytes are the text of this receipt, blanks aside.
    fn is_text(&self, bytes: &[u8]) -> bool {
        struct TextComparer<I> {
            rest: I,
        }
        impl<I: Iterator<Item = u8>> Write for TextComparer<I> {
            fn write_str(&mut self, text: &str) -> fmt::Result {
                let same = text.bytes().filter(|byte| !is_blank(*byte)).all(|byte| self.rest.next() == Some(byte));
                if same { Ok(()) } else { Err(fmt::Error) }
            }
        }
        let mut comparer = TextComparer { rest: bytes.iter().copied().filter(|byte| !is_blank(*byte)) };
        self.write_json(&mut comparer).is_ok() && comparer.rest.next().is_none()
    }
}

/// Whether a byte is white space by RFC 8259, section 2.
fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\n' | b'\r' | b'\t')
}

fn write_list<W: Write, T>(
    out: &mut W,
    field: &str,
    elements: &[T],
    mut write_element: impl FnMut(&mut W, &T) -> fmt::Result,
) -> fmt::Result {
    write!(out, "  \"{field}\": [")?;
    for (at, element) in elements.iter().enumerate() {
        out.write_str(if at == 0 { "\n    " } else { ",\n    " })?;
        write_element(out, element)?;
    }
    out.write_str(if elements.is_empty() { "],\n" } else { "\n  ],\n" })
}

/// The parsed JSON.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ReceiptJson {
    quipu_receipt: u64,
    network: Parameters,
    genesis: BlockId,
    transaction: TransactionText,
    path: Bounded<StepText, RECEIPT_STEPS_MAX>,
    headers: Bounded<HeaderText, RECEIPT_HEADERS_MAX>,
    tip: BlockId,
}

/// The only field that every version has.
#[derive(Deserialize)]
struct Marker {
    quipu_receipt: u64,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum StepText {
    Left(LeafHash),
    Right(LeafHash),
}

impl From<StepText> for Step {
    fn from(step: StepText) -> Self {
        match step {
            StepText::Left(hash) => Self::Left(hash),
            StepText::Right(hash) => Self::Right(hash),
        }
    }
}

struct TransactionText(Vec<u8>);

impl<'de> Deserialize<'de> for TransactionText {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let bytes = hex::decode(text).map_err(|_| serde::de::Error::custom("a transaction is hex digits"))?;
        if bytes.len() > TRANSACTION_BYTES_MAX {
            return Err(serde::de::Error::custom(format_args!(
                "a transaction has at most {TRANSACTION_BYTES_MAX} bytes"
            )));
        }
        Ok(Self(bytes))
    }
}

struct HeaderText(Header);

impl<'de> Deserialize<'de> for HeaderText {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut bytes = [0; HEADER_BYTES];
        hex::decode_to_slice(String::deserialize(deserializer)?, &mut bytes)
            .map_err(|_| serde::de::Error::custom(format_args!("a header is {} hex digits", 2 * HEADER_BYTES)))?;
        decode(&bytes, HEADER_BYTES).map(Self).map_err(serde::de::Error::custom)
    }
}

/// A list that refuses to grow past `MAX` elements while it is read.
struct Bounded<T, const MAX: usize>(Vec<T>);

impl<'de, T: Deserialize<'de>, const MAX: usize> Deserialize<'de> for Bounded<T, MAX> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Elements<T, const MAX: usize>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>, const MAX: usize> Visitor<'de> for Elements<T, MAX> {
            type Value = Vec<T>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "a list of at most {MAX}")
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Vec<T>, A::Error> {
                let mut elements = Vec::new();
                while let Some(element) = list.next_element()? {
                    if elements.len() == MAX {
                        return Err(serde::de::Error::invalid_length(MAX + 1, &self));
                    }
                    elements.push(element);
                }
                Ok(elements)
            }
        }
        deserializer.deserialize_seq(Elements::<T, MAX>(PhantomData)).map(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Found by fuzzing, from seed 102603: a receipt's sender must not write to its reader's terminal.
    #[test]
    fn errors_quote_files_in_one_harmless_line() {
        for field in ["a\\nb", "\\u001b[2J", "\\r", &"x".repeat(1 << 20)] {
            let error = Receipt::read(format!("{{\"{field}\": 1}}").as_bytes()).expect_err("not a receipt").to_string();
            assert!(error.starts_with("not a receipt: unknown field"), "{error}");
            assert!(!error.contains(char::is_control) && error.len() < 1000, "{error}");
        }
    }
}
