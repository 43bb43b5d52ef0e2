use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bowline_rpc::{BoxError, Reply};

use super::record::Record;

pin_project_lite::pin_project! {
    /// The future of [`Metrics`](super::Metrics).
    #[must_use = "futures do nothing unless polled"]
    pub struct MetricsFuture<F> {
        // Before the record: a call has not ended while something of it is still being dropped.
        #[pin]
        inner: F,
        record: Option<Record>,
    }
}

impl<F> MetricsFuture<F> {
    pub(super) fn new(inner: F, record: Record) -> Self {
        Self { inner, record: Some(record) }
    }
}

impl<F, E> Future for MetricsFuture<F>
where
    F: Future<Output = Result<Reply, E>>,
    E: Into<BoxError>,
{
    type Output = Result<Reply, BoxError>;

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let Some(record) = this.record else { return this.inner.poll(cx).map_err(Into::into) };
        record.polling = true;
        let polled = this.inner.poll(cx);
        record.polling = false;
        let answer = ready!(polled).map_err(Into::into);
        match answer {
            Ok(reply) if reply.is_stream() => match this.record.take() {
                Some(record) => Poll::Ready(Ok(record.follow(reply))),
                None => Poll::Ready(Ok(reply)),
            },
            // Where it lies: it is large.
            ended => {
                record.answered(&ended);
                Poll::Ready(ended)
            }
        }
    }
}

impl<F> fmt::Debug for MetricsFuture<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MetricsFuture").finish_non_exhaustive()
    }
}
