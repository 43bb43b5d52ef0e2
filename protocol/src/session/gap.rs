//! The end of a session: what it means for the calls of both ends.

use super::caller::{Stage, Waiting};
use super::closing::Phase;
use super::payloads::{Room, Writing};
use super::stream::Outbound;
use super::types::{CallId, Event, Failure, Role, Stop};
use super::{Link, Session, State};
use crate::Instant;
use crate::status::Delivery;

impl Session {
    /// Server: nobody continues the session. Handlers are to be dropped, calls of this end fail, nothing is left.
    pub fn end(&mut self, _now: Instant) {
        if self.role == Role::Client || self.is_over() {
            return;
        }
        self.lose(None, false);
        self.link = Link { phase: Phase::Over, ..Link::new(&self.config) };
    }

    /// The session is lost. `processed` is the last number of this end that the other one processed, if it is known.
    ///
    /// Calls of the other end stop. Of this end's, those are asked again in the next session of which that can do no
    /// harm, if this end `asks_again`.
    pub(super) fn lose(&mut self, processed: Option<u64>, asks_again: bool) {
        self.sessions = self.sessions.wrapping_add(1);
        let incoming: Vec<_> = self.incoming.ids().collect();
        for call in incoming {
            if let Some(incoming) = self.incoming.remove(call)
                && incoming.is_running()
            {
                self.events.push_back(Event::Stopped { call, reason: Stop::Disconnected });
            }
        }
        self.incoming_deadline = None;
        self.drop_notifies();
        self.drop_notifies_under_way();
        self.state = State::new(&self.config);
        self.waiting = Waiting::default();
        let own: Vec<_> = self.own.ids().collect();
        for call in own {
            self.lose_call(call, processed, asks_again);
        }
        self.requeue();
    }

    /// What the end of the session means for a call of this end.
    fn lose_call(&mut self, call: CallId, processed: Option<u64>, asks_again: bool) {
        let role = self.role;
        let Some(own) = self.own.get_mut(call) else { return };
        let delivery = match (&own.stage, processed) {
            (Stage::Open { last, .. }, Some(processed)) if *last > processed && !own.may_have_run => {
                Delivery::NotExecuted
            }
            _ => own.delivery(),
        };
        own.has_turn = false;
        own.transfer = Writing::Nothing;
        own.room = Room::Unneeded;
        own.agreed = None;
        let mut has_items = false;
        if let Some(stream) = &mut own.stream {
            // Items are encoded for the lost session; a call that had some can't be asked in another.
            has_items = stream.has_sent() || stream.outbox.iter().any(|it| !matches!(it, Outbound::End));
            stream.disconnect(&self.config);
        }
        let repeats = asks_again && role == Role::Client && own.depth == 0 && !has_items;
        if matches!(own.stage, Stage::Over(_)) {
            return;
        }
        let repeats = repeats && !(own.is_accepted && own.kind.has_items());
        let may_repeat = delivery != Delivery::OutcomeUnknown || own.may_repeat(own.retry);
        if let Some(ask) = own.ask.as_mut().filter(|_| repeats && may_repeat) {
            ask.encoded = None;
            own.is_stale = own.is_accepted;
            own.may_have_run |= delivery == Delivery::OutcomeUnknown;
            own.stage = Stage::Waiting;
            return;
        }
        self.end_lost(call, delivery);
    }

    /// Ends a call of this end that is in no session any more, and in no line.
    pub(super) fn end_lost(&mut self, call: CallId, delivery: Delivery) {
        let Some(own) = self.own.get_mut(call) else { return };
        let failure = Failure::Disconnected(delivery);
        if own.kind.is_stream() {
            own.end(Err(failure));
            return self.notify_reader(call);
        }
        self.own.forget(call);
        self.events.push_back(Event::Response { call, result: Err(failure) });
    }

    /// Lines the calls up that wait for the next session, in the order in which they were made.
    fn requeue(&mut self) {
        let mut calls: Vec<_> = self
            .own
            .iter()
            .filter(|(_, own)| matches!(own.stage, Stage::Waiting))
            .map(|(call, own)| (own.order, call, own.arguments_len()))
            .collect();
        calls.sort_unstable();
        self.waiting.calls = calls.len();
        self.waiting.bytes = calls.iter().map(|(_, _, len)| len).sum();
        self.waiting.offline = calls.into_iter().map(|(_, call, _)| call).collect();
    }
}
