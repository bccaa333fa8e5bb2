//! Clients that offer requests at a steady rate, whether or not they are answered in time.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crate::statistics::quantile;

/// Requests per second of all clients together.
const REQUESTS_PER_SECOND: u32 = 10_000;
/// Connections, each with a thread of its own that has one request under way.
const CLIENTS: u32 = 32;
/// The requested paths, in turn: those that the page and scripts request most.
const PATHS: [&str; 8] = [
    "/api/v1/status",
    "/api/v1/blocks/1",
    "/api/v1/status",
    "/api/v1/peers",
    "/api/v1/status",
    "/api/v1/mining",
    "/api/v1/status",
    "/api/v1/accounts/0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed",
];

/// Clients that send requests while they are told to.
pub(crate) struct Load {
    phase: Arc<LoadPhase>,
    clients: Vec<JoinHandle<ClientResult>>,
}

#[derive(Default)]
struct LoadPhase {
    is_on: AtomicBool,
    is_over: AtomicBool,
}

/// The results of one client.
#[derive(Default)]
struct ClientResult {
    offered: u64,
    failed: u64,
    busy: Duration,
    /// The times from when each request was due to the end of its answer.
    times: Vec<Duration>,
}

/// The results of all clients.
pub(crate) struct LoadResult {
    /// Due requests per second of load.
    pub(crate) offered: f64,
    /// Answered requests per second of load.
    pub(crate) answered: f64,
    pub(crate) failed: u64,
    pub(crate) median: Duration,
    pub(crate) p99: Duration,
}

impl Load {
    /// Connects, and waits for the start.
    pub(crate) fn start(address: SocketAddr) -> Self {
        let phase = Arc::new(LoadPhase::default());
        let client = |number| {
            let phase = Arc::clone(&phase);
            thread::spawn(move || ask(address, number, &phase))
        };
        Self { clients: (0..CLIENTS).map(client).collect(), phase }
    }

    /// Starts or stops the requests.
    pub(crate) fn set(&self, is_on: bool) {
        self.phase.is_on.store(is_on, Ordering::Relaxed);
        self.clients.iter().for_each(|client| client.thread().unpark());
    }

    /// Ends the clients and returns their results.
    pub(crate) fn stop(self) -> LoadResult {
        self.phase.is_over.store(true, Ordering::Relaxed);
        self.clients.iter().for_each(|client| client.thread().unpark());
        let clients: Vec<ClientResult> =
            self.clients.into_iter().map(|client| client.join().expect("no panic")).collect();
        let mut times: Vec<Duration> = clients.iter().flat_map(|client| client.times.iter().copied()).collect();
        let seconds = clients.iter().map(|client| client.busy.as_secs_f64()).sum::<f64>() / f64::from(CLIENTS);
        let sum = |of: fn(&ClientResult) -> u64| clients.iter().map(of).sum::<u64>();
        LoadResult {
            offered: sum(|client| client.offered) as f64 / seconds,
            answered: times.len() as f64 / seconds,
            failed: sum(|client| client.failed),
            median: quantile(&mut times, 50),
            p99: quantile(&mut times, 99),
        }
    }
}

fn ask(address: SocketAddr, number: u32, phase: &LoadPhase) -> ClientResult {
    let stream = TcpStream::connect(address).expect("it serves");
    stream.set_nodelay(true).expect("a socket");
    let mut answers = BufReader::new(stream.try_clone().expect("a socket"));
    let mut requests = stream;
    let (interval, mut seen) = (Duration::from_secs(1) / REQUESTS_PER_SECOND * CLIENTS, ClientResult::default());
    loop {
        while !phase.is_on.load(Ordering::Relaxed) {
            if phase.is_over.load(Ordering::Relaxed) {
                return seen;
            }
            thread::park_timeout(Duration::from_secs(5));
        }
        // The clients do not ask in step.
        let begin = Instant::now() + interval / CLIENTS * number;
        let mut due = begin;
        while phase.is_on.load(Ordering::Relaxed) {
            thread::sleep(due.saturating_duration_since(Instant::now()));
            let path = PATHS[seen.times.len() % PATHS.len()];
            write!(requests, "GET {path} HTTP/1.1\r\nhost: {address}\r\n\r\n").expect("it reads");
            let (status, length) = head(&mut answers).expect("an answer");
            let mut body = vec![0; length];
            answers.read_exact(&mut body).expect("all of it");
            seen.failed += u64::from(status != 200);
            seen.times.push(due.elapsed());
            due += interval;
        }
        let busy = begin.elapsed();
        seen.offered += u64::try_from(busy.as_nanos() / interval.as_nanos()).expect("some minutes");
        seen.busy += busy;
    }
}

/// Status and length of an answer.
fn head(answers: &mut impl BufRead) -> Option<(u16, usize)> {
    let (mut line, mut length) = (String::new(), 0);
    answers.read_line(&mut line).ok()?;
    let status = line.split(' ').nth(1)?.parse().ok()?;
    loop {
        line.clear();
        answers.read_line(&mut line).ok()?;
        match line.trim_end().split_once(": ") {
            Some(("content-length", value)) => length = value.parse().ok()?,
            Some(_) => {}
            None => return Some((status, length)),
        }
    }
}

/// A request whose answer is read elsewhere.
pub(crate) fn get(address: SocketAddr, path: &str) -> TcpStream {
    let mut stream = TcpStream::connect(address).expect("it serves");
    write!(stream, "GET {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n").expect("it reads");
    stream
}

/// A client of the event stream.
pub(crate) struct EventListener(BufReader<TcpStream>);

impl EventListener {
    /// Connects, and waits for the greeting.
    pub(crate) fn follow(address: SocketAddr) -> Self {
        let stream = get(address, "/api/v1/events");
        stream.set_read_timeout(Some(Duration::from_secs(60))).expect("not zero");
        let mut events = Self(BufReader::new(stream));
        events.next_of("hello").expect("a greeting");
        events
    }

    /// Waits for an event of this kind.
    pub(crate) fn next_of(&mut self, kind: &str) -> Option<()> {
        loop {
            let mut line = String::new();
            if self.0.read_line(&mut line).ok()? == 0 {
                return None;
            }
            if line.trim_end().strip_prefix("event: ") == Some(kind) {
                return Some(());
            }
        }
    }
}
