//! A session that can't go on: both ends hear of it, and every call of the client ends in the one way that is true of it.

#![allow(clippy::unwrap_used, reason = "a helper of tests that fails them")]

mod common;

use std::time::Duration;

use bowline_protocol::envelope::{
    Control, Decoder, Encoder, Envelope, GapReason, Hello, OnceTable, Outcome, Resume, Sequenced, Welcome,
};
use bowline_protocol::schema::{MethodDescriptor, MethodKind, Retry, ServiceDescriptor};
use bowline_protocol::session::{CallId, Config, Event, Failure, Held, Request, Session, Welcoming};
use bowline_protocol::status::{CloseCode, Delivery};
use bowline_test_support::{Pair, Side};
use bytes::Bytes;
use common::links::*;
use common::*;

const fn retried(name: &'static str, retry: Retry, hash: u128) -> MethodDescriptor {
    MethodDescriptor { retry, ..method(name, MethodKind::Unary, hash) }
}

static SHOP: ServiceDescriptor = ServiceDescriptor {
    name: "Shop",
    methods: &[
        retried("never", Retry::Never, 1),
        retried("idempotent", Retry::Idempotent, 2),
        retried("once", Retry::Once, 3),
    ],
};

const NEVER: usize = 0;
const IDEMPOTENT: usize = 1;
const ONCE: usize = 2;

const TABLE: OnceTable = OnceTable { id: 70, tick: 3 };
const OTHER_TABLE: OnceTable = OnceTable { id: 71, tick: 90 };

fn shopping() -> Config {
    Config { services: vec![&SHOP], timing: quiet(), ..Config::default() }
}

fn shop() -> Pair {
    let mut pair = Pair::new(shopping(), shopping());
    pair.server().set_once_table(TABLE);
    let now = pair.now;
    pair.client().declare(now, &SHOP);
    pair.connect();
    pair.run();
    outcomes(&mut pair, Side::Client);
    outcomes(&mut pair, Side::Server);
    pair.sent(Side::Client);
    pair
}

fn buy(pair: &mut Pair, method: usize, what: &'static str) -> CallId {
    let once = (method == ONCE).then_some(u128::from(what.as_bytes()[0]));
    ask(pair, Request { service: &SHOP, once, ..request(method, what) })
}

/// One call arrives, another is written and lost with the link.
fn one_arrives(
    pair: &mut Pair,
    first: (usize, &'static str),
    second: (usize, &'static str),
) -> (CallId, CallId) {
    let arrived = buy(pair, first.0, first.1);
    pair.run();
    assert_eq!(arrivals(pair).len(), 1);
    lose_from(pair, Side::Client);
    let lost = buy(pair, second.0, second.1);
    pair.run();
    cut(pair);
    (arrived, lost)
}

fn failed(told: &[(CallId, Result<Vec<u8>, Failure>)], call: CallId) -> Option<Delivery> {
    told.iter().find(|it| it.0 == call).map(|it| match &it.1 {
        Err(Failure::Disconnected(delivery)) => *delivery,
        other => panic!("{other:?}"),
    })
}

fn restart(pair: &mut Pair) {
    pair.restart_server(shopping());
    pair.server().set_once_table(OTHER_TABLE);
}

#[test]
fn a_restarted_server_is_told_what_may_be_asked_again_in_order_and_before_new_calls() {
    let mut pair = shop();
    let arrived: Vec<_> = [(NEVER, "a"), (IDEMPOTENT, "b"), (ONCE, "c")]
        .into_iter()
        .map(|(method, what)| buy(&mut pair, method, what))
        .collect();
    pair.run();
    assert_eq!(arrivals(&mut pair).len(), 3);
    let keys: Vec<_> = once_keys(&pair.sent(Side::Client));
    cut(&mut pair);
    buy(&mut pair, NEVER, "d");
    buy(&mut pair, ONCE, "e");
    restart(&mut pair);
    pair.connect();
    pair.run();
    assert_eq!(
        outcomes(&mut pair, Side::Client),
        [Outcome::Gap { reason: GapReason::Unknown, lost_from: 2, lost_to: None }]
    );
    let told = answers(&mut pair);
    assert_eq!(told.len(), 1, "{told:?}");
    assert_eq!(failed(&told, arrived[0]), Some(Delivery::OutcomeUnknown));
    let came = arrivals(&mut pair);
    let order: Vec<_> = came.iter().map(|it| String::from_utf8(it.1.clone()).unwrap()).collect();
    assert_eq!(order, ["b", "c", "d", "e"]);
    // The first `once` call says again what it said first; the one that was never written names the table of today.
    let again = once_keys(&pair.sent(Side::Client));
    assert_eq!(again[..1], keys[..]);
    assert_eq!((keys[0].1, again[1].1), (TABLE, OTHER_TABLE));
    for (call, bytes) in came {
        respond(&mut pair, call, bytes);
    }
    assert_eq!(answers(&mut pair).len(), 4);
    pair.advance(Duration::from_secs(2));
    outcomes(&mut pair, Side::Server);
    assert_empty(&mut pair);
}

fn once_keys(sent: &[Envelope]) -> Vec<(u128, OnceTable)> {
    let keys = numbered(sent).into_iter().filter_map(|(_, it)| match it {
        Sequenced::Call(open) => open.once.map(|once| (once.key, once.table)),
        _ => None,
    });
    keys.collect()
}

/// The shop as it was before its methods changed their classes.
static OLDER: ServiceDescriptor = ServiceDescriptor {
    name: "Shop",
    methods: &[
        retried("never", Retry::Idempotent, 1),
        retried("idempotent", Retry::Once, 2),
        retried("once", Retry::Idempotent, 3),
    ],
};

/// A live session of a client of that time, with the server of `service`.
fn older(service: &'static ServiceDescriptor) -> Pair {
    let serving = Config { services: vec![service], ..shopping() };
    let mut pair = Pair::new(shopping(), serving);
    pair.server().set_once_table(TABLE);
    pair.connect();
    pair.run();
    outcomes(&mut pair, Side::Client);
    outcomes(&mut pair, Side::Server);
    pair.sent(Side::Client);
    pair
}

fn buy_as_before(pair: &mut Pair, method: usize, what: &'static str) -> CallId {
    let once = (OLDER.methods[method].retry == Retry::Once).then_some(3);
    ask(pair, Request { service: &OLDER, once, ..request(method, what) })
}

/// Its caller has no key of its own for it; the session makes one as soon as the callee is known.
#[test]
fn a_call_that_is_idempotent_to_its_caller_and_once_to_its_callee_has_a_key_from_the_first_time_on() {
    let mut pair = older(&SHOP);
    for what in ["x", "y"] {
        buy_as_before(&mut pair, ONCE, what);
    }
    pair.run();
    assert_eq!(arrivals(&mut pair).len(), 2);
    let first = once_keys(&pair.sent(Side::Client));
    let [(one, table), (other, _)] = first[..] else { panic!("{first:?}") };
    assert!(one != other && table == TABLE);
    cut(&mut pair);
    restart(&mut pair);
    pair.connect();
    pair.run();
    outcomes(&mut pair, Side::Client);
    assert_eq!(arrivals(&mut pair).len(), 2);
    assert_eq!(once_keys(&pair.sent(Side::Client)), first, "the same keys, and the table of the first time");
    assert!(answers(&mut pair).is_empty());
}

/// One that ran where running twice made no difference is not asked where it does.
#[test]
fn what_may_have_run_is_asked_again_only_as_the_callee_of_today_allows() {
    // Idempotent to its caller throughout; to the callee it was idempotent, and is something else since.
    for (today, repeats) in [(Retry::Idempotent, true), (Retry::Once, false), (Retry::Never, false)] {
        let of = |retry| {
            let methods: &'static [MethodDescriptor] = vec![retried("never", retry, 1)].leak();
            &*Box::leak(Box::new(ServiceDescriptor { name: "Shop", methods }))
        };
        let mut pair = older(of(Retry::Idempotent));
        let ran = buy_as_before(&mut pair, NEVER, "ran");
        pair.run();
        assert_eq!(arrivals(&mut pair).len(), 1);
        assert_eq!(once_keys(&pair.sent(Side::Client)), []);
        cut(&mut pair);
        let waits = buy_as_before(&mut pair, NEVER, "waits");
        pair.restart_server(Config { services: vec![of(today)], ..shopping() });
        pair.server().set_once_table(TABLE);
        pair.connect();
        pair.run();
        outcomes(&mut pair, Side::Client);
        let came: Vec<_> = arrivals(&mut pair).into_iter().map(|it| it.1).collect();
        assert_eq!(came.len(), 1 + usize::from(repeats), "{today:?}");
        assert_eq!(came.last().unwrap(), b"waits");
        assert_eq!(once_keys(&pair.sent(Side::Client)).len(), usize::from(today == Retry::Once));
        let told = answers(&mut pair);
        assert_eq!(failed(&told, ran), (!repeats).then_some(Delivery::OutcomeUnknown), "{today:?}");
        assert_eq!(failed(&told, waits), None);
        assert_eq!(pair.client().stats().held.waiting_calls, 0);
        assert_eq!(pair.client().stats().held.calls, came.len());
    }
}

/// Without a table nobody remembers a key: such a call is sent without one, and once.
#[test]
fn a_once_call_that_was_written_without_a_key_is_not_asked_again() {
    let mut pair = Pair::new(shopping(), shopping());
    pair.connect();
    let call = buy(&mut pair, ONCE, "x");
    pair.run();
    assert_eq!(arrivals(&mut pair).len(), 1);
    assert_eq!(once_keys(&pair.sent(Side::Client)), []);
    cut(&mut pair);
    restart(&mut pair);
    pair.connect();
    pair.run();
    let told = answers(&mut pair);
    assert_eq!(failed(&told, call), Some(Delivery::OutcomeUnknown));
    assert_eq!(arrivals(&mut pair), []);
}

/// The server still knew how far it had come: what lies beyond was not executed, and is asked again.
#[test]
fn what_the_server_knows_that_it_never_saw_is_asked_again() {
    for knows in [true, false] {
        let mut pair = shop();
        let (seen, lost) = one_arrives(&mut pair, (NEVER, "seen"), (NEVER, "lost"));
        let now = pair.now;
        let hello = hello(&mut pair);
        let processed = pair.server().last_processed();
        restart(&mut pair);
        let outcome = Outcome::Gap { reason: GapReason::Expired, lost_from: 1, lost_to: Some(4) };
        let peer_last_processed = knows.then_some(processed);
        let welcoming = Welcoming { outcome, peer_last_processed, ..Welcoming::new(50, [1; 32], 50) };
        greet(&mut pair, hello, welcoming);
        assert_eq!(outcomes(&mut pair, Side::Client), [outcome]);
        assert!(pair.now == now);
        let told = answers(&mut pair);
        assert_eq!(failed(&told, seen), Some(Delivery::OutcomeUnknown));
        assert_eq!(failed(&told, lost), (!knows).then_some(Delivery::OutcomeUnknown));
        let again: Vec<_> = arrivals(&mut pair).into_iter().map(|it| it.1).collect();
        assert_eq!(again, if knows { vec![b"lost".to_vec()] } else { Vec::new() });
    }
}

/// The client's hello on a new link, taken off the wire.
fn hello(pair: &mut Pair) -> Hello {
    let now = pair.now;
    pair.client().handle_connected(now);
    let message = pair.client().poll_transmit(now).unwrap();
    match Decoder::new(message).next() {
        Some(Ok(Envelope::Control(Control::Hello(hello)))) => hello,
        other => panic!("a hello, not {other:?}"),
    }
}

fn encode(control: Control) -> Bytes {
    let mut out = Vec::new();
    Encoder::new(&mut out).push(&Envelope::Control(control));
    out.into()
}

/// A fresh server machine begins a session as `welcoming` says.
fn greet(pair: &mut Pair, hello: Hello, welcoming: Welcoming) {
    let now = pair.now;
    pair.server().handle_connected(now);
    pair.server().handle_message(now, encode(Control::Hello(hello)));
    assert!(matches!(pair.server().poll_event(), Some(Event::Hello(_))));
    pair.server().welcome(now, welcoming);
    pair.run();
}

#[test]
fn another_identity_ends_everything_and_asks_nothing_again() {
    let mut pair = shop();
    let (arrived, lost) = one_arrives(&mut pair, (IDEMPOTENT, "arrived"), (ONCE, "lost"));
    let waits = buy(&mut pair, IDEMPOTENT, "waits");
    let hello = hello(&mut pair);
    restart(&mut pair);
    let outcome = Outcome::Gap { reason: GapReason::IdentityChanged, lost_from: 1, lost_to: None };
    greet(&mut pair, hello, Welcoming { outcome, ..Welcoming::new(50, [1; 32], 50) });
    assert_eq!(outcomes(&mut pair, Side::Client), [outcome]);
    let told = answers(&mut pair);
    assert_eq!(failed(&told, arrived), Some(Delivery::OutcomeUnknown));
    assert_eq!(failed(&told, lost), Some(Delivery::OutcomeUnknown));
    assert_eq!(failed(&told, waits), Some(Delivery::NotSent));
    assert_eq!(arrivals(&mut pair), []);
    assert_empty(&mut pair);
    let next = buy(&mut pair, NEVER, "next");
    pair.run();
    let came = arrivals(&mut pair);
    respond(&mut pair, came[0].0, "answer");
    assert_eq!(response(&mut pair, next).unwrap(), b"answer");
}

const ADA: Option<u128> = Some(500);
const BOB: Option<u128> = Some(501);

/// A new session at a server that knows nothing of an older one, for a caller with this digest.
fn welcomed_as(pair: &mut Pair, identity: Option<u128>) {
    welcomed_at(pair, shopping(), identity);
}

fn welcomed_at(pair: &mut Pair, server: Config, identity: Option<u128>) {
    let hello = hello(pair);
    let outcome = match &hello.resume {
        None => Outcome::New,
        Some(_) => Outcome::Gap { reason: GapReason::Unknown, lost_from: 2, lost_to: None },
    };
    pair.restart_server(server);
    pair.server().set_once_table(TABLE);
    greet(pair, hello, Welcoming { outcome, identity, ..Welcoming::new(50, [1; 32], 50) });
}

/// A server that lost its state can't tell that the session was somebody else's: the digest of its welcome does.
#[test]
fn a_server_that_knows_nothing_any_more_is_asked_nothing_as_somebody_else() {
    for (before, after) in [(ADA, BOB), (ADA, None), (None, ADA)] {
        let mut pair = Pair::new(shopping(), shopping());
        welcomed_as(&mut pair, before);
        assert_eq!(outcomes(&mut pair, Side::Client), [Outcome::New]);
        assert_eq!(pair.client().identity(), before);
        let ran: Vec<_> = [NEVER, IDEMPOTENT, ONCE].map(|method| buy(&mut pair, method, "ran")).into();
        pair.run();
        assert_eq!(arrivals(&mut pair).len(), 3);
        cut(&mut pair);
        let waits: Vec<_> = [NEVER, IDEMPOTENT, ONCE].map(|method| buy(&mut pair, method, "waits")).into();
        welcomed_as(&mut pair, after);
        assert_eq!(
            outcomes(&mut pair, Side::Client),
            [Outcome::Gap { reason: GapReason::IdentityChanged, lost_from: 2, lost_to: None }]
        );
        let told = answers(&mut pair);
        assert!(ran.iter().all(|call| failed(&told, *call) == Some(Delivery::OutcomeUnknown)), "{told:?}");
        assert!(waits.iter().all(|call| failed(&told, *call) == Some(Delivery::NotSent)), "{told:?}");
        assert_eq!(arrivals(&mut pair), [], "{before:?} {after:?}");
        assert_empty(&mut pair);
        let next = buy(&mut pair, NEVER, "next");
        pair.run();
        let came = arrivals(&mut pair);
        respond(&mut pair, came[0].0, "answer");
        assert_eq!(response(&mut pair, next).unwrap(), b"answer");
    }
}

#[test]
fn a_stream_of_one_caller_is_not_subscribed_again_as_another() {
    for (after, again) in [(ADA, 2), (BOB, 0)] {
        let mut pair = Pair::new(serving(), serving());
        welcomed_at(&mut pair, serving(), ADA);
        let streams = [WATCH, SERVER_STREAM].map(|method| call(&mut pair, method, "asked"));
        pair.run();
        outcomes(&mut pair, Side::Client);
        outcomes(&mut pair, Side::Server);
        pair.events(Side::Server);
        cut(&mut pair);
        welcomed_at(&mut pair, serving(), after);
        outcomes(&mut pair, Side::Client);
        assert_eq!(arrivals(&mut pair).len(), again, "{after:?}");
        for stream in streams.into_iter().filter(|_| again == 0) {
            assert!(matches!(
                read(&mut pair, Side::Client, stream),
                bowline_protocol::session::Read::Failed(Failure::Disconnected(_))
            ));
        }
    }
}

/// As somebody else it was heard of in between, or it was not: what was asked is sent as who asked it, or not at all.
#[test]
fn what_was_asked_before_two_changes_of_identity_is_sent_as_who_asked_it() {
    for bob_is_welcomed in [false, true] {
        let mut pair = Pair::new(shopping(), shopping());
        welcomed_as(&mut pair, ADA);
        cut(&mut pair);
        let waits = buy(&mut pair, IDEMPOTENT, "ada's");
        if bob_is_welcomed {
            welcomed_as(&mut pair, BOB);
            assert_eq!(arrivals(&mut pair), []);
        } else {
            // His hello is all that a server hears.
            hello(&mut pair);
        }
        cut(&mut pair);
        welcomed_as(&mut pair, ADA);
        let told = answers(&mut pair);
        let came: Vec<_> = arrivals(&mut pair).into_iter().map(|it| it.1).collect();
        if bob_is_welcomed {
            assert_eq!((failed(&told, waits), came), (Some(Delivery::NotSent), vec![]));
        } else {
            assert_eq!((told.len(), came), (0, vec![b"ada's".to_vec()]));
        }
    }
}

/// The session is gone with the close, and what waits stays: for the same caller.
#[test]
fn what_waits_after_a_close_that_stops_is_not_sent_as_somebody_else() {
    for (after, sent) in [(ADA, 1), (BOB, 0)] {
        let mut pair = Pair::new(shopping(), shopping());
        welcomed_as(&mut pair, ADA);
        let call = buy(&mut pair, IDEMPOTENT, "asked");
        pair.run();
        assert_eq!(arrivals(&mut pair).len(), 1);
        let now = pair.now;
        pair.client().handle_disconnect(now, Some(CloseCode::BAD_CREDENTIALS));
        cut(&mut pair);
        assert!(answers(&mut pair).is_empty());
        welcomed_as(&mut pair, after);
        assert_eq!(arrivals(&mut pair).len(), sent, "{after:?}");
        let told = answers(&mut pair);
        assert_eq!(failed(&told, call), (sent == 0).then_some(Delivery::OutcomeUnknown));
    }
}

#[test]
fn a_session_that_is_closed_for_cause_twice_without_progress_is_given_up() {
    for closes in [Side::Client, Side::Server] {
        let mut pair = shop();
        let own = buy(&mut pair, IDEMPOTENT, "x");
        pair.run();
        assert_eq!(arrivals(&mut pair).len(), 1);
        pair.advance(Duration::from_secs(2));
        for round in 0..2 {
            let now = pair.now;
            pair.session(closes).close(now, CloseCode::SLOW, "slow");
            pair.run();
            cut(&mut pair);
            pair.connect();
            pair.run();
            let told = outcomes(&mut pair, Side::Client);
            match (round, &told[..]) {
                (0, [Outcome::Resumed]) | (1, [Outcome::Gap { reason: GapReason::NoProgress, .. }]) => {}
                _ => panic!("{closes:?} {round} {told:?}"),
            }
        }
        let events = pair.events(Side::Server);
        assert!(
            events.iter().any(|it| matches!(it, Event::Stopped { .. })),
            "the old session ended: {events:?}"
        );
        let Some(Event::Call(again)) = events.into_iter().find(|it| matches!(it, Event::Call(_))) else {
            panic!("it may be asked twice");
        };
        respond(&mut pair, again.call, "answer");
        assert_eq!(response(&mut pair, own).unwrap(), b"answer");
    }
}

#[test]
fn a_session_that_is_closed_for_cause_now_and_then_goes_on() {
    let mut pair = shop();
    for _ in 0..5 {
        let now = pair.now;
        pair.client().close(now, CloseCode::SLOW, "slow");
        pair.server().close(now, CloseCode::SLOW, "slow");
        pair.run();
        change_links(&mut pair);
        // An acknowledgement that is news, for each end.
        let own = buy(&mut pair, NEVER, "x");
        pair.run();
        let came = arrivals(&mut pair);
        respond(&mut pair, came[0].0, "answer");
        assert_eq!(response(&mut pair, own).unwrap(), b"answer");
        pair.advance(Duration::from_secs(2));
    }
}

#[test]
fn a_resume_that_says_wrong_things_is_refused_and_harms_nothing() {
    let mut pair = shop();
    let own = buy(&mut pair, NEVER, "x");
    pair.run();
    let came = arrivals(&mut pair);
    // The client has acknowledged the declaration's answer and the first response.
    respond(&mut pair, came[0].0, "answer");
    assert_eq!(response(&mut pair, own).unwrap(), b"answer");
    pair.advance(Duration::from_secs(2));
    cut(&mut pair);
    let right = hello(&mut pair).resume.unwrap();
    let head = pair.server().head();
    assert_eq!(right.last_processed, head);
    let cases: [(Resume, GapReason); 6] = [
        (Resume { last_processed: head + 1, ..right.clone() }, GapReason::StateLost),
        (Resume { last_processed: u64::MAX, ..right.clone() }, GapReason::StateLost),
        (Resume { last_processed: head - 1, ..right.clone() }, GapReason::StateLost),
        (Resume { epoch: right.epoch + 1, ..right.clone() }, GapReason::StateLost),
        (Resume { session: right.session + 1, ..right.clone() }, GapReason::Unknown),
        (Resume { declarations: right.declarations + 1, ..right.clone() }, GapReason::SchemaChanged),
    ];
    outcomes(&mut pair, Side::Server);
    for (wrong, reason) in cases {
        assert_eq!(pair.server().can_resume(&wrong), Err(reason), "{wrong:?}");
        let now = pair.now;
        let hello = Hello { resume: Some(wrong), ..Hello::default() };
        pair.server().attach(now, &hello, Welcoming::new(1, [0; 32], 1));
        assert!(pair.server().is_detached());
        assert_eq!(pair.server().poll_transmit(now), None);
        assert!(pair.events(Side::Server).is_empty());
    }
    assert_eq!(pair.server().can_resume(&right), Ok(()));
    let now = pair.now;
    pair.client().handle_disconnect(now, None);
    resume(&mut pair);
    assert_empty(&mut pair);
}

#[test]
fn a_fresh_machine_and_one_that_is_over_resume_nothing() {
    let mut pair = shop();
    cut(&mut pair);
    let resume = hello(&mut pair).resume.unwrap();
    assert_eq!(Session::server(shopping()).can_resume(&resume), Err(GapReason::Unknown));
    let now = pair.now;
    pair.server().end(now);
    assert_eq!(pair.server().can_resume(&resume), Err(GapReason::Unknown));
}

#[test]
fn a_client_goes_on_with_no_session_but_its_own() {
    type Alter = fn(&mut Welcome);
    let wrong: [(&str, Alter); 8] = [
        ("another caller", |it| it.identity = Some(1)),
        ("another session", |it| it.session += 1),
        ("another epoch", |it| it.epoch += 1),
        ("an attach that is not newer", |it| it.generation -= 1),
        ("no number", |it| it.peer_last_processed = None),
        ("a number that was never given", |it| it.peer_last_processed = Some(100)),
        ("the largest number", |it| it.peer_last_processed = Some(u64::MAX)),
        ("a number from before what was acknowledged", |it| it.peer_last_processed = Some(0)),
    ];
    for (what, alter) in wrong {
        let mut pair = shop();
        let own = buy(&mut pair, IDEMPOTENT, "x");
        pair.run();
        assert_eq!(arrivals(&mut pair).len(), 1);
        pair.advance(Duration::from_secs(2));
        cut(&mut pair);
        let hello = hello(&mut pair);
        let now = pair.now;
        let welcoming = Welcoming { generation: 2, ..Welcoming::new(0, [1; 32], 0) };
        pair.server().attach(now, &hello, welcoming);
        let message = pair.server().poll_transmit(now).unwrap();
        let Some(Ok(Envelope::Control(Control::Welcome(mut welcome)))) = Decoder::new(message).next() else {
            panic!("a welcome");
        };
        alter(&mut welcome);
        pair.inject(Side::Client, encode(Control::Welcome(welcome)));
        assert!(!pair.client().is_live(), "{what}");
        pair.client().poll_transmit(now);
        assert_eq!(pair.client().poll_close().unwrap().code, CloseCode::OUT_OF_STEP, "{what}");
        cut(&mut pair);
        assert_eq!(outcomes(&mut pair, Side::Client), [], "{what}");
        // The next time it asks for nothing, and reports the gap itself.
        pair.sent(Side::Client);
        pair.connect();
        pair.run();
        let sent = pair.sent(Side::Client);
        assert!(
            matches!(&sent[0], Envelope::Control(Control::Hello(hello)) if hello.resume.is_none()),
            "{what}"
        );
        let told = outcomes(&mut pair, Side::Client);
        assert!(matches!(told[..], [Outcome::Gap { reason: GapReason::NoProgress, .. }]), "{what} {told:?}");
        let events = pair.events(Side::Server).into_iter();
        let again: Vec<_> =
            events.filter_map(|it| if let Event::Call(call) = it { Some(call.call) } else { None }).collect();
        respond(&mut pair, again[0], "answer");
        assert_eq!(response(&mut pair, own).unwrap(), b"answer", "{what}");
    }
}

#[test]
fn a_session_that_nobody_asked_for_does_not_go_on() {
    let mut pair = shop();
    cut(&mut pair);
    let asked = hello(&mut pair);
    let now = pair.now;
    pair.server().attach(now, &asked, Welcoming { generation: 2, ..Welcoming::new(0, [1; 32], 0) });
    let welcome = pair.server().poll_transmit(now).unwrap();
    let mut other = Session::client(shopping(), 8);
    other.handle_connected(now);
    other.poll_transmit(now).unwrap();
    other.handle_message(now, welcome);
    other.poll_transmit(now);
    assert_eq!(other.poll_close().unwrap().code, CloseCode::MALFORMED);
}

#[test]
fn streams_and_watches_across_a_gap() {
    let mut pair = pair();
    let (accepted, writer) = open(&mut pair, SERVER_STREAM);
    assert!(send(&mut pair, Side::Server, writer, "one"));
    let (watched, watch) = open(&mut pair, WATCH);
    let now = pair.now;
    pair.server().set_watch(now, watch, "old".into());
    pair.run();
    let asked = call(&mut pair, SERVER_STREAM, "asked");
    outcomes(&mut pair, Side::Server);
    pair.events(Side::Server);
    cut(&mut pair);
    pair.restart_server(serving());
    pair.connect();
    pair.run();
    outcomes(&mut pair, Side::Client);
    // What had come is read; then the accepted stream says that it ended.
    assert_eq!(item(&mut pair, Side::Client, accepted), b"one");
    assert!(matches!(
        read(&mut pair, Side::Client, accepted),
        bowline_protocol::session::Read::Failed(Failure::Disconnected(Delivery::OutcomeUnknown))
    ));
    // The watch and the stream that was not accepted are asked for again.
    let came: Vec<_> = arrivals(&mut pair).into_iter().map(|it| it.0).collect();
    assert_eq!(came.len(), 2);
    assert!(pair.client().is_stale(watched) && !pair.client().is_stale(asked));
    pair.server().set_watch(now, came[0], "new".into());
    pair.run();
    assert_eq!(item(&mut pair, Side::Client, watched), b"new");
    assert!(!pair.client().is_stale(watched));
    let stats = pair.client().stats().held;
    assert_eq!(
        Held { unacknowledged: 0, unacknowledged_bytes: 0, events: 0, ..stats },
        Held { calls: 2, ..Held::default() }
    );
}
