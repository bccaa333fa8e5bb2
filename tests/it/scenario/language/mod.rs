//! The language of scripts by itself: text in, steps out. What it is, is in `tests/scenarios/README.md`.
//!
//! [`parse`] makes a [`script::Script`] (names checked, `repeat` written out), [`question`] says what can be asked and
//! compares answers, [`values`] puts in what `let` has kept. Nothing in here knows a node. The folder is shared with
//! `tests/fuzz`, which is why it names nothing outside.

pub(crate) mod parse;
pub(crate) mod question;
pub(crate) mod script;
pub(crate) mod values;
mod words;
