use std::sync::Arc;
use std::task::{Context, Poll};

use bowline_protocol::session::{CallId, Stop, WireFailure};
use bowline_protocol::status::{Code, Status};

use crate::context::Incoming;
use crate::error;
use crate::few::Few;
use crate::peer::{Ending, Peer, StopReason, Terminal, Ticket};

/// The session's claim on one received call: exactly one terminal envelope, when the handler has really stopped.
///
/// Dropping it without an answer, as a stopped dispatcher does, says that this end is not available.
pub(super) struct Guard {
    /// `None` once the session has the answer.
    ticket: Option<Ticket>,
    incoming: Arc<Incoming>,
}

impl Guard {
    pub(super) fn new(ticket: Ticket, incoming: Arc<Incoming>) -> Self {
        Self { ticket: Some(ticket), incoming }
    }

    /// For logs and messages.
    pub(super) fn name(&self) -> String {
        error::name(self.incoming.service, &self.incoming.service.methods[self.incoming.method])
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
            Some(Ticket::Call(call)) => self.incoming.home.peer.poll_stopped(cx, call),
            _ => Poll::Pending,
        }
    }

    pub(super) fn stopped(&self) -> Option<StopReason> {
        match self.ticket {
            Some(Ticket::Call(call)) => self.incoming.home.peer.stopped(call),
            _ => None,
        }
    }

    pub(super) fn accept(&self) {
        if let Some(Ticket::Call(call)) = self.ticket {
            self.incoming.home.peer.accept(call);
        }
    }

    pub(super) fn peer(&self) -> &Peer {
        &self.incoming.home.peer
    }

    /// Leaves the answer of the call, whose handler has stopped, among `answers`.
    pub(super) fn end(mut self, terminal: Terminal, answers: &mut Answers) {
        // Mostly all that belonged to the handler is gone.
        let told = self.incoming.is_shared().then(|| self.incoming.clone());
        answers.peer.get_or_insert_with(|| self.peer().clone());
        answers.ended.push(Ended { ticket: self.ticket.take(), terminal, told, was_failed: false });
    }

    /// The same for a call that was stopped.
    pub(super) fn end_stopped(self, reason: StopReason, answers: &mut Answers) {
        let terminal = match reason {
            StopReason::Session(Stop::Disconnected) => Terminal::Nothing,
            StopReason::Session(Stop::Cancelled) => failed(Code::Cancelled, "the call was cancelled"),
            StopReason::Session(Stop::DeadlineExceeded) => {
                failed(Code::DeadlineExceeded, "the deadline has passed")
            }
            StopReason::Failed(status) => Terminal::Failed(WireFailure::Status(status)),
        };
        self.incoming.cancel();
        self.end(terminal, answers);
    }

    /// Answers the call, whose handler has stopped.
    pub(super) fn finish(self, terminal: Terminal) {
        self.end(terminal, &mut Answers::default());
    }

    /// Answers a call that was stopped.
    pub(super) fn finish_stopped(self, reason: StopReason) {
        self.end_stopped(reason, &mut Answers::default());
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        if let Some(ticket) = self.ticket.take() {
            self.incoming.cancel();
            let terminal = failed(Code::Unavailable, "this end is being stopped");
            self.incoming.home.peer.finish(std::iter::once(Ending {
                ticket,
                terminal,
                was_failed: &mut false,
            }));
        }
    }
}

/// A call whose answer the session does not have yet.
struct Ended {
    ticket: Option<Ticket>,
    terminal: Terminal,
    /// Where somebody may still ask whether the call was stopped.
    told: Option<Arc<Incoming>>,
    was_failed: bool,
}

/// Calls of one session that have ended, which are answered together when this is dropped.
#[derive(Default)]
pub(super) struct Answers {
    /// `None` if there are none.
    peer: Option<Peer>,
    ended: Few<Ended>,
}

impl Answers {
    pub(super) fn reserve(&mut self, all: usize) {
        self.ended.reserve(all);
    }

    /// As dropping them, where there are mostly none.
    #[inline]
    pub(super) fn give(self) {
        if self.peer.is_none() && self.ended.is_bare() {
            // Nothing is left to be dropped, which need not be looked for.
            std::mem::forget(self);
        }
    }
}

impl Drop for Answers {
    fn drop(&mut self) {
        let Some(peer) = &self.peer else { return };
        peer.finish(self.ended.iter_mut().filter_map(|ended| {
            let terminal = std::mem::replace(&mut ended.terminal, Terminal::Nothing);
            Some(Ending { ticket: ended.ticket.take()?, terminal, was_failed: &mut ended.was_failed })
        }));
        // Only now: who is told of it is foreign code.
        for ended in self.ended.iter_mut().filter(|ended| ended.was_failed) {
            if let Some(incoming) = &ended.told {
                incoming.cancel();
            }
        }
    }
}

fn failed(code: Code, message: &str) -> Terminal {
    Terminal::Failed(WireFailure::Status(Status::new(code, message)))
}
