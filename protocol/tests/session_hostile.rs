//! Peers that break the rules: each mistake has its close code or its call's error, and nothing else suffers.

mod common;

use std::time::Duration;

use bowline_protocol::codec::Codec;
use bowline_protocol::envelope::{
    Ack, CallOpen, CallRef, Chunk, Control, Credit, Declaration, DeclareAnswer, Encoder, Envelope, Hello,
    Notify, Opener, Outcome, Payload, Sequenced, VERSION, WatchValue, Welcome, WireError, WireLimits,
};
use bowline_protocol::limits::Limits;
use bowline_protocol::session::{Config, Event, IncomingCall, Session, Stop, Welcoming};
use bowline_protocol::status::{CloseCode, Code};
use bowline_test_support::origin;
use bytes::Bytes;
use common::*;

/// A server's machine, and a client written by hand.
struct Hand {
    server: Session,
    seq: u64,
}

fn limits() -> WireLimits {
    WireLimits {
        calls: 256,
        streams: 256,
        stream_window: 65_536,
        message: 1 << 20,
        payload: 1 << 24,
        assembly: 1 << 24,
        replay: 1 << 20,
    }
}

fn hello() -> Hello {
    let declarations = vec![Declaration { name: "Chat".into(), digest: CHAT.digest() }];
    Hello {
        versions: vec![VERSION],
        instance: 1,
        attempt: 1,
        declarations,
        limits: limits(),
        ..Hello::default()
    }
}

impl Hand {
    fn connected(config: Config) -> Self {
        let mut server = Session::server(config);
        server.handle_connected(origin());
        Self { server, seq: 0 }
    }

    fn live() -> Self {
        Self::live_with(serving())
    }

    fn live_with(config: Config) -> Self {
        let mut hand = Self::connected(config);
        hand.say(Envelope::Control(Control::Hello(hello())));
        let ids = Welcoming::new(1, [0; 32], 1);
        hand.server.welcome(origin(), ids);
        hand.events();
        hand.heard();
        assert!(hand.server.is_live());
        hand
    }

    fn say(&mut self, envelope: Envelope) {
        let mut message = Vec::new();
        Encoder::new(&mut message).push(&envelope);
        self.server.handle_message(origin(), message.into());
    }

    fn say_next(&mut self, sequenced: Sequenced) {
        self.seq += 1;
        self.say(Envelope::Sequenced(self.seq, sequenced));
    }

    fn open(&mut self, id: u32, method: usize) {
        self.say_next(Sequenced::Call(opening(id, method, Payload::Whole("x".into()))));
    }

    fn events(&mut self) -> Vec<Event> {
        std::iter::from_fn(|| self.server.poll_event()).collect()
    }

    fn heard(&mut self) -> Vec<Envelope> {
        let mut envelopes = Vec::new();
        while let Some(message) = self.server.poll_transmit(origin()) {
            envelopes.extend(bowline_protocol::envelope::Decoder::new(message).map(Result::unwrap));
        }
        envelopes
    }

    /// The code that the link is closed with, which must be so now.
    fn closed(&mut self) -> CloseCode {
        let heard = self.heard();
        let refusal = self.server.poll_close().expect("closed");
        assert!(!refusal.reason.is_empty());
        let told = matches!(heard.last(), Some(Envelope::Control(Control::Closing { code, .. })) if *code == refusal.code);
        assert!(told, "{heard:?}");
        // Nothing of what follows is looked at.
        self.server.handle_message(origin(), Bytes::from_static(&[0xff]));
        assert_eq!(self.server.poll_close(), None);
        refusal.code
    }

    /// The status that a call failed with; the link lives.
    fn failed(&mut self, id: u32) -> Code {
        assert!(self.server.is_live());
        let of = CallRef { id, opener: Opener::Reader };
        let heard = self.heard();
        let status = heard.iter().find_map(|envelope| match envelope {
            Envelope::Sequenced(_, Sequenced::Error { call, error: WireError::Status { code, .. } })
                if *call == of =>
            {
                Some(*code)
            }
            _ => None,
        });
        status.unwrap_or_else(|| panic!("no error for {id} in {heard:?}"))
    }
}

fn opening(id: u32, method: usize, payload: Payload) -> CallOpen {
    CallOpen {
        id,
        service: 0,
        method: method as u32,
        codec: Codec::Rkyv,
        time_left_ms: None,
        depth: 0,
        once: None,
        metadata: Vec::new(),
        payload,
    }
}

fn mine(id: u32) -> CallRef {
    CallRef { id, opener: Opener::Writer }
}

fn yours(id: u32) -> CallRef {
    CallRef { id, opener: Opener::Reader }
}

fn item(call: CallRef, payload: Payload) -> Sequenced {
    Sequenced::Item { call, codec: Codec::Rkyv, payload }
}

fn whole(len: usize) -> Payload {
    Payload::Whole(vec![0; len].into())
}

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

#[test]
fn no_version_in_common_is_4502() {
    let mut hand = Hand::connected(serving());
    hand.say(Envelope::Control(Control::Hello(Hello { versions: vec![99], ..hello() })));
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
    hand.say(Envelope::Control(Control::Hello(hello())));
    hand.events();
    hand.open(0, UNARY);
    assert_eq!(hand.closed(), CloseCode::MALFORMED);
    hand.server.welcome(origin(), Welcoming::new(1, [0; 32], 1));
    assert!(!hand.server.is_live());
}

#[test]
fn a_handshake_in_a_live_session_is_malformed() {
    let mut hand = Hand::live();
    hand.say(Envelope::Control(Control::Hello(hello())));
    assert_eq!(hand.closed(), CloseCode::MALFORMED);
}

#[test]
fn limits_that_no_envelope_fits_are_malformed() {
    let mut hand = Hand::connected(serving());
    let limits = WireLimits { message: 1000, ..limits() };
    hand.say(Envelope::Control(Control::Hello(Hello { limits, ..hello() })));
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
    hand.say(Envelope::Control(Control::Hello(Hello { resume: Some(resume), ..hello() })));
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

fn started(hand: &mut Hand) -> IncomingCall {
    match hand.events().remove(0) {
        Event::Call(call) => call,
        other => panic!("{other:?}"),
    }
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
fn a_late_large_payload_is_thrown_away_and_its_credit_comes_back() {
    let mut hand = Hand::live();
    hand.say_next(item(mine(5), Payload::Chunked { transfer: 0, len: 100_000 }));
    let credit = |hand: &mut Hand| {
        hand.heard().iter().any(|it| {
            matches!(it, Envelope::Control(Control::Credit(Credit::Assembly { total })) if *total == (1 << 24) + 100_000)
        })
    };
    assert!(credit(&mut hand));
    assert_eq!(hand.server.stats().held.assembly_bytes, 0);
    for _ in 0..2 {
        hand.say_next(Sequenced::Chunk(Chunk { transfer: 0, bytes: vec![0; 50_000].into() }));
    }
    assert_eq!(hand.server.stats().held.assembling, 0);
    assert!(hand.server.is_live());
}

#[test]
fn large_payloads_beyond_the_window_are_malformed() {
    let mut hand = Hand::live();
    for id in 0..2 {
        hand.say_next(Sequenced::Call(opening(id, UNARY, Payload::Chunked { transfer: id, len: 10 << 20 })));
    }
    assert_eq!(hand.closed(), CloseCode::MALFORMED);
    assert!(hand.server.stats().held.assembly_bytes <= 2 << 20);
    for len in [u64::MAX, u64::MAX / 2, (1 << 24) + 1] {
        let mut hand = Hand::live();
        hand.say_next(Sequenced::Call(opening(0, UNARY, Payload::Chunked { transfer: 0, len })));
        assert_eq!(hand.closed(), CloseCode::MALFORMED);
    }
}

#[test]
fn a_payload_above_the_limit_fails_its_call_alone() {
    let limits = Limits { payload_in: 100_000, ..Limits::default() };
    let mut hand = Hand::live_with(Config { limits, ..serving() });
    let payload = Payload::Chunked { transfer: 0, len: 200_000 };
    hand.say_next(Sequenced::Call(opening(0, UNARY, payload)));
    assert_eq!(hand.server.stats().held.assembly_bytes, 0);
    assert_eq!(hand.failed(0), Code::ResourceExhausted);
    assert!(hand.events().is_empty());
    // The caller may not know yet, and goes on; then it knows.
    hand.say_next(Sequenced::Chunk(Chunk { transfer: 0, bytes: vec![0; 50_000].into() }));
    hand.say_next(Sequenced::Cancel { call: mine(0) });
    assert_eq!(hand.server.stats().held.assembling, 0);
    hand.say_next(Sequenced::Call(opening(0, UNARY, Payload::Chunked { transfer: 0, len: 70_000 })));
    assert!(hand.server.is_live());
}

#[test]
fn chunks_that_belong_nowhere_are_malformed() {
    let chunk = |transfer, len| Sequenced::Chunk(Chunk { transfer, bytes: vec![0; len].into() });
    let mut hand = Hand::live();
    hand.say_next(chunk(0, 10));
    assert_eq!(hand.closed(), CloseCode::MALFORMED);
    let mut hand = Hand::live();
    hand.say_next(Sequenced::Call(opening(0, UNARY, Payload::Chunked { transfer: 0, len: 10 })));
    hand.say_next(chunk(0, 11));
    assert_eq!(hand.closed(), CloseCode::MALFORMED);
    let mut hand = Hand::live();
    hand.say_next(Sequenced::Call(opening(0, UNARY, Payload::Chunked { transfer: 0, len: 10 })));
    hand.say(Envelope::WatchChunk(Chunk { transfer: 0, bytes: vec![0; 5].into() }));
    assert_eq!(hand.closed(), CloseCode::MALFORMED);
    for transfer in [1024, u32::MAX] {
        let mut hand = Hand::live();
        hand.say_next(Sequenced::Call(opening(0, UNARY, Payload::Chunked { transfer, len: 10 })));
        assert_eq!(hand.closed(), CloseCode::MALFORMED);
    }
}

#[test]
fn two_large_payloads_of_one_number_are_malformed() {
    let mut hand = Hand::live();
    for id in 0..2 {
        hand.say_next(Sequenced::Call(opening(id, UNARY, Payload::Chunked { transfer: 0, len: 1000 })));
    }
    assert_eq!(hand.closed(), CloseCode::MALFORMED);
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

#[test]
fn a_client_refuses_a_welcome_that_makes_no_sense() {
    let welcome = |version, outcome| {
        Envelope::Control(Control::Welcome(Welcome {
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
        }))
    };
    for (envelope, code) in [
        (welcome(2, Outcome::New), CloseCode::VERSION),
        (welcome(VERSION, Outcome::Resumed), CloseCode::MALFORMED),
        (Envelope::Control(Control::Hello(hello())), CloseCode::MALFORMED),
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
