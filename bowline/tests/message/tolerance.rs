//! Attributes of serde that bend JSON, for ends of different versions, and leave archives alone.

use super::{Codec, decode, json, survives};

#[bowline::message]
#[derive(Debug, PartialEq)]
struct Old {
    user_name: String,
}

#[bowline::message]
#[derive(Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
struct New {
    #[serde(alias = "user_name")]
    user_name: String,
    #[serde(default)]
    age: Option<u8>,
    #[serde(default = "unknown")]
    city: String,
    #[serde(rename = "type")]
    kind: u8,
}

fn unknown() -> String {
    "unknown".into()
}

#[bowline::message]
#[derive(Debug, PartialEq)]
#[serde(tag = "kind", content = "data", rename_all = "snake_case")]
enum Tagged {
    PlainText(String),
    Nothing,
}

#[bowline::message]
#[derive(Debug, PartialEq)]
struct Flattened {
    id: u64,
    #[serde(flatten)]
    old: Old,
}

#[bowline::message]
#[derive(Debug, PartialEq)]
#[serde(transparent)]
struct Transparent {
    inner: u8,
}

#[bowline::message]
#[derive(Debug, PartialEq)]
#[serde(default)]
struct AllDefault {
    a: u8,
    b: String,
}

impl Default for AllDefault {
    fn default() -> Self {
        Self { a: 7, b: "b".into() }
    }
}

#[test]
fn a_newer_type_reads_what_an_older_one_wrote() {
    let written = json(&Old { user_name: "Ada".into() });
    let read: New =
        decode(Codec::Json, written.replace('}', r#","type":1,"unheard_of":[]}"#).as_bytes()).unwrap();
    assert_eq!(read, New { user_name: "Ada".into(), age: None, city: unknown(), kind: 1 });
    assert!(decode::<New>(Codec::Json, written.as_bytes()).is_err(), "`type` has no default");
}

#[test]
fn bent_json_survives_like_the_archive() {
    survives(New { user_name: "Ada".into(), age: Some(3), city: "here".into(), kind: 2 });
    survives(Tagged::PlainText("text".into()));
    survives(Tagged::Nothing);
    survives(Flattened { id: 1, old: Old { user_name: "Ada".into() } });
    survives(Transparent { inner: 3 });
    survives(AllDefault { a: 1, b: "c".into() });
    assert_eq!(decode::<AllDefault>(Codec::Json, b"{}").unwrap(), AllDefault::default());
    assert_eq!(json(&Transparent { inner: 3 }), "3");
    assert_eq!(json(&Tagged::PlainText("x".into())), r#"{"kind":"plain_text","data":"x"}"#);
    assert_eq!(
        json(&New { user_name: String::new(), age: None, city: String::new(), kind: 2 }),
        r#"{"userName":"","age":null,"city":"","type":2}"#
    );
}
