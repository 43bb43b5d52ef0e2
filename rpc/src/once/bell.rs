use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::task::{Context, Waker};

/// Tells one task that something changed for what it waits for. Rings until it is heard.
#[derive(Debug, Default)]
pub(crate) struct Bell {
    rung: AtomicBool,
    waker: Mutex<Option<Waker>>,
}

impl Bell {
    pub(crate) fn ring(&self) {
        self.rung.store(true, Ordering::Release);
        let waker = self.waker.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// Whether it rang since this was last asked; the task is woken when it rings next.
    pub(crate) fn heard(&self, cx: &Context<'_>) -> bool {
        let older = self.waker.lock().unwrap_or_else(PoisonError::into_inner).replace(cx.waker().clone());
        drop(older);
        self.rung.swap(false, Ordering::AcqRel)
    }
}
