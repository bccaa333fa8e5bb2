//! An engine without a node: this program is its clock, its disk, its miner and its user.
//!
//! `cargo run --example engine` mines three blocks and prints what the engine says of it. A real shell does the same with
//! threads and sockets: `src/node/driver.rs`; a virtual one does it for thousands of engines: `src/sim/node.rs`.

use std::collections::VecDeque;
use std::sync::Arc;

use quipu::engine::event::{Answer, Command, MineEffect, MiningMode, StoreEffect, Stored, Ticket, UserEffect};
use quipu::engine::{Effect, Engine, EngineConfig, Event, Now};
use quipu::protocol::{Header, Millis, Network, Parameters, SecretKey};

fn main() {
    assert_eq!(mine(3), 3);
}

/// Gives the height of the chain.
fn mine(count: u64) -> u64 {
    let network = Arc::new(Network::new(Parameters::dev()).expect("a preset is valid"));
    let account = SecretKey::from_seed([1; 32]).public_key().address();
    let (nickname, mining) = ("example".to_owned(), MiningMode::Off);
    let config = EngineConfig { network: Arc::clone(&network), account, nickname, seed: [0; 32], mining };
    let mut engine = Engine::new(config, Stored::default());

    let mut now = Now { elapsed: Millis(0), unix: network.genesis().header.timestamp };
    let command = Command::Mine { count, to: None };
    let mut events = VecDeque::from([Event::Command { ticket: Ticket(1), command }]);
    while let Some(event) = events.pop_front() {
        now.elapsed = now.elapsed + Millis(1);
        let mut effects = Vec::new();
        engine.handle(now, event, &mut effects);
        for effect in effects {
            match effect {
                // This disk is quick: what is written is durable at once.
                Effect::Store(StoreEffect::Persist(batch)) => {
                    events.push_back(Event::Persisted { sequence: batch.sequence });
                }
                Effect::Mine(MineEffect::Search { key, header }) => {
                    events.push_back(Event::Mined { key, nonce: search(header) });
                }
                Effect::User(UserEffect::Notify(notice)) => println!("notice: {notice:?}"),
                Effect::User(UserEffect::Answer { answer: Ok(Answer::Mined(places)), .. }) => {
                    println!("mined {} blocks", places.len());
                }
                other => println!("not done here: {other:?}"),
            }
        }
    }
    engine.view().tip.height.0
}

/// Tries one nonce after the other, as the threads of `src/node/miner.rs` do.
fn search(header: Header) -> u64 {
    let meets = |nonce: &u64| header.target.is_met_by(&Header { nonce: *nonce, ..header }.id());
    (0..).find(meets).expect("on the network `dev`, nearly every nonce will do")
}

#[cfg(test)]
mod tests {
    #[test]
    fn it_mines_as_many_as_it_is_told() {
        assert_eq!(super::mine(2), 2);
    }
}
