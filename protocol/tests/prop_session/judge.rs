//! What arrives, and what must hold.

use bowline_protocol::envelope::Refusal;
use bowline_protocol::session::{Event, Failure, Origin, Stop};
use bowline_protocol::status::{CloseCode, Code};
use bowline_test_support::Side;

use crate::common::*;
use crate::world::{SIDES, World, parse};

impl World {
    pub(super) fn take_events(&mut self) {
        for side in SIDES {
            for event in self.pair.events(side) {
                self.take_event(side, event);
            }
        }
    }

    pub(super) fn take_event(&mut self, side: Side, event: Event) {
        match event {
            Event::Call(incoming) => {
                let (number, went, _) = parse(&incoming.buffer);
                assert_eq!(went, 9);
                let call = &mut self.calls[number as usize];
                assert_ne!(call.caller, side);
                assert_eq!(incoming.method, call.method);
                call.starts += 1;
                // A watch is subscribed again with each session, and so is a stream that was not accepted.
                let is_repeated = self.cuts && matches!(call.method, WATCH | SERVER_STREAM);
                assert!(call.starts == 1 || is_repeated, "a call runs once: {call:?}");
                call.handler = Some(incoming.call);
                call.is_stopped = false;
                call.since = call.meant[1];
                if call.method == SERVER_STREAM {
                    // Nothing of an earlier start has arrived.
                    call.arrived[1] = call.meant[1];
                }
                self.handled.insert((side as u8, incoming.call), number as usize);
            }
            Event::Stopped { call, reason } => {
                let number = self.handled[&(side as u8, call)];
                self.calls[number].is_stopped = true;
                if reason == Stop::Disconnected {
                    self.handled.remove(&(side as u8, call));
                    self.calls[number].handler = None;
                }
            }
            Event::Response { call, result } => {
                let number = self.own[&(side as u8, call)];
                if let Ok((_, buffer)) = &result {
                    let (of, went, _) = parse(buffer);
                    assert_eq!((of as usize, went), (number, 8));
                }
                if let Err(Failure::Status(status)) = &result {
                    assert!(matches!(status.code, Code::Cancelled | Code::DeadlineExceeded), "{status}");
                }
                self.finish(number, result.is_ok());
            }
            Event::Accepted { call } | Event::Readable { call } | Event::Writable { call } => {
                let known = match call.origin {
                    Origin::Local => &self.own,
                    Origin::Remote => &self.handled,
                };
                // A wake-up may cross a cancel or an answer, never name a call that was not there.
                let _ = known.get(&(side as u8, call));
            }
            Event::Notify(notify) => {
                self.notifies.1 += 1;
                self.pair.session(side).finish_notify(notify.ticket);
            }
            Event::Live { session, .. } if side == Side::Server => {
                // A client that never heard of the last session gets another one.
                if self.server_session.is_some_and(|last| last != session) {
                    self.forget_server();
                }
                self.server_session = Some(session);
            }
            Event::Hello(_)
            | Event::Live { .. }
            | Event::Acknowledged { .. }
            | Event::Disconnected
            | Event::Proved
            | Event::GoAway { .. } => {}
        }
    }

    pub(super) fn finish(&mut self, number: usize, is_complete: bool) {
        let call = &mut self.calls[number];
        assert!(!call.is_cancelled, "nothing is heard of a cancelled call");
        call.terminals += 1;
        call.is_complete = is_complete;
        assert_eq!(call.terminals, 1, "one terminal");
        self.own.remove(&(call.caller as u8, call.own));
    }

    pub(super) fn check_bounds(&mut self) {
        for side in SIDES {
            let held = self.pair.session(side).stats().held;
            let limits = &self.limits;
            let message = self.pair.ends[side as usize].largest;
            assert!(message <= limits.message_out + 64 * 1024 + 1024, "{message}");
            // What is written again may go in more messages than before, each with a head and an acknowledgement.
            let heads = if self.writes_again { 32 * held.unacknowledged } else { 0 };
            assert!(held.unacknowledged_bytes <= limits.replay_bytes + message + heads, "{held:?}");
            assert!(held.unacknowledged <= limits.replay_envelopes, "{held:?}");
            assert!(held.incoming <= (limits.calls + limits.streams) as usize, "{held:?}");
            assert!(held.assembly_bytes <= limits.assembly, "{held:?}");
            assert!(held.extra_window <= limits.stream_window_extra, "{held:?}");
        }
        // A network that was silent for long is found out; the next link goes on.
        let silent = |refusal: &Refusal| matches!(refusal.code, CloseCode::NO_HELLO | CloseCode::NO_PONG);
        if self.pair.closed.take_if(|(_, refusal)| silent(refusal)).is_some() {
            self.cut_link();
        }
        assert!(self.pair.closed.is_none(), "{:?}", self.pair.closed);
    }

    /// At the server's machine of a lost link only ended streams are left, not read to their end.
    pub(super) fn is_read_out(&self, side: u8) -> bool {
        self.own
            .iter()
            .filter(|((of, _), _)| *of == side)
            .all(|(_, &number)| matches!(self.calls[number].method, SERVER_STREAM | BIDIRECTIONAL | WATCH))
    }
}
