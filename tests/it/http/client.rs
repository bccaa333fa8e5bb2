//! A small HTTP client that can be as rude as it likes.

use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpStream};

use serde_json::Value;

use crate::harness::{DEADLINE, Node, text};

/// A client of one node.
#[derive(Debug, Clone, Copy)]
pub(super) struct HttpClient {
    pub(super) address: SocketAddr,
}

/// The answer to a request.
#[derive(Debug)]
pub(super) struct HttpResponse {
    pub(super) status: u16,
    headers: Vec<(String, String)>,
    pub(super) body: Vec<u8>,
}

impl HttpClient {
    pub(super) fn of(node: &Node) -> Self {
        let url = text(node.ready(), "http");
        Self { address: url.strip_prefix("http://").and_then(|place| place.parse().ok()).expect("an address") }
    }

    pub(super) fn dial(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).expect("the node serves");
        stream.set_read_timeout(Some(DEADLINE)).expect("not zero");
        stream.set_write_timeout(Some(DEADLINE)).expect("not zero");
        stream
    }

    pub(super) fn get(&self, path: &str) -> HttpResponse {
        self.send("GET", path, &[], b"")
    }

    pub(super) fn post(&self, path: &str, body: &Value) -> HttpResponse {
        self.send("POST", path, &[("content-type", "application/json")], body.to_string().as_bytes())
    }

    /// Sends a whole request on a connection of its own. A `host` among the headers replaces ours.
    pub(super) fn send(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> HttpResponse {
        let mut head = format!("{method} {path} HTTP/1.1\r\nconnection: close\r\ncontent-length: {}\r\n", body.len());
        if !headers.iter().any(|(name, _)| *name == "host") {
            head += &format!("host: {}\r\n", self.address);
        }
        for (name, value) in headers {
            head += &format!("{name}: {value}\r\n");
        }
        let mut stream = self.dial();
        // The node may refuse long headers and a long body before it has read them.
        let _ = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(b"\r\n"));
        let _ = stream.write_all(body);
        HttpResponse::read(&mut BufReader::new(stream)).expect("a response")
    }

    /// The stream of events.
    pub(super) fn events(&self, last: Option<&str>) -> EventStream {
        let last = last.map(|id| format!("last-event-id: {id}\r\n")).unwrap_or_default();
        let mut stream = self.dial();
        write!(stream, "GET /api/v1/events HTTP/1.1\r\nhost: {}\r\n{last}\r\n", self.address).expect("the node reads");
        let mut reader = BufReader::new(stream);
        let (status, _) = head(&mut reader).expect("a response");
        assert_eq!(status, 200);
        EventStream { reader }
    }
}

impl HttpResponse {
    /// Reads to the end of the connection.
    pub(super) fn read(reader: &mut impl BufRead) -> Option<Self> {
        let (status, headers) = head(reader)?;
        let chunked = headers.iter().any(|(name, value)| name == "transfer-encoding" && value == "chunked");
        let mut body = Vec::new();
        if chunked {
            while let Some(mut chunk) = chunk(reader) {
                body.append(&mut chunk);
            }
        } else {
            reader.read_to_end(&mut body).ok()?;
        }
        Some(Self { status, headers, body })
    }

    /// Whether it has a text anywhere.
    pub(super) fn contains(&self, text: &str) -> bool {
        String::from_utf8_lossy(&self.body).contains(text) || self.headers.iter().any(|(_, value)| value.contains(text))
    }

    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// Whether caches tell answers apart by this header of the request.
    pub(super) fn varies_by(&self, name: &str) -> bool {
        let vary = self.headers.iter().filter(|(known, _)| known == "vary");
        vary.flat_map(|(_, names)| names.split(',')).any(|one| one.trim() == name)
    }

    /// The JSON body of a successful answer.
    pub(super) fn json(&self) -> Value {
        let body = String::from_utf8_lossy(&self.body);
        assert_eq!(self.status, 200, "{body}");
        serde_json::from_str(&body).unwrap_or_else(|error| panic!("{error}: {body}"))
    }

    /// The JSON body of an answer with this status.
    pub(super) fn json_of(&self, status: u16) -> Value {
        assert_eq!(self.status, status);
        serde_json::from_slice(&self.body).expect("JSON")
    }

    /// The code of a problem document with this status.
    pub(super) fn problem(&self, status: u16) -> String {
        let body = String::from_utf8_lossy(&self.body);
        assert_eq!(self.status, status, "{body}");
        assert_eq!(self.header("content-type"), Some("application/problem+json"), "{body}");
        let problem: Value = serde_json::from_str(&body).unwrap_or_else(|error| panic!("{error}: {body}"));
        let code = text(&problem, "code");
        assert_eq!(text(&problem, "type"), format!("urn:quipu:{code}"));
        assert_eq!(problem["status"], status);
        code
    }
}

/// The status and the headers, with lower-case names.
fn head(reader: &mut impl BufRead) -> Option<(u16, Vec<(String, String)>)> {
    let mut line = String::new();
    reader.read_line(&mut line).ok()?;
    let status = line.split(' ').nth(1)?.parse().ok()?;
    let mut headers = Vec::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        match line.trim_end().split_once(':') {
            Some((name, value)) => headers.push((name.to_lowercase(), value.trim().to_owned())),
            None => return Some((status, headers)),
        }
    }
}

fn chunk(reader: &mut impl BufRead) -> Option<Vec<u8>> {
    let mut line = String::new();
    reader.read_line(&mut line).ok()?;
    let length = usize::from_str_radix(line.trim(), 16).ok().filter(|length| *length > 0)?;
    let mut chunk = vec![0; length + 2];
    reader.read_exact(&mut chunk).ok()?;
    chunk.truncate(length);
    Some(chunk)
}

/// A stream of events.
#[derive(Debug)]
pub(super) struct EventStream {
    reader: BufReader<TcpStream>,
}

/// An event of the stream.
#[derive(Debug)]
pub(super) struct ServerEvent {
    pub(super) kind: String,
    pub(super) id: String,
    pub(super) data: Value,
}

impl EventStream {
    pub(super) fn next(&mut self) -> ServerEvent {
        self.try_next().expect("one more event")
    }

    fn try_next(&mut self) -> Option<ServerEvent> {
        let mut told = ServerEvent { kind: String::new(), id: String::new(), data: Value::Null };
        loop {
            let mut line = String::new();
            if self.reader.read_line(&mut line).ok()? == 0 {
                return None;
            }
            match line.trim_end().split_once(": ") {
                Some(("event", kind)) => told.kind = kind.to_owned(),
                Some(("id", id)) => told.id = id.to_owned(),
                Some(("data", data)) => told.data = serde_json::from_str(data).expect("JSON"),
                // Lengths of chunks, comments, and the line between two events.
                _ if line == "\n" && !told.kind.is_empty() => return Some(told),
                _ => {}
            }
        }
    }

    /// The next event of this kind.
    pub(super) fn next_of(&mut self, kind: &str) -> ServerEvent {
        loop {
            let told = self.next();
            if told.kind == kind {
                return told;
            }
        }
    }

    /// Whether the node has closed the stream.
    pub(super) fn is_over(&mut self) -> bool {
        while self.try_next().is_some() {}
        true
    }
}
