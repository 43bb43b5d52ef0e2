//! Calls that end while their session has no link: withdrawn, out of time, or waiting in the outbox.

#![allow(clippy::unwrap_used, reason = "a helper of tests that fails them")]

mod common;

use std::time::Duration;

use bowline_protocol::envelope::{Envelope, Payload, Sequenced};
use bowline_protocol::limits::Limits;
use bowline_protocol::session::{CallId, Config, Event, Failure, Queued, Request, Stop};
use bowline_protocol::status::Delivery;
use bowline_test_support::{Pair, Side};
use common::links::*;
use common::*;

fn cancel(pair: &mut Pair, call: CallId) {
    let now = pair.now;
    pair.client().cancel(now, call);
}

/// A session whose server allows one call at a time, so that a lost place shows.
fn narrow() -> Pair {
    let limits = Limits { calls: 1, streams: 1, nested: 0, ..at_once() };
    live(serving(), Config { limits, ..serving() })
}

/// What is written again after a withdrawal: voids alone, under the numbers of what they stand for.
fn assert_voids(first: &[Envelope], again: &[Envelope]) {
    let (first, again) = (numbered(first), numbered(again));
    assert_eq!(
        first.iter().map(|it| it.0).collect::<Vec<_>>(),
        again.iter().map(|it| it.0).collect::<Vec<_>>()
    );
    assert!(again.iter().all(|(_, it)| matches!(it, Sequenced::Void { .. })), "{again:?}");
}

/// The place and the number of what was withdrawn are free: the next call gets them, and ends well.
fn assert_room(pair: &mut Pair) {
    let own = ask(pair, request(UNARY, "next"));
    pair.run();
    let sent = pair.sent(Side::Client);
    let id = numbered(&sent).into_iter().find_map(|(_, it)| match it {
        Sequenced::Call(open) => Some(open.id),
        _ => None,
    });
    assert_eq!(id, Some(0), "{sent:?}");
    let came = arrivals(pair);
    assert_eq!(came.len(), 1);
    assert_eq!(came[0].1, b"next");
    respond(pair, came[0].0, "answer");
    assert_eq!(response(pair, own).unwrap(), b"answer");
    assert_empty(pair);
}

#[test]
fn a_cancelled_call_that_was_lost_is_written_again_as_a_void() {
    let mut pair = narrow();
    lose_from(&mut pair, Side::Client);
    let own = ask(&mut pair, request(UNARY, "x"));
    pair.run();
    let first = pair.sent(Side::Client);
    cut(&mut pair);
    cancel(&mut pair, own);
    resume(&mut pair);
    assert_eq!(arrivals(&mut pair), [], "it never runs");
    let again = pair.sent(Side::Client);
    assert_voids(&first, &again);
    assert_eq!(pair.client().stats().held.calls, 0);
    assert_room(&mut pair);
}

#[test]
fn a_call_whose_cancel_was_lost_with_it_is_written_again_as_voids() {
    let mut pair = narrow();
    lose_from(&mut pair, Side::Client);
    let own = ask(&mut pair, request(UNARY, "x"));
    pair.run();
    cancel(&mut pair, own);
    pair.run();
    let first = pair.sent(Side::Client);
    change_links(&mut pair);
    assert_eq!(arrivals(&mut pair), []);
    assert_voids(&first, &pair.sent(Side::Client));
    assert_room(&mut pair);
}

#[test]
fn a_cancelled_large_call_that_was_lost_takes_no_room_any_more() {
    // The window takes one such payload at a time.
    let limits = Limits { calls: 1, nested: 0, payload_in: 600 * 1024, assembly: 600 * 1024, ..at_once() };
    for written in [1, 3, 20] {
        let mut pair = live(serving(), Config { limits: limits.clone(), ..serving() });
        let now = pair.now;
        let own = ask(&mut pair, request(UNARY, vec![0; 500 * 1024]));
        for _ in 0..written {
            pair.client().poll_transmit(now);
        }
        cut(&mut pair);
        cancel(&mut pair, own);
        resume(&mut pair);
        assert_eq!(arrivals(&mut pair), []);
        let sent = pair.sent(Side::Client);
        assert!(numbered(&sent).iter().all(|(_, it)| matches!(it, Sequenced::Void { .. })));
        assert_eq!(pair.client().stats().held.sending, 0);
        assert_eq!(pair.server().stats().held.assembling, 0);
        let own = ask(&mut pair, request(UNARY, vec![1; 500 * 1024]));
        pair.run();
        let came = arrivals(&mut pair);
        assert_eq!(came[0].1, vec![1; 500 * 1024], "window and place are free");
        respond(&mut pair, came[0].0, "answer");
        assert_eq!(response(&mut pair, own).unwrap(), b"answer");
        assert_empty(&mut pair);
    }
}

#[test]
fn a_cancelled_upload_that_was_lost_takes_its_items_along() {
    let mut pair = narrow();
    lose_from(&mut pair, Side::Client);
    let own = ask(&mut pair, request(CLIENT_STREAM, "x"));
    assert!(send(&mut pair, Side::Client, own, vec![2; 200_000]));
    pair.run();
    let first = pair.sent(Side::Client);
    assert!(numbered(&first).len() > 5, "the call, its item and chunks");
    cut(&mut pair);
    cancel(&mut pair, own);
    resume(&mut pair);
    assert_eq!(arrivals(&mut pair), []);
    assert_voids(&first, &pair.sent(Side::Client));
    assert_eq!(pair.server().stats().held.assembly_bytes, 0);
    assert_room(&mut pair);
}

#[test]
fn a_cancelled_call_that_arrived_is_stopped_on_the_next_link() {
    let mut pair = narrow();
    let own = call(&mut pair, UNARY, "x");
    let came = incoming(&mut pair);
    lose_from(&mut pair, Side::Server);
    cut(&mut pair);
    cancel(&mut pair, own);
    pair.sent(Side::Client);
    resume(&mut pair);
    let events = pair.events(Side::Server);
    assert!(
        matches!(events[..], [Event::Stopped { call, reason: Stop::Cancelled }] if call == came.call),
        "{events:?}"
    );
    let sent = pair.sent(Side::Client);
    assert!(matches!(numbered(&sent)[..], [(_, Sequenced::Cancel { .. })]), "{sent:?}");
    // Its place is taken until its handler has stopped.
    let next = ask(&mut pair, request(UNARY, "next"));
    pair.run();
    assert_eq!(arrivals(&mut pair), []);
    respond(&mut pair, came.call, "late");
    let came = arrivals(&mut pair);
    respond(&mut pair, came[0].0, "answer");
    assert_eq!(response(&mut pair, next).unwrap(), b"answer");
    assert_empty(&mut pair);
}

/// Between the welcome and its turn in the replay a call can still be withdrawn: it must not run, deadline or not.
#[test]
fn a_call_that_is_cancelled_while_it_waits_to_be_written_again_never_runs() {
    for deadline in [None, Some(Duration::from_secs(10))] {
        let mut pair = narrow();
        let now = pair.now;
        lose_from(&mut pair, Side::Client);
        let own = ask(&mut pair, Request { deadline: deadline.map(|it| now + it), ..request(UNARY, "x") });
        pair.run();
        cut(&mut pair);
        pair.connect();
        let hello = pair.client().poll_transmit(now).unwrap();
        pair.inject(Side::Server, hello);
        pair.ends[Side::Client as usize].takes = false;
        pair.run();
        assert!(pair.client().is_live());
        cancel(&mut pair, own);
        pair.ends[Side::Client as usize].takes = true;
        pair.run();
        assert_eq!(arrivals(&mut pair), [], "{deadline:?}");
        outcomes(&mut pair, Side::Client);
        assert_room_after(&mut pair);
    }
}

fn assert_room_after(pair: &mut Pair) {
    pair.sent(Side::Client);
    assert_room(pair);
}

/// The terminal of the first call is still under way when its number could be used again.
#[test]
fn a_number_is_used_again_only_after_the_terminal_came() {
    let mut pair = narrow();
    let own = call(&mut pair, UNARY, "first");
    let came = incoming(&mut pair);
    lose_from(&mut pair, Side::Server);
    cancel(&mut pair, own);
    pair.run();
    pair.events(Side::Server);
    respond(&mut pair, came.call, "late");
    let second = ask(&mut pair, request(UNARY, "second"));
    pair.run();
    assert_eq!(arrivals(&mut pair), [], "its place is not free yet");
    change_links(&mut pair);
    let came = arrivals(&mut pair);
    assert_eq!(came[0].1, b"second");
    assert!(answers(&mut pair).is_empty(), "the terminal of the first call does not end the second");
    change_links(&mut pair);
    respond(&mut pair, came[0].0, "answer");
    assert_eq!(response(&mut pair, second).unwrap(), b"answer");
    assert_empty(&mut pair);
}

#[test]
fn a_deadline_that_passes_without_a_link_says_what_may_have_happened() {
    let mut pair = pair();
    let now = pair.now;
    let deadline = now + Duration::from_secs(10);
    let arrived = ask(&mut pair, within(request(UNARY, "arrived"), deadline));
    pair.run();
    let came = incoming(&mut pair);
    lose_from(&mut pair, Side::Client);
    let partly = ask(&mut pair, within(request(UNARY, vec![0; 500 * 1024]), deadline));
    pair.client().poll_transmit(now).unwrap();
    cut(&mut pair);
    let unsent = ask(&mut pair, within(request(UNARY, "unsent"), deadline));
    pair.advance(Duration::from_millis(9_999));
    outcomes(&mut pair, Side::Client);
    assert!(answers(&mut pair).is_empty());
    pair.advance(Duration::from_millis(1));
    let mut told: Vec<_> = answers(&mut pair)
        .into_iter()
        .map(|(call, result)| match result {
            Err(Failure::DeadlineExceeded(delivery)) => (call, delivery),
            other => panic!("{other:?}"),
        })
        .collect();
    told.sort_by_key(|(call, _)| *call);
    assert_eq!(
        told,
        [(arrived, Delivery::OutcomeUnknown), (partly, Delivery::NotExecuted), (unsent, Delivery::NotSent)]
    );
    pair.sent(Side::Client);
    resume(&mut pair);
    let sent = pair.sent(Side::Client);
    let again = numbered(&sent);
    assert!(
        !again.iter().any(|(_, it)| matches!(it, Sequenced::Call(_))),
        "nothing of them runs now: {again:?}"
    );
    // The server's own clock stopped the one that had arrived.
    let events = pair.events(Side::Server);
    assert!(
        matches!(events[..], [Event::Stopped { call, reason: Stop::DeadlineExceeded }] if call == came.call),
        "{events:?}"
    );
    respond(&mut pair, came.call, "late");
    assert_empty(&mut pair);
}

#[test]
fn a_queued_call_waits_until_its_expiry_and_no_longer() {
    let mut pair = pair();
    cut(&mut pair);
    outcomes(&mut pair, Side::Client);
    let until = pair.now + Duration::from_secs(3600);
    let queued = Some(Queued { until, until_wall: None, timeout: Some(Duration::from_secs(5)) }.into());
    let deadline = Some(pair.now);
    let own = ask(&mut pair, Request { queued, deadline, ..request(UNARY, "x") });
    pair.advance(Duration::from_millis(3_599_999));
    assert!(answers(&mut pair).is_empty(), "longer than its deadline");
    pair.advance(Duration::from_millis(1));
    let told = answers(&mut pair);
    assert!(
        matches!(told[..], [(call, Err(Failure::DeadlineExceeded(Delivery::NotSent)))] if call == own),
        "{told:?}"
    );
    assert_eq!(pair.client().stats().held.waiting_calls, 0);
}

#[test]
fn the_deadline_of_a_queued_call_starts_when_it_is_written() {
    let mut pair = pair();
    cut(&mut pair);
    let until = pair.now + Duration::from_secs(3600);
    let queued = Some(Queued { until, until_wall: None, timeout: Some(Duration::from_secs(5)) }.into());
    let own = ask(&mut pair, Request { queued, ..request(UNARY, "x") });
    pair.advance(Duration::from_secs(1800));
    pair.sent(Side::Client);
    resume(&mut pair);
    let sent = pair.sent(Side::Client);
    let left = numbered(&sent).into_iter().find_map(|(_, it)| match it {
        Sequenced::Call(open) => open.time_left_ms,
        _ => None,
    });
    assert_eq!(left, Some(5000));
    let call = incoming(&mut pair);
    assert_eq!(call.deadline, Some(pair.now + Duration::from_secs(5)));
    // And it is one deadline, whatever becomes of the link.
    pair.advance(Duration::from_secs(3));
    cut(&mut pair);
    pair.advance(Duration::from_millis(1999));
    outcomes(&mut pair, Side::Client);
    assert!(answers(&mut pair).is_empty());
    pair.advance(Duration::from_millis(1));
    let told = answers(&mut pair);
    assert!(
        matches!(told[..], [(call, Err(Failure::DeadlineExceeded(Delivery::OutcomeUnknown)))] if call == own),
        "{told:?}"
    );
}

#[test]
fn a_call_written_in_chunks_goes_on_as_one_call() {
    let mut pair = pair();
    let now = pair.now;
    let own = ask(&mut pair, request(UNARY, vec![7; 300_000]));
    let first = pair.client().poll_transmit(now).unwrap();
    pair.inject(Side::Server, first);
    change_links(&mut pair);
    let sent = pair.sent(Side::Client);
    let calls = |it: &&(u64, &Sequenced)| matches!(it.1, Sequenced::Call(open) if matches!(open.payload, Payload::Chunked { .. }));
    assert_eq!(numbered(&sent).iter().filter(calls).count(), 0, "the announcement had arrived");
    let came = arrivals(&mut pair);
    assert_eq!(came[0].1, vec![7; 300_000]);
    respond(&mut pair, came[0].0, "answer");
    assert_eq!(response(&mut pair, own).unwrap(), b"answer");
    assert_empty(&mut pair);
}
