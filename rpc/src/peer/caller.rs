use std::fmt;
use std::task::{Context, Poll, ready};

use bowline_protocol::codec::{Buffer, Codec};
use bowline_protocol::schema::Retry;
use bowline_protocol::session::{CallId, Failure, Read, Request};
use bowline_protocol::status::{Delivery, Status};

use super::Peer;
use super::state::State;
use crate::Call;
use crate::call::Patience;

/// One call of this end. Dropping it withdraws the call, unless it is over.
pub(crate) struct Handle {
    peer: Peer,
    call: CallId,
    /// The one answer was taken: nothing is left of the call.
    is_over: bool,
}

impl Handle {
    /// Of a call that `peer` has [opened](Peer::open).
    pub(crate) fn new(peer: Peer, call: CallId) -> Self {
        Self { peer, call, is_over: false }
    }

    pub(crate) fn peer(&self) -> &Peer {
        &self.peer
    }

    pub(crate) fn call(&self) -> CallId {
        self.call
    }

    /// The one answer of a unary call or client stream.
    #[inline]
    pub(crate) fn poll_response(&mut self, cx: &Context<'_>) -> Poll<Result<(Codec, Buffer), Failure>> {
        let call = self.call;
        let response = ready!(self.peer.act(|state, wakes| {
            let Some(slot) = state.slots.get_mut(call) else { return Poll::Pending };
            match slot.response.take() {
                Some(response) => {
                    state.forget(call, wakes);
                    // It came in then, or later.
                    state.note_clock();
                    Poll::Ready(response)
                }
                None => {
                    wakes.park(&mut slot.owner, cx);
                    Poll::Pending
                }
            }
        }));
        self.is_over = true;
        Poll::Ready(response)
    }

    /// Whether the stream is open.
    pub(crate) fn poll_accepted(&self, cx: &Context<'_>) -> Poll<Result<(), Failure>> {
        self.peer.act_now(|state, now, wakes| {
            let Some(slot) = state.slots.get_mut(self.call) else { return Poll::Pending };
            if let Some(Err(failure)) = slot.response.take() {
                return Poll::Ready(Err(failure));
            }
            if !slot.accepted {
                match state.session.read(now, self.call) {
                    Read::Pending => {
                        wakes.park(&mut slot.owner, cx);
                        return Poll::Pending;
                    }
                    Read::Failed(failure) => return Poll::Ready(Err(failure)),
                    first => slot.peeked = Some(Box::new(first)),
                }
                slot.accepted = true;
            }
            Poll::Ready(Ok(()))
        })
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        if self.is_over {
            return;
        }
        self.peer.command(|state, now, wakes| {
            state.session.cancel(now, self.call);
            state.forget(self.call, wakes);
        });
    }
}

impl fmt::Debug for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handle").field("call", &self.call).finish_non_exhaustive()
    }
}

impl State {
    #[inline]
    fn open(
        &mut self,
        request: Request,
        patience: Patience,
        changes: Option<u64>,
    ) -> Result<CallId, Failure> {
        self.check(changes)?;
        if patience == Patience::None && !self.session.is_live() {
            return Err(Failure::Disconnected(Delivery::NotSent));
        }
        let now = self.now_or_just_before();
        self.session.call(now, request).map_err(Failure::Status)
    }
}

impl Peer {
    /// Opens a call, unless this end has become somebody else since it had `changes` behind it, if they are given. The task of
    /// `cx` is woken by the answer.
    #[inline]
    pub(crate) fn open(
        &self,
        request: Request,
        patience: Patience,
        changes: Option<u64>,
        cx: &Context<'_>,
    ) -> Result<CallId, Failure> {
        // Made before the lock is taken, and dropped after it: both may run foreign code.
        let mut waker = Some(cx.waker().clone());
        // Not handed into a closure, as it is large.
        let mut turn = self.turn();
        let opened = turn.state.open(request, patience, changes);
        if let Ok(call) = opened {
            turn.state.slots.insert(call).owner = waker.take();
        }
        turn.call_driver();
        turn.end();
        opened
    }

    /// Whether a call that was answered may be made again: both ends call it idempotent, and this end has not given up.
    pub(crate) fn may_repeat(&self, call: &Call) -> bool {
        let state = self.lock();
        let class = state.session.retry_class(call.service, call.method_index());
        state.failed.is_none() && class == Retry::Idempotent
    }

    /// Withdraws a call of this end whose own part failed; whoever waits for it gets `status`.
    pub(crate) fn fail(&self, call: CallId, status: Status) {
        self.command(|state, now, wakes| {
            state.session.cancel(now, call);
            let Some(slot) = state.slots.get_mut(call) else { return };
            slot.response = Some(Err(Failure::Status(status.clone())));
            slot.peeked = Some(Box::new(Read::Failed(Failure::Status(status))));
            wakes.push(slot.owner.take());
            wakes.push(slot.reader.take());
        });
    }

    /// Makes a one-way call, unless this end has become somebody else since it had `changes` behind it, if they are given.
    pub(crate) fn notify(&self, request: Request, changes: Option<u64>) -> Result<(), Failure> {
        self.command(|state, now, _| {
            state.check(changes)?;
            state.session.notify(now, request).map_err(Failure::Status)
        })
    }
}
