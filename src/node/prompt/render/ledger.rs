//! Records, histories, lives of transactions, receipts, checkpoints.

use std::fmt::Write;

use super::{RECORD_CHARACTERS_MAX, Renderer};
use crate::node::api::rows::{FileRow, HistoryRow, Kind, LifeRow, PlaceRow, RecordRow, Sent};
use crate::node::prompt::command::{Recorded, Recording};
use crate::node::prompt::notice::NoticeLine;
use crate::protocol::receipt::Form;
use crate::protocol::record::{Content, Record, TAG_BYTES_MAX, Tag};
use crate::protocol::transaction::RECORD_BYTES_MAX;
use crate::protocol::{Action, Address, Amount, BlockId, Height, UnixMillis};
use crate::text::{Style, Tone, counted, date_time, grouped, harmless};

impl Renderer<'_> {
    /// What was signed, word for word, and where it is now.
    pub(super) fn sent(&self, sent: &Sent) -> String {
        let Sent { id, fee, file, signed } = sent;
        let waits = "It waits for a block (`pending` shows it, `mine` makes one).";
        let is_transfer = matches!(signed, Some(Action::Transfer { .. }));
        let has_more = !is_transfer && *fee > Amount::ZERO;
        let waits = if has_more { format!("{waits} Its fee is {fee}.") } else { waits.to_owned() };
        let what = match signed {
            None => String::new(),
            Some(Action::Transfer { to, amount }) => {
                format!("paid {amount} to {}, fee {fee}\n", self.identity.names.full(to))
            }
            Some(Action::Record { data }) => {
                format!("recorded {}\n", signed_record(&Record::read(data), file.as_ref()))
            }
        };
        format!("{what}sent {id}\n{waits}")
    }

    /// A line for each file, and what was left out.
    pub(super) fn recorded_folder(&self, records: &[Sent], left_out: &[String]) -> String {
        let mut text = String::new();
        for Sent { signed, file, .. } in records {
            if let Some(Action::Record { data }) = signed {
                writeln!(text, "recorded {}", signed_record(&Record::read(data), file.as_ref())).expect("a string");
            }
        }
        if let Some(first) = left_out.first() {
            let first = harmless(first, 80);
            let others = if left_out.len() > 1 { format!(" and {} more", left_out.len() - 1) } else { String::new() };
            writeln!(text, "left out {first}{others}: only regular files that are not hidden are recorded")
                .expect("a string");
        }
        let count = counted(records.len() as u64, "transaction");
        text + &format!("sent {count}: they wait for a block (`pending` shows them, `mine` makes one).")
    }

    pub(super) fn records(&self, rows: &[RecordRow], next: Option<&str>) -> String {
        if rows.is_empty() && next.is_none() {
            return "there are no such records on the best chain (`pending` shows those that wait)".to_owned();
        }
        let mut text =
            self.heading(&format!("{:>9}  {:<8}  {:<19}  {:<13}  {}", "height", "id", "time (UTC)", "by", "record"));
        for row in rows {
            let (height, time, by) =
                (grouped(row.height.0), date_time(row.timestamp), self.identity.names.short(&row.sender));
            let what = says(self.style, &row.record, RECORD_CHARACTERS_MAX);
            writeln!(text, "{height:>9}  {:<8}  {time}  {by:<13}  {what}", row.id.short()).expect("a string");
        }
        text + &more(next)
    }

    pub(super) fn history(&self, address: &Address, rows: &[HistoryRow], next: Option<&str>) -> String {
        let whose = self.identity.names.full(address);
        if rows.is_empty() && next.is_none() {
            return format!("nothing yet on the best chain for {whose}");
        }
        let head = format!("{:>9}  {:<8}  {:<19}  {}", "height", "id", "time (UTC)", "what");
        let mut text = format!("{whose}\n{}", self.heading(&head));
        for row in rows {
            let (height, time) = (grouped(row.height.0), date_time(row.timestamp));
            let what = self.deed(row);
            writeln!(text, "{height:>9}  {:<8}  {time}  {what}", row.transaction.id.short()).expect("a string");
        }
        text + &more(next)
    }

    fn deed(&self, row: &HistoryRow) -> String {
        let transaction = &row.transaction;
        let amount = transaction.amount.unwrap_or_default();
        match transaction.kind {
            Kind::Reward => format!("mined     {amount}"),
            Kind::Record => {
                let what = self.data(transaction.data.as_ref(), RECORD_CHARACTERS_MAX);
                format!("recorded  {what}, fee {}", transaction.fee)
            }
            Kind::Transfer if row.roles == ["received"] => {
                format!("received  {amount} from {}", self.who(transaction.sender.as_ref()))
            }
            Kind::Transfer => {
                format!("sent      {amount} to {}, fee {}", self.who(transaction.to.as_ref()), transaction.fee)
            }
        }
    }

    pub(super) fn watching(&self, lives: &[LifeRow]) -> String {
        if lives.is_empty() {
            return "no transactions are watched: `watch TXID` adds one".to_owned();
        }
        lives.iter().map(|life| self.line(&super::life(life)) + "\n").collect()
    }

    pub(super) fn receipt(&self, file: &str, height: Height, form: Form, confirmations: u64, bytes: u64) -> String {
        let confirmations = counted(confirmations, "confirmation");
        let how = match form {
            Form::Full | Form::Sampled => format!("`quipu verify {file}` checks it anywhere."),
            Form::Witnessed => format!(
                "`quipu verify {file} --witness ID` checks it anywhere, where ID is published elsewhere: `receipt --tip`."
            ),
        };
        format!(
            "wrote the {} receipt {file}: block {}, {confirmations} ({} bytes)\n{how}",
            form.word(),
            grouped(height.0),
            grouped(bytes)
        )
    }

    pub(super) fn tip(&self, height: Height, id: &BlockId, timestamp: UnixMillis) -> String {
        format!(
            "block {} of {} UTC:\n{id}\nPublish this id where nobody can change it: later, `quipu verify --witness` takes it.",
            grouped(height.0),
            date_time(timestamp)
        )
    }

    pub(super) fn checkpoint(&self, checkpoint: Option<&PlaceRow>) -> String {
        match checkpoint {
            Some(place) => format!(
                "this node never leaves block {} ({}); `checkpoint off` allows it again",
                grouped(place.height.0),
                place.id.short()
            ),
            None => "there is no checkpoint: the best chain is the one with the most work".to_owned(),
        }
    }

    pub(super) fn line(&self, line: &NoticeLine) -> String {
        self.style.paint(line.tone, &line.text)
    }

    pub(super) fn heading(&self, head: &str) -> String {
        self.style.paint(Tone::Quiet, head) + "\n"
    }
}

/// A transaction's life, in a line.
pub fn life(life: &LifeRow) -> NoticeLine {
    let id = life.id.short();
    let block = || {
        let height = life.height.map_or_else(String::new, |height| grouped(height.0));
        format!("{height} ({})", life.block.map_or_else(String::new, |block| block.short()))
    };
    let again = if life.again { format!("; `again {id}` signs it once more") } else { String::new() };
    let (tone, text) = match (life.state, life.fate) {
        ("pending", _) => (Tone::Plain, format!("{id} waits to be mined")),
        ("in_block", _) => {
            let confirmations = counted(life.confirmations, "confirmation");
            (Tone::Good, format!("{id} is in block {}: {confirmations}", block()))
        }
        ("rolled_back", Some("pending")) => {
            (Tone::Warning, format!("{id} was rolled back with block {}: it waits to be mined again", block()))
        }
        ("rolled_back", Some("mined")) => {
            (Tone::Warning, format!("{id} was rolled back with block {}, and is in a block of the new chain", block()))
        }
        ("rolled_back", _) => {
            let reason = life.reason.as_deref().unwrap_or("it can no longer be mined");
            (Tone::Error, format!("{id} was rolled back with block {} and is lost: {reason}{again}", block()))
        }
        ("gone", _) => match &life.reason {
            Some(reason) => (Tone::Error, format!("{id} is lost, it was never mined: {reason}{again}")),
            None => {
                (Tone::Warning, format!("{id} does not wait any longer: it was replaced, or crowded out of the pool"))
            }
        },
        _ => (Tone::Plain, format!("{id} is not known here yet; it is watched once it comes")),
    };
    NoticeLine::new(tone, text)
}

fn signed_record(record: &Record, file: Option<&FileRow>) -> String {
    let content = match (&record.content, file) {
        (_, Some(FileRow { sha256, name, size })) => {
            format!("{} ({} bytes, SHA-256 {sha256})", harmless(name, 80), grouped(*size))
        }
        (Content::Json(json), _) => format!("JSON {}", harmless(json, RECORD_BYTES_MAX)),
        (Content::Text(text), _) => format!("\"{}\"", harmless(text, RECORD_BYTES_MAX)),
        (Content::File { .. } | Content::Bytes(_), None) => says(Style { colour: false }, record, RECORD_BYTES_MAX),
    };
    format!("{content}, {}", tags_in_words(&record.tags))
}

fn tags_in_words(tags: &[Tag]) -> String {
    let tags: Vec<_> = tags.iter().map(|tag| harmless(tag.as_str(), TAG_BYTES_MAX)).collect();
    match tags.len() {
        0 => "no tags".to_owned(),
        1 => format!("tag {}", tags[0]),
        _ => format!("tags {}", tags.join(", ")),
    }
}

/// What would be recorded.
pub fn recording_in_words(recording: &Recording) -> String {
    let content = match &recording.what {
        Recorded::Text(text) => format!("\"{}\"", harmless(text, RECORD_BYTES_MAX)),
        Recorded::Json(json) => format!("JSON {}", harmless(json, RECORD_BYTES_MAX)),
        Recorded::File(file) => harmless(&file.display().to_string(), RECORD_BYTES_MAX),
    };
    format!("{content}, {}", tags_in_words(&recording.tags))
}

/// The content of a record, its tags first, on one line.
pub(super) fn says(style: Style, record: &Record, characters_max: usize) -> String {
    let tags: String = record.tags.iter().map(|tag| format!("#{} ", harmless(tag.as_str(), 32))).collect();
    let content = match &record.content {
        Content::Text(text) => format!("\"{}\"", harmless(text, characters_max)),
        Content::File { name, size, .. } => format!("file {} ({} bytes)", harmless(name, 60), grouped(*size)),
        Content::Json(json) => harmless(json, characters_max),
        Content::Bytes(bytes) => format!("0x{}", harmless(&hex::encode(bytes), characters_max)),
    };
    format!("{}{content}", if tags.is_empty() { tags } else { style.paint(Tone::Quiet, &tags) })
}

fn more(next: Option<&str>) -> String {
    next.map_or_else(String::new, |next| format!("More: the same command with `--before {next}`"))
}
