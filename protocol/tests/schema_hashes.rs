//! Hashes of types: different where archives are, the same on every machine and in every release.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet, VecDeque};
use std::panic::catch_unwind;
use std::time::Duration;

use bowline_protocol::schema::{FORMAT_HASH, Form, Hasher, Schema};

#[test]
fn types_that_are_archived_differently_hash_differently() {
    let hashes = [
        bool::HASH,
        u8::HASH,
        u16::HASH,
        u32::HASH,
        u64::HASH,
        u128::HASH,
        i8::HASH,
        i16::HASH,
        i32::HASH,
        i64::HASH,
        i128::HASH,
        f32::HASH,
        f64::HASH,
        char::HASH,
        String::HASH,
        Box::<str>::HASH,
        <()>::HASH,
        Duration::HASH,
        std::num::NonZeroU8::HASH,
        std::net::IpAddr::HASH,
        Vec::<u8>::HASH,
        VecDeque::<u8>::HASH,
        Box::<[u8]>::HASH,
        Box::<u8>::HASH,
        Option::<u8>::HASH,
        Option::<Box<u8>>::HASH,
        Vec::<Vec<u8>>::HASH,
        HashSet::<u8>::HASH,
        BTreeSet::<u8>::HASH,
        HashMap::<u8, u16>::HASH,
        HashMap::<u16, u8>::HASH,
        BTreeMap::<u8, u16>::HASH,
        <(u8,)>::HASH,
        <(u8, u16)>::HASH,
        <(u16, u8)>::HASH,
        <((u8, u16),)>::HASH,
        <[u8; 2]>::HASH,
        <[u8; 3]>::HASH,
    ];
    let distinct: HashSet<_> = hashes.iter().collect();
    assert_eq!(distinct.len(), hashes.len());
}

#[test]
fn hashes_are_known_at_compile_time() {
    const HASH: u128 = <Vec<(String, Option<u64>)> as Schema>::HASH;
    static TABLE: [u128; 1] = [HASH];
    assert_eq!(TABLE[0], Vec::<(String, Option<u64>)>::HASH);
}

/// Ends of different releases compare these numbers: a change here makes all of them fall back to JSON.
#[test]
fn hashes_stay_what_they_are() {
    assert_eq!(format!("{:032x}", Hasher::new("").finish()), EMPTY);
    assert_eq!(format!("{:032x}", u64::HASH), U64);
    assert_eq!(format!("{:032x}", HashMap::<String, Vec<u8>>::HASH), MAP);
    assert_eq!(format!("{:032x}", FORMAT_HASH), FORMAT);
}

// Computed by a second implementation of the fold.
const EMPTY: &str = "9d30c1f78465995be47dda5e4e4e77ed";
const U64: &str = "e26a3fd8273843d82945a821c7a3aedb";
const MAP: &str = "0cc1ea7f460b4a8d5719873bff6627ca";
const FORMAT: &str = "fa5bde16928c48240652d46eee24a46b";

#[test]
fn parts_do_not_run_together() {
    assert_ne!(Hasher::new("a").str("bc").finish(), Hasher::new("ab").str("c").finish());
    assert_ne!(Hasher::new("a").str("").finish(), Hasher::new("a").finish());
    assert_ne!(Hasher::new("a").hash(1).finish(), Hasher::new("a").hash(1 << 64).finish());
    assert_ne!(Hasher::new("a").field("x", 1).finish(), Hasher::new("a").field("y", 1).finish());
}

#[test]
fn what_only_one_codec_could_carry_is_refused() {
    assert!(catch_unwind(|| <()>::FORM.assert_list()).is_err());
    assert!(catch_unwind(|| <[(); 3]>::FORM.assert_list()).is_err());
    assert!(catch_unwind(|| <[u8; 0]>::FORM.assert_list()).is_err());
    assert!(catch_unwind(|| <((), ())>::FORM.assert_list()).is_err());
    assert!(catch_unwind(|| Option::<u8>::FORM.assert_optional()).is_err());
    assert!(catch_unwind(|| <()>::FORM.assert_optional()).is_err());
    assert!(catch_unwind(|| Box::<Option<u8>>::FORM.assert_optional()).is_err());
    assert!(catch_unwind(|| <(u8, u8)>::FORM.assert_key()).is_err());
    assert!(catch_unwind(|| f64::FORM.assert_key()).is_err());
}

#[test]
fn what_both_codecs_carry_is_not_refused() {
    <((), u8)>::FORM.assert_list();
    Vec::<u8>::FORM.assert_list();
    Box::<()>::FORM.assert_list();
    Option::<()>::FORM.assert_list();
    Vec::<Option<u8>>::FORM.assert_optional();
    <(Option<u8>,)>::FORM.assert_optional();
    String::FORM.assert_key();
    u128::FORM.assert_key();
    Box::<str>::FORM.assert_key();
}

#[test]
fn a_check_inside_is_seen_from_outside() {
    struct Checked;
    impl Schema for Checked {
        const HASH: u128 = 1;
        const FORM: Form = Form::KEY.checking();
    }
    const { assert!(Vec::<Option<Box<[Checked; 2]>>>::FORM.checked) };
    const { assert!(HashMap::<Checked, u8>::FORM.checked) };
    const { assert!(BTreeMap::<u8, (u8, Checked)>::FORM.checked) };
    const { assert!(!BTreeMap::<u8, (u8, String)>::FORM.checked) };
}
