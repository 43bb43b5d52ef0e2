//! Payload codecs: rkyv, validated and read in place, and JSON, which bends.
//!
//! [`Payload`] is implemented for everything that `#[message]` or a built-in [`Schema`](crate::schema::Schema)
//! describes; it keeps the bounds of both codecs out of every signature. A value means the same in both: what one
//! of them can't carry (a number that is not finite in JSON) is an error when it is encoded, never another value.

mod archive;
mod arguments;
mod buffer;
mod encoded;
mod error;
mod json;
mod output;
mod payload;
mod strict;
mod view;
pub mod with;

pub use arguments::Arguments;
pub use buffer::{Aligned, Buffer};
pub use encoded::{encoded, encoded_alone};
pub use error::{DecodePayloadError, EncodeError};
pub use output::{Argument, Output};
pub use payload::Payload;
pub use view::{View, ViewPayload};

/// How deep a payload may nest, in either codec.
///
/// In JSON each array and each object counts; in rkyv each reference from one part of the archive to another (a
/// box, a list, a long string). A deeper one is refused, because both codecs are read by recursion and the stack is
/// finite. Source: the limit that the JSON parser has.
pub const MAX_DEPTH: usize = 127;

/// How a payload is encoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Codec {
    /// rkyv's archive, for ends that were built with the same types.
    Rkyv,
    /// JSON, for ends that were not.
    Json,
}
