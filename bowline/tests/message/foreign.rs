#![allow(clippy::unwrap_used, reason = "a helper of tests that fails them")]

use std::collections::{BTreeMap, HashMap};

use chrono::{DateTime, NaiveDate, NaiveDateTime, NaiveTime, Utc};
use proptest::prelude::*;
use uuid::Uuid;

use super::{Codec, decode, encode, json, survives};

#[bowline::message]
#[derive(Debug, Clone, PartialEq)]
struct Event {
    id: Uuid,
    at: DateTime<Utc>,
    until: Option<chrono::DateTime<chrono::Utc>>,
    day: NaiveDate,
    local: NaiveDateTime,
    time: chrono::NaiveTime,
    others: Vec<DateTime<Utc>>,
    days: BTreeMap<u8, NaiveDate>,
    pair: [NaiveDate; 2],
    data: serde_json::Value,
    nested: HashMap<String, Vec<serde_json::Value>>,
    names: HashMap<Uuid, String>,
}

#[bowline::message]
#[derive(Debug, PartialEq)]
enum Change {
    Moved { to: DateTime<Utc> },
    Noted(serde_json::Value),
}

fn time() -> impl Strategy<Value = DateTime<Utc>> {
    let (first, last) = (DateTime::<Utc>::MIN_UTC.timestamp(), DateTime::<Utc>::MAX_UTC.timestamp());
    (first..=last, 0u32..1_000_000_000)
        .prop_map(|(seconds, nanoseconds)| DateTime::from_timestamp(seconds, nanoseconds).unwrap())
}

fn value() -> impl Strategy<Value = serde_json::Value> {
    let leaf = prop_oneof![
        Just(serde_json::Value::Null),
        any::<bool>().prop_map(Into::into),
        any::<i64>().prop_map(Into::into),
        any::<u64>().prop_map(Into::into),
        prop::num::f64::NORMAL.prop_map(Into::into),
        any::<String>().prop_map(Into::into),
    ];
    leaf.prop_recursive(3, 16, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Into::into),
            prop::collection::hash_map(any::<String>(), inner, 0..4)
                .prop_map(|map| map.into_iter().collect::<serde_json::Map<_, _>>().into()),
        ]
    })
}

fn event() -> impl Strategy<Value = Event> {
    (
        (any::<u128>(), time(), prop::option::of(time()), prop::collection::vec(time(), 0..3)),
        (value(), prop::collection::hash_map(any::<String>(), prop::collection::vec(value(), 0..2), 0..3)),
        any::<HashMap<u128, String>>(),
    )
        .prop_map(|((id, at, until, others), (data, nested), names)| Event {
            id: Uuid::from_u128(id),
            at,
            until,
            day: at.date_naive(),
            local: at.naive_utc(),
            time: at.time(),
            days: [(1, at.date_naive())].into(),
            pair: [at.date_naive(); 2],
            others,
            data,
            nested,
            names: names.into_iter().map(|(id, name)| (Uuid::from_u128(id), name)).collect(),
        })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn foreign_types_survive_to_the_last_digit(value in event()) {
        survives(value);
    }
}

#[test]
fn foreign_types_in_enums_survive() {
    survives(Change::Moved { to: DateTime::from_timestamp(1, 2).unwrap() });
    survives(Change::Noted(serde_json::json!({ "a": [1, null] })));
}

#[test]
fn json_has_the_foreign_types_own_form() {
    let moved = Change::Moved { to: DateTime::from_timestamp(0, 0).unwrap() };
    assert_eq!(json(&moved), r#"{"Moved":{"to":"1970-01-01T00:00:00Z"}}"#);
    assert_eq!(json(&Change::Noted(serde_json::json!([1]))), r#"{"Noted":[1]}"#);
}

#[test]
fn times_that_do_not_exist_are_refused() {
    #[bowline::message]
    struct Time {
        time: NaiveTime,
    }
    #[bowline::message]
    struct Numbers {
        time: (u32, u32),
    }
    let archive = encode(Codec::Rkyv, &Numbers { time: (86_400, 0) });
    assert!(decode::<Time>(Codec::Rkyv, &archive).is_err());
    let archive = encode(Codec::Rkyv, &Numbers { time: (86_399, 0) });
    assert!(decode::<Time>(Codec::Rkyv, &archive).is_ok());
}

#[test]
fn json_text_that_is_none_is_refused() {
    let archive = encode(Codec::Rkyv, &Texts { data: "{".into() });
    assert!(decode::<Data>(Codec::Rkyv, &archive).is_err());
}

#[bowline::message]
struct Data {
    data: serde_json::Value,
}

#[bowline::message]
struct Texts {
    data: String,
}
