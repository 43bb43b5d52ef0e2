//! The memory of a large payload holds the next one.
//!
//! In a process of its own, and each test with a kind of buffer of its own: what is kept belongs to the process.

mod common;

use std::ptr;

use bowline_protocol::codec::{Codec, encoded};
use bowline_test_support::Side;
use common::*;

const LEN: usize = 1024 * 1024;

/// Takes what the allocator has free: without it a block that was freed is likely to be the next one anyway.
fn taken() -> Vec<Vec<u8>> {
    (0..8).map(|_| Vec::with_capacity(LEN + 64 * 1024)).collect()
}

#[test]
fn arguments_are_encoded_where_the_ones_before_them_were() {
    let samples = vec![1.5_f32; LEN / 4];
    let first = encoded(Codec::Rkyv, &samples).unwrap();
    let (place, expected) = (first.as_ptr(), first.to_vec());
    drop(first);
    let _taken = taken();
    for _ in 0..3 {
        let next = encoded(Codec::Rkyv, &samples).unwrap();
        assert!(ptr::eq(next.as_ptr(), place));
        assert_eq!(next, expected);
        // What is held by somebody is not used for another.
        let beside = encoded(Codec::Rkyv, &samples).unwrap();
        assert!(!ptr::eq(beside.as_ptr(), place));
        drop(beside);
        drop(next);
    }
}

#[test]
fn payloads_are_assembled_where_the_ones_before_them_were() {
    let mut pair = pair();
    let mut upload = |byte| {
        call(&mut pair, UNARY, vec![byte; LEN]);
        let asked = incoming(&mut pair);
        respond(&mut pair, asked.call, "done");
        pair.events(Side::Client);
        asked.buffer
    };
    let first = upload(1);
    let place = first.as_ptr();
    let shared = first.clone();
    drop(first);
    let beside = upload(2);
    assert!(!ptr::eq(beside.as_ptr(), place), "a clone of it is left");
    assert_eq!(*shared, vec![1; LEN]);
    drop(beside);
    drop(shared);
    let _taken = taken();
    for byte in 3..6 {
        let next = upload(byte);
        assert!(ptr::eq(next.as_ptr(), place));
        assert_eq!(*next, vec![byte; LEN]);
    }
}
