use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::Notify;

/// Tells work that a handler started elsewhere that its call was stopped.
///
/// The handler itself needs none: its future is dropped when the caller cancels, the deadline passes or the session
/// ends. What it spawned, or a blocking thread, goes on, and asks here. A call that ended normally is not cancelled.
#[derive(Clone, Default)]
pub struct Cancellation(Arc<Inner>);

#[derive(Default)]
struct Inner {
    cancelled: AtomicBool,
    changed: Notify,
}

impl Cancellation {
    /// Whether the call was stopped.
    pub fn is_cancelled(&self) -> bool {
        self.0.cancelled.load(Ordering::Acquire)
    }

    /// Ends when the call was stopped; never for a call that ended normally.
    ///
    /// # Cancel safety
    ///
    /// Holds nothing: drop it and ask again.
    pub async fn cancelled(&self) {
        let mut changed = std::pin::pin!(self.0.changed.notified());
        // Enlisted before the flag is read, or a cancel between the two would go unseen.
        changed.as_mut().enable();
        if !self.is_cancelled() {
            changed.await;
        }
    }

    pub(crate) fn cancel(&self) {
        self.0.cancelled.store(true, Ordering::Release);
        self.0.changed.notify_waiters();
    }
}

impl fmt::Debug for Cancellation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cancellation").field("cancelled", &self.is_cancelled()).finish()
    }
}
