//! gossipsub alone: the transport, the parameters and the messages of a node, without looking at them. Messages are
//! forwarded at once, where a node waits for its engine's verdict.
//!
//! It accepts `publish NUMBER LENGTH` and prints `tip` with that number as its `height`, so that both kinds of
//! processes are measured in the same way.

use std::io::BufRead;
use std::time::Duration;

use futures::StreamExt;
use libp2p::gossipsub::{self, IdentTopic, MessageAuthenticity, MessageId, ValidationMode};
use libp2p::swarm::SwarmEvent;
use libp2p::{Multiaddr, Swarm, SwarmBuilder, noise, tcp, yamux};
use serde_json::json;
use sha2::{Digest, Sha256};
use tokio::sync::mpsc;

use super::say;

/// A node's limit for its longest block, and above every measured message.
const TRANSMIT_BYTES_MAX: usize = 5 << 20;
/// A quiet connection stays open.
const IDLE_TIMEOUT: Duration = Duration::from_secs(24 * 3600);
/// The rest of a message, after its number. Nothing compresses it.
const FILLING: u8 = 0x5a;

pub(super) async fn run(peers: &[Multiaddr]) {
    let topic = IdentTopic::new("/bench/blocks");
    let mut swarm = build(&topic);
    swarm.listen_on("/ip4/127.0.0.1/tcp/0".parse().expect("an address")).expect("a free port");
    let listen = loop {
        if let SwarmEvent::NewListenAddr { address, .. } = swarm.select_next_some().await {
            break address;
        }
    };
    say(&json!({"event": "ready", "listen": [listen]}));
    for peer in peers {
        swarm.dial(peer.clone()).expect("a plain address");
    }
    let (tell, mut lines) = mpsc::unbounded_channel();
    // Not one of tokio's threads, which would keep the process from ending.
    std::thread::spawn(move || {
        std::io::stdin().lock().lines().map_while(Result::ok).try_for_each(|line| tell.send(line))
    });
    loop {
        tokio::select! {
            line = lines.recv() => match line.as_deref().map(|line| line.split(' ').collect::<Vec<_>>()).as_deref() {
                Some(["publish", number, length]) => publish(&mut swarm, &topic, number, length),
                _ => return,
            },
            event = swarm.select_next_some() => hear(event),
        }
    }
}

fn publish(swarm: &mut Swarm<gossipsub::Behaviour>, topic: &IdentTopic, number: &str, length: &str) {
    let (number, length): (u64, usize) = (number.parse().expect("a number"), length.parse().expect("a length"));
    let mut data = vec![FILLING; length];
    data[..size_of::<u64>()].copy_from_slice(&number.to_le_bytes());
    swarm.behaviour_mut().publish(topic.clone(), data).expect("somebody listens");
    say(&json!({"event": "tip", "height": number}));
}

fn hear(event: SwarmEvent<gossipsub::Event>) {
    match event {
        SwarmEvent::Behaviour(gossipsub::Event::Message { message, .. }) => {
            let number = message.data.first_chunk().map(|bytes| u64::from_le_bytes(*bytes)).expect("it has a number");
            say(&json!({"event": "tip", "height": number}));
        }
        SwarmEvent::Behaviour(gossipsub::Event::Subscribed { .. }) => say(&json!({"event": "peer_connected"})),
        _ => {}
    }
}

/// A swarm with the parameters of a node (`src/node/swarm/behaviour.rs`), except for waiting for verdicts.
fn build(topic: &IdentTopic) -> Swarm<gossipsub::Behaviour> {
    SwarmBuilder::with_new_identity()
        .with_tokio()
        .with_tcp(tcp::Config::default().nodelay(true), noise::Config::new, yamux::Config::default)
        .expect("a new key")
        .with_behaviour(|_| {
            let config = gossipsub::ConfigBuilder::default()
                .validation_mode(ValidationMode::Anonymous)
                .message_id_fn(|message: &gossipsub::Message| {
                    let hash = Sha256::new().chain_update(message.topic.as_str()).chain_update(&message.data);
                    MessageId::new(&hash.finalize())
                })
                .max_transmit_size(TRANSMIT_BYTES_MAX)
                .flood_publish(true)
                .heartbeat_interval(Duration::from_secs(1))
                .duplicate_cache_time(Duration::from_secs(120))
                .build()
                .expect("a valid configuration");
            let mut behaviour =
                gossipsub::Behaviour::new(MessageAuthenticity::Anonymous, config).expect("a valid configuration");
            behaviour.subscribe(topic).expect("any topic");
            behaviour
        })
        .expect("nothing in it fails")
        .with_swarm_config(|config| config.with_idle_connection_timeout(IDLE_TIMEOUT))
        .build()
}
