//! Declarations: what ends agree on before they trust each other's bytes.

mod common;

use bowline_protocol::codec::Codec;
use bowline_protocol::envelope::{DeclareAnswer, Envelope, Sequenced};
use bowline_protocol::schema::{MethodDescriptor, MethodKind, Retry, ServiceDescriptor};
use bowline_protocol::session::{Config, Event, Read, Request};
use bowline_protocol::status::Code;
use bowline_test_support::{Pair, Side};
use common::*;

/// Chat as a newer server has it: methods moved, one changed its types, one its kind, one is gone.
static NEWER: ServiceDescriptor = ServiceDescriptor {
    name: "Chat",
    methods: &[
        method("added", MethodKind::Unary, 70),
        method("bidirectional", MethodKind::Bidirectional, 4),
        method("server_stream", MethodKind::ServerStream, 22),
        method("client_stream", MethodKind::Unary, 3),
        method("unary", MethodKind::Unary, 11),
        method("watch", MethodKind::Watch, 6),
    ],
};

static OTHER: ServiceDescriptor =
    ServiceDescriptor { name: "Other", methods: &[method("unary", MethodKind::Unary, 1)] };

fn newer() -> Pair {
    live(serving(), Config { services: vec![&NEWER], ..Config::default() })
}

fn of(service: &'static ServiceDescriptor, method: usize) -> Request {
    Request { service, ..request(method, "abc") }
}

#[test]
fn services_that_are_the_same_speak_rkyv_by_place() {
    let mut pair = Pair::live(serving(), serving());
    let own = ask(&mut pair, request(UNARY, "abc"));
    pair.run();
    assert_eq!(codec_of(pair.client(), own), Codec::Rkyv);
    let call = incoming(&mut pair);
    assert_eq!((call.codec, &call.buffer[..]), (Codec::Rkyv, &b"abc"[..]));
    let answers = pair.sent(Side::Server);
    let same = Sequenced::Declared { service: 0, answer: DeclareAnswer::Same };
    assert!(answers.iter().any(|it| matches!(it, Envelope::Sequenced(_, it) if *it == same)));
}

#[test]
fn a_service_used_before_the_link_is_declared_in_the_hello() {
    let mut pair = Pair::new(serving(), serving());
    let own = ask(&mut pair, request(UNARY, "abc"));
    pair.connect();
    pair.run();
    let sent = pair.sent(Side::Client);
    assert!(!sent.iter().any(|it| matches!(it, Envelope::Sequenced(_, Sequenced::Declare { .. }))));
    let events = pair.events(Side::Server);
    let call = events.into_iter().find_map(|event| match event {
        Event::Call(call) => Some(call.call),
        _ => None,
    });
    respond(&mut pair, call.unwrap(), "answer");
    let events = pair.events(Side::Client);
    assert!(events.iter().any(|it| matches!(it, Event::Response { call, result: Ok(_) } if *call == own)));
}

#[test]
fn a_method_whose_types_changed_falls_back_to_json_alone() {
    let mut pair = newer();
    // Unchanged: found at its new place, on rkyv.
    let bidirectional = ask(&mut pair, request(BIDIRECTIONAL, "abc"));
    // Changed: JSON, for arguments, results and items.
    let unary = ask(&mut pair, request(UNARY, "abc"));
    let stream = ask(&mut pair, request(SERVER_STREAM, "abc"));
    pair.run();
    let calls = incoming_all(&mut pair);
    let seen: Vec<_> = calls
        .iter()
        .map(|call| (call.service.methods[call.method].name, call.codec, call.buffer.to_vec()))
        .collect();
    assert_eq!(
        seen,
        [
            ("bidirectional", Codec::Rkyv, b"abc".to_vec()),
            ("unary", Codec::Json, b"[97, 98, 99]".to_vec()),
            ("server_stream", Codec::Json, b"[97, 98, 99]".to_vec()),
        ]
    );
    assert_eq!(codec_of(pair.client(), bidirectional), Codec::Rkyv);
    assert_eq!(codec_of(pair.client(), unary), Codec::Json);
    let now = pair.now;
    assert_eq!(pair.server().capacity(calls[2].call), Some(Codec::Json));
    assert!(send(&mut pair, Side::Server, calls[2].call, "{}"));
    pair.server().respond(now, calls[1].call, Ok("{}".into()));
    pair.run();
    assert!(matches!(read(&mut pair, Side::Client, stream), Read::Item(Codec::Json, _)));
    let events = pair.events(Side::Client);
    let json =
        |it: &Event| matches!(it, Event::Response { call, result: Ok((Codec::Json, _)) } if *call == unary);
    assert!(events.iter().any(json));
}

/// What the caller says, what the callee says, and what holds: every pair.
const CLASSES: [(Retry, Retry, Retry); 9] = {
    use Retry::{Idempotent, Never, Once};
    [
        (Never, Never, Never),
        (Never, Idempotent, Never),
        (Never, Once, Never),
        (Idempotent, Never, Never),
        (Idempotent, Idempotent, Idempotent),
        (Idempotent, Once, Once),
        (Once, Never, Never),
        (Once, Idempotent, Idempotent),
        (Once, Once, Once),
    ]
};

#[derive(Clone, Copy)]
enum End {
    Caller,
    Callee,
}

/// A method for each pair, with the class that `end` says.
const fn classed(end: End) -> [MethodDescriptor; 9] {
    const fn one(name: &'static str, pair: usize, end: End) -> MethodDescriptor {
        let retry = match end {
            End::Caller => CLASSES[pair].0,
            End::Callee => CLASSES[pair].1,
        };
        MethodDescriptor { retry, ..method(name, MethodKind::Unary, 1) }
    }
    [
        one("a", 0, end),
        one("b", 1, end),
        one("c", 2, end),
        one("d", 3, end),
        one("e", 4, end),
        one("f", 5, end),
        one("g", 6, end),
        one("h", 7, end),
        one("i", 8, end),
    ]
}

#[test]
fn where_retry_classes_differ_the_caller_says_whether_and_the_callee_how() {
    static OURS: ServiceDescriptor = ServiceDescriptor { name: "Classes", methods: &classed(End::Caller) };
    static THEIRS: ServiceDescriptor = ServiceDescriptor { name: "Classes", methods: &classed(End::Callee) };
    let agreed = |theirs| {
        let mut pair = live(serving(), Config { services: vec![theirs], ..Config::default() });
        let now = pair.now;
        assert_eq!(pair.client().retry_class(&OURS, 4), Retry::Never, "not declared yet");
        pair.client().declare(now, &OURS);
        pair.run();
        std::array::from_fn(|method| pair.client().retry_class(&OURS, method))
    };
    assert_eq!(agreed(&OURS), CLASSES.map(|(caller, ..)| caller));
    assert_eq!(agreed(&THEIRS), CLASSES.map(|(.., class)| class));
    assert_eq!(agreed(&OTHER), [Retry::Never; 9]);
}

#[test]
fn a_method_of_another_kind_is_a_schema_mismatch_that_names_it() {
    let mut pair = newer();
    let now = pair.now;
    let refused = pair.client().call(now, request(CLIENT_STREAM, "abc")).unwrap_err();
    assert_eq!(refused.code, Code::SchemaMismatch);
    assert!(refused.message.contains("Chat/client_stream"), "{}", refused.message);
    assert!(pair.client().is_live());
}

#[test]
fn a_method_that_is_not_there_is_that_calls_error_only() {
    let mut pair = newer();
    let now = pair.now;
    let refused = pair.client().notify(now, request(NOTIFY, "abc")).unwrap_err();
    assert_eq!(refused.code, Code::Unimplemented);
    assert!(refused.message.contains("Chat/notify"), "{}", refused.message);
    let own = ask(&mut pair, request(UNARY, "abc"));
    pair.run();
    let call = incoming(&mut pair).call;
    respond(&mut pair, call, "[]");
    assert!(response(&mut pair, own).is_ok());
}

#[test]
fn an_older_client_and_a_newer_server_agree_in_the_other_direction_too() {
    let mut pair = Pair::live(Config { services: vec![&NEWER], ..Config::default() }, serving());
    let now = pair.now;
    let own = pair.server().call(now, request(UNARY, "abc")).unwrap();
    pair.run();
    let events = pair.events(Side::Client);
    let [Event::Call(call)] = &events[..] else { panic!("{events:?}") };
    assert_eq!((call.service.methods[call.method].name, call.codec), ("unary", Codec::Json));
    assert_eq!(codec_of(pair.server(), own), Codec::Json);
}

#[test]
fn a_service_that_nobody_serves_is_unimplemented() {
    let mut pair = pair();
    let own = ask(&mut pair, of(&OTHER, 0));
    pair.run();
    let failure = response(&mut pair, own).unwrap_err();
    assert_eq!(status_of(&failure).code, Code::Unimplemented);
    assert!(status_of(&failure).message.contains("Other"));
    let now = pair.now;
    assert_eq!(pair.client().call(now, of(&OTHER, 0)).unwrap_err().code, Code::Unimplemented);
    assert_empty(&mut pair);
}

#[test]
fn a_service_declared_in_mid_session_holds_up_no_other() {
    let both = Config { services: vec![&CHAT, &OTHER], ..Config::default() };
    let mut pair = live(serving(), both);
    pair.ends[Side::Client as usize].hears = false;
    let other = ask(&mut pair, of(&OTHER, 0));
    let chat = ask(&mut pair, request(UNARY, "abc"));
    pair.run();
    // The answer to the declaration is under way: the new service waits, the known one does not.
    assert_eq!(incoming(&mut pair).service.name, "Chat");
    assert_eq!(pair.client().stats().held.waiting_calls, 1);
    pair.ends[Side::Client as usize].hears = true;
    pair.run();
    assert_eq!(incoming(&mut pair).service.name, "Other");
    assert_ne!(other, chat);
    assert_eq!(pair.client().stats().held.waiting_calls, 0);
}

#[test]
fn calls_that_wait_for_a_declaration_keep_their_order_and_can_be_cancelled() {
    let mut pair = Pair::live(serving(), serving());
    let calls: Vec<_> = (0..5_u8).map(|number| ask(&mut pair, request(UNARY, vec![number]))).collect();
    let now = pair.now;
    pair.client().cancel(now, calls[2]);
    pair.run();
    let order: Vec<_> = incoming_all(&mut pair).iter().map(|call| call.buffer[0]).collect();
    assert_eq!(order, [0, 1, 3, 4]);
}

#[test]
fn a_session_has_room_for_64_services() {
    let many: Vec<&'static ServiceDescriptor> = (0..65)
        .map(|number| {
            let name: &'static str = format!("Service{number}").leak();
            let methods: &'static [MethodDescriptor] = vec![method("unary", MethodKind::Unary, 1)].leak();
            &*Box::leak(Box::new(ServiceDescriptor { name, methods }))
        })
        .collect();
    let mut pair = Pair::live(Config::default(), Config { services: many.clone(), ..Config::default() });
    let now = pair.now;
    for service in &many[..64] {
        ask(&mut pair, of(service, 0));
    }
    assert_eq!(pair.client().call(now, of(many[64], 0)).unwrap_err().code, Code::ResourceExhausted);
    pair.run();
    assert_eq!(incoming_all(&mut pair).len(), 64);
}
