//! A recorder that tests can read.

use std::collections::BTreeMap;

use bowline_middleware::names::{ALL, Kind};
use metrics_util::MetricKind;
use metrics_util::debugging::{DebugValue, DebuggingRecorder, Snapshotter};

/// What was recorded since it was made, on this thread.
pub struct Counted {
    // Before the recorder that it borrows.
    _guard: metrics::LocalRecorderGuard<'static>,
    snapshotter: Snapshotter,
    sums: BTreeMap<String, f64>,
    values: BTreeMap<String, Vec<f64>>,
}

impl Default for Counted {
    fn default() -> Self {
        // Lives as long as the test's process: the guard borrows it, and tests are few.
        let recorder: &'static DebuggingRecorder = Box::leak(Box::default());
        Self {
            _guard: metrics::set_default_local_recorder(recorder),
            snapshotter: recorder.snapshotter(),
            sums: BTreeMap::new(),
            values: BTreeMap::new(),
        }
    }
}

impl Counted {
    /// Counters and gauges by `name{label=value,..}`, without those that are 0.
    pub fn sums(&mut self) -> BTreeMap<String, f64> {
        self.take();
        self.sums.clone().into_iter().filter(|(_, sum)| *sum != 0.0).collect()
    }

    /// One of these.
    pub fn sum(&mut self, series: &str) -> f64 {
        self.sums().get(series).copied().unwrap_or_default()
    }

    /// The values of a histogram.
    pub fn values(&mut self, series: &str) -> Vec<f64> {
        self.take();
        self.values.get(series).cloned().unwrap_or_default()
    }

    /// All histograms, with how many values each has.
    pub fn value_counts(&mut self) -> BTreeMap<String, usize> {
        self.take();
        self.values
            .iter()
            .filter(|(_, values)| !values.is_empty())
            .map(|(key, v)| (key.clone(), v.len()))
            .collect()
    }

    /// A snapshot takes what it shows. Checks on the way that all of it is in the list of names.
    fn take(&mut self) {
        for (key, _, _, value) in self.snapshotter.snapshot().into_vec() {
            let (kind, key) = key.into_parts();
            let known = ALL.iter().find(|metric| metric.name == key.name());
            let known = known.unwrap_or_else(|| panic!("`{}` is in no list", key.name()));
            let expected = match known.kind {
                Kind::Counter => MetricKind::Counter,
                Kind::UpDownCounter => MetricKind::Gauge,
                _ => MetricKind::Histogram,
            };
            assert_eq!(kind, expected, "`{}`", key.name());
            let labels: Vec<_> =
                key.labels().map(|label| format!("{}={}", label.key(), label.value())).collect();
            for label in key.labels() {
                assert!(
                    known.labels.contains(&label.key()),
                    "`{}` has a label `{}`",
                    key.name(),
                    label.key()
                );
            }
            let series = format!("{}{{{}}}", key.name(), labels.join(","));
            match value {
                DebugValue::Counter(by) => *self.sums.entry(series).or_default() += by as f64,
                DebugValue::Gauge(by) => *self.sums.entry(series).or_default() += by.into_inner(),
                DebugValue::Histogram(values) => {
                    self.values
                        .entry(series)
                        .or_default()
                        .extend(values.iter().map(|value| value.into_inner()));
                }
            }
        }
    }
}
