//! Calls that wait in the outbox expire by the wall clock too: the clock of timers may stand still while a machine sleeps.

#![allow(clippy::unwrap_used, reason = "a helper of tests that fails them")]

mod common;

use std::time::Duration;

use bowline_protocol::session::{CallId, Failure, Queued, Request};
use bowline_protocol::status::Delivery;
use bowline_test_support::{Pair, Side};
use common::links::*;
use common::*;

const HOUR: Duration = Duration::from_secs(60 * 60);

/// What the wall clock says when a test begins, since 1970.
const NOON: Duration = Duration::from_secs(1_800_000_000);

/// A client whose link was cut.
fn away() -> Pair {
    let mut pair = pair();
    cut(&mut pair);
    outcomes(&mut pair, Side::Client);
    pair
}

/// Makes a call that is queued for as long as `expiry` by both clocks, at noon.
fn queue(pair: &mut Pair, bytes: &'static str, expiry: Duration) -> CallId {
    let (until, until_wall) = (pair.now + expiry, Some(NOON + expiry));
    let queued = Some(Queued { until, until_wall, timeout: Some(Duration::from_secs(10)) }.into());
    ask(pair, Request { queued, ..request(UNARY, bytes) })
}

fn look(pair: &mut Pair, wall: Duration) {
    let now = pair.now;
    pair.client().handle_wall_clock(now, wall);
}

/// What is asked of the server after the link came back.
fn asked(pair: &mut Pair) -> Vec<Vec<u8>> {
    resume(pair);
    arrivals(pair).into_iter().map(|(_, bytes)| bytes).collect()
}

#[test]
fn a_call_of_yesterday_is_not_sent_after_a_sleep_that_stopped_the_clock_of_timers() {
    let mut pair = away();
    let old = queue(&mut pair, "yesterday", 24 * HOUR);
    let long = queue(&mut pair, "this week", 100 * HOUR);
    assert_eq!(pair.client().poll_wall_clock(), Some(NOON + 24 * HOUR));
    look(&mut pair, NOON + 24 * HOUR - Duration::from_nanos(1));
    assert!(answers(&mut pair).is_empty(), "not before its time");
    look(&mut pair, NOON + 25 * HOUR);
    let told = answers(&mut pair);
    assert!(
        matches!(told[..], [(call, Err(Failure::DeadlineExceeded(Delivery::NotSent)))] if call == old),
        "{told:?}"
    );
    assert_eq!(pair.client().stats().held.waiting_calls, 1);
    assert_eq!(pair.client().poll_wall_clock(), Some(NOON + 100 * HOUR));
    assert_eq!(asked(&mut pair), [b"this week"]);
    look(&mut pair, NOON + 200 * HOUR);
    assert!(answers(&mut pair).is_empty(), "it was written: its deadline is another");
    assert_eq!(pair.client().poll_wall_clock(), None);
    assert!(pair.client().stats().held.calls == 1 && long != old);
}

#[test]
fn a_wall_clock_moved_by_an_hour_loses_and_reorders_nothing() {
    for walls in [[NOON - HOUR, NOON], [NOON + HOUR, NOON], [NOON - HOUR, NOON + HOUR]] {
        let mut pair = away();
        queue(&mut pair, "first", 24 * HOUR);
        look(&mut pair, walls[0]);
        queue(&mut pair, "second", 24 * HOUR);
        look(&mut pair, walls[1]);
        queue(&mut pair, "third", 24 * HOUR);
        ask(&mut pair, request(UNARY, "fourth"));
        look(&mut pair, walls[0]);
        assert!(answers(&mut pair).is_empty());
        assert_eq!(asked(&mut pair), [&b"first"[..], b"second", b"third", b"fourth"]);
    }
}

/// It can't be told from a sleep. What had more time left is not touched, and whoever asked is told of the rest.
#[test]
fn a_wall_clock_set_forward_takes_so_much_of_what_is_left() {
    let mut pair = away();
    let soon = queue(&mut pair, "soon", HOUR / 2);
    queue(&mut pair, "later", 2 * HOUR);
    look(&mut pair, NOON + HOUR);
    let told = answers(&mut pair);
    assert!(
        matches!(told[..], [(call, Err(Failure::DeadlineExceeded(Delivery::NotSent)))] if call == soon),
        "{told:?}"
    );
    assert_eq!(asked(&mut pair), [b"later"]);
}

#[test]
fn a_wall_clock_set_back_puts_no_expiry_off() {
    let mut pair = away();
    let call = queue(&mut pair, "x", HOUR);
    look(&mut pair, NOON - HOUR);
    pair.advance(HOUR);
    look(&mut pair, NOON);
    let told = answers(&mut pair);
    assert!(
        matches!(told[..], [(it, Err(Failure::DeadlineExceeded(Delivery::NotSent)))] if it == call),
        "{told:?}"
    );
    assert!(asked(&mut pair).is_empty());
}

#[test]
fn calls_that_are_not_queued_know_no_wall_clock() {
    let mut pair = away();
    let deadline = Some(pair.now + HOUR);
    ask(&mut pair, Request { deadline, ..request(UNARY, "x") });
    assert_eq!(pair.client().poll_wall_clock(), None);
    look(&mut pair, Duration::MAX);
    assert_eq!(asked(&mut pair), [b"x"]);
}
