//! What ends compare before they trust each other's bytes: structural hashes of types, methods and services.

use std::time::Duration;

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
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum Retry {
    /// No: the caller is told what is known.
    #[default]
    Never,
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
