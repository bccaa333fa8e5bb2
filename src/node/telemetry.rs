//! The log: filtered lines on stderr, or through the prompt while it has the terminal.
//!
//! Writing a log line never blocks: while the prompt takes lines, they go into a bounded queue, and lines that do not
//! fit are counted and dropped. Messages for the user are not log lines but events of the prompt.

use std::io::{self, IsTerminal, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crossbeam_channel::{Receiver, Sender};
use parking_lot::Mutex;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;

/// Lines that may wait for the prompt. More are dropped.
const LINES_WAITING_MAX: usize = 256;

/// Where log lines go. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct LogSink(Arc<TelemetryInner>);

#[derive(Debug, Default)]
struct TelemetryInner {
    prompt: Mutex<Option<Sender<String>>>,
    dropped: AtomicU64,
}

impl LogSink {
    /// Sends log lines to the prompt from now on, until the receiver is dropped.
    pub fn divert(&self) -> Receiver<String> {
        let (sender, receiver) = crossbeam_channel::bounded(LINES_WAITING_MAX);
        *self.0.prompt.lock() = Some(sender);
        receiver
    }

    /// How many lines were dropped since the last call.
    pub fn take_dropped(&self) -> u64 {
        self.0.dropped.swap(0, Ordering::Relaxed)
    }

    fn write(&self, line: &[u8]) {
        let mut prompt = self.0.prompt.lock();
        if let Some(sender) = &*prompt {
            let text = String::from_utf8_lossy(line).trim_end().to_owned();
            match sender.try_send(text) {
                Ok(()) => return,
                Err(crossbeam_channel::TrySendError::Full(_)) => {
                    self.0.dropped.fetch_add(1, Ordering::Relaxed);
                    return;
                }
                Err(crossbeam_channel::TrySendError::Disconnected(_)) => *prompt = None,
            }
        }
        // If stderr is closed, there is nowhere left to report it.
        let _ = io::stderr().write_all(line);
    }
}

/// One log line, handed over as a whole.
#[derive(Debug)]
pub struct LineWriter {
    sink: LogSink,
    line: Vec<u8>,
}

impl Write for LineWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.line.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for LineWriter {
    fn drop(&mut self) {
        if !self.line.is_empty() {
            self.sink.write(&self.line);
        }
    }
}

impl<'a> MakeWriter<'a> for LogSink {
    type Writer = LineWriter;

    fn make_writer(&'a self) -> LineWriter {
        LineWriter { sink: self.clone(), line: Vec::new() }
    }
}

/// Whether text for people may have colours: on a terminal, unless `NO_COLOR` or `TERM=dumb` forbid it.
pub fn colours(stream: &impl IsTerminal) -> bool {
    let forbidden = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty())
        || std::env::var_os("TERM").is_some_and(|term| term == "dumb");
    stream.is_terminal() && !forbidden
}

/// Starts logging with a filter that [`super::config`] has checked. A process has one log: later calls change nothing.
pub fn start(filter: &str) -> LogSink {
    let sink = LogSink::default();
    // A second subscriber, as in tests, is refused; the first one stays.
    let _ = tracing_subscriber::fmt()
        .with_env_filter(EnvFilter::new(filter))
        .with_ansi(colours(&io::stderr()))
        .with_writer(sink.clone())
        .try_init();
    sink
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn diverted_lines_are_whole_and_a_full_queue_drops() {
        let sink = LogSink::default();
        let lines = sink.divert();
        let mut writer = sink.make_writer();
        writer.write_all(b"one ").expect("never fails");
        writer.write_all(b"line\n").expect("never fails");
        drop(writer);
        assert_eq!(lines.try_recv().as_deref(), Ok("one line"));
        for _ in 0..LINES_WAITING_MAX + 3 {
            sink.make_writer().write_all(b"x\n").expect("never fails");
        }
        assert_eq!(lines.len(), LINES_WAITING_MAX);
        assert_eq!((sink.take_dropped(), sink.take_dropped()), (3, 0));
    }
}
