use std::fmt;

use bowline_protocol::status::Status;
use tracing::Span;
use tracing::span::Entered;

/// How a stream ended that a layer followed with [`Reply::on_end`](crate::Reply::on_end).
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum StreamEnd {
    /// It gave its last item; for a call of another kind, its value.
    Over,
    /// It ended with the method's own error.
    Application,
    /// It ended with Bowline's own word.
    Status(Status),
    /// Nobody wanted the rest: the caller withdrew the call, or the session ended.
    Dropped,
}

type Hook = Box<dyn FnOnce(&StreamEnd) + Send>;

/// What layers hang on an open stream.
#[derive(Default)]
pub(crate) struct Hooks {
    on_end: Vec<Hook>,
    span: Option<Span>,
}

impl Hooks {
    pub(crate) fn push(&mut self, hook: impl FnOnce(&StreamEnd) + Send + 'static) {
        self.on_end.push(Box::new(hook));
    }

    /// The innermost layer's span stands: it is the first to come.
    pub(crate) fn instrument(&mut self, span: Span) {
        self.span.get_or_insert(span);
    }

    pub(crate) fn enter(&self) -> Option<Entered<'_>> {
        self.span.as_ref().map(Span::enter)
    }

    pub(crate) fn end(&mut self, end: &StreamEnd) {
        for hook in self.on_end.drain(..) {
            hook(end);
        }
    }
}

impl Drop for Hooks {
    fn drop(&mut self) {
        self.end(&StreamEnd::Dropped);
    }
}

impl fmt::Debug for Hooks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hooks").field("on_end", &self.on_end.len()).finish_non_exhaustive()
    }
}
