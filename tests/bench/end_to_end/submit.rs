//! Submits signed transactions to nodes over HTTP.

use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpStream};
use std::thread;

use quipu::protocol::CheckedTransaction;
use quipu::protocol::encode::encode;

use crate::process::NodeProcess;

/// Connections to each node. Requests that wait for the disk together share its writes.
const CONNECTIONS: usize = 4;

/// Divides the transactions among the nodes; returns when all are durable at their nodes.
pub(crate) fn submit(nodes: &[NodeProcess], transactions: &[CheckedTransaction]) {
    let part = transactions.len().div_ceil(nodes.len() * CONNECTIONS).max(1);
    thread::scope(|scope| {
        for (number, part) in transactions.chunks(part).enumerate() {
            let address = nodes[number % nodes.len()].http();
            scope.spawn(move || give(address, part));
        }
    });
}

fn give(address: SocketAddr, transactions: &[CheckedTransaction]) {
    let mut stream = TcpStream::connect(address).expect("it serves");
    stream.set_nodelay(true).expect("a socket");
    let mut answers = BufReader::new(stream.try_clone().expect("a socket"));
    for transaction in transactions {
        let body = format!("{{\"transaction\":\"{}\"}}", hex::encode(encode(transaction.signed())));
        let request = format!(
            "POST /api/v1/transactions HTTP/1.1\r\nhost: {address}\r\ncontent-type: application/json\r\n\
             content-length: {}\r\n\r\n{body}",
            body.len()
        );
        stream.write_all(request.as_bytes()).expect("it reads");
        let (is_taken, body) = answer(&mut answers).expect("an answer");
        assert!(is_taken, "a transaction was refused: {body}");
    }
}

/// Whether the status is 200, and the body.
fn answer(answers: &mut impl BufRead) -> Option<(bool, String)> {
    let mut line = String::new();
    let mut length = 0;
    answers.read_line(&mut line).ok()?;
    let is_taken = line.split(' ').nth(1)? == "200";
    loop {
        line.clear();
        answers.read_line(&mut line).ok()?;
        match line.trim_end().to_ascii_lowercase().split_once(": ") {
            Some(("content-length", value)) => length = value.parse().ok()?,
            Some(_) => {}
            None => break,
        }
    }
    let mut body = vec![0; length];
    answers.read_exact(&mut body).ok()?;
    Some((is_taken, String::from_utf8_lossy(&body).into_owned()))
}
