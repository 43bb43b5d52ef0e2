//! What a live session answers to each broken rule: one close code each, and nothing behind it.

use bowline_protocol::Instant;
use bowline_protocol::codec::Codec;
use bowline_protocol::envelope::{
    Ack, CallOpen, CallRef, Chunk, Control, Credit, Declaration, DeclareAnswer, Decoder, Encoder, Envelope,
    Hello, Opener, Outcome, Payload, Sequenced, WatchValue, Welcome, WireError, WireLimits,
};
use bowline_protocol::limits::{Limits, Timing};
use bowline_protocol::schema::{Lag, MethodDescriptor, MethodKind, Retry, ServiceDescriptor};
use bowline_protocol::session::{Config, Event, Session, Welcoming};
use bowline_protocol::status::{CloseCode, Code};
use bytes::Bytes;
use proptest::collection::vec;
use proptest::prelude::*;

const fn method(name: &'static str, kind: MethodKind) -> MethodDescriptor {
    MethodDescriptor { name, kind, retry: Retry::Never, hash: 1, deadline: None, lag: Lag::Close }
}

static SERVICE: ServiceDescriptor = ServiceDescriptor {
    name: "Rules",
    methods: &[method("unary", MethodKind::Unary), method("up", MethodKind::ClientStream)],
};
const UNARY: u32 = 0;
const UPLOAD: u32 = 1;

#[expect(clippy::disallowed_methods, reason = "the one start time; only differences from it count")]
fn origin() -> Instant {
    Instant::now()
}

fn limits() -> Limits {
    Limits { calls: 2, streams: 2, nested: 0, stream_window: 1024, ..Limits::default() }
}

fn encoded(envelopes: &[Envelope]) -> Bytes {
    let mut out = Vec::new();
    let mut encoder = Encoder::new(&mut out);
    envelopes.iter().for_each(|envelope| encoder.push(envelope));
    out.into()
}

const PEER: WireLimits = WireLimits {
    calls: 0,
    streams: 0,
    stream_window: 1024,
    message: 96 << 10,
    payload: 1 << 20,
    assembly: 1 << 20,
    replay: 1 << 20,
};

fn hello() -> Envelope {
    Envelope::Control(Control::Hello(Box::new(Hello {
        versions: vec![1],
        declarations: vec![Declaration { name: SERVICE.name.into(), digest: SERVICE.digest() }],
        limits: PEER,
        ..Hello::default()
    })))
}

/// The server's end.
struct Server {
    session: Session,
    now: Instant,
}

impl Server {
    /// Connected; nothing was said.
    fn connected() -> Self {
        let now = origin();
        let config = Config { limits: limits(), timing: Timing::default(), services: vec![&SERVICE] };
        let mut session = Session::server(config);
        session.handle_connected(now);
        Self { session, now }
    }

    /// Live, its welcome and its answer to the one declaration written.
    fn live() -> Self {
        let mut server = Self::connected();
        server.read(encoded(&[hello()]));
        let ids = Welcoming::new(1, [7; 32], 2);
        server.session.welcome(server.now, ids);
        assert!(!server.written().is_empty());
        assert!(server.session.is_live());
        server
    }

    fn read(&mut self, message: Bytes) {
        self.session.handle_message(self.now, message);
        while self.session.poll_event().is_some() {}
    }

    fn written(&mut self) -> Vec<Envelope> {
        let mut envelopes = Vec::new();
        while let Some(message) = self.session.poll_transmit(self.now) {
            envelopes.extend(Decoder::new(message).map(Result::unwrap));
        }
        envelopes
    }

    /// The code that the link is closed with. The last envelope says so too, where one can still be written.
    fn closed(&mut self) -> Option<CloseCode> {
        let last = self.written().pop();
        let refusal = self.session.poll_close()?;
        if let Some(Envelope::Control(Control::Closing { code, .. })) = last {
            assert_eq!(code, refusal.code);
        }
        assert!(!refusal.reason.is_empty());
        Some(refusal.code)
    }
}

#[track_caller]
fn assert_closes(mut server: Server, message: Bytes, code: CloseCode) {
    server.read(message);
    assert_eq!(server.closed(), Some(code));
    // A closed link says and hears nothing more.
    server.read(encoded(&[Envelope::Control(Control::Ping { nonce: 1 })]));
    assert!(server.written().is_empty());
}

/// These envelopes, numbered from 1, close a live link.
#[track_caller]
fn assert_rule(code: CloseCode, sequenced: impl IntoIterator<Item = Sequenced>) {
    let numbered: Vec<_> = (1..).zip(sequenced).map(|(seq, it)| Envelope::Sequenced(seq, it)).collect();
    assert_closes(Server::live(), encoded(&numbered), code);
}

fn call(id: u32, method: u32) -> Sequenced {
    call_with(id, method, Payload::Whole(Bytes::new()))
}

fn call_with(id: u32, method: u32, payload: Payload) -> Sequenced {
    Sequenced::Call(CallOpen {
        id,
        service: 0,
        method,
        codec: Codec::Rkyv,
        time_left_ms: None,
        depth: 0,
        once: None,
        metadata: vec![],
        payload,
    })
}

fn mine(id: u32) -> CallRef {
    CallRef { id, opener: Opener::Writer }
}

fn theirs(id: u32) -> CallRef {
    CallRef { id, opener: Opener::Reader }
}

fn whole(len: usize) -> Payload {
    Payload::Whole(vec![7; len].into())
}

fn item(id: u32, len: usize) -> Sequenced {
    Sequenced::Item { call: mine(id), codec: Codec::Rkyv, payload: whole(len) }
}

fn chunk(transfer: u32, len: usize) -> Sequenced {
    Sequenced::Chunk(Chunk { transfer, bytes: vec![7; len].into() })
}

#[test]
fn before_the_welcome_only_a_hello_is_heard() {
    let ping = encoded(&[Envelope::Control(Control::Ping { nonce: 1 })]);
    assert_closes(Server::connected(), ping, CloseCode::MALFORMED);
    assert_closes(Server::connected(), encoded(&[hello(), hello()]), CloseCode::MALFORMED);
    let early = [hello(), Envelope::Sequenced(1, call(0, UNARY))];
    assert_closes(Server::connected(), encoded(&early), CloseCode::MALFORMED);
    let other =
        Envelope::Control(Control::Hello(Box::new(Hello { versions: vec![2, 3], ..Hello::default() })));
    assert_closes(Server::connected(), encoded(&[other]), CloseCode::VERSION);
    // The largest envelope that is never in chunks, with control beside it, must get through.
    let limits = WireLimits { message: (96 << 10) - 1, ..PEER };
    let narrow =
        Envelope::Control(Control::Hello(Box::new(Hello { versions: vec![1], limits, ..Hello::default() })));
    assert_closes(Server::connected(), encoded(&[narrow]), CloseCode::MALFORMED);
}

#[test]
fn a_second_handshake_is_refused() {
    assert_closes(Server::live(), encoded(&[hello()]), CloseCode::MALFORMED);
    let welcome = Envelope::Control(Control::Welcome(Box::new(Welcome {
        version: 1,
        session: 1,
        token: Bytes::new().into(),
        epoch: 1,
        generation: 1,
        outcome: Outcome::New,
        peer_last_processed: None,
        peer_unsequenced: 0,
        limits: PEER,
        heartbeat_ms: 0,
        once: None,
        identity: None,
    })));
    assert_closes(Server::live(), encoded(&[welcome]), CloseCode::MALFORMED);
}

#[test]
fn numbers_and_acknowledgements_must_be_possible() {
    for seq in [2, 3, u64::MAX] {
        let message = encoded(&[Envelope::Sequenced(seq, call(0, UNARY))]);
        assert_closes(Server::live(), message, CloseCode::OUT_OF_STEP);
    }
    // The server has written one envelope, its answer to the declaration, and none without a number.
    for ack in [Ack { seq: 2, unsequenced: 0 }, Ack { seq: 1, unsequenced: 1 }] {
        let message = encoded(&[Envelope::Control(Control::Ack(ack))]);
        assert_closes(Server::live(), message, CloseCode::OUT_OF_STEP);
    }
}

#[test]
fn what_came_before_is_dropped_and_counted() {
    let mut server = Server::live();
    let message = encoded(&[Envelope::Sequenced(1, call(0, UNARY))]);
    server.read(message.clone());
    server.read(message);
    assert_eq!(server.closed(), None);
    assert_eq!(server.session.stats().counted.duplicates, 1);
    assert_eq!(server.session.stats().held.incoming, 1);
}

#[test]
fn calls_keep_to_their_ids_and_their_credit() {
    assert_rule(CloseCode::MALFORMED, [call(0, UNARY), call(0, UNARY)]);
    assert_rule(CloseCode::MALFORMED, [call(4, UNARY)]);
    assert_rule(CloseCode::MALFORMED, [call(0, UNARY), call(1, UNARY), call(2, UNARY)]);
}

#[test]
fn items_keep_to_their_call_and_their_credit() {
    assert_rule(CloseCode::MALFORMED, [call(0, UNARY), item(0, 1)]);
    // 1,024 bytes at first: an item of any size goes, and nothing behind it before it was taken.
    assert_rule(CloseCode::MALFORMED, [call(0, UPLOAD), item(0, 2000), item(0, 1)]);
    assert_rule(CloseCode::MALFORMED, [call(0, UPLOAD), item(0, 500), item(0, 500)]);
}

#[test]
fn an_item_after_the_end_costs_its_call_alone() {
    let mut server = Server::live();
    let end = Sequenced::End { call: mine(0), last: None };
    let envelopes = [call(0, UPLOAD), item(0, 1), end, item(0, 1)];
    let numbered: Vec<_> = (1..).zip(envelopes).map(|(seq, it)| Envelope::Sequenced(seq, it)).collect();
    server.session.handle_message(server.now, encoded(&numbered));
    let events: Vec<_> = std::iter::from_fn(|| server.session.poll_event()).collect();
    let stopped = events.iter().find_map(|event| match event {
        Event::Stopped { call, .. } => Some(*call),
        _ => None,
    });
    // Whatever the handler makes of it.
    server.session.respond(server.now, stopped.unwrap(), Ok(Bytes::new()));
    let failed = server.written().into_iter().find_map(|envelope| match envelope {
        Envelope::Sequenced(_, Sequenced::Error { error: WireError::Status { code, .. }, .. }) => Some(code),
        _ => None,
    });
    assert_eq!(failed, Some(Code::InvalidArgument));
    assert_eq!(server.closed(), None);
    assert_eq!(server.session.stats().held.incoming, 0);
}

#[test]
fn an_unknown_method_costs_its_call_alone() {
    let mut server = Server::live();
    server.read(encoded(&[Envelope::Sequenced(1, call(0, 99))]));
    let written = server.written();
    let is_refusal = |envelope: &Envelope| {
        let Envelope::Sequenced(_, Sequenced::Error { call, error: WireError::Status { code, .. } }) =
            envelope
        else {
            return false;
        };
        (*call, *code) == (theirs(0), Code::Unimplemented)
    };
    assert!(written.iter().any(is_refusal), "{written:?}");
    assert_eq!(server.closed(), None);
}

#[test]
fn large_payloads_keep_to_their_announcement_and_their_credit() {
    let chunked = |transfer, len| Payload::Chunked { transfer, len };
    assert_rule(CloseCode::MALFORMED, [chunk(0, 1)]);
    assert_rule(CloseCode::MALFORMED, [call_with(0, UNARY, chunked(0, 10)), chunk(0, 11)]);
    assert_rule(CloseCode::MALFORMED, [call_with(0, UNARY, chunked(0, 10)), chunk(1, 1)]);
    assert_rule(
        CloseCode::MALFORMED,
        [call_with(0, UNARY, chunked(0, 10)), call_with(1, UNARY, chunked(0, 10))],
    );
    assert_rule(CloseCode::MALFORMED, [call_with(0, UNARY, chunked(1024, 10))]);
    let most = limits().assembly as u64;
    assert_rule(CloseCode::MALFORMED, [call_with(0, UNARY, chunked(0, most + 1))]);
    assert_rule(
        CloseCode::MALFORMED,
        [call_with(0, UNARY, chunked(0, most)), call_with(1, UNARY, chunked(1, 1))],
    );
}

#[test]
fn each_end_says_only_what_is_its_own_to_say() {
    let open = || call(0, UPLOAD);
    let (codec, payload) = (Codec::Rkyv, whole(0));
    let response = Sequenced::Response { call: mine(0), codec, payload: payload.clone() };
    assert_rule(CloseCode::MALFORMED, [open(), response]);
    let error = WireError::Status { code: Code::Internal, message: String::new(), detail: 0 };
    assert_rule(CloseCode::MALFORMED, [open(), Sequenced::Error { call: mine(0), error }]);
    assert_rule(CloseCode::MALFORMED, [open(), Sequenced::Accepted { call: mine(0) }]);
    let last = Some((codec, payload.clone()));
    assert_rule(CloseCode::MALFORMED, [open(), Sequenced::End { call: mine(0), last }]);
    assert_rule(CloseCode::MALFORMED, [Sequenced::Cancel { call: theirs(0) }]);
    let value = Envelope::Watch(WatchValue { call: mine(0), codec, payload });
    assert_closes(Server::live(), encoded(&[value]), CloseCode::MALFORMED);
}

#[test]
fn declarations_come_in_turn_and_answers_to_something() {
    let declaration = || Declaration { name: "Other".into(), digest: 1 };
    assert_rule(CloseCode::MALFORMED, [Sequenced::Declare { service: 2, declaration: declaration() }]);
    assert_rule(CloseCode::MALFORMED, [Sequenced::Declare { service: 0, declaration: declaration() }]);
    let many = (1..=64).map(|service| Sequenced::Declare { service, declaration: declaration() });
    assert_rule(CloseCode::MALFORMED, many);
    assert_rule(CloseCode::MALFORMED, [Sequenced::Declared { service: 0, answer: DeclareAnswer::Same }]);
}

#[test]
fn credit_for_what_was_never_sent_is_refused() {
    let credit = Credit::Items { call: mine(0), taken: 1, total: 100 };
    let envelopes = [Envelope::Sequenced(1, call(0, UPLOAD)), Envelope::Control(Control::Credit(credit))];
    assert_closes(Server::live(), encoded(&envelopes), CloseCode::MALFORMED);
}

#[test]
fn a_message_beyond_the_limit_is_refused_unread() {
    let message = vec![0x05; limits().message_in + 1];
    assert_closes(Server::live(), message.into(), CloseCode::TOO_BIG);
}

#[test]
fn text_is_refused() {
    let mut server = Server::live();
    server.session.handle_text(server.now);
    assert_eq!(server.closed(), Some(CloseCode::UNSUPPORTED));
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(256) })]

    #[test]
    fn what_is_no_envelope_closes_as_malformed(bytes in vec(any::<u8>(), 0..64)) {
        prop_assume!(Decoder::new(bytes.clone().into()).next().is_some_and(|first| first.is_err()));
        let mut server = Server::live();
        server.read(bytes.into());
        prop_assert_eq!(server.closed(), Some(CloseCode::MALFORMED));
    }
}
