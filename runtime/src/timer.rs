use std::future::Future;
use std::pin::{Pin, pin};
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::future::{Either, select};

use crate::{Instant, now};

/// Ends after `duration`.
pub fn sleep(duration: Duration) -> Sleep {
    // A duration that no clock can hold never ends; 30 years are as good.
    let far = Duration::from_secs(30 * 365 * 24 * 60 * 60);
    sleep_until(now() + duration.min(far))
}

/// Ends at `deadline`, at once if that has passed.
pub fn sleep_until(deadline: Instant) -> Sleep {
    Sleep { inner: backend::Timer::new(deadline), deadline }
}

/// Gives `future` at most `duration`; polls it first, so that a ready future always wins.
///
/// # Errors
///
/// [`Elapsed`] when the time was up first; the future is dropped then.
///
/// # Cancel safety
///
/// As far as the future is.
pub async fn timeout<F: Future>(duration: Duration, future: F) -> Result<F::Output, Elapsed> {
    match select(pin!(future), sleep(duration)).await {
        Either::Left((output, _)) => Ok(output),
        Either::Right(((), _)) => Err(Elapsed(())),
    }
}

/// The future of [`sleep`] and [`sleep_until`]. `Send` and `Unpin` on every target.
#[must_use = "a sleep does nothing until it is awaited"]
#[derive(Debug)]
pub struct Sleep {
    inner: backend::Timer,
    deadline: Instant,
}

impl Sleep {
    /// When it ends.
    pub fn deadline(&self) -> Instant {
        self.deadline
    }

    /// Moves the end to `deadline`, also after it was over.
    pub fn reset(&mut self, deadline: Instant) {
        self.deadline = deadline;
        self.inner.reset(deadline);
    }
}

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.inner.poll(cx)
    }
}

/// The time was up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Elapsed(());

impl std::fmt::Display for Elapsed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the time was up")
    }
}

impl std::error::Error for Elapsed {}

#[cfg(not(target_arch = "wasm32"))]
mod backend {
    use std::task::Waker;

    use tokio::task::coop::has_budget_remaining;

    use super::*;

    #[derive(Debug)]
    pub(super) struct Timer {
        sleep: Pin<Box<tokio::time::Sleep>>,
        /// Whom it wakes when it fires. A task that runs for other reasons, as most do at every message, has nothing to
        /// tell it until then.
        waiting: Option<Waker>,
    }

    impl Timer {
        pub(super) fn new(deadline: Instant) -> Self {
            Self { sleep: Box::pin(tokio::time::sleep_until(deadline.into())), waiting: None }
        }

        pub(super) fn reset(&mut self, deadline: Instant) {
            self.sleep.as_mut().reset(deadline.into());
            // It may have fired, and knows nobody then.
            self.waiting = None;
        }

        pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
            let waits = self.waiting.as_ref().is_some_and(|waiting| waiting.will_wake(cx.waker()));
            if waits && !self.sleep.is_elapsed() {
                return Poll::Pending;
            }
            // Where a task has used up its turn, tokio does not even look at the timer.
            let looks = has_budget_remaining();
            let polled = self.sleep.as_mut().poll(cx);
            self.waiting = (looks && polled.is_pending()).then(|| cx.waker().clone());
            polled
        }
    }
}

#[cfg(target_arch = "wasm32")]
mod backend {
    use gloo_timers::future::TimeoutFuture;
    use send_wrapper::SendWrapper;

    use super::*;

    /// `setTimeout` counts in `i32` milliseconds; longer sleeps take several.
    const LONGEST: Duration = Duration::from_millis(i32::MAX as u64);

    pub(super) struct Timer {
        deadline: Instant,
        /// `None` until the first poll, so that a sleep nobody awaits sets no timer.
        timeout: Option<SendWrapper<Timeout>>,
    }

    /// A timer of the browser.
    struct Timeout {
        future: TimeoutFuture,
        /// When it fires at the earliest.
        at: Instant,
    }

    impl Timer {
        pub(super) fn new(deadline: Instant) -> Self {
            Self { deadline, timeout: None }
        }

        pub(super) fn reset(&mut self, deadline: Instant) {
            self.deadline = deadline;
            // One that fires too early is only set again then: setting and clearing one costs more than a poll, and
            // a deadline that moves with every message moves to later. Timers are rounded up by as much as one may be late.
            self.timeout.take_if(|timeout| timeout.at > deadline + Duration::from_millis(1));
        }

        pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
            loop {
                if let Some(timeout) = &mut self.timeout {
                    std::task::ready!(Pin::new(&mut timeout.future).poll(cx));
                    self.timeout = None;
                }
                let now = now();
                let left = self.deadline.saturating_duration_since(now);
                if left.is_zero() {
                    return Poll::Ready(());
                }
                // Rounded up: a timer that fires early would only be set again.
                let millis = left.min(LONGEST).as_micros().div_ceil(1000).min(LONGEST.as_millis());
                let millis = u32::try_from(millis).unwrap_or(u32::MAX);
                let at = now + Duration::from_millis(millis.into());
                self.timeout = Some(SendWrapper::new(Timeout { future: TimeoutFuture::new(millis), at }));
            }
        }
    }

    impl std::fmt::Debug for Timer {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.debug_struct("Timer").field("deadline", &self.deadline).finish_non_exhaustive()
        }
    }
}
