//! Clients that are slow, or many, on purpose.

use std::io::{BufReader, ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use serde_json::json;

use super::client::HttpResponse;
use crate::harness::DEADLINE;

/// Time between two trickled bytes.
const TRICKLE: Duration = Duration::from_millis(200);
/// Whole chains that a node sends at once.
const CHAINS_MAX: usize = 8;

/// Sends a byte now and then until the other side has had enough; returns its answer.
fn trickle(mut stream: TcpStream, bytes: impl IntoIterator<Item = u8>) -> Option<HttpResponse> {
    stream.set_read_timeout(Some(TRICKLE)).expect("not zero");
    let mut said = Vec::new();
    for byte in bytes {
        // After the end writing fails, and an earlier answer can still be read.
        let _ = stream.write_all(&[byte]);
        let mut piece = [0; 4096];
        match stream.read(&mut piece) {
            Ok(0) => break,
            Ok(length) => said.extend_from_slice(&piece[..length]),
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
            Err(_) => break,
        }
    }
    HttpResponse::read(&mut BufReader::new(said.as_slice()))
}

/// Headers and bodies that trickle are given up, however steadily they come; others are served meanwhile.
pub(crate) fn requests_that_trickle_are_given_up() {
    let (node, api) = super::node();
    let head = |length: usize| {
        let kind = "content-type: application/json\r\n";
        format!("POST /api/v1/transactions HTTP/1.1\r\nhost: {}\r\n{kind}content-length: {length}\r\n\r\n", api.address)
    };
    let endless = || std::iter::repeat_n(b'x', DEADLINE.div_duration_f64(TRICKLE) as usize);
    std::thread::scope(|scope| {
        let headers = scope.spawn(|| {
            let mut stream = api.dial();
            stream.write_all(b"GET /api/v1/status HTTP/1.1\r\nx-slow: ").expect("the node reads");
            let began = Instant::now();
            trickle(stream, endless());
            assert!(began.elapsed() < DEADLINE, "a header that never ends was read for ever");
        });
        let body = scope.spawn(|| {
            let mut stream = api.dial();
            stream.write_all(head(60_000).as_bytes()).expect("the node reads");
            let answer = trickle(stream, endless()).expect("an answer");
            assert_eq!(answer.problem(408), "body_too_slow");
        });
        let unread = scope.spawn(|| {
            let mut stream = api.dial();
            let head = head(60_000).replacen("/api/v1/transactions", "/nothing/here", 1);
            stream.write_all(head.as_bytes()).expect("the node reads");
            // No route waits for this body.
            assert_eq!(trickle(stream, endless()).expect("an answer").problem(404), "no_such_route");
        });
        while !(headers.is_finished() && body.is_finished() && unread.is_finished()) {
            assert_eq!(api.get("/api/v1/status").status, 200);
            std::thread::sleep(TRICKLE);
        }
    });
    assert_eq!(node.height(), 0);
}

/// A client that asks for the whole chain and hardly reads it loses its place to others.
pub(crate) fn slow_readers_of_the_chain_are_evicted() {
    let (node, api) = super::node();
    // More than the system buffers.
    node.run("mine 40000");
    let length = api.get("/chain").body.len();
    let mut readers: Vec<TcpStream> = (0..CHAINS_MAX).map(|_| api.dial()).collect();
    for reader in &mut readers {
        write!(reader, "GET /chain HTTP/1.1\r\nhost: {}\r\n\r\n", api.address).expect("the node reads");
        let mut first = [0; 9];
        reader.read_exact(&mut first).expect("it has begun");
    }
    let deadline = Instant::now() + DEADLINE;
    loop {
        // Some do not read at all.
        for reader in &mut readers[CHAINS_MAX / 2..] {
            let _ = reader.read(&mut [0; 256]);
        }
        assert_eq!(api.get("/api/v1/status").status, 200);
        let answer = api.get("/chain");
        if answer.status == 200 {
            assert_eq!(answer.body.len(), length);
            break;
        }
        assert_eq!((answer.problem(503), answer.header("retry-after")), ("busy".to_owned(), Some("1")));
        assert!(Instant::now() < deadline, "clients that do not read keep their places for ever");
        std::thread::sleep(TRICKLE);
    }
    // Whoever gave way can tell that the chain is not whole.
    let is_whole = |mut reader: TcpStream| {
        let mut rest = Vec::new();
        reader.read_to_end(&mut rest).is_ok() && rest.ends_with(b"0\r\n\r\n")
    };
    assert!(readers.into_iter().map(is_whole).any(|whole| !whole), "one has made room");
}

/// Long answers that nobody reads take a bounded amount of memory, and give way to one that is read.
pub(crate) fn long_answers_that_nobody_reads_take_bounded_memory() {
    const READERS: usize = 60;
    let (node, api) = super::node();
    // Each byte of these texts takes six in JSON. More than the system buffers, and in all far more than the node may hold.
    let records: Vec<_> = (0..450).map(|number| json!({ "text": "\u{1}".repeat(3000 + number) })).collect();
    for some in records.chunks(100) {
        assert_eq!(api.post("/api/v1/records", &json!({ "records": some })).status, 201);
    }
    let path = "/api/v1/transactions?limit=1000";
    let length = api.get(path).body.len();
    assert!(length > 5 << 20, "{length}");
    let (rest, before) = (node.memory_bytes(), node.memory_peak_bytes());
    let mut readers: Vec<TcpStream> = Vec::new();
    for _ in 0..READERS {
        let mut reader = api.dial();
        write!(reader, "GET {path} HTTP/1.1\r\nhost: {}\r\n\r\n", api.address).expect("the node reads");
        let mut first = [0; 12];
        reader.read_exact(&mut first).expect("an answer");
        assert!(matches!(&first[9..], b"200" | b"503"), "{}", String::from_utf8_lossy(&first));
        readers.push(reader);
        assert_eq!(api.get("/api/v1/status").status, 200);
    }
    let grown = node.memory_peak_bytes().saturating_sub(before);
    assert!(grown < 160 << 20, "{grown} bytes for {READERS} clients that do not read");
    let deadline = Instant::now() + DEADLINE;
    while api.get(path).body.len() != length {
        assert!(Instant::now() < deadline, "clients that do not read keep others out for ever");
        std::thread::sleep(TRICKLE);
    }
    // What gave way is recognisably incomplete.
    let mut received = Vec::new();
    let _ = readers[0].read_to_end(&mut received);
    assert!(received.len() < length, "the first has been broken off");
    drop(readers);
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    while node.memory_bytes() > rest + rest / 5 {
        assert!(Instant::now() < deadline, "{} bytes stay, at rest it was {rest}", node.memory_bytes());
        std::thread::sleep(TRICKLE);
    }
}

/// Connections beyond the limit are closed at once. The existing ones go on, and each that ends makes room.
pub(crate) fn connections_beyond_the_limit_are_closed() {
    const TRIED: usize = 1100;
    let files = getrlimit(Resource::Nofile);
    assert!(files.maximum.is_none_or(|most| most > 4000), "this machine lets nobody open {TRIED} connections");
    setrlimit(Resource::Nofile, Rlimit { current: Some(4000), maximum: files.maximum }).expect("not above the maximum");
    let (node, api) = super::node();
    let mut kept = api.events(None);
    assert_eq!(kept.next().kind, "hello");
    let mut held: Vec<TcpStream> = (0..TRIED).map(|_| api.dial()).collect();
    let ask = format!("GET /healthz HTTP/1.1\r\nhost: {}\r\n\r\n", api.address);
    let is_served = |stream: &mut TcpStream| {
        let mut first = [0; 12];
        stream.write_all(ask.as_bytes()).is_ok() && stream.read_exact(&mut first).is_ok() && first.ends_with(b"200")
    };
    let served = held.iter_mut().map(is_served).filter(|served| *served).count();
    assert_eq!(served, 1023, "and the stream of events");
    node.run("mine 1");
    assert_eq!(kept.next_of("tip").data["height"], 1);
    drop(held);
    let deadline = Instant::now() + DEADLINE;
    while !is_served(&mut api.dial()) {
        assert!(Instant::now() < deadline, "nobody is served any more");
    }
    let refused = super::watched::metrics(&api).value("quipu_http_connections_refused_total", "");
    assert!(refused >= 77.0, "{refused}");
}
