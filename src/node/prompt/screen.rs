//! The one writer of stdout: whole lines, and on a terminal a progress line that is redrawn in place.
//!
//! While the line editor has the terminal, everything goes through its external printer, which redraws what is being
//! typed. That printer may block until the next line is read, so it has a thread and a bounded queue of its own.

use std::io::{self, IsTerminal};
use std::time::{Duration, Instant};

use crossbeam_channel::Sender;
use rustyline::ExternalPrinter;
use zeroize::Zeroizing;

use super::wrap::wrap;
use crate::output::write as write_out;

/// Lines that wait for the line editor; any more are counted and dropped.
const ABOVE_WAITING_MAX: usize = 512;
/// Bytes of plain lines beyond which they are written in any case.
const HELD_BYTES_MAX: usize = 64 << 10;
/// The width of a terminal that does not report its own.
const COLUMNS: u16 = 80;
/// The line editor may need this time to draw what it was given.
const DRAWING: Duration = Duration::from_millis(100);
const CLEAR_LINE: &str = "\r\x1b[2K";
const UP: &str = "\x1b[1A";

/// The destination of lines.
#[derive(Debug, Default)]
pub(super) struct Screen {
    terminal: Option<Terminal>,
    /// Lines are broken where a terminal's row ends.
    wraps: bool,
    /// Plain lines that are held back.
    held: Option<String>,
    /// Without a line editor: what stands before the line that is being typed.
    prompt: Option<&'static str>,
}

#[derive(Debug)]
struct Terminal {
    above: Sender<String>,
    /// Whether the line editor has the terminal.
    reading: bool,
    progress: Option<String>,
    /// The last thing printed above the editor was the progress line.
    progress_above: bool,
    redrawn_at: Option<Instant>,
    /// The editor may have left something undrawn that erases a line.
    drawing_late: bool,
    missed: u64,
    #[cfg(unix)]
    settings: Option<nix::sys::termios::Termios>,
}

impl Screen {
    /// Without a line editor. Lines for people are broken between words if stdout is a terminal.
    pub(super) fn plain(for_people: bool) -> Self {
        Self { wraps: for_people && io::stdout().is_terminal(), ..Self::default() }
    }

    /// Whether a line without an editor is asked for by a prompt.
    pub(super) fn has_prompt(&self) -> bool {
        self.wraps && self.terminal.is_none()
    }

    /// Shares a terminal with a line editor.
    pub(super) fn terminal(mut printer: impl ExternalPrinter + Send + 'static) -> io::Result<Self> {
        let (above, lines) = crossbeam_channel::bounded::<String>(ABOVE_WAITING_MAX);
        std::thread::Builder::new().name("screen".to_owned()).spawn(move || {
            for line in lines {
                if printer.print(line).is_err() {
                    break;
                }
            }
        })?;
        Ok(Self {
            wraps: true,
            held: None,
            prompt: None,
            terminal: Some(Terminal {
                above,
                reading: false,
                progress: None,
                progress_above: false,
                redrawn_at: None,
                drawing_late: false,
                missed: 0,
                #[cfg(unix)]
                settings: nix::sys::termios::tcgetattr(io::stdin()).ok(),
            }),
        })
    }

    /// Holds plain lines back from now on, to write them in one piece.
    pub(super) fn hold(&mut self) {
        if self.terminal.is_none() {
            self.held.get_or_insert_default();
        }
    }

    /// Writes the lines that were held back.
    pub(super) fn release(&mut self) -> io::Result<()> {
        match self.held.take() {
            Some(lines) if !lines.is_empty() => self.write_plain(&lines),
            _ => Ok(()),
        }
    }

    /// Writes a text of one or more lines, without the last line feed.
    pub(super) fn line(&mut self, text: &str) -> io::Result<()> {
        let wrapped = self.wraps.then(|| wrap(text, columns().into()));
        let text = wrapped.as_ref().map_or(text, |wrapped| wrapped.as_str());
        match &mut self.terminal {
            None => self.plain_line(text),
            Some(terminal) if terminal.reading => {
                let up = terminal.erase_progress();
                let progress = terminal.progress.as_ref().map(|progress| format!("{progress}\n"));
                terminal.progress_above = progress.is_some();
                terminal.print_above(format!("{up}{text}\n{}", progress.unwrap_or_default()));
                Ok(())
            }
            Some(terminal) => match &terminal.progress {
                Some(progress) => write_out(&format!("{CLEAR_LINE}{text}\n{progress}")),
                None => write_line(text),
            },
        }
    }

    fn plain_line(&mut self, text: &str) -> io::Result<()> {
        let Some(held) = &mut self.held else {
            return self.write_plain(&Zeroizing::new([text, "\n"].concat()));
        };
        held.push_str(text);
        held.push('\n');
        if held.len() < HELD_BYTES_MAX {
            return Ok(());
        }
        let lines = std::mem::take(held);
        self.write_plain(&lines)
    }

    /// Whole lines. A prompt that stands there is repeated below them; the terminal keeps what was typed.
    fn write_plain(&self, lines: &str) -> io::Result<()> {
        match self.prompt {
            Some(prompt) => write_out(&Zeroizing::new(["\n", lines, prompt].concat())),
            None => write_out(lines),
        }
    }

    /// Shows, changes or takes away the progress line. Nothing where there is no terminal.
    pub(super) fn progress(&mut self, text: Option<&str>) -> io::Result<()> {
        let Some(terminal) = &mut self.terminal else { return Ok(()) };
        // A line that wraps could not be redrawn in place, and some terminals wrap at the last column.
        let columns = columns();
        let text = text.map(|text| text.chars().take(usize::from(columns.saturating_sub(1))).collect::<String>());
        if terminal.progress == text {
            return Ok(());
        }
        if terminal.reading {
            // A finished line stays until the next text takes its place: the editor always adds a line feed.
            if let Some(text) = &text {
                let up = terminal.erase_progress();
                terminal.print_above(format!("{up}{text}\n"));
                terminal.progress_above = true;
            }
        } else {
            write_out(&format!("{CLEAR_LINE}{}", text.as_deref().unwrap_or_default()))?;
        }
        terminal.progress = text;
        Ok(())
    }

    /// The line editor takes the terminal; without one, a terminal shows the prompt.
    pub(super) fn begin_reading(&mut self, prompt: Option<&'static str>) -> io::Result<()> {
        let Some(terminal) = &mut self.terminal else {
            // It comes behind all that is held back.
            if let Some(lines) = self.held.as_mut().map(std::mem::take).filter(|lines| !lines.is_empty()) {
                write_out(&lines)?;
            }
            self.prompt = prompt.filter(|_| self.wraps);
            return self.prompt.map_or(Ok(()), write_out);
        };
        if terminal.progress.take().is_some() {
            write_out(CLEAR_LINE)?;
        }
        // A redrawing that came too late for the last line would be drawn now, over the last line of an answer.
        if std::mem::take(&mut terminal.drawing_late) {
            write_out("\n")?;
        }
        if terminal.missed > 0 {
            write_out(&format!("({} lines were not shown)\n", std::mem::take(&mut terminal.missed)))?;
        }
        terminal.reading = true;
        terminal.progress_above = false;
        Ok(())
    }

    /// The line editor gives the terminal back; or a line was typed, or the input has ended.
    pub(super) fn end_reading(&mut self, is_end: bool) -> io::Result<()> {
        if self.prompt.take().is_some() && is_end {
            write_out("\n")?;
        }
        if let Some(terminal) = &mut self.terminal {
            terminal.reading = false;
            // Text above the editor can't be changed any more.
            terminal.progress = None;
            terminal.drawing_late = terminal.redrawn_at.take().is_some_and(|at| at.elapsed() < DRAWING);
        }
        Ok(())
    }

    /// Leaves the terminal as it was, also when the line editor has it and will not come back.
    pub(super) fn close(&mut self) {
        if self.prompt.take().is_some() {
            // The shell's own prompt begins a row.
            let _ = write_out("\n");
        }
        let Some(terminal) = self.terminal.take() else { return };
        #[cfg(unix)]
        if let Some(settings) = terminal.settings.as_ref().filter(|_| terminal.reading) {
            use nix::sys::termios::{SetArg, tcsetattr};
            // Nothing can be done for a terminal that is gone.
            let _ = tcsetattr(io::stdin(), SetArg::TCSADRAIN, settings);
            let _ = write_out("\x1b[?2004l\n");
        }
        if terminal.progress.is_some() && !terminal.reading {
            let _ = write_out(CLEAR_LINE);
        }
    }
}

impl Terminal {
    /// The text to print first, above the editor, so that the next text takes the place of the progress line.
    fn erase_progress(&mut self) -> String {
        if !self.progress_above {
            return String::new();
        }
        self.redrawn_at = Some(Instant::now());
        format!("{UP}{CLEAR_LINE}")
    }

    fn print_above(&mut self, text: String) {
        if self.above.try_send(text).is_err() {
            self.missed += 1;
        }
    }
}

fn columns() -> u16 {
    terminal_size::terminal_size().map_or(COLUMNS, |(width, _)| width.0)
}

/// In one piece, with which stdout keeps no copy: it may be a recovery phrase.
fn write_line(text: &str) -> io::Result<()> {
    write_out(&Zeroizing::new([text, "\n"].concat()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_that_are_held_back_are_one_piece_of_a_bounded_length() {
        let mut screen = Screen::plain(false);
        screen.hold();
        ["{}", "", "two\nlines"].iter().for_each(|line| screen.line(line).expect("nothing is written"));
        assert_eq!(screen.held.as_deref(), Some("{}\n\ntwo\nlines\n"));
        screen.held = Some(String::new());
        let almost = HELD_BYTES_MAX - 2;
        screen.line(&"x".repeat(almost)).expect("nothing is written");
        assert_eq!(screen.held.as_ref().map(String::len), Some(almost + 1));
        assert!(Screen::plain(false).held.is_none(), "nothing is held back unasked");
    }
}
