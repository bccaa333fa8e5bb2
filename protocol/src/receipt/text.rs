//! The text of a receipt: JSON with a fixed order of fields.
//!
//! Reading is strict without a grammar of its own: the parsed content is written again, and every byte that is not a
//! blank must be the same. So each number, amount and hash can be written in one way only, and no field can be missing,
//! repeated or unknown.

use std::fmt::{self, Write};

use data_encoding::BASE64;
use serde::{Deserialize, Deserializer};

use super::proof::{self, Form};
use super::{RECEIPT_BYTES_MAX, RECEIPT_VERSION, Receipt, ReceiptError};
use crate::check::TRANSACTION_BYTES_MAX;
use crate::hash::BlockId;
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

    /// The file without blanks, in one line without an end: as short as it can be, as for a QR code.
    pub fn to_compact_json(&self) -> String {
        let mut json = self.to_json();
        // No text in a receipt has a blank: the network's name is letters, digits and dashes.
        json.retain(|character| !character.is_ascii_whitespace());
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
        let (inclusion, proof) = proof::read(file.form.0, &file.proof.0)?;
        let receipt = Self {
            parameters: file.network,
            genesis: file.genesis,
            transaction: file.transaction.0,
            inclusion,
            proof,
            tip: file.tip,
        };
        if receipt.is_text(bytes) { Ok(receipt) } else { Err(ReceiptError::NotCanonical) }
    }

    fn write_json(&self, out: &mut impl Write) -> fmt::Result {
        let parameters = serde_json::to_string_pretty(&self.parameters).expect("plain fields").replace('\n', "\n  ");
        writeln!(out, "{{\n  \"quipu_receipt\": {RECEIPT_VERSION},\n  \"network\": {parameters},")?;
        writeln!(out, "  \"genesis\": \"{}\",", self.genesis)?;
        writeln!(out, "  \"transaction\": \"{}\",", BASE64.encode(&self.transaction))?;
        writeln!(out, "  \"form\": \"{}\",", self.proof.form().word())?;
        writeln!(out, "  \"proof\": \"{}\",", BASE64.encode(&proof::write(&self.inclusion, &self.proof)))?;
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

/// The parsed JSON.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ReceiptJson {
    quipu_receipt: u64,
    network: Parameters,
    genesis: BlockId,
    transaction: Base64<TRANSACTION_BYTES_MAX>,
    form: FormWord,
    proof: Base64<RECEIPT_BYTES_MAX>,
    tip: BlockId,
}

/// The only field that every version has.
#[derive(Deserialize)]
struct Marker {
    quipu_receipt: u64,
}

struct FormWord(Form);

impl<'de> Deserialize<'de> for FormWord {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let word = String::deserialize(deserializer)?;
        let unknown = || serde::de::Error::custom("a form is full, sampled or witnessed");
        Form::of_word(&word).map(Self).ok_or_else(unknown)
    }
}

/// At most that many bytes, in the Base64 of RFC 4648, section 4.
struct Base64<const BYTES_MAX: usize>(Vec<u8>);

impl<'de, const BYTES_MAX: usize> Deserialize<'de> for Base64<BYTES_MAX> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let bytes = BASE64.decode(text.as_bytes());
        let bytes = bytes.map_err(|_| serde::de::Error::custom("transaction and proof are Base64 with padding"))?;
        if bytes.len() > BYTES_MAX {
            return Err(serde::de::Error::custom(format_args!("a transaction has at most {BYTES_MAX} bytes")));
        }
        Ok(Self(bytes))
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
