//! Credit of streams: who waits for whom, and who does not.

mod common;

use bowline_protocol::envelope::{Control, Credit, Envelope};
use bowline_protocol::limits::Limits;
use bowline_protocol::session::{CallId, Config, Event, Failure, Read};
use bowline_protocol::status::Code;
use bowline_test_support::{Pair, Side};
use common::*;

/// Opens a stream from the server and forgets its events.
fn stream(pair: &mut Pair) -> (CallId, CallId) {
    let (own, call) = open(pair, SERVER_STREAM);
    let now = pair.now;
    pair.server().accept(now, call);
    pair.run();
    pair.events(Side::Client);
    (own, call)
}

fn finish(pair: &mut Pair, own: CallId, call: CallId) {
    let now = pair.now;
    pair.server().send_end(now, call);
    pair.run();
    while !matches!(read(pair, Side::Client, own), Read::End) {
        pair.run();
    }
    pair.run();
    pair.events(Side::Client);
    pair.events(Side::Server);
}

#[test]
fn a_writer_stops_at_the_window_and_goes_on_as_its_reader_takes() {
    let mut pair = pair();
    let (own, call) = stream(&mut pair);
    let mut sent = 0_u32;
    let fill = |pair: &mut Pair, sent: &mut u32| {
        while send(pair, Side::Server, call, sent.to_le_bytes().repeat(250)) {
            *sent += 1;
        }
        pair.run();
    };
    fill(&mut pair, &mut sent);
    // 64 KiB at 1,000 bytes and 64 beside them each, and one item that waits.
    assert_eq!(sent, 62);
    pair.events(Side::Client);
    let mut taken = 0_u32;
    while taken < 500 {
        assert_eq!(item(&mut pair, Side::Client, own), taken.to_le_bytes().repeat(250));
        taken += 1;
        pair.run();
        let events = pair.events(Side::Server);
        if !events.is_empty() {
            assert!(matches!(events[..], [Event::Writable { call: of }] if of == call), "{events:?}");
            fill(&mut pair, &mut sent);
        }
    }
    assert!(sent <= 62 + taken);
    finish(&mut pair, own, call);
    assert_empty(&mut pair);
}

#[test]
fn a_writer_that_its_own_bound_stops_goes_on_once_its_items_are_written() {
    let limits = Limits { stream_window: 1000, stream_window_max: 1000, ..at_once() };
    let mut pair = live(serving(), Config { limits, ..serving() });
    let (own, call) = stream(&mut pair);
    for round in 0..3 {
        let mut sent = 0;
        while send(&mut pair, Side::Server, call, vec![round; 400]) {
            sent += 1;
        }
        assert_eq!(sent, 3, "464 each");
        pair.run();
        let events = pair.events(Side::Server);
        assert!(matches!(events[..], [Event::Writable { call: of }] if of == call), "{events:?}");
    }
    // Without any credit: the reader took nothing until now.
    for round in 0..9 {
        assert_eq!(item(&mut pair, Side::Client, own), [round / 3; 400]);
    }
    finish(&mut pair, own, call);
    assert_empty(&mut pair);
}

#[test]
fn a_reader_that_stalls_holds_up_nobody_else() {
    let mut pair = pair();
    let (stalled, stalled_call) = stream(&mut pair);
    while send(&mut pair, Side::Server, stalled_call, vec![0; 1000]) {}
    pair.run();
    let (own, call) = stream(&mut pair);
    for round in 0..200_u8 {
        assert!(send(&mut pair, Side::Server, call, vec![round; 5000]));
        pair.run();
        assert_eq!(item(&mut pair, Side::Client, own), vec![round; 5000]);
        pair.run();
    }
    let asked = common::call(&mut pair, UNARY, "x");
    let events = pair.events(Side::Server);
    let unary = events.iter().find_map(|event| match event {
        Event::Call(call) => Some(call.call),
        _ => None,
    });
    respond(&mut pair, unary.unwrap(), "y");
    let events = pair.events(Side::Client);
    assert!(events.iter().any(|event| matches!(event, Event::Response { call, .. } if *call == asked)));
    finish(&mut pair, own, call);
    finish(&mut pair, stalled, stalled_call);
    assert_empty(&mut pair);
}

#[test]
fn an_item_larger_than_the_window_goes_when_everything_earlier_was_taken() {
    let mut pair = pair();
    let (own, call) = stream(&mut pair);
    assert!(send(&mut pair, Side::Server, call, "small"));
    assert!(send(&mut pair, Side::Server, call, vec![7; 3 * 1024 * 1024]));
    assert!(!send(&mut pair, Side::Server, call, "behind"));
    pair.run();
    assert_eq!(pair.client().stats().held.assembling, 0, "the large one waits");
    assert_eq!(item(&mut pair, Side::Client, own), b"small");
    // A single small item is told with a little delay, which costs less than a message for each.
    pair.advance(std::time::Duration::from_millis(20));
    assert_eq!(item(&mut pair, Side::Client, own), vec![7; 3 * 1024 * 1024]);
    pair.run();
    assert!(send(&mut pair, Side::Server, call, "after"));
    pair.run();
    assert_eq!(item(&mut pair, Side::Client, own), b"after");
    finish(&mut pair, own, call);
    assert_empty(&mut pair);
}

#[test]
fn the_window_grows_for_a_reader_that_keeps_pace_and_shrinks_with_its_stream() {
    let limits = Limits { stream_window_extra: 256 * 1024, ..Limits::default() };
    let mut pair = live(Config { limits, ..serving() }, serving());
    let (own, call) = stream(&mut pair);
    for _ in 0..40 {
        while send(&mut pair, Side::Server, call, vec![0; 8000]) {}
        pair.run();
        while let Read::Item(..) = read(&mut pair, Side::Client, own) {}
        pair.run();
    }
    // 64 KiB doubled to 256 KiB; the next step would exceed what the session may have.
    assert_eq!(pair.client().stats().held.extra_window, 192 * 1024);
    let mut in_flight = 0;
    while send(&mut pair, Side::Server, call, vec![0; 8000]) {
        in_flight += 1;
    }
    assert!(in_flight > 30, "{in_flight}");
    pair.run();
    finish(&mut pair, own, call);
    assert_empty(&mut pair);
}

#[test]
fn a_stream_of_small_items_does_not_cost_a_message_of_credit_for_each() {
    let mut pair = pair();
    let (own, call) = stream(&mut pair);
    pair.sent(Side::Client);
    for _ in 0..1000 {
        assert!(send(&mut pair, Side::Server, call, "x"));
        pair.run();
        assert_eq!(item(&mut pair, Side::Client, own), b"x");
        pair.run();
    }
    let sent = pair.sent(Side::Client);
    let is_credit = |it: &&Envelope| matches!(it, Envelope::Control(Control::Credit(Credit::Items { .. })));
    let credits = sent.iter().filter(is_credit).count();
    assert!(credits < 50, "{credits} for 1,000 items");
    finish(&mut pair, own, call);
    assert_empty(&mut pair);
}

#[test]
fn the_items_of_many_streams_take_turns() {
    let mut pair = pair();
    let streams: Vec<_> = (0..4).map(|_| stream(&mut pair)).collect();
    for &(_, call) in &streams {
        for _ in 0..20 {
            assert!(send(&mut pair, Side::Server, call, vec![0; 2000]));
        }
    }
    let now = pair.now;
    let message = pair.server().poll_transmit(now).unwrap();
    pair.inject(Side::Client, message);
    for &(own, _) in &streams {
        let mut count = 0;
        while let Read::Item(..) = read(&mut pair, Side::Client, own) {
            count += 1;
        }
        assert!((7..=9).contains(&count), "a quarter of the first message: {count}");
    }
}

#[test]
fn an_item_that_no_one_may_take_in_fails_its_stream() {
    let limits = Limits { payload_in: 100_000, ..Limits::default() };
    let config = Config { limits, ..serving() };
    let mut pair = live(config.clone(), config);
    let (own, call) = stream(&mut pair);
    let now = pair.now;
    assert!(send(&mut pair, Side::Server, call, vec![0; 100_001]));
    let events = pair.events(Side::Server);
    assert!(matches!(events[..], [Event::Stopped { .. }]), "{events:?}");
    pair.server().send_end(now, call);
    pair.run();
    pair.events(Side::Client);
    let Read::Failed(failure) = read(&mut pair, Side::Client, own) else { panic!() };
    assert_eq!(status_of(&failure).code, Code::ResourceExhausted);

    let (own, call) = open(&mut pair, CLIENT_STREAM);
    pair.events(Side::Client);
    assert!(send(&mut pair, Side::Client, own, vec![0; 100_001]));
    assert_eq!(status_of(&response(&mut pair, own).unwrap_err()).code, Code::ResourceExhausted);
    pair.run();
    pair.events(Side::Server);
    respond(&mut pair, call, "");
    assert_empty(&mut pair);
}

#[test]
fn an_item_that_is_sent_behind_the_end_of_its_upload_is_ignored() {
    let mut pair = pair();
    let (own, call) = open(&mut pair, CLIENT_STREAM);
    assert!(send(&mut pair, Side::Client, own, "item"));
    let now = pair.now;
    pair.client().send_end(now, own);
    pair.client().send_item(now, own, "late".into());
    pair.client().send_gap(now, own, 3);
    pair.run();
    assert_eq!(item(&mut pair, Side::Server, call), b"item");
    assert!(matches!(read(&mut pair, Side::Server, call), Read::End));
    pair.events(Side::Server);
    pair.events(Side::Client);
    respond(&mut pair, call, "done");
    assert_eq!(response(&mut pair, own).unwrap(), b"done");
    assert_empty(&mut pair);
}

#[test]
fn large_items_keep_their_place_among_small_ones() {
    let mut pair = pair();
    let limits = Limits::default();
    let (own, call) = open(&mut pair, BIDIRECTIONAL);
    let mut expected = Vec::new();
    for round in 0..30_usize {
        let len = if round % 3 == 0 { limits.stream_window + 1000 * round } else { 10 };
        expected.push(vec![round as u8; len]);
    }
    let (mut next, mut got) = (0, Vec::new());
    while got.len() < expected.len() {
        while next < expected.len() && send(&mut pair, Side::Client, own, expected[next].clone()) {
            next += 1;
        }
        pair.advance(std::time::Duration::from_millis(20));
        while let Read::Item(_, buffer) = read(&mut pair, Side::Server, call) {
            got.push(buffer.to_vec());
        }
        pair.advance(std::time::Duration::from_millis(20));
    }
    assert!(got == expected);
    let now = pair.now;
    pair.server().send_end(now, call);
    pair.run();
    pair.events(Side::Client);
    pair.events(Side::Server);
    assert!(matches!(read(&mut pair, Side::Client, own), Read::End));
    assert_empty(&mut pair);
}

/// Such an item once ended its stream at once and took the items before it along, without a gap.
#[test]
fn an_item_that_is_too_large_ends_its_stream_behind_the_items_before_it() {
    let small = Limits { payload_in: 100_000, assembly: 100_000, ..Limits::default() };
    let mut pair = live(Config { limits: small, ..serving() }, serving());
    let (own, call) = stream(&mut pair);
    for item in ["one", "two"] {
        assert!(send(&mut pair, Side::Server, call, item));
    }
    assert!(send(&mut pair, Side::Server, call, vec![0; 100_001]));
    // The handler is stopped, and what it still says is not heard.
    let events = pair.events(Side::Server);
    assert!(matches!(events[..], [Event::Stopped { call: of, .. }] if of == call), "{events:?}");
    assert!(!send(&mut pair, Side::Server, call, "three"));
    fail(&mut pair, call, Code::Cancelled);
    for expected in ["one", "two"] {
        assert_eq!(item(&mut pair, Side::Client, own), expected.as_bytes());
    }
    pair.run();
    match read(&mut pair, Side::Client, own) {
        Read::Failed(Failure::Status(status)) => assert_eq!(status.code, Code::ResourceExhausted),
        other => panic!("{other:?}"),
    }
    pair.run();
    pair.events(Side::Client);
    assert_empty(&mut pair);
}
