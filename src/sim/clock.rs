//! A node's wall clock.

use crate::protocol::{Millis, UnixMillis};

/// The time of day when the world begins: an hour after the presets' genesis.
pub(crate) const START: UnixMillis = UnixMillis(1_793_494_800_000);

/// A wall clock that may be wrong. Deliberately absent: timeouts, which are measured on a monotonic clock without
/// noticeable error.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct WallClock {
    /// Its lead when the world begins, in milliseconds.
    pub offset_millis: i64,
    /// The milliseconds that it gains in 1,000 seconds.
    pub drift_ppm: i64,
}

impl WallClock {
    /// The time that it shows.
    pub(crate) fn read(&self, elapsed: Millis) -> UnixMillis {
        let gained = i128::from(self.drift_ppm) * i128::from(elapsed.0) / 1_000_000;
        let ahead = i128::from(self.offset_millis) + gained;
        let ahead = ahead.clamp(i128::from(i64::MIN), i128::from(i64::MAX)) as i64;
        UnixMillis((START + elapsed).0.saturating_add_signed(ahead))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_is_off_by_its_offset_and_its_drift() {
        let day = Millis::from_secs(86_400);
        let read =
            |offset_millis, drift_ppm| WallClock { offset_millis, drift_ppm }.read(day).signed_since(START + day);
        assert_eq!([read(0, 0), read(-700, 0), read(0, 50), read(0, -50)], [0, -700, 4_320, -4_320]);
    }
}
