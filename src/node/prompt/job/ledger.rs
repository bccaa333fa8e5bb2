//! Records, histories, transactions' lives, receipts.

use std::io;
use std::path::Path;
use std::sync::atomic::Ordering;

use super::{CommandRunner, Sending};
use crate::files;
use crate::node::api::error::{Code, Failure};
use crate::node::api::query::{Range, RecordFilter, TransactionName};
use crate::node::api::receipt::{self, ReceiptOptions};
use crate::node::api::rows::{FileRow, LifeRow, RecordPage};
use crate::node::api::{lookup, queries};
use crate::node::index::RecordQuery;
use crate::node::prompt::command::{Recorded, Recording};
use crate::node::prompt::outcome::CommandOutcome;
use crate::node::watch;
use crate::protocol::record::{Content, Record};
use crate::protocol::{Action, TransactionId};

/// Files of a folder that one command records.
const FOLDER_FILES_MAX: usize = 500;

impl CommandRunner<'_> {
    /// Begins to write a record. Blocks only while a file is read.
    pub(super) fn record(&self, recording: &Recording) -> Sending {
        let (content, file) = match &recording.what {
            Recorded::Text(text) => (Content::Text(text.clone()), None),
            Recorded::Json(json) => (Content::Json(json.clone()), None),
            Recorded::File(path) => match self.content_of_file(path) {
                Ok((content, row)) => (content, Some(row)),
                Err(failure) => return failure.into(),
            },
        };
        self.send_record(content, file, recording)
    }

    /// Records each file of a folder, if all of them can be read.
    pub(super) fn record_folder(&self, folder: &Path, recording: &Recording) -> Result<CommandOutcome, Failure> {
        let shown = folder.display();
        let found = files::in_folder(&self.file(folder))
            .map_err(|error| Failure::new(Code::FileUnreadable, format!("cannot read {shown}: {error}")))?;
        let count = found.files.len();
        if count == 0 {
            let message = format!("nothing was recorded: no file is directly in {shown}");
            return Err(Failure::new(Code::FileUnreadable, message));
        }
        if count > FOLDER_FILES_MAX {
            let message = format!(
                "nothing was recorded: {shown} has {count} files, and {FOLDER_FILES_MAX} can be recorded at once; \
                 divide them, or record one archive of them"
            );
            return Err(Failure::new(Code::TooMany, message));
        }
        let contents = found.files.iter().map(|name| self.content_of_file(&folder.join(name)));
        let contents = contents.collect::<Result<Vec<_>, _>>()?;
        // All are begun before the first is waited for: the disk writes them together.
        let begun: Vec<(String, Sending)> = contents
            .into_iter()
            .map(|(content, row)| (row.name.clone(), self.send_record(content, Some(row), recording)))
            .collect();
        let mut records = Vec::new();
        let mut refused = Vec::new();
        for (name, sending) in begun {
            match sending.sent() {
                Ok(sent) => records.push(sent),
                Err(failure) => refused.push((name, failure)),
            }
        }
        let left_out = found.left_out;
        let Some((first, failure)) = refused.first() else {
            return Ok(CommandOutcome::RecordedFolder { records, left_out });
        };
        let others = if refused.len() > 1 { format!(" and {} more", refused.len() - 1) } else { String::new() };
        let done = records.len();
        let message = format!("{done} of {count} files were recorded; not {first}{others}: {}", failure.message);
        Err(Failure::new(failure.code, message))
    }

    fn send_record(&self, content: Content, file: Option<FileRow>, recording: &Recording) -> Sending {
        match (Record { tags: recording.tags.clone(), content }).to_data() {
            Ok(data) => self.send(Action::Record { data: data.into() }, recording.fee, file),
            Err(error) => Failure::from(error).into(),
        }
    }

    fn content_of_file(&self, path: &Path) -> Result<(Content, FileRow), Failure> {
        let (sha256, size) = self.fingerprint(path)?;
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let row = FileRow { sha256: hex::encode(sha256), name: name.clone(), size };
        Ok((Content::File { sha256, name, size }, row))
    }

    /// The SHA-256 and the length of a file.
    fn fingerprint(&self, file: &Path) -> Result<([u8; 32], u64), Failure> {
        let found = files::fingerprint(&self.file(file), || self.cancel.load(Ordering::Relaxed))
            .map_err(|error| Failure::new(Code::FileUnreadable, format!("cannot read {}: {error}", file.display())))?;
        found.ok_or_else(|| Failure::new(Code::Cancelled, "stopped; nothing was recorded"))
    }

    pub(super) fn records(&self, filter: &RecordFilter, range: &Range) -> Result<CommandOutcome, Failure> {
        let since = filter.since.map(|since| since.moment(self.handle.now()));
        let from = self.maybe(filter.from.as_ref())?;
        let mut query = RecordQuery { tag: filter.tag.clone(), from, since, ..RecordQuery::default() };
        if let Some(what) = &filter.find {
            match self.content_of(what)? {
                Wanted::Content(hash) => query.find = Some(hash),
                Wanted::Either(id) => {
                    let named = lookup::index(self.handle)?.view()?.record(&id)?;
                    if let Some(entry) = named.filter(|entry| query.wants(entry)) {
                        return Ok(CommandOutcome::Records(RecordPage { records: vec![(&entry).into()], next: None }));
                    }
                    query.find = Some(id.0);
                }
            }
        }
        Ok(CommandOutcome::Records(queries::records(self.handle, &query, range)?))
    }

    /// 64 hex digits are a hash, all else is a file.
    fn content_of(&self, what: &str) -> Result<Wanted, Failure> {
        match what.to_lowercase().parse() {
            Ok(id) => Ok(Wanted::Either(id)),
            Err(_) => Ok(Wanted::Content(self.fingerprint(Path::new(what.trim_start_matches('@')))?.0)),
        }
    }

    pub(super) fn watch(&self, name: &TransactionName) -> Result<CommandOutcome, Failure> {
        let id = lookup::transaction(self.handle, name)?;
        let life = watch::follow(self.handle, id)?;
        Ok(CommandOutcome::Watched(LifeRow::new(id, &life, self.handle.lost().offers(&id))))
    }

    pub(super) fn watching(&self) -> CommandOutcome {
        let lives = self.handle.watched().list();
        let row = |(id, life): &(_, _)| LifeRow::new(*id, life, self.handle.lost().offers(id));
        CommandOutcome::Watching(lives.iter().map(row).collect())
    }

    pub(super) fn unwatch(&self, name: &TransactionName) -> Result<CommandOutcome, Failure> {
        let list = self.handle.watched().list();
        let id = list.iter().map(|(id, _)| *id).find(|id| match name {
            TransactionName::Id(wanted) => id == wanted,
            TransactionName::Short(digits) => id.to_string().trim_start_matches('0').starts_with(digits),
        });
        let id =
            id.ok_or_else(|| Failure::new(Code::NotFound, "that is not watched; `watch` lists the watched ones"))?;
        self.handle.watched().remove(&id);
        Ok(CommandOutcome::Unwatched { id })
    }

    pub(super) fn receipt(
        &self,
        name: &TransactionName,
        wanted: ReceiptOptions,
        file: &Path,
    ) -> Result<CommandOutcome, Failure> {
        let (id, height, receipt) = receipt::of(self.handle, name, wanted)?;
        let text = receipt.to_json();
        write_new(&self.file(file), text.as_bytes())?;
        let confirmations = receipt.proof.tip().height.saturating_since(height) + 1;
        let form = receipt.proof.form();
        let file = file.display().to_string();
        Ok(CommandOutcome::Receipt { file, id, height, form, confirmations, bytes: text.len() as u64 })
    }

    pub(super) fn tip(&self) -> Result<CommandOutcome, Failure> {
        let snapshot = self.handle.reader().snapshot()?;
        let block = lookup::block_at(&snapshot, snapshot.tip().height)?;
        Ok(CommandOutcome::Tip {
            height: block.header.height,
            id: block.header.id(),
            timestamp: block.header.timestamp,
        })
    }
}

/// The meaning of a word after `--find`.
enum Wanted {
    /// The hash of a file.
    Content([u8; 32]),
    /// A transaction's id, or the hash of a file.
    Either(TransactionId),
}

/// Writes a file, complete or not at all, and replaces none.
fn write_new(file: &Path, content: &[u8]) -> Result<(), Failure> {
    let result = files::write_new(file, content);
    result.map_err(|error| match error.kind() {
        io::ErrorKind::AlreadyExists => {
            Failure::new(Code::FileExists, format!("{} is there already: choose another name", file.display()))
        }
        _ => Failure::new(Code::WriteFailed, format!("cannot write {}: {error}; choose another place", file.display())),
    })
}
