//! The columns of each list.

use serde::Serialize;

use super::{Line, Row};
use crate::node::api::rows::{BlockRow, BriefBlock, Data, HistoryRow, Kind, MinedRow, RecordRow, TransactionRow};
use crate::node::index::{RecordEntry, words};
use crate::protocol::{Action, Block, Height, Network, UnixMillis};
use crate::text::date_time;

/// A block with its transactions in JSON, without them in CSV.
#[derive(Serialize)]
pub(in crate::node::http) struct BlockLine {
    #[serde(flatten)]
    row: BlockRow,
    #[serde(skip)]
    brief: BriefBlock,
}

impl BlockLine {
    pub(in crate::node::http) fn new(block: &Block, size: usize, network: &Network) -> Self {
        Self { row: BlockRow::new(block, network), brief: BriefBlock::new(block, size) }
    }
}

impl Row for BlockLine {
    const COLUMNS: &'static [&'static str] =
        &["height", "timestamp", "time", "id", "parent", "miner", "transactions", "fees", "size", "target", "nonce"];

    fn write(&self, line: &mut Line) {
        let Self { row, brief } = self;
        moment(line, row.height, row.timestamp);
        line.plain(row.id);
        line.plain(row.parent);
        line.plain(row.miner);
        line.plain(brief.transactions);
        line.plain(brief.fees);
        line.plain(brief.size);
        line.plain(row.target);
        line.plain(row.nonce);
    }
}

impl Row for BriefBlock {
    const COLUMNS: &'static [&'static str] =
        &["height", "timestamp", "time", "id", "miner", "transactions", "fees", "size"];

    fn write(&self, line: &mut Line) {
        moment(line, self.height, self.timestamp);
        line.plain(self.id);
        line.plain(self.miner);
        line.plain(self.transactions);
        line.plain(self.fees);
        line.plain(self.size);
    }
}

/// One that is pending: in no block, and of no time.
impl Row for TransactionRow {
    const COLUMNS: &'static [&'static str] = &["id", "type", "sender", "nonce", "fee", "to", "amount", "text", "data"];

    fn write(&self, line: &mut Line) {
        line.plain(self.id);
        line.plain(match self.kind {
            Kind::Reward => "reward",
            Kind::Transfer => "transfer",
            Kind::Record => "record",
        });
        line.maybe(self.sender);
        line.maybe(self.nonce);
        line.plain(self.fee);
        line.maybe(self.to);
        line.maybe(self.amount);
        match &self.data {
            Some(Data::Text(text)) => {
                line.foreign(text);
                line.bytes(text.as_bytes());
            }
            Some(Data::Bytes { hex }) => {
                line.plain("");
                line.plain(format!("0x{hex}"));
            }
            None => {
                line.plain("");
                line.plain("");
            }
        }
    }
}

impl Row for MinedRow {
    const COLUMNS: &'static [&'static str] = &[
        "height",
        "timestamp",
        "time",
        "block",
        "id",
        "type",
        "sender",
        "nonce",
        "fee",
        "to",
        "amount",
        "text",
        "data",
    ];

    fn write(&self, line: &mut Line) {
        moment(line, self.height, self.timestamp);
        line.plain(self.block);
        self.transaction.write(line);
    }
}

impl Row for HistoryRow {
    const COLUMNS: &'static [&'static str] = &[
        "height",
        "timestamp",
        "time",
        "block",
        "roles",
        "id",
        "type",
        "sender",
        "nonce",
        "fee",
        "to",
        "amount",
        "text",
        "data",
    ];

    fn write(&self, line: &mut Line) {
        moment(line, self.height, self.timestamp);
        line.plain(self.block);
        line.plain(self.roles.join(" "));
        self.transaction.write(line);
    }
}

/// A record, with its bytes on the chain.
#[derive(Serialize)]
pub(in crate::node::http) struct RecordLine {
    #[serde(flatten)]
    row: RecordRow,
    #[serde(skip)]
    data: Vec<u8>,
}

impl From<&RecordEntry> for RecordLine {
    fn from(entry: &RecordEntry) -> Self {
        let data = match &entry.signed.transaction.action {
            Action::Record { data } => data.to_vec(),
            Action::Transfer { .. } => Vec::new(),
        };
        Self { row: entry.into(), data }
    }
}

impl Row for RecordLine {
    const COLUMNS: &'static [&'static str] = &[
        "height",
        "timestamp",
        "time",
        "block",
        "id",
        "sender",
        "fee",
        "tags",
        "text",
        "file_sha256",
        "file_size",
        "data",
    ];

    fn write(&self, line: &mut Line) {
        let Self { row, data } = self;
        moment(line, row.height, row.timestamp);
        line.plain(row.block);
        line.plain(row.id);
        line.plain(row.sender);
        line.plain(row.fee);
        line.foreign(&row.tags.join(" "));
        line.foreign(words(&row.record).unwrap_or_default());
        line.maybe(row.file.as_ref().map(|file| &file.sha256));
        line.maybe(row.file.as_ref().map(|file| file.size));
        line.bytes(data);
    }
}

/// A height, a time in Unix milliseconds, and the same in words.
fn moment(line: &mut Line, height: Height, timestamp: UnixMillis) {
    line.plain(height);
    line.plain(timestamp.0);
    line.plain(date_time(timestamp));
}
