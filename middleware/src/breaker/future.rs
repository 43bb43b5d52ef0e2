use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bowline_rpc::{BoxError, Reply};
use bowline_runtime::{Instant, Moment, now};

use super::BreakerOpen;
use super::outcome::{self, Pace};
use super::shared::{Breaker, Shared};
use super::state::{Outcome, Permit};

pin_project_lite::pin_project! {
    /// The future of [`Breaker`](super::Breaker).
    #[must_use = "futures do nothing unless polled"]
    pub struct BreakerFuture<F> {
        #[pin]
        way: Way<F>,
    }
}

pin_project_lite::pin_project! {
    #[project = WayProject]
    enum Way<F> {
        Passed {
            #[pin]
            inner: F,
            watch: Option<Watch>,
        },
        Refused { wait: Duration },
    }
}

impl<F> BreakerFuture<F> {
    pub(super) fn passed(inner: F, watch: Option<Watch>) -> Self {
        Self { way: Way::Passed { inner, watch } }
    }

    pub(super) fn refused(wait: Duration) -> Self {
        Self { way: Way::Refused { wait } }
    }
}

impl<F, E> Future for BreakerFuture<F>
where
    F: Future<Output = Result<Reply, E>>,
    E: Into<BoxError>,
{
    type Output = Result<Reply, BoxError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let (inner, watch) = match self.project().way.project() {
            WayProject::Passed { inner, watch } => (inner, watch),
            WayProject::Refused { wait } => return Poll::Ready(Err(BreakerOpen::new(*wait).into())),
        };
        if let Some(watch) = watch {
            watch.polling = true;
        }
        let polled = inner.poll(cx);
        if let Some(watch) = watch {
            watch.polling = false;
        }
        let answer = ready!(polled).map_err(Into::into);
        if let Some(watch) = watch.take() {
            watch.end(outcome::of_answer(&answer));
        }
        Poll::Ready(answer)
    }
}

impl<F> fmt::Debug for BreakerFuture<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let refused = matches!(self.way, Way::Refused { .. });
        f.debug_struct("BreakerFuture").field("refused", &refused).finish_non_exhaustive()
    }
}

/// Sees to it that an admitted call gives its permit back, whatever becomes of it.
pub(super) struct Watch {
    shared: Arc<Shared>,
    breaker: Arc<Breaker>,
    permit: Option<Permit>,
    pace: Pace,
    /// A poll that does not return leaves this behind.
    polling: bool,
}

impl Watch {
    pub(super) fn new(shared: Arc<Shared>, breaker: Arc<Breaker>, permit: Permit, pace: Pace) -> Self {
        Self { shared, breaker, permit: Some(permit), pace, polling: false }
    }

    fn end(mut self, outcome: Outcome) {
        let now = Moment::after(self.pace.started);
        let outcome = self.pace.judge(now, outcome);
        self.give_back(now, outcome);
    }

    fn give_back(&mut self, now: Instant, outcome: Outcome) {
        if let Some(permit) = self.permit.take() {
            self.shared.handle_outcome(&self.breaker, now, permit, outcome);
        }
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        if self.permit.is_none() {
            return;
        }
        let (panicked, now) = (self.polling, now());
        let outcome = if panicked { Outcome::Failure } else { self.pace.judge_dropped(now) };
        self.give_back(now, outcome);
    }
}
