use std::cell::LazyCell;
use std::task::{Context, Poll};

use bowline_rpc::{Call, Reply};
use tower_service::Service;
use tracing::Span;
use tracing::field::Empty;

use super::TraceFuture;
use super::layer::End;
use super::parent::TraceParent;

/// The service of [`TraceLayer`](super::TraceLayer).
#[derive(Debug, Clone)]
pub struct Trace<S> {
    inner: S,
    end: End,
}

impl<S> Trace<S> {
    pub(super) fn new(inner: S, end: End) -> Self {
        Self { inner, end }
    }

    fn span(&self, call: &mut Call) -> Span {
        let kind = match self.end {
            End::Client => "client",
            End::Server => "server",
        };
        // Only where somebody records the span.
        let parent = LazyCell::new(|| self.parent(call));
        let span = tracing::debug_span!(
            "rpc",
            rpc.system.name = "bowline",
            rpc.method = %format_args!("{}/{}", call.service_name(), call.method_name()),
            otel.kind = kind,
            error.type = Empty,
            trace_id = parent.map(|parent| display(parent.trace_id())),
            parent_id = parent.map(|parent| display(parent.parent_id())),
        );
        if span.is_disabled() {
            return span;
        }
        if let Some(parent) = *parent
            && self.end == End::Client
            && stated(call).is_none()
        {
            call.metadata_mut().insert(TraceParent::KEY, parent.text());
        }
        span
    }

    /// Finds the trace of the call; a client begins one where there is none.
    fn parent(&self, call: &Call) -> Option<TraceParent> {
        let begin = || (self.end == End::Client).then(TraceParent::random);
        stated(call).or_else(begin)
    }
}

/// The trace that the call's metadata tells of.
fn stated(call: &Call) -> Option<TraceParent> {
    call.metadata().get(TraceParent::KEY).and_then(TraceParent::parse)
}

impl<S> Service<Call> for Trace<S>
where
    S: Service<Call, Response = Reply>,
{
    type Response = Reply;
    type Error = S::Error;
    type Future = TraceFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut call: Call) -> Self::Future {
        let span = self.span(&mut call);
        // What a layer or handler does before its future exists belongs to the call too.
        let inner = span.in_scope(|| self.inner.call(call));
        TraceFuture::new(inner, span)
    }
}
