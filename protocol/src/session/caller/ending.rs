//! How calls of this end end from this end: withdrawn by their application, expired, or failed.

use std::time::Duration;

use super::{Own, Stage, WireId, earlier};
use crate::Instant;
use crate::session::Session;
use crate::session::outgoing::Turn;
use crate::session::types::{CallId, Event, Failure, Origin};
use crate::status::Delivery;

impl Session {
    /// When [`handle_wall_clock`](Self::handle_wall_clock) has something to do, at the earliest, by the wall clock: the time
    /// since 1970. `None` while no call is queued.
    pub fn poll_wall_clock(&self) -> Option<Duration> {
        self.own_wall
    }

    /// The wall clock says `wall`: calls that were to be queued until then end with `DeadlineExceeded(NotSent)`.
    ///
    /// To be called before [`poll_transmit`](Self::poll_transmit), so that what expired in a sleep that no other clock
    /// has noticed is not sent, and now and then, so that its caller is told. A wall clock that was set back puts off
    /// nothing: [`Queued::until`](crate::session::Queued::until) holds as well. One that was set forward takes so much
    /// of the time that is left.
    pub fn handle_wall_clock(&mut self, _now: Instant, wall: Duration) {
        if self.own_wall.is_none_or(|due| due > wall) {
            return;
        }
        let mut next = None;
        let mut over = Vec::new();
        for (call, own) in self.own.iter() {
            let until = own.queued.as_ref().and_then(|queued| queued.until_wall);
            match until.filter(|_| !matches!(own.stage, Stage::Over(_))) {
                Some(until) if until <= wall => over.push((call, own.delivery())),
                until => next = earlier(next, until),
            }
        }
        self.own_wall = next;
        for (call, delivery) in over {
            self.fail(call, Failure::DeadlineExceeded(delivery));
        }
    }

    /// The caller lost interest: nothing more is heard of the call.
    pub fn cancel(&mut self, _now: Instant, call: CallId) {
        if call.origin == Origin::Local {
            self.withdraw(call);
        }
    }

    /// Ends every call of this end, because the client gives up: streams, and calls that were not sent, with `failure`,
    /// and calls that were with what is known of them.
    pub fn fail_all(&mut self, _now: Instant, failure: Failure) {
        let calls: Vec<_> = self.own.ids().collect();
        for call in calls {
            let sent = self.own.get(call).filter(|own| !own.kind.is_stream()).map(Own::delivery);
            let failure = match sent {
                None | Some(Delivery::NotSent) => failure.clone(),
                Some(delivery) => Failure::Disconnected(delivery),
            };
            self.fail(call, failure);
        }
    }

    /// Ends a call of this end from this end.
    pub(in crate::session) fn fail(&mut self, call: CallId, failure: Failure) {
        let Some(own) = self.own.get(call) else { return };
        if matches!(own.stage, Stage::Over(_)) {
            return;
        }
        if own.kind.is_stream() {
            // What came before the failure can still be read, so the stream keeps its place.
            self.take_off(call);
            if let Some(own) = self.own.get_mut(call) {
                own.end(Err(failure));
            }
            self.notify_reader(call);
        } else {
            self.withdraw(call);
            self.events.push_back(Event::Response { call, result: Err(failure) });
        }
    }

    /// Forgets a call: its application hears nothing more.
    pub(in crate::session) fn withdraw(&mut self, call: CallId) {
        self.take_off(call);
        if let Some(mut own) = self.own.remove(call)
            && let Some(stream) = &mut own.stream
        {
            self.drop_stream(stream);
        }
    }

    /// Takes a call off everything that would write for it, and cancels it at the other end if that knows of it.
    fn take_off(&mut self, call: CallId) {
        let Some(own) = self.own.get_mut(call) else { return };
        let class = own.class();
        let has_turn = std::mem::take(&mut own.has_turn);
        let room = std::mem::take(&mut own.room);
        let transfer = std::mem::take(&mut own.transfer).chunks();
        if let Some(stream) = &mut own.stream {
            stream.clear_outbox();
            stream.writable = false;
        }
        let len = own.arguments_len();
        let stage = std::mem::replace(&mut own.stage, Stage::Over(Ok(())));
        own.ask = None;
        if has_turn {
            self.state.queue.forget_one();
        }
        self.return_room(room);
        match stage {
            Stage::Waiting => {
                self.waiting.calls -= 1;
                self.waiting.bytes -= len;
            }
            Stage::Queued => {
                // Nothing was written: the place is free for the next call.
                self.state.opening[class as usize].used -= 1;
                self.admit_waiting(class);
            }
            Stage::Opening { wire, .. } | Stage::Open { wire, .. } => {
                if let Some(transfer) = transfer {
                    self.state.transfers.give_up(transfer);
                }
                self.state.wire.set(wire, WireId::Cancelling { transfer, class });
                self.state.queue.push(Turn::Cancel(wire));
                let reserved = self.state.assemblies.discard((Origin::Local, wire));
                self.state.granted.give_back_assembly(reserved);
            }
            Stage::Over(_) => {}
        }
    }
}
