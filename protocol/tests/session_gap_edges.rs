//! What is known of a call only gets weaker, whatever becomes of it after its session.

mod common;

use std::time::Duration;

use bowline_protocol::limits::Limits;
use bowline_protocol::schema::{MethodDescriptor, MethodKind, Retry, ServiceDescriptor};
use bowline_protocol::session::{Config, Failure, Request};
use bowline_protocol::status::Delivery;
use bowline_test_support::{Pair, Side};
use common::links::*;
use common::*;

static LIST: ServiceDescriptor = ServiceDescriptor {
    name: "List",
    methods: &[MethodDescriptor { retry: Retry::Idempotent, ..method("read", MethodKind::Unary, 1) }],
};

fn listing(calls: u32) -> Config {
    let limits = Limits { calls, nested: 0, ..Limits::default() };
    Config { services: vec![&LIST], timing: quiet(), limits }
}

/// It ran, its session was lost, and in the next one there is no place for it in time: nobody may say that it was not
/// sent.
#[test]
fn a_call_that_ran_and_waits_to_be_asked_again_is_of_unknown_outcome() {
    let mut pair = Pair::new(listing(8), listing(8));
    let now = pair.now;
    pair.client().declare(now, &LIST);
    pair.connect();
    pair.run();
    let deadline = pair.now + Duration::from_secs(20);
    let ran = ask(&mut pair, within(Request { service: &LIST, ..request(0, "x") }, deadline));
    pair.run();
    assert_eq!(arrivals(&mut pair).len(), 1);
    cut(&mut pair);
    pair.restart_server(listing(0));
    pair.connect();
    pair.run();
    let fresh = ask(&mut pair, within(Request { service: &LIST, ..request(0, "y") }, deadline));
    pair.advance(Duration::from_secs(20));
    outcomes(&mut pair, Side::Server);
    let ends: Vec<_> = answers(&mut pair);
    assert!(
        matches!(
            &ends[..],
            [
                (one, Err(Failure::DeadlineExceeded(Delivery::OutcomeUnknown))),
                (two, Err(Failure::DeadlineExceeded(Delivery::NotSent))),
            ] if *one == ran && *two == fresh
        ),
        "{ends:?}"
    );
}
