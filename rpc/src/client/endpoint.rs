use std::convert::Infallible;
use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tower_service::Service;

use super::exchange::Sent;
use crate::channel::Target;
use crate::{Call, Reply};

/// Puts calls on a session: the innermost service of a caller's stack. Always ready; the session itself queues.
#[derive(Debug, Clone)]
pub struct Endpoint {
    target: Target,
}

impl Endpoint {
    pub(crate) fn new(target: Target) -> Self {
        Self { target }
    }
}

impl Service<Call> for Endpoint {
    type Response = Reply;
    type Error = Infallible;
    type Future = EndpointFuture;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, call: Call) -> EndpointFuture {
        EndpointFuture(State::Prepared { call, target: self.target.clone(), is_taken: false })
    }
}

/// The future of an [`Endpoint`]: nothing is sent before its first poll, and dropping it withdraws the call.
#[must_use = "a call does nothing until it is awaited"]
pub struct EndpointFuture(State);

enum State {
    /// Parts of the call are taken out, not the whole: it is large.
    Prepared {
        call: Call,
        target: Target,
        is_taken: bool,
    },
    Sent(Sent),
    Done,
}

impl Future for EndpointFuture {
    type Output = Result<Reply, Infallible>;

    #[inline]
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        if let State::Prepared { call, target, is_taken } = &mut self.0 {
            assert!(!std::mem::replace(is_taken, true), "a call was polled after it had panicked");
            let peer = call.session_of(target);
            match Sent::start(target, peer, call, cx) {
                Ok(sent) => self.0 = State::Sent(sent),
                Err(reply) => {
                    self.0 = State::Done;
                    return Poll::Ready(Ok(*reply));
                }
            }
        }
        let State::Sent(sent) = &mut self.0 else { panic!("a call was polled after it had ended") };
        let reply = ready!(sent.poll(cx));
        self.0 = State::Done;
        Poll::Ready(Ok(reply))
    }
}

impl fmt::Debug for EndpointFuture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EndpointFuture").finish_non_exhaustive()
    }
}
