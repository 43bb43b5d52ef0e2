//! What was measured, for people and for machines.

mod facts;
mod json;
mod metric;
mod svg;
mod table;

pub use facts::{Facts, Machine};
pub use json::Report;
pub use metric::{Better, Metric, metrics};
pub use svg::plot;
pub use table::{number, table, verdicts};

use serde::{Serialize, Serializer};

use crate::measure::{Row, Spread};

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

    /// Everything that its lines say, in the order of the first line that says it.
    pub fn metrics(&self) -> Vec<&'static Metric> {
        let mut metrics: Vec<&'static Metric> = Vec::new();
        for value in self.lines.iter().flat_map(|line| &line.values) {
            if !metrics.iter().any(|metric| metric.id == value.metric.id) {
                metrics.push(value.metric);
            }
        }
        metrics
    }
}

/// What one peer's work cost.
#[derive(Debug, Clone, Serialize)]
pub struct Line {
    /// Who, and how it was used.
    pub peer: String,
    /// What was found, in the order of the table's columns.
    #[serde(serialize_with = "by_metric")]
    pub values: Vec<Value>,
}

/// One number of a line.
#[derive(Debug, Clone, Copy)]
pub struct Value {
    /// What it says.
    pub metric: &'static Metric,
    /// How much, over all rounds.
    pub spread: Spread,
}

impl Line {
    /// One without numbers.
    pub fn new(peer: impl Into<String>) -> Self {
        Self { peer: peer.into(), values: Vec::new() }
    }

    /// What an operation costs, and how many there are in a second.
    pub fn of_operations(row: Row) -> Self {
        Self::new(row.peer).with(&metrics::CPU, row.cost.cpu).with(&metrics::RATE, row.cost.rate)
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

fn by_metric<S: Serializer>(values: &[Value], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_map(values.iter().map(|value| (value.metric.id, value.spread)))
}
