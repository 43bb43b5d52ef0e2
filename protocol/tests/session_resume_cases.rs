//! Cases that broke others, between two machines: what is declared, poisoned or announced around a lost link.

#![allow(clippy::unwrap_used, reason = "a helper of tests that fails them")]

mod common;

use std::time::Duration;

use bowline_protocol::envelope::{
    Control, Decoder, Encoder, Envelope, GapReason, Hello, Outcome, Resume, Sequenced,
};
use bowline_protocol::schema::{MethodKind, ServiceDescriptor};
use bowline_protocol::session::{Event, Failure, Request};
use bowline_protocol::status::{CloseCode, Delivery};
use bowline_test_support::{Pair, Side};
use bytes::Bytes;
use common::*;

static OTHER: ServiceDescriptor =
    ServiceDescriptor { name: "Other", methods: &[method("ask", MethodKind::Unary, 70)] };

/// The same service as a later build has it: the method is there, and its types are not the same.
static OTHER_LATER: ServiceDescriptor =
    ServiceDescriptor { name: "Other", methods: &[method("ask", MethodKind::Unary, 71)] };

fn serving_all() -> bowline_protocol::session::Config {
    bowline_protocol::session::Config { services: vec![&CHAT, &OTHER], ..serving() }
}

fn ask_other(pair: &mut Pair) -> bowline_protocol::session::CallId {
    ask(pair, Request { service: &OTHER, ..request(0, "x") })
}

fn last_live(events: &[Event]) -> Option<Outcome> {
    events.iter().rev().find_map(|event| match event {
        Event::Live { outcome, .. } => Some(*outcome),
        _ => None,
    })
}

fn altered(message: Bytes, alter: impl Fn(Envelope) -> Option<Envelope>) -> Option<Bytes> {
    let mut out = Vec::new();
    let mut encoder = Encoder::new(&mut out);
    Decoder::new(message).filter_map(|it| alter(it.unwrap())).for_each(|it| encoder.push(&it));
    (!out.is_empty()).then(|| out.into())
}

/// The client's next hello, taken off the wire.
fn hello(pair: &mut Pair) -> Hello {
    let now = pair.now;
    let message = pair.client().poll_transmit(now).unwrap();
    match Decoder::new(message).next() {
        Some(Ok(Envelope::Control(Control::Hello(hello)))) => *hello,
        other => panic!("a hello, not {other:?}"),
    }
}

/// The declaration is lost with the link, or its answer is: either way the call goes, once, when the session goes on.
#[test]
fn declare_in_mid_session_and_a_cut() {
    for lost in [Side::Client, Side::Server] {
        let mut pair = live(serving(), serving_all());
        let call = ask_other(&mut pair);
        pair.ends[lost.other() as usize].hears = false;
        pair.run();
        pair.cut();
        pair.ends[lost.other() as usize].hears = true;
        pair.connect();
        pair.run();
        let came = incoming_all_but_live(&mut pair);
        assert_eq!(came.len(), 1, "{lost:?}");
        respond(&mut pair, came[0], "answer");
        let events = pair.events(Side::Client);
        assert_eq!(last_live(&events), Some(Outcome::Resumed));
        let answered = |it: &Event| matches!(it, Event::Response { call: of, result: Ok(_) } if *of == call);
        assert!(events.iter().any(answered), "{events:?}");
    }
}

fn incoming_all_but_live(pair: &mut Pair) -> Vec<bowline_protocol::session::CallId> {
    let events = pair.events(Side::Server).into_iter();
    events.filter_map(|event| if let Event::Call(call) = event { Some(call.call) } else { None }).collect()
}

/// A session that does not know what was declared in it is another one, whatever its id.
#[test]
fn a_resume_with_other_declarations_is_a_gap() {
    let mut pair = live(serving(), serving_all());
    pair.cut();
    let now = pair.now;
    pair.client().handle_connected(now);
    let resume = hello(&mut pair).resume.unwrap();
    assert_eq!(pair.server().can_resume(&resume), Ok(()));
    let other = Resume { declarations: resume.declarations ^ 1, ..resume };
    assert_eq!(pair.server().can_resume(&other), Err(GapReason::SchemaChanged));
}

/// The server comes back as a later build: what is asked again is agreed upon anew, as JSON where hashes differ.
#[test]
fn a_resume_after_a_schema_change_agrees_anew() {
    let mut pair = live(serving(), serving_all());
    let now = pair.now;
    pair.client().declare(now, &OTHER);
    pair.run();
    pair.cut();
    let call = ask_other(&mut pair);
    let later = bowline_protocol::session::Config { services: vec![&CHAT, &OTHER_LATER], ..serving() };
    pair.restart_server(later);
    pair.connect();
    pair.run();
    let events = pair.events(Side::Server).into_iter();
    let came: Vec<_> =
        events.filter_map(|it| if let Event::Call(call) = it { Some(call) } else { None }).collect();
    assert_eq!(came.len(), 1);
    assert_eq!(came[0].codec, bowline_protocol::codec::Codec::Json);
    respond(&mut pair, came[0].call, "1");
    let events = pair.events(Side::Client);
    assert!(matches!(last_live(&events), Some(Outcome::Gap { .. })));
    assert!(events.iter().any(|it| matches!(it, Event::Response { call: of, result: Ok(_) } if *of == call)));
}

/// Something on the way eats one envelope, each time: the session is given up after two closes for cause without a new
/// acknowledgement, instead of being resumed for ever.
#[test]
fn a_poison_envelope_ends_the_session_and_not_the_client() {
    let mut pair = pair();
    pair.advance(Duration::from_secs(2));
    let poisoned = ask(&mut pair, request(UNARY, "poison"));
    let behind = ask(&mut pair, request(UNARY, "behind"));
    let now = pair.now;
    let eat = |envelope: Envelope| match &envelope {
        Envelope::Sequenced(_, Sequenced::Call(open)) if open.id == 0 => None,
        _ => Some(envelope),
    };
    let mut closes = 0;
    loop {
        while let Some(message) = pair.client().poll_transmit(now) {
            if let Some(message) = altered(message, eat) {
                pair.inject(Side::Server, message);
            }
        }
        assert!(pair.server().poll_transmit(now).is_some(), "the reason");
        assert_eq!(pair.server().poll_close().unwrap().code, CloseCode::OUT_OF_STEP);
        for side in [Side::Client, Side::Server] {
            pair.session(side).handle_disconnect(now, Some(CloseCode::OUT_OF_STEP));
        }
        closes += 1;
        pair.connect();
        let hello = hello(&mut pair);
        if hello.resume.as_ref().is_none_or(|resume| pair.server().can_resume(resume).is_err()) {
            break;
        }
        pair.client().handle_disconnect(now, None);
        pair.server().handle_disconnect(now, None);
        pair.connect();
        // The handshake goes through; what follows is looked at above.
        let message = pair.client().poll_transmit(now).unwrap();
        pair.ends[Side::Client as usize].takes = false;
        pair.inject(Side::Server, message);
        pair.run();
        pair.ends[Side::Client as usize].takes = true;
        assert!(closes < 5, "for ever");
    }
    assert_eq!(closes, 2);
    pair.client().handle_disconnect(now, None);
    pair.server().handle_disconnect(now, None);
    pair.connect();
    pair.run();
    let events = pair.events(Side::Client);
    assert!(
        matches!(last_live(&events), Some(Outcome::Gap { reason: GapReason::NoProgress, .. })),
        "{events:?}"
    );
    assert!(pair.client().is_live() && pair.server().is_live());
    // The server of this pair still has the old session and says how far it came, or not: nothing ran either way.
    for call in [poisoned, behind] {
        let ended = events.iter().find_map(|it| match it {
            Event::Response { call: of, result } if *of == call => Some(result),
            _ => None,
        });
        let known = matches!(ended, None | Some(Err(Failure::Disconnected(Delivery::OutcomeUnknown))));
        assert!(known, "{ended:?}");
    }
}

/// The client is told, and nothing else changes: calls of 10 s end where they are, also over a cut.
#[test]
fn a_go_away_with_calls_of_10_s() {
    let mut pair = pair();
    let now = pair.now;
    let within_20 = now + Duration::from_secs(20);
    let own: Vec<_> = (0..5).map(|_| ask(&mut pair, within(request(UNARY, "x"), within_20))).collect();
    pair.run();
    let calls = incoming_all(&mut pair);
    pair.server().go_away(now, Duration::from_secs(30));
    pair.run();
    let events = pair.events(Side::Client);
    assert!(
        matches!(events[..], [Event::GoAway { spread }] if spread == Duration::from_secs(30)),
        "{events:?}"
    );
    pair.advance(Duration::from_secs(5));
    pair.cut();
    pair.connect();
    pair.advance(Duration::from_secs(5));
    for call in calls {
        respond(&mut pair, call.call, "done");
    }
    let events = pair.events(Side::Client);
    assert_eq!(last_live(&events), Some(Outcome::Resumed));
    let done = events.iter().filter(|it| matches!(it, Event::Response { result: Ok(_), .. })).count();
    assert_eq!(done, own.len());
}
