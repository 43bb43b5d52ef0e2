//! What the application answers, up to the terminal that is written.

use bytes::Bytes;

use super::{Acceptance, Answer, Handling, Incoming};
use crate::Instant;
use crate::schema::MethodKind;
use crate::session::Session;
use crate::session::caller::too_large;
use crate::session::payloads::{Room, WHOLE, Writing};
use crate::session::types::{CallId, Event, Origin, WireFailure};

impl Session {
    /// The stream is open. Its first item says so too.
    pub fn accept(&mut self, _now: Instant, call: CallId) {
        self.accept_stream(call);
    }

    pub(in crate::session) fn accept_stream(&mut self, call: CallId) {
        if call.origin != Origin::Remote {
            return;
        }
        let Some(incoming) = self.incoming.get_mut(call) else { return };
        let runs = matches!(incoming.handling, Handling::Running);
        if runs && incoming.kind.is_stream() && incoming.acceptance == Acceptance::No {
            incoming.acceptance = Acceptance::Due;
            incoming.deadline = None;
            self.give_turn(call);
        }
    }

    /// Sets a watch's value; it replaces one that still waits.
    pub fn set_watch(&mut self, _now: Instant, call: CallId, value: Bytes) {
        let max = self.state.peer_payload();
        let Some(incoming) = self.incoming.get_mut(call).filter(|_| call.origin == Origin::Remote) else {
            return;
        };
        if incoming.kind != MethodKind::Watch || !matches!(incoming.handling, Handling::Running) {
            return;
        }
        if value.len() > max {
            return self.end_behind(call, too_large("a value", value.len(), max));
        }
        let len = value.len();
        if let Some(stream) = &mut incoming.stream {
            stream.latest = Some(value);
        }
        // What is waited for is room for this value, not for the one that it replaces.
        if matches!(incoming.room, Room::Waiting(_)) {
            incoming.room = if len > WHOLE { Room::Waiting(len as u64) } else { Room::Unneeded };
            self.grant_large();
        }
        self.accept_stream(call);
        self.give_turn(call);
    }

    /// Ends a call: with its result, encoded with the call's codec, or with why there is none.
    ///
    /// Of a stream, what was sent before comes first, except after a stop.
    pub fn respond(&mut self, _now: Instant, call: CallId, result: Result<Bytes, WireFailure>) {
        self.end_with(call, result);
    }

    pub(super) fn end_with(&mut self, call: CallId, result: Result<Bytes, WireFailure>) {
        let Some(incoming) = self.running(call) else { return };
        let is_stream = incoming.kind.is_stream();
        let max = self.state.peer_payload();
        let answer = match result {
            Ok(_) if is_stream => Answer::End,
            Ok(bytes) if bytes.len() > max => {
                Answer::Failed(WireFailure::Status(too_large("the result", bytes.len(), max)))
            }
            Ok(bytes) => Answer::Response(bytes),
            Err(WireFailure::Application(bytes)) if bytes.len() > max => {
                Answer::Failed(WireFailure::Status(too_large("the error", bytes.len(), max)))
            }
            Err(failure) => Answer::Failed(failure),
        };
        self.answer_running(call, answer);
    }

    /// The callee's stream is over.
    pub(in crate::session) fn finish_stream(&mut self, call: CallId) {
        let Some(incoming) = self.running(call) else { return };
        if incoming.kind.is_stream() {
            self.answer_running(call, Answer::End);
        }
    }

    /// A call of the other end that the application may still answer.
    fn running(&mut self, call: CallId) -> Option<&mut Incoming> {
        if call.origin != Origin::Remote {
            return None;
        }
        let incoming = self.incoming.get_mut(call)?;
        matches!(incoming.handling, Handling::Running | Handling::Stopped(_)).then_some(incoming)
    }

    #[inline]
    fn answer_running(&mut self, call: CallId, answer: Answer) {
        let Some(incoming) = self.incoming.get_mut(call) else { return };
        let is_plain = !incoming.kind.has_upload() && incoming.stream.is_none();
        if is_plain && matches!(incoming.handling, Handling::Running) {
            // The common case: nothing of the call is under way.
            incoming.handling = Handling::Answered(answer);
            return self.give_turn(call);
        }
        self.answer_under_way(call, answer);
    }

    fn answer_under_way(&mut self, call: CallId, answer: Answer) {
        let Some(incoming) = self.incoming.get_mut(call) else { return };
        let answer = match &mut incoming.handling {
            Handling::Stopped(verdict) => match verdict.take() {
                Some(status) => Answer::Failed(WireFailure::Status(status)),
                None => answer,
            },
            _ => answer,
        };
        // A watch that fails has no last value, and wants no room for one.
        let unwanted = match (&answer, incoming.kind) {
            (Answer::Failed(_), MethodKind::Watch) => {
                if let Some(stream) = &mut incoming.stream {
                    stream.latest = None;
                }
                std::mem::take(&mut incoming.room)
            }
            _ => Room::Unneeded,
        };
        // Nobody reads the caller's items any more.
        let reserved = incoming.stream.as_mut().map_or(0, |stream| stream.clear_inbox());
        incoming.handling = Handling::Answered(answer);
        let discarded = self.state.assemblies.discard((Origin::Remote, call.id));
        self.state.granted.give_back_assembly(reserved + discarded);
        self.return_room(unwanted);
        self.give_turn(call);
    }

    /// Ends a call without the application, throwing away what it had still to write.
    pub(super) fn answer(&mut self, call: CallId, answer: Answer) {
        self.silence(call);
        if let Some(incoming) = self.incoming.get_mut(call) {
            incoming.handling = Handling::Answered(answer);
        }
        self.give_turn(call);
    }

    /// The terminal of a call is written: its id and its credit are free.
    pub(in crate::session) fn finish_incoming(&mut self, call: CallId) {
        let Some(incoming) = self.incoming.get_mut(call) else { return };
        let (class, transfer, room) = (incoming.class, incoming.transfer, incoming.room);
        let (has_turn, is_once) = (incoming.has_turn, incoming.is_once);
        let stream = incoming.stream.take();
        // It may be large, and is dropped where it lies.
        self.incoming.forget(call);
        if is_once {
            self.state.answered.push_back((self.state.sent.head(), call));
        }
        if has_turn {
            self.state.queue.forget_one();
        }
        if let Writing::GivenUp(transfer) = transfer {
            self.state.transfers.release(transfer);
        }
        if let Some(mut stream) = stream {
            self.drop_stream(&mut stream);
        }
        if room != Room::Unneeded {
            self.return_room(room);
        }
        if !self.state.large.is_empty() {
            self.grant_large();
        }
        self.state.granted.give_back(class);
    }

    /// Tells of the terminals of `once` calls that arrived.
    pub(in crate::session) fn tell_acknowledged(&mut self) {
        while let Some(&(last, call)) = self.state.answered.front()
            && last <= self.state.sent.acked()
        {
            self.state.answered.pop_front();
            self.events.push_back(Event::Acknowledged { call });
        }
    }
}
