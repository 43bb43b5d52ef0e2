use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bowline_rpc::{Reply, StreamEnd};
use tracing::Span;

pin_project_lite::pin_project! {
    /// The future of [`Trace`](super::Trace).
    #[derive(Debug)]
    #[must_use = "futures do nothing unless polled"]
    pub struct TraceFuture<F> {
        // Before the span: what the call drops belongs to it.
        #[pin]
        inner: F,
        // None where nobody records the span, and once the call has its answer. Apart: such a call is not moved together
        // with room for one.
        record: Option<Box<Record>>,
    }
}

impl<F> TraceFuture<F> {
    pub(super) fn new(inner: F, span: Span) -> Self {
        let record = (!span.is_disabled()).then(|| Box::new(Record { span, dropped: Some(CANCELLED) }));
        Self { inner, record }
    }
}

impl<F, E> Future for TraceFuture<F>
where
    F: Future<Output = Result<Reply, E>>,
{
    type Output = Result<Reply, E>;

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        match this.record {
            None => this.inner.poll(cx),
            record => recorded(this.inner, record, cx),
        }
    }
}

/// Polls a call whose span somebody records.
#[inline(never)]
fn recorded<F, E>(
    inner: Pin<&mut F>,
    known: &mut Option<Box<Record>>,
    cx: &mut Context<'_>,
) -> Poll<Result<Reply, E>>
where
    F: Future<Output = Result<Reply, E>>,
{
    let Some(record) = known else { return inner.poll(cx) };
    record.dropped = Some(PANICKED);
    let result = record.span.in_scope(|| inner.poll(cx));
    record.dropped = Some(CANCELLED);
    let result = ready!(result);
    let Some(record) = known.take() else { return Poll::Ready(result) };
    Poll::Ready(match result {
        Ok(reply) if reply.is_stream() => Ok(record.follow(reply)),
        ended => {
            record.end(error_of(&ended));
            ended
        }
    })
}

/// What a call that is dropped before it ended is recorded as.
const CANCELLED: &str = "cancelled";
/// The same where a poll did not return: what the caller gets to see of a panic.
const PANICKED: &str = "internal";

/// The span of a call until its end is on record.
#[derive(Debug)]
struct Record {
    span: Span,
    dropped: Option<&'static str>,
}

impl Record {
    fn follow(self, stream: Reply) -> Reply {
        stream.instrument(self.span.clone()).on_end(move |end| match end {
            StreamEnd::Over => self.end(None),
            StreamEnd::Application => self.end(Some("application")),
            StreamEnd::Status(status) => self.end(Some(status.code.as_str())),
            // The reader lost interest: on record as such when it is dropped.
            _ => {}
        })
    }

    fn end(mut self, error: Option<&'static str>) {
        self.dropped = error;
    }
}

/// What a call that is no stream ended with.
fn error_of<E>(answer: &Result<Reply, E>) -> Option<&'static str> {
    match answer {
        Ok(reply) if reply.is_application_error() => Some("application"),
        Ok(reply) => reply.status().map(|status| status.code.as_str()),
        Err(_) => Some("_OTHER"),
    }
}

impl Drop for Record {
    fn drop(&mut self) {
        if let Some(error) = self.dropped {
            self.span.record("error.type", error);
        }
    }
}
