//! What a user asks of the node itself, without the engine: peers, its status, records.

use super::error::Failure;
use super::lookup;
use super::rows::{Identity, Peer, RecordRow, Status};
use crate::node::handle::Handle;
use crate::node::index::{Location, Query, RecordEntry, View};
use crate::node::swarm;
use crate::protocol::record::Record;
use crate::protocol::{Action, TransactionId};

/// Who is connected.
pub(in crate::node) fn peers(handle: &Handle) -> Vec<Peer> {
    let view = handle.view();
    let told = |row: &swarm::PeerRow| view.peers.iter().find(|told| told.peer == row.peer);
    handle.peers().iter().map(|row| Peer::new(row, told(row))).collect()
}

/// How the node is now.
pub(in crate::node) fn status(handle: &Handle, identity: &Identity) -> Status {
    let (wallet, listen) = (handle.wallets().current(), (swarm::for_others(&handle.listen()), handle.http()));
    Status::new(identity, &handle.view(), &wallet, handle.peers().len(), listen, handle.now())
}

/// The record with this id, if it fits the rest of the query.
pub(in crate::node) fn record_of(view: &View, id: &TransactionId, query: &Query) -> Result<Option<RecordRow>, Failure> {
    let Some(Location { place, position: Some(position) }) = view.find(id)? else { return Ok(None) };
    let block = lookup::block_at(view.snapshot(), place.height)?;
    let Some(signed) = block.body.transactions.get(position as usize).cloned() else { return Ok(None) };
    let Action::Record { data } = &signed.transaction.action else { return Ok(None) };
    let (record, sender) = (Record::read(data), signed.transaction.sender.address());
    let timestamp = block.header.timestamp;
    let fits = query.tag.as_ref().is_none_or(|tag| record.tags.contains(tag))
        && query.from.is_none_or(|from| from == sender)
        && query.since.is_none_or(|since| timestamp >= since);
    let entry = || RecordEntry { place, timestamp, position, id: *id, sender, signed, record };
    Ok(fits.then(|| RecordRow::from(&entry())))
}
