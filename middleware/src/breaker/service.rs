use std::fmt;
use std::sync::Arc;
use std::task::{Context, Poll};

use bowline_rpc::{BoxError, Call, Reply};
use bowline_runtime::Moment;
use tower_service::Service;

use super::future::{BreakerFuture, Watch};
use super::outcome::Pace;
use super::shared::{Admission, Shared};

/// The service of [`BreakerLayer`](super::BreakerLayer).
#[derive(Clone)]
pub struct Breaker<S> {
    inner: S,
    shared: Arc<Shared>,
}

impl<S> Breaker<S> {
    pub(super) fn new(inner: S, shared: Arc<Shared>) -> Self {
        Self { inner, shared }
    }
}

impl<S> Service<Call> for Breaker<S>
where
    S: Service<Call, Response = Reply>,
    S::Error: Into<BoxError>,
{
    type Response = Reply;
    /// [`BreakerOpen`](super::BreakerOpen), or the inner service's own.
    type Error = BoxError;
    type Future = BreakerFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.inner.poll_ready(cx).map_err(Into::into)
    }

    fn call(&mut self, call: Call) -> Self::Future {
        let now = Moment::recent();
        let watch = match self.shared.admit(call.service_name(), now) {
            Admission::Watched(breaker, permit) => {
                let pace = Pace::new(&call, now, self.shared.config.slow);
                Some(Watch::new(self.shared.clone(), breaker, permit, pace))
            }
            Admission::Unwatched => None,
            Admission::Refused(wait) => return BreakerFuture::refused(wait),
        };
        BreakerFuture::passed(self.inner.call(call), watch)
    }
}

impl<S> fmt::Debug for Breaker<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Breaker").field("config", &self.shared.config).finish_non_exhaustive()
    }
}
