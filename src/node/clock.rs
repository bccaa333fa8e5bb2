//! The machine's time of day.

use std::time::SystemTime;

use crate::protocol::UnixMillis;

/// The time of day now. A clock set before 1970 counts as 1970.
pub fn unix_now() -> UnixMillis {
    let since_epoch = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    UnixMillis(u64::try_from(since_epoch.as_millis()).unwrap_or(u64::MAX))
}
