//! Streams from the server, read as fast as they come.

use super::contest::{self, Work};
use crate::Result;
use crate::measure::Setting;
use crate::peers;
use crate::report::Line;

/// Measures all peers that have streams; an operation is an item.
///
/// # Errors
///
/// The first of a peer.
pub fn run(setting: &Setting) -> Result<Vec<Line>> {
    let work = Work::Items(setting.pick(300, 200_000, 200_000));
    let rows = contest::run(setting, &peers::streamers(), work)?;
    Ok(rows.into_iter().map(Line::of_operations).collect())
}
