//! How the loop of the prompt ends.

use std::io;

/// The end of the loop: the user wants it, or stdout takes no more.
pub(super) struct Leave(pub(super) Option<io::Error>);

impl Leave {
    pub(super) const WANTED: Self = Self(None);
}

impl From<io::Error> for Leave {
    fn from(error: io::Error) -> Self {
        Self(Some(error))
    }
}

pub(super) type LoopStep = Result<(), Leave>;
