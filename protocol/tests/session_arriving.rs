//! Messages that come in pieces: each piece shows that the other end is there, and has to lead to a whole message.

mod common;

use std::time::Duration;

use bowline_protocol::Instant;
use bowline_protocol::envelope::Outcome;
use bowline_protocol::limits::{Limits, Timing};
use bowline_protocol::session::{Arriving, Config, Session};
use bowline_protocol::status::CloseCode;
use bowline_test_support::{Pair, Side};
use common::links::*;
use common::{live, quiet, serving};

fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

const MILLI: Duration = Duration::from_millis(1);

fn server_with(limits: Limits, timing: Timing) -> Pair {
    let mut pair = live(serving(), Config { limits, timing, ..serving() });
    // So that nothing is left to be acknowledged.
    pair.advance(secs(2));
    pair
}

fn pair() -> Pair {
    server_with(Limits::default(), quiet())
}

/// What a driver says of one message of which `bytes` have come.
fn part(bytes: u64) -> Arriving {
    Arriving { bytes, messages: 0, unfinished: bytes, is_partial: true }
}

/// Time passes for the server alone.
fn pass(server: &mut Session, from: Instant, to: Instant) {
    let mut now = from;
    while let Some(due) = server.poll_timeout().filter(|due| *due <= to) {
        now = now.max(due);
        server.handle_timeout(now);
        while server.poll_transmit(now).is_some() {}
        if !server.is_live() {
            return;
        }
    }
    server.handle_timeout(to);
}

/// The code that the server closes with, if it does.
fn closed(server: &mut Session, now: Instant) -> Option<CloseCode> {
    while server.poll_transmit(now).is_some() {}
    server.poll_close().map(|refusal| refusal.code)
}

#[test]
fn a_message_that_does_not_go_on_is_closed_after_its_time() {
    for stall in [10, 3] {
        let mut pair = server_with(Limits::default(), Timing { message_stall: secs(stall), ..quiet() });
        let start = pair.now;
        let server = pair.server();
        server.handle_received(start, part(1));
        server.handle_received(start + secs(2), part(2));
        // A control frame between the pieces is no piece.
        server.handle_received(start + secs(3), Arriving { unfinished: 50, ..part(2) });
        let due = start + secs(2 + stall);
        assert_eq!(server.poll_timeout(), Some(due));
        pass(server, start, due - MILLI);
        assert!(server.is_live());
        pass(server, due, due);
        assert_eq!(closed(server, due), Some(CloseCode::STALLED_MESSAGE));
    }
}

#[test]
fn a_message_that_became_whole_is_not_waited_for() {
    let mut pair = pair();
    let start = pair.now;
    let server = pair.server();
    server.handle_received(start, part(100));
    server.handle_received(start + secs(9), Arriving { bytes: 200, messages: 1, ..Arriving::default() });
    assert_eq!(server.poll_timeout().filter(|due| *due < start + secs(100)), None);
    // The next one has time of its own.
    let next = Arriving { bytes: 210, messages: 1, unfinished: 10, is_partial: true };
    server.handle_received(start + secs(20), next);
    assert_eq!(server.poll_timeout(), Some(start + secs(30)));
    // So has one that began in the read that completed the one before.
    let next = Arriving { bytes: 300, messages: 2, unfinished: 10, is_partial: true };
    server.handle_received(start + secs(25), next);
    assert_eq!(server.poll_timeout(), Some(start + secs(35)));
}

/// How long a message lives of which that many bytes come in each second.
fn lives_for(pair: &mut Pair, pace: u64, most: u64) -> Option<u64> {
    let start = pair.now;
    let server = pair.server();
    for second in 0..most {
        let now = start + secs(second);
        server.handle_received(now, part((second + 1) * pace));
        pass(server, now, now + secs(1) - MILLI);
        if !server.is_live() {
            assert_eq!(closed(server, now), Some(CloseCode::STALLED_MESSAGE));
            return Some(second);
        }
    }
    None
}

#[test]
fn a_message_that_comes_too_slowly_is_closed_after_a_minute() {
    assert_eq!(lives_for(&mut pair(), 500, 1000), Some(60));
    assert_eq!(lives_for(&mut pair(), 512, 1000), None);
    let half = Limits { message_pace: 256, ..Limits::default() };
    assert_eq!(lives_for(&mut server_with(half, quiet()), 256, 1000), None);
    let sooner = Timing { message_pace: secs(20), ..quiet() };
    assert_eq!(lives_for(&mut server_with(Limits::default(), sooner), 400, 1000), Some(20));
}

#[test]
fn what_never_becomes_a_message_is_bounded() {
    for message_in in [1 << 20, 100_000] {
        let limits = Limits { message_in, ..Limits::default() };
        let mut pair = server_with(limits, quiet());
        let now = pair.now;
        let server = pair.server();
        let most = 2 * message_in as u64;
        // Control frames between messages count as well.
        let arriving = Arriving { unfinished: most, ..Arriving::default() };
        server.handle_received(now, arriving);
        assert!(server.is_live());
        server.handle_received(now, Arriving { unfinished: most + 1, ..arriving });
        assert_eq!(closed(server, now), Some(CloseCode::STALLED_MESSAGE));
    }
}

/// A large message on a slow link is no silence.
#[test]
fn bytes_answer_a_ping() {
    for hears in [true, false] {
        let mut pair = server_with(Limits::default(), Timing { ping: secs(25), ..quiet() });
        let start = pair.now;
        let server = pair.server();
        for second in 1..200 {
            let now = start + secs(second);
            let arriving = part(1000 * second);
            let said = if hears { arriving } else { Arriving { bytes: 0, is_partial: false, ..arriving } };
            server.handle_received(now, said);
            pass(server, now, now);
        }
        assert_eq!(server.is_live(), hears, "bytes of proxies say nothing of the other end");
    }
}

/// A machine that slept was not there to hear.
#[test]
fn a_sleep_is_no_stall() {
    let mut pair = pair();
    let start = pair.now;
    let server = pair.server();
    server.handle_received(start, part(1));
    let woke = start + secs(300);
    server.handle_timeout(woke);
    assert!(server.is_live());
    server.handle_timeout(woke + secs(10) - MILLI);
    assert!(server.is_live());
    server.handle_timeout(woke + secs(10));
    assert_eq!(closed(server, woke), Some(CloseCode::STALLED_MESSAGE));
}

#[test]
fn a_message_that_stalls_on_two_links_in_a_row_takes_its_session_along() {
    let mut pair = pair();
    for last in [false, true] {
        let now = pair.now;
        pair.server().handle_received(now, part(1));
        pair.advance(secs(11));
        assert_eq!(pair.closed.take().unwrap().1.code, CloseCode::STALLED_MESSAGE);
        cut(&mut pair);
        pair.connect();
        pair.run();
        let outcome = outcomes(&mut pair, Side::Client).pop();
        assert_eq!(matches!(outcome, Some(Outcome::Gap { .. })), last, "{outcome:?}");
    }
}
