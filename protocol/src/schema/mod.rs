//! What ends compare before they trust each other's bytes: structural hashes of types, methods and services.

mod form;
mod format;
mod hasher;
mod types;
mod wire;

use std::time::Duration;

pub use form::Form;
pub use format::FORMAT_HASH;
pub use hasher::Hasher;

/// The structure of a type as one number: what two ends compare before they read each other's archives.
///
/// `#[message]` implements it from field names, types and order, down to the last field. The name of a type, its docs
/// and what serde makes of it are not part of it.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot cross the wire: put `#[bowline::message]` on it",
    label = "has no schema",
    note = "foreign types: `uuid::Uuid`, `chrono::DateTime<Utc>` and `serde_json::Value` (written with the crate's name) \
            cross with bowline's features `uuid`, `chrono` and `json`; any other with \
            `#[message(with = .., schema = \"name/1\")]` on the field",
    note = "`usize` and `isize` differ between machines: use `u64`, `u32`, `i64` or `i32`"
)]
pub trait Schema {
    /// The hash of the structure.
    const HASH: u128;
    /// The hash as seen from one `#[message(recursive)]` field away.
    ///
    /// A type's hash may not contain itself. Past a marked field the fold therefore goes on with these, which end at
    /// the third mark instead of going round: everything within two marks of a type is still part of its hash.
    #[doc(hidden)]
    const PAST_ONE: u128 = Self::HASH;
    /// The hash as seen from two marked fields away.
    #[doc(hidden)]
    const PAST_TWO: u128 = Self::PAST_ONE;
    /// What containers have to know about it.
    #[doc(hidden)]
    const FORM: Form = Form::PLAIN;
}

/// Stands in a schema where a type contains itself.
#[doc(hidden)]
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Itself;

impl Schema for Itself {
    const HASH: u128 = Hasher::new("itself").finish();
    // It names a member of a JSON object only if the type does, which a type that contains itself never does.
    const FORM: Form = Form::PLAIN;
}

/// A service as the macro describes it.
#[derive(Debug)]
pub struct ServiceDescriptor {
    /// The trait's name.
    pub name: &'static str,
    /// Its methods, in the order of the trait.
    pub methods: &'static [MethodDescriptor],
}

/// A method as the macro describes it.
#[derive(Debug)]
pub struct MethodDescriptor {
    /// The method's name, without `r#`.
    pub name: &'static str,
    /// What kind of call it is.
    pub kind: MethodKind,
    /// What may happen to the call when its outcome is not known.
    pub retry: Retry,
    /// A hash over the types of its arguments, results, errors and items, and over rkyv's format settings.
    pub hash: u128,
    /// `deadline = ".."` of the attribute.
    pub deadline: Option<Duration>,
    /// `lag = ".."` of the attribute.
    pub lag: Lag,
}

/// The six kinds of calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum MethodKind {
    /// One request, one response.
    Unary,
    /// One request, a stream of items back.
    ServerStream,
    /// A stream of items, one response.
    ClientStream,
    /// Streams both ways.
    Bidirectional,
    /// One way, at most once, no response.
    Notify,
    /// A stream of which only the newest value matters.
    Watch,
}

/// Whether a call may be sent again when its outcome is not known.
///
/// The class is part of a method's contract. Where the ends were built with different ones, both count:
/// [`with_callee`](Self::with_callee).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum Retry {
    /// No: the caller is told what is known.
    #[default]
    Never,
    /// Yes: the handler may run more than once, which makes no difference to anybody.
    Idempotent,
    /// Yes: the call carries a key, and the callee answers a repeat with what the first run ended with.
    Once,
}

/// What a stream over a source that can't wait does with a slow reader.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Lag {
    /// The stream ends with `Lagged`.
    #[default]
    Close,
    /// Everything but the newest item is left out; the reader sees a gap.
    Latest,
    /// The oldest items are left out; the reader sees a gap.
    DropOldest,
}
