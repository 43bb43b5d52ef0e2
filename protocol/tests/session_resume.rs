//! A session goes on on another link: nothing is lost, nothing comes twice, and both ends can go on at full strength.

#![allow(clippy::unwrap_used, reason = "a helper of tests that fails them")]

mod common;

use std::time::Duration;

use bowline_protocol::envelope::{Control, Credit, Envelope, Outcome, Sequenced};
use bowline_protocol::limits::Limits;
use bowline_protocol::schema::{MethodKind, ServiceDescriptor};
use bowline_protocol::session::{Config, Event, IncomingCall, Request, Session, Welcoming};
use bowline_protocol::status::Code;
use bowline_test_support::{Pair, Side};
use common::links::*;
use common::*;

fn limited(limits: Limits) -> Config {
    Config { limits, ..serving() }
}

#[test]
fn a_session_in_which_nothing_was_said_goes_on() {
    let mut pair = Pair::live(serving(), serving());
    let session = pair.client().session_id();
    cut(&mut pair);
    assert!(pair.client().is_detached() && pair.server().is_detached());
    resume(&mut pair);
    let sent = pair.sent(Side::Client);
    let [Envelope::Control(Control::Hello(hello)), ..] = &sent[..] else { panic!("{sent:?}") };
    let asked = hello.resume.as_ref().unwrap();
    assert_eq!((hello.attempt, asked.last_processed, asked.generation), (2, 0, 1));
    let sent = pair.sent(Side::Server);
    let told = welcome(&sent);
    assert_eq!((told.outcome, told.peer_last_processed, told.generation), (Outcome::Resumed, Some(0), 2));
    assert_eq!(pair.client().session_id(), session);
    let (own, call) = open(&mut pair, UNARY);
    respond(&mut pair, call, "answer");
    assert_eq!(response(&mut pair, own).unwrap(), b"answer");
    assert_empty(&mut pair);
}

#[test]
fn two_cuts_in_a_row_without_traffic_change_nothing() {
    let mut pair = pair();
    let (own, call) = open(&mut pair, UNARY);
    pair.sent(Side::Client);
    for generation in 2..=5 {
        change_links(&mut pair);
        let sent = pair.sent(Side::Server);
        assert_eq!(welcome(&sent).generation, generation);
        assert_eq!(numbered(&sent), [], "what the client has is not written again");
        assert_eq!(numbered(&pair.sent(Side::Client)), []);
    }
    respond(&mut pair, call, "answer");
    assert_eq!(response(&mut pair, own).unwrap(), b"answer");
    assert_empty(&mut pair);
}

#[test]
fn a_session_goes_on_whenever_its_link_was_lost() {
    for detached in [0, 1, 10_000, 119_900] {
        let mut pair = pair();
        let (own, call) = open(&mut pair, SERVER_STREAM);
        assert!(send(&mut pair, Side::Server, call, "one"));
        pair.run();
        // Idle for so long that everything is acknowledged and forgotten.
        pair.advance(Duration::from_secs(3600));
        pair.sent(Side::Server);
        lose_from(&mut pair, Side::Server);
        assert!(send(&mut pair, Side::Server, call, "two"));
        pair.run();
        cut(&mut pair);
        pair.advance(Duration::from_millis(detached));
        pair.events(Side::Client);
        resume(&mut pair);
        let sent = pair.sent(Side::Server);
        let again = numbered(&sent);
        assert_eq!(again.len(), 2, "one envelope, twice: {again:?}");
        assert_eq!(again[0], again[1]);
        assert_eq!(item(&mut pair, Side::Client, own), b"one");
        assert_eq!(item(&mut pair, Side::Client, own), b"two");
    }
}

#[test]
fn what_was_lost_comes_again_under_its_numbers_and_in_order() {
    let mut pair = pair();
    lose_from(&mut pair, Side::Client);
    for number in 0..20_u8 {
        ask(&mut pair, request(UNARY, vec![number]));
    }
    pair.run();
    let first = pair.sent(Side::Client);
    change_links(&mut pair);
    let again = pair.sent(Side::Client);
    let (first, again) = (numbered(&first), numbered(&again));
    assert_eq!(first.len(), 20);
    assert_eq!(
        first.iter().map(|it| it.0).collect::<Vec<_>>(),
        again.iter().map(|it| it.0).collect::<Vec<_>>()
    );
    let came: Vec<_> = arrivals(&mut pair).into_iter().map(|(_, bytes)| bytes[0]).collect();
    assert_eq!(came, (0..20).collect::<Vec<_>>());
    assert_eq!(pair.server().stats().counted.duplicates, 0);
}

#[test]
fn a_cut_during_a_replay_loses_nothing_and_doubles_nothing() {
    // Each message carries one call of a replay.
    let mut pair = live(limited(Limits { message_out: 900, ..at_once() }), serving());
    lose_from(&mut pair, Side::Client);
    for number in 0..10_u8 {
        ask(&mut pair, request(UNARY, vec![number; 1000]));
    }
    pair.run();
    cut(&mut pair);
    for arrive in [3, 0, 4] {
        pair.connect();
        let now = pair.now;
        let hello = pair.client().poll_transmit(now).unwrap();
        pair.inject(Side::Server, hello);
        pair.ends[Side::Client as usize].takes = false;
        pair.run();
        for _ in 0..arrive {
            let message = pair.client().poll_transmit(now).unwrap();
            pair.inject(Side::Server, message);
        }
        pair.run();
        cut(&mut pair);
    }
    ask(&mut pair, request(UNARY, vec![10; 1000]));
    resume(&mut pair);
    let came = arrivals(&mut pair);
    assert_eq!(came.iter().map(|(_, bytes)| bytes[0]).collect::<Vec<_>>(), (0..=10).collect::<Vec<_>>());
    assert_eq!(pair.server().stats().counted.duplicates, 0);
    for (call, bytes) in came {
        respond(&mut pair, call, bytes);
    }
    assert_eq!(answers(&mut pair).len(), 11);
    assert_empty(&mut pair);
}

#[test]
fn lost_welcomes_change_nothing() {
    for lost in 1..=3 {
        let mut pair = pair();
        let (own, call) = open(&mut pair, UNARY);
        let (stream, writer) = open(&mut pair, SERVER_STREAM);
        lose_from(&mut pair, Side::Server);
        respond(&mut pair, call, "answer");
        cut(&mut pair);
        for number in 0..lost {
            pair.connect();
            lose_from(&mut pair, Side::Server);
            pair.run();
            assert!(pair.server().is_live() && !pair.client().is_live());
            // The server goes on working for a client that hears nothing of it.
            assert!(send(&mut pair, Side::Server, writer, vec![number]));
            pair.run();
            cut(&mut pair);
        }
        ask(&mut pair, request(UNARY, "late"));
        resume(&mut pair);
        let came = arrivals(&mut pair);
        assert_eq!(came.iter().map(|it| &it.1[..]).collect::<Vec<_>>(), [b"late"]);
        for number in 0..lost {
            assert_eq!(item(&mut pair, Side::Client, stream), [number]);
        }
        let events = pair.events(Side::Client);
        let responses = events.iter().filter(|it| matches!(it, Event::Response { .. })).count();
        assert_eq!(responses, 1, "{events:?}");
        assert!(
            events.iter().any(|it| matches!(it, Event::Response { call, result: Ok(_) } if *call == own))
        );
        assert_eq!(pair.client().stats().counted.duplicates, 0);
    }
}

/// The client has another link, and the server has not noticed that the old one is dead.
#[test]
fn a_new_link_fences_the_old_one() {
    let mut pair = pair();
    let now = pair.now;
    let (own, call) = open(&mut pair, UNARY);
    lose_from(&mut pair, Side::Client);
    ask(&mut pair, request(UNARY, "lost"));
    pair.run();
    pair.client().handle_disconnect(now, None);
    let late = pair.server().poll_transmit(now);
    pair.client().handle_connected(now);
    let mut front = Session::server(serving());
    front.handle_connected(now);
    front.handle_message(now, pair.client().poll_transmit(now).unwrap());
    let Some(Event::Hello(hello)) = front.poll_event() else { panic!("a hello") };
    assert!(pair.server().is_live(), "on the old link");
    assert_eq!(pair.server().can_resume(hello.resume.as_ref().unwrap()), Ok(()));
    let welcoming = Welcoming { generation: 2, ..Welcoming::new(0, [9; 32], 0) };
    pair.server().attach(now, &hello, welcoming);
    let events = pair.events(Side::Server);
    assert!(
        matches!(events[..], [Event::Disconnected, Event::Live { outcome: Outcome::Resumed, .. }]),
        "{events:?}"
    );
    assert_eq!(late, None);
    // From here on the pair carries messages of the new link; of the old one nothing is read any more.
    pair.ends[Side::Server as usize].hears = true;
    respond(&mut pair, call, "answer");
    let answers = answers(&mut pair);
    assert!(matches!(&answers[..], [(call, Ok(_))] if *call == own));
    let came: Vec<_> = arrivals(&mut pair).into_iter().map(|it| it.1).collect();
    assert_eq!(came, [b"lost"]);
}

#[test]
fn a_lost_credit_for_calls_is_stated_again() {
    let mut pair = live(serving(), limited(Limits { calls: 4, nested: 0, ..at_once() }));
    for number in 0..8_u8 {
        ask(&mut pair, request(UNARY, vec![number]));
    }
    pair.run();
    lose_from(&mut pair, Side::Server);
    for (call, bytes) in arrivals(&mut pair) {
        respond(&mut pair, call, bytes);
    }
    let credit = |it: &Envelope| matches!(it, Envelope::Control(Control::Credit(Credit::Calls { total: 8 })));
    assert!(pair.sent(Side::Server).iter().any(credit), "written, and lost");
    change_links(&mut pair);
    let sent = pair.sent(Side::Server);
    assert_eq!(sent.iter().filter(|it| credit(it)).count(), 1, "{sent:?}");
    let came = arrivals(&mut pair);
    assert_eq!(came.iter().map(|(_, bytes)| bytes[0]).collect::<Vec<_>>(), [4, 5, 6, 7]);
    for (call, bytes) in came {
        respond(&mut pair, call, bytes);
    }
    let order: Vec<_> = answers(&mut pair).into_iter().map(|(_, result)| result.unwrap()[0]).collect();
    assert_eq!(order, (0..8).collect::<Vec<_>>());
    assert_empty(&mut pair);
}

#[test]
fn a_lost_credit_for_streams_is_stated_again() {
    let mut pair = live(serving(), limited(Limits { streams: 4, nested: 0, ..at_once() }));
    for number in 0..8_u8 {
        ask(&mut pair, request(SERVER_STREAM, vec![number]));
    }
    pair.run();
    lose_from(&mut pair, Side::Server);
    for (call, bytes) in arrivals(&mut pair) {
        respond(&mut pair, call, bytes);
    }
    change_links(&mut pair);
    let came = arrivals(&mut pair);
    assert_eq!(came.iter().map(|(_, bytes)| bytes[0]).collect::<Vec<_>>(), [4, 5, 6, 7]);
}

#[test]
fn a_lost_credit_for_large_payloads_is_stated_again() {
    let limits = Limits { payload_in: 200 * 1024, assembly: 200 * 1024, ..at_once() };
    let mut pair = live(serving(), limited(limits));
    // The client writes, but from here on it hears nothing: the window that the first call gave back is not told.
    lose_from(&mut pair, Side::Server);
    ask(&mut pair, request(UNARY, vec![1; 150 * 1024]));
    ask(&mut pair, request(UNARY, vec![2; 150 * 1024]));
    pair.run();
    assert_eq!(arrivals(&mut pair).len(), 1);
    let credit = |it: &Envelope| matches!(it, Envelope::Control(Control::Credit(Credit::Assembly { .. })));
    pair.advance(Duration::from_secs(2));
    assert!(pair.sent(Side::Server).iter().any(credit));
    change_links(&mut pair);
    assert!(pair.sent(Side::Server).iter().any(credit), "stated again");
    assert_eq!(arrivals(&mut pair)[0].1, vec![2; 150 * 1024]);
}

#[test]
fn a_lost_credit_for_items_is_stated_again() {
    let limits = Limits { stream_window: 4096, stream_window_max: 4096, ..at_once() };
    let mut pair = live(limited(limits), serving());
    let (own, call) = open(&mut pair, SERVER_STREAM);
    // With what an item costs beside its bytes, four fill the window.
    let mut sent = 0_u8;
    while send(&mut pair, Side::Server, call, vec![sent; 960]) {
        sent += 1;
        pair.run();
    }
    assert_eq!(sent, 4);
    lose_from(&mut pair, Side::Client);
    for number in 0..sent {
        assert_eq!(item(&mut pair, Side::Client, own)[0], number);
    }
    pair.advance(Duration::from_secs(2));
    assert_eq!(pair.server().capacity(call), None);
    change_links(&mut pair);
    let mut more = 0;
    while send(&mut pair, Side::Server, call, vec![sent; 960]) {
        more += 1;
        pair.run();
    }
    assert_eq!(more, sent, "the whole window is there again");
}

#[test]
fn a_cut_with_a_full_replay_buffer_goes_on_at_once() {
    for server_heard in [false, true] {
        let limits = Limits { replay_envelopes: 40, ..at_once() };
        let mut pair = live(limited(limits), serving());
        pair.advance(Duration::from_secs(2));
        lose_from(&mut pair, Side::Server);
        if !server_heard {
            lose_from(&mut pair, Side::Client);
        }
        for number in 0..100_u8 {
            ask(&mut pair, request(UNARY, vec![number]));
        }
        pair.run();
        assert_eq!(pair.client().stats().held.unacknowledged, 40);
        change_links(&mut pair);
        pair.advance(Duration::from_secs(5));
        let came: Vec<_> = arrivals(&mut pair).into_iter().map(|(_, bytes)| bytes[0]).collect();
        assert_eq!(came, (0..100).collect::<Vec<_>>());
        assert_eq!(pair.server().stats().counted.duplicates, 0);
    }
}

#[test]
fn what_arrived_is_read_while_there_is_no_link() {
    let limits = Limits { stream_window: 4096, stream_window_max: 4096, ..at_once() };
    let mut pair = live(limited(limits), serving());
    let (own, call) = open(&mut pair, SERVER_STREAM);
    for number in 0..3_u8 {
        assert!(send(&mut pair, Side::Server, call, vec![number; 1000]));
    }
    pair.run();
    cut(&mut pair);
    assert!(pair.client().is_stale(own));
    for number in 0..3_u8 {
        assert_eq!(item(&mut pair, Side::Client, own)[0], number);
    }
    pair.events(Side::Client);
    resume(&mut pair);
    assert!(!pair.client().is_stale(own));
    for number in 3..6_u8 {
        assert!(
            send(&mut pair, Side::Server, call, vec![number; 1000]),
            "credit for what was read meanwhile"
        );
    }
    pair.run();
    assert_eq!(item(&mut pair, Side::Client, own)[0], 3);
}

#[test]
fn a_handler_that_ends_while_there_is_no_link_answers_on_the_next() {
    let mut pair = pair();
    let (own, call) = open(&mut pair, UNARY);
    cut(&mut pair);
    respond(&mut pair, call, "answer");
    pair.advance(Duration::from_secs(60));
    assert_eq!(
        pair.server().head(),
        1,
        "no number is given to what waits for a link; 1 is of the declaration"
    );
    resume(&mut pair);
    assert_eq!(response(&mut pair, own).unwrap(), b"answer");
    assert_empty(&mut pair);
}

#[test]
fn a_declaration_in_mid_session_survives_the_link() {
    static LATER: ServiceDescriptor =
        ServiceDescriptor { name: "Later", methods: &[method("unary", MethodKind::Unary, 9)] };
    for lost in [Side::Client, Side::Server] {
        let server = Config { services: vec![&CHAT, &LATER], ..serving() };
        let mut pair = live(serving(), server);
        lose_from(&mut pair, lost);
        let own = ask(&mut pair, Request { service: &LATER, ..request(UNARY, "x") });
        pair.run();
        assert_eq!(arrivals(&mut pair), []);
        change_links(&mut pair);
        assert!(welcome(&pair.sent(Side::Server)).outcome == Outcome::Resumed);
        let call: IncomingCall = incoming(&mut pair);
        assert_eq!((call.service.name, call.method), ("Later", 0));
        respond(&mut pair, call.call, "answer");
        assert_eq!(response(&mut pair, own).unwrap(), b"answer");
        // A service that was declared in mid-session does not look like another schema.
        change_links(&mut pair);
        assert_empty(&mut pair);
    }
}

#[test]
fn nested_calls_go_on_across_a_cut() {
    let mut pair = pair();
    let deeper = |depth| Request { depth, ..request(UNARY, vec![depth]) };
    let (own, call) = open(&mut pair, UNARY);
    let now = pair.now;
    // The handler calls back, whose handler calls back: three deep, the last of them lost.
    let back = pair.server().call(now, deeper(1)).unwrap();
    pair.run();
    let Some(Event::Call(second)) = pair.events(Side::Client).pop() else { panic!("a call") };
    lose_from(&mut pair, Side::Client);
    let third = pair.client().call(now, deeper(2)).unwrap();
    pair.run();
    cut(&mut pair);
    // Inside a handler nothing waits.
    assert_eq!(pair.client().call(now, deeper(2)).unwrap_err().code, Code::Unavailable);
    resume(&mut pair);
    let came = incoming(&mut pair);
    assert_eq!((came.depth, &came.buffer[..]), (2, &[2][..]));
    respond(&mut pair, came.call, "third");
    assert_eq!(response(&mut pair, third).unwrap(), b"third");
    pair.client().respond(now, second.call, Ok("second".into()));
    pair.run();
    let Some(Event::Response { call: ended, result: Ok((_, buffer)) }) = pair.events(Side::Server).pop()
    else {
        panic!("a response");
    };
    assert_eq!((ended, buffer.to_vec()), (back, b"second".to_vec()));
    respond(&mut pair, call, "first");
    assert_eq!(response(&mut pair, own).unwrap(), b"first");
    assert_empty(&mut pair);
}

#[test]
fn a_replayed_call_states_its_remaining_time_anew() {
    let mut pair = pair();
    lose_from(&mut pair, Side::Client);
    let deadline = pair.now + Duration::from_secs(10);
    ask(&mut pair, within(request(UNARY, "x"), deadline));
    ask(&mut pair, request(UNARY, "no deadline"));
    pair.run();
    cut(&mut pair);
    pair.advance(Duration::from_secs(4));
    resume(&mut pair);
    let sent = pair.sent(Side::Client);
    let left: Vec<_> = numbered(&sent)
        .into_iter()
        .filter_map(|(_, it)| if let Sequenced::Call(open) = it { Some(open.time_left_ms) } else { None })
        .collect();
    assert_eq!(left, [Some(10_000), None, Some(6_000), None], "first, and again");
    let calls = incoming_all(&mut pair);
    assert_eq!(calls[0].deadline, Some(deadline));
}

/// Its reader acknowledges so many by themselves.
#[test]
fn a_writer_that_keeps_few_envelopes_is_not_held_up() {
    let limits = Limits { replay_envelopes: 40, ..at_once() };
    let mut pair = live(limited(limits), serving());
    pair.advance(Duration::from_secs(2));
    for number in 0..100_u8 {
        ask(&mut pair, request(UNARY, vec![number]));
    }
    pair.run();
    assert_eq!(arrivals(&mut pair).len(), 100);
}
