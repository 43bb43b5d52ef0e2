use std::pin::Pin;
use std::task::{Context, Poll};

use bowline_protocol::codec::Buffer;
use bowline_protocol::session::WireFailure;
use bowline_protocol::status::{Code, Status};
use bytes::Bytes;

use super::guard::Guard;
use super::panic::guarded;
use crate::peer::{StopReason, Terminal};
use crate::reply::Outcome;
use crate::stream::{Body, BodyEnd};
use crate::{BoxError, Reply};

/// One received call from the layers' future to its terminal envelope.
pub(super) struct Running<F> {
    /// `None` once the call was answered.
    guard: Option<Guard>,
    work: Work<F>,
    /// Its first poll is inline, where it has been seen that nobody stopped it.
    is_new: bool,
    status_of: fn(&BoxError) -> Status,
}

enum Work<F> {
    /// The layers' future around the handler's.
    Call(Pin<Box<F>>),
    /// The stream that the handler accepted.
    Stream(Body),
    Stopped,
}

impl<F> Running<F> {
    pub(super) fn new(guard: Guard, future: F, status_of: fn(&BoxError) -> Status) -> Self {
        Self { guard: Some(guard), work: Work::Call(Box::pin(future)), is_new: true, status_of }
    }

    /// Drops the handler, then answers.
    fn end(&mut self, terminal: Terminal) -> Poll<()> {
        let Some(guard) = self.guard.take() else { return Poll::Ready(()) };
        let work = std::mem::replace(&mut self.work, Work::Stopped);
        let dropped = guarded(&|| guard.name(), || drop(work));
        guard.finish(dropped.map_or_else(failed, |()| terminal));
        Poll::Ready(())
    }

    fn stop(&mut self, reason: StopReason) -> Poll<()> {
        let Some(guard) = self.guard.take() else { return Poll::Ready(()) };
        let work = std::mem::replace(&mut self.work, Work::Stopped);
        // A destructor that panics was logged; the call ends as it was going to.
        let _logged = guarded(&|| guard.name(), || drop(work));
        guard.finish_stopped(reason);
        Poll::Ready(())
    }
}

// The work is boxed or `Unpin`.
impl<F> Unpin for Running<F> {}

impl<F, E> Future for Running<F>
where
    F: Future<Output = Result<Reply, E>>,
    E: Into<BoxError>,
{
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = self.get_mut();
        loop {
            let Some(guard) = &this.guard else { return Poll::Ready(()) };
            if !std::mem::take(&mut this.is_new)
                && let Poll::Ready(reason) = guard.poll_stopped(cx)
            {
                return this.stop(reason);
            }
            let polled = match &mut this.work {
                Work::Call(future) => guarded(&|| guard.name(), || {
                    future.as_mut().poll(cx).map(|output| Step::from(answer(output, this.status_of)))
                }),
                Work::Stream(body) => {
                    guarded(&|| guard.name(), || Pin::new(body).poll(cx).map(|end| Step::End(end.into())))
                }
                Work::Stopped => return Poll::Ready(()),
            };
            match polled {
                Ok(Poll::Pending) => return Poll::Pending,
                Ok(Poll::Ready(Step::Accept(body))) => {
                    guard.accept();
                    // The layers' future has ended, and what it held is given back before the first item.
                    let ended = std::mem::replace(&mut this.work, Work::Stream(body));
                    if let Err(panicked) = guarded(&|| guard.name(), || drop(ended)) {
                        return this.end(failed(panicked));
                    }
                }
                Ok(Poll::Ready(Step::End(terminal))) => return this.end(terminal),
                Err(panicked) => return this.end(failed(panicked)),
            }
        }
    }
}

enum Step {
    Accept(Body),
    End(Terminal),
}

impl From<Reply> for Step {
    fn from(reply: Reply) -> Self {
        match reply.0 {
            Outcome::Body(body) => Self::Accept(body),
            other => Self::End(terminal(Reply(other))),
        }
    }
}

/// What the layers said, errors of their own as statuses.
pub(super) fn answer<E: Into<BoxError>>(
    output: Result<Reply, E>,
    status_of: fn(&BoxError) -> Status,
) -> Reply {
    output.unwrap_or_else(|error| status_of(&error.into()).into())
}

/// The terminal envelope of a call that has ended.
pub(super) fn terminal(reply: Reply) -> Terminal {
    match reply.0 {
        Outcome::Value(_, buffer) => Terminal::Value(bytes(buffer)),
        Outcome::Application(_, buffer) => Terminal::Failed(WireFailure::Application(bytes(buffer))),
        Outcome::Failed(status, _) => failed(status),
        // One-way calls have no terminal envelope.
        Outcome::Done => Terminal::Nothing,
        Outcome::Body(_) => failed(Status::new(Code::Internal, "a stream can't answer a call of one value")),
        Outcome::Opened(_) => {
            failed(Status::new(Code::Internal, "a stream of another session can't be passed on"))
        }
    }
}

impl From<BodyEnd> for Terminal {
    fn from(end: BodyEnd) -> Self {
        match end {
            BodyEnd::Over => Self::End,
            BodyEnd::Error(bytes) => Self::Failed(WireFailure::Application(bytes)),
            BodyEnd::Status(status) => failed(status),
        }
    }
}

pub(super) fn failed(status: Status) -> Terminal {
    Terminal::Failed(WireFailure::Status(status))
}

/// Answers of our own handlers are small buffers already; one that a layer passed on may be an assembled one.
fn bytes(buffer: Buffer) -> Bytes {
    match buffer {
        Buffer::Small(bytes) => bytes,
        assembled @ Buffer::Assembled(_) => Bytes::copy_from_slice(&assembled),
    }
}
