use std::task::{Context, Poll};

use bowline_rpc::{Call, Reply};
use tower_service::Service;
use tracing::Span;
use tracing::field::{Empty, display};

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
        let span = tracing::debug_span!(
            "rpc",
            rpc.system.name = "bowline",
            rpc.method = %format_args!("{}/{}", call.service_name(), call.method_name()),
            otel.kind = kind,
            error.type = Empty,
            trace_id = Empty,
            parent_id = Empty,
        );
        if !span.is_disabled() {
            self.join(&span, call);
        }
        span
    }

    /// Finds the trace of the call, or begins one.
    fn join(&self, span: &Span, call: &mut Call) {
        let stated = call.metadata().get(TraceParent::KEY).and_then(TraceParent::parse);
        let parent = match (stated, self.end) {
            (Some(parent), _) => parent,
            (None, End::Client) => {
                let parent = TraceParent::random();
                call.metadata_mut().insert(TraceParent::KEY, parent.to_string());
                parent
            }
            (None, End::Server) => return,
        };
        span.record("trace_id", display(format_args!("{:032x}", parent.trace)));
        span.record("parent_id", display(format_args!("{:016x}", parent.parent)));
    }
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
