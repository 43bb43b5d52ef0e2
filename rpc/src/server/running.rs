use std::pin::Pin;
use std::task::{Context, Poll};

use bowline_protocol::codec::Buffer;
use bowline_protocol::session::WireFailure;
use bowline_protocol::status::{Code, Status};
use bytes::Bytes;

use super::guard::{Answers, Guard};
use super::panic::guarded;
use crate::peer::{StopReason, Terminal};
use crate::reply::Outcome;
use crate::stream::{Body, BodyEnd};
use crate::{BoxError, Reply};

/// One received call from the layers' future to its terminal envelope.
///
/// Whoever polls it says when it was stopped: [`Apart`] for a call with a task of its own, for others the dispatcher.
pub(super) struct Running<F> {
    /// `None` once the call was answered.
    guard: Option<Guard>,
    work: Work<F>,
    status_of: fn(&BoxError) -> Status,
}

/// What there is to be polled.
enum Work<F> {
    Call(Room<F>),
    /// The stream that the handler accepted. It lies here: each of its items comes by.
    Stream(Body),
    Nothing,
}

/// Where the layers' future around the handler's lies; empty once that has ended, and then good for another.
pub(super) type Room<F> = Pin<Box<Option<F>>>;

impl<F> Running<F> {
    /// `room` holds the future.
    pub(super) fn new(guard: Guard, room: Room<F>, status_of: fn(&BoxError) -> Status) -> Self {
        Self { guard: Some(guard), work: Work::Call(room), status_of }
    }

    /// Whether its handler has accepted a stream, which goes on.
    pub(super) fn is_stream(&self) -> bool {
        matches!(self.work, Work::Stream(_))
    }

    /// Gives the room back, once the call was answered; that of a stream is gone.
    pub(super) fn into_room(self) -> Option<Room<F>> {
        match self.work {
            Work::Call(room) => Some(room),
            Work::Stream(_) | Work::Nothing => None,
        }
    }

    /// Drops what is left of the handler.
    fn clear(&mut self) {
        match &mut self.work {
            Work::Call(room) => room.set(None),
            Work::Stream(_) | Work::Nothing => self.work = Work::Nothing,
        }
    }

    /// Drops the handler, then answers.
    fn end(&mut self, terminal: Terminal, answers: &mut Answers) -> Poll<()> {
        let Some(guard) = self.guard.take() else { return Poll::Ready(()) };
        let dropped = guarded(&|| guard.name(), || self.clear());
        guard.end(dropped.map_or_else(failed, |()| terminal), answers);
        Poll::Ready(())
    }

    /// Drops the handler and answers if the call was stopped; says whether it was.
    pub(super) fn end_if_stopped(&mut self) -> bool {
        let stopped = self.guard.as_ref().and_then(Guard::stopped);
        stopped.map(|reason| self.stop(reason, &mut Answers::default())).is_some()
    }

    fn stop(&mut self, reason: StopReason, answers: &mut Answers) -> Poll<()> {
        let Some(guard) = self.guard.take() else { return Poll::Ready(()) };
        // A destructor that panics was logged; the call ends as it was going to.
        let _logged = guarded(&|| guard.name(), || self.clear());
        guard.end_stopped(reason, answers);
        Poll::Ready(())
    }
}

impl<F, E> Running<F>
where
    F: Future<Output = Result<Reply, E>>,
    E: Into<BoxError>,
{
    /// Runs it until `answers` has its end.
    pub(super) fn poll_end(&mut self, cx: &mut Context<'_>, answers: &mut Answers) -> Poll<()> {
        loop {
            let Some(guard) = &self.guard else { return Poll::Ready(()) };
            let polled = match &mut self.work {
                Work::Stream(body) => {
                    guarded(&|| guard.name(), || Pin::new(body).poll(cx).map(|end| Step::End(end.into())))
                }
                Work::Call(room) => {
                    let Some(future) = room.as_mut().as_pin_mut() else { return Poll::Ready(()) };
                    guarded(&|| guard.name(), || {
                        future.poll(cx).map(|output| Step::from(answer(output, self.status_of)))
                    })
                }
                Work::Nothing => return Poll::Ready(()),
            };
            match polled {
                Ok(Poll::Pending) => return Poll::Pending,
                Ok(Poll::Ready(Step::Accept(body))) => {
                    guard.accept();
                    // The layers' future has ended, and what it held is given back before the first item.
                    let ended = std::mem::replace(&mut self.work, Work::Stream(*body));
                    if let Err(panicked) = guarded(&|| guard.name(), || drop(ended)) {
                        return self.end(failed(panicked), answers);
                    }
                }
                Ok(Poll::Ready(Step::End(terminal))) => return self.end(terminal, answers),
                Err(panicked) => return self.end(failed(panicked), answers),
            }
        }
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

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let mut answers = Answers::default();
        let polled = self.poll_end(cx, &mut answers);
        answers.give();
        polled
    }
}

/// A call in a task of its own, which waits for its stop itself.
pub(super) struct Apart<F>(pub(super) Running<F>);

impl<F, E> Future for Apart<F>
where
    F: Future<Output = Result<Reply, E>>,
    E: Into<BoxError>,
{
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let Some(guard) = &self.0.guard else { return Poll::Ready(()) };
        let mut answers = Answers::default();
        match guard.poll_stopped(cx) {
            Poll::Ready(reason) => self.0.stop(reason, &mut answers),
            Poll::Pending => self.0.poll_end(cx, &mut answers),
        }
    }
}

enum Step {
    Accept(Box<Body>),
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
