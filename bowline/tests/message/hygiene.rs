//! Expansions next to whatever an application may call its own.

/// Nothing of the prelude, and names of it that mean something else.
mod bare {
    #![no_implicit_prelude]
    #![deny(missing_docs)]
    #![allow(dead_code)]

    /// Not the usual one.
    #[::bowline::message]
    pub struct Vec;
    /// Not the usual one.
    #[::bowline::message]
    pub enum Option {
        /// A variant with a name of the prelude.
        Some,
        /// Another.
        None(Result),
    }
    /// Not the usual one.
    #[::bowline::message]
    pub struct Result {
        /// Not the usual one, either.
        pub string: String,
        /// The usual one.
        pub text: ::std::string::String,
    }
    /// Not the usual one.
    #[::bowline::message]
    pub struct String(pub u8);

    /// A check without a prelude.
    #[::bowline::message(try_from = u8)]
    pub struct Small(u8);

    impl ::std::convert::From<&Small> for u8 {
        fn from(small: &Small) -> u8 {
            small.0
        }
    }

    impl ::std::convert::TryFrom<u8> for Small {
        type Error = ::std::string::String;
        fn try_from(number: u8) -> ::std::result::Result<Self, ::std::string::String> {
            ::std::result::Result::Ok(Small(number))
        }
    }
}

/// The facade under another name.
mod renamed {
    #[bl::message(crate = bl)]
    #[derive(Debug, PartialEq)]
    pub struct Renamed {
        pub text: String,
        #[message(skip)]
        pub skipped: u8,
        pub at: Vec<chrono::DateTime<chrono::Utc>>,
        pub children: Vec<Renamed>,
    }

    #[bl::message(crate = "::bl")]
    #[derive(Debug, PartialEq)]
    pub enum Quoted {
        A(Renamed),
    }
}

/// Fields and parameters with the names that our own code uses.
#[bowline::message]
#[derive(Debug, Clone, PartialEq)]
struct Clashing<S, D> {
    hasher: u8,
    form: S,
    serializer: D,
    out: u8,
    resolver: u8,
}

/// The macro in scope under its short name, as the attribute of fields is called.
mod imported {
    use bowline::message;

    #[message]
    #[derive(Debug, PartialEq)]
    pub struct Imported {
        pub message: String,
        #[message(skip)]
        pub skipped: u8,
    }
}

#[test]
fn names_of_the_application_are_not_in_the_way() {
    let text = "text".to_owned();
    let renamed = renamed::Renamed { text: text.clone(), skipped: 0, at: Vec::new(), children: Vec::new() };
    super::survives(renamed::Quoted::A(renamed));
    super::survives(Clashing { hasher: 1, form: text.clone(), serializer: Some(1u8), out: 2, resolver: 3 });
    super::survives(imported::Imported { message: text.clone(), skipped: 0 });
    let bare = bare::Option::None(bare::Result { string: bare::String(1), text });
    assert_eq!(super::json(&bare), r#"{"None":{"string":1,"text":"text"}}"#);
    assert_eq!(super::json(&bare::Option::Some), r#""Some""#);
}
