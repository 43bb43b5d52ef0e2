use bowline::{View, With};
use bowline_protocol::codec::{Buffer, Codec, EncodeError, Payload};

use super::{CODECS, decode, encode, json, survives};

#[bowline::message(try_from = String)]
#[derive(Debug, Clone, PartialEq)]
struct Email(String);

impl From<&Email> for String {
    fn from(email: &Email) -> Self {
        email.0.clone()
    }
}

impl TryFrom<String> for Email {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        if text.contains('@') { Ok(Self(text)) } else { Err("an address has an @") }
    }
}

#[bowline::message]
#[derive(Debug, PartialEq)]
struct Bounds {
    low: u8,
    high: u8,
}

#[bowline::message(try_from = "Bounds")]
#[derive(Debug, Clone, PartialEq)]
enum Interval {
    Empty,
    Some { low: u8, high: u8 },
}

impl From<&Interval> for Bounds {
    fn from(interval: &Interval) -> Self {
        match *interval {
            Interval::Empty => Self { low: 0, high: 0 },
            Interval::Some { low, high } => Self { low, high },
        }
    }
}

impl TryFrom<Bounds> for Interval {
    type Error = String;

    fn try_from(Bounds { low, high }: Bounds) -> Result<Self, String> {
        match (low, high) {
            (0, 0) => Ok(Self::Empty),
            (low, high) if low < high => Ok(Self::Some { low, high }),
            (low, high) => Err(format!("{low} is not below {high}")),
        }
    }
}

#[bowline::message(try_from = Vec<T>)]
#[derive(Debug, Clone, PartialEq)]
struct NonEmpty<T: Clone>(Vec<T>);

impl<T: Clone> From<&NonEmpty<T>> for Vec<T> {
    fn from(list: &NonEmpty<T>) -> Self {
        list.0.clone()
    }
}

impl<T: Clone> TryFrom<Vec<T>> for NonEmpty<T> {
    type Error = &'static str;

    fn try_from(list: Vec<T>) -> Result<Self, Self::Error> {
        if list.is_empty() { Err("empty") } else { Ok(Self(list)) }
    }
}

#[bowline::message]
#[derive(Debug, Clone, PartialEq)]
struct Contact {
    emails: NonEmpty<Email>,
    hours: Option<Interval>,
}

/// The same without a check: what an unfaithful peer would send.
#[bowline::message]
struct Unchecked {
    emails: Vec<String>,
    hours: Option<Bounds>,
}

fn contact() -> Contact {
    Contact {
        emails: NonEmpty(vec![Email("ada@example.org".into())]),
        hours: Some(Interval::Some { low: 1, high: 2 }),
    }
}

#[track_caller]
fn is_refused(unchecked: &Unchecked) {
    for codec in CODECS {
        let bytes = encode(codec, unchecked);
        assert!(decode::<Contact>(codec, &bytes).is_err(), "{codec:?}");
        assert!(View::<Contact>::decode(codec, bytes.clone().into()).is_err(), "view of {codec:?}");
    }
    let archive = encode(Codec::Rkyv, unchecked);
    assert!(matches!(Contact::recode(&archive), Err(EncodeError::Recode(_))));
}

#[test]
fn what_passes_its_check_survives() {
    survives(Email("ada@example.org".into()));
    survives(Interval::Empty);
    survives(contact());
    assert_eq!(json(&Email("a@b".into())), r#""a@b""#);
    assert_eq!(json(&Interval::Some { low: 1, high: 2 }), r#"{"low":1,"high":2}"#);
}

#[test]
fn checks_run_in_both_codecs_and_before_a_view() {
    is_refused(&Unchecked { emails: vec!["nobody".into()], hours: None });
    is_refused(&Unchecked { emails: vec![], hours: None });
    is_refused(&Unchecked { emails: vec!["a@b".into()], hours: Some(Bounds { low: 2, high: 1 }) });
    let fine = Unchecked { emails: vec!["a@b".into()], hours: Some(Bounds { low: 1, high: 2 }) };
    for codec in CODECS {
        assert!(View::<Contact>::decode(codec, encode(codec, &fine).into()).is_ok());
    }
}

#[test]
fn a_refusal_says_why() {
    use std::error::Error;

    for codec in CODECS {
        let error = decode::<Email>(codec, &encode(codec, &"nobody".to_owned())).unwrap_err();
        assert!(error.source().unwrap().to_string().contains("an address has an @"), "{codec:?}");
    }
}

/// A type that its crate taught neither codec.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Celsius(f64);

struct Thousandths;

impl With<Celsius> for Thousandths {
    type Wire = i64;
    type Error = String;

    fn to_wire(value: &Celsius) -> i64 {
        (value.0 * 1000.0).round() as i64
    }

    fn from_wire(wire: i64) -> Result<Celsius, String> {
        if wire < -273_150 { Err(format!("{wire} is below zero")) } else { Ok(Celsius(wire as f64 / 1000.0)) }
    }
}

struct AsList;

impl<T: Clone> With<std::rc::Rc<[T]>> for AsList {
    type Wire = Vec<T>;
    type Error = std::convert::Infallible;

    fn to_wire(value: &std::rc::Rc<[T]>) -> Vec<T> {
        value.to_vec()
    }

    fn from_wire(wire: Vec<T>) -> Result<std::rc::Rc<[T]>, Self::Error> {
        Ok(wire.into())
    }
}

#[bowline::message]
#[derive(Debug, PartialEq)]
struct Weather {
    #[message(with = Thousandths, schema = "thousandths/1")]
    temperature: Celsius,
    station: String,
}

#[bowline::message]
#[derive(Debug, PartialEq)]
enum Reading {
    At(#[message(with = Thousandths, schema = "thousandths/1")] Celsius, u64),
}

#[test]
fn a_field_of_a_foreign_type_crosses_as_what_its_wrapper_says() {
    survives(Weather { temperature: Celsius(21.5), station: "here".into() });
    survives(Reading::At(Celsius(-3.25), 7));
    assert_eq!(json(&Reading::At(Celsius(1.5), 7)), r#"{"At":[1500,7]}"#);

    let too_cold = r#"{"temperature":-300000,"station":""}"#;
    assert!(decode::<Weather>(Codec::Json, too_cold.as_bytes()).is_err());
    // Written by a type of the same structure that checks nothing.
    #[bowline::message]
    struct Loose {
        temperature: i64,
        station: String,
    }
    let archive = encode(Codec::Rkyv, &Loose { temperature: -300_000, station: String::new() });
    assert!(decode::<Weather>(Codec::Rkyv, &archive).is_err());
}

#[test]
fn a_wrapper_may_make_what_only_one_thread_uses() {
    // Not a payload, which has to be `Send`; but both codecs know it.
    #[bowline::message]
    struct Local {
        #[message(with = AsList, schema = "list/1")]
        shared: std::rc::Rc<[u8]>,
    }
    let local = Local { shared: vec![1, 2].into() };
    assert_eq!(serde_json::to_string(&local).unwrap(), r#"{"shared":[1,2]}"#);
}

#[bowline::message(try_from = Vec<u8>)]
#[derive(Debug, Clone, PartialEq)]
struct Sealed(Email);

impl From<&Sealed> for Vec<u8> {
    fn from(sealed: &Sealed) -> Self {
        encode(Codec::Rkyv, &sealed.0).to_vec()
    }
}

impl TryFrom<Vec<u8>> for Sealed {
    type Error = bowline_protocol::codec::DecodePayloadError;

    fn try_from(bytes: Vec<u8>) -> Result<Self, Self::Error> {
        Email::decode(Codec::Rkyv, &Buffer::Small(bytes.into())).map(Self)
    }
}

#[test]
fn a_check_may_decode_by_itself() {
    survives(Sealed(Email("ada@example.org, far longer than what fits inline".into())));
    survives(vec![Sealed(Email("a@b".into())), Sealed(Email("c@d".into()))]);
}
