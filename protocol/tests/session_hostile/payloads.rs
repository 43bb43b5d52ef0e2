//! Large payloads, in chunks.

use bowline_protocol::envelope::{Chunk, Control, Credit, Envelope, Payload, Sequenced};
use bowline_protocol::limits::Limits;
use bowline_protocol::session::Config;
use bowline_protocol::status::{CloseCode, Code};

use crate::common::*;
use crate::hand::{Hand, item, mine, opening};

#[test]
fn a_late_large_payload_is_thrown_away_and_its_credit_comes_back() {
    let mut hand = Hand::live();
    hand.say_next(item(mine(5), Payload::Chunked { transfer: 0, len: 100_000 }));
    let credit = |hand: &mut Hand| {
        hand.heard().iter().any(|it| {
            matches!(it, Envelope::Control(Control::Credit(Credit::Assembly { total })) if *total == (1 << 24) + 100_000)
        })
    };
    assert!(credit(&mut hand));
    assert_eq!(hand.server.stats().held.assembly_bytes, 0);
    for _ in 0..2 {
        hand.say_next(Sequenced::Chunk(Chunk { transfer: 0, bytes: vec![0; 50_000].into() }));
    }
    assert_eq!(hand.server.stats().held.assembling, 0);
    assert!(hand.server.is_live());
}

#[test]
fn large_payloads_beyond_the_window_are_malformed() {
    let mut hand = Hand::live();
    for id in 0..2 {
        hand.say_next(Sequenced::Call(opening(id, UNARY, Payload::Chunked { transfer: id, len: 10 << 20 })));
    }
    assert_eq!(hand.closed(), CloseCode::MALFORMED);
    assert!(hand.server.stats().held.assembly_bytes <= 2 << 20);
    for len in [u64::MAX, u64::MAX / 2, (1 << 24) + 1] {
        let mut hand = Hand::live();
        hand.say_next(Sequenced::Call(opening(0, UNARY, Payload::Chunked { transfer: 0, len })));
        assert_eq!(hand.closed(), CloseCode::MALFORMED);
    }
}

#[test]
fn a_payload_above_the_limit_fails_its_call_alone() {
    let limits = Limits { payload_in: 100_000, ..Limits::default() };
    let mut hand = Hand::live_with(Config { limits, ..serving() });
    let payload = Payload::Chunked { transfer: 0, len: 200_000 };
    hand.say_next(Sequenced::Call(opening(0, UNARY, payload)));
    assert_eq!(hand.server.stats().held.assembly_bytes, 0);
    assert_eq!(hand.failed(0), Code::ResourceExhausted);
    assert!(hand.events().is_empty());
    // The caller may not know yet, and goes on; then it knows.
    hand.say_next(Sequenced::Chunk(Chunk { transfer: 0, bytes: vec![0; 50_000].into() }));
    hand.say_next(Sequenced::Cancel { call: mine(0) });
    assert_eq!(hand.server.stats().held.assembling, 0);
    hand.say_next(Sequenced::Call(opening(0, UNARY, Payload::Chunked { transfer: 0, len: 70_000 })));
    assert!(hand.server.is_live());
}

#[test]
fn chunks_that_belong_nowhere_are_malformed() {
    let chunk = |transfer, len| Sequenced::Chunk(Chunk { transfer, bytes: vec![0; len].into() });
    let mut hand = Hand::live();
    hand.say_next(chunk(0, 10));
    assert_eq!(hand.closed(), CloseCode::MALFORMED);
    let mut hand = Hand::live();
    hand.say_next(Sequenced::Call(opening(0, UNARY, Payload::Chunked { transfer: 0, len: 10 })));
    hand.say_next(chunk(0, 11));
    assert_eq!(hand.closed(), CloseCode::MALFORMED);
    let mut hand = Hand::live();
    hand.say_next(Sequenced::Call(opening(0, UNARY, Payload::Chunked { transfer: 0, len: 10 })));
    hand.say(Envelope::WatchChunk(Chunk { transfer: 0, bytes: vec![0; 5].into() }));
    assert_eq!(hand.closed(), CloseCode::MALFORMED);
    for transfer in [1024, u32::MAX] {
        let mut hand = Hand::live();
        hand.say_next(Sequenced::Call(opening(0, UNARY, Payload::Chunked { transfer, len: 10 })));
        assert_eq!(hand.closed(), CloseCode::MALFORMED);
    }
}

#[test]
fn two_large_payloads_of_one_number_are_malformed() {
    let mut hand = Hand::live();
    for id in 0..2 {
        hand.say_next(Sequenced::Call(opening(id, UNARY, Payload::Chunked { transfer: 0, len: 1000 })));
    }
    assert_eq!(hand.closed(), CloseCode::MALFORMED);
}
