use std::task::{Context, Poll};

use bowline_protocol::schema::ServiceDescriptor;
use bowline_protocol::session::{CallId, Stop, WireFailure};
use bowline_protocol::status::{Code, Status};

use crate::Cancellation;
use crate::error;
use crate::peer::{Peer, StopReason, Terminal, Ticket};

/// The session's claim on one received call: exactly one terminal envelope, when the handler has really stopped.
///
/// Dropping it without an answer, as a stopped dispatcher does, says that this end is not available.
pub(super) struct Guard {
    peer: Peer,
    ticket: Option<Ticket>,
    cancellation: Cancellation,
    service: &'static ServiceDescriptor,
    method: usize,
}

impl Guard {
    pub(super) fn new(
        peer: Peer,
        ticket: Ticket,
        cancellation: Cancellation,
        service: &'static ServiceDescriptor,
        method: usize,
    ) -> Self {
        Self { peer, ticket: Some(ticket), cancellation, service, method }
    }

    /// For logs and messages.
    pub(super) fn name(&self) -> String {
        error::name(self.service, &self.service.methods[self.method])
    }

    /// The call; `None` for a one-way call.
    pub(super) fn call(&self) -> Option<CallId> {
        match self.ticket {
            Some(Ticket::Call(call)) => Some(call),
            _ => None,
        }
    }

    /// Waits for the call to be stopped; one-way calls never are.
    pub(super) fn poll_stopped(&self, cx: &Context<'_>) -> Poll<StopReason> {
        match self.ticket {
            Some(Ticket::Call(call)) => self.peer.poll_stopped(cx, call),
            _ => Poll::Pending,
        }
    }

    pub(super) fn stopped(&self) -> Option<StopReason> {
        match self.ticket {
            Some(Ticket::Call(call)) => self.peer.stopped(call),
            _ => None,
        }
    }

    pub(super) fn accept(&self) {
        if let Some(Ticket::Call(call)) = self.ticket {
            self.peer.accept(call);
        }
    }

    /// Answers the call, whose handler has stopped.
    pub(super) fn finish(mut self, terminal: Terminal) {
        self.end(terminal);
    }

    /// Answers a call that was stopped.
    pub(super) fn finish_stopped(self, reason: StopReason) {
        let terminal = match reason {
            StopReason::Session(Stop::Disconnected) => Terminal::Nothing,
            StopReason::Session(Stop::Cancelled) => failed(Code::Cancelled, "the call was cancelled"),
            StopReason::Session(Stop::DeadlineExceeded) => {
                failed(Code::DeadlineExceeded, "the deadline has passed")
            }
            StopReason::Failed(status) => Terminal::Failed(WireFailure::Status(status)),
        };
        self.cancellation.cancel();
        self.finish(terminal);
    }

    fn end(&mut self, terminal: Terminal) {
        match self.ticket.take() {
            Some(Ticket::Call(call)) => {
                let was_failed = self.peer.finish(call, terminal);
                if was_failed {
                    self.cancellation.cancel();
                }
            }
            Some(Ticket::Notify(ticket)) => self.peer.finish_notify(ticket),
            None => {}
        }
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        if self.ticket.is_some() {
            self.cancellation.cancel();
            self.end(failed(Code::Unavailable, "this end is being stopped"));
        }
    }
}

fn failed(code: Code, message: &str) -> Terminal {
    Terminal::Failed(WireFailure::Status(Status::new(code, message)))
}
