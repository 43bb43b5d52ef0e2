//! Calls, their items and their credit.

use std::time::Duration;

use bowline_protocol::codec::Codec;
use bowline_protocol::envelope::{
    CallOpen, Control, Credit, Declaration, DeclareAnswer, Envelope, Notify, Payload, Sequenced, WatchValue,
    WireError,
};
use bowline_protocol::limits::Limits;
use bowline_protocol::session::{Config, Event, Stop};
use bowline_protocol::status::{CloseCode, Code};
use bowline_test_support::origin;
use bytes::Bytes;

use crate::common::*;
use crate::hand::{Hand, item, mine, opening, started, whole, yours};

#[test]
fn methods_and_services_that_do_not_exist_fail_their_call_alone() {
    let mut hand = Hand::live();
    hand.open(0, 99);
    assert_eq!(hand.failed(0), Code::Unimplemented);
    hand.say_next(Sequenced::Call(CallOpen { service: 7, ..opening(1, UNARY, whole(1)) }));
    assert_eq!(hand.failed(1), Code::Unimplemented);
    hand.say_next(Sequenced::Declare {
        service: 1,
        declaration: Declaration { name: "Nobody".into(), digest: 1 },
    });
    hand.say_next(Sequenced::Call(CallOpen { service: 1, ..opening(2, UNARY, whole(1)) }));
    assert_eq!(hand.failed(2), Code::Unimplemented);
    hand.open(3, NOTIFY);
    assert_eq!(hand.failed(3), Code::SchemaMismatch);
    assert!(hand.events().is_empty());
    // Each was acknowledged and gave its credit back.
    hand.open(0, UNARY);
    assert_eq!(hand.events().len(), 1);
}

#[test]
fn an_id_in_use_or_out_of_range_is_malformed() {
    let mut hand = Hand::live();
    hand.open(0, UNARY);
    hand.open(0, UNARY);
    assert_eq!(hand.closed(), CloseCode::MALFORMED);
    let mut hand = Hand::live();
    hand.open(512, UNARY);
    assert_eq!(hand.closed(), CloseCode::MALFORMED);
}

#[test]
fn more_calls_than_allowed_are_malformed() {
    let config = Config { limits: Limits { calls: 2, streams: 1, ..Limits::default() }, ..serving() };
    let mut hand = Hand::live_with(config.clone());
    for id in 0..3 {
        hand.open(id, UNARY);
    }
    assert_eq!(hand.closed(), CloseCode::MALFORMED);
    let mut hand = Hand::live_with(config);
    hand.open(0, SERVER_STREAM);
    hand.open(1, WATCH);
    assert_eq!(hand.closed(), CloseCode::MALFORMED);
}

#[test]
fn a_cancelled_call_keeps_its_credit_until_its_handler_stopped() {
    let config = Config { limits: Limits { calls: 2, ..Limits::default() }, ..serving() };
    let mut hand = Hand::live_with(config);
    for id in 0..2 {
        hand.open(id, UNARY);
        hand.say_next(Sequenced::Cancel { call: mine(id) });
    }
    hand.open(2, UNARY);
    assert_eq!(hand.closed(), CloseCode::MALFORMED, "a rapid reset");
}

#[test]
fn more_items_than_allowed_are_malformed() {
    let mut hand = Hand::live();
    hand.open(0, CLIENT_STREAM);
    for _ in 0..2 {
        hand.say_next(item(mine(0), whole(40_000)));
    }
    assert_eq!(hand.closed(), CloseCode::MALFORMED);
}

#[test]
fn items_where_none_belong_are_malformed() {
    for method in [UNARY, SERVER_STREAM, WATCH] {
        let mut hand = Hand::live();
        hand.open(0, method);
        hand.say_next(item(mine(0), whole(1)));
        assert_eq!(hand.closed(), CloseCode::MALFORMED, "{method}");
    }
}

#[test]
fn what_only_a_callee_says_is_malformed_from_the_caller() {
    let payload = || Payload::Whole("x".into());
    let wrong = [
        Sequenced::Response { call: mine(0), codec: Codec::Rkyv, payload: payload() },
        Sequenced::Accepted { call: mine(0) },
        Sequenced::Error {
            call: mine(0),
            error: WireError::Status { code: Code::Internal, message: String::new(), detail: 0 },
        },
        Sequenced::End { call: mine(0), last: Some((Codec::Rkyv, payload())) },
        Sequenced::Cancel { call: yours(0) },
    ];
    for sequenced in wrong {
        let mut hand = Hand::live();
        hand.open(0, BIDIRECTIONAL);
        hand.say_next(sequenced.clone());
        assert_eq!(hand.closed(), CloseCode::MALFORMED, "{sequenced:?}");
    }
    let mut hand = Hand::live();
    hand.say(Envelope::Watch(WatchValue { call: mine(0), codec: Codec::Rkyv, payload: payload() }));
    assert_eq!(hand.closed(), CloseCode::MALFORMED);
}

#[test]
fn answers_that_do_not_fit_their_call_are_malformed() {
    let answers = [
        (UNARY, Sequenced::Accepted { call: mine(0) }),
        (UNARY, item(yours(0), whole(1))),
        (UNARY, Sequenced::End { call: yours(0), last: None }),
        (UNARY, Sequenced::Gap { call: yours(0), missed: 1 }),
        (WATCH, item(yours(0), whole(1))),
        (WATCH, Sequenced::Response { call: yours(0), codec: Codec::Rkyv, payload: whole(1) }),
        (SERVER_STREAM, Sequenced::End { call: yours(0), last: Some((Codec::Rkyv, whole(1))) }),
    ];
    for (method, answer) in answers {
        let mut hand = Hand::live();
        let now = origin();
        hand.server.call(now, request(method, "x")).unwrap();
        hand.heard();
        hand.say_next(Sequenced::Declared { service: 0, answer: DeclareAnswer::Same });
        assert_eq!(hand.heard().len(), 2, "the call, and the acknowledgement");
        hand.say_next(answer.clone());
        assert_eq!(hand.closed(), CloseCode::MALFORMED, "{answer:?}");
    }
}

#[test]
fn an_item_after_the_end_fails_its_call_alone() {
    let mut hand = Hand::live();
    hand.open(0, CLIENT_STREAM);
    let call = started(&mut hand);
    hand.say_next(Sequenced::End { call: mine(0), last: None });
    hand.events();
    hand.say_next(item(mine(0), whole(1)));
    let events = hand.events();
    assert!(matches!(events[..], [Event::Stopped { reason: Stop::Cancelled, .. }]), "{events:?}");
    hand.server.respond(origin(), call.call, Ok("whatever".into()));
    assert_eq!(hand.failed(0), Code::InvalidArgument);
}

#[test]
fn envelopes_for_calls_that_are_over_are_dropped_and_counted() {
    let mut hand = Hand::live();
    let late = [
        item(mine(5), whole(10)),
        Sequenced::End { call: mine(5), last: None },
        Sequenced::Gap { call: mine(5), missed: 1 },
        Sequenced::Cancel { call: mine(5) },
        Sequenced::Response { call: yours(5), codec: Codec::Rkyv, payload: whole(1) },
        Sequenced::Accepted { call: yours(5) },
        item(yours(5), whole(10)),
    ];
    let count = late.len() as u64;
    for sequenced in late {
        hand.say_next(sequenced);
    }
    hand.say(Envelope::Control(Control::Credit(Credit::Items { call: mine(5), taken: 1, total: 2 })));
    assert!(hand.server.is_live());
    assert_eq!(hand.server.stats().counted.late, count);
}

#[test]
fn credit_for_what_was_never_sent_is_malformed() {
    let mut hand = Hand::live();
    hand.open(0, SERVER_STREAM);
    hand.say(Envelope::Control(Control::Credit(Credit::Items { call: mine(0), taken: 1, total: 2 })));
    assert_eq!(hand.closed(), CloseCode::MALFORMED);
    let mut hand = Hand::live();
    hand.open(0, UNARY);
    hand.say(Envelope::Control(Control::Credit(Credit::Items { call: mine(0), taken: 0, total: 2 })));
    assert_eq!(hand.closed(), CloseCode::MALFORMED);
}

#[test]
fn a_lower_credit_than_known_is_ignored() {
    let mut hand = Hand::live();
    for credit in [Credit::Calls { total: 0 }, Credit::Streams { total: 0 }, Credit::Assembly { total: 0 }] {
        hand.say(Envelope::Control(Control::Credit(credit)));
    }
    hand.server.call(origin(), request(UNARY, "x")).unwrap();
    hand.heard();
    hand.say_next(Sequenced::Declared { service: 0, answer: DeclareAnswer::Same });
    assert!(hand.heard().iter().any(|it| matches!(it, Envelope::Sequenced(_, Sequenced::Call(_)))));
}

#[test]
fn a_call_that_comes_after_its_deadline_is_not_run() {
    let mut hand = Hand::live();
    let late = CallOpen { time_left_ms: Some(0), ..opening(0, UNARY, whole(1)) };
    hand.say_next(Sequenced::Call(late));
    assert_eq!(hand.failed(0), Code::DeadlineExceeded);
    assert!(hand.events().is_empty());
}

#[test]
fn a_deadline_beyond_all_clocks_does_no_harm() {
    let mut hand = Hand::live();
    let open = CallOpen { time_left_ms: Some(u64::MAX), ..opening(0, UNARY, whole(1)) };
    hand.say_next(Sequenced::Call(open));
    assert_eq!(started(&mut hand).deadline, Some(origin() + Duration::from_secs(600)));
}

#[test]
fn notifies_to_nobody_are_dropped_and_counted() {
    let mut hand = Hand::live();
    for (service, method) in [(9, 0), (0, 99), (0, UNARY as u32)] {
        let payload = Bytes::new();
        hand.say(Envelope::Notify(Notify { service, method, codec: Codec::Rkyv, metadata: vec![], payload }));
    }
    let payload = vec![0; 64 * 1024 + 1].into();
    let method = NOTIFY as u32;
    hand.say(Envelope::Notify(Notify { service: 0, method, codec: Codec::Rkyv, metadata: vec![], payload }));
    assert_eq!(hand.server.stats().counted.notifies_refused, 4);
    assert!(hand.events().is_empty() && hand.server.is_live());
}

#[test]
fn gaps_can_not_pile_up() {
    let mut hand = Hand::live();
    hand.open(0, CLIENT_STREAM);
    let call = started(&mut hand).call;
    for _ in 0..100_000 {
        hand.say_next(Sequenced::Gap { call: mine(0), missed: u64::MAX });
    }
    let now = origin();
    assert!(matches!(hand.server.read(now, call), bowline_protocol::session::Read::Gap(u64::MAX)));
    assert!(matches!(hand.server.read(now, call), bowline_protocol::session::Read::Pending));
}
