//! What the data of a record says, as far as the index must know it.

use std::fmt;
use std::str::FromStr;

use serde_json::Value;

use crate::protocol::hash::sha256;

/// A short word that records are found by.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tag(String);

impl fmt::Display for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for Tag {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let is_good = (1..=32).contains(&text.len()) && !text.contains(|c: char| c.is_whitespace() || c == ',');
        if is_good { Ok(Self(text.to_owned())) } else { Err("a tag has 1 to 32 bytes and no blanks".to_owned()) }
    }
}

/// What a record says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Its tags.
    pub tags: Vec<Tag>,
    hash: [u8; 32],
}

impl Record {
    /// Never fails: what is no envelope is plain text or bytes.
    pub fn read(data: &[u8]) -> Self {
        Self::envelope(data).unwrap_or_else(|| Self { tags: Vec::new(), hash: sha256(&[data]) })
    }

    /// The SHA-256 of what it says, or of the file it tells of.
    pub fn content_hash(&self) -> [u8; 32] {
        self.hash
    }

    fn envelope(data: &[u8]) -> Option<Self> {
        if data.first() != Some(&b'{') {
            return None;
        }
        let value: Value = serde_json::from_slice(data).ok()?;
        (value.get("quipu")?.as_u64()? == 1).then_some(())?;
        let tags = value.get("tags").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        let tags = tags.iter().map(|tag| tag.as_str()?.parse().ok()).collect::<Option<_>>()?;
        let hash = match (value.get("text"), value.get("file"), value.get("json")) {
            (Some(Value::String(text)), None, None) => sha256(&[text.as_bytes()]),
            (None, Some(file), None) => {
                let mut hash = [0; 32];
                hex::decode_to_slice(file.get("sha256")?.as_str()?, &mut hash).ok()?;
                hash
            }
            (None, None, Some(json)) => sha256(&[json.to_string().as_bytes()]),
            _ => return None,
        };
        Some(Self { tags, hash })
    }
}
