//! Values through both codecs: what comes out is what went in, or an error.

#![allow(clippy::unwrap_used, reason = "a helper of tests that fails them")]

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet, VecDeque};
use std::convert::Infallible;
use std::fmt::Debug;
use std::time::Duration;

use bowline_protocol::codec::{
    Arguments, Buffer, Codec, DecodePayloadError, EncodeError, MAX_DEPTH, Payload,
};
use bowline_protocol::schema::{Hasher, Schema};
use bytes::Bytes;
use proptest::prelude::*;
use rkyv::{Archive, Deserialize, Serialize};

const CODECS: [Codec; 2] = [Codec::Rkyv, Codec::Json];

fn encode<T: Payload>(codec: Codec, value: &T) -> Bytes {
    let mut out = Vec::new();
    value.encode(codec, &mut out).unwrap();
    out.into()
}

fn decode<T: Payload>(codec: Codec, bytes: &[u8]) -> Result<T, DecodePayloadError> {
    T::decode(codec, &Buffer::Small(Bytes::copy_from_slice(bytes)))
}

#[track_caller]
fn survives<T: Payload + PartialEq + Debug>(value: T) {
    for codec in CODECS {
        let bytes = encode(codec, &value);
        assert_eq!(decode::<T>(codec, &bytes).unwrap(), value, "{codec:?}");
    }
    let arguments = Arguments::new(&value).unwrap();
    let json = arguments.to_codec(Codec::Json).unwrap();
    assert_eq!(decode::<T>(Codec::Json, &json).unwrap(), value, "recoded");
}

type Rich = (
    String,
    Vec<(u8, Option<String>)>,
    HashMap<String, Vec<u64>>,
    BTreeMap<i16, Box<str>>,
    Option<Box<(i128, char)>>,
);

fn rich() -> impl Strategy<Value = Rich> {
    (
        any::<String>(),
        any::<Vec<(u8, Option<String>)>>(),
        any::<HashMap<String, Vec<u64>>>(),
        prop::collection::btree_map(any::<i16>(), any::<String>().prop_map(Into::into), 0..20),
        any::<Option<(i128, char)>>().prop_map(|pair| pair.map(Box::new)),
    )
}

proptest! {
    #[test]
    fn rich_values_survive_both_codecs(value in rich()) {
        survives(value);
    }

    #[test]
    fn finite_numbers_survive_to_the_last_bit(float in any::<f64>(), short in any::<f32>()) {
        if float.is_finite() && short.is_finite() {
            for codec in CODECS {
                let (a, b) = decode::<(f64, f32)>(codec, &encode(codec, &(float, short))).unwrap();
                prop_assert_eq!((a.to_bits(), b.to_bits()), (float.to_bits(), short.to_bits()));
            }
        }
    }

    #[test]
    fn sets_and_lists_survive_both_codecs(
        set in any::<HashSet<u32>>(),
        ordered in any::<BTreeSet<String>>(),
        deque in any::<VecDeque<i8>>(),
        array in any::<[u16; 4]>(),
        duration in any::<Duration>(),
    ) {
        survives((set, ordered, deque, array, duration, array.to_vec().into_boxed_slice(), ()));
    }

    #[test]
    fn damaged_payloads_never_panic(
        value in rich(),
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
        keep in any::<prop::sample::Index>(),
    ) {
        for codec in CODECS {
            let mut bytes = encode(codec, &value).to_vec();
            let cut = keep.index(bytes.len() + 1);
            let _ = decode::<Rich>(codec, &bytes[..cut]);
            for (place, byte) in &damage {
                let place = place.index(bytes.len());
                bytes[place] = *byte;
            }
            let _ = decode::<Rich>(codec, &bytes);
            let _ = Rich::recode(&bytes);
        }
    }

    #[test]
    fn noise_never_panics(bytes in any::<Vec<u8>>()) {
        for codec in CODECS {
            let _ = decode::<Rich>(codec, &bytes);
            let _ = decode::<String>(codec, &bytes);
        }
    }

    #[test]
    fn an_archive_is_the_same_wherever_it_starts_and_is_read_wherever_it_lies(
        value in rich(),
        before in 0usize..40,
    ) {
        for codec in CODECS {
            let alone = encode(codec, &value.3);
            let mut out = vec![0xaa; before];
            value.3.encode(codec, &mut out).unwrap();
            prop_assert_eq!(&out[before..], &alone[..]);
            let buffer = Buffer::Small(Bytes::from(out).slice(before..));
            prop_assert_eq!(&BTreeMap::<i16, Box<str>>::decode(codec, &buffer).unwrap(), &value.3);
        }
    }
}

#[test]
fn every_alignment_is_read() {
    let value = vec![(1u128, "far behind the inline length".to_owned())];
    let archive = encode(Codec::Rkyv, &value);
    for offset in 0..32 {
        let mut padded = vec![0; offset];
        padded.extend_from_slice(&archive);
        let buffer = Buffer::Small(Bytes::from(padded).slice(offset..));
        assert_eq!(Payload::decode(Codec::Rkyv, &buffer).ok(), Some(value.clone()), "offset {offset}");
    }
}

#[test]
fn what_is_no_archive_is_an_error() {
    let archive = encode(Codec::Rkyv, &"a string that does not fit inline".to_owned());
    for len in 0..archive.len() {
        assert!(decode::<String>(Codec::Rkyv, &archive[archive.len() - len..]).is_err(), "{len} bytes");
    }
    let refused = decode::<bool>(Codec::Rkyv, &[2]);
    assert!(matches!(refused, Err(DecodePayloadError::Archive(_))));
    assert!(decode::<char>(Codec::Rkyv, &[0, 0xd8, 0, 0]).is_err());
}

#[test]
fn what_is_no_json_is_an_error() {
    for text in ["", "{", "nul", "1 2", "\"\u{0}\"", "[1,]", "-1", "256"] {
        let refused = decode::<u8>(Codec::Json, text.as_bytes());
        assert!(matches!(refused, Err(DecodePayloadError::Json(_))), "{text}");
    }
}

#[test]
fn numbers_that_are_not_finite_are_an_error_in_json_and_not_null() {
    #[track_caller]
    fn refused<T: Payload>(value: T) {
        let mut out = b"before".to_vec();
        assert!(matches!(value.encode(Codec::Json, &mut out), Err(EncodeError::NotFinite)));
        assert_eq!(out, b"before");
        let arguments = Arguments::new(&value).unwrap();
        assert!(matches!(arguments.to_codec(Codec::Json), Err(EncodeError::NotFinite)));
    }
    for float in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        refused(float);
        refused(float as f32);
        refused(Some(float));
        refused(vec![1.0, float]);
        refused((1u8, float));
        refused(HashMap::from([(1u8, float)]));
        refused([Box::new(Some(float))]);
    }
    let kept: f64 = decode(Codec::Rkyv, &encode(Codec::Rkyv, &f64::NAN)).unwrap();
    assert!(kept.is_nan());
}

#[test]
fn keys_that_json_cannot_write_would_be_an_error() {
    // Its schema refuses such a map at compile time; this is what would happen without.
    let map = HashMap::from([((1u8, 2u8), 3u8)]);
    assert!(matches!(map.encode(Codec::Json, &mut Vec::new()), Err(EncodeError::Json(_))));
}

/// Nests as deep as one likes: in JSON each level is an array, in an archive a list.
#[derive(Debug, PartialEq, Archive, Serialize, Deserialize, serde::Serialize, serde::Deserialize)]
#[rkyv(
    serialize_bounds(__S: rkyv::ser::Writer + rkyv::ser::Allocator, __S::Error: rkyv::rancor::Source),
    deserialize_bounds(__D::Error: rkyv::rancor::Source),
    bytecheck(bounds(__C: rkyv::validation::ArchiveContext, __C::Error: rkyv::rancor::Source))
)]
struct Deep(#[rkyv(omit_bounds)] Vec<Deep>);

impl Schema for Deep {
    const HASH: u128 = Hasher::new("deep").finish();
}

fn deep(levels: usize) -> Deep {
    (1..levels).fold(Deep(Vec::new()), |inner, _| Deep(vec![inner]))
}

#[test]
fn as_deep_as_allowed_survives_both_codecs() {
    survives(deep(MAX_DEPTH - 1));
    let json = encode(Codec::Json, &deep(MAX_DEPTH));
    assert!(decode::<Deep>(Codec::Json, &json).is_ok(), "the writer's bound is the parser's");
}

#[test]
fn deeper_than_allowed_is_an_error_at_the_writer_and_at_the_reader() {
    let too_deep = deep(MAX_DEPTH + 2);
    let mut out = Vec::new();
    assert!(matches!(too_deep.encode(Codec::Json, &mut out), Err(EncodeError::TooDeep)));
    assert!(out.is_empty());

    let text = format!("{}{}", "[".repeat(MAX_DEPTH + 1), "]".repeat(MAX_DEPTH + 1));
    assert!(decode::<Deep>(Codec::Json, text.as_bytes()).is_err());
    assert!(decode::<Deep>(Codec::Rkyv, &encode(Codec::Rkyv, &too_deep)).is_err());
}

#[test]
fn a_far_too_deep_archive_does_not_exhaust_the_stack() {
    // Written by hand, as only an attacker would: each list of one element is an offset back to the one before.
    let mut archive = Vec::new();
    for level in 0..100_000_i32 {
        let (offset, len): (i32, u32) = if level == 0 { (0, 0) } else { (-8, 1) };
        archive.extend_from_slice(&offset.to_le_bytes());
        archive.extend_from_slice(&len.to_le_bytes());
    }
    let levels = 20;
    assert_eq!(decode::<Deep>(Codec::Rkyv, &archive[..levels * 8]).unwrap(), deep(levels));
    assert!(decode::<Deep>(Codec::Rkyv, &archive).is_err());
}

#[test]
fn a_method_that_cannot_fail_has_no_error_to_decode() {
    for codec in CODECS {
        assert!(decode::<Infallible>(codec, b"null").is_err());
    }
    assert!(matches!(Infallible::recode(&[]), Err(EncodeError::Recode(_))));
}

#[test]
fn an_archive_that_is_none_is_not_recoded() {
    assert!(matches!(String::recode(&[1, 2, 3]), Err(EncodeError::Recode(_))));
}

#[test]
fn errors_read_as_sentences_and_keep_their_cause() {
    use std::error::Error;

    let error = decode::<u8>(Codec::Json, b"\"x\"").unwrap_err();
    assert_eq!(error.to_string(), "the payload is not valid JSON of its type");
    assert!(error.source().unwrap().to_string().contains("expected u8"));
    let error = decode::<bool>(Codec::Rkyv, &[7]).unwrap_err();
    assert_eq!(error.to_string(), "the payload is not a valid archive of its type");
    assert!(error.source().unwrap().to_string().contains('7'));
    assert_eq!(EncodeError::TooDeep.to_string(), "the value nests deeper than 127 levels");
}
