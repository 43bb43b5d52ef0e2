//! Streams from the server, read as fast as they come.

use super::contest;
use crate::Result;
use crate::measure::{Row, Setting};
use crate::peers;
use crate::report::{Line, metrics};

/// Measures all peers that have streams; an operation is an item.
///
/// # Errors
///
/// The first of a peer.
pub fn run(setting: &Setting) -> Result<Vec<Line>> {
    let length = setting.pick(300, 200_000, 200_000);
    let rows = contest::run(setting, peers::streamers(), length, move |caller, n| {
        Box::pin(async move {
            let mut left = n;
            while left > 0 {
                let items = left.min(length);
                caller.items(items).await?;
                left -= items;
            }
            Ok(())
        })
    })?;
    let line =
        |row: Row| Line::new(row.peer).with(&metrics::CPU, row.cost.cpu).with(&metrics::RATE, row.cost.rate);
    Ok(rows.into_iter().map(line).collect())
}
