//! Makes the vectors of records' data.

use quipu_protocol::hash::sha256;
use quipu_protocol::record::{Content, JSON_DEPTH_MAX, Record, RecordError, TAGS_MAX, Tag};
use serde_json::{Value, json};

use crate::form::{HexBytes, RecordCase, RecordFacts, Records, RefusedRecord};

const HASH: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"; // of abc

/// A record in the form of the vectors.
pub(crate) fn facts(record: &Record) -> RecordFacts {
    let content = match &record.content {
        Content::Text(text) => json!({ "text": text }),
        Content::File { sha256, name, size } => {
            json!({ "file": { "sha256": hex::encode(sha256), "name": name, "size": size.to_string() } })
        }
        Content::Json(text) => json!({ "json": text }),
        Content::Bytes(bytes) => json!({ "bytes": hex::encode(bytes) }),
    };
    let tags = record.tags.iter().map(Tag::to_string).collect();
    RecordFacts { tags, content, content_hash: hex::encode(record.content_hash()) }
}

/// The record that the vectors describe.
pub(crate) fn from_facts(facts: &RecordFacts) -> Record {
    let text = |value: &Value| value.as_str().expect("a string").to_owned();
    let (kind, value) = facts.content.as_object().and_then(|object| object.iter().next()).expect("one kind of content");
    let content = match kind.as_str() {
        "text" => Content::Text(text(value)),
        "json" => Content::Json(text(value)),
        "bytes" => Content::Bytes(hex::decode(text(value)).expect("hex")),
        "file" => Content::File {
            sha256: hex::decode(text(&value["sha256"])).expect("hex").try_into().expect("32 bytes"),
            name: text(&value["name"]),
            size: crate::number(&text(&value["size"])),
        },
        other => panic!("{other} is not a kind of content"),
    };
    Record { tags: facts.tags.iter().map(|tag| tag.parse().expect("a tag")).collect(), content }
}

/// The vectors' word for each reason.
pub(crate) fn reason(error: &RecordError) -> &'static str {
    match error {
        RecordError::TooLong { .. } => "too_long",
        RecordError::TooManyTags { .. } => "too_many_tags",
        RecordError::RepeatedTag { .. } => "repeated_tag",
        RecordError::FileName => "file_name",
        RecordError::Json { .. } => "json",
        RecordError::JsonTooDeep { .. } => "json_too_deep",
        RecordError::TaggedBytes => "tagged_bytes",
        other => panic!("{other} has no word"),
    }
}

fn nested(levels: usize) -> String {
    "[".repeat(levels) + &"]".repeat(levels)
}

/// Data and the record in it: `None` stands for the data itself as text.
fn read() -> Vec<(&'static str, String, Option<Record>)> {
    let record = |tags: &[&str], content| {
        let tags = tags.iter().map(|tag| tag.parse().expect("a tag")).collect();
        Some(Record { tags, content })
    };
    let text = |text: &str| Content::Text(text.to_owned());
    let json = |text: &str| Content::Json(text.to_owned());
    let named = |name: &str, size: u64| Content::File { sha256: sha256(&[b"abc"]), name: name.to_owned(), size };
    let file = |name: &str| format!(r#"{{"quipu":1,"file":{{"sha256":"{HASH}","name":"{name}","size":3}}}}"#);
    let deepest = nested(JSON_DEPTH_MAX);
    let mut cases = vec![
        ("no bytes: an empty text", String::new(), None),
        ("a text", "shipment 17 arrived".to_owned(), None),
        ("a text that is JSON", r#"{"quipu":"rope"}"#.to_owned(), None),
        ("a tagged text", r#"{"quipu":1,"tags":["lot-17","größe"],"text":"a\"b\\\n\u0001ü/"}"#.to_owned(), {
            record(&["lot-17", "größe"], text("a\"b\\\n\u{1}ü/"))
        }),
        ("an envelope in an envelope", r#"{"quipu":1,"text":"{\"quipu\":1,\"json\":1}"}"#.to_owned(), {
            record(&[], text(r#"{"quipu":1,"json":1}"#))
        }),
        ("a file", file("x.pdf"), record(&[], named("x.pdf", 3))),
        (
            "a tagged file of the largest size",
            format!(
                r#"{{"quipu":1,"tags":["t"],"file":{{"sha256":"{HASH}","name":"…","size":18446744073709551615}}}}"#
            ),
            record(&["t"], named("…", u64::MAX)),
        ),
        ("JSON as it was typed", r#"{"quipu":1,"json":{"b": 1.50, "a":[1e3 ,null],"a":"\u00e9"}}"#.to_owned(), {
            record(&[], json(r#"{"b": 1.50, "a":[1e3 ,null],"a":"\u00e9"}"#))
        }),
        ("JSON that is null", r#"{"quipu":1,"tags":["t"],"json":null}"#.to_owned(), record(&["t"], json("null"))),
        ("the deepest JSON", format!(r#"{{"quipu":1,"json":{deepest}}}"#), record(&[], json(&deepest))),
        ("brackets in a string", format!(r#"{{"quipu":1,"json":"\"{}"}}"#, "[".repeat(70)), {
            record(&[], json(&format!(r#""\"{}""#, "[".repeat(70))))
        }),
    ];
    let not_envelopes = [
        ("another version", r#"{"quipu":2,"text":"x"}"#.to_owned()),
        ("no content", r#"{"quipu":1,"tags":["t"]}"#.to_owned()),
        ("two contents", r#"{"quipu":1,"text":"x","json":1}"#.to_owned()),
        ("an unknown key", r#"{"quipu":1,"text":"x","more":1}"#.to_owned()),
        ("a repeated key", r#"{"quipu":1,"text":"x","text":"x"}"#.to_owned()),
        ("another order", r#"{"quipu":1,"text":"x","tags":["t"]}"#.to_owned()),
        ("no tags, written out", r#"{"quipu":1,"tags":[],"text":"x"}"#.to_owned()),
        ("a tag twice", r#"{"quipu":1,"tags":["a","a"],"text":"x"}"#.to_owned()),
        ("a tag with a blank", r#"{"quipu":1,"tags":["a b"],"text":"x"}"#.to_owned()),
        ("a tag with a comma", r#"{"quipu":1,"tags":["a,b"],"text":"x"}"#.to_owned()),
        ("an empty tag", r#"{"quipu":1,"tags":[""],"text":"x"}"#.to_owned()),
        ("a tag of 33 bytes", format!(r#"{{"quipu":1,"tags":["{}"],"text":"x"}}"#, "t".repeat(33))),
        ("nine tags", r#"{"quipu":1,"tags":["1","2","3","4","5","6","7","8","9"],"text":"x"}"#.to_owned()),
        ("a blank", r#"{"quipu":1, "text":"x"}"#.to_owned()),
        ("a needless escape", r#"{"quipu":1,"text":"\u0078"}"#.to_owned()),
        ("half a surrogate pair", r#"{"quipu":1,"text":"\ud800"}"#.to_owned()),
        ("text that is null", r#"{"quipu":1,"text":null}"#.to_owned()),
        ("JSON that is none", r#"{"quipu":1,"json":NaN}"#.to_owned()),
        ("JSON with a blank behind it", r#"{"quipu":1,"json":1 }"#.to_owned()),
        ("JSON that is too deep", format!(r#"{{"quipu":1,"json":{}}}"#, nested(JSON_DEPTH_MAX + 1))),
        ("a depth bomb", format!(r#"{{"quipu":1,"json":{}}}"#, nested(2000))),
        ("a file in a folder", file("a/b")),
        ("a file in another folder", file(r"a\\b")),
        ("a file that is a folder", file("..")),
        ("a file without a name", file("")),
        ("a file with a line feed", file(r"a\nb")),
        ("a file with a long name", file(&"x".repeat(256))),
        ("a hash in upper case", file("x").replace(HASH, &HASH.to_uppercase())),
        ("a size that is not whole", file("x").replace(":3}", ":3.0}")),
        ("a size over 64 bits", file("x").replace(":3}", ":18446744073709551616}")),
    ];
    cases.extend(not_envelopes.map(|(name, data)| (name, data, None)));
    cases
}

fn refused() -> Vec<(&'static str, Vec<String>, Value, &'static str)> {
    let tags = |count: usize| (0..count).map(|n| n.to_string()).collect::<Vec<_>>();
    let file = |name: &str| json!({ "file": { "sha256": HASH, "name": name, "size": "3" } });
    vec![
        ("a text of 4097 bytes", tags(0), json!({ "text": "x".repeat(4097) }), "too_long"),
        ("a text that fits without its tag", tags(1), json!({ "text": "x".repeat(4096) }), "too_long"),
        ("nine tags", tags(TAGS_MAX + 1), json!({ "text": "x" }), "too_many_tags"),
        ("a tag twice", vec!["a".to_owned(), "a".to_owned()], json!({ "text": "x" }), "repeated_tag"),
        ("a file in a folder", tags(0), file("../x"), "file_name"),
        ("no JSON", tags(0), json!({ "json": "[1," }), "json"),
        ("JSON that is too deep", tags(0), json!({ "json": nested(JSON_DEPTH_MAX + 1) }), "json_too_deep"),
        ("tagged bytes", tags(1), json!({ "bytes": "ff" }), "tagged_bytes"),
    ]
}

pub(crate) fn records() -> Records {
    let mut cases: Vec<_> = read()
        .into_iter()
        .map(|(name, data, record)| {
            let says = facts(&record.unwrap_or_else(|| Record::text(data.as_str())));
            RecordCase { name: name.to_owned(), data: HexBytes(data.into_bytes()), says, written: None }
        })
        .collect();
    let plain = br#"{"quipu":1,"text":"x"}"#.to_vec();
    cases.push(RecordCase {
        name: "an envelope that nobody needs: written without".to_owned(),
        data: HexBytes(plain),
        says: facts(&Record::text("x")),
        written: Some(HexBytes(b"x".to_vec())),
    });
    let raw = vec![b'{', 0xff, 0];
    let says = facts(&Record { tags: vec![], content: Content::Bytes(raw.clone()) });
    cases.push(RecordCase { name: "bytes that are no text".to_owned(), data: HexBytes(raw), says, written: None });
    let refused = refused().into_iter().map(|(name, tags, content, reason)| RefusedRecord {
        name: name.to_owned(),
        tags,
        content,
        reason: reason.to_owned(),
    });
    Records {
        about:
            "Data of records and what it says (where `written` is not given, what it says is written as that data); \
                contents that are refused. Sizes are decimal strings."
                .to_owned(),
        read: cases,
        refused: refused.collect(),
    }
}
