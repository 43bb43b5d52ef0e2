//! Calls that end early: withdrawn by their caller, or out of time.

mod common;

use std::time::Duration;

use bowline_protocol::envelope::{Envelope, Sequenced};
use bowline_protocol::session::{CallId, Event, Failure, Held, Read, Stop, WireFailure};
use bowline_protocol::status::{Code, Delivery, Status};
use bowline_test_support::{Pair, Side};
use common::*;

fn cancelled() -> Result<bytes::Bytes, WireFailure> {
    Err(WireFailure::Status(Status::new(Code::Cancelled, "cancelled")))
}

fn cancel(pair: &mut Pair, call: CallId) {
    let now = pair.now;
    pair.client().cancel(now, call);
}

/// The one call that was stopped at the server.
fn stopped(pair: &mut Pair) -> (CallId, Stop) {
    let events = pair.events(Side::Server);
    match events[..] {
        [Event::Stopped { call, reason }] => (call, reason),
        _ => panic!("expected one stop, got {events:?}"),
    }
}

fn cancels(envelopes: &[Envelope]) -> usize {
    envelopes.iter().filter(|it| matches!(it, Envelope::Sequenced(_, Sequenced::Cancel { .. }))).count()
}

#[test]
fn a_call_cancelled_before_it_is_written_leaves_no_trace() {
    let mut pair = pair();
    for method in [UNARY, SERVER_STREAM, CLIENT_STREAM, BIDIRECTIONAL, WATCH] {
        let own = ask(&mut pair, request(method, "x"));
        cancel(&mut pair, own);
    }
    pair.run();
    assert!(pair.sent(Side::Client).is_empty());
    pair.events(Side::Client);
    assert_empty(&mut pair);
}

#[test]
fn a_call_cancelled_while_it_waits_for_a_session_is_never_sent() {
    let mut pair = Pair::new(serving(), serving());
    let first = ask(&mut pair, request(UNARY, "first"));
    ask(&mut pair, request(UNARY, "second"));
    cancel(&mut pair, first);
    assert_eq!(pair.client().stats().held.waiting_calls, 1);
    pair.connect();
    pair.run();
    let events = pair.events(Side::Server);
    let calls: Vec<_> = events.iter().filter(|event| matches!(event, Event::Call(_))).collect();
    assert!(matches!(calls[..], [Event::Call(call)] if &call.buffer[..] == b"second"));
}

#[test]
fn cancelling_stops_the_handler_of_every_kind_and_its_terminal_frees_the_id() {
    for method in [UNARY, SERVER_STREAM, CLIENT_STREAM, BIDIRECTIONAL, WATCH] {
        let mut pair = pair();
        let (own, call) = open(&mut pair, method);
        pair.events(Side::Client);
        cancel(&mut pair, own);
        pair.run();
        assert_eq!(stopped(&mut pair), (call, Stop::Cancelled), "{method}");
        assert_eq!(pair.client().stats().held.calls, 1, "the id is in use until the handler stopped");
        assert_eq!(pair.server().stats().held.incoming, 1);
        let now = pair.now;
        pair.server().respond(now, call, cancelled());
        pair.run();
        assert!(pair.events(Side::Client).is_empty(), "the application hears nothing more");
        assert_empty(&mut pair);
    }
}

#[test]
fn a_cancel_that_crosses_the_response_changes_nothing() {
    let mut pair = pair();
    let (own, call) = open(&mut pair, UNARY);
    let now = pair.now;
    pair.server().respond(now, call, Ok("answer".into()));
    let answer = pair.server().poll_transmit(now).unwrap();
    cancel(&mut pair, own);
    let cancel = pair.client().poll_transmit(now).unwrap();
    pair.inject(Side::Client, answer);
    pair.inject(Side::Server, cancel);
    pair.run();
    assert!(pair.events(Side::Client).is_empty());
    assert!(pair.events(Side::Server).is_empty());
    assert_eq!(pair.server().stats().counted.late, 1);
    assert_empty(&mut pair);
}

#[test]
fn a_cancel_after_the_response_does_nothing() {
    let mut pair = pair();
    let (own, call) = open(&mut pair, UNARY);
    respond(&mut pair, call, "answer");
    response(&mut pair, own).unwrap();
    cancel(&mut pair, own);
    pair.run();
    assert_eq!(cancels(&pair.sent(Side::Client)), 0);
    assert_empty(&mut pair);
}

#[test]
fn an_old_name_does_not_cancel_the_call_that_has_its_place_now() {
    let mut pair = pair();
    let (first, call) = open(&mut pair, UNARY);
    respond(&mut pair, call, "answer");
    response(&mut pair, first).unwrap();
    let (second, call) = open(&mut pair, UNARY);
    assert_eq!(second.id, first.id);
    cancel(&mut pair, first);
    pair.run();
    respond(&mut pair, call, "second");
    assert_eq!(response(&mut pair, second).unwrap(), b"second");
    assert_empty(&mut pair);
}

#[test]
fn an_id_is_not_used_again_before_the_terminal_of_its_cancelled_call() {
    let mut pair = pair();
    let (first, call) = open(&mut pair, UNARY);
    cancel(&mut pair, first);
    let (second, other) = {
        let own = call_at_client(&mut pair);
        pair.run();
        let events = pair.events(Side::Server);
        let [Event::Stopped { .. }, Event::Call(incoming)] = &events[..] else { panic!("{events:?}") };
        (own, incoming.call)
    };
    assert_ne!(call.id, other.id);
    let now = pair.now;
    pair.server().respond(now, call, Ok("late answer of the first".into()));
    pair.run();
    assert!(pair.events(Side::Client).is_empty());
    // Now the first id is free, and the answer to the call that has it is its own.
    let third = call_at_client(&mut pair);
    pair.run();
    let again = incoming(&mut pair).call;
    assert_eq!(again.id, call.id);
    respond(&mut pair, again, "third");
    assert_eq!(response(&mut pair, third).unwrap(), b"third");
    respond(&mut pair, other, "second");
    assert_eq!(response(&mut pair, second).unwrap(), b"second");
    assert_empty(&mut pair);
}

fn call_at_client(pair: &mut Pair) -> CallId {
    ask(pair, request(UNARY, "x"))
}

#[test]
fn a_call_cancelled_while_its_arguments_travel_never_reaches_a_handler() {
    let mut pair = pair();
    let now = pair.now;
    let own = ask(&mut pair, request(UNARY, vec![1; 500 * 1024]));
    for _ in 0..3 {
        let message = pair.client().poll_transmit(now).unwrap();
        pair.inject(Side::Server, message);
    }
    assert_eq!(pair.server().stats().held.assembling, 1);
    cancel(&mut pair, own);
    pair.run();
    assert!(pair.events(Side::Server).is_empty());
    let written: usize = pair.ends[0].bytes;
    assert!(written < 100 * 1024, "the rest of the arguments is not written");
    assert_empty(&mut pair);
    // Number and credit are free: the same again, to the end.
    let (own, call) = {
        let own = call(&mut pair, UNARY, vec![2; 500 * 1024]);
        (own, incoming(&mut pair))
    };
    assert!(call.buffer.iter().all(|&byte| byte == 2));
    respond(&mut pair, call.call, "");
    response(&mut pair, own).unwrap();
    assert_empty(&mut pair);
}

#[test]
fn a_large_response_stops_when_its_call_is_cancelled() {
    let mut pair = pair();
    let (own, call) = open(&mut pair, UNARY);
    let now = pair.now;
    pair.server().respond(now, call, Ok(vec![1; 500 * 1024].into()));
    for _ in 0..3 {
        let message = pair.server().poll_transmit(now).unwrap();
        pair.inject(Side::Client, message);
    }
    cancel(&mut pair, own);
    let message = pair.client().poll_transmit(now).unwrap();
    pair.inject(Side::Server, message);
    pair.run();
    assert!(pair.events(Side::Client).is_empty());
    assert!(pair.ends[1].bytes < 10 * 1024, "the rest of the response is not written");
    assert_empty(&mut pair);
}

#[test]
fn a_response_that_overtakes_a_large_upload_ends_it() {
    let mut pair = pair();
    let (own, call) = open(&mut pair, CLIENT_STREAM);
    pair.events(Side::Client);
    let now = pair.now;
    assert!(send(&mut pair, Side::Client, own, vec![1; 500 * 1024]));
    let message = pair.client().poll_transmit(now).unwrap();
    pair.inject(Side::Server, message);
    pair.server().respond(now, call, Ok("enough".into()));
    pair.run();
    assert_eq!(response(&mut pair, own).unwrap(), b"enough");
    assert_eq!(pair.server().stats().held.assembling, 0);
    assert_empty(&mut pair);
    let (own, call) = open(&mut pair, CLIENT_STREAM);
    assert!(send(&mut pair, Side::Client, own, vec![2; 500 * 1024]));
    pair.run();
    assert_eq!(item(&mut pair, Side::Server, call), vec![2; 500 * 1024]);
    respond(&mut pair, call, "");
    pair.events(Side::Client);
    pair.events(Side::Server);
    assert_empty(&mut pair);
}

#[test]
fn cancelling_a_stream_throws_away_what_waits_for_credit() {
    let mut pair = pair();
    let (own, call) = open(&mut pair, SERVER_STREAM);
    while send(&mut pair, Side::Server, call, vec![0; 10_000]) {}
    pair.run();
    pair.events(Side::Client);
    cancel(&mut pair, own);
    pair.run();
    assert_eq!(stopped(&mut pair), (call, Stop::Cancelled));
    assert!(!send(&mut pair, Side::Server, call, "late"));
    let now = pair.now;
    pair.server().send_end(now, call);
    pair.run();
    assert_empty(&mut pair);
}

#[test]
fn a_call_that_is_not_sent_in_time_was_not_sent() {
    let mut pair = Pair::new(serving(), serving());
    let deadline = pair.now + Duration::from_secs(2);
    let own = ask(&mut pair, within(request(UNARY, "x"), deadline));
    pair.advance(Duration::from_millis(1999));
    assert!(pair.events(Side::Client).is_empty());
    pair.advance(Duration::from_millis(1));
    assert!(matches!(response(&mut pair, own), Err(Failure::DeadlineExceeded(Delivery::NotSent))));
    assert_eq!(pair.client().stats().held, Held::default());
}

#[test]
fn a_deadline_passes_at_both_ends() {
    let mut pair = pair();
    let deadline = pair.now + Duration::from_secs(2);
    let own = ask(&mut pair, within(request(UNARY, "x"), deadline));
    pair.run();
    let call = incoming(&mut pair).call;
    pair.ends[0].takes = false;
    pair.advance(Duration::from_secs(2));
    assert!(matches!(response(&mut pair, own), Err(Failure::DeadlineExceeded(Delivery::OutcomeUnknown))));
    // The callee needs no word of the caller.
    assert_eq!(stopped(&mut pair), (call, Stop::DeadlineExceeded));
    pair.ends[0].takes = true;
    pair.run();
    assert_eq!(cancels(&pair.sent(Side::Client)), 1);
    let now = pair.now;
    pair.server().respond(now, call, cancelled());
    pair.run();
    assert!(pair.events(Side::Client).is_empty());
    assert_empty(&mut pair);
}

#[test]
fn the_wire_carries_the_time_left_and_a_server_shortens_long_deadlines() {
    let mut pair = pair();
    pair.weather.delay = Duration::from_millis(300);
    let deadline = pair.now + Duration::from_secs(2);
    ask(&mut pair, within(request(UNARY, "x"), deadline));
    ask(&mut pair, request(UNARY, "y"));
    pair.advance(Duration::from_millis(300));
    let now = pair.now;
    let deadlines: Vec<_> = incoming_all(&mut pair).iter().map(|call| call.deadline.unwrap() - now).collect();
    assert_eq!(deadlines, [Duration::from_secs(2), Duration::from_secs(600)]);
}

#[test]
fn the_deadline_of_a_stream_bounds_its_acceptance_only() {
    let mut pair = pair();
    let deadline = pair.now + Duration::from_secs(1);
    let accepted = ask(&mut pair, within(request(SERVER_STREAM, "x"), deadline));
    let ignored = ask(&mut pair, within(request(SERVER_STREAM, "y"), deadline));
    pair.run();
    let calls = incoming_all(&mut pair);
    let now = pair.now;
    pair.server().accept(now, calls[0].call);
    pair.run();
    assert!(matches!(pair.events(Side::Client)[..], [Event::Accepted { call }] if call == accepted));
    pair.advance(Duration::from_secs(3));
    let events = pair.events(Side::Client);
    assert!(matches!(events[..], [Event::Readable { call }] if call == ignored), "{events:?}");
    let failure = read(&mut pair, Side::Client, ignored);
    assert!(matches!(failure, Read::Failed(Failure::DeadlineExceeded(Delivery::OutcomeUnknown))));
    assert_eq!(stopped(&mut pair).0, calls[1].call);
    let now = pair.now;
    pair.server().send_end(now, calls[0].call);
    pair.server().respond(now, calls[1].call, cancelled());
    pair.run();
    pair.events(Side::Client);
    assert!(matches!(read(&mut pair, Side::Client, accepted), Read::End));
    assert_empty(&mut pair);
}

#[test]
fn a_call_whose_arguments_were_not_written_to_the_end_was_not_executed() {
    let mut pair = pair();
    let deadline = pair.now + Duration::from_secs(1);
    let own = ask(&mut pair, within(request(UNARY, vec![0; 500 * 1024]), deadline));
    let now = pair.now;
    let message = pair.client().poll_transmit(now).unwrap();
    pair.inject(Side::Server, message);
    pair.ends[0].takes = false;
    pair.advance(Duration::from_secs(1));
    assert!(matches!(response(&mut pair, own), Err(Failure::DeadlineExceeded(Delivery::NotExecuted))));
    assert!(pair.events(Side::Server).is_empty());
    pair.ends[0].takes = true;
    pair.run();
    assert_empty(&mut pair);
}

#[test]
fn an_answer_that_comes_just_before_the_deadline_counts() {
    let mut pair = pair();
    let deadline = pair.now + Duration::from_secs(1);
    let own = ask(&mut pair, within(request(UNARY, "x"), deadline));
    pair.run();
    let call = incoming(&mut pair).call;
    pair.advance(Duration::from_millis(999));
    respond(&mut pair, call, "just");
    pair.advance(Duration::from_secs(5));
    assert_eq!(response(&mut pair, own).unwrap(), b"just");
    assert_empty(&mut pair);
}

#[test]
fn many_cancels_behind_a_full_socket_do_not_pile_up() {
    let mut pair = pair();
    pair.ends[0].takes = false;
    let now = pair.now;
    for _ in 0..20_000 {
        let own = ask(&mut pair, request(UNARY, "x"));
        pair.client().cancel(now, own);
    }
    assert_eq!(pair.client().stats().held, Held::default());
    pair.ends[0].takes = true;
    pair.run();
    assert_empty(&mut pair);
}

#[test]
fn giving_up_ends_every_call_and_says_which_may_have_run() {
    let mut pair = pair();
    let now = pair.now;
    let unary = ask(&mut pair, request(UNARY, "x"));
    let stream = ask(&mut pair, request(SERVER_STREAM, "x"));
    pair.run();
    let waits = ask(&mut pair, request(UNARY, "not sent"));
    pair.client().fail_all(now, Failure::Closed);
    let events = pair.events(Side::Client);
    assert!(
        matches!(&events[..], [
        Event::Response { call: a, result: Err(Failure::Disconnected(Delivery::OutcomeUnknown)) },
        Event::Readable { call: b },
        Event::Response { call: c, result: Err(Failure::Closed) },
    ] if *a == unary && *b == stream && *c == waits),
        "{events:?}"
    );
    assert!(matches!(read(&mut pair, Side::Client, stream), Read::Failed(Failure::Closed)));
}
