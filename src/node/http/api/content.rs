//! What is to be recorded, as bodies say it.

use serde::Deserialize;
use serde_json::value::RawValue;
use sha2::{Digest, Sha256};
use utoipa::ToSchema;

use crate::node::api::error::Code;
use crate::node::api::parse;
use crate::node::api::rows::FileRow;
use crate::node::http::problem::Problem;
use crate::protocol::Action;
use crate::protocol::record::{Content, Record};

/// A file's fingerprint; the file itself stays where it is. Either `sha256` and `size`, or its bytes, of which the node
/// keeps nothing.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct GivenFile {
    /// Its name, without its folder.
    name: String,
    /// The SHA-256 of its content, 64 hex digits.
    #[schema(pattern = "^[0-9a-fA-F]{64}$")]
    sha256: Option<String>,
    /// In bytes.
    #[schema(format = "uint64")]
    size: Option<u64>,
    /// Its bytes, in hex.
    #[schema(pattern = "^([0-9a-fA-F]{2})*$")]
    hex: Option<String>,
}

/// A record that can be signed.
pub(super) struct Understood {
    pub(super) action: Action,
    pub(super) file: Option<FileRow>,
}

/// Exactly one of the three contents, with tags.
pub(super) fn understood(
    tags: &[String],
    text: Option<String>,
    json: Option<Box<RawValue>>,
    file: Option<GivenFile>,
) -> Result<Understood, Problem> {
    let tags = tags.iter().map(|tag| parse::tag(tag)).collect::<Result<_, _>>()?;
    let (content, file) = match (text, json, file) {
        (Some(text), None, None) => (Content::Text(text), None),
        (None, Some(json), None) => (Content::Json(Box::<str>::from(json).into()), None),
        (None, None, Some(file)) => {
            let (sha256, size) = file.fingerprint()?;
            let row = FileRow { sha256: hex::encode(sha256), name: file.name.clone(), size };
            (Content::File { sha256, name: file.name, size }, Some(row))
        }
        _ => return Err(Problem::bad("bad_record", "say one of `text`, `json` and `file`")),
    };
    let data = Record { tags, content }.to_data()?;
    Ok(Understood { action: Action::Record { data: data.into() }, file })
}

impl GivenFile {
    fn fingerprint(&self) -> Result<([u8; 32], u64), Problem> {
        match (&self.sha256, self.size, &self.hex) {
            (Some(sha256), Some(size), None) => Ok((parse::sha256(sha256, Code::BadRecord)?, size)),
            (None, None, Some(digits)) => {
                let bytes = hex::decode(digits).map_err(|error| {
                    Problem::bad("bad_record", format!("hex is not the file's bytes in hex: {error}"))
                })?;
                Ok((Sha256::digest(&bytes).into(), bytes.len() as u64))
            }
            _ => Err(Problem::bad("bad_record", "say of a file either `sha256` and `size`, or `hex`: its bytes")),
        }
    }
}
