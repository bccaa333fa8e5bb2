//! Follows transactions from the memory pool into blocks, and out of them when a reorganisation takes those off.
//!
//! A transaction that the user watches stays watched until they unwatch it or the node stops. A transaction of the
//! node's own account that a reorganisation takes out of its block is watched automatically until it is safe again, so
//! that a lost record is noticed in time. Every reported state was durable before.
//!
//! A thread of its own, because it waits for the index and the engine; nothing waits for it.

use std::io;

use crossbeam_channel::{Receiver, select};

use super::event::{Life, UserEvent};
use super::handle::Handle;
use super::index::{ChainIndex, IndexError};
use super::lost::{Again, LostTransaction};
use super::thread::Stoppable;
use super::watched::{Followed, WATCHED_MAX};
use crate::engine::event::{Fate, GoneReason, Notice, RolledBack};
use crate::protocol::{CheckedTransaction, TransactionId};
use crate::text::counted;

/// Confirmations that are reported one by one. Beyond them only a rollback is reported.
pub const CONFIRMATIONS_TOLD_MAX: u64 = 6;

/// The reason why a transaction can't be watched.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WatchError {
    /// The index gives no answer.
    #[error(transparent)]
    Index(#[from] IndexError),
    #[error("{WATCHED_MAX} transactions are watched already: `unwatch` some")]
    Full,
    /// The node is shutting down.
    #[error("the node is shutting down")]
    Closing,
}

/// Watches a transaction from now on. Returns its life so far.
pub fn follow(handle: &Handle, id: TransactionId) -> Result<Life, WatchError> {
    let before = handle.watched().lock().get(&id).map(|followed| followed.life.clone());
    let life = life_of(handle, &id, before.as_ref())?;
    let mut watched = handle.watched().lock();
    if watched.len() >= WATCHED_MAX && !watched.contains_key(&id) {
        return Err(WatchError::Full);
    }
    watched.insert(id, Followed { life: life.clone(), asked_for: true });
    Ok(life)
}

pub(super) fn start(handle: Handle, failed: impl FnOnce(String) + Send + 'static) -> io::Result<Stoppable> {
    let hears = |event: &UserEvent| {
        matches!(event, UserEvent::Indexed(_) | UserEvent::Notice(Notice::RolledBack { .. } | Notice::Lost { .. }))
    };
    let events = handle.subscribe_internal_only(hears);
    remember_lost(&handle);
    Stoppable::spawn("watch", failed, move |stopped| run(&handle, &events, &stopped))
}

/// Watches what earlier runs have lost, and says so.
fn remember_lost(handle: &Handle) {
    let mut watched = handle.watched().lock();
    let mut lost = 0;
    for LostTransaction { transaction, reason, again, .. } in handle.lost().all() {
        if again == Again::No {
            lost += 1;
            watched.insert(transaction.id(), Followed { life: Life::Gone(Some(reason)), asked_for: true });
        }
    }
    drop(watched);
    if lost > 0 {
        handle.publish(UserEvent::Warning(format!(
            "{} of this node's wallets can no longer be mined and {} not signed again: `watch` shows why, `again ID` signs the \
             same content once more",
            counted(lost, "transaction"),
            if lost == 1 { "was" } else { "were" }
        )));
    }
}

fn run(handle: &Handle, events: &Receiver<UserEvent>, stopped: &Receiver<()>) {
    loop {
        let event = select! {
            recv(stopped) -> _ => return,
            recv(events) -> event => event,
        };
        let Ok(event) = event else { return };
        let mut indexed = false;
        for event in std::iter::once(event).chain(events.try_iter()) {
            match event {
                UserEvent::Notice(Notice::RolledBack { transactions, .. }) => {
                    on_rolled_back(handle, transactions);
                }
                UserEvent::Notice(Notice::Lost { transaction, reason }) => on_lost(handle, transaction, reason),
                // Only the last of several blocks matters.
                UserEvent::Indexed(_) => indexed = true,
                _ => {}
            }
        }
        if indexed {
            report_changes(handle);
        }
    }
}

fn on_rolled_back(handle: &Handle, transactions: Vec<RolledBack>) {
    let me = handle.address();
    for RolledBack { transaction, place, fate } in transactions {
        let id = transaction.id();
        let life = Life::RolledBack { from: place, fate };
        let mut watched = handle.watched().lock();
        match watched.get_mut(&id) {
            Some(followed) => followed.life = life.clone(),
            None if transaction.sender() == me => {
                if watched.len() < WATCHED_MAX {
                    watched.insert(id, Followed { life: life.clone(), asked_for: false });
                }
            }
            None => continue,
        }
        drop(watched);
        if let Fate::Gone(reason) = fate {
            note_lost(handle, transaction, reason);
        }
        publish(handle, id, life);
    }
}

fn publish(handle: &Handle, id: TransactionId, life: Life) {
    let again = handle.lost().offers(&id);
    handle.publish(UserEvent::Life { id, life, again });
}

/// Keeps a transaction of one of the node's wallets, so that it can be signed once more.
fn note_lost(handle: &Handle, transaction: CheckedTransaction, reason: GoneReason) {
    if handle.wallets().has(&transaction.sender()) {
        handle.lost().note(transaction, reason);
    }
}

/// Reports a transaction that the node had promised to keep. It stays watched, so that the user finds out later too.
fn on_lost(handle: &Handle, transaction: CheckedTransaction, reason: GoneReason) {
    let id = transaction.id();
    // The engine may have heard of its block before it was stopped.
    if handle.index().is_some_and(|index| in_block(index, &id).is_ok_and(|life| life.is_some())) {
        return;
    }
    let life = Life::Gone(Some(reason));
    let mut watched = handle.watched().lock();
    if watched.len() < WATCHED_MAX || watched.contains_key(&id) {
        watched.insert(id, Followed { life: life.clone(), asked_for: true });
    }
    drop(watched);
    note_lost(handle, transaction, reason);
    publish(handle, id, life);
}

/// Reports every change.
fn report_changes(handle: &Handle) {
    for (id, before) in handle.watched().list() {
        // An index that is behind will report a later block; a closed one, none.
        let Ok(life) = life_of(handle, &id, Some(&before)) else { return };
        let mut watched = handle.watched().lock();
        // The user may have unwatched it meanwhile.
        let Some(followed) = watched.get_mut(&id).filter(|followed| followed.life == before) else { continue };
        let confirmations = if let Life::InBlock { confirmations, .. } = life { confirmations } else { 0 };
        let is_news = life != before && (confirmations <= CONFIRMATIONS_TOLD_MAX || !is_same_block(&life, &before));
        followed.life = life.clone();
        let is_safe = confirmations >= CONFIRMATIONS_TOLD_MAX;
        if !followed.asked_for && (is_safe || matches!(life, Life::Gone(_))) {
            watched.remove(&id);
        }
        drop(watched);
        if matches!(life, Life::Pending | Life::InBlock { .. }) {
            handle.lost().forget(&id);
        }
        if is_news {
            publish(handle, id, life);
        }
    }
}

fn is_same_block(one: &Life, other: &Life) -> bool {
    match (one, other) {
        (Life::InBlock { place, .. }, Life::InBlock { place: other, .. }) => place == other,
        _ => false,
    }
}

/// The current state of a transaction, as seen from the state `before`.
fn life_of(handle: &Handle, id: &TransactionId, before: Option<&Life>) -> Result<Life, WatchError> {
    let index = handle.index().ok_or(IndexError::Off)?;
    if let Some(life) = in_block(index, id)? {
        return Ok(life);
    }
    if handle.pending_transaction(*id).wait().map_err(|_| WatchError::Closing)?.is_some() {
        return Ok(Life::Pending);
    }
    // It may have got into a block between the two questions.
    if let Some(life) = in_block(index, id)? {
        return Ok(life);
    }
    Ok(match before {
        None | Some(Life::Unknown) => Life::Unknown,
        // The reason was reported with the rollback.
        Some(rolled_back @ Life::RolledBack { fate: Fate::Gone(_), .. }) => rolled_back.clone(),
        Some(gone @ Life::Gone(_)) => gone.clone(),
        Some(_) => Life::Gone(None),
    })
}

fn in_block(index: &ChainIndex, id: &TransactionId) -> Result<Option<Life>, IndexError> {
    let view = index.view()?;
    let found = view.find(id)?;
    Ok(found.map(|location| {
        let confirmations = view.tip().height.saturating_since(location.place.height) + 1;
        Life::InBlock { place: location.place, confirmations }
    }))
}
