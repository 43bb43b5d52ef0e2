use std::time::Duration;

use bowline_runtime::Instant;

/// In so many steps the window slides: whether an outcome counts for 29 or 30 s makes no difference.
pub(super) const SLOTS: usize = 30;

/// Outcomes of the recent past, in memory that does not grow with them.
#[derive(Debug)]
pub(super) struct Window {
    start: Instant,
    width: Duration,
    /// The number of the newest slot since `start`.
    newest: u64,
    /// When the newest slot ends; at `start` where that is not known.
    until: Instant,
    slots: [Slot; SLOTS],
    all: Slot,
}

#[derive(Debug, Clone, Copy, Default)]
struct Slot {
    good: u64,
    bad: u64,
}

impl Slot {
    fn add(&mut self, bad: bool) {
        if bad {
            self.bad += 1;
        } else {
            self.good += 1;
        }
    }
}

impl Window {
    pub(super) fn new(start: Instant, length: Duration) -> Self {
        Self {
            start,
            width: length / SLOTS as u32,
            newest: 0,
            until: start,
            slots: [Slot::default(); SLOTS],
            all: Slot::default(),
        }
    }

    pub(super) fn record(&mut self, now: Instant, bad: bool) {
        self.slide(now);
        self.slot(self.newest).add(bad);
        self.all.add(bad);
    }

    /// How many outcomes it holds.
    pub(super) fn calls(&self) -> u64 {
        self.all.good + self.all.bad
    }

    /// How many of these were bad.
    pub(super) fn bad(&self) -> u64 {
        self.all.bad
    }

    /// Forgets what is too old. Time that runs backwards, as between two threads, stands still.
    fn slide(&mut self, now: Instant) {
        if now < self.until {
            return;
        }
        let passed = now.saturating_duration_since(self.start);
        let number = u64::try_from(passed.as_nanos() / self.width.as_nanos()).unwrap_or(u64::MAX);
        let steps = number.saturating_sub(self.newest);
        for step in 1..=steps.min(SLOTS as u64) {
            let slot = self.slot(self.newest.wrapping_add(step));
            let old = std::mem::take(slot);
            self.all.good -= old.good;
            self.all.bad -= old.bad;
        }
        self.newest = self.newest.max(number);
        // Beyond what a clock or a factor holds, each outcome looks anew.
        let passed = u32::try_from(self.newest + 1).ok().and_then(|slots| self.width.checked_mul(slots));
        self.until = passed.and_then(|passed| self.start.checked_add(passed)).unwrap_or(self.start);
    }

    fn slot(&mut self, number: u64) -> &mut Slot {
        &mut self.slots[(number % SLOTS as u64) as usize]
    }
}
