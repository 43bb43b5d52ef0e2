use std::sync::Arc;

use super::guard::Guard;
use crate::Call;
use crate::once::Run;

/// A call that has not started.
pub(super) struct Waiting {
    pub(super) call: Call,
    pub(super) guard: Guard,
    /// For a `once` call that may start.
    pub(super) run: Option<Arc<Run>>,
}

impl Waiting {
    /// Answers it if it was stopped, or gives it back.
    pub(super) fn unless_stopped(self) -> Option<Self> {
        match self.guard.stopped() {
            Some(reason) => {
                // What it claimed is given up before the caller hears of it.
                drop(self.call);
                self.guard.finish_stopped(reason);
                None
            }
            None => Some(self),
        }
    }
}
