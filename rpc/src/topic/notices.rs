use std::sync::atomic::{AtomicU64, Ordering};

/// What a topic's subscription has to tell the stream of its call beside the items. Both are polled by one task.
#[derive(Debug, Default)]
pub(crate) struct Notices {
    /// Items left out before the next one, or before the end.
    gap: AtomicU64,
    /// One more than the items left out at the end, where the reader was too slow.
    lagged: AtomicU64,
}

impl Notices {
    pub(crate) fn miss(&self, missed: u64) {
        self.gap.fetch_add(missed, Ordering::Relaxed);
    }

    pub(super) fn lag(&self, missed: u64) {
        let one = u64::from(self.lagged.load(Ordering::Relaxed) == 0);
        self.lagged.fetch_add(missed + one, Ordering::Relaxed);
    }

    pub(crate) fn take_gap(&self) -> Option<u64> {
        Some(self.gap.swap(0, Ordering::Relaxed)).filter(|missed| *missed > 0)
    }

    pub(crate) fn take_lagged(&self) -> Option<u64> {
        self.lagged.swap(0, Ordering::Relaxed).checked_sub(1)
    }
}
