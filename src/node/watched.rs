//! The transactions that [`watch`](super::watch) follows, with their last reported lives.

use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::{Mutex, MutexGuard};

use super::event::Life;
use crate::protocol::TransactionId;

/// Watched transactions at once. Requests beyond are refused; own transactions beyond are not watched.
pub const WATCHED_MAX: usize = 1000;

/// The watched transactions. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Watched(Arc<Mutex<BTreeMap<TransactionId, Followed>>>);

/// A watched transaction.
#[derive(Debug, Clone)]
pub(super) struct Followed {
    /// The last reported life.
    pub(super) life: Life,
    /// Watched by the user. Otherwise it is watched only until it is safe.
    pub(super) asked_for: bool,
}

impl Watched {
    /// Unwatches a transaction. Returns whether it was watched.
    pub fn remove(&self, id: &TransactionId) -> bool {
        self.lock().remove(id).is_some()
    }

    /// All watched transactions with their last reported lives.
    pub fn list(&self) -> Vec<(TransactionId, Life)> {
        self.lock().iter().map(|(id, followed)| (*id, followed.life.clone())).collect()
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, BTreeMap<TransactionId, Followed>> {
        self.0.lock()
    }
}
