//! What is written again on a new link, and what has to wait for it.

mod common;

use bowline_protocol::envelope::{Control, Credit, Envelope, Sequenced};
use bowline_protocol::limits::Limits;
use bowline_protocol::session::{Config, Event, Read};
use bowline_test_support::{Pair, Side};
use bytes::Bytes;
use common::*;

fn decode(message: Bytes) -> Vec<Envelope> {
    bowline_protocol::envelope::Decoder::new(message).map(Result::unwrap).collect()
}

/// Two calls are answered and the answers are lost; two more wait for a place.
fn with_lost_answers(message_out: usize) -> Pair {
    let limits = Limits { calls: 2, nested: 0, message_out, ..at_once() };
    let mut pair = live(serving(), Config { limits, ..serving() });
    for _ in 0..4 {
        ask(&mut pair, request(UNARY, "x"));
    }
    pair.run();
    let calls = incoming_all(&mut pair);
    assert_eq!(calls.len(), 2);
    pair.ends[Side::Client as usize].hears = false;
    for call in calls {
        respond(&mut pair, call.call, vec![7; 500]);
    }
    pair.cut();
    pair.ends[Side::Client as usize].hears = true;
    pair
}

/// A message that is too small for the whole replay carried the credit all the same. The caller then had credit for
/// calls whose places it still held, and failed them for want of an id.
#[test]
fn credit_never_overtakes_a_replay() {
    let mut pair = with_lost_answers(600);
    let now = pair.now;
    pair.connect();
    let hello = pair.client().poll_transmit(now).unwrap();
    pair.inject(Side::Server, hello);
    pair.ends[Side::Client as usize].takes = false;
    pair.ends[Side::Client as usize].hears = false;
    pair.sent(Side::Server);
    pair.run();
    let sent = pair.sent(Side::Server);
    let last_answer =
        sent.iter().rposition(|it| matches!(it, Envelope::Sequenced(_, Sequenced::Response { .. })));
    let credit = |it: &Envelope| matches!(it, Envelope::Control(Control::Credit(Credit::Calls { .. })));
    assert!(last_answer.unwrap() < sent.iter().position(credit).unwrap(), "{sent:?}");
    // And so the calls that waited find places.
    pair.ends[Side::Client as usize].takes = true;
    pair.ends[Side::Client as usize].hears = true;
    pair.run();
    let answers = pair.events(Side::Client);
    let all = answers.iter().filter(|it| matches!(it, Event::Response { result: Ok(_), .. })).count();
    let failed = answers.iter().any(|it| matches!(it, Event::Response { result: Err(_), .. }));
    assert_eq!((all, failed), (2, false), "{answers:?}");
    for call in pair.events(Side::Server) {
        if let Event::Call(call) = call {
            respond(&mut pair, call.call, "y");
        }
    }
    pair.events(Side::Client);
    assert_empty(&mut pair);
}

/// The announcement of a large payload came last in a message that was full already, and its first chunk on top.
#[test]
fn a_message_that_is_full_gets_no_chunk_on_top() {
    let limits = Limits { message_out: 10_000, ..at_once() };
    let mut pair = live(Config { limits, ..serving() }, serving());
    let now = pair.now;
    ask(&mut pair, request(UNARY, vec![0; 200_000]));
    ask(&mut pair, request(UNARY, vec![0; 9_000]));
    ask(&mut pair, request(UNARY, vec![0; 65_000]));
    let mut chunks = 0;
    while let Some(message) = pair.client().poll_transmit(now) {
        assert!(message.len() < 10_000 + 65_536 + 100, "{}", message.len());
        let is_chunk = |it: &Envelope| matches!(it, Envelope::Sequenced(_, Sequenced::Chunk(_)));
        chunks += decode(message).into_iter().filter(is_chunk).count();
    }
    assert!(chunks > 10);
}

/// The link was lost between the look at the credit and the item that was made because of it: the item vanished.
#[test]
fn an_item_that_is_sent_after_the_link_was_lost_arrives() {
    for (method, side) in [(SERVER_STREAM, Side::Server), (CLIENT_STREAM, Side::Client)] {
        let mut pair = pair();
        let (own, call) = open(&mut pair, method);
        let (sender, reader) = if side == Side::Server { (call, own) } else { (own, call) };
        assert!(pair.session(side).capacity(sender).is_some());
        pair.cut();
        let now = pair.now;
        assert!(pair.session(side).capacity(sender).is_none(), "no further one is asked for");
        pair.session(side).send_item(now, sender, "late".into());
        pair.session(side).send_gap(now, sender, 3);
        pair.connect();
        pair.run();
        assert_eq!(item(&mut pair, side.other(), reader), b"late");
        assert!(matches!(read(&mut pair, side.other(), reader), Read::Gap(3)));
    }
}

/// Such an item counted as if a further one could follow at once, so the writer, which waited for the next link, was never
/// told that it had come: an upload stood still until its deadline.
#[test]
fn a_writer_is_told_of_the_next_link_after_such_an_item() {
    for (method, side) in [(SERVER_STREAM, Side::Server), (CLIENT_STREAM, Side::Client)] {
        let mut pair = pair();
        let (own, call) = open(&mut pair, method);
        let sender = if side == Side::Server { call } else { own };
        pair.cut();
        let now = pair.now;
        pair.session(side).send_item(now, sender, "late".into());
        pair.events(side);
        pair.connect();
        pair.run();
        let told = |event: &Event| matches!(event, Event::Writable { call } if *call == sender);
        assert!(pair.events(side).iter().any(told));
    }
}
