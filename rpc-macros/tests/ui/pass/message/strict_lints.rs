//! What careful applications deny is not brought in by the expansion.
#![forbid(unsafe_code)]
#![deny(missing_docs, unused, unreachable_pub, private_bounds, private_interfaces, nonstandard_style, future_incompatible)]

mod private {
    /// A message inside of a module.
    #[bowline::message]
    #[derive(Debug, Clone)]
    pub(crate) struct Inner {
        /// A field.
        pub(crate) id: u64,
        #[message(skip)]
        pub(crate) skipped: Option<String>,
        children: Vec<Inner>,
    }

    impl Inner {
        pub(crate) fn new(id: u64) -> Self {
            Self { id, skipped: None, children: Vec::new() }
        }
    }
}

/// A public message with a private part.
#[bowline::message]
#[derive(Debug)]
pub struct Outer {
    inner: private::Inner,
    /// A field of its own.
    pub kind: Kind,
}

/// An enum.
#[bowline::message]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// One.
    One,
    /// Two.
    Two,
}

/// A type with a check.
#[bowline::message(try_from = u8)]
#[derive(Debug, Clone, Copy)]
pub struct Percent(u8);

impl From<&Percent> for u8 {
    fn from(percent: &Percent) -> Self {
        percent.0
    }
}

impl TryFrom<u8> for Percent {
    type Error = String;

    fn try_from(number: u8) -> Result<Self, String> {
        if number <= 100 { Ok(Self(number)) } else { Err(format!("{number} is above 100")) }
    }
}

fn main() {
    let outer = Outer { inner: private::Inner::new(1), kind: Kind::Two };
    assert_eq!((outer.inner.id, outer.inner.skipped, outer.kind), (1, None, Kind::Two));
    assert!(Percent::try_from(101).is_err() && Kind::One != Kind::Two);
}
