//! The transactions that [`watch`](super::watch) follows, as the user was told of them last.

use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::{Mutex, MutexGuard};

use super::event::Life;
use crate::protocol::TransactionId;

/// Transactions that are followed at once. More are refused, or not followed without being asked for.
pub const WATCHED_MAX: usize = 1000;

/// What is followed. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Watched(Arc<Mutex<BTreeMap<TransactionId, Followed>>>);

/// A transaction that is followed.
#[derive(Debug, Clone)]
pub(super) struct Followed {
    /// As it was told last.
    pub(super) life: Life,
    /// By the user. Else it is followed only until it is safe.
    pub(super) asked_for: bool,
}

impl Watched {
    /// Follows a transaction no more. Returns whether it was followed.
    pub fn remove(&self, id: &TransactionId) -> bool {
        self.lock().remove(id).is_some()
    }

    /// All that are followed, as they were told last.
    pub fn list(&self) -> Vec<(TransactionId, Life)> {
        self.lock().iter().map(|(id, followed)| (*id, followed.life.clone())).collect()
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, BTreeMap<TransactionId, Followed>> {
        self.0.lock()
    }
}
