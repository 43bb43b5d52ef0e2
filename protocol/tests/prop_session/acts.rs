//! What the ends do: every operation, on whatever there is to do it to.

use std::time::Duration;

use bowline_protocol::session::{Config, Read, WireFailure};
use bowline_protocol::status::{Code, Status};
use bowline_test_support::Side;

use crate::common::*;
use crate::world::{Call, SIDES, World, parse, payload};

impl World {
    pub(super) fn operate(&mut self, operation: u8) {
        match operation {
            0..=29 => self.call(),
            30..=79 => self.send(),
            80..=119 => self.read_any(),
            120..=149 => self.answer_any(),
            150..=159 => self.cancel(),
            160..=169 => self.end_upload(),
            170..=179 => self.notify(),
            180..=189 => {
                let side = self.random.below(2) as usize;
                self.pair.ends[side].takes ^= true;
            }
            190..=199 => {
                let side = self.random.below(2) as usize;
                self.pair.ends[side].hears ^= true;
            }
            200 if self.cuts => self.cut(),
            201..=205 => self.cut_link(),
            _ => {
                let by = Duration::from_millis(self.random.below(400));
                self.pair.advance(by);
            }
        }
        self.take_events();
        self.check_bounds();
    }

    pub(super) fn call(&mut self) {
        let caller = SIDES[self.random.below(2) as usize];
        let method =
            [UNARY, SERVER_STREAM, CLIENT_STREAM, BIDIRECTIONAL, WATCH][self.random.below(5) as usize];
        let number = self.calls.len() as u32;
        let len = self.len();
        let now = self.pair.now;
        let mut asked = request(method, payload(number, 9, 0, len));
        if self.random.below(4) == 0 {
            asked.deadline = Some(now + Duration::from_millis(self.random.below(5000)));
        }
        let Ok(own) = self.pair.session(caller).call(now, asked) else { return };
        self.own.insert((caller as u8, own), number as usize);
        self.calls.push(Call {
            caller,
            method,
            own,
            handler: None,
            starts: 0,
            is_stopped: false,
            is_cancelled: false,
            is_lost: false,
            terminals: 0,
            is_complete: false,
            meant: [0; 2],
            arrived: [0; 2],
            upload_over: false,
            value: 0,
            since: 0,
        });
    }

    /// Sends an item, or sets a watch's value, in a call that can.
    pub(super) fn send(&mut self) {
        let side = SIDES[self.random.below(2) as usize];
        let can = self.calls.iter().enumerate().filter(|(_, call)| {
            let is_up = call.caller == side;
            let id = if is_up { Some(call.own).filter(|_| !call.is_lost) } else { call.handler };
            id.is_some() && !(is_up && call.upload_over)
        });
        let Some(number) = self.any(can.map(|(number, _)| number).collect()) else { return };
        let len = self.len();
        let call = &mut self.calls[number];
        let direction = usize::from(call.caller != side);
        let id = if direction == 0 { call.own } else { call.handler.unwrap() };
        let now = self.pair.now;
        let session = self.pair.session(side);
        if direction == 1 && call.method == WATCH {
            if !call.is_stopped {
                call.meant[1] += 1;
                session.set_watch(now, id, payload(number as u32, 1, call.meant[1], len).into());
            }
        } else if session.capacity(id).is_some() {
            session.send_item(
                now,
                id,
                payload(number as u32, direction as u8, call.meant[direction], len).into(),
            );
            call.meant[direction] += 1;
        }
    }

    pub(super) fn end_upload(&mut self) {
        let can = self.calls.iter().enumerate();
        let can = can.filter(|(_, it)| {
            !it.upload_over && !it.is_lost && matches!(it.method, CLIENT_STREAM | BIDIRECTIONAL)
        });
        let Some(number) = self.any(can.map(|(number, _)| number).collect()) else { return };
        let call = &mut self.calls[number];
        call.upload_over = true;
        let (now, caller, own) = (self.pair.now, call.caller, call.own);
        self.pair.session(caller).send_end(now, own);
    }

    pub(super) fn answer(&mut self, number: usize) {
        let Some(id) = self.calls[number].handler.take() else { return };
        let callee = self.calls[number].caller.other();
        self.handled.remove(&(callee as u8, id));
        let len = self.len();
        let now = self.pair.now;
        let fails = self.calls[number].is_stopped || self.random.below(8) == 0;
        let session = self.pair.session(callee);
        if fails {
            let status = Status::new(Code::Cancelled, "stopped");
            session.respond(now, id, Err(WireFailure::Status(status)));
        } else if matches!(self.calls[number].method, UNARY | CLIENT_STREAM) {
            session.respond(now, id, Ok(payload(number as u32, 8, 0, len).into()));
        } else {
            session.send_end(now, id);
        }
    }

    pub(super) fn answer_any(&mut self) {
        let can = self.calls.iter().enumerate().filter(|(_, call)| call.handler.is_some());
        if let Some(number) = self.any(can.map(|(number, _)| number).collect()) {
            self.answer(number);
        }
    }

    pub(super) fn cancel(&mut self) {
        let waiting = self.own.values().copied().collect();
        let Some(number) = self.any(waiting) else { return };
        let call = &mut self.calls[number];
        call.is_cancelled = true;
        let (now, caller, own) = (self.pair.now, call.caller, call.own);
        self.pair.session(caller).cancel(now, own);
        self.own.remove(&(caller as u8, own));
    }

    pub(super) fn notify(&mut self) {
        let now = self.pair.now;
        if self.pair.client().notify(now, request(NOTIFY, "x")).is_ok() {
            self.notifies.0 += 1;
        }
    }

    pub(super) fn read_any(&mut self) {
        let side = SIDES[self.random.below(2) as usize];
        let waiting = (0..self.calls.len()).filter(|&number| self.is_read_at(number, side)).collect();
        if let Some(number) = self.any(waiting) {
            let max = 1 + self.random.below(20) as usize;
            self.read(number, side, max);
        }
    }

    /// Reads what there is of one call at one end, at most `max` times.
    pub(super) fn read(&mut self, number: usize, side: Side, max: usize) {
        for _ in 0..max {
            let call = &mut self.calls[number];
            let direction = usize::from(call.caller == side);
            let id = match direction {
                1 if self.own.get(&(side as u8, call.own)) == Some(&number) => call.own,
                0 if call.handler.is_some() => call.handler.unwrap(),
                _ => return,
            };
            let now = self.pair.now;
            let read = self.pair.session(side).read(now, id);
            match read {
                Read::Item(_, buffer) => {
                    let (of, went, index) = parse(&buffer);
                    assert_eq!((of as usize, usize::from(went)), (number, direction));
                    if call.method == WATCH {
                        assert!(index > call.value && index <= call.meant[1], "values come in order");
                        call.value = index;
                    } else {
                        assert_eq!(index, call.arrived[direction], "each item once, in order");
                    }
                    call.arrived[direction] += 1;
                    assert!(call.method == WATCH || call.arrived[direction] <= call.meant[direction]);
                }
                Read::Gap(_) => panic!("nobody left anything out"),
                Read::Pending => return,
                Read::End if direction == 0 => {
                    assert!(call.upload_over);
                    assert_eq!(call.arrived[0], call.meant[0], "the end comes after everything");
                    return;
                }
                Read::End => {
                    let newest = if call.method == WATCH { call.value } else { call.arrived[1] };
                    let is_all =
                        newest == call.meant[1] || (call.method == WATCH && call.meant[1] == call.since);
                    assert!(is_all, "the end comes after everything: {call:?}");
                    self.finish(number, true);
                    return;
                }
                Read::Failed(_) if direction == 0 => return,
                Read::Failed(_) => {
                    self.finish(number, false);
                    return;
                }
            }
        }
    }

    pub(super) fn is_read_at(&self, number: usize, side: Side) -> bool {
        let call = &self.calls[number];
        if call.caller == side {
            matches!(call.method, SERVER_STREAM | BIDIRECTIONAL | WATCH)
        } else {
            matches!(call.method, CLIENT_STREAM | BIDIRECTIONAL)
        }
    }

    /// The server loses its memory with the link.
    pub(super) fn cut(&mut self) {
        self.pair.cut();
        let now = self.pair.now;
        self.pair.server().end(now);
        self.take_events();
        let config = Config { limits: self.limits.clone(), ..serving() };
        self.pair.restart_server(config);
        self.forget_server();
        self.pair.connect();
    }

    /// The server's machine is another one: names of the one before mean nothing to it.
    pub(super) fn forget_server(&mut self) {
        self.server_session = None;
        assert!(self.own.keys().all(|&(side, _)| side == Side::Client as u8 || self.is_read_out(side)));
        self.own.retain(|&(side, _), _| side == Side::Client as u8);
        for call in self.calls.iter_mut().filter(|call| call.caller == Side::Server) {
            call.is_lost = true;
        }
        for (&(side, _), &number) in &self.handled {
            let call = &mut self.calls[number];
            if side == Side::Server as u8 {
                assert!(call.is_stopped, "every handler of the server was stopped");
                call.handler = None;
            }
        }
        self.handled.retain(|(side, _), _| *side == Side::Client as u8);
    }

    /// The link is lost, and the session goes on over another one.
    pub(super) fn cut_link(&mut self) {
        if self.pair.server().session_id().is_none() {
            return self.cut();
        }
        self.writes_again = true;
        self.pair.cut();
        self.take_events();
        self.pair.connect();
    }
}
