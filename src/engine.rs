//! The node's brain: events in, effects out.

pub mod event;
pub mod view;

pub use event::{Effect, Event, Now, Wake};
pub use view::View;
