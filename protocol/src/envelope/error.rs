use std::fmt;

use crate::status::CloseCode;

/// Why a message holds no envelopes that we understand. The link is closed with [`CloseCode::MALFORMED`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{kind}, at byte {offset} of the message")]
#[non_exhaustive]
pub struct DecodeError {
    /// Where in the message the field that is wrong begins.
    pub offset: usize,
    /// What is wrong with it.
    pub kind: DecodeErrorKind,
}

impl DecodeError {
    pub(super) const fn new(offset: usize, kind: DecodeErrorKind) -> Self {
        Self { offset, kind }
    }

    /// The code that a link is closed with over this.
    pub const fn close_code(&self) -> CloseCode {
        CloseCode::MALFORMED
    }
}

/// A [`DecodeError`] on its way out of the fields and envelopes that it was found in: beside it what each of them gives
/// stays as small as it is.
pub(super) type Failed = Box<DecodeError>;

#[cold]
pub(super) fn failed(offset: usize, kind: DecodeErrorKind) -> Failed {
    Box::new(DecodeError::new(offset, kind))
}

/// What is wrong with a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum DecodeErrorKind {
    /// The message holds nothing at all.
    EmptyMessage,
    /// The message ends inside an envelope.
    Truncated,
    /// The first byte of an envelope names no kind.
    UnknownKind(u8),
    /// A number is written with more bytes than it needs, or does not fit 64 bits.
    Varint,
    /// A number is too large for its field.
    OutOfRange(&'static str),
    /// Something is longer than its bound in [`bounds`](super::bounds).
    TooLong {
        /// What it is.
        what: &'static str,
        /// The bound.
        bound: usize,
    },
    /// Something that must not be empty is.
    Empty(&'static str),
    /// A text is not UTF-8.
    NotUtf8(&'static str),
    /// A byte that chooses between forms has a value without a form.
    UnknownValue {
        /// What it chooses.
        what: &'static str,
        /// The byte.
        value: u8,
    },
    /// A sequenced envelope states no number, and none stands before it in the message.
    NoSequence,
    /// A sequence number is 0, or follows the largest one.
    Sequence,
}

impl fmt::Display for DecodeErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::EmptyMessage => f.write_str("the message is empty"),
            Self::Truncated => f.write_str("the message ends inside an envelope"),
            Self::UnknownKind(byte) => write!(f, "{byte:#04x} is no kind of envelope"),
            Self::Varint => f.write_str("a number is not in its shortest form of at most 64 bits"),
            Self::OutOfRange(what) => write!(f, "the {what} is out of range"),
            Self::TooLong { what, bound } => write!(f, "the {what} exceeds {bound}"),
            Self::Empty(what) => write!(f, "the {what} is empty"),
            Self::NotUtf8(what) => write!(f, "the {what} is not UTF-8"),
            Self::UnknownValue { what, value } => write!(f, "{value:#04x} is no {what}"),
            Self::NoSequence => f.write_str("the first sequenced envelope states no sequence number"),
            Self::Sequence => f.write_str("the sequence number is 0 or follows the largest one"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_says_what_and_where() {
        let error = DecodeError::new(17, DecodeErrorKind::TooLong { what: "service name", bound: 256 });
        assert_eq!(error.to_string(), "the service name exceeds 256, at byte 17 of the message");
        assert_eq!(error.close_code(), CloseCode::MALFORMED);
        let error = DecodeError::new(0, DecodeErrorKind::UnknownKind(0x7f));
        assert_eq!(error.to_string(), "0x7f is no kind of envelope, at byte 0 of the message");
    }
}
