use std::future::Future;
use std::task::Context;

use crate::MaybeSend;

/// Runs `future` beside the caller, on tokio's runtime or the browser's event loop.
///
/// # Panics
///
/// On native targets outside of a tokio runtime.
pub fn spawn(future: impl Future<Output = ()> + MaybeSend + 'static) -> Task {
    Task { inner: backend::Handle::spawn(future), detached: false }
}

/// Wakes the task of `cx` once those that are ready have run and sockets and timers have been looked at, which then may
/// have something for others.
///
/// A task that wakes itself at once comes behind those that are ready already; a tokio worker that always has such a task
/// looks at its sockets only after dozens of them. In a browser and outside of a runtime the task is woken at once.
pub fn wake_last(cx: &mut Context<'_>) {
    backend::wake_last(cx);
}

/// Whether the task that runs may go on before others have their turn, as far as tokio counts: without, its sockets, timers
/// and channels are pending whatever they have. Always in a browser and outside of a runtime.
pub fn has_budget() -> bool {
    backend::has_budget()
}

/// A spawned future and its owner: dropping it aborts the future.
#[must_use = "dropping a task aborts it; call `detach` to let it run"]
#[derive(Debug)]
pub struct Task {
    inner: backend::Handle,
    detached: bool,
}

impl Task {
    /// Stops the future at its next await; it is dropped soon after, not before this returns.
    pub fn abort(&self) {
        self.inner.abort();
    }

    /// Lets the future run on without an owner.
    pub fn detach(mut self) {
        self.detached = true;
    }

    /// Whether the future has ended or was aborted and dropped.
    pub fn is_finished(&self) -> bool {
        self.inner.is_finished()
    }
}

impl Drop for Task {
    fn drop(&mut self) {
        if !self.detached {
            self.inner.abort();
        }
    }
}

#[cfg(not(target_arch = "wasm32"))]
mod backend {
    use std::pin::pin;

    use super::*;

    pub(super) fn wake_last(cx: &mut Context<'_>) {
        // Polled once it has arranged for that.
        let _ = pin!(tokio::task::yield_now()).poll(cx);
    }

    pub(super) fn has_budget() -> bool {
        tokio::task::coop::has_budget_remaining()
    }

    #[derive(Debug)]
    pub(super) struct Handle(tokio::task::JoinHandle<()>);

    impl Handle {
        pub(super) fn spawn(future: impl Future<Output = ()> + MaybeSend + 'static) -> Self {
            Self(tokio::spawn(future))
        }

        pub(super) fn abort(&self) {
            self.0.abort();
        }

        pub(super) fn is_finished(&self) -> bool {
            self.0.is_finished()
        }
    }
}

#[cfg(target_arch = "wasm32")]
mod backend {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};

    use futures_util::future::{AbortHandle, abortable};

    use super::*;

    pub(super) fn wake_last(cx: &mut Context<'_>) {
        cx.waker().wake_by_ref();
    }

    pub(super) fn has_budget() -> bool {
        true
    }

    #[derive(Debug)]
    pub(super) struct Handle {
        abort: AbortHandle,
        finished: Arc<AtomicBool>,
    }

    impl Handle {
        pub(super) fn spawn(future: impl Future<Output = ()> + MaybeSend + 'static) -> Self {
            let (future, abort) = abortable(future);
            let finished = Arc::new(AtomicBool::new(false));
            let ended = finished.clone();
            wasm_bindgen_futures::spawn_local(async move {
                // An aborted future is over as well.
                let _ = future.await;
                ended.store(true, Ordering::Release);
            });
            Self { abort, finished }
        }

        pub(super) fn abort(&self) {
            self.abort.abort();
        }

        pub(super) fn is_finished(&self) -> bool {
            self.finished.load(Ordering::Acquire)
        }
    }
}
