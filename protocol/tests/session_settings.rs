//! Each setting that no other test changes, changed: the behaviour follows.

mod common;

use std::time::Duration;

use bowline_protocol::envelope::{Control, Envelope};
use bowline_protocol::limits::{Limits, Timing};
use bowline_protocol::session::{Config, Event, Session, Stop};
use bowline_protocol::status::{CloseCode, Code};
use bowline_test_support::{Pair, Side, origin};
use common::*;

fn timed(timing: Timing) -> Config {
    Config { timing, ..serving() }
}

fn limited(limits: Limits) -> Config {
    Config { limits, ..serving() }
}

fn closed_slow(pair: &Pair) -> bool {
    matches!(&pair.closed, Some((Side::Client, refusal)) if refusal.code == CloseCode::SLOW)
}

#[test]
fn an_ack_goes_alone_after_its_delay() {
    let delay = Duration::from_millis(300);
    let mut pair = live(serving(), timed(Timing { ack_delay: delay, ..Timing::default() }));
    pair.advance(Duration::from_secs(2));
    pair.sent(Side::Server);
    open(&mut pair, UNARY);
    let acks = |pair: &mut Pair| {
        let sent = pair.sent(Side::Server);
        sent.iter().filter(|envelope| matches!(envelope, Envelope::Control(Control::Ack(_)))).count()
    };
    pair.advance(delay - Duration::from_millis(1));
    assert_eq!(acks(&mut pair), 0);
    pair.advance(Duration::from_millis(1));
    assert_eq!(acks(&mut pair), 1);
}

#[test]
fn a_server_shortens_deadlines_to_its_longest() {
    let longest = Duration::from_secs(3);
    let mut pair = live(serving(), timed(Timing { deadline_max: longest, ..Timing::default() }));
    let hour = pair.now + Duration::from_secs(3600);
    ask(&mut pair, within(request(UNARY, "x"), hour));
    ask(&mut pair, request(UNARY, "none"));
    pair.run();
    let start = pair.now;
    for call in incoming_all(&mut pair) {
        assert_eq!(call.deadline, Some(start + longest));
    }
    pair.advance(longest);
    let stopped = pair.events(Side::Server);
    let is_stopped = |event: &Event| matches!(event, Event::Stopped { reason: Stop::DeadlineExceeded, .. });
    assert_eq!(stopped.iter().filter(|event| is_stopped(event)).count(), 2);
}

#[test]
fn a_blocked_socket_is_closed_after_the_set_time() {
    let stall = Duration::from_secs(3);
    let mut pair = live(timed(Timing { write_stall: stall, ..Timing::default() }), serving());
    let start = pair.now;
    let client = pair.client();
    client.handle_blocked(start);
    client.handle_timeout(start + stall - Duration::from_millis(1));
    assert!(client.is_live());
    client.handle_timeout(start + stall);
    assert!(!client.is_live());
}

#[test]
fn a_peer_that_acknowledges_nothing_is_closed_after_the_set_time() {
    let stall = Duration::from_secs(5);
    let mut pair = live(timed(Timing { ack_stall: stall, ..Timing::default() }), serving());
    pair.advance(Duration::from_secs(2));
    ask(&mut pair, request(UNARY, "x"));
    pair.ends[Side::Client as usize].hears = false;
    pair.run();
    pair.advance(stall - Duration::from_millis(1));
    assert!(!closed_slow(&pair));
    pair.advance(Duration::from_millis(1));
    assert!(closed_slow(&pair));
}

#[test]
fn a_large_payload_without_progress_ends_its_call_after_the_set_time() {
    let stall = Duration::from_secs(4);
    let mut pair = live(serving(), timed(Timing { assembly_stall: stall, ..Timing::default() }));
    let now = pair.now;
    let own = ask(&mut pair, request(UNARY, vec![0; 500 * 1024]));
    let message = pair.client().poll_transmit(now).unwrap();
    pair.inject(Side::Server, message);
    pair.ends[Side::Client as usize].takes = false;
    pair.advance(stall);
    let failure = response(&mut pair, own).unwrap_err();
    assert!(status_of(&failure).message.contains("progress"));
}

#[test]
fn metadata_is_bounded_in_entries_and_bytes() {
    let limits = Limits { metadata_entries: 2, metadata_bytes: 100, ..Limits::default() };
    let mut pair = live(limited(limits), serving());
    let now = pair.now;
    let entry = |len: usize| ("name".to_owned(), "x".repeat(len));
    let mut with = |metadata| {
        pair.client().call(now, bowline_protocol::session::Request { metadata, ..request(UNARY, "x") })
    };
    assert!(with(vec![entry(1); 2]).is_ok());
    assert_eq!(with(vec![entry(1); 3]).unwrap_err().code, Code::InvalidArgument);
    assert!(with(vec![entry(96)]).is_ok());
    assert_eq!(with(vec![entry(97)]).unwrap_err().code, Code::InvalidArgument);
}

#[test]
fn a_notify_is_bounded_in_bytes() {
    let limits = Limits { notify_payload: 100, ..Limits::default() };
    let mut pair = live(limited(limits), serving());
    let now = pair.now;
    assert!(pair.client().notify(now, request(NOTIFY, vec![0; 100])).is_ok());
    assert_eq!(
        pair.client().notify(now, request(NOTIFY, vec![0; 101])).unwrap_err().code,
        Code::ResourceExhausted
    );
    pair.run();
    assert_eq!(pair.events(Side::Server).len(), 1);
}

#[test]
fn a_server_waits_for_a_hello_as_long_as_it_is_told() {
    let hello = Duration::from_secs(3);
    let mut server = Session::server(timed(Timing { hello, ..Timing::default() }));
    let start = origin();
    server.handle_connected(start);
    server.handle_timeout(start + hello - Duration::from_millis(1));
    assert_eq!(server.poll_transmit(start), None);
    server.handle_timeout(start + hello);
    server.poll_transmit(start).unwrap();
    assert_eq!(server.poll_close().unwrap().code, CloseCode::NO_HELLO);
}

#[test]
fn messages_are_read_up_to_their_set_length() {
    let (set, least) = (200 * 1024, 96 * 1024);
    for (message_in, len, code) in [
        (set, set, CloseCode::MALFORMED),
        (set, set + 1, CloseCode::TOO_BIG),
        (1, least, CloseCode::MALFORMED),
        (1, least + 1, CloseCode::TOO_BIG),
    ] {
        let limits = Limits { message_in, ..Limits::default() };
        let mut pair = live(serving(), limited(limits));
        // What is short enough is read, and is no envelope.
        pair.inject(Side::Server, vec![0xff; len].into());
        pair.run();
        assert_eq!(pair.closed.unwrap().1.code, code);
    }
}

/// Places that are kept for calls inside handlers: as many as are set, and no more than an eighth of all.
#[test]
fn the_places_kept_for_nested_calls_are_as_many_as_set() {
    for (nested, plain) in [(0, 16), (1, 15), (2, 14), (3, 14)] {
        let limits = Limits { calls: 16, nested, ..Limits::default() };
        let mut pair = live(limited(limits.clone()), limited(limits));
        for _ in 0..20 {
            ask(&mut pair, request(UNARY, "x"));
        }
        pair.run();
        assert_eq!(incoming_all(&mut pair).len(), plain, "{nested} kept");
    }
}

#[test]
fn values_that_are_not_acknowledged_are_bounded_in_envelopes_and_bytes() {
    let base = Limits::default();
    for (limits, values) in [
        (Limits { unsequenced_envelopes: 3, ..base.clone() }, 3),
        (Limits { unsequenced_bytes: 5_500, ..base }, 5),
    ] {
        let mut pair = live(serving(), limited(limits));
        let (_, watch) = open(&mut pair, WATCH);
        pair.advance(Duration::from_secs(2));
        pair.sent(Side::Server);
        pair.ends[Side::Client as usize].hears = false;
        for value in 0..20_u8 {
            let now = pair.now;
            pair.server().set_watch(now, watch, vec![value; 1_000].into());
            pair.run();
        }
        let sent = pair.sent(Side::Server);
        assert_eq!(sent.iter().filter(|it| matches!(it, Envelope::Watch(_))).count(), values);
    }
}

#[test]
fn notifies_that_are_not_acknowledged_are_bounded_in_envelopes_and_bytes() {
    let base = Limits::default();
    for (limits, notifies) in [
        (Limits { unsequenced_envelopes: 3, ..base.clone() }, 3),
        (Limits { unsequenced_bytes: 5_500, ..base }, 5),
    ] {
        let mut pair = live(limited(limits), serving());
        pair.ends[Side::Server as usize].hears = false;
        for _ in 0..20 {
            let now = pair.now;
            // What finds no room is dropped, and counted.
            let _ = pair.client().notify(now, request(NOTIFY, vec![0; 1_000]));
            pair.run();
        }
        assert_eq!(pair.client().stats().counted.notifies_dropped, 20 - notifies);
        pair.ends[Side::Server as usize].hears = true;
        pair.advance(Duration::from_secs(2));
        assert_eq!(pair.events(Side::Server).len() as u64, notifies);
    }
}
