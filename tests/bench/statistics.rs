//! Medians and quantiles of measurements.

use std::time::Duration;

/// The time that `percent` in a hundred do not exceed (nearest rank). Sorts the times.
pub(crate) fn quantile(times: &mut [Duration], percent: usize) -> Duration {
    times.sort_unstable();
    let rank = (times.len() * percent).div_ceil(100).max(1);
    times[rank - 1]
}

/// [`quantile`] in milliseconds.
pub(crate) fn quantile_ms(times: &mut [Duration], percent: usize) -> f64 {
    quantile(times, percent).as_secs_f64() * 1e3
}

/// The middle value, or the mean of the two in the middle.
pub(crate) fn median(values: impl IntoIterator<Item = f64>) -> f64 {
    spread(&values.into_iter().collect::<Vec<_>>()).0
}

/// The median, the least and the greatest value.
pub(crate) fn spread(values: &[f64]) -> (f64, f64, f64) {
    let mut sorted = values.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    let median = if sorted.len() % 2 == 1 { sorted[middle] } else { (sorted[middle - 1] + sorted[middle]) / 2.0 };
    (median, sorted[0], sorted[sorted.len() - 1])
}
