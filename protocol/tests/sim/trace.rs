//! What happened, line by line: the same for the same seed, to the last byte.

use std::fmt::{self, Write};
use std::time::Duration;

use bowline_protocol::Instant;
use bowline_test_support::origin;

/// The lines of one run.
#[derive(Debug, Default)]
pub(crate) struct Trace {
    text: String,
}

impl Trace {
    /// Adds a line.
    pub(crate) fn line(&mut self, now: Instant, what: fmt::Arguments<'_>) {
        let at = now - origin();
        let _ = writeln!(self.text, "{:>4}.{:06} {what}", at.as_secs(), at.subsec_micros());
    }

    /// All of it.
    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// The last `lines` lines.
    pub(crate) fn end(&self, lines: usize) -> String {
        let all: Vec<_> = self.text.lines().collect();
        all[all.len().saturating_sub(lines)..].join("\n")
    }
}

/// Few digits that differ where bytes differ (FNV-1a).
pub(crate) fn digest(bytes: &[u8]) -> u32 {
    let mut hash = 0x811c_9dc5_u32;
    for &byte in bytes {
        hash = (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193);
    }
    hash
}

/// Milliseconds, for short lines.
pub(crate) fn ms(duration: Duration) -> u128 {
    duration.as_millis()
}
