use bowline_protocol::codec::{Codec, View};

use super::{CODECS, decode, encode, json};

const SECRET: &str = "correct horse battery staple";

/// Knows neither codec, and needs to know none.
#[derive(Debug, Clone, PartialEq, Default)]
struct Local;

#[bowline::message]
#[derive(Debug, PartialEq)]
struct User {
    name: String,
    #[message(skip)]
    password: String,
    #[message(skip)]
    local: Local,
    age: u8,
}

/// What [`User`] is on the wire.
#[bowline::message]
#[derive(Debug, PartialEq)]
struct Visible {
    name: String,
    age: u8,
}

#[bowline::message]
#[derive(Debug, PartialEq)]
struct Tuple(#[message(skip)] String, u8);

#[bowline::message]
#[derive(Debug, PartialEq)]
enum Login {
    Password {
        name: String,
        #[message(skip)]
        password: String,
    },
    Token(u8, #[message(skip)] String),
}

#[bowline::message]
#[derive(Debug, PartialEq)]
struct Generic<T> {
    #[message(skip)]
    cache: Option<T>,
    value: T,
}

fn user() -> User {
    User { name: "Ada".into(), password: SECRET.into(), local: Local, age: 36 }
}

#[track_caller]
fn is_absent(bytes: &[u8]) {
    // A part of it, too: short texts stand inside of an archive, longer ones apart.
    for part in [SECRET, "correct", "staple"] {
        assert!(!bytes.windows(part.len()).any(|window| window == part.as_bytes()));
    }
}

#[test]
fn a_skipped_field_is_in_the_bytes_of_neither_codec() {
    for codec in CODECS {
        is_absent(&encode(codec, &user()));
        is_absent(&encode(codec, &Tuple(SECRET.into(), 1)));
        is_absent(&encode(codec, &Login::Password { name: "Ada".into(), password: SECRET.into() }));
        is_absent(&encode(codec, &Login::Token(1, SECRET.into())));
        is_absent(&encode(codec, &Generic { cache: Some(SECRET.to_owned()), value: String::new() }));
        is_absent(&encode(codec, &vec![user()]));
    }
    assert_eq!(json(&user()), r#"{"name":"Ada","age":36}"#);
    assert_eq!(json(&Tuple(SECRET.into(), 1)), "[1]");
}

#[test]
fn a_skipped_field_leaves_no_place_in_the_archive() {
    let visible = Visible { name: "Ada".into(), age: 36 };
    assert_eq!(encode(Codec::Rkyv, &user()), encode(Codec::Rkyv, &visible));
}

#[test]
fn a_skipped_field_arrives_as_its_default() {
    let expected = User { password: String::new(), ..user() };
    for codec in CODECS {
        assert_eq!(decode::<User>(codec, &encode(codec, &user())).unwrap(), expected);
        let login = Login::Token(3, SECRET.into());
        assert_eq!(decode::<Login>(codec, &encode(codec, &login)).unwrap(), Login::Token(3, String::new()));
        let generic = Generic { cache: Some(1u8), value: 2 };
        let expected = Generic { cache: None, value: 2u8 };
        assert_eq!(decode::<Generic<u8>>(codec, &encode(codec, &generic)).unwrap(), expected);
    }
}

#[test]
fn a_peer_cannot_set_a_skipped_field() {
    let text = format!(r#"{{"name":"Ada","password":"{SECRET}","age":36}}"#);
    assert_eq!(decode::<User>(Codec::Json, text.as_bytes()).unwrap().password, "");
    let view =
        View::<User>::decode(Codec::Json, text.into_bytes().into_iter().collect::<bytes::Bytes>().into());
    assert_eq!(view.unwrap().to_owned().unwrap().password, "");
}
