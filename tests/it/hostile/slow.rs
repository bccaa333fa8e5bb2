//! Peers that stop half-way, or read and write as slowly as they can.

use std::io::Read;
use std::net::TcpStream;
use std::sync::Arc;
use std::time::Duration;

use futures::io::AsyncWriteExt;
use libp2p::identity::Keypair;
use quipu::protocol::encode::encode;
use quipu::protocol::{Amount, BlockId, Request, Response};

use super::attacker::{Attacker, ByteDelays};
use super::raw::{self, run_for, secure, select, streams};
use super::siege::Siege;
use super::{Victim, honest_answers, promise, record_of};
use crate::harness::{DEADLINE, Node, NodeOptions, agree, scale};

/// The pause after each byte.
const SLOW: Duration = Duration::from_secs(1);
/// The longest time for connecting half-way, which waits for places that time out.
const HALF_WAY_TIMEOUT: Duration = Duration::from_secs(60);

/// The time that slow peers are kept up. Their memory peaks at once; a long run also sees them time out and come again.
fn siege_time() -> Duration {
    Duration::from_secs(scale("QUIPU_TEST_SIEGE_SECONDS", 3))
}

/// 200 connections from one address that stop at every stage of the handshakes. A newcomer gets in meanwhile, and the
/// node ends them all.
pub(crate) fn half_open_connections() {
    let siege = Siege::begin();
    let address = siege.address();
    siege.during("200 half-open connections", || {
        let silent: Vec<_> = (0..100).map(|_| TcpStream::connect(address).expect("it listens")).collect();
        let result = run_for(HALF_WAY_TIMEOUT, async {
            let mut half_lines = Vec::new();
            let mut chosen = Vec::new();
            let mut secured = Vec::new();
            let mut muxed = Vec::new();
            for round in 0..25 {
                let mut socket = raw::open(address).await?;
                socket.write_all(&b"\x13/multistream/1.0.0\n"[..round % 20]).await?;
                half_lines.push(socket);
                let mut socket = raw::open(address).await?;
                // The node may have no place for another handshake.
                if select(&mut socket, "/noise").await.is_ok() {
                    let _ = socket.write_all(&[0, 32, 7]).await;
                }
                chosen.push(socket);
                secured.extend(secure(address).await.ok());
                muxed.extend(streams(address, 2).await.ok());
            }
            Ok((half_lines.len() + chosen.len() + secured.len() + muxed.len(), half_lines, chosen, secured, muxed))
        });
        let (count, ..) = result.expect("a place every few seconds").expect("sockets");
        assert!(count >= 50, "{count}");
        // It may have to dial again, until a handshake has timed out.
        let newcomer = Node::start(NodeOptions { peers: vec![siege.node.listen()], ..NodeOptions::default() });
        agree(&[&newcomer, &siege.node]);
        for mut socket in silent {
            socket.set_read_timeout(Some(DEADLINE)).expect("not zero");
            let mut hello = [0; 1024];
            while socket.read(&mut hello).expect("ended by the node") > 0 {}
        }
    });
}

/// Peers that request large answers, as many as allowed at once, and then read a byte a second. The memory of their
/// answers stays within its bound.
pub(crate) fn slow_readers() {
    const ATTACKERS: usize = 8;
    const REQUESTS: usize = 32;
    let mut victim = Victim::start();
    let large = victim.grow(40, |seed| (0..15).map(|nonce| record_of(seed, nonce, 4000)).collect());
    let siege = Siege::around(victim.node);
    siege.during("slow readers", || {
        let request = encode(&Request::Blocks { ids: large.clone().into() });
        let pace = ByteDelays { read: Some(SLOW), write: None };
        let attackers: Vec<_> = (0..ATTACKERS)
            .map(|_| {
                let keypair = Keypair::generate_ed25519();
                Attacker::connect_as(&siege.node, &keypair, pace, honest_answers()).expect("let in")
            })
            .collect();
        attackers.iter().for_each(|attacker| (0..REQUESTS).for_each(|_| attacker.ask(request.clone())));
        std::thread::sleep(siege_time());
        assert!(attackers.iter().all(|attacker| attacker.answered() == 0));
    });
    // A peer that reads gets all of it.
    let late = Node::new();
    late.connect(&siege.node);
    agree(&[&late, &siege.node]);
}

/// Peers whose requests and answers come a byte a second.
pub(crate) fn slow_writers() {
    let siege = Siege::begin();
    let request = Arc::new(encode(&Request::Blocks { ids: vec![BlockId([1; 32]); 1000].into() }));
    siege.during("slow writers", || {
        let pace = ByteDelays { read: None, write: Some(SLOW) };
        let attackers: Vec<_> = (0..8)
            .map(|_| {
                let answers = |request| match request {
                    Request::Status(_) => Some(encode(&Response::Status(promise()))),
                    _ => Some(vec![0; 100_000]),
                };
                let keypair = Keypair::generate_ed25519();
                Attacker::connect_as(&siege.node, &keypair, pace, Box::new(answers)).expect("let in")
            })
            .collect();
        attackers.iter().for_each(|attacker| (0..64).for_each(|_| attacker.ask(request.to_vec())));
        std::thread::sleep(siege_time());
        assert!(attackers.iter().all(|attacker| attacker.answered() == 0));
    });
    let late = Node::new();
    late.connect(&siege.node);
    agree(&[&late, &siege.node]);
    assert_eq!(siege.node.balance(&siege.node.address()), Amount::from_units(100_000_000 * late.height()).to_string());
}
