//! The meaning of a record's data: a text, a file's fingerprint or JSON, and tags. A convention of users, not a rule of
//! the chain.
//!
//! A text without tags is its plain UTF-8 bytes. Any other record is one compact JSON object, the *envelope*; README.md
//! defines its form. Bytes that deviate from that form in any way are not an envelope, but text or bytes like any
//! others, so nobody can make two readers see two different records in the same bytes.
//!
//! Always true: [`Record::read`] never fails, and reads the output of [`Record::to_data`] as the same record. (Except
//! that raw bytes that happen to be UTF-8 are read as text.)
//!
//! Not here: files themselves. A record carries a file's SHA-256, name and size, never the file.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::value::RawValue;

use crate::hash::sha256;
use crate::transaction::RECORD_BYTES_MAX;

/// The most tags of a record.
pub const TAGS_MAX: usize = 8;
/// The longest tag, in bytes.
pub const TAG_BYTES_MAX: usize = 32;
/// The longest name of a file, in bytes, which is the limit of common file systems.
pub const FILE_NAME_BYTES_MAX: usize = 255;
/// The deepest nesting of arrays and objects in a record's JSON, so that every reader has enough stack.
pub const JSON_DEPTH_MAX: usize = 64;

/// The version in every envelope.
const VERSION: u8 = 1;

/// A short word to find records by: 1 to [`TAG_BYTES_MAX`] bytes of UTF-8 without blanks, control characters and
/// commas.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct Tag(String);

/// The reason why a text is not a tag.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TagError {
    /// The text is empty.
    #[error("a tag can't be empty")]
    Empty,
    /// The tag has more than [`TAG_BYTES_MAX`] bytes.
    #[error("a tag of {bytes} bytes is over the limit of {TAG_BYTES_MAX}: choose a shorter word")]
    TooLong {
        /// The tag's length, in bytes.
        bytes: usize,
    },
    /// The tag has a blank, a control character or a comma.
    #[error("a tag is one word: leave out blanks, commas and control characters")]
    Character,
}

impl Tag {
    /// The tag's text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Tag {
    type Err = TagError;

    fn from_str(text: &str) -> Result<Self, TagError> {
        if text.is_empty() {
            Err(TagError::Empty)
        } else if text.len() > TAG_BYTES_MAX {
            Err(TagError::TooLong { bytes: text.len() })
        } else if text.chars().any(|c| c.is_whitespace() || c.is_control() || c == ',') {
            Err(TagError::Character)
        } else {
            Ok(Self(text.to_owned()))
        }
    }
}

impl fmt::Display for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl<'de> Deserialize<'de> for Tag {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

/// The content of a record, and words to find it by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// At most [`TAGS_MAX`], no two the same.
    pub tags: Vec<Tag>,
    /// The recorded text, file or JSON.
    pub content: Content,
}

/// The content of a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Content {
    /// Any text without tags, or text in an envelope.
    Text(String),
    /// The fingerprint of a file, which is kept elsewhere.
    File {
        /// SHA-256 of the file's bytes.
        sha256: [u8; 32],
        /// The name without folders: 1 to [`FILE_NAME_BYTES_MAX`] bytes, no `/`, no `\`, no control characters, not `.`
        /// or `..`.
        name: String,
        /// The file's length, in bytes.
        size: u64,
    },
    /// One JSON value as it was typed, no deeper than [`JSON_DEPTH_MAX`]. Writing drops blanks around it.
    Json(String),
    /// Raw bytes that are not UTF-8. They cannot have tags.
    Bytes(Vec<u8>),
}

/// The reason why a record cannot be put on the chain.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RecordError {
    /// The data, envelope included, is longer than a transaction may carry.
    #[error("a record of {bytes} bytes is over the limit of {max}: record a file with it instead")]
    TooLong {
        /// Length of the data, in bytes.
        bytes: usize,
        /// The limit in bytes, [`RECORD_BYTES_MAX`].
        max: usize,
    },
    /// The record has more than [`TAGS_MAX`] tags.
    #[error("{count} tags are more than the limit of {TAGS_MAX}: leave some out")]
    TooManyTags {
        /// The number of tags.
        count: usize,
    },
    /// The record has the same tag twice.
    #[error("the tag {tag} is given twice: leave one out")]
    RepeatedTag {
        /// The repeated tag.
        tag: Tag,
    },
    /// The name is not that of a file, or has folders.
    #[error("a file's name has 1 to {FILE_NAME_BYTES_MAX} bytes without folders and control characters: rename it")]
    FileName,
    /// The text is not JSON.
    #[error("not JSON: {problem}")]
    Json {
        /// The parser's message, with the position.
        problem: String,
    },
    /// The JSON is deeper than [`JSON_DEPTH_MAX`].
    #[error("JSON with {depth} levels is over the limit of {JSON_DEPTH_MAX}: record it as a file instead")]
    JsonTooDeep {
        /// The depth of the JSON, in levels.
        depth: usize,
    },
    /// Raw bytes cannot have tags.
    #[error("bytes that are not text can't have tags: record them as a file instead")]
    TaggedBytes,
}

impl Record {
    /// A text without tags.
    pub fn text(text: impl Into<String>) -> Self {
        Self { tags: Vec::new(), content: Content::Text(text.into()) }
    }

    /// The `data` of an [`Action::Record`](crate::Action::Record).
    pub fn to_data(&self) -> Result<Vec<u8>, RecordError> {
        self.check()?;
        let data = match &self.content {
            Content::Bytes(bytes) => bytes.clone(),
            Content::Text(text) if self.tags.is_empty() && read_envelope(text).is_none() => text.clone().into_bytes(),
            _ => Envelope::of(self)?.to_json().into_bytes(),
        };
        if data.len() > RECORD_BYTES_MAX {
            return Err(RecordError::TooLong { bytes: data.len(), max: RECORD_BYTES_MAX });
        }
        Ok(data)
    }

    /// Reads any data as a record.
    pub fn read(data: &[u8]) -> Self {
        match std::str::from_utf8(data) {
            Ok(text) => read_envelope(text).unwrap_or_else(|| Self::text(text)),
            Err(_) => Self { tags: Vec::new(), content: Content::Bytes(data.to_vec()) },
        }
    }

    /// The hash by which a record is found from its content: a file's SHA-256, or that of the bytes of the text or the
    /// JSON. So a file that holds a recorded text finds it.
    pub fn content_hash(&self) -> [u8; 32] {
        match &self.content {
            Content::File { sha256, .. } => *sha256,
            Content::Text(text) | Content::Json(text) => sha256(&[text.as_bytes()]),
            Content::Bytes(bytes) => sha256(&[bytes]),
        }
    }

    fn check(&self) -> Result<(), RecordError> {
        if self.tags.len() > TAGS_MAX {
            return Err(RecordError::TooManyTags { count: self.tags.len() });
        }
        let mut tags = self.tags.iter().enumerate();
        if let Some((_, tag)) = tags.find(|(at, tag)| self.tags[..*at].contains(tag)) {
            return Err(RecordError::RepeatedTag { tag: tag.clone() });
        }
        match &self.content {
            Content::File { name, .. } if !is_file_name(name) => Err(RecordError::FileName),
            Content::Bytes(_) if !self.tags.is_empty() => Err(RecordError::TaggedBytes),
            Content::Json(json) => match depth(json) {
                deep if deep > JSON_DEPTH_MAX => Err(RecordError::JsonTooDeep { depth: deep }),
                _ => Ok(()),
            },
            _ => Ok(()),
        }
    }
}

fn is_file_name(name: &str) -> bool {
    let fits = (1..=FILE_NAME_BYTES_MAX).contains(&name.len()) && name != "." && name != "..";
    fits && !name.chars().any(|c| c.is_control() || c == '/' || c == '\\')
}

/// The deepest nesting of arrays and objects. Brackets in strings do not count.
fn depth(json: &str) -> usize {
    let (mut depth, mut deepest) = (0_usize, 0);
    let (mut in_string, mut escaped) = (false, false);
    for byte in json.bytes() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' => in_string = !in_string,
            b'[' | b'{' if !in_string => depth += 1,
            b']' | b'}' if !in_string => depth = depth.saturating_sub(1),
            _ => {}
        }
        deepest = deepest.max(depth);
    }
    deepest
}

/// The JSON object around every content other than plain text. Fields are written in this order.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Envelope {
    quipu: u8,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    tags: Vec<Tag>,
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    file: Option<FileFields>,
    // A plain `Option` would read `null` as an absent field.
    #[serde(default, deserialize_with = "some_json", skip_serializing_if = "Option::is_none")]
    json: Option<Box<RawValue>>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct FileFields {
    #[serde(with = "hex::serde")]
    sha256: [u8; 32],
    name: String,
    size: u64,
}

fn some_json<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Box<RawValue>>, D::Error> {
    Box::<RawValue>::deserialize(deserializer).map(Some)
}

impl Envelope {
    fn of(record: &Record) -> Result<Self, RecordError> {
        let mut envelope = Self { quipu: VERSION, tags: record.tags.clone(), text: None, file: None, json: None };
        match &record.content {
            Content::Text(text) => envelope.text = Some(text.clone()),
            Content::File { sha256, name, size } => {
                envelope.file = Some(FileFields { sha256: *sha256, name: name.clone(), size: *size });
            }
            Content::Json(json) => {
                let value = RawValue::from_string(json.clone());
                envelope.json = Some(value.map_err(|error| RecordError::Json { problem: error.to_string() })?);
            }
            Content::Bytes(_) => unreachable!("bytes are written as they are"),
        }
        Ok(envelope)
    }

    fn to_json(&self) -> String {
        serde_json::to_string(self).expect("plain fields, and JSON that was parsed")
    }

    fn into_record(self) -> Option<Record> {
        let content = match (self.text, self.file, self.json) {
            (Some(text), None, None) => Content::Text(text),
            (None, Some(FileFields { sha256, name, size }), None) => Content::File { sha256, name, size },
            (None, None, Some(json)) => Content::Json(String::from(Box::<str>::from(json))),
            _ => return None,
        };
        Some(Record { tags: self.tags, content }).filter(|record| record.check().is_ok())
    }
}

/// The record in an envelope, or `None` if the text is not exactly the one that is written for that record.
fn read_envelope(text: &str) -> Option<Record> {
    // Values are skipped without recursion; the parser bounds the depth of the others.
    let envelope: Envelope = serde_json::from_str(text).ok()?;
    if envelope.quipu != VERSION || envelope.to_json() != text {
        return None;
    }
    envelope.into_record()
}

#[cfg(test)]
mod tests {
    use super::*;

    const HASH: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

    fn tags(words: &[&str]) -> Vec<Tag> {
        words.iter().map(|word| word.parse().expect("a tag")).collect()
    }

    fn record(words: &[&str], content: Content) -> Record {
        Record { tags: tags(words), content }
    }

    fn file(name: &str) -> Content {
        Content::File { sha256: sha256(&[b"abc"]), name: name.to_owned(), size: 3 }
    }

    fn json(text: &str) -> Content {
        Content::Json(text.to_owned())
    }

    #[test]
    fn records_and_their_bytes() {
        let text = |text: &str| Content::Text(text.to_owned());
        let cases = [
            (record(&[], text("")), String::new()),
            (record(&[], text("shipment 17 arrived")), "shipment 17 arrived".to_owned()),
            (record(&["a"], text("x\"\n")), r#"{"quipu":1,"tags":["a"],"text":"x\"\n"}"#.to_owned()),
            (record(&["a", "ü"], text("")), r#"{"quipu":1,"tags":["a","ü"],"text":""}"#.to_owned()),
            (
                record(&[], file("x.pdf")),
                format!(r#"{{"quipu":1,"file":{{"sha256":"{HASH}","name":"x.pdf","size":3}}}}"#),
            ),
            (record(&[], json("null")), r#"{"quipu":1,"json":null}"#.to_owned()),
            (record(&["t"], json("{\"b\": 1.50}")), r#"{"quipu":1,"tags":["t"],"json":{"b": 1.50}}"#.to_owned()),
            // A text that looks like an envelope is wrapped, or it would be read as the content of that envelope.
            (
                record(&[], text(r#"{"quipu":1,"text":"x"}"#)),
                r#"{"quipu":1,"text":"{\"quipu\":1,\"text\":\"x\"}"}"#.to_owned(),
            ),
        ];
        for (record, data) in cases {
            assert_eq!(record.to_data().map(|data| String::from_utf8(data).expect("UTF-8")), Ok(data.clone()));
            assert_eq!(Record::read(data.as_bytes()), record);
        }
        let bytes = record(&[], Content::Bytes(vec![0xff, 0]));
        assert_eq!(bytes.to_data(), Ok(vec![0xff, 0]));
        assert_eq!(Record::read(&[0xff, 0]), bytes);
    }

    #[test]
    fn anything_but_an_exact_envelope_is_text() {
        let bomb = format!(r#"{{"quipu":1,"json":{}{}}}"#, "[".repeat(2000), "]".repeat(2000));
        let deeper = format!(r#"{{"quipu":1,"json":{}{}}}"#, "[".repeat(65), "]".repeat(65));
        let upper = format!(r#"{{"quipu":1,"file":{{"sha256":"{}","name":"x","size":3}}}}"#, HASH.to_uppercase());
        let name = |name: &str| format!(r#"{{"quipu":1,"file":{{"sha256":"{HASH}","name":"{name}","size":3}}}}"#);
        let named = [name(""), name("a/b"), name(".."), name("a\\\\b"), name("a\\nb"), name(&"x".repeat(256))];
        let texts = [
            r#"{"quipu":2,"text":"x"}"#,
            r#"{"quipu":1}"#,
            r#"{"quipu":1,"text":"x","json":1}"#,
            r#"{"quipu":1,"text":"x","more":1}"#,
            r#"{"quipu":1,"text":"x","text":"x"}"#,
            r#"{"text":"x","quipu":1}"#,
            r#"{"quipu":1,"tags":[],"text":"x"}"#,
            r#"{"quipu":1,"tags":["a","a"],"text":"x"}"#,
            r#"{"quipu":1,"tags":["a b"],"text":"x"}"#,
            r#"{"quipu":1,"tags":["1","2","3","4","5","6","7","8","9"],"text":"x"}"#,
            r#"{"quipu":1,"text":null}"#,
            r#"{"quipu":1,"text":"\u0078"}"#,
            r#"{"quipu": 1,"text":"x"}"#,
            r#"{"quipu":1,"text":"x"} "#,
            r#"{"quipu":1,"json":NaN}"#,
            r#"{"quipu":1,"json":1 }"#,
            r#"{"quipu":1,"json":[1,]}"#,
            r#"[1,["a"],"x",null,null]"#,
            &bomb,
            &deeper,
            &upper,
        ];
        for text in texts.into_iter().chain(named.iter().map(String::as_str)) {
            assert_eq!(Record::read(text.as_bytes()), Record::text(text), "{text}");
            assert_eq!(Record::text(text).to_data(), Ok(text.as_bytes().to_vec()));
        }
    }

    #[test]
    fn impossible_records_are_refused() {
        let deep = |levels: usize| json(&("[".repeat(levels) + &"]".repeat(levels)));
        let many: Vec<_> = (0..9).map(|n| n.to_string()).collect();
        let many: Vec<_> = many.iter().map(String::as_str).collect();
        assert!(record(&many[..8], deep(JSON_DEPTH_MAX)).to_data().is_ok());
        let too_long = |bytes| RecordError::TooLong { bytes, max: RECORD_BYTES_MAX };
        let cases = [
            (record(&[], Content::Text("x".repeat(4097))), too_long(4097)),
            (record(&["a"], Content::Text("x".repeat(4096))), too_long(4130)),
            (record(&many, file("x")), RecordError::TooManyTags { count: 9 }),
            (record(&["a", "b", "a"], file("x")), RecordError::RepeatedTag { tag: Tag("a".to_owned()) }),
            (record(&[], file("../x")), RecordError::FileName),
            (record(&[], deep(65)), RecordError::JsonTooDeep { depth: 65 }),
            (record(&[], deep(1_000_000)), RecordError::JsonTooDeep { depth: 1_000_000 }),
            (record(&["a"], Content::Bytes(vec![0xff])), RecordError::TaggedBytes),
        ];
        for (record, want) in cases {
            assert_eq!(record.to_data(), Err(want));
        }
        for bad in ["", "{", "1 2", "{'a':1}", "nul", "\"\t\""] {
            assert!(matches!(record(&[], json(bad)).to_data(), Err(RecordError::Json { .. })), "{bad}");
        }
    }

    #[test]
    fn brackets_in_strings_are_not_depth() {
        let text = format!(r#"["{}","\"{}"]"#, "[".repeat(100), "{".repeat(100));
        assert_eq!((depth(&text), depth("[[],{}]"), depth("1")), (1, 2, 0));
        assert!(record(&[], json(&text)).to_data().is_ok());
    }

    #[test]
    fn a_text_is_found_by_the_file_that_holds_it() {
        for content in [Content::Text("abc".to_owned()), file("x"), Content::Bytes(b"abc".to_vec())] {
            assert_eq!(hex::encode(record(&[], content).content_hash()), HASH);
        }
        assert_eq!(record(&["a"], json("17")).content_hash(), sha256(&[b"17"]));
    }

    #[test]
    fn tags_are_words() {
        let long = "ü".repeat(16);
        for good in ["a", "lot-17", "#5", "größe", &long] {
            assert_eq!(good.parse::<Tag>().map(|tag| tag.to_string()), Ok(good.to_owned()));
        }
        let cases = [
            ("", TagError::Empty),
            (&format!("{long}x"), TagError::TooLong { bytes: 33 }),
            ("a b", TagError::Character),
            ("a,b", TagError::Character),
            ("a\u{a0}b", TagError::Character),
            ("a\u{7f}", TagError::Character),
        ];
        for (bad, want) in cases {
            assert_eq!(bad.parse::<Tag>(), Err(want), "{bad}");
        }
    }
}
