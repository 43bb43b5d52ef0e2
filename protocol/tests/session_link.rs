//! The life of a link: handshake, acknowledgements, stalls, and what its loss means for each call.

mod common;

use std::time::Duration;

use bowline_protocol::envelope::{Control, Envelope, Outcome};
use bowline_protocol::limits::Limits;
use bowline_protocol::session::{Config, Event, Failure, Held, Read, Session, Stop};
use bowline_protocol::status::{CloseCode, Delivery};
use bowline_test_support::{Pair, Side, origin};
use common::*;

fn acks(envelopes: &[Envelope]) -> usize {
    envelopes.iter().filter(|it| matches!(it, Envelope::Control(Control::Ack(_)))).count()
}

#[test]
fn both_ends_hear_that_the_session_is_live() {
    let mut pair = Pair::new(serving(), serving());
    assert!(!pair.client().is_live());
    pair.connect();
    pair.run();
    let client = pair.events(Side::Client);
    let server = pair.events(Side::Server);
    let [Event::Live { outcome: Outcome::New, session }] = client[..] else { panic!("{client:?}") };
    assert!(matches!(&server[..], [Event::Hello(hello), Event::Live { session: same, .. }, Event::Proved]
        if *same == session && hello.instance == 7 && hello.attempt == 1 && hello.resume.is_none()));
    assert_eq!(pair.client().session_id(), Some(session));
}

#[test]
fn a_server_that_hears_no_hello_closes() {
    let mut server = Session::server(serving());
    let start = origin();
    server.handle_connected(start);
    assert_eq!(server.poll_timeout(), Some(start + Duration::from_secs(10)));
    server.handle_timeout(start + Duration::from_millis(9999));
    assert_eq!(server.poll_transmit(start), None);
    server.handle_timeout(start + Duration::from_secs(10));
    assert!(server.poll_transmit(start).is_some(), "the reason");
    assert_eq!(server.poll_close().unwrap().code, CloseCode::NO_HELLO);
    server.handle_disconnect(start, None);
    assert_eq!(server.poll_timeout(), None);
}

#[test]
fn a_client_that_hears_no_welcome_drops_the_link_and_keeps_its_calls() {
    let mut pair = Pair::new(serving(), serving());
    ask(&mut pair, request(UNARY, "x"));
    pair.ends[1].hears = false;
    pair.connect();
    pair.advance(Duration::from_secs(10));
    // Both gave up; whose timer came first does not matter.
    assert_eq!(pair.closed.take().unwrap().1.code, CloseCode::NO_HELLO);
    assert_eq!(pair.client().stats().held.waiting_calls, 1);
    assert!(pair.events(Side::Client).is_empty());
}

#[test]
fn the_application_may_refuse_a_hello() {
    let mut server = Session::server(serving());
    let mut client = Session::client(serving(), 1);
    let now = origin();
    client.handle_connected(now);
    server.handle_connected(now);
    server.handle_message(now, client.poll_transmit(now).unwrap());
    assert!(matches!(server.poll_event(), Some(Event::Hello(_))));
    server.close(now, CloseCode::FORBIDDEN, "members only");
    let told = server.poll_transmit(now).unwrap();
    assert_eq!(server.poll_transmit(now), None);
    let refusal = server.poll_close().unwrap();
    assert_eq!((refusal.code, &refusal.reason[..]), (CloseCode::FORBIDDEN, "members only"));
    assert_eq!(server.poll_close(), None);
    client.handle_message(now, told);
    assert!(!client.is_live());
}

#[test]
fn an_ack_rides_on_data_and_goes_alone_after_a_second() {
    let mut pair = pair();
    pair.advance(Duration::from_secs(2));
    pair.sent(Side::Server);
    let (_, call) = open(&mut pair, UNARY);
    assert_eq!(acks(&pair.sent(Side::Server)), 0, "nothing to ride on yet");
    pair.advance(Duration::from_millis(999));
    assert_eq!(acks(&pair.sent(Side::Server)), 0);
    pair.advance(Duration::from_millis(1));
    assert_eq!(acks(&pair.sent(Side::Server)), 1);
    let (_, other) = open(&mut pair, UNARY);
    respond(&mut pair, other, "x");
    assert_eq!(acks(&pair.sent(Side::Server)), 1, "with the response");
    pair.advance(Duration::from_millis(900));
    assert_eq!(acks(&pair.sent(Side::Server)), 0, "not again");
    respond(&mut pair, call, "x");
}

#[test]
fn what_is_not_acknowledged_is_bounded_and_control_is_not_held_up() {
    let limits = Limits { replay_bytes: 10_000, replay_envelopes: 100, ..Limits::default() };
    let mut pair = live(Config { limits, ..serving() }, serving());
    pair.advance(Duration::from_secs(2));
    pair.ends[Side::Client as usize].hears = false;
    for _ in 0..50 {
        ask(&mut pair, request(UNARY, vec![0; 1000]));
    }
    pair.run();
    let held = pair.client().stats().held;
    assert!(held.unacknowledged_bytes <= 10_000 + 1_100, "{held:?}");
    assert!(held.queued >= 38);
    assert_eq!(pair.events(Side::Server).len(), 50 - held.queued);
    // A server asks for a pong: it comes although no data may go.
    let mut ping = Vec::new();
    bowline_protocol::envelope::Encoder::new(&mut ping).push(&Envelope::Control(Control::Ping { nonce: 5 }));
    pair.sent(Side::Client);
    pair.inject(Side::Client, ping.into());
    pair.run();
    assert!(matches!(pair.sent(Side::Client)[..], [Envelope::Control(Control::Pong { nonce: 5, .. }), ..]));
    pair.ends[Side::Client as usize].hears = true;
    pair.advance(Duration::from_secs(5));
    assert_eq!(pair.client().stats().held.queued, 0);
}

#[test]
fn envelopes_are_bounded_as_well_as_bytes() {
    let limits = Limits { replay_envelopes: 40, ..Limits::default() };
    let mut pair = live(Config { limits, ..serving() }, serving());
    pair.advance(Duration::from_secs(2));
    pair.ends[Side::Client as usize].hears = false;
    for _ in 0..100 {
        ask(&mut pair, request(UNARY, "x"));
    }
    pair.run();
    assert_eq!(pair.client().stats().held.unacknowledged, 40);
    pair.ends[Side::Client as usize].hears = true;
    pair.advance(Duration::from_secs(5));
    assert_eq!(pair.events(Side::Server).len(), 100);
}

#[test]
fn a_peer_that_acknowledges_nothing_is_too_slow() {
    let mut pair = pair();
    pair.advance(Duration::from_secs(2));
    ask(&mut pair, request(UNARY, "x"));
    pair.ends[Side::Client as usize].hears = false;
    pair.run();
    pair.advance(Duration::from_millis(29_999));
    assert_eq!(pair.closed, None);
    pair.advance(Duration::from_millis(1));
    assert!(matches!(&pair.closed, Some((Side::Client, refusal)) if refusal.code == CloseCode::SLOW));
}

#[test]
fn a_socket_that_takes_nothing_for_ten_seconds_is_closed() {
    let mut pair = pair();
    let start = pair.now;
    let at = |seconds| start + Duration::from_secs(seconds);
    let client = pair.client();
    client.handle_blocked(at(0));
    client.handle_blocked(at(5));
    client.handle_timeout(at(9));
    assert!(client.is_live());
    client.handle_progress(at(9));
    client.handle_blocked(at(12));
    client.handle_timeout(at(21));
    assert!(client.is_live());
    client.handle_timeout(at(22));
    assert!(!client.is_live());
    assert_eq!(client.poll_close().unwrap().code, CloseCode::SLOW);
}

#[test]
fn a_large_payload_without_progress_ends_its_call_alone() {
    let mut pair = pair();
    let now = pair.now;
    let own = ask(&mut pair, request(UNARY, vec![0; 500 * 1024]));
    let message = pair.client().poll_transmit(now).unwrap();
    pair.inject(Side::Server, message);
    pair.ends[Side::Client as usize].takes = false;
    for _ in 0..29 {
        pair.advance(Duration::from_secs(1));
    }
    assert_eq!(pair.server().stats().held.incoming, 1);
    pair.advance(Duration::from_secs(1));
    let failure = response(&mut pair, own).unwrap_err();
    assert!(status_of(&failure).message.contains("progress"));
    pair.ends[Side::Client as usize].takes = true;
    pair.advance(Duration::from_secs(1));
    assert_eq!(pair.server().stats().held.incoming, 0);
    assert_empty(&mut pair);
}

#[test]
fn a_lost_session_ends_what_may_have_run_and_asks_the_rest_again() {
    let mut pair = pair();
    let now = pair.now;
    let sent = ask(&mut pair, request(UNARY, "sent"));
    let stream = ask(&mut pair, request(SERVER_STREAM, "stream"));
    pair.run();
    let calls = incoming_all(&mut pair);
    assert!(send(&mut pair, Side::Server, calls[1].call, "item"));
    pair.run();
    pair.events(Side::Client);
    let partly = ask(&mut pair, request(UNARY, vec![0; 500 * 1024]));
    let message = pair.client().poll_transmit(now).unwrap();
    pair.inject(Side::Server, message);
    let unsent = ask(&mut pair, request(UNARY, "unsent"));
    pair.cut();
    assert!(matches!(pair.events(Side::Client)[..], [Event::Disconnected]));
    pair.server().end(now);
    let stops = pair.events(Side::Server);
    let is_stop = |it: &Event| matches!(it, Event::Stopped { reason: Stop::Disconnected, .. });
    assert_eq!(
        stops.iter().filter(|it| is_stop(it)).count(),
        2,
        "the one whose arguments never came was never started"
    );
    assert_eq!(pair.server().stats().held, Held::default());
    // Late answers of handlers find nothing.
    pair.server().respond(now, calls[0].call, Ok("late".into()));
    assert_eq!(pair.server().stats().held, Held::default());

    pair.restart_server(serving());
    pair.connect();
    pair.run();
    let mut events = pair.events(Side::Client).into_iter();
    let ended = events.next();
    assert!(
        matches!(ended, Some(Event::Response { call, result: Err(Failure::Disconnected(Delivery::OutcomeUnknown)) }) if call == sent),
        "{ended:?}"
    );
    assert!(events.any(|it| matches!(it, Event::Live { outcome: Outcome::Gap { .. }, .. })));
    assert_eq!(item(&mut pair, Side::Client, stream), b"item", "what had come is still delivered");
    let end = read(&mut pair, Side::Client, stream);
    assert!(matches!(end, Read::Failed(Failure::Disconnected(Delivery::OutcomeUnknown))));

    let calls = pair.events(Side::Server).into_iter();
    let again: Vec<_> =
        calls.filter_map(|it| if let Event::Call(call) = it { Some(call) } else { None }).collect();
    let lengths: Vec<_> = again.iter().map(|call| call.buffer.len()).collect();
    assert_eq!(lengths, ["unsent".len(), 500 * 1024], "in the order in which they became complete");
    for call in again {
        respond(&mut pair, call.call, "answer");
    }
    let answers = pair.events(Side::Client).into_iter();
    let answered: Vec<_> = answers
        .filter_map(|it| if let Event::Response { call, result: Ok(_) } = it { Some(call) } else { None })
        .collect();
    assert_eq!(answered, [unsent, partly]);
    assert_empty(&mut pair);
}

#[test]
fn calls_that_survive_a_link_keep_their_order() {
    let limits = Limits { calls: 2, nested: 0, ..Limits::default() };
    let mut pair = live(serving(), Config { limits, ..serving() });
    for number in 0..6_u8 {
        ask(&mut pair, request(UNARY, vec![number]));
    }
    pair.cut();
    ask(&mut pair, request(UNARY, vec![6]));
    pair.restart_server(serving());
    pair.connect();
    pair.run();
    let events = pair.events(Side::Server).into_iter();
    let order: Vec<_> = events
        .filter_map(|it| if let Event::Call(call) = it { Some(call.buffer[0]) } else { None })
        .collect();
    assert_eq!(order, [0, 1, 2, 3, 4, 5, 6]);
}

#[test]
fn calls_of_a_server_end_with_its_session() {
    let mut pair = pair();
    let now = pair.now;
    let sent = pair.server().call(now, request(UNARY, "x")).unwrap();
    pair.run();
    let unsent = pair.server().call(now, request(UNARY, "x")).unwrap();
    pair.cut();
    pair.server().end(now);
    let events = pair.events(Side::Server);
    assert!(
        matches!(&events[..], [
        Event::Disconnected,
        Event::Response { call: a, result: Err(Failure::Disconnected(Delivery::OutcomeUnknown)) },
        Event::Response { call: b, result: Err(Failure::Disconnected(Delivery::NotSent)) },
    ] if *a == sent && *b == unsent),
        "{events:?}"
    );
    let events = pair.events(Side::Client);
    assert!(matches!(events[..], [Event::Call(_), Event::Disconnected]));
    pair.restart_server(serving());
    pair.connect();
    pair.run();
    let events = pair.events(Side::Client);
    assert!(matches!(events[..], [Event::Stopped { reason: Stop::Disconnected, .. }, Event::Live { .. }]));
    pair.events(Side::Server);
    assert_empty(&mut pair);
}

#[test]
fn deadlines_run_on_without_a_link() {
    let mut pair = pair();
    pair.cut();
    pair.events(Side::Client);
    let deadline = pair.now + Duration::from_secs(3);
    let own = ask(&mut pair, within(request(UNARY, "x"), deadline));
    pair.advance(Duration::from_secs(3));
    assert!(matches!(response(&mut pair, own), Err(Failure::DeadlineExceeded(Delivery::NotSent))));
}

#[test]
fn closing_says_why_and_leaves_nothing() {
    let mut pair = pair();
    let (own, _) = open(&mut pair, UNARY);
    let now = pair.now;
    pair.client().close(now, CloseCode::NORMAL, "bye");
    pair.run();
    let sent = pair.sent(Side::Client);
    assert!(
        matches!(sent.last(), Some(Envelope::Control(Control::Closing { code, .. })) if *code == CloseCode::NORMAL)
    );
    assert!(matches!(response_or_disconnect(&mut pair), Some(call) if call == own));
    for side in [Side::Client, Side::Server] {
        pair.events(side);
        assert_eq!(pair.session(side).stats().held, Held::default());
        assert_eq!(pair.session(side).poll_timeout(), None);
    }
}

fn response_or_disconnect(pair: &mut Pair) -> Option<bowline_protocol::session::CallId> {
    pair.events(Side::Client).into_iter().find_map(|event| match event {
        Event::Response { call, result: Err(Failure::Disconnected(_)) } => Some(call),
        _ => None,
    })
}
