//! Echo calls of 64 bytes over one connection, some of them in flight at any time.

use std::sync::Arc;

use super::contest;
use crate::Result;
use crate::measure::{Row, Setting};
use crate::peers;
use crate::report::{Line, metrics};

/// What is sent and comes back.
pub(crate) const TEXT: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

/// Measures all peers with so many calls in flight.
///
/// # Errors
///
/// The first of a peer.
pub fn run(setting: &Setting, in_flight: usize) -> Result<Vec<Line>> {
    measure(setting, peers::callers(), in_flight)
}

/// The same where arguments and answers are JSON.
///
/// # Errors
///
/// The first of a peer.
pub fn run_json(setting: &Setting, in_flight: usize) -> Result<Vec<Line>> {
    measure(setting, peers::json_callers(), in_flight)
}

fn measure(setting: &Setting, peers: Vec<Box<dyn peers::Peer>>, in_flight: usize) -> Result<Vec<Line>> {
    // Enough that each task makes a call, and some a second one.
    let smallest = 3 * in_flight as u64 / 2 + 3;
    let text: Arc<str> = TEXT.into();
    let rows = contest::run(setting, peers, smallest, move |caller, n| {
        let text = Arc::clone(&text);
        Box::pin(async move { caller.calls(text, in_flight, n).await })
    })?;
    let line =
        |row: Row| Line::new(row.peer).with(&metrics::CPU, row.cost.cpu).with(&metrics::RATE, row.cost.rate);
    Ok(rows.into_iter().map(line).collect())
}
