//! What was measured, for people and for machines.

mod metric;
mod table;

pub use metric::{Better, Metric, metrics};
pub use table::{number, table, verdicts};

use serde::Serialize;

use crate::measure::Spread;

/// The result of one scenario.
#[derive(Debug, Clone, Serialize)]
pub struct Measured {
    /// The stable id of the scenario, as in [`ALL`](crate::scenarios::ALL).
    pub scenario: &'static str,
    /// What was done, for people.
    pub title: &'static str,
    /// One for each peer, or way of using it, Bowline's first.
    pub lines: Vec<Line>,
}

impl Measured {
    /// The line of a peer.
    pub fn line(&self, peer: &str) -> Option<&Line> {
        self.lines.iter().find(|line| line.peer == peer)
    }
}

/// What one peer's work cost.
#[derive(Debug, Clone, Serialize)]
pub struct Line {
    /// Who, and how it was used.
    pub peer: String,
    /// What was found, in the order of the table's columns.
    pub values: Vec<Value>,
}

/// One number of a line.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Value {
    /// What it says.
    #[serde(rename = "metric", serialize_with = "metric::as_id")]
    pub metric: &'static Metric,
    /// How much, over all rounds.
    #[serde(flatten)]
    pub spread: Spread,
}

impl Line {
    /// One without numbers.
    pub fn new(peer: impl Into<String>) -> Self {
        Self { peer: peer.into(), values: Vec::new() }
    }

    /// The same with one number more.
    #[must_use]
    pub fn with(mut self, metric: &'static Metric, spread: Spread) -> Self {
        self.values.push(Value { metric, spread });
        self
    }

    /// The spread of a metric.
    pub fn get(&self, metric: &Metric) -> Option<Spread> {
        self.values.iter().find(|value| value.metric.id == metric.id).map(|value| value.spread)
    }
}
