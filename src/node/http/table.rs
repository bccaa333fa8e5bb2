//! Whole lists as CSV and NDJSON, [streamed](super::streamed).
//!
//! Text of strangers never reaches a reader as it is: what [confuses] is escaped in NDJSON, and replaced in CSV, where a
//! cell that a spreadsheet would take for a formula begins with an apostrophe as well. NDJSON is exact all the same; in CSV,
//! the column `data` has the bytes as they are on the chain.
//!
//! [confuses]: crate::protocol::harmless

mod rows;

use std::fmt::Display;
use std::io;

use axum::http::{HeaderName, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde_json::Serializer;
use serde_json::ser::Formatter;

pub(super) use self::rows::{BlockLine, RecordLine};
use super::App;
use super::form::Form;
use super::problem::Problem;
use super::streamed::{Progress, streamed};
use crate::protocol::harmless::confuses;
use crate::text::harmless;

/// The beginnings of formulas, in the wide forms of East Asian keyboards too.
const FORMULA: [char; 8] = ['=', '+', '-', '@', '\u{ff1d}', '\u{ff0b}', '\u{ff0d}', '\u{ff20}'];

/// A row of a list.
pub(super) trait Row: Serialize {
    /// The names of the columns.
    const COLUMNS: &'static [&'static str];

    /// Writes a cell for each of them.
    fn write(&self, line: &mut Line);
}

/// A line of CSV.
#[derive(Default)]
pub(super) struct Line {
    text: String,
    cells: usize,
}

impl Line {
    /// A cell of ours: a number, a hash, a word.
    pub(super) fn plain(&mut self, value: impl Display) {
        self.cell(&value.to_string());
    }

    /// The same, or an empty one.
    pub(super) fn maybe(&mut self, value: Option<impl Display>) {
        self.cell(&value.map(|value| value.to_string()).unwrap_or_default());
    }

    /// A text of somebody else.
    pub(super) fn foreign(&mut self, text: &str) {
        let shown = harmless(text, usize::MAX);
        let mark = if shown.trim_start().starts_with(FORMULA) { "'" } else { "" };
        self.cell(&format!("{mark}{shown}"));
    }

    /// Bytes in hex. Without the mark in front, some of them would be read as numbers.
    pub(super) fn bytes(&mut self, bytes: &[u8]) {
        self.cell(&format!("0x{}", hex::encode(bytes)));
    }

    fn cell(&mut self, text: &str) {
        if self.cells > 0 {
            self.text.push(',');
        }
        self.cells += 1;
        if text.contains(['"', ',', '\n', '\r']) || text.starts_with(' ') || text.ends_with(' ') {
            self.text += &format!("\"{}\"", text.replace('"', "\"\""));
        } else {
            self.text += text;
        }
    }
}

/// The whole list, or its first `limit` rows. `more` gives some more of them, perhaps none; `None` at the end.
pub(super) fn whole<R: Row + 'static>(
    app: &App,
    form: Form,
    limit: Option<usize>,
    mut more: impl FnMut() -> Result<Option<Vec<R>>, Problem> + Send + 'static,
) -> Result<Response, Problem> {
    let (mut left, mut begun) = (limit.unwrap_or(usize::MAX), false);
    let write = move |text: &mut Vec<u8>| {
        if form == Form::Csv && !begun {
            text.extend_from_slice(format!("{}\r\n", R::COLUMNS.join(",")).as_bytes());
        }
        begun = true;
        if left == 0 {
            return Ok(Progress::End);
        }
        let Some(rows) = more()? else { return Ok(Progress::End) };
        for row in rows.iter().take(left) {
            write_row(form, row, text);
        }
        left -= rows.len().min(left);
        Ok(if rows.is_empty() { Progress::Pause } else { Progress::More })
    };
    let (media, file) = match form {
        Form::Csv => ("text/csv; charset=utf-8; header=present", "attachment; filename=\"list.csv\""),
        Form::Json | Form::Ndjson => ("application/x-ndjson", "attachment; filename=\"list.ndjson\""),
    };
    let headers = [(header::CONTENT_TYPE, media), (header::CONTENT_DISPOSITION, file), VARY];
    Ok((headers, streamed(app, Box::new(write))?).into_response())
}

/// The same address has several forms.
const VARY: (HeaderName, &str) = (header::VARY, "accept");

/// A page of a list that has other forms, too.
pub(super) fn page(mut response: Response) -> Response {
    response.headers_mut().append(VARY.0, HeaderValue::from_static(VARY.1));
    response
}

fn write_row(form: Form, row: &impl Row, text: &mut Vec<u8>) {
    if form == Form::Csv {
        let mut line = Line::default();
        row.write(&mut line);
        text.extend_from_slice(line.text.as_bytes());
        text.push(b'\r');
    } else {
        let written = row.serialize(&mut Serializer::with_formatter(&mut *text, Escaping));
        written.expect("strings, numbers and lists always serialise");
    }
    text.push(b'\n');
}

/// JSON in which what confuses is escaped.
struct Escaping;

impl Formatter for Escaping {
    fn write_string_fragment<W: ?Sized + io::Write>(&mut self, out: &mut W, fragment: &str) -> io::Result<()> {
        let mut written = 0;
        for (at, c) in fragment.char_indices().filter(|(_, c)| confuses(*c)) {
            out.write_all(&fragment.as_bytes()[written..at])?;
            for unit in c.encode_utf16(&mut [0; 2]) {
                write!(out, "\\u{unit:04x}")?;
            }
            written = at + c.len_utf8();
        }
        out.write_all(&fragment.as_bytes()[written..])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EVIL: [&str; 9] = [
        "=1+1",
        "+49 30",
        "-2",
        "@SUM(A1)",
        "\t=1",
        "\u{ff1d}1",
        "  =1",
        "a\u{202e}b\u{200b}\"c\",\r\n=d",
        "\u{e0041}x",
    ];

    struct Said(&'static str);

    impl Serialize for Said {
        fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            self.0.serialize(serializer)
        }
    }

    impl Row for Said {
        const COLUMNS: &'static [&'static str] = &["text", "data"];

        fn write(&self, line: &mut Line) {
            line.foreign(self.0);
            line.bytes(self.0.as_bytes());
        }
    }

    fn written(form: Form, text: &'static str) -> String {
        let mut out = Vec::new();
        write_row(form, &Said(text), &mut out);
        String::from_utf8(out).expect("UTF-8")
    }

    #[test]
    fn csv_is_no_formula_and_one_line() {
        for text in EVIL {
            let line = written(Form::Csv, text);
            let (shown, data) = line.rsplit_once(',').expect("two cells");
            assert_eq!(data, format!("0x{}\r\n", hex::encode(text)), "the bytes are there");
            assert!(!shown.chars().any(confuses), "{shown:?}");
            let shown = shown.strip_prefix('"').unwrap_or(shown);
            assert!(
                !shown.trim_start_matches(['\u{fffd}', ' ']).starts_with(FORMULA) || text.starts_with('\t'),
                "{shown:?}"
            );
        }
        assert_eq!(written(Form::Csv, "a \"b\", c"), "\"a \"\"b\"\", c\",0x61202262222c2063\r\n");
        assert_eq!(written(Form::Csv, "=A1"), "'=A1,0x3d4131\r\n");
        assert_eq!(written(Form::Csv, ""), ",0x\r\n");
    }

    #[test]
    fn ndjson_is_exact_and_confuses_nobody() {
        for text in EVIL {
            let line = written(Form::Ndjson, text);
            assert!(!line.trim_end_matches('\n').chars().any(confuses), "{line:?}");
            assert_eq!(serde_json::from_str::<String>(&line).expect("JSON"), text);
        }
    }
}
