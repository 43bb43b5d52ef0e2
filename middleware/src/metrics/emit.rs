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

/// Which way something went.
#[derive(Debug, Clone, Copy)]
pub(super) enum Direction {
    In,
    Out,
}

/// Adds to a counter that has the label `direction` and nothing else, without making a list of it.
pub(super) fn count_moved(metric: &Metric, direction: Direction, by: u64) {
    #[cfg(feature = "metrics")]
    {
        use metrics::{Key, Label, Level, Metadata};

        static IN: [Label; 1] = [Label::from_static_parts("direction", "in")];
        static OUT: [Label; 1] = [Label::from_static_parts("direction", "out")];
        static METADATA: Metadata<'static> = Metadata::new(module_path!(), Level::INFO, Some(module_path!()));

        let labels = match direction {
            Direction::In => &IN,
            Direction::Out => &OUT,
        };
        let key = Key::from_static_labels(metric.name, labels);
        metrics::with_recorder(|recorder| recorder.register_counter(&key, &METADATA)).increment(by);
    }
    #[cfg(not(feature = "metrics"))]
    let _ = (metric, direction, by);
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
