//! A rehearsal by itself.
