//! Items that are sent, and read, many at a time; and how seldom their writer is told so.

mod common;

use std::time::Duration;

use bowline_protocol::envelope::{Control, Credit, Envelope, Sequenced};
use bowline_protocol::limits::Limits;
use bowline_protocol::session::{Batch, CallId, Config, Read, Run};
use bowline_protocol::status::Code;
use bowline_test_support::{Pair, Side};
use common::*;

fn stream(pair: &mut Pair) -> (CallId, CallId) {
    let (own, call) = open(pair, SERVER_STREAM);
    let now = pair.now;
    pair.server().accept(now, call);
    pair.run();
    pair.events(Side::Client);
    (own, call)
}

/// Sends as many of these items as there is credit for, in one run; returns how many.
fn send_run(pair: &mut Pair, call: CallId, items: impl IntoIterator<Item = Vec<u8>>) -> usize {
    let mut run = Run::default();
    assert!(pair.server().begin_run(call, &mut run), "there is credit");
    let mut sent = 0;
    for item in items {
        if !run.has_room() {
            break;
        }
        run.push(|out| {
            out.extend_from_slice(&item);
            true
        });
        sent += 1;
    }
    pair.server().send_run(call, &mut run);
    sent
}

fn number(number: u32) -> Vec<u8> {
    number.to_le_bytes().repeat(1 + number as usize % 9)
}

/// Everything that came, in batches.
fn read_all(pair: &mut Pair, own: CallId) -> Vec<Vec<u8>> {
    let (mut batch, mut items) = (Batch::default(), Vec::new());
    loop {
        let now = pair.now;
        match pair.client().read_batch(now, own, &mut batch) {
            None => {
                while let Some(item) = batch.take_next() {
                    items.push(item.to_vec());
                }
            }
            Some(Read::Item(_, buffer)) => items.push(buffer.to_vec()),
            Some(_) => return items,
        }
    }
}

/// A turn is longer than the room that is left here for the third one.
#[test]
fn a_run_stops_where_the_replay_buffer_is_full() {
    let limits = Limits { replay_bytes: 2100, ..at_once() };
    let mut pair = live(serving(), Config { limits, ..serving() });
    let (own, call) = stream(&mut pair);
    pair.advance(Duration::from_secs(2));
    pair.ends[Side::Client as usize].takes = false;
    assert_eq!(send_run(&mut pair, call, (0..500).map(number)), 500);
    pair.run();
    let kept = pair.server().stats().held.unacknowledged_bytes;
    assert!((2100..2100 + 64).contains(&kept), "one more item: {kept}");
    pair.ends[Side::Client as usize].takes = true;
    pair.run();
    assert!(read_all(&mut pair, own).into_iter().eq((0..500).map(number)));
}

#[test]
fn a_run_travels_in_one_message_and_is_read_in_few_steps() {
    let mut pair = pair();
    let (own, call) = stream(&mut pair);
    let before = pair.client().stats().counted.messages_in;
    assert_eq!(send_run(&mut pair, call, (0..500).map(number)), 500);
    pair.run();
    assert_eq!(pair.client().stats().counted.messages_in, before + 1);

    let (mut batch, mut steps, mut next) = (Batch::default(), 0, 0);
    let now = pair.now;
    while pair.client().read_batch(now, own, &mut batch).is_none() {
        steps += 1;
        while let Some(item) = batch.take_next() {
            assert_eq!(item, number(next));
            next += 1;
        }
    }
    assert_eq!(next, 500);
    assert!(steps <= 7, "{steps} steps");
}

#[test]
fn a_run_and_single_items_keep_their_order_around_gaps_and_large_items() {
    let mut pair = pair();
    let (own, call) = stream(&mut pair);
    let now = pair.now;
    let large = vec![9; 5000];
    send_run(&mut pair, call, [b"a".to_vec(), large.clone(), b"b".to_vec()]);
    assert!(send(&mut pair, Side::Server, call, "c"));
    pair.server().send_gap(now, call, 3);
    send_run(&mut pair, call, [b"d".to_vec(), b"e".to_vec()]);
    pair.run();
    for expected in [b"a".to_vec(), large, b"b".to_vec(), b"c".to_vec()] {
        assert_eq!(item(&mut pair, Side::Client, own), expected);
    }
    assert!(matches!(read(&mut pair, Side::Client, own), Read::Gap(3)));
    assert_eq!(read_all(&mut pair, own), [b"d", b"e"]);
    assert!(matches!(read(&mut pair, Side::Client, own), Read::Pending));
}

#[test]
fn a_run_ends_where_single_items_would_have_to_wait() {
    let mut pair = pair();
    let (_, alone) = stream(&mut pair);
    let mut single = 0;
    while send(&mut pair, Side::Server, alone, vec![1; 100]) {
        single += 1;
    }
    let (own, call) = stream(&mut pair);
    assert_eq!(send_run(&mut pair, call, std::iter::repeat_n(vec![1; 100], 10_000)), single);
    assert!(!pair.server().begin_run(call, &mut Run::default()));
    pair.run();
    // The last one waits for credit, as it does alone.
    let arrived = read_all(&mut pair, own).len();
    pair.run();
    assert_eq!((arrived, read_all(&mut pair, own).len()), (single - 1, 1));
    pair.run();
    assert!(pair.server().begin_run(call, &mut Run::default()));
}

#[test]
fn what_stands_before_an_item_that_is_too_large_arrives() {
    let limits = Limits { payload_in: 100_000, ..at_once() };
    let config = Config { limits, ..serving() };
    let mut pair = live(config.clone(), config);
    let (own, call) = stream(&mut pair);
    send_run(&mut pair, call, [b"a".to_vec(), b"b".to_vec(), vec![0; 100_001]]);
    pair.run();
    assert_eq!(item(&mut pair, Side::Client, own), b"a");
    assert_eq!(item(&mut pair, Side::Client, own), b"b");
    let Read::Failed(failure) = read(&mut pair, Side::Client, own) else { panic!("it has failed") };
    assert_eq!(status_of(&failure).code, Code::ResourceExhausted);
}

#[test]
fn an_item_that_cannot_be_encoded_leaves_the_others() {
    let mut pair = pair();
    let (own, call) = stream(&mut pair);
    let mut run = Run::default();
    assert!(pair.server().begin_run(call, &mut run));
    for (text, is_item) in [("a", true), ("half", false), ("b", true)] {
        run.push(|out| {
            out.extend_from_slice(text.as_bytes());
            is_item
        });
    }
    pair.server().send_run(call, &mut run);
    pair.run();
    assert_eq!(read_all(&mut pair, own), [b"a", b"b"]);
}

#[test]
fn a_run_is_written_again_where_a_link_was_lost() {
    let mut pair = pair();
    let (own, call) = stream(&mut pair);
    send_run(&mut pair, call, (0..300).map(number));
    let now = pair.now;
    let lost = pair.server().poll_transmit(now);
    assert!(lost.is_some());
    send_run(&mut pair, call, (300..400).map(number));
    pair.cut();
    pair.connect();
    pair.run();
    assert_eq!(read_all(&mut pair, own), (0..400).map(number).collect::<Vec<_>>());
}

/// A writer with nothing but this credit stops there: what a reader has in hand is not yet taken.
#[test]
fn the_credit_of_a_batch_returns_when_it_was_used() {
    let mut pair = pair();
    let (own, call) = stream(&mut pair);
    let sent = send_run(&mut pair, call, std::iter::repeat_n(vec![1; 100], 10_000));
    pair.run();
    let held = pair.client().held_bytes();
    assert_eq!(held, (sent - 1) * 164, "the last one waits for credit");
    let mut batch = Batch::default();
    let now = pair.now;
    assert!(pair.client().read_batch(now, own, &mut batch).is_none());
    while batch.take_next().is_some() {}
    assert_eq!(pair.client().held_bytes(), held, "the session answers for what is in hand");
    assert!(pair.client().read_batch(now, own, &mut batch).is_none());
    assert!((7000..=8192).contains(&(held - pair.client().held_bytes())), "8 KiB at most");
}

fn is_item_credit(envelope: &&Envelope) -> bool {
    matches!(envelope, Envelope::Control(Control::Credit(Credit::Items { .. })))
}

/// Each item of a paced stream had its own message of credit, 20 ms behind it.
#[test]
fn a_writer_that_never_waits_for_credit_is_told_of_it_with_acknowledgements() {
    let mut pair = pair();
    let (own, call) = stream(&mut pair);
    let before = pair.server().stats().counted.messages_in;
    pair.sent(Side::Client);
    for _ in 0..300 {
        assert!(send(&mut pair, Side::Server, call, "x"));
        pair.run();
        assert_eq!(item(&mut pair, Side::Client, own), b"x");
        pair.advance(Duration::from_millis(40));
    }
    // One every 32 envelopes or every second, and some while the reader learns.
    let messages = pair.server().stats().counted.messages_in - before;
    assert!(messages <= 20, "{messages} messages");
    let sent = pair.sent(Side::Client);
    assert!(sent.iter().filter(is_item_credit).count() >= 8, "it is told in the end");
}

#[test]
fn a_writer_that_waited_for_credit_is_told_soon_again() {
    let mut pair = pair();
    let (own, call) = stream(&mut pair);
    let pass = |pair: &mut Pair, item: Vec<u8>| {
        assert!(send(pair, Side::Server, call, item.clone()));
        pair.run();
        let mut waited = Duration::ZERO;
        loop {
            match read(pair, Side::Client, own) {
                Read::Item(_, buffer) => {
                    assert_eq!(buffer.to_vec(), item);
                    pair.run();
                    return waited;
                }
                Read::Pending => {
                    pair.advance(Duration::from_millis(10));
                    waited += Duration::from_millis(10);
                }
                other => panic!("{other:?}"),
            }
        }
    };
    for _ in 0..200 {
        pass(&mut pair, vec![1]);
        pair.advance(Duration::from_millis(40));
    }
    // Larger than the window: it waits until all before it is known to be taken.
    pass(&mut pair, vec![1]);
    assert!(pass(&mut pair, vec![2; 2 << 20]) <= Duration::from_millis(1300));
    pass(&mut pair, vec![1]);
    assert!(pass(&mut pair, vec![2; 2 << 20]) <= Duration::from_millis(30));
}

#[test]
fn items_of_a_run_carry_no_numbers_but_the_first() {
    let mut pair = pair();
    let (_, call) = stream(&mut pair);
    send_run(&mut pair, call, std::iter::repeat_n(vec![7; 8], 100));
    let now = pair.now;
    let message = pair.server().poll_transmit(now).unwrap();
    // Kind, call, codec, length: four bytes beside each item.
    assert!(message.len() <= 100 * 12 + 20, "{}", message.len());
    let items = bowline_protocol::envelope::Decoder::new(message)
        .filter(|it| matches!(it, Ok(Envelope::Sequenced(_, Sequenced::Item { .. }))));
    assert_eq!(items.count(), 100);
}
