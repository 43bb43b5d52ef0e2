//! The one place that knows whether anybody counts.

use std::time::Duration;

use super::names::Metric;

/// Names and values of labels.
pub(super) type Labels<'a> = &'a [(&'static str, &'static str)];

/// Adds to a counter.
pub(super) fn count(metric: &Metric, labels: Labels<'_>, by: u64) {
    #[cfg(feature = "metrics")]
    metrics::counter!(metric.name, labels).increment(by);
    #[cfg(not(feature = "metrics"))]
    let _ = (metric, labels, by);
}

/// Adds to an up-down counter, or takes from it.
pub(super) fn add(metric: &Metric, labels: Labels<'_>, by: i64) {
    #[cfg(feature = "metrics")]
    metrics::gauge!(metric.name, labels).increment(by as f64);
    #[cfg(not(feature = "metrics"))]
    let _ = (metric, labels, by);
}

/// Adds a value to a histogram.
pub(super) fn record(metric: &Metric, labels: Labels<'_>, value: Duration) {
    #[cfg(feature = "metrics")]
    metrics::histogram!(metric.name, labels).record(value);
    #[cfg(not(feature = "metrics"))]
    let _ = (metric, labels, value);
}
