use std::collections::VecDeque;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll};

use bowline_protocol::codec::{Buffer, Codec};
use bowline_protocol::envelope::OnceKey;
use bowline_protocol::schema::ServiceDescriptor;
use bowline_protocol::session::{CallId, IncomingCall, IncomingNotify, NotifyTicket, Stop, WireFailure};
use bowline_protocol::status::Status;
use bowline_runtime::Instant;
use bytes::Bytes;

use super::Peer;
use super::state::{State, Wakes};
use crate::Metadata;

/// A call or one-way call that came in.
#[derive(Debug)]
pub(crate) struct Arrival {
    pub(crate) ticket: Ticket,
    pub(crate) service: &'static ServiceDescriptor,
    pub(crate) method: usize,
    pub(crate) codec: Codec,
    pub(crate) buffer: Buffer,
    pub(crate) metadata: Metadata,
    pub(crate) deadline: Option<Instant>,
    pub(crate) depth: u8,
    /// The key of a `once` call.
    pub(crate) once: Option<Box<OnceKey>>,
}

/// What happened to earlier calls since arrivals were last taken.
#[derive(Debug, Default)]
pub(crate) struct Taken {
    /// `once` calls whose callers have the end.
    pub(crate) acknowledged: Vec<CallId>,
    /// Whether calls were stopped that nobody else is told of: those without a handler, and streams of the dispatcher's.
    pub(crate) stopped_waiting: bool,
    /// Whether to give back memory that was needed for more than there is now.
    pub(crate) trims: bool,
}

/// What the session wants back when the handler has stopped.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Ticket {
    Call(CallId),
    Notify(NotifyTicket),
}

/// Why a handler is to be dropped.
#[derive(Debug, Clone)]
pub(crate) enum StopReason {
    /// The session says so.
    Session(Stop),
    /// An item of the caller's could not be decoded: the call ends with this.
    Failed(Status),
}

impl From<IncomingCall> for Arrival {
    fn from(incoming: IncomingCall) -> Self {
        let IncomingCall { call, service, method, codec, deadline, depth, once, metadata, buffer } = incoming;
        let metadata = Metadata::from_wire(metadata);
        Self { ticket: Ticket::Call(call), service, method, codec, buffer, metadata, deadline, depth, once }
    }
}

impl From<IncomingNotify> for Arrival {
    fn from(incoming: IncomingNotify) -> Self {
        let IncomingNotify { ticket, service, method, codec, metadata, buffer } = incoming;
        let (ticket, metadata) = (Ticket::Notify(ticket), Metadata::from_wire(metadata));
        Self { ticket, service, method, codec, buffer, metadata, deadline: None, depth: 0, once: None }
    }
}

/// What the dispatcher and handlers call.
impl Peer {
    /// Whether there may be something for [`take_arrivals`](Self::take_arrivals). If not, its task will be woken.
    #[inline]
    pub(crate) fn has_arrivals(&self) -> bool {
        self.0.dispatches.load(Ordering::Acquire)
    }

    /// Time went by that no step of the session has seen.
    pub(crate) fn look_again(&self) {
        self.0.is_later.store(true, Ordering::Release);
    }

    /// Takes all calls that came in; `None` if there is nothing. `into` is empty, and its room is used for those that come.
    pub(crate) fn take_arrivals(&self, cx: &Context<'_>, into: &mut VecDeque<Arrival>) -> Option<Taken> {
        self.look(|state, wakes| {
            wakes.park(&mut state.dispatcher, cx);
            if !std::mem::take(&mut state.dispatches) {
                return None;
            }
            self.0.dispatches.store(false, Ordering::Release);
            let trims = std::mem::take(&mut state.trims);
            if trims {
                // It is the room of what comes next.
                into.shrink_to_fit();
            }
            std::mem::swap(&mut state.arrivals, into);
            if !into.is_empty() {
                // Their handlers may compute for long and then wait. One that answers has looked by then.
                state.look_again();
            }
            Some(Taken {
                acknowledged: std::mem::take(&mut state.acknowledged),
                stopped_waiting: std::mem::take(&mut state.stopped_waiting),
                trims,
            })
        })
    }

    /// Whether `call` was stopped.
    pub(crate) fn stopped(&self, call: CallId) -> Option<StopReason> {
        self.lock().slots.get(call).and_then(|slot| slot.stopped.as_deref().cloned())
    }

    /// Waits until `call` is stopped.
    pub(crate) fn poll_stopped(&self, cx: &Context<'_>, call: CallId) -> Poll<StopReason> {
        self.look(|state, wakes| {
            let Some(slot) = state.slots.get_mut(call) else { return Poll::Pending };
            match slot.stopped.as_deref() {
                Some(reason) => Poll::Ready(reason.clone()),
                None => {
                    wakes.park(&mut slot.owner, cx);
                    Poll::Pending
                }
            }
        })
    }

    /// Stops a handler for a reason of this end.
    pub(crate) fn stop(&self, call: CallId, status: Status) {
        self.act(|state, wakes| state.stop(call, StopReason::Failed(status), wakes));
    }

    /// The handler opened its stream.
    pub(crate) fn accept(&self, call: CallId) {
        self.command(|state, now, _| state.session.accept(now, call));
    }

    /// Answers calls whose handlers have stopped, and forgets them.
    pub(crate) fn finish<'a>(&self, endings: impl Iterator<Item = Ending<'a>>) {
        self.command(|state, now, wakes| {
            for Ending { ticket, terminal, was_failed } in endings {
                match ticket {
                    Ticket::Call(call) => *was_failed = state.finish(now, call, terminal, wakes),
                    Ticket::Notify(ticket) => state.session.finish_notify(ticket),
                }
            }
        });
    }
}

impl State {
    /// Sends the terminal envelope of `call`. An item of its caller that could not be decoded ends it, whatever the handler
    /// made of that; then this returns true.
    fn finish(&mut self, now: Instant, call: CallId, terminal: Terminal, wakes: &mut Wakes) -> bool {
        let stopped = self.slots.get(call).and_then(|slot| slot.stopped.as_deref());
        let (terminal, was_failed) = match stopped {
            Some(StopReason::Failed(status)) => (Terminal::Failed(WireFailure::Status(status.clone())), true),
            _ => (terminal, false),
        };
        match terminal {
            Terminal::Value(bytes) => self.session.respond(now, call, Ok(bytes)),
            Terminal::Failed(failure) => self.session.respond(now, call, Err(failure)),
            Terminal::End => self.session.send_end(now, call),
            Terminal::Nothing => {}
        }
        self.forget(call, wakes);
        was_failed
    }
}

/// The end of a received call or one-way call.
pub(crate) struct Ending<'a> {
    pub(crate) ticket: Ticket,
    pub(crate) terminal: Terminal,
    /// Set if an item of the caller ended it.
    pub(crate) was_failed: &'a mut bool,
}

/// How a call of the other end ends.
#[derive(Debug)]
pub(crate) enum Terminal {
    Value(Bytes),
    Failed(WireFailure),
    /// The stream is over.
    End,
    /// The session has ended; there is nobody to tell.
    Nothing,
}
