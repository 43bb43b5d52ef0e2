//! What sessions carry for `once` calls: the key, the table that its caller knew, and word that the answer arrived.

mod common;

use std::time::Duration;

use bowline_protocol::envelope::{Control, Decoder, Envelope, OnceKey, OnceTable};
use bowline_protocol::schema::{MethodDescriptor, MethodKind, Retry, ServiceDescriptor};
use bowline_protocol::session::{CallId, Config, Event, Request, Session, Welcoming};
use bowline_test_support::{Pair, Side, origin};
use common::*;

static BANK: ServiceDescriptor = ServiceDescriptor {
    name: "Bank",
    methods: &[
        MethodDescriptor { retry: Retry::Once, ..method("pay", MethodKind::Unary, 1) },
        method("look", MethodKind::Unary, 2),
    ],
};

const TABLE: OnceTable = OnceTable { id: 77, tick: 5 };

const PAY: usize = 0;
const LOOK: usize = 1;

fn bank() -> Pair {
    let serving = || Config { services: vec![&BANK], timing: quiet(), ..Config::default() };
    let mut pair = Pair::new(serving(), serving());
    pair.server().set_once_table(TABLE);
    pair.connect();
    pair.run();
    pair.events(Side::Server);
    pair
}

fn ask_bank(pair: &mut Pair, method: usize, key: u128) -> CallId {
    let request = Request { service: &BANK, once: Some(key), ..request(method, "abc") };
    let own = ask(pair, request);
    pair.run();
    own
}

fn acknowledged(pair: &mut Pair) -> Vec<CallId> {
    let events = pair.events(Side::Server).into_iter();
    events
        .filter_map(|event| match event {
            Event::Acknowledged { call } => Some(call),
            _ => None,
        })
        .collect()
}

#[test]
fn the_callee_hears_when_the_answer_of_a_once_call_arrived() {
    let mut pair = bank();
    ask_bank(&mut pair, PAY, 1);
    let call = incoming(&mut pair);
    respond(&mut pair, call.call, "done");
    assert_eq!(acknowledged(&mut pair), [], "not before the caller says so");
    pair.advance(Duration::from_secs(1));
    assert_eq!(acknowledged(&mut pair), [call.call]);
}

#[test]
fn a_large_answer_has_arrived_with_its_last_chunk() {
    let mut pair = bank();
    ask_bank(&mut pair, PAY, 1);
    let call = incoming(&mut pair);
    let now = pair.now;
    pair.server().respond(now, call.call, Ok(vec![0; 300_000].into()));
    // Some of it arrives and is acknowledged.
    let first = pair.server().poll_transmit(now).unwrap();
    pair.inject(Side::Client, first);
    let due = pair.now + Duration::from_secs(1);
    pair.client().handle_timeout(due);
    let ack = pair.client().poll_transmit(due).unwrap();
    pair.inject(Side::Server, ack);
    assert!(
        !std::iter::from_fn(|| pair.server().poll_event()).any(|it| matches!(it, Event::Acknowledged { .. }))
    );
    pair.run();
    pair.advance(Duration::from_secs(2));
    assert_eq!(acknowledged(&mut pair), [call.call]);
}

#[test]
fn an_answer_that_arrived_before_its_link_was_lost_is_known_with_the_next() {
    let mut pair = bank();
    ask_bank(&mut pair, PAY, 1);
    let call = incoming(&mut pair);
    respond(&mut pair, call.call, "done");
    pair.cut();
    assert_eq!(acknowledged(&mut pair), []);
    pair.connect();
    pair.run();
    assert_eq!(acknowledged(&mut pair), [call.call]);
}

#[test]
fn an_answer_that_was_lost_with_its_link_has_arrived_when_it_was_written_again() {
    let mut pair = bank();
    ask_bank(&mut pair, PAY, 1);
    let call = incoming(&mut pair);
    let now = pair.now;
    pair.server().respond(now, call.call, Ok("done".into()));
    let _lost = pair.server().poll_transmit(now).unwrap();
    pair.cut();
    pair.advance(Duration::from_secs(5));
    assert_eq!(acknowledged(&mut pair), []);
    pair.connect();
    pair.advance(Duration::from_secs(1));
    assert_eq!(acknowledged(&mut pair), [call.call]);
}

#[test]
fn nothing_is_said_of_other_calls() {
    let mut pair = bank();
    ask_bank(&mut pair, LOOK, 1);
    let call = incoming(&mut pair);
    assert_eq!(call.once, None, "a key belongs to a `once` method");
    respond(&mut pair, call.call, "done");
    pair.advance(Duration::from_secs(2));
    assert_eq!(acknowledged(&mut pair), []);
}

#[test]
fn a_call_carries_its_key_and_the_table_as_its_caller_last_heard_of_it() {
    let mut pair = bank();
    ask_bank(&mut pair, PAY, 1);
    assert_eq!(incoming(&mut pair).once.as_deref(), Some(&OnceKey { key: 1, table: TABLE }));
    // By the next welcome.
    let later = OnceTable { tick: 6, ..TABLE };
    pair.server().set_once_table(later);
    pair.cut();
    pair.connect();
    pair.run();
    pair.events(Side::Server);
    ask_bank(&mut pair, PAY, 2);
    assert_eq!(incoming(&mut pair).once.as_deref(), Some(&OnceKey { key: 2, table: later }));
    // And by a pong.
    let last = OnceTable { tick: 7, ..TABLE };
    pair.server().set_once_table(last);
    let now = pair.now;
    pair.client().handle_wake(now);
    pair.run();
    ask_bank(&mut pair, PAY, 3);
    assert_eq!(incoming(&mut pair).once.as_deref(), Some(&OnceKey { key: 3, table: last }));
}

#[test]
fn a_table_that_is_made_with_the_session_is_in_its_welcome() {
    let serving = || Config { services: vec![&BANK], timing: quiet(), ..Config::default() };
    let mut client = Session::client(serving(), 1);
    let mut server = Session::server(serving());
    let now = origin();
    client.handle_connected(now);
    server.handle_connected(now);
    let hello = client.poll_transmit(now).unwrap();
    server.handle_message(now, hello);
    server.welcome(now, Welcoming::new(1, [2; 32], 3));
    server.set_once_table(TABLE);
    let welcome = Decoder::new(server.poll_transmit(now).unwrap()).next().unwrap().unwrap();
    let Envelope::Control(Control::Welcome(welcome)) = welcome else { panic!("{welcome:?}") };
    assert_eq!(welcome.once, Some(TABLE));
}

#[test]
fn without_a_table_at_the_server_there_is_no_promise_and_no_key() {
    let serving = || Config { services: vec![&BANK], timing: quiet(), ..Config::default() };
    let mut pair = Pair::live(serving(), serving());
    pair.events(Side::Server);
    ask_bank(&mut pair, PAY, 1);
    assert_eq!(incoming(&mut pair).once, None);
}
