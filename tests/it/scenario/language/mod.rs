//! The language of scripts by itself: text in, steps out. `tests/scenarios/README.md` describes it.
//!
//! [`parse`] makes a [`script::Script`] (names checked, `repeat` unrolled), [`question`] defines questions and compares
//! answers, [`values`] fills in the values kept by `let`. Nothing in here knows a node. The folder is shared with
//! `tests/fuzz`, which is why it names nothing outside.

pub(crate) mod parse;
pub(crate) mod question;
pub(crate) mod script;
pub(crate) mod values;
mod words;
