use std::sync::{Mutex, PoisonError};

/// What a topic's subscription has to tell the stream of its call beside the items.
#[derive(Debug, Default)]
pub(crate) struct Notices(Mutex<Told>);

#[derive(Debug, Default)]
struct Told {
    /// Items left out before the next one.
    gap: u64,
    /// Items left out at the end, where the reader was too slow.
    lagged: Option<u64>,
}

impl Notices {
    pub(super) fn miss(&self, missed: u64) {
        self.with(|told| told.gap += missed);
    }

    pub(super) fn lag(&self, missed: u64) {
        self.with(|told| *told.lagged.get_or_insert(0) += missed);
    }

    pub(crate) fn take_gap(&self) -> Option<u64> {
        self.with(|told| Some(std::mem::take(&mut told.gap)).filter(|missed| *missed > 0))
    }

    pub(crate) fn take_lagged(&self) -> Option<u64> {
        self.with(|told| told.lagged.take())
    }

    fn with<R>(&self, step: impl FnOnce(&mut Told) -> R) -> R {
        step(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
