//! How long things took: many in a few bytes, and together from several processes.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};

/// The longest that is told apart: ten minutes, in microseconds.
const LONGEST: u64 = 600_000_000;

/// Durations in microseconds, with three digits, from several threads.
#[derive(Debug)]
pub(crate) struct Recorder(Vec<Mutex<Histogram<u64>>>);

impl Recorder {
    pub(crate) fn new() -> Self {
        // So many that two threads seldom want the same one.
        Self((0..16).map(|_| Mutex::new(empty())).collect())
    }

    /// `key` is who records; it decides nothing but the place.
    pub(crate) fn record(&self, key: usize, took: Duration) {
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        let shard = &self.0[key % self.0.len()];
        shard.lock().unwrap_or_else(PoisonError::into_inner).saturating_record(micros);
    }

    pub(crate) fn finish(&self) -> Latencies {
        let mut all = empty();
        for shard in &self.0 {
            all += &*shard.lock().unwrap_or_else(PoisonError::into_inner);
        }
        Latencies::of(&all)
    }
}

/// What was recorded, to be sent to another process: microseconds, and how often.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Latencies(Vec<(u64, u64)>);

impl Latencies {
    fn of(all: &Histogram<u64>) -> Self {
        Self(all.iter_recorded().map(|step| (step.value_iterated_to(), step.count_at_value())).collect())
    }

    /// Those of two processes.
    pub(crate) fn and(mut self, other: Self) -> Self {
        self.0.extend(other.0);
        self
    }

    pub(crate) fn merge<'a>(parts: impl IntoIterator<Item = &'a Self>) -> Spread {
        let mut all = empty();
        for (micros, times) in parts.into_iter().flat_map(|part| &part.0) {
            all.saturating_record_n(*micros, *times);
        }
        Spread {
            count: all.len(),
            p50_ms: all.value_at_quantile(0.5) as f64 / 1000.0,
            p99_ms: all.value_at_quantile(0.99) as f64 / 1000.0,
            max_ms: all.max() as f64 / 1000.0,
        }
    }
}

/// The middle, nearly the end and the end of many durations, in milliseconds.
#[derive(Debug, Default, Clone, Copy, PartialEq, Serialize)]
pub(crate) struct Spread {
    pub(crate) count: u64,
    pub(crate) p50_ms: f64,
    pub(crate) p99_ms: f64,
    pub(crate) max_ms: f64,
}

fn empty() -> Histogram<u64> {
    Histogram::new_with_max(LONGEST, 3).expect("three digits up to ten minutes are possible")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_from_several_processes_are_one() {
        let (one, other) = (Recorder::new(), Recorder::new());
        for milli in 1..=100 {
            let recorder = if milli % 2 == 0 { &one } else { &other };
            recorder.record(milli, Duration::from_millis(milli as u64));
        }
        other.record(0, Duration::from_secs(10_000));
        let text = serde_json::to_string(&one.finish()).unwrap();
        let spread = Latencies::merge([&serde_json::from_str(&text).unwrap(), &other.finish()]);
        assert_eq!(spread.count, 101);
        assert!((spread.p50_ms - 51.0).abs() < 0.1, "{spread:?}");
        assert!(spread.max_ms > 590_000.0, "what is too long counts as the longest: {spread:?}");
    }
}
