//! Every kind of call from end to end, and many at a time.

mod common;

use std::time::Duration;

use bowline_protocol::envelope::{Envelope, Payload, Sequenced};
use bowline_protocol::limits::Limits;
use bowline_protocol::session::{Config, Event, Failure, Held, Read, Request, Stop, WireFailure};
use bowline_protocol::status::Code;
use bowline_test_support::{Pair, Random, Side};
use bytes::Bytes;
use common::*;

#[test]
fn a_unary_call_gets_its_response() {
    let mut pair = pair();
    let now = pair.now;
    let mut asked = request(UNARY, "question");
    asked.metadata = vec![("traceparent".into(), "00-1".into())];
    asked.deadline = Some(now + Duration::from_millis(1500));
    let own = ask(&mut pair, asked);
    pair.run();
    let call = incoming(&mut pair);
    assert_eq!((call.service.name, call.method, &call.buffer[..]), ("Chat", UNARY, &b"question"[..]));
    assert_eq!(call.metadata, [("traceparent".to_owned(), "00-1".to_owned())]);
    assert_eq!(call.deadline, Some(now + Duration::from_millis(1500)));
    assert_eq!(call.depth, 0);
    respond(&mut pair, call.call, "answer");
    assert_eq!(response(&mut pair, own).unwrap(), b"answer");
    assert_empty(&mut pair);
}

#[test]
fn a_handlers_own_error_and_a_status_reach_the_caller() {
    let mut pair = pair();
    let (own, call) = open(&mut pair, UNARY);
    let now = pair.now;
    pair.server().respond(now, call, Err(WireFailure::Application("empty".into())));
    pair.run();
    let failure = response(&mut pair, own).unwrap_err();
    assert!(matches!(failure, Failure::Application(_, error) if &error[..] == b"empty"));

    let (own, call) = open(&mut pair, UNARY);
    fail(&mut pair, call, Code::PermissionDenied);
    let failure = response(&mut pair, own).unwrap_err();
    assert_eq!(status_of(&failure).code, Code::PermissionDenied);
    assert_empty(&mut pair);
}

#[test]
fn a_server_stream_delivers_its_items_in_order_and_then_its_end() {
    let mut pair = pair();
    let (own, call) = open(&mut pair, SERVER_STREAM);
    let now = pair.now;
    pair.server().accept(now, call);
    pair.run();
    assert!(matches!(pair.events(Side::Client)[..], [Event::Accepted { call }] if call == own));
    assert!(matches!(read(&mut pair, Side::Client, own), Read::Pending));
    for item in ["one", "two"] {
        assert!(send(&mut pair, Side::Server, call, item));
    }
    pair.server().send_gap(now, call, 3);
    pair.server().send_gap(now, call, 4);
    assert!(send(&mut pair, Side::Server, call, "three"));
    pair.server().send_end(now, call);
    pair.run();
    assert!(matches!(pair.events(Side::Client)[..], [Event::Readable { call }] if call == own));
    assert_eq!(item(&mut pair, Side::Client, own), b"one");
    assert_eq!(item(&mut pair, Side::Client, own), b"two");
    assert!(matches!(read(&mut pair, Side::Client, own), Read::Gap(7)));
    assert_eq!(item(&mut pair, Side::Client, own), b"three");
    assert!(matches!(read(&mut pair, Side::Client, own), Read::End));
    assert_empty(&mut pair);
}

#[test]
fn the_first_item_accepts_a_stream() {
    let mut pair = pair();
    let (own, call) = open(&mut pair, SERVER_STREAM);
    assert!(send(&mut pair, Side::Server, call, "one"));
    pair.run();
    let events = pair.events(Side::Client);
    assert!(matches!(events[..], [Event::Accepted { .. }, Event::Readable { .. }]), "{events:?}");
    let now = pair.now;
    pair.client().cancel(now, own);
    pair.run();
    assert!(matches!(pair.events(Side::Server)[..], [Event::Stopped { reason: Stop::Cancelled, .. }]));
    pair.server().send_end(now, call);
    pair.run();
    assert_empty(&mut pair);
}

#[test]
fn a_refused_stream_fails_and_a_failing_one_delivers_what_came_before() {
    let mut pair = pair();
    let (own, call) = open(&mut pair, SERVER_STREAM);
    fail(&mut pair, call, Code::PermissionDenied);
    assert!(matches!(pair.events(Side::Client)[..], [Event::Readable { call }] if call == own));
    let Read::Failed(failure) = read(&mut pair, Side::Client, own) else { panic!() };
    assert_eq!(status_of(&failure).code, Code::PermissionDenied);

    let (own, call) = open(&mut pair, SERVER_STREAM);
    assert!(send(&mut pair, Side::Server, call, "one"));
    fail(&mut pair, call, Code::Internal);
    pair.events(Side::Client);
    assert_eq!(item(&mut pair, Side::Client, own), b"one");
    assert!(matches!(read(&mut pair, Side::Client, own), Read::Failed(Failure::Status(_))));
    assert_empty(&mut pair);
}

#[test]
fn a_client_stream_uploads_and_gets_one_response() {
    let mut pair = pair();
    let (own, call) = open(&mut pair, CLIENT_STREAM);
    assert!(matches!(pair.events(Side::Client)[..], [Event::Writable { call }] if call == own));
    let now = pair.now;
    assert!(send(&mut pair, Side::Client, own, "one"));
    assert!(send(&mut pair, Side::Client, own, "two"));
    pair.client().send_end(now, own);
    pair.run();
    assert!(matches!(pair.events(Side::Server)[..], [Event::Readable { .. }]));
    assert_eq!(item(&mut pair, Side::Server, call), b"one");
    assert_eq!(item(&mut pair, Side::Server, call), b"two");
    assert!(matches!(read(&mut pair, Side::Server, call), Read::End));
    assert!(!send(&mut pair, Side::Client, own, "late"), "the upload is over");
    respond(&mut pair, call, "sum");
    assert_eq!(response(&mut pair, own).unwrap(), b"sum");
    assert_empty(&mut pair);
}

#[test]
fn a_client_stream_may_be_answered_before_its_upload_is_over() {
    let mut pair = pair();
    let (own, call) = open(&mut pair, CLIENT_STREAM);
    assert!(send(&mut pair, Side::Client, own, "one"));
    pair.run();
    pair.events(Side::Server);
    respond(&mut pair, call, "enough");
    assert_eq!(response(&mut pair, own).unwrap(), b"enough");
    assert!(!send(&mut pair, Side::Client, own, "two"));
    assert_empty(&mut pair);
}

#[test]
fn items_travel_both_ways_in_a_bidirectional_call() {
    let mut pair = pair();
    let (own, call) = open(&mut pair, BIDIRECTIONAL);
    let now = pair.now;
    for round in 0..10_u8 {
        assert!(send(&mut pair, Side::Client, own, vec![round]));
        pair.run();
        assert_eq!(item(&mut pair, Side::Server, call), [round]);
        assert!(send(&mut pair, Side::Server, call, vec![round, round]));
        pair.run();
        assert_eq!(item(&mut pair, Side::Client, own), [round, round]);
    }
    pair.client().send_end(now, own);
    pair.run();
    assert!(matches!(read(&mut pair, Side::Server, call), Read::End));
    assert!(send(&mut pair, Side::Server, call, "last"));
    pair.server().send_end(now, call);
    pair.run();
    assert_eq!(item(&mut pair, Side::Client, own), b"last");
    assert!(matches!(read(&mut pair, Side::Client, own), Read::End));
    pair.events(Side::Client);
    pair.events(Side::Server);
    assert_empty(&mut pair);
}

#[test]
fn a_server_calls_its_client_over_the_same_session() {
    let mut pair = pair();
    let now = pair.now;
    let own = pair.server().call(now, request(UNARY, "back")).unwrap();
    pair.run();
    let events = pair.events(Side::Client);
    let [Event::Call(call)] = &events[..] else { panic!("{events:?}") };
    let call = call.call;
    pair.client().respond(now, call, Ok("there".into()));
    pair.run();
    let events = pair.events(Side::Server);
    assert!(
        matches!(&events[..], [Event::Response { call, result: Ok((_, it)) }] if *call == own && &it[..] == b"there")
    );
    assert_empty(&mut pair);
}

#[test]
fn a_thousand_calls_answered_in_shuffled_order_each_get_their_own_answer() {
    let limits = Limits { calls: 2000, ..Limits::default() };
    let config = Config { limits, ..serving() };
    let mut pair = live(config.clone(), config);
    let now = pair.now;
    let asked: Vec<_> =
        (0..1000_u32).map(|number| ask(&mut pair, request(UNARY, number.to_le_bytes().to_vec()))).collect();
    pair.run();
    let mut calls = incoming_all(&mut pair);
    assert_eq!(calls.len(), 1000);
    let mut random = Random::new(5);
    while !calls.is_empty() {
        let call = calls.swap_remove(random.below(calls.len() as u64) as usize);
        let mut answer = call.buffer.to_vec();
        answer.reverse();
        pair.server().respond(now, call.call, Ok(answer.into()));
        if random.below(10) == 0 {
            pair.run();
        }
    }
    pair.run();
    let mut answers = std::collections::HashMap::new();
    for event in pair.events(Side::Client) {
        let Event::Response { call, result: Ok((_, buffer)) } = event else { panic!("{event:?}") };
        assert!(answers.insert(call, buffer.to_vec()).is_none());
    }
    for (number, call) in asked.iter().enumerate() {
        let mut expected = (number as u32).to_le_bytes().to_vec();
        expected.reverse();
        assert_eq!(answers[call], expected);
    }
    assert_empty(&mut pair);
}

#[test]
fn calls_beyond_credit_wait_in_order_and_go_as_others_end() {
    let limits = Limits { calls: 16, nested: 2, ..Limits::default() };
    let mut pair = live(serving(), Config { limits, ..serving() });
    let now = pair.now;
    let own: Vec<_> = (0..20_u8).map(|number| ask(&mut pair, request(UNARY, vec![number]))).collect();
    pair.run();
    let first = incoming_all(&mut pair);
    // 2 of 16 are kept for calls that handlers make.
    assert_eq!(first.len(), 14);
    assert_eq!(pair.client().stats().held.waiting_calls, 6);
    let nested = Request { depth: 1, ..request(UNARY, "nested") };
    for _ in 0..2 {
        ask(&mut pair, nested.clone());
    }
    let refused = pair.client().call(now, nested).unwrap_err();
    assert_eq!(refused.code, Code::ResourceExhausted);
    pair.run();
    let nested = incoming_all(&mut pair);
    assert_eq!(nested.iter().map(|call| call.depth).collect::<Vec<_>>(), [1, 1]);

    pair.client().cancel(now, own[14]);
    for call in first.iter().chain(&nested) {
        respond(&mut pair, call.call, "");
    }
    let rest = incoming_all(&mut pair);
    assert_eq!(rest.iter().map(|call| call.buffer[0]).collect::<Vec<_>>(), [15, 16, 17, 18, 19]);
    for call in rest {
        respond(&mut pair, call.call, "");
    }
    assert_eq!(pair.events(Side::Client).len(), 21);
    assert_empty(&mut pair);
}

#[test]
fn too_deep_a_call_is_refused_at_both_ends() {
    let mut pair = pair();
    let now = pair.now;
    let deep = Request { depth: 5, ..request(UNARY, "") };
    assert_eq!(pair.client().call(now, deep.clone()).unwrap_err().code, Code::ResourceExhausted);
    let config = Config { limits: Limits { depth: 9, ..Limits::default() }, ..serving() };
    let mut pair = live(config, serving());
    let own = ask(&mut pair, deep);
    pair.run();
    let failure = response(&mut pair, own).unwrap_err();
    assert_eq!(status_of(&failure).code, Code::ResourceExhausted);
    assert_empty(&mut pair);
}

#[test]
fn small_calls_complete_while_a_large_upload_runs() {
    let mut pair = pair();
    pair.records = false;
    let (upload, call) = open(&mut pair, CLIENT_STREAM);
    let total = 50 * 1024 * 1024;
    let (mut sent, mut read_bytes, mut answered) = (0, 0, 0);
    let item_bytes = Bytes::from(vec![1; 1024 * 1024]);
    while read_bytes < total {
        while sent < total && send(&mut pair, Side::Client, upload, item_bytes.clone()) {
            sent += item_bytes.len();
        }
        // One message of the upload at a time, and a small call beside each.
        let now = pair.now;
        let small = ask(&mut pair, request(UNARY, "small"));
        let message = pair.client().poll_transmit(now).unwrap();
        assert!(message.len() <= 128 * 1024);
        pair.inject(Side::Server, message);
        let events = pair.events(Side::Server);
        let asked = events.iter().find_map(|event| match event {
            Event::Call(asked) => Some(asked.call),
            _ => None,
        });
        let asked = asked.expect("the small call is in the very next message");
        pair.server().respond(now, asked, Ok("answer".into()));
        let answer = pair.server().poll_transmit(now).unwrap();
        pair.inject(Side::Client, answer);
        let events = pair.events(Side::Client);
        assert!(events.iter().any(|event| matches!(event, Event::Response { call, .. } if *call == small)));
        answered += 1;
        while let Read::Item(_, buffer) = read(&mut pair, Side::Server, call) {
            read_bytes += buffer.len();
        }
        while let Some(message) = pair.server().poll_transmit(now) {
            pair.inject(Side::Client, message);
        }
    }
    assert!(answered >= 1000, "{answered} small calls beside 50 MiB");
    let now = pair.now;
    pair.client().send_end(now, upload);
    pair.run();
    respond(&mut pair, call, "done");
    pair.events(Side::Client);
    pair.events(Side::Server);
    assert_empty(&mut pair);
}

#[test]
fn large_payloads_take_turns() {
    let mut pair = pair();
    for fill in [1, 2] {
        ask(&mut pair, request(UNARY, vec![fill; 300 * 1024]));
    }
    pair.run();
    let calls = incoming_all(&mut pair);
    assert!(calls.iter().all(|call| call.buffer.len() == 300 * 1024));
    assert!(calls.iter().all(|call| call.buffer.iter().all(|byte| *byte == call.buffer[0])));
    let chunks: Vec<u32> = pair
        .sent(Side::Client)
        .iter()
        .filter_map(|envelope| match envelope {
            Envelope::Sequenced(_, Sequenced::Chunk(chunk)) => Some(chunk.transfer),
            _ => None,
        })
        .collect();
    assert!(chunks.windows(2).take(8).all(|pair| pair[0] != pair[1]), "{chunks:?}");
    for call in calls {
        respond(&mut pair, call.call, vec![3; 100 * 1024]);
    }
    assert_eq!(pair.events(Side::Client).len(), 2);
    assert_empty(&mut pair);
}

#[test]
fn large_payloads_wait_for_the_assembly_window() {
    let limits = Limits { assembly: 256 * 1024, payload_in: 200 * 1024, ..Limits::default() };
    let mut pair = live(serving(), Config { limits, ..serving() });
    pair.ends[Side::Server as usize].hears = false;
    for _ in 0..3 {
        ask(&mut pair, request(UNARY, vec![1; 150 * 1024]));
    }
    // A small one is not held up by them.
    ask(&mut pair, request(UNARY, "small"));
    pair.run();
    let announced = |sent: &[Envelope]| {
        let is_large = |it: &&Envelope| matches!(it, Envelope::Sequenced(_, Sequenced::Call(open)) if matches!(open.payload, Payload::Chunked { .. }));
        sent.iter().filter(is_large).count()
    };
    let sent = pair.sent(Side::Client);
    assert_eq!(announced(&sent), 1);
    pair.ends[Side::Server as usize].hears = true;
    pair.run();
    assert_eq!(announced(&pair.sent(Side::Client)), 2);
    let calls = incoming_all(&mut pair);
    assert_eq!(calls.len(), 4);
    for call in calls {
        respond(&mut pair, call.call, "");
    }
    assert_eq!(pair.events(Side::Client).len(), 4);
    assert_empty(&mut pair);
}

#[test]
fn arguments_and_results_that_are_too_large_fail_their_call_alone() {
    let limits = Limits { payload_in: 100_000, ..Limits::default() };
    let config = Config { limits, ..serving() };
    let mut pair = live(config.clone(), config);
    let now = pair.now;
    let refused = pair.client().call(now, request(UNARY, vec![0; 100_001])).unwrap_err();
    assert_eq!(refused.code, Code::ResourceExhausted);
    assert!(refused.message.contains("100000"), "{}", refused.message);
    let (own, call) = open(&mut pair, UNARY);
    respond(&mut pair, call, vec![0; 100_001]);
    assert_eq!(status_of(&response(&mut pair, own).unwrap_err()).code, Code::ResourceExhausted);
    assert_empty(&mut pair);
}

#[test]
fn metadata_beyond_its_limit_is_refused() {
    let mut pair = pair();
    let now = pair.now;
    let many = Request { metadata: vec![(String::new(), String::new()); 65], ..request(UNARY, "") };
    assert_eq!(pair.client().call(now, many).unwrap_err().code, Code::InvalidArgument);
    let big = Request { metadata: vec![("k".into(), "v".repeat(8 * 1024))], ..request(UNARY, "") };
    assert_eq!(pair.client().call(now, big).unwrap_err().code, Code::InvalidArgument);
    assert_eq!(pair.client().stats().held, Held::default());
}

#[test]
fn calls_before_the_session_is_live_wait_in_order_and_within_their_bounds() {
    let limits = Limits { waiting_calls: 3, waiting_bytes: 100, ..Limits::default() };
    let mut pair = Pair::new(Config { limits, ..serving() }, serving());
    let now = pair.now;
    for number in 0..3_u8 {
        ask(&mut pair, request(UNARY, vec![number]));
    }
    assert_eq!(pair.client().call(now, request(UNARY, "x")).unwrap_err().code, Code::ResourceExhausted);
    assert_eq!(pair.client().stats().held.waiting_calls, 3);
    pair.connect();
    pair.run();
    let events = pair.events(Side::Server);
    let order: Vec<_> = events
        .iter()
        .filter_map(|event| match event {
            Event::Call(call) => Some(call.buffer[0]),
            _ => None,
        })
        .collect();
    assert_eq!(order, [0, 1, 2]);
    assert_eq!(pair.client().stats().held.waiting_calls, 0);

    let mut pair = Pair::new(
        Config { limits: Limits { waiting_bytes: 100, ..Limits::default() }, ..serving() },
        serving(),
    );
    pair.client().call(now, request(UNARY, vec![0; 1000])).expect("one call of any size");
    assert_eq!(pair.client().call(now, request(UNARY, "x")).unwrap_err().code, Code::ResourceExhausted);
}

/// Where a loopback interface takes a message apart, its reader is woken twice, the second time for a few bytes.
#[test]
fn a_piece_of_a_large_payload_fits_into_one_segment_of_a_loopback() {
    // Of 64 KiB the headers of IPv6, TCP with time stamps and RFC 6455 with a mask.
    const SEGMENT: usize = 64 * 1024 - 40 - 32 - 14;
    let mut pair = pair();
    ask(&mut pair, request(UNARY, vec![0; 4 << 20]));
    pair.run();
    assert_eq!(incoming_all(&mut pair).len(), 1);
    let largest = pair.ends[0].largest;
    assert!((60_000..=SEGMENT).contains(&largest), "{largest}");
}

#[test]
fn a_batch_carries_many_envelopes_and_stays_within_its_message() {
    let mut pair = pair();
    let now = pair.now;
    for _ in 0..200 {
        ask(&mut pair, request(UNARY, vec![0; 1000]));
    }
    pair.run();
    assert!(pair.ends[0].largest <= 64 * 1024 + 1100);
    assert!(pair.client().stats().counted.messages_out < 10);
    for call in incoming_all(&mut pair) {
        pair.server().respond(now, call.call, Ok("".into()));
    }
    pair.run();
    assert!(pair.server().stats().counted.messages_out < 10);
    assert_eq!(pair.events(Side::Client).len(), 200);
    assert_empty(&mut pair);
}
