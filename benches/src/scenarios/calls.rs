//! Echo calls of 64 bytes over one connection, some of them in flight at any time.

use super::contest::{self, Work};
use crate::Result;
use crate::measure::Setting;
use crate::peers::{self, Peer};
use crate::report::Line;

/// What is sent and comes back.
pub(crate) const TEXT: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

/// Measures all peers with so many calls in flight.
///
/// # Errors
///
/// The first of a peer.
pub fn run(setting: &Setting, in_flight: usize) -> Result<Vec<Line>> {
    measure(setting, &peers::callers(), in_flight)
}

/// The same where arguments and answers are JSON.
///
/// # Errors
///
/// The first of a peer.
pub fn run_json(setting: &Setting, in_flight: usize) -> Result<Vec<Line>> {
    measure(setting, &peers::json_callers(), in_flight)
}

fn measure(setting: &Setting, peers: &[Box<dyn Peer>], in_flight: usize) -> Result<Vec<Line>> {
    let rows = contest::run(setting, peers, Work::Calls(in_flight))?;
    Ok(rows.into_iter().map(Line::of_operations).collect())
}
