//! Calls that wait: for a live session, for a declaration, for credit.

use std::collections::VecDeque;

use super::{Class, Once, Own, Stage, too_large};
use crate::codec::Codec;
use crate::schema::{Hasher, Retry};
use crate::session::Session;
use crate::session::credit::SendWindow;
use crate::session::outgoing::Turn;
use crate::session::services::{Agreement, Waiter};
use crate::session::table::Table;
use crate::session::types::{CallId, Failure, Role};
use crate::status::{Code, Delivery, Status};

/// Calls that wait before they are admitted.
#[derive(Debug, Default)]
pub(in crate::session) struct Waiting {
    pub(in crate::session) calls: usize,
    pub(in crate::session) bytes: usize,
    /// For a live session.
    pub(in crate::session) offline: VecDeque<CallId>,
    /// For credit, per class.
    pub(in crate::session) credit: [VecDeque<CallId>; 2],
}

/// Whether a call is already counted among those that wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Counting {
    New,
    Counted,
}

impl Session {
    /// Sends a waiting call on as far as it can go.
    pub(in crate::session) fn route(&mut self, call: CallId) {
        if let Err(status) = self.place(call, Counting::Counted) {
            self.fail(call, Failure::Status(status));
        }
    }

    /// The session is live: what waited for that goes on, in order.
    pub(in crate::session) fn route_offline(&mut self) {
        for call in std::mem::take(&mut self.waiting.offline) {
            self.route(call);
        }
    }

    /// The other end raised what it allows, or a call gave its place back.
    pub(in crate::session) fn admit_waiting(&mut self, class: Class) {
        loop {
            if self.state.opening[class as usize].left() <= self.reserve(class) {
                return;
            }
            let Some(call) = self.waiting.credit[class as usize].pop_front() else { return };
            let Some(own) = self.own.get(call) else { continue };
            if !matches!(own.stage, Stage::Waiting) {
                continue;
            }
            let len = own.arguments_len();
            let Some(Ok(agreed)) = self
                .state
                .agreements
                .get(own.service_number as usize)
                .and_then(|it| it.agree(own.service, own.method()))
            else {
                continue;
            };
            self.waiting.calls -= 1;
            self.waiting.bytes -= len;
            self.admit(call, agreed);
        }
    }

    /// Finds the place for a waiting call: with those that wait, or in the queue.
    pub(super) fn place(&mut self, call: CallId, counting: Counting) -> Result<(), Status> {
        let Some(own) = self.own.get(call) else { return Ok(()) };
        if !matches!(own.stage, Stage::Waiting) {
            return Ok(());
        }
        let (len, depth, class) = (own.arguments_len(), own.depth, own.class());
        let (service, number, method) = (own.service, own.service_number, own.method());
        if !self.is_live() {
            if depth > 0 {
                return Err(Status::new(Code::Unavailable, "the session of the handler has no link"));
            }
            self.count_waiting(counting, len)?;
            let Self { waiting, own, .. } = self;
            push_waiting(&mut waiting.offline, call, own);
            return Ok(());
        }
        let Some(agreed) = self.agreement(number).agree(service, method) else {
            self.count_waiting(counting, len)?;
            if let Agreement::Pending(waiters) = &mut self.state.agreements[usize::from(number)] {
                // A call that is withdrawn leaves its name behind; the line is short-lived, and bounded here.
                let own = &self.own;
                if waiters.len() > 64 && waiters.len() > 2 * own.len() {
                    waiters.retain(|it| !matches!(it, Waiter::Call(call) if own.get(*call).is_none()));
                }
                waiters.push(Waiter::Call(call));
            }
            return Ok(());
        };
        let agreed = agreed?;
        if len > self.state.peer_payload() {
            return Err(too_large("the arguments", len, self.state.peer_payload()));
        }
        let reserve = if depth > 0 { 0 } else { self.reserve(class) };
        let waits = depth == 0 && !self.waiting.credit[class as usize].is_empty();
        if self.state.opening[class as usize].left() <= reserve || waits {
            if depth > 0 {
                let message =
                    "a call made inside a handler can't wait, and the other end accepts no more calls";
                return Err(Status::new(Code::ResourceExhausted, message));
            }
            self.count_waiting(counting, len)?;
            let Self { waiting, own, .. } = self;
            push_waiting(&mut waiting.credit[class as usize], call, own);
            return Ok(());
        }
        if counting == Counting::Counted {
            self.waiting.calls -= 1;
            self.waiting.bytes -= len;
        }
        self.admit(call, agreed);
        Ok(())
    }

    /// Takes credit for a call and queues it.
    fn admit(&mut self, call: CallId, agreed: (u32, Codec)) {
        let Self { own: calls, state, role, instance, .. } = self;
        let Some(own) = calls.get_mut(call) else { return };
        let retry = state.retry(own.service_number, own.service, own.method());
        if own.may_have_run && !own.may_repeat(retry) {
            // The other end is built anew since, and promises something else.
            return self.end_lost(call, Delivery::OutcomeUnknown);
        }
        if retry == Retry::Once
            && let Some(ask) = own.ask.as_mut().filter(|ask| ask.once.is_none())
        {
            // To the caller it was something else when it was made.
            let key = fresh_key(*role, *instance, own.order);
            ask.once = key.map(|key| Box::new(Once { key, table: None }));
        }
        state.opening[own.class() as usize].used += 1;
        own.agreed = Some(agreed);
        own.retry = retry;
        own.stage = Stage::Queued;
        let mut has_stream = false;
        if let Some(stream) = &mut own.stream {
            // The welcome may have come after the call was made.
            stream.send = SendWindow::new(state.peer.stream_window);
            has_stream = true;
        }
        if own.wants_turn() {
            own.has_turn = true;
            state.queue.push(Turn::Call(call));
        }
        if has_stream {
            self.update_writable(call);
        }
    }

    /// Places kept for calls made inside handlers, as far as there are enough.
    fn reserve(&self, class: Class) -> u64 {
        let all = match class {
            Class::Call => self.state.peer.calls,
            Class::Stream => self.state.peer.streams,
        };
        u64::from(self.config.limits.nested.min(all / 8))
    }

    fn count_waiting(&mut self, counting: Counting, len: usize) -> Result<(), Status> {
        if counting == Counting::Counted {
            return Ok(());
        }
        let limits = &self.config.limits;
        let is_full = self.waiting.calls >= limits.waiting_calls
            || (self.waiting.calls > 0 && self.waiting.bytes.saturating_add(len) > limits.waiting_bytes);
        if is_full {
            return Err(Status::new(Code::ResourceExhausted, "too many calls wait to be sent"));
        }
        self.waiting.calls += 1;
        self.waiting.bytes += len;
        Ok(())
    }
}

/// A key for a call that its application gave none: no other call of this client has it, and no other client.
///
/// Servers ask nothing again, and so need none.
fn fresh_key(role: Role, instance: u128, order: u64) -> Option<u128> {
    let key = || Hasher::new("once key").hash(instance).number(order).finish();
    (role == Role::Client).then(key)
}

/// Adds a call to a line, and now and then clears the line of calls that left it.
fn push_waiting(line: &mut VecDeque<CallId>, call: CallId, own: &Table<Own>) {
    if line.len() > 64 && line.len() > 2 * own.len() {
        line.retain(|&it| own.get(it).is_some_and(|own| matches!(own.stage, Stage::Waiting)));
    }
    line.push_back(call);
}
