//! Noticing that the device slept, or that the network may be back.
//!
//! [`SleepWatch`] tells from the clocks; [`PlatformWakeSignals`] listens to the platform, where that says such things.

#[cfg(test)]
mod tests;

use std::time::Duration;

use bowline_runtime::Instant;

/// What tells the platform's wake signals: the page's events in a browser, nothing natively.
#[cfg(not(target_arch = "wasm32"))]
pub type PlatformWakeSignals = crate::native::NativeWakeSignals;
/// What tells the platform's wake signals: the page's events in a browser, nothing natively.
#[cfg(target_arch = "wasm32")]
pub type PlatformWakeSignals = crate::web::WebWakeSignals;

/// How often the clocks are looked at.
const TICK: Duration = Duration::from_secs(5);
/// A jump that is larger is a sleep; timers are late by less.
const JUMP: Duration = Duration::from_secs(5);

/// Notices that the device slept, by clocks that jumped: more than 5 s beyond what was to be expected since the last look,
/// 5 s before.
///
/// Two clocks are needed, since on some systems the one that timers go by stands still in a sleep. A wall clock that
/// somebody sets looks like a sleep, which does no harm. Sources: our choice of numbers; on Linux `CLOCK_MONOTONIC` does
/// not count suspended time (`clock_gettime(2)`), and browsers keep the timers of hidden pages waiting for up to a minute,
/// which is to be noticed too.
///
/// No clock of its own: instants go in. Call [`handle_tick`](Self::handle_tick) when [`poll_timeout`](Self::poll_timeout)
/// has come, or later.
#[derive(Debug, Clone)]
pub struct SleepWatch {
    looked_at: Instant,
    /// The wall clock then, since 1970.
    wall: Duration,
}

impl SleepWatch {
    /// Starts at `now`, where the wall clock says `wall` since 1970.
    pub fn new(now: Instant, wall: Duration) -> Self {
        Self { looked_at: now, wall }
    }

    /// When to look next.
    pub fn poll_timeout(&self) -> Instant {
        self.looked_at + TICK
    }

    /// Looks at both clocks, and says whether the device slept since the last look.
    pub fn handle_tick(&mut self, now: Instant, wall: Duration) -> bool {
        let passed = now.saturating_duration_since(self.looked_at);
        let unseen = wall.saturating_sub(self.wall).saturating_sub(passed);
        *self = Self { looked_at: now, wall };
        unseen > JUMP || passed > TICK + JUMP
    }
}
