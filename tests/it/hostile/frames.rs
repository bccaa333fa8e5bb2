//! Frames at and over their limits, and noise at every layer.

use std::collections::BTreeSet;
use std::sync::Mutex;
use std::time::Duration;

use futures::future::{Either, select as first_of};
use futures::io::AsyncWriteExt;
use quipu::protocol::bundle::BUNDLE_BYTES_MAX;
use quipu::protocol::encode::encode;
use quipu::protocol::message::{
    PROTOCOL_VERSION, REQUEST_BYTES_MAX, REQUEST_IDS_MAX, RESPONSE_BYTES_MAX, gossip_bytes_max,
};
use quipu::protocol::{BlockId, Request, Response};

use super::attacker::{Attacker, network};
use super::raw::{self, run_for, secure, select, streams};
use super::siege::Siege;
use super::{honest_answers, promise};
use crate::harness::{Node, agree};

/// The longest connection of noise before the attacker turns to the next. The node ends most of them at once.
const NOISE_TIMEOUT: Duration = Duration::from_millis(80);

/// Random bytes, the same for the same seed.
fn noise(length: usize, seed: usize) -> Vec<u8> {
    (0..length).map(|at| (at.wrapping_mul(2_654_435_761).wrapping_add(seed * 97) >> 7) as u8).collect()
}

/// Noise instead of each handshake, in the middle of each, after each, and on streams of each protocol.
pub(crate) fn noise_at_every_layer() {
    let siege = Siege::begin();
    let address = siege.address();
    let sync = format!("/quipu/{PROTOCOL_VERSION}/{}/sync", network().tag());
    let reached = Mutex::new(BTreeSet::new());
    siege.during("noise at every layer", || {
        for (seed, length) in [1, 7, 60, 5000, 300_000].into_iter().enumerate() {
            let garbage = noise(length, seed);
            let _ = run_for(NOISE_TIMEOUT, async {
                let mut socket = raw::open(address).await?;
                socket.write_all(&garbage).await?;
                futures::future::pending::<std::io::Result<()>>().await
            });
            let _ = run_for(NOISE_TIMEOUT, async {
                let mut socket = raw::open(address).await?;
                select(&mut socket, "/noise").await?;
                socket.write_all(&garbage).await?;
                futures::future::pending::<std::io::Result<()>>().await
            });
            let _ = run_for(NOISE_TIMEOUT, async {
                let mut socket = secure(address).await?;
                socket.write_all(&garbage).await?;
                socket.flush().await?;
                futures::future::pending::<std::io::Result<()>>().await
            });
            let _ = run_for(NOISE_TIMEOUT, async {
                let mut socket = secure(address).await?;
                select(&mut socket, "/yamux/1.0.0").await?;
                socket.write_all(&garbage).await?;
                socket.flush().await?;
                futures::future::pending::<std::io::Result<()>>().await
            });
            for protocol in ["/meshsub/1.1.0", "/ipfs/id/1.0.0", "/ipfs/id/push/1.0.0", "/ipfs/ping/1.0.0", &sync] {
                let _ = run_for(NOISE_TIMEOUT, async {
                    let (opened, connection) = streams(address, 3).await?;
                    let speak = Box::pin(async {
                        for mut stream in opened {
                            select(&mut stream, protocol).await?;
                            stream.write_all(&garbage).await?;
                            stream.flush().await?;
                            reached.lock().expect("one thread").insert(protocol.to_owned());
                        }
                        futures::future::pending::<std::io::Result<()>>().await
                    });
                    match first_of(speak, Box::pin(connection)).await {
                        Either::Left((result, _)) | Either::Right((result, _)) => result,
                    }
                });
            }
        }
    });
    assert_eq!(reached.into_inner().expect("one thread").len(), 5, "each protocol was spoken");
}

/// Requests, responses and gossip of the longest length and of one byte more. Readable ones are answered; unreadable
/// ones cost the connection.
pub(crate) fn frames_at_and_over_their_limits() {
    let siege = Siege::begin();
    siege.during("requests and gossip at and over their limits", || {
        let longest = encode(&Request::Blocks { ids: vec![BlockId([7; 32]); REQUEST_IDS_MAX].into() });
        assert!(longest.len() <= REQUEST_BYTES_MAX);
        let attacker = Attacker::connect(&siege.node, honest_answers());
        attacker.ask(longest);
        attacker.wait_answered(&siege.node, 1);
        for length in [REQUEST_BYTES_MAX, REQUEST_BYTES_MAX + 1, 8 << 20] {
            let attacker = Attacker::connect(&siege.node, honest_answers());
            attacker.ask(noise(length, 1));
            attacker.wait_closed(&siege.node);
        }
        let frame = gossip_bytes_max(&network());
        for (kind, longest) in [("blocks", frame), ("transactions", BUNDLE_BYTES_MAX)] {
            for length in [longest, longest + 1] {
                let attacker = Attacker::connect(&siege.node, honest_answers());
                attacker.publish(kind, noise(length, 1));
                attacker.wait_closed(&siege.node);
            }
            // Longer than a frame may be: it does not even arrive, and only silences its own link.
            let attacker = Attacker::connect(&siege.node, honest_answers());
            attacker.publish(kind, noise(frame + (64 << 10) + 1, 1));
        }
    });
    for length in [RESPONSE_BYTES_MAX, RESPONSE_BYTES_MAX + 1, 16 << 20] {
        let late = Node::new();
        let answers = move |request| match request {
            Request::Status(_) => Some(encode(&Response::Status(promise()))),
            _ => Some(noise(length, 2)),
        };
        let attacker = Attacker::connect(&late, Box::new(answers));
        attacker.wait_closed(&late);
        late.connect(&siege.node);
        agree(&[&late, &siege.node]);
    }
}
