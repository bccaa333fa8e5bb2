//! The encoding of values, and the bytes that it refuses.
//!
//! The format is bincode 2 with little-endian, fixed-width integers: a struct is its fields in order, an enum is a
//! `u32` tag and then its fields, a list is a `u64` count and then its elements, a byte array of fixed length is just
//! its bytes. No other module uses the library.
//!
//! Always true of [`decode`]: it consumes every byte, takes memory at most in proportion to the length of the input
//! (never to a length that the input claims), and returns a value that encodes to the same bytes again.

use std::ops::Deref;

use bincode::config::{Configuration, Fixint, Limit, LittleEndian};
use bincode::de::read::Reader;
use bincode::de::{BorrowDecoder, Decoder};
use bincode::enc::Encoder;
use bincode::enc::write::Writer;
use bincode::{BorrowDecode, Decode, Encode};

/// No decoded value is longer than this, whatever limit the caller names.
pub const DECODE_BYTES_MAX: usize = 16 << 20;

const CONFIG: Configuration<LittleEndian, Fixint, Limit<DECODE_BYTES_MAX>> =
    bincode::config::standard().with_fixed_int_encoding().with_limit::<DECODE_BYTES_MAX>();

/// The reason why bytes are not the encoding of a value (rule R1).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// The input is longer than its limit.
    #[error("{length} bytes are more than the limit of {limit}")]
    TooLong {
        /// Length of the input, in bytes.
        length: usize,
        /// The limit, in bytes.
        limit: usize,
    },
    /// The input ends early, or holds a tag, a length or a text that no value has.
    #[error("not a valid encoding: {0}")]
    Malformed(String),
    /// Bytes are left over after the value.
    #[error("{left_over} bytes are left over after the value")]
    TrailingBytes {
        /// The number of bytes after the value.
        left_over: usize,
    },
    /// The value has another, canonical encoding.
    #[error("not the canonical encoding of its value")]
    NotCanonical,
}

/// The least number of bytes that an encoded value of this type takes. Lists use it to refuse a count
/// that the rest of the input could not hold, before taking memory for it.
pub trait EncodedSize: Encode + Sized {
    /// Shortest encoding, in bytes; at least 1.
    const ENCODED_BYTES_MIN: usize;

    /// Writes the elements of a list, one after the other.
    fn encode_elements<E: Encoder>(elements: &[Self], encoder: &mut E) -> Result<(), bincode::error::EncodeError> {
        elements.iter().try_for_each(|element| element.encode(encoder))
    }

    /// Reads `count` elements of a list. The caller has checked that the input can hold them, so memory may be
    /// reserved.
    fn decode_elements<C, D: Decoder<Context = C>>(
        count: usize,
        decoder: &mut D,
    ) -> Result<Vec<Self>, bincode::error::DecodeError>
    where
        Self: Decode<C>,
    {
        let mut elements = Vec::with_capacity(count);
        for _ in 0..count {
            elements.push(Self::decode(decoder)?);
        }
        Ok(elements)
    }
}

/// Copies bytes in one piece: the data of records is most of a chain.
impl EncodedSize for u8 {
    const ENCODED_BYTES_MIN: usize = 1;

    fn encode_elements<E: Encoder>(elements: &[Self], encoder: &mut E) -> Result<(), bincode::error::EncodeError> {
        encoder.writer().write(elements)
    }

    fn decode_elements<C, D: Decoder<Context = C>>(
        count: usize,
        decoder: &mut D,
    ) -> Result<Vec<Self>, bincode::error::DecodeError> {
        decoder.claim_bytes_read(count)?;
        let mut elements = vec![0; count];
        decoder.reader().read(&mut elements)?;
        Ok(elements)
    }
}

impl EncodedSize for u32 {
    const ENCODED_BYTES_MIN: usize = 4;
}

/// Encodes a value. Never fails: the format can hold every state of our types.
pub fn encode<T: Encode>(value: &T) -> Vec<u8> {
    bincode::encode_to_vec(value, CONFIG).expect("encoding into memory has nothing that could fail")
}

/// Decodes a value from all of `bytes`, at most `bytes_max` of them.
pub fn decode<T: Encode + Decode<()>>(bytes: &[u8], bytes_max: usize) -> Result<T, DecodeError> {
    let limit = bytes_max.min(DECODE_BYTES_MAX);
    if bytes.len() > limit {
        return Err(DecodeError::TooLong { length: bytes.len(), limit });
    }
    let (value, used): (T, usize) =
        bincode::decode_from_slice(bytes, CONFIG).map_err(|error| DecodeError::Malformed(error.to_string()))?;
    if used != bytes.len() {
        return Err(DecodeError::TrailingBytes { left_over: bytes.len() - used });
    }
    if !encodes_to(&value, bytes) {
        return Err(DecodeError::NotCanonical);
    }
    Ok(value)
}

/// Whether `value` encodes to exactly `bytes`, without storing the encoding.
fn encodes_to<T: Encode>(value: &T, bytes: &[u8]) -> bool {
    struct Comparer<'a> {
        rest: &'a [u8],
    }
    impl Writer for Comparer<'_> {
        fn write(&mut self, written: &[u8]) -> Result<(), bincode::error::EncodeError> {
            match self.rest.strip_prefix(written) {
                Some(rest) => {
                    self.rest = rest;
                    Ok(())
                }
                None => Err(bincode::error::EncodeError::UnexpectedEnd),
            }
        }
    }
    let mut encoder = bincode::enc::EncoderImpl::new(Comparer { rest: bytes }, CONFIG);
    value.encode(&mut encoder).is_ok() && encoder.into_writer().rest.is_empty()
}

/// A list on the wire: a `u64` count and the elements. The only growing type in our encodings.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct List<T>(Vec<T>);

impl<T> List<T> {
    /// The elements.
    pub fn into_vec(self) -> Vec<T> {
        self.0
    }
}

impl<T> Default for List<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T> From<Vec<T>> for List<T> {
    fn from(elements: Vec<T>) -> Self {
        Self(elements)
    }
}

impl<T> FromIterator<T> for List<T> {
    fn from_iter<I: IntoIterator<Item = T>>(elements: I) -> Self {
        Self(elements.into_iter().collect())
    }
}

impl<T> Deref for List<T> {
    type Target = [T];
    fn deref(&self) -> &[T] {
        &self.0
    }
}

impl<T: EncodedSize> Encode for List<T> {
    fn encode<E: Encoder>(&self, encoder: &mut E) -> Result<(), bincode::error::EncodeError> {
        (self.0.len() as u64).encode(encoder)?;
        T::encode_elements(&self.0, encoder)
    }
}

/// Writes a list from any iterator that knows its length.
pub(crate) fn encode_list<'a, T: Encode + 'a, E: Encoder>(
    elements: impl ExactSizeIterator<Item = &'a T>,
    encoder: &mut E,
) -> Result<(), bincode::error::EncodeError> {
    (elements.len() as u64).encode(encoder)?;
    for element in elements {
        element.encode(encoder)?;
    }
    Ok(())
}

impl<C, T: Decode<C> + EncodedSize> Decode<C> for List<T> {
    fn decode<D: Decoder<Context = C>>(decoder: &mut D) -> Result<Self, bincode::error::DecodeError> {
        let count = decode_count::<T, D>(decoder)?;
        T::decode_elements(count, decoder).map(Self)
    }
}

impl<'de, C, T: Decode<C> + EncodedSize> BorrowDecode<'de, C> for List<T> {
    fn borrow_decode<D: BorrowDecoder<'de, Context = C>>(decoder: &mut D) -> Result<Self, bincode::error::DecodeError> {
        Self::decode(decoder)
    }
}

/// Reads a list's count and refuses one that the rest of the input could not hold.
fn decode_count<T: EncodedSize, D: Decoder>(decoder: &mut D) -> Result<usize, bincode::error::DecodeError> {
    let claimed = u64::decode(decoder)?;
    usize::try_from(claimed)
        .ok()
        .filter(|count| {
            count
                .checked_mul(T::ENCODED_BYTES_MIN)
                .is_some_and(|bytes| bytes <= DECODE_BYTES_MAX && decoder.reader().peek_read(bytes).is_some())
        })
        .ok_or_else(|| {
            bincode::error::DecodeError::OtherString(format!("a list claims {claimed} elements that are not there"))
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, PartialEq, Encode, Decode)]
    struct Pair {
        number: u32,
        list: List<u8>,
    }

    #[test]
    fn bytes_are_little_endian_and_fixed_width() {
        let value = Pair { number: 0x0102_0304, list: vec![9, 8].into() };
        let bytes = encode(&value);
        assert_eq!(bytes, [4, 3, 2, 1, 2, 0, 0, 0, 0, 0, 0, 0, 9, 8]);
        assert_eq!(decode::<Pair>(&bytes, 100), Ok(value));
    }

    #[test]
    fn every_byte_is_consumed() {
        let mut bytes = encode(&Pair { number: 1, list: List::default() });
        bytes.push(0);
        assert_eq!(decode::<Pair>(&bytes, 100), Err(DecodeError::TrailingBytes { left_over: 1 }));
        bytes.truncate(11);
        assert!(matches!(decode::<Pair>(&bytes, 100), Err(DecodeError::Malformed(_))));
    }

    #[test]
    fn a_claimed_length_takes_no_memory() {
        for claimed in [1_u64, 1 << 20, 1 << 40, u64::MAX] {
            let mut bytes = vec![0; 4];
            bytes.extend(claimed.to_le_bytes());
            assert!(matches!(decode::<Pair>(&bytes, 100), Err(DecodeError::Malformed(_))), "{claimed}");
        }
    }

    #[test]
    fn the_limit_is_on_the_input() {
        let bytes = encode(&Pair { number: 1, list: vec![0; 100].into() });
        assert_eq!(decode::<Pair>(&bytes, 50), Err(DecodeError::TooLong { length: 112, limit: 50 }));
    }

    #[test]
    fn a_second_encoding_of_a_value_is_refused() {
        #[derive(Debug, PartialEq)]
        struct Sloppy(u8);
        impl Encode for Sloppy {
            fn encode<E: Encoder>(&self, encoder: &mut E) -> Result<(), bincode::error::EncodeError> {
                self.0.encode(encoder)
            }
        }
        impl Decode<()> for Sloppy {
            fn decode<D: Decoder<Context = ()>>(decoder: &mut D) -> Result<Self, bincode::error::DecodeError> {
                Ok(Self(u8::decode(decoder)? & 0x7f))
            }
        }
        assert_eq!(decode::<Sloppy>(&[0x05], 1), Ok(Sloppy(5)));
        assert_eq!(decode::<Sloppy>(&[0x85], 1), Err(DecodeError::NotCanonical));
    }
}
