//! Payload codecs: rkyv, validated and read in place, and JSON, which bends.
//!
//! [`Payload`] is implemented for everything that `#[message]` or a built-in [`Schema`](crate::schema::Schema)
//! describes; it keeps the bounds of both codecs out of every signature.

/// How a payload is encoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Codec {
    /// rkyv's archive, for ends that were built with the same types.
    Rkyv,
    /// JSON, for ends that were not.
    Json,
}
