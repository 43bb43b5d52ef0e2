//! Watches and notifies: what carries no sequence number.

mod common;

use std::collections::VecDeque;
use std::time::Duration;

use bowline_protocol::envelope::{Ack, Control, Decoder, Encoder, Envelope};
use bowline_protocol::limits::Limits;
use bowline_protocol::session::{CallId, Config, Event, IncomingNotify, Read};
use bowline_protocol::status::Code;
use bowline_test_support::{Pair, Side};
use bytes::Bytes;
use common::*;

fn watch(pair: &mut Pair) -> (CallId, CallId) {
    let opened = open(pair, WATCH);
    pair.events(Side::Client);
    opened
}

fn set(pair: &mut Pair, call: CallId, value: impl Into<Bytes>) {
    let now = pair.now;
    pair.server().set_watch(now, call, value.into());
}

fn end(pair: &mut Pair, call: CallId) {
    let now = pair.now;
    pair.server().send_end(now, call);
    pair.run();
    pair.events(Side::Client);
}

#[test]
fn a_watch_delivers_the_newest_value_alone() {
    let mut pair = pair();
    let (own, call) = watch(&mut pair);
    for value in ["one", "two", "three"] {
        set(&mut pair, call, value);
    }
    pair.run();
    let events = pair.events(Side::Client);
    assert!(matches!(events[..], [Event::Accepted { .. }, Event::Readable { .. }]), "{events:?}");
    assert_eq!(pair.server().stats().counted.envelopes_out, 3, "declared, accepted and one value");
    assert_eq!(item(&mut pair, Side::Client, own), b"three");
    assert!(matches!(read(&mut pair, Side::Client, own), Read::Pending));
    for value in ["four", "five"] {
        set(&mut pair, call, value);
        pair.run();
    }
    assert_eq!(item(&mut pair, Side::Client, own), b"five", "a reader that stalls skips values");
    end(&mut pair, call);
    assert!(matches!(read(&mut pair, Side::Client, own), Read::End));
    assert_empty(&mut pair);
}

#[test]
fn the_end_of_a_watch_carries_the_last_value() {
    for last in [vec![1; 10], vec![2; 200 * 1024]] {
        let mut pair = pair();
        let (own, call) = watch(&mut pair);
        set(&mut pair, call, "first");
        pair.run();
        set(&mut pair, call, last.clone());
        end(&mut pair, call);
        assert_eq!(item(&mut pair, Side::Client, own), last);
        assert!(matches!(read(&mut pair, Side::Client, own), Read::End));
        assert_empty(&mut pair);
    }
}

#[test]
fn values_wait_while_too_many_are_not_acknowledged_and_then_the_newest_goes() {
    let mut pair = pair();
    let (own, call) = watch(&mut pair);
    pair.ends[Side::Client as usize].hears = false;
    for value in 0..200_u8 {
        set(&mut pair, call, vec![value]);
        pair.run();
    }
    assert_eq!(pair.server().stats().counted.envelopes_out, 2 + 64);
    pair.ends[Side::Client as usize].hears = true;
    pair.run();
    assert_eq!(item(&mut pair, Side::Client, own), [199]);
    end(&mut pair, call);
    assert!(matches!(read(&mut pair, Side::Client, own), Read::End));
    assert_empty(&mut pair);
}

#[test]
fn a_large_value_under_way_is_finished_before_the_next() {
    let mut pair = pair();
    let (own, call) = watch(&mut pair);
    let now = pair.now;
    set(&mut pair, call, vec![1; 200 * 1024]);
    for _ in 0..2 {
        let message = pair.server().poll_transmit(now).unwrap();
        pair.inject(Side::Client, message);
    }
    set(&mut pair, call, vec![2; 200 * 1024]);
    set(&mut pair, call, vec![3; 200 * 1024]);
    pair.run();
    assert_eq!(pair.server().stats().held.sending, 0);
    assert_eq!(item(&mut pair, Side::Client, own), vec![3; 200 * 1024]);
    end(&mut pair, call);
    assert!(matches!(read(&mut pair, Side::Client, own), Read::End));
    assert_empty(&mut pair);
}

#[test]
fn a_large_value_within_the_bound_of_what_is_unacknowledged_still_travels() {
    // 1 MiB is four times what may be unacknowledged: it travels as its chunks are acknowledged.
    let mut pair = pair();
    let (own, call) = watch(&mut pair);
    set(&mut pair, call, vec![5; 1024 * 1024]);
    pair.run();
    assert_eq!(item(&mut pair, Side::Client, own), vec![5; 1024 * 1024]);
    end(&mut pair, call);
    assert!(matches!(read(&mut pair, Side::Client, own), Read::End));
    assert_empty(&mut pair);
}

/// Each message is acknowledged on its own: there is never much room at one time.
#[test]
fn the_newest_value_arrives_beside_others_that_never_rest() {
    const KIB: usize = 1024;
    for (others, of, len) in [
        (40, 8 * KIB, 60 * KIB),
        (100, 5 * KIB, 30 * KIB),
        (100, 4 * KIB, 200 * KIB),
        (100, 10, 200 * KIB),
        (3, 60 * KIB, 60 * KIB),
        (3, 200 * KIB, 10),
        (3, 200 * KIB, 200 * KIB),
    ] {
        let limits = Limits { message_out: 16 * KIB, ..serving().limits };
        let mut pair = live(serving(), Config { limits, ..serving() });
        let others: Vec<_> = (0..others).map(|_| watch(&mut pair)).collect();
        let (own, call) = watch(&mut pair);
        let (mut under_way, mut unsequenced, mut rounds) = (VecDeque::new(), 0, 0);
        let mut arrived = None;
        while arrived.is_none() {
            for &(_, other) in &others {
                set(&mut pair, other, vec![1; of]);
            }
            if rounds == 100 {
                set(&mut pair, call, vec![2; len]);
            }
            let now = pair.now;
            under_way.extend(std::iter::from_fn(|| pair.server().poll_transmit(now)));
            let message: Bytes = under_way.pop_front().expect("there is always more");
            carry(&mut pair, message, &mut unsequenced);
            if let Read::Item(_, value) = read(&mut pair, Side::Client, own) {
                arrived = Some(value.len());
            }
            rounds += 1;
            assert!(rounds < 1000, "{} of {of} bytes, one of {len}: never", others.len());
        }
        assert_eq!(arrived, Some(len));
        for (place, &(other, _)) in others.iter().enumerate() {
            assert!(matches!(read(&mut pair, Side::Client, other), Read::Item(..)), "{place} of {of} bytes");
        }
    }
}

/// Gives the client a message, and the server the acknowledgement of everything up to there.
fn carry(pair: &mut Pair, message: Bytes, unsequenced: &mut u64) {
    let without_number = |it: &Envelope| matches!(it, Envelope::Watch(_) | Envelope::WatchChunk(_));
    *unsequenced += Decoder::new(message.clone()).flatten().filter(without_number).count() as u64;
    pair.inject(Side::Client, message);
    let mut ack = Vec::new();
    let ack_of = Ack { seq: pair.server().head(), unsequenced: *unsequenced };
    Encoder::new(&mut ack).push(&Envelope::Control(Control::Ack(ack_of)));
    pair.inject(Side::Server, ack.into());
}

/// Each acknowledgement makes room for another small value, and none for a chunk.
#[test]
fn a_large_value_that_is_under_way_arrives_beside_small_ones_that_go_one_by_one() {
    let mut pair = pair();
    let others: Vec<_> = (0..100).map(|_| watch(&mut pair).1).collect();
    let (own, call) = watch(&mut pair);
    let (mut under_way, mut unsequenced) = (VecDeque::new(), 0);
    for round in 0..1000 {
        set(&mut pair, others[round % others.len()], vec![1; 4 * 1024]);
        if round == 100 {
            set(&mut pair, call, vec![2; 200 * 1024]);
        }
        let now = pair.now;
        under_way.extend(pair.server().poll_transmit(now));
        if round < 100 {
            // Until nothing more has room.
            continue;
        }
        let Some(message) = under_way.pop_front() else { continue };
        carry(&mut pair, message, &mut unsequenced);
        if let Read::Item(_, value) = read(&mut pair, Side::Client, own) {
            assert_eq!(value.len(), 200 * 1024);
            return;
        }
    }
    panic!("never");
}

/// The client has counted all values and chunks that were written so far, but says nothing of numbers.
fn count_all(pair: &mut Pair) {
    let without_number = |it: &&Envelope| matches!(it, Envelope::Watch(_) | Envelope::WatchChunk(_));
    let unsequenced = pair.ends[Side::Server as usize].sent.iter().filter(without_number).count() as u64;
    let mut ack = Vec::new();
    Encoder::new(&mut ack).push(&Envelope::Control(Control::Ack(Ack { seq: 0, unsequenced })));
    pair.inject(Side::Server, ack.into());
    pair.run();
}

/// An acknowledgement is the only sign that its turn has come, and the chunk may never go: here its watch is cancelled.
#[test]
fn a_value_does_not_wait_for_a_chunk_where_nothing_is_left_to_be_acknowledged() {
    let limits = Limits { replay_bytes: 16 * 1024, ..at_once() };
    let mut pair = live(serving(), Config { limits, ..serving() });
    let (large, large_call) = watch(&mut pair);
    let (own, call) = watch(&mut pair);
    let (_, items) = open(&mut pair, SERVER_STREAM);
    let now = pair.now;
    for call in [large_call, call, items] {
        pair.server().accept(now, call);
    }
    pair.advance(Duration::from_secs(2));
    pair.ends[Side::Client as usize].hears = false;
    set(&mut pair, large_call, vec![1; 1024 * 1024]);
    pair.run();
    set(&mut pair, call, "small");
    pair.run();
    // The item fills the replay buffer, so that no chunk goes with the message that the acknowledgement brings.
    pair.ends[Side::Server as usize].takes = false;
    count_all(&mut pair);
    assert!(send(&mut pair, Side::Server, items, vec![3; 20 * 1024]));
    pair.ends[Side::Server as usize].takes = true;
    pair.run();
    let now = pair.now;
    pair.client().cancel(now, large);
    pair.run();
    pair.ends[Side::Client as usize].hears = true;
    pair.advance(Duration::from_secs(2));
    assert_eq!(item(&mut pair, Side::Client, own), b"small");
}

#[test]
fn values_do_not_wait_for_the_chunk_of_a_value_that_was_given_up() {
    let mut pair = pair();
    let (large, large_call) = watch(&mut pair);
    let others: Vec<_> = (0..2).map(|_| watch(&mut pair)).collect();
    pair.ends[Side::Client as usize].hears = false;
    set(&mut pair, large_call, vec![1; 1024 * 1024]);
    pair.run();
    let now = pair.now;
    pair.client().cancel(now, large);
    pair.run();
    fail(&mut pair, large_call, Code::Cancelled);
    count_all(&mut pair);
    // From here on it acknowledges nothing.
    pair.ends[Side::Client as usize].hears = true;
    pair.ends[Side::Client as usize].takes = false;
    for &(_, call) in &others {
        set(&mut pair, call, "small");
    }
    pair.run();
    for (own, _) in others {
        assert_eq!(item(&mut pair, Side::Client, own), b"small");
    }
}

#[test]
fn values_that_one_acknowledgement_frees_go_in_messages_of_the_usual_size() {
    const KIB: usize = 1024;
    for (count, len) in [(8, 60 * KIB), (50, 10 * KIB)] {
        let mut pair = pair();
        let watches: Vec<_> = (0..count).map(|_| watch(&mut pair)).collect();
        pair.ends[Side::Client as usize].hears = false;
        for &(_, call) in &watches {
            set(&mut pair, call, vec![1; len]);
        }
        pair.run();
        pair.ends[Side::Client as usize].hears = true;
        pair.run();
        for (own, _) in watches {
            assert_eq!(item(&mut pair, Side::Client, own).len(), len);
        }
        let largest = pair.ends[Side::Server as usize].largest;
        assert!(largest <= at_once().message_out + 64 * KIB, "{count} values of {len} bytes: {largest}");
    }
}

#[test]
fn the_end_of_a_watch_that_waits_carries_its_value_and_nothing_follows_it() {
    for len in [10, 200 * 1024] {
        let mut pair = pair();
        let (_, busy) = watch(&mut pair);
        let (own, call) = watch(&mut pair);
        pair.ends[Side::Client as usize].hears = false;
        for _ in 0..64 {
            set(&mut pair, busy, "busy");
            pair.run();
        }
        set(&mut pair, call, vec![4; len]);
        pair.run();
        let now = pair.now;
        pair.server().send_end(now, call);
        pair.run();
        pair.ends[Side::Client as usize].hears = true;
        pair.run();
        assert_eq!(item(&mut pair, Side::Client, own), vec![4; len]);
        assert!(matches!(read(&mut pair, Side::Client, own), Read::End));
        assert_eq!(pair.closed, None);
    }
}

#[test]
fn a_watch_survives_the_loss_of_its_session() {
    let mut pair = pair();
    let (own, call) = watch(&mut pair);
    set(&mut pair, call, "before");
    pair.run();
    assert_eq!(item(&mut pair, Side::Client, own), b"before");
    pair.events(Side::Client);
    pair.cut();
    assert!(pair.client().is_stale(own));
    assert!(matches!(pair.events(Side::Client)[..], [Event::Disconnected]));
    pair.restart_server(serving());
    pair.connect();
    pair.run();
    let events = pair.events(Side::Server);
    let again = events.iter().find_map(|event| match event {
        Event::Call(call) => Some(call),
        _ => None,
    });
    let again = again.expect("subscribed again");
    assert_eq!((&again.buffer[..], again.method), (&b"open"[..], WATCH));
    let again = again.call;
    assert!(pair.client().is_stale(own));
    set(&mut pair, again, "after");
    pair.run();
    assert!(!pair.client().is_stale(own));
    assert_eq!(item(&mut pair, Side::Client, own), b"after");
    pair.events(Side::Client);
    end(&mut pair, again);
    assert!(matches!(read(&mut pair, Side::Client, own), Read::End));
    assert_empty(&mut pair);
}

fn notifies(pair: &mut Pair) -> Vec<IncomingNotify> {
    let events = pair.events(Side::Server).into_iter();
    events
        .map(|event| match event {
            Event::Notify(notify) => notify,
            other => panic!("{other:?}"),
        })
        .collect()
}

fn notify(pair: &mut Pair, bytes: impl Into<Bytes>) -> Result<(), Code> {
    let now = pair.now;
    pair.client().notify(now, request(NOTIFY, bytes)).map_err(|status| status.code)
}

#[test]
fn a_notify_arrives_and_is_not_answered() {
    let mut pair = pair();
    notify(&mut pair, "typing").unwrap();
    pair.run();
    let notify = notifies(&mut pair).remove(0);
    assert_eq!((notify.method, &notify.buffer[..]), (NOTIFY, &b"typing"[..]));
    assert_eq!(pair.server().stats().held.notifies, 1);
    pair.server().finish_notify(notify.ticket);
    assert_empty(&mut pair);
}

#[test]
fn a_notify_is_dropped_and_counted_where_it_can_not_go() {
    let mut offline = Pair::new(serving(), serving());
    assert_eq!(notify(&mut offline, "x"), Err(Code::Unavailable));
    assert_eq!(offline.client().stats().counted.notifies_dropped, 1);

    let mut pair = pair();
    assert_eq!(notify(&mut pair, vec![0; 64 * 1024 + 1]), Err(Code::ResourceExhausted));
    pair.ends[Side::Server as usize].hears = false;
    let sent = (0..100).filter(|_| {
        let result = notify(&mut pair, "x");
        pair.run();
        result.is_ok()
    });
    assert_eq!(sent.count(), 64);
    assert_eq!(pair.client().stats().counted.notifies_dropped, 37);
    pair.ends[Side::Server as usize].hears = true;
    pair.run();
    assert_eq!(notify(&mut pair, "again"), Ok(()));
    pair.run();
    let arrived = notifies(&mut pair);
    // The 65th has no handler to run in.
    assert_eq!((arrived.len(), pair.server().stats().counted.notifies_refused), (64, 1));
    for notify in arrived {
        pair.server().finish_notify(notify.ticket);
    }
    assert_empty(&mut pair);
}

#[test]
fn notifies_are_bounded_in_bytes_too() {
    let mut pair = pair();
    pair.ends[Side::Client as usize].takes = false;
    let sent = (0..10).filter(|_| notify(&mut pair, vec![0; 60 * 1024]).is_ok()).count();
    assert_eq!(sent, 4);
    pair.ends[Side::Client as usize].takes = true;
    pair.run();
    assert_eq!(notifies(&mut pair).len(), 4);
}

#[test]
fn a_notify_right_after_the_welcome_waits_for_the_answer_to_its_declaration() {
    let mut pair = Pair::live(serving(), serving());
    notify(&mut pair, "first").unwrap();
    pair.run();
    assert_eq!(notifies(&mut pair).len(), 1);
    let other = Config { limits: Limits::default(), ..Config::default() };
    let mut pair = Pair::live(serving(), other);
    notify(&mut pair, "to nobody").unwrap();
    pair.run();
    assert_eq!(pair.client().stats().counted.notifies_dropped, 1);
    assert_eq!(notify(&mut pair, "to nobody"), Err(Code::Unimplemented));
    assert_empty(&mut pair);
}
