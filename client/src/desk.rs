//! How handles and the driver of a client meet.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::Context,
};

use futures_util::task::AtomicWaker;

/// Where handles leave what they want of the driver.
#[derive(Debug, Default)]
pub(crate) struct Desk {
    wishes: Mutex<Wishes>,
    waker: AtomicWaker,
}

#[derive(Debug, Default)]
pub(crate) struct Wishes {
    pub(crate) reconnect: bool,
    /// Not beside `reconnect`: the last word counts.
    pub(crate) disconnect: bool,
    pub(crate) wake: bool,
    pub(crate) close: bool,
}

impl Desk {
    /// The process slept, or the network may be back.
    pub(crate) fn wake(&self) {
        self.wish(|wishes| wishes.wake = true);
    }

    fn wish(&self, wish: impl FnOnce(&mut Wishes)) {
        wish(&mut self.lock());
        self.waker.wake();
    }

    /// Takes what was left, and wakes the task of `cx` when there is more.
    pub(crate) fn poll_wishes(&self, cx: &Context<'_>) -> Wishes {
        self.waker.register(cx.waker());
        std::mem::take(&mut *self.lock())
    }

    fn lock(&self) -> MutexGuard<'_, Wishes> {
        self.wishes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Held by everything that keeps a client alive: its handles, stubs, calls and streams. The last one closes it.
#[derive(Debug, Default)]
pub(crate) struct Lease(Arc<Desk>);

impl Lease {
    /// Where the driver looks.
    pub(crate) fn desk(&self) -> Arc<Desk> {
        self.0.clone()
    }

    pub(crate) fn reconnect(&self) {
        self.0.wish(|wishes| {
            wishes.reconnect = true;
            wishes.disconnect = false;
        });
    }

    pub(crate) fn disconnect(&self) {
        self.0.wish(|wishes| {
            wishes.disconnect = true;
            wishes.reconnect = false;
        });
    }

    pub(crate) fn wake(&self) {
        self.0.wake();
    }

    pub(crate) fn close(&self) {
        self.0.wish(|wishes| wishes.close = true);
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.close();
    }
}
