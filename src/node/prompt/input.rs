//! The source of command lines: reads one at a time, and only when asked.
//!
//! Reading blocks, so it happens on a thread of its own, which the node does not wait for when it stops.

use std::io::{self, BufRead, BufReader, Read};

use crossbeam_channel::{Receiver, Sender};

use crate::node::api::error::{Code, Failure};
use crate::text::bytes_without_mark;

/// The longest command line, in bytes: a record of 4 KiB with much room.
const LINE_BYTES_MAX: u64 = 64 << 10;

/// The result of reading.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Typed {
    Line(String),
    /// The line cannot be a command.
    Unreadable(Failure),
    /// Ctrl-C at the prompt.
    Interrupted {
        /// The line was empty.
        empty: bool,
    },
    /// No more lines will come.
    End,
}

#[derive(Debug)]
pub(super) struct Input {
    ask: Sender<Option<&'static str>>,
    /// One message for each [`Input::ask`].
    pub(super) typed: Receiver<Typed>,
}

impl Input {
    /// Runs `read` on a thread, once for each line that is asked for: a command, or the answer to a question.
    pub(super) fn start(mut read: impl FnMut(Option<&'static str>) -> Typed + Send + 'static) -> io::Result<Self> {
        let (ask, asked) = crossbeam_channel::bounded(1);
        let (sender, typed) = crossbeam_channel::bounded(1);
        std::thread::Builder::new().name("input".to_owned()).spawn(move || {
            while let Ok(question) = asked.recv()
                && sender.send(read(question)).is_ok()
            {}
        })?;
        Ok(Self { ask, typed })
    }

    /// Reads stdin as it is.
    pub(super) fn plain() -> io::Result<Self> {
        let (mut stdin, mut is_first) = (BufReader::new(io::stdin()), true);
        Self::start(move |_| read_line(&mut stdin, std::mem::take(&mut is_first)))
    }

    /// Asks for the next line: a command, or the answer to a question.
    pub(super) fn ask(&self, question: Option<&'static str>) {
        // Never full: the next line is asked for when the last one has come.
        let _ = self.ask.try_send(question);
    }
}

fn read_line(input: &mut impl BufRead, is_first: bool) -> Typed {
    let mut line = Vec::new();
    match input.by_ref().take(LINE_BYTES_MAX).read_until(b'\n', &mut line) {
        Ok(0) => return Typed::End,
        Ok(_) => {}
        Err(error) => {
            tracing::warn!("cannot read stdin: {error}");
            return Typed::End;
        }
    }
    if line.len() as u64 == LINE_BYTES_MAX && line.last() != Some(&b'\n') {
        let _ = input.skip_until(b'\n');
        let message = format!("a line has at most {LINE_BYTES_MAX} bytes");
        return Typed::Unreadable(Failure::new(Code::BadLine, message));
    }
    if is_first {
        line = bytes_without_mark(&line).to_vec();
    }
    match String::from_utf8(line) {
        Ok(line) => Typed::Line(line),
        Err(_) => Typed::Unreadable(Failure::new(Code::BadLine, "a line must be UTF-8")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_bounded_and_the_next_one_is_found() {
        let long = "x".repeat(LINE_BYTES_MAX as usize * 3);
        let text = format!("status\n{long}\nhelp\n\u{e4}\r\nlast").into_bytes();
        let text = [&text[..], b"\n\xff\n"].concat();
        let mut input = &text[..];
        assert_eq!(read_line(&mut input, false), Typed::Line("status\n".to_owned()));
        assert!(matches!(read_line(&mut input, false), Typed::Unreadable(failure) if failure.code == Code::BadLine));
        assert_eq!(read_line(&mut input, false), Typed::Line("help\n".to_owned()));
        assert_eq!(read_line(&mut input, false), Typed::Line("\u{e4}\r\n".to_owned()));
        assert_eq!(read_line(&mut input, false), Typed::Line("last\n".to_owned()));
        assert!(matches!(read_line(&mut input, false), Typed::Unreadable(_)));
        assert_eq!(read_line(&mut input, false), Typed::End);
    }

    #[test]
    fn a_byte_order_mark_is_left_out_at_the_very_beginning() {
        let mut input = "\u{feff}mine 1\n\u{feff}mine 1\n".as_bytes();
        assert_eq!(read_line(&mut input, true), Typed::Line("mine 1\n".to_owned()));
        assert_eq!(read_line(&mut input, false), Typed::Line("\u{feff}mine 1\n".to_owned()));
        assert_eq!(read_line(&mut "\u{feff}".as_bytes(), true), Typed::Line(String::new()));
    }

    #[test]
    fn a_line_of_exactly_the_limit() {
        let text = format!("{}\nnext", "x".repeat(LINE_BYTES_MAX as usize - 1));
        let mut input = text.as_bytes();
        assert!(matches!(read_line(&mut input, false), Typed::Line(line) if line.len() as u64 == LINE_BYTES_MAX));
        assert_eq!(read_line(&mut input, false), Typed::Line("next".to_owned()));
    }
}
