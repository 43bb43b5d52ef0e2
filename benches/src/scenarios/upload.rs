//! Arguments of 1 MiB, one after the other: the server looks at one element.

use std::sync::Arc;

use super::contest::{self, Work};
use crate::Result;
use crate::measure::{Row, Setting};
use crate::peers;
use crate::report::{Line, metrics};

/// How many samples of four bytes make 1 MiB.
const SAMPLES: u32 = 1024 * 1024 / 4;

/// Numbers as measurements have them: with all their digits where they are written as text.
pub(super) fn samples() -> Arc<[f32]> {
    (0..SAMPLES).map(|at| (f64::from(at) * 0.001).sin() as f32).collect()
}

/// Measures all peers that take arguments of this size.
///
/// # Errors
///
/// The first of a peer.
pub fn run(setting: &Setting) -> Result<Vec<Line>> {
    let rows = contest::run(setting, &peers::uploaders(), Work::Uploads)?;
    let size = f64::from(SAMPLES) * size_of::<f32>() as f64;
    let line = |row: Row| {
        let throughput = row.cost.rate.map(|rate| rate * size / 1e6);
        Line::new(row.peer).with(&metrics::THROUGHPUT, throughput).with(&metrics::CPU, row.cost.cpu)
    };
    Ok(rows.into_iter().map(line).collect())
}
