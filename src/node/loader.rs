//! The thread that reads the store for the engine and for peers, beside the writer.

use crossbeam_channel::Receiver;

use super::driver::EngineSender;
use super::store::{Reader, StoreError};
use super::swarm::{Reply, SwarmCommand};
use crate::engine::Event;
use crate::engine::event::{Key, Place, Ticket};
use crate::protocol::message::RESPONSE_BYTES_SOFT_MAX;

/// What the loader is asked to do.
#[derive(Debug)]
pub enum Load {
    /// For the engine, from the effect of that name.
    Blocks {
        /// For the result.
        key: Key,
        /// Which.
        places: Vec<Place>,
    },
    /// For a peer, from the effect of that name.
    Serve {
        /// For the reply.
        ticket: Ticket,
        /// Where they are.
        places: Vec<Place>,
    },
}

/// Works until all senders of `jobs` are gone, or until the store can't be read.
///
/// The queue is bounded by what asks: the engine loads one list at a time, and a peer's request is held open until its
/// reply, of which the swarm allows so many.
pub fn run(
    reader: &Reader,
    jobs: &Receiver<Load>,
    engine: &EngineSender,
    reply: impl Fn(SwarmCommand),
) -> Result<(), StoreError> {
    for job in jobs {
        match job {
            Load::Blocks { key, places } => {
                let blocks = reader.load(&places)?;
                engine.deliver(Event::Loaded { key, blocks });
            }
            Load::Serve { ticket, places } => {
                let blocks = reader.encoded_blocks(&places, RESPONSE_BYTES_SOFT_MAX)?;
                reply(SwarmCommand::Reply { ticket, reply: Some(Reply::Blocks(blocks)) });
            }
        }
    }
    Ok(())
}
