//! The thread that reads the store for the engine and for peers, beside the writer.

use crossbeam_channel::Receiver;

use super::inbox::EngineSender;
use super::store::{Reader, StoreError};
use super::swarm::{ResponsePlaces, SwarmCommand};
use crate::engine::Event;
use crate::engine::event::LoadEffect;
use crate::protocol::message::RESPONSE_BYTES_SOFT_MAX;

/// Works until all senders of `loads` are gone, or until the store can't be read.
///
/// The queue is bounded by the engine, which loads one list at a time, and counts the peers' requests that it sends here until
/// they are served (`SERVING_MAX`).
pub fn run(
    reader: &Reader,
    loads: &Receiver<LoadEffect>,
    engine: &EngineSender,
    reply: impl Fn(SwarmCommand),
) -> Result<(), StoreError> {
    let places_ahead = ResponsePlaces::default();
    for load in loads {
        match load {
            LoadEffect::Blocks { key, places } => {
                let blocks = reader.load(&places)?;
                engine.deliver(Event::Loaded { key, blocks });
            }
            LoadEffect::Serve { peer, ticket, places, bytes_max } => {
                let place = places_ahead.take();
                let blocks = reader.encoded_blocks(&places, RESPONSE_BYTES_SOFT_MAX)?;
                let unused_bytes = bytes_max.saturating_sub(blocks.iter().map(Vec::len).sum());
                reply(SwarmCommand::Serve { ticket, blocks, place: Some(place) });
                engine.deliver(Event::Served { peer, unused_bytes });
            }
        }
    }
    Ok(())
}
