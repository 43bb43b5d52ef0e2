//! What goes over a link before calls do: messages, numbers, hello and welcome, declarations.

use bowline_protocol::codec::Codec;
use bowline_protocol::envelope::{
    Ack, Control, Declaration, DeclareAnswer, Encoder, Envelope, Hello, Notify, Outcome, Sequenced, VERSION,
    Welcome, WireLimits,
};
use bowline_protocol::session::{Session, Welcoming};
use bowline_protocol::status::CloseCode;
use bowline_test_support::origin;
use bytes::Bytes;

use crate::common::*;
use crate::hand::{Hand, hello, limits, mine, opening, started, whole};

#[test]
fn text_is_refused_with_1003() {
    let mut hand = Hand::live();
    hand.server.handle_text(origin());
    assert_eq!(hand.closed(), CloseCode::UNSUPPORTED);
}

#[test]
fn bytes_that_are_no_envelopes_are_malformed() {
    for bytes in [&[][..], &[0x7f], &[0xff, 0xff, 0xff], b"{\"jsonrpc\":\"2.0\"}"] {
        let mut hand = Hand::live();
        hand.server.handle_message(origin(), Bytes::from_static(bytes));
        assert_eq!(hand.closed(), CloseCode::MALFORMED, "{bytes:?}");
    }
}

#[test]
fn a_message_above_the_limit_is_too_big() {
    let mut hand = Hand::live();
    hand.server.handle_message(origin(), vec![0; 1024 * 1024 + 1].into());
    assert_eq!(hand.closed(), CloseCode::TOO_BIG);
}

#[test]
fn a_number_out_of_step_is_4008() {
    let mut hand = Hand::live();
    hand.say(Envelope::Sequenced(2, Sequenced::Cancel { call: mine(0) }));
    assert_eq!(hand.closed(), CloseCode::OUT_OF_STEP);
}

#[test]
fn a_number_that_comes_again_is_dropped() {
    let mut hand = Hand::live();
    hand.open(0, UNARY);
    hand.seq = 0;
    hand.open(0, UNARY);
    assert_eq!(hand.events().len(), 1);
    assert_eq!(hand.server.stats().counted.duplicates, 1);
    assert!(hand.server.is_live());
}

#[test]
fn an_ack_of_what_was_never_sent_is_4008() {
    for ack in [Ack { seq: 99, unsequenced: 0 }, Ack { seq: 0, unsequenced: 1 }] {
        let mut hand = Hand::live();
        hand.say(Envelope::Control(Control::Ack(ack)));
        assert_eq!(hand.closed(), CloseCode::OUT_OF_STEP, "{ack:?}");
    }
}

/// What it acknowledged once stays so: what is kept for it is let go of by numbers alone then.
#[test]
fn an_ack_that_counts_back_takes_nothing_back() {
    let mut hand = Hand::live();
    hand.open(0, WATCH);
    let watch = started(&mut hand).call;
    hand.server.set_watch(origin(), watch, Bytes::from_static(b"value"));
    hand.heard();
    let ack = |hand: &mut Hand, seq, unsequenced| {
        hand.say(Envelope::Control(Control::Ack(Ack { seq, unsequenced })));
        hand.server.stats().held.unacknowledged_bytes
    };
    assert!(ack(&mut hand, 0, 1) > 0, "its acceptance is kept");
    let head = hand.server.head();
    assert_eq!(ack(&mut hand, head, 0), 0);
    assert!(hand.server.is_live());
}

#[test]
fn no_version_in_common_is_4502() {
    let mut hand = Hand::connected(serving());
    hand.say(Envelope::Control(Control::Hello(Box::new(Hello { versions: vec![99], ..hello() }))));
    assert_eq!(hand.closed(), CloseCode::VERSION);
}

#[test]
fn anything_before_the_hello_is_malformed() {
    let early = [
        Envelope::Control(Control::Ping { nonce: 1 }),
        Envelope::Sequenced(1, Sequenced::Call(opening(0, UNARY, whole(1)))),
        Envelope::Notify(Notify {
            service: 0,
            method: 4,
            codec: Codec::Rkyv,
            metadata: vec![],
            payload: Bytes::new(),
        }),
    ];
    for envelope in early {
        let mut hand = Hand::connected(serving());
        hand.say(envelope);
        assert_eq!(hand.closed(), CloseCode::MALFORMED);
    }
}

#[test]
fn a_call_between_hello_and_welcome_is_malformed() {
    let mut hand = Hand::connected(serving());
    hand.say(Envelope::Control(Control::Hello(Box::new(hello()))));
    hand.events();
    hand.open(0, UNARY);
    assert_eq!(hand.closed(), CloseCode::MALFORMED);
    hand.server.welcome(origin(), Welcoming::new(1, [0; 32], 1));
    assert!(!hand.server.is_live());
}

#[test]
fn a_handshake_in_a_live_session_is_malformed() {
    let mut hand = Hand::live();
    hand.say(Envelope::Control(Control::Hello(Box::new(hello()))));
    assert_eq!(hand.closed(), CloseCode::MALFORMED);
}

#[test]
fn limits_that_no_envelope_fits_are_malformed() {
    let mut hand = Hand::connected(serving());
    let limits = WireLimits { message: 1000, ..limits() };
    hand.say(Envelope::Control(Control::Hello(Box::new(Hello { limits, ..hello() }))));
    assert_eq!(hand.closed(), CloseCode::MALFORMED);
}

#[test]
fn a_hello_that_wants_to_resume_gets_a_new_session_that_says_so() {
    let mut hand = Hand::connected(serving());
    let resume = bowline_protocol::envelope::Resume {
        session: 9,
        token: Bytes::from_static(&[1; 32]).into(),
        epoch: 9,
        last_processed: 41,
        generation: 1,
        unsequenced: 0,
        declarations: 0,
    };
    hand.say(Envelope::Control(Control::Hello(Box::new(Hello { resume: Some(resume), ..hello() }))));
    let gap =
        Outcome::Gap { reason: bowline_protocol::envelope::GapReason::Expired, lost_from: 42, lost_to: None };
    hand.server.welcome(origin(), Welcoming { outcome: gap, ..Welcoming::new(1, [0; 32], 1) });
    let gap = hand.heard().into_iter().find_map(|envelope| match envelope {
        Envelope::Control(Control::Welcome(welcome)) => Some(welcome.outcome),
        _ => None,
    });
    assert!(matches!(gap, Some(Outcome::Gap { lost_from: 42, .. })), "{gap:?}");
}

#[test]
fn declarations_must_count_up() {
    let mut hand = Hand::live();
    hand.say_next(Sequenced::Declare {
        service: 3,
        declaration: Declaration { name: "X".into(), digest: 1 },
    });
    assert_eq!(hand.closed(), CloseCode::MALFORMED);
    let mut hand = Hand::live();
    hand.say_next(Sequenced::Declared { service: 0, answer: DeclareAnswer::Same });
    assert_eq!(hand.closed(), CloseCode::MALFORMED);
}

#[test]
fn a_client_refuses_a_welcome_that_makes_no_sense() {
    let welcome = |version, outcome| {
        Envelope::Control(Control::Welcome(Box::new(Welcome {
            version,
            session: 1,
            token: Bytes::from_static(&[0; 32]).into(),
            epoch: 1,
            generation: 1,
            outcome,
            peer_last_processed: None,
            peer_unsequenced: 0,
            limits: limits(),
            heartbeat_ms: 0,
            once: None,
            identity: None,
        })))
    };
    for (envelope, code) in [
        (welcome(2, Outcome::New), CloseCode::VERSION),
        (welcome(VERSION, Outcome::Resumed), CloseCode::MALFORMED),
        (Envelope::Control(Control::Hello(Box::new(hello()))), CloseCode::MALFORMED),
    ] {
        let now = origin();
        let mut client = Session::client(serving(), 1);
        client.handle_connected(now);
        client.poll_transmit(now).unwrap();
        let mut message = Vec::new();
        Encoder::new(&mut message).push(&envelope);
        client.handle_message(now, message.into());
        client.poll_transmit(now);
        assert_eq!(client.poll_close().unwrap().code, code);
    }
}
