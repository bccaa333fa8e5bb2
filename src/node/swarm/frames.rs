//! Memory for frames that have not arrived whole. A peer may send any part of one and then nothing more, on many streams.
//!
//! Requests of one connection have a bound by the lengths that they claim: an honest peer has one or two at a time. Nothing
//! may follow a request on its stream, since nobody would read it while the answer is made and sent. Answers
//! are asked for by us, and each may be long, so all of them together have a bound by the bytes that are there. Beyond it,
//! those that arrive for longest make way: an honest answer is there before them.

use std::collections::BTreeMap;
use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use futures::future::{AbortHandle, Abortable, Aborted};
use futures::io::{AsyncRead, AsyncReadExt};
use parking_lot::Mutex;

/// Frames up to this length, in bytes, cost less than the stream that they come on.
const FREE_BYTES_MAX: usize = 4 << 10;
/// Requests of one connection that have not arrived whole, in bytes: two of the longest.
const REQUESTS_OF_CONNECTION_BYTES_MAX: usize = 288 << 10;
/// The parts of answers of all peers, in bytes: eight of the longest.
const ANSWERS_BYTES_MAX: usize = 48 << 20;
/// An answer that has arrived for less than this makes way for no other.
const GRACE: Duration = Duration::from_secs(1);
/// Bytes that are read in one go.
const STEP_BYTES: usize = 64 << 10;

/// The requests of one connection.
#[derive(Debug, Default)]
pub(super) struct Requests(AtomicUsize);

/// The answers of all connections.
#[derive(Debug, Default)]
pub(super) struct Answers(Mutex<Parts>);

#[derive(Debug, Default)]
struct Parts {
    bytes: usize,
    /// By the order in which they began.
    frames: BTreeMap<u64, Part>,
    next: u64,
}

#[derive(Debug)]
struct Part {
    began: Instant,
    bytes: usize,
    abort: AbortHandle,
}

/// Gives the room back.
struct RequestRoom<'a>(&'a Requests, usize);

impl Drop for RequestRoom<'_> {
    fn drop(&mut self) {
        self.0.0.fetch_sub(self.1, Ordering::AcqRel);
    }
}

struct AnswerRoom<'a>(&'a Answers, u64);

impl Drop for AnswerRoom<'_> {
    fn drop(&mut self) {
        self.0.0.lock().remove(self.1);
    }
}

impl Requests {
    /// Reads a frame of this length and the end of its stream, if the connection has room for it.
    pub(super) async fn read<T: AsyncRead + Unpin>(&self, io: &mut T, length: usize) -> io::Result<Vec<u8>> {
        if length > FREE_BYTES_MAX
            && self.0.fetch_add(length, Ordering::AcqRel) + length > REQUESTS_OF_CONNECTION_BYTES_MAX
        {
            self.0.fetch_sub(length, Ordering::AcqRel);
            return Err(io::Error::other("too many unfinished requests"));
        }
        let _room = RequestRoom(self, if length > FREE_BYTES_MAX { length } else { 0 });
        let frame = read(io, length, |_| Ok(())).await?;
        match io.read(&mut [0]).await? {
            0 => Ok(frame),
            _ => Err(io::Error::new(io::ErrorKind::InvalidData, "more than a request on its stream")),
        }
    }
}

impl Answers {
    /// Reads a frame of this length, unless it has to make way.
    pub(super) async fn read<T: AsyncRead + Unpin>(&self, io: &mut T, length: usize) -> io::Result<Vec<u8>> {
        if length <= FREE_BYTES_MAX {
            return read(io, length, |_| Ok(())).await;
        }
        let (abort, aborted) = AbortHandle::new_pair();
        let number = self.0.lock().add(abort);
        let _room = AnswerRoom(self, number);
        let read = read(io, length, |bytes| self.0.lock().grow(number, bytes, Instant::now()));
        let made_way = |Aborted| Err(io::Error::new(io::ErrorKind::TimedOut, "it has made way for other answers"));
        Abortable::new(read, aborted).await.unwrap_or_else(made_way)
    }
}

impl Parts {
    fn add(&mut self, abort: AbortHandle) -> u64 {
        self.next += 1;
        self.frames.insert(self.next, Part { began: Instant::now(), bytes: 0, abort });
        self.next
    }

    /// Room for more bytes of a frame.
    fn grow(&mut self, number: u64, more: usize, now: Instant) -> io::Result<()> {
        while self.bytes + more > ANSWERS_BYTES_MAX {
            let is_late = |(other, part): &(&u64, &Part)| {
                **other != number && part.bytes > 0 && now.duration_since(part.began) >= GRACE
            };
            let late = self.frames.iter().find(is_late).map(|(other, _)| *other);
            let Some(part) = late.and_then(|late| self.remove(late)) else {
                return Err(io::Error::other("too many unfinished answers"));
            };
            part.abort.abort();
        }
        // It may have made way at this moment.
        let part = self.frames.get_mut(&number).ok_or(io::ErrorKind::TimedOut)?;
        part.bytes += more;
        self.bytes += more;
        Ok(())
    }

    fn remove(&mut self, number: u64) -> Option<Part> {
        let part = self.frames.remove(&number)?;
        self.bytes -= part.bytes;
        Some(part)
    }
}

/// Reads a frame. `grow` is asked before each step, and told its bytes. Memory follows what has arrived.
async fn read<T: AsyncRead + Unpin>(
    io: &mut T,
    length: usize,
    grow: impl Fn(usize) -> io::Result<()>,
) -> io::Result<Vec<u8>> {
    let mut frame = Vec::new();
    while frame.len() < length {
        let step = (length - frame.len()).min(STEP_BYTES);
        let before = frame.len();
        // The first byte of a step is awaited without memory for it.
        let mut first = [0];
        io.read_exact(&mut first).await?;
        grow(step)?;
        // At most twice what has arrived, and never more than the frame.
        if frame.capacity() < before + step {
            frame.reserve_exact((before + step).max((2 * before).min(length)) - before);
        }
        frame.resize(before + step, 0);
        frame[before] = first[0];
        io.read_exact(&mut frame[before + 1..]).await?;
    }
    Ok(frame)
}

#[cfg(test)]
mod tests {
    use futures::executor::block_on;
    use futures::io::Cursor;
    use futures::{FutureExt, poll};

    use super::*;

    /// Gives these bytes, and then nothing more.
    struct Stalled(Cursor<Vec<u8>>);

    impl AsyncRead for Stalled {
        fn poll_read(
            mut self: std::pin::Pin<&mut Self>,
            context: &mut std::task::Context<'_>,
            buffer: &mut [u8],
        ) -> std::task::Poll<io::Result<usize>> {
            match std::task::ready!(std::pin::Pin::new(&mut self.0).poll_read(context, buffer)) {
                Ok(0) => std::task::Poll::Pending,
                read => std::task::Poll::Ready(read),
            }
        }
    }

    fn stalled(bytes: usize) -> Stalled {
        Stalled(Cursor::new(vec![7; bytes]))
    }

    #[test]
    fn frames_of_any_length_arrive_whole_or_not_at_all() {
        for length in [0, 1, FREE_BYTES_MAX, FREE_BYTES_MAX + 1, STEP_BYTES, STEP_BYTES + 1, 3 * STEP_BYTES + 5] {
            let bytes: Vec<u8> = (0..length).map(|at| at as u8).collect();
            let (requests, answers) = (Requests::default(), Answers::default());
            let read = block_on(answers.read(&mut Cursor::new(&bytes), length)).expect("all of it");
            assert_eq!(read, bytes, "{length}");
            assert!(read.capacity() <= length.max(1), "{length}: {}", read.capacity());
            assert_eq!(block_on(requests.read(&mut Cursor::new(&bytes), length)).expect("all of it"), bytes);
            let cut = block_on(answers.read(&mut Cursor::new(&bytes), length + 1)).expect_err("one is missing");
            assert_eq!(cut.kind(), io::ErrorKind::UnexpectedEof);
            assert_eq!((requests.0.load(Ordering::Acquire), answers.0.lock().bytes), (0, 0), "the room is back");
        }
    }

    #[test]
    fn a_connection_has_few_unfinished_requests_and_others_have_theirs() {
        block_on(async {
            let (one, other) = (Requests::default(), Requests::default());
            let length = REQUESTS_OF_CONNECTION_BYTES_MAX / 2;
            let mut streams: Vec<_> = (0..3).map(|_| stalled(10)).collect();
            let mut reads: Vec<_> = streams.iter_mut().map(|io| Box::pin(one.read(io, length))).collect();
            assert!(poll!(&mut reads[0]).is_pending() && poll!(&mut reads[1]).is_pending());
            assert!(reads[2].as_mut().now_or_never().expect("at once").is_err(), "a third one is refused");
            assert!(other.read(&mut Cursor::new(vec![7; length]), length).await.is_ok());
            assert!(one.read(&mut Cursor::new(vec![7; 9]), 9).await.is_ok(), "short ones are free");
            drop(reads.remove(0));
            assert!(one.read(&mut Cursor::new(vec![7; length]), length).await.is_ok(), "there is room again");
        });
    }

    #[test]
    fn answers_that_stall_make_way_for_those_that_do_not() {
        let mut parts = Parts::default();
        let began = Instant::now();
        let handles: Vec<_> = (0..3)
            .map(|_| {
                let (abort, registration) = AbortHandle::new_pair();
                (parts.add(abort), Abortable::new(futures::future::pending::<()>(), registration))
            })
            .collect();
        let [first, second, third] = [0, 1, 2].map(|at: usize| handles[at].0);
        parts.grow(first, ANSWERS_BYTES_MAX - 10, began).expect("room");
        parts.grow(second, 10, began).expect("room");
        assert!(parts.grow(third, 1, began).is_err(), "the others have only just begun");
        let later = Instant::now() + GRACE;
        parts.grow(third, 11, later).expect("the oldest makes way");
        assert_eq!((parts.bytes, parts.frames.len()), (21, 2));
        assert!(handles[0].1.is_aborted() && !handles[1].1.is_aborted());
        assert!(parts.grow(first, 1, later).is_err(), "it is over for that one");
        parts.grow(third, ANSWERS_BYTES_MAX - 11, later).expect("the next oldest");
        assert_eq!(parts.bytes, ANSWERS_BYTES_MAX);
        assert!(parts.remove(third).is_some() && parts.bytes == 0);
    }

    #[test]
    fn an_answer_that_makes_way_ends_with_an_error() {
        block_on(async {
            let answers = Answers::default();
            let mut io = stalled(STEP_BYTES);
            let mut read = Box::pin(answers.read(&mut io, 2 * STEP_BYTES));
            assert!(poll!(&mut read).is_pending());
            assert_eq!(answers.0.lock().bytes, STEP_BYTES);
            let later = Instant::now() + GRACE;
            {
                let mut parts = answers.0.lock();
                let other = parts.add(AbortHandle::new_pair().0);
                parts.grow(other, ANSWERS_BYTES_MAX, later).expect("the older one makes way");
            }
            assert_eq!(read.await.expect_err("it has made way").kind(), io::ErrorKind::TimedOut);
        });
    }
}
