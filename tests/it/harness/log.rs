//! The output of a node so far, read by one thread for each of its streams.

use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Read};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde_json::Value;

/// Lines of stderr that are kept; older ones are dropped.
const STDERR_LINES_MAX: usize = 2000;

/// The output of a node.
#[derive(Debug, Default)]
pub(super) struct Said {
    /// The events in the order of arrival.
    pub(super) events: Vec<Value>,
    /// Answers that were not taken yet.
    pub(super) answers: VecDeque<Value>,
    /// Lines on stdout that are neither.
    pub(super) strays: Vec<String>,
    /// The last lines of stderr.
    pub(super) stderr: VecDeque<String>,
    /// The number of the two streams that are still open.
    open: usize,
}

/// The reason why a wait ended in vain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Waited {
    /// The deadline passed.
    TooLong,
    /// The node closed its output: it has ended.
    Ended,
}

/// The output, shared by the threads that read it and those that wait for it.
#[derive(Debug, Default)]
pub(super) struct Log {
    said: Mutex<Said>,
    news: Condvar,
}

impl Log {
    /// Reads both streams on threads of their own until they end.
    pub(super) fn follow(stdout: impl Read + Send + 'static, stderr: impl Read + Send + 'static) -> Arc<Self> {
        let log = Arc::new(Self::default());
        log.lock().open = 2;
        log.read(stdout, |said, line| match serde_json::from_str::<Value>(&line) {
            Ok(value) if value["event"].is_string() => said.events.push(value),
            Ok(value) if value["ok"].is_boolean() => said.answers.push_back(value),
            _ => said.strays.push(line),
        });
        log.read(stderr, |said, line| {
            if said.stderr.len() == STDERR_LINES_MAX {
                said.stderr.pop_front();
            }
            said.stderr.push_back(line);
        });
        log
    }

    fn read(self: &Arc<Self>, stream: impl Read + Send + 'static, take: impl Fn(&mut Said, String) + Send + 'static) {
        let log = Arc::clone(self);
        std::thread::spawn(move || {
            // A killed node may leave half a line, which is kept as it is.
            let mut lines = BufReader::new(stream);
            let mut bytes = Vec::new();
            while lines.read_until(b'\n', &mut bytes).is_ok_and(|length| length > 0) {
                let line = String::from_utf8_lossy(&bytes).trim_end().to_owned();
                bytes.clear();
                take(&mut log.lock(), line);
                log.news.notify_all();
            }
            log.lock().open -= 1;
            log.news.notify_all();
        });
    }

    /// The output so far. A failed test on another thread does not spoil it.
    pub(super) fn lock(&self) -> MutexGuard<'_, Said> {
        self.said.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until `look` finds a value in the output.
    pub(super) fn wait<T>(&self, at_most: Duration, mut look: impl FnMut(&mut Said) -> Option<T>) -> Result<T, Waited> {
        let deadline = Instant::now() + at_most;
        let mut said = self.lock();
        loop {
            if let Some(found) = look(&mut said) {
                return Ok(found);
            }
            if said.open == 0 {
                return Err(Waited::Ended);
            }
            let Some(left) = deadline.checked_duration_since(Instant::now()) else { return Err(Waited::TooLong) };
            said = self.news.wait_timeout(said, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Waits until the node has ended.
    pub(super) fn wait_end(&self, at_most: Duration) -> Result<(), Waited> {
        match self.wait(at_most, |_| None::<()>) {
            Err(Waited::Ended) => Ok(()),
            Err(Waited::TooLong) => Err(Waited::TooLong),
            Ok(()) => unreachable!("nothing was looked for"),
        }
    }

    /// The end of the output, for a person who investigates a failure.
    pub(super) fn tail(&self) -> String {
        let said = self.lock();
        let mut text = String::new();
        let mut section = |title: &str, lines: Vec<String>| {
            text.push_str(&format!("  {title}:\n"));
            for line in lines {
                text.push_str(&format!("    {}\n", line.chars().take(400).collect::<String>()));
            }
        };
        let last = |count: usize, all: usize| all.saturating_sub(count);
        section("last events", said.events[last(12, said.events.len())..].iter().map(Value::to_string).collect());
        section("answers that were not taken", said.answers.iter().map(Value::to_string).collect());
        section("stray lines on stdout", said.strays.clone());
        section("end of stderr", said.stderr.iter().skip(last(40, said.stderr.len())).cloned().collect());
        text
    }
}
