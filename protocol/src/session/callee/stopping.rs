//! A call is stopped: by its caller, by its deadline, or because it broke a rule.

use super::{Answer, Handling};
use crate::session::Session;
use crate::session::payloads::Writing;
use crate::session::types::{CallId, Event, Failure, Origin, Stop, WireFailure};
use crate::status::{Code, Status};

impl Session {
    /// The caller wants no more of a call.
    pub(in crate::session) fn handle_cancel(&mut self, wire: u32) {
        // The caller writes nothing more for the call, so its transfers end here.
        let reserved = self.state.assemblies.forget((Origin::Remote, wire));
        self.state.granted.give_back_assembly(reserved);
        match self.incoming.at(wire) {
            Some(call) => self.stop(call, Stop::Cancelled, None),
            None => self.counted.late += 1,
        }
    }

    /// Stops a call of the other end. With a `verdict`, that is its terminal whatever the application answers.
    pub(in crate::session) fn stop(&mut self, call: CallId, reason: Stop, verdict: Option<Status>) {
        let Some(incoming) = self.incoming.get_mut(call) else { return };
        incoming.deadline = None;
        let default = match reason {
            Stop::DeadlineExceeded => Status::new(Code::DeadlineExceeded, "the time of the call is up"),
            Stop::Cancelled | Stop::Disconnected => {
                Status::new(Code::Cancelled, "the caller withdrew the call")
            }
        };
        match &incoming.handling {
            Handling::Assembling => {
                self.answer(call, Answer::Failed(WireFailure::Status(verdict.unwrap_or(default))));
            }
            Handling::Running => {
                incoming.handling = Handling::Stopped(verdict);
                self.silence(call);
                self.events.push_back(Event::Stopped { call, reason });
            }
            Handling::Stopped(_) => {}
            Handling::Answered(_) | Handling::Finishing => {
                // Whoever asked wants the answer no more: a short one ends it, and frees what the long one waits for.
                self.answer(call, Answer::Failed(WireFailure::Status(verdict.unwrap_or(default))));
            }
        }
    }

    /// Fails a call of either end from this end.
    pub(in crate::session) fn fail_either(&mut self, call: CallId, status: Status) {
        match call.origin {
            Origin::Local => self.fail(call, Failure::Status(status)),
            Origin::Remote => self.stop(call, Stop::Cancelled, Some(status)),
        }
    }

    /// Ends a call for something that the application sent: behind all that it sent before, which is not lost.
    pub(in crate::session) fn end_behind(&mut self, call: CallId, status: Status) {
        match call.origin {
            Origin::Local => self.fail(call, Failure::Status(status)),
            Origin::Remote => {
                self.end_with(call, Err(WireFailure::Status(status)));
                self.events.push_back(Event::Stopped { call, reason: Stop::Cancelled });
            }
        }
    }

    /// Takes a call off everything that would write items for it, and throws away what it has not read.
    pub(super) fn silence(&mut self, call: CallId) {
        let Some(incoming) = self.incoming.get_mut(call) else { return };
        incoming.is_unwanted = true;
        let room = std::mem::take(&mut incoming.room);
        if let Writing::Chunks(transfer) = incoming.transfer {
            // The number stays with the call: the terminal tells the other end that the rest won't come.
            self.state.transfers.give_up(transfer);
            incoming.transfer = Writing::GivenUp(transfer);
        }
        let mut unread = 0;
        if let Some(stream) = &mut incoming.stream {
            unread = stream.clear_inbox();
            stream.clear_outbox();
            stream.writable = false;
        }
        self.return_room(room);
        let discarded = self.state.assemblies.discard((Origin::Remote, call.id));
        self.state.granted.give_back_assembly(unread + discarded);
    }
}
