//! The PEM blocks of a text, as RFC 7468 would have a lax parser find them: any line ends and widths, blanks anywhere,
//! headers, text around.

use pkcs8::der::pem::decode_vec;
use zeroize::Zeroizing;

const BEGIN: &str = "-----BEGIN ";
const DASHES: &str = "-----";
/// The width of a line in the strict form.
const WIDTH: usize = 64;

/// A text whose lines end in line feeds and have no outer blanks. Bytes that are no UTF-8 are left out: text around a
/// key may have any encoding.
pub(super) struct Blocks(Zeroizing<String>);

/// A complete block.
#[derive(Clone, Copy)]
pub(super) struct Block<'a> {
    pub(super) label: &'a str,
    /// Between the two lines of dashes.
    pub(super) body: &'a str,
}

impl Blocks {
    pub(super) fn of(content: &[u8]) -> Self {
        // Room from the start: a text that grows leaves copies of the secret behind.
        let mut text = Zeroizing::new(String::with_capacity(content.len() + 1));
        let mut after_return = false;
        for line in content.split_inclusive(|byte| [b'\n', b'\r'].contains(byte)) {
            let is_rest_of_end = std::mem::replace(&mut after_return, line.ends_with(b"\r")) && line == b"\n";
            if is_rest_of_end {
                continue;
            }
            line.trim_ascii().utf8_chunks().for_each(|chunk| text.push_str(chunk.valid()));
            text.push('\n');
        }
        Self(text)
    }

    pub(super) fn text(&self) -> &str {
        &self.0
    }

    /// The complete ones, in their order.
    pub(super) fn iter(&self) -> impl Iterator<Item = Block<'_>> {
        self.0.match_indices(BEGIN).filter_map(|(at, _)| {
            let (label, rest) = self.0[at + BEGIN.len()..].split_once(DASHES)?;
            let body = rest.split_once(&format!("-----END {label}-----"))?.0;
            // Otherwise another one begins before this one ends.
            (!label.contains('\n') && !body.contains(BEGIN)).then_some(Block { label, body })
        })
    }

    /// Whether a block begins that does not end.
    pub(super) fn is_cut_off(&self) -> bool {
        self.0.matches(BEGIN).count() > self.iter().count()
    }
}

impl Block<'_> {
    /// Its bytes. `None` if they are no Base64.
    pub(super) fn decode(self) -> Option<Zeroizing<Vec<u8>>> {
        // RFC 1421: headers, and an empty line after them.
        let body = match self.body.split_once("\n\n") {
            Some((headers, body)) if headers.contains(':') => body,
            _ => self.body,
        };
        let mut strict = Zeroizing::new(String::with_capacity(body.len() * 2 + 2 * WIDTH));
        strict.push_str("-----BEGIN X-----");
        for (number, digit) in body.chars().filter(|c| !c.is_whitespace()).enumerate() {
            if number % WIDTH == 0 {
                strict.push('\n');
            }
            strict.push(digit);
        }
        strict.push_str("\n-----END X-----\n");
        decode_vec(strict.as_bytes()).ok().map(|(_, bytes)| Zeroizing::new(bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The labels and the bytes in hex.
    fn found(text: &str) -> Vec<(String, Option<String>)> {
        let blocks = Blocks::of(text.as_bytes());
        blocks.iter().map(|block| (block.label.to_owned(), block.decode().map(|bytes| hex::encode(&*bytes)))).collect()
    }

    #[test]
    fn blocks_are_found_in_any_form() {
        let long = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8gISIjJCUmJygpKissLS4vMDEyMw==";
        let bytes = hex::encode((0..=0x33).collect::<Vec<u8>>());
        let wide = format!("-----BEGIN A B-----\n{long}\n-----END A B-----\n");
        let narrow = format!("-----BEGIN A B-----\n{}\n{}\n-----END A B-----", &long[..10], &long[10..]);
        let forms = [
            wide.clone(),
            narrow.clone(),
            wide.replace('\n', "\r\n"),
            wide.replace('\n', "\r"),
            wide.replace('\n', " \t\n  "),
            wide.replace('\n', "\n\n"),
            wide.replace('\n', " "),
            format!("Bag Attributes: name: x\n{narrow} and words after it"),
            wide.replace("B-----\nA", "B-----\nName: value\nOther: value\n\nA"),
            wide.replace("B-----\nA", "B-----\r\nName: value\r\n\r\nA"),
        ];
        for form in forms {
            assert_eq!(found(&form), [("A B".to_owned(), Some(bytes.clone()))], "{form:?}");
        }
        let two = "-----BEGIN A-----\nAA==\n-----END A-----\n-----BEGIN B-----\n*\n-----END B-----\n";
        assert_eq!(found(two), [("A".to_owned(), Some("00".to_owned())), ("B".to_owned(), None)]);
    }

    #[test]
    fn a_block_without_an_end_is_cut_off() {
        let whole = "-----BEGIN A-----\nAA==\n-----END A-----\n";
        for cut in ["-----BEGIN A-----\nAA==\n", "-----BEGIN A-----\nAA==\n-----END B-----\n", "-----BEGIN A"] {
            assert!(Blocks::of(cut.as_bytes()).is_cut_off() && found(cut).is_empty(), "{cut:?}");
            assert_eq!(found(&format!("{cut}\n{whole}")).len(), 1, "{cut:?}");
        }
        assert!(!Blocks::of(whole.as_bytes()).is_cut_off());
        assert!(!Blocks::of(b"\xff\n\xfe").is_cut_off());
    }
}
