use std::task::{Context, Poll};

use bowline_rpc::{BoxError, Call, Reply};
use tower_service::Service;

use super::MetricsFuture;
use super::record::Record;
use super::series::Reader;

/// The service of [`MetricsLayer`](super::MetricsLayer).
#[derive(Debug, Clone)]
pub struct Metrics<S> {
    inner: S,
    reader: Reader,
}

impl<S> Metrics<S> {
    pub(super) fn new(inner: S, reader: Reader) -> Self {
        Self { inner, reader }
    }
}

impl<S> Service<Call> for Metrics<S>
where
    S: Service<Call, Response = Reply>,
    S::Error: Into<BoxError>,
{
    type Response = Reply;
    /// The inner service's own.
    type Error = BoxError;
    type Future = MetricsFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.inner.poll_ready(cx).map_err(Into::into)
    }

    fn call(&mut self, call: Call) -> Self::Future {
        let series = self.reader.series(call.service(), call.method_index());
        let record = Record::new(series, &call);
        MetricsFuture::new(self.inner.call(call), record)
    }
}
