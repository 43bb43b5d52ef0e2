//! What the session tests share: a service with one method of each kind, and short ways to make and answer calls.
#![allow(dead_code, reason = "each test binary uses its part")]
#![allow(clippy::unwrap_used, reason = "a helper of tests that fails them")]

pub(crate) mod links;

use std::time::Duration;

use bowline_protocol::Instant;
use bowline_protocol::codec::{Arguments, Codec};
use bowline_protocol::limits::{Limits, Timing};
use bowline_protocol::schema::{Lag, MethodDescriptor, MethodKind, Retry, ServiceDescriptor};
use bowline_protocol::session::{
    CallId, Config, Event, Failure, Held, IncomingCall, Read, Request, Session, WireFailure,
};
use bowline_protocol::status::{Code, Status};
use bowline_test_support::{Pair, Side};
use bytes::Bytes;

pub(crate) const UNARY: usize = 0;
pub(crate) const SERVER_STREAM: usize = 1;
pub(crate) const CLIENT_STREAM: usize = 2;
pub(crate) const BIDIRECTIONAL: usize = 3;
pub(crate) const NOTIFY: usize = 4;
pub(crate) const WATCH: usize = 5;

pub(crate) const fn method(name: &'static str, kind: MethodKind, hash: u128) -> MethodDescriptor {
    MethodDescriptor { name, kind, retry: Retry::Never, hash, deadline: None, lag: Lag::Close }
}

pub(crate) static CHAT: ServiceDescriptor = ServiceDescriptor {
    name: "Chat",
    methods: &[
        method("unary", MethodKind::Unary, 1),
        method("server_stream", MethodKind::ServerStream, 2),
        method("client_stream", MethodKind::ClientStream, 3),
        method("bidirectional", MethodKind::Bidirectional, 4),
        method("notify", MethodKind::Notify, 5),
        method("watch", MethodKind::Watch, 6),
    ],
};

pub(crate) fn serving() -> Config {
    Config { services: vec![&CHAT], timing: quiet(), limits: at_once() }
}

/// On links that are fast from the start: tests look at what one moment brings.
pub(crate) fn at_once() -> Limits {
    Limits { slow_link: 0, ..Limits::default() }
}

/// Without pings, which ride between the messages that a test looks at.
pub(crate) fn quiet() -> Timing {
    let never = Duration::from_secs(1_000_000);
    Timing { ping: never, silence: never, unanswered: never, ..Timing::default() }
}

pub(crate) fn pair() -> Pair {
    live(serving(), serving())
}

/// A live session whose client knows the service.
pub(crate) fn live(client: Config, server: Config) -> Pair {
    let mut pair = Pair::live(client, server);
    let now = pair.now;
    pair.client().declare(now, &CHAT);
    pair.run();
    pair.sent(Side::Client);
    pair.sent(Side::Server);
    pair
}

pub(crate) fn arguments(bytes: impl Into<Bytes>) -> Arguments {
    // JSON that shows where it came from: the archive's bytes as a list of numbers.
    Arguments { rkyv: bytes.into(), recode: |rkyv| Ok(format!("{rkyv:?}").into_bytes()) }
}

pub(crate) fn request(method: usize, bytes: impl Into<Bytes>) -> Request {
    Request {
        service: &CHAT,
        method,
        arguments: arguments(bytes),
        deadline: None,
        metadata: Vec::new(),
        depth: 0,
        once: None,
        queued: None,
    }
}

pub(crate) fn within(request: Request, deadline: Instant) -> Request {
    Request { deadline: Some(deadline), ..request }
}

/// Makes a call at the client and leaves it there.
pub(crate) fn ask(pair: &mut Pair, request: Request) -> CallId {
    let now = pair.now;
    pair.client().call(now, request).unwrap()
}

/// Makes a call at the client and lets it travel.
pub(crate) fn call(pair: &mut Pair, method: usize, bytes: impl Into<Bytes>) -> CallId {
    let now = pair.now;
    let call = pair.client().call(now, request(method, bytes)).unwrap();
    pair.run();
    call
}

/// The one call that came in at the server.
pub(crate) fn incoming(pair: &mut Pair) -> IncomingCall {
    let mut calls = incoming_all(pair);
    assert_eq!(calls.len(), 1, "one call");
    calls.remove(0)
}

pub(crate) fn incoming_all(pair: &mut Pair) -> Vec<IncomingCall> {
    let events = pair.events(Side::Server).into_iter();
    events
        .map(|event| match event {
            Event::Call(call) => call,
            other => panic!("expected a call, got {other:?}"),
        })
        .collect()
}

/// Opens a call and returns its names at both ends.
pub(crate) fn open(pair: &mut Pair, method: usize) -> (CallId, CallId) {
    let own = call(pair, method, "open");
    (own, incoming(pair).call)
}

pub(crate) fn respond(pair: &mut Pair, call: CallId, bytes: impl Into<Bytes>) {
    let now = pair.now;
    pair.server().respond(now, call, Ok(bytes.into()));
    pair.run();
}

pub(crate) fn fail(pair: &mut Pair, call: CallId, code: Code) {
    let now = pair.now;
    pair.server().respond(now, call, Err(WireFailure::Status(Status::new(code, "failed"))));
    pair.run();
}

/// Sends an item from `side` as far as capacity allows; whether it did.
pub(crate) fn send(pair: &mut Pair, side: Side, call: CallId, item: impl Into<Bytes>) -> bool {
    let now = pair.now;
    let session = pair.session(side);
    if session.capacity(call).is_none() {
        return false;
    }
    session.send_item(now, call, item.into());
    true
}

pub(crate) fn read(pair: &mut Pair, side: Side, call: CallId) -> Read {
    let now = pair.now;
    pair.session(side).read(now, call)
}

/// The next item, which must be there.
pub(crate) fn item(pair: &mut Pair, side: Side, call: CallId) -> Vec<u8> {
    match read(pair, side, call) {
        Read::Item(_, buffer) => buffer.to_vec(),
        other => panic!("expected an item, got {other:?}"),
    }
}

/// The one response among the client's events.
pub(crate) fn response(pair: &mut Pair, call: CallId) -> Result<Vec<u8>, Failure> {
    let mut found = None;
    for event in pair.events(Side::Client) {
        match event {
            Event::Response { call: of, result } if of == call => {
                assert!(found.is_none(), "one response");
                found = Some(result.map(|(_, buffer)| buffer.to_vec()));
            }
            Event::Writable { .. } => {}
            other => panic!("expected a response to {call:?}, got {other:?}"),
        }
    }
    found.expect("a response")
}

pub(crate) fn status_of(failure: &Failure) -> &Status {
    match failure {
        Failure::Status(status) => status,
        other => panic!("expected a status, got {other:?}"),
    }
}

/// Both ends hold nothing: what was sent is acknowledged, all tables are empty.
pub(crate) fn assert_empty(pair: &mut Pair) {
    pair.advance(Duration::from_secs(2));
    for side in [Side::Client, Side::Server] {
        let events = pair.events(side);
        assert!(events.is_empty(), "{side:?}: {events:?}");
        assert_eq!(pair.session(side).stats().held, Held::default(), "{side:?}");
    }
    assert_eq!(pair.closed, None);
}

pub(crate) fn codec_of(session: &Session, call: CallId) -> Codec {
    session.codec(call).expect("the codec is agreed")
}
