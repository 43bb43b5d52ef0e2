//! Random operations over a simulated link, judged by an oracle that stands outside both ends: it notes what was meant
//! before anything is sent, and what arrived once the application has it.

#![allow(clippy::unwrap_used, reason = "a helper of tests that fails them")]

mod common;

use std::collections::BTreeMap;
use std::time::Duration;

use bowline_protocol::envelope::Refusal;
use bowline_protocol::limits::Limits;
use bowline_protocol::session::{CallId, Config, Event, Failure, Held, Origin, Read, Stop, WireFailure};
use bowline_protocol::status::{CloseCode, Code, Status};
use bowline_test_support::{Pair, Random, Side, Weather};
use common::*;
use proptest::prelude::*;

const SIDES: [Side; 2] = [Side::Client, Side::Server];

/// One call, as the oracle knows it.
#[derive(Debug)]
struct Call {
    caller: Side,
    method: usize,
    own: CallId,
    /// Its name at the callee while a handler runs or is to answer.
    handler: Option<CallId>,
    starts: u32,
    is_stopped: bool,
    is_cancelled: bool,
    /// Its caller's machine is gone.
    is_lost: bool,
    terminals: u32,
    /// It ended as its handler meant, not by a failure.
    is_complete: bool,
    /// Items meant, and items that the reader has: from caller to callee, from callee to caller.
    meant: [u32; 2],
    arrived: [u32; 2],
    upload_over: bool,
    /// The number of the last value of a watch that the reader has.
    value: u32,
    /// The last value that was meant before the handler that runs now.
    since: u32,
}

struct World {
    pair: Pair,
    random: Random,
    calls: Vec<Call>,
    /// Calls by caller's side and name, while the caller waits for their end.
    own: BTreeMap<(u8, CallId), usize>,
    /// Calls by callee's side and name, until the handler has answered.
    handled: BTreeMap<(u8, CallId), usize>,
    notifies: (u64, u64),
    limits: Limits,
    cuts: bool,
}

fn payload(number: u32, direction: u8, index: u32, len: usize) -> Vec<u8> {
    let mut bytes = number.to_le_bytes().to_vec();
    bytes.push(direction);
    bytes.extend(index.to_le_bytes());
    bytes.resize(len.max(9), number as u8 ^ index as u8);
    bytes
}

fn parse(bytes: &[u8]) -> (u32, u8, u32) {
    let number = u32::from_le_bytes(bytes[..4].try_into().unwrap());
    let index = u32::from_le_bytes(bytes[5..9].try_into().unwrap());
    assert!(
        bytes[9..].iter().all(|&byte| byte == number as u8 ^ index as u8),
        "the bytes of another payload"
    );
    (number, bytes[4], index)
}

impl World {
    fn new(seed: u64, weather: Weather, cuts: bool) -> Self {
        let mut random = Random::new(seed);
        let limits = random.scarce_limits();
        let config = Config { limits: limits.clone(), ..serving() };
        let mut pair = Pair::live(config.clone(), config);
        pair.records = false;
        pair.weather = weather;
        pair.seed(seed);
        Self {
            pair,
            random,
            calls: Vec::new(),
            own: BTreeMap::new(),
            handled: BTreeMap::new(),
            notifies: (0, 0),
            limits,
            cuts,
        }
    }

    fn len(&mut self) -> usize {
        match self.random.below(20) {
            0 => 65_000 + self.random.below(120_000) as usize,
            1..=3 => self.random.below(10_000) as usize,
            _ => self.random.below(100) as usize,
        }
    }

    fn any(&mut self, from: Vec<usize>) -> Option<usize> {
        if from.is_empty() { None } else { Some(from[self.random.below(from.len() as u64) as usize]) }
    }

    fn call(&mut self) {
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
    fn send(&mut self) {
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

    fn end_upload(&mut self) {
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

    fn answer(&mut self, number: usize) {
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

    fn answer_any(&mut self) {
        let can = self.calls.iter().enumerate().filter(|(_, call)| call.handler.is_some());
        if let Some(number) = self.any(can.map(|(number, _)| number).collect()) {
            self.answer(number);
        }
    }

    fn cancel(&mut self) {
        let waiting = self.own.values().copied().collect();
        let Some(number) = self.any(waiting) else { return };
        let call = &mut self.calls[number];
        call.is_cancelled = true;
        let (now, caller, own) = (self.pair.now, call.caller, call.own);
        self.pair.session(caller).cancel(now, own);
        self.own.remove(&(caller as u8, own));
    }

    fn notify(&mut self) {
        let now = self.pair.now;
        if self.pair.client().notify(now, request(NOTIFY, "x")).is_ok() {
            self.notifies.0 += 1;
        }
    }

    /// Reads what there is of one call at one end, at most `max` times.
    fn read(&mut self, number: usize, side: Side, max: usize) {
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

    fn read_any(&mut self) {
        let side = SIDES[self.random.below(2) as usize];
        let waiting = (0..self.calls.len()).filter(|&number| self.is_read_at(number, side)).collect();
        if let Some(number) = self.any(waiting) {
            let max = 1 + self.random.below(20) as usize;
            self.read(number, side, max);
        }
    }

    fn is_read_at(&self, number: usize, side: Side) -> bool {
        let call = &self.calls[number];
        if call.caller == side {
            matches!(call.method, SERVER_STREAM | BIDIRECTIONAL | WATCH)
        } else {
            matches!(call.method, CLIENT_STREAM | BIDIRECTIONAL)
        }
    }

    fn finish(&mut self, number: usize, is_complete: bool) {
        let call = &mut self.calls[number];
        assert!(!call.is_cancelled, "nothing is heard of a cancelled call");
        call.terminals += 1;
        call.is_complete = is_complete;
        assert_eq!(call.terminals, 1, "one terminal");
        self.own.remove(&(call.caller as u8, call.own));
    }

    fn take_events(&mut self) {
        for side in SIDES {
            for event in self.pair.events(side) {
                self.take_event(side, event);
            }
        }
    }

    fn take_event(&mut self, side: Side, event: Event) {
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
            Event::Hello(_)
            | Event::Live { .. }
            | Event::Acknowledged { .. }
            | Event::Disconnected
            | Event::Proved
            | Event::GoAway { .. } => {}
        }
    }

    fn check_bounds(&mut self) {
        for side in SIDES {
            let held = self.pair.session(side).stats().held;
            let limits = &self.limits;
            let message = self.pair.ends[side as usize].largest;
            assert!(message <= limits.message_out + 64 * 1024 + 1024, "{message}");
            assert!(held.unacknowledged_bytes <= limits.replay_bytes + message, "{held:?}");
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

    /// The link is lost, and the session goes on over another one.
    fn cut_link(&mut self) {
        if self.pair.server().session_id().is_none() {
            return self.cut();
        }
        self.pair.cut();
        self.take_events();
        self.pair.connect();
    }

    /// The server loses its memory with the link.
    fn cut(&mut self) {
        self.pair.cut();
        let now = self.pair.now;
        self.pair.server().end(now);
        self.take_events();
        let config = Config { limits: self.limits.clone(), ..serving() };
        self.pair.restart_server(config);
        // Names of the old server's machine mean nothing to the new one.
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
        self.pair.connect();
    }

    /// At the server's machine of a lost link only ended streams are left, not read to their end.
    fn is_read_out(&self, side: u8) -> bool {
        self.own
            .iter()
            .filter(|((of, _), _)| *of == side)
            .all(|(_, &number)| matches!(self.calls[number].method, SERVER_STREAM | BIDIRECTIONAL | WATCH))
    }

    fn operate(&mut self, operation: u8) {
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

    /// The network heals, handlers answer, readers read: everything ends.
    fn settle(&mut self) {
        for end in &mut self.pair.ends {
            (end.takes, end.hears) = (true, true);
        }
        for _ in 0..1500 {
            self.pair.advance(Duration::from_millis(100));
            self.take_events();
            self.check_bounds();
            for number in 0..self.calls.len() {
                for side in SIDES {
                    if self.is_read_at(number, side) {
                        self.read(number, side, usize::MAX);
                    }
                }
                self.answer(number);
            }
            self.take_events();
            if self.own.is_empty() && self.handled.is_empty() {
                // A call that was cancelled may still be under way.
                self.pair.advance(Duration::from_secs(3));
                self.take_events();
                if self.handled.is_empty() {
                    break;
                }
            }
        }
        self.check_bounds();
        assert!(
            self.own.is_empty(),
            "{:?}",
            self.own.values().map(|&it| &self.calls[it]).collect::<Vec<_>>()
        );
        for call in &self.calls {
            assert!(call.is_cancelled || call.terminals == 1 || self.cuts, "one terminal: {call:?}");
            assert!(call.handler.is_none());
            if call.is_complete && call.method == UNARY {
                assert_eq!(call.starts, 1);
            }
        }
        for side in SIDES {
            assert_eq!(self.pair.session(side).stats().held, Held::default(), "{side:?}");
        }
        let dropped = self.pair.client().stats().counted.notifies_dropped;
        let refused = self.pair.server().stats().counted.notifies_refused;
        assert!(self.notifies.0 <= self.notifies.1 + dropped + refused);
    }
}

fn weather() -> impl Strategy<Value = Weather> {
    (0..200_u64, 0..100_u64, any::<u8>(), any::<u8>(), 0..100_u64).prop_map(
        |(delay, jitter, split, merge, late)| Weather {
            delay: Duration::from_millis(delay),
            jitter: Duration::from_millis(jitter),
            split,
            merge,
            lateness: Duration::from_millis(late),
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_call_has_one_terminal_and_every_item_arrives_once_in_order(
        seed in any::<u64>(),
        weather in weather(),
        operations in proptest::collection::vec(any::<u8>(), 0..300),
    ) {
        let mut world = World::new(seed, weather, false);
        for operation in operations {
            world.operate(operation);
        }
        world.settle();
    }

    #[test]
    fn lost_links_leave_no_call_without_an_end_and_no_state_behind(
        seed in any::<u64>(),
        weather in weather(),
        operations in proptest::collection::vec(150..=255_u8, 0..40),
        before in proptest::collection::vec(0..=200_u8, 0..300),
    ) {
        let mut world = World::new(seed, weather, true);
        for (place, operation) in before.into_iter().enumerate() {
            world.operate(operation);
            if place % 10 == 0 && let Some(&operation) = operations.get(place / 10) {
                world.operate(operation);
            }
        }
        world.settle();
    }

    #[test]
    fn equal_inputs_give_equal_outputs(seed in any::<u64>(), operations in proptest::collection::vec(any::<u8>(), 0..100)) {
        let weather = Weather { delay: Duration::from_millis(5), ..Weather::default() };
        let run = || {
            let mut world = World::new(seed, weather.clone(), false);
            world.pair.records = true;
            operations.iter().for_each(|&operation| world.operate(operation));
            (world.pair.sent(Side::Client), world.pair.sent(Side::Server))
        };
        prop_assert!(run() == run());
    }
}
