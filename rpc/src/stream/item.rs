use std::marker::PhantomData;

use bowline_protocol::codec::{Codec, EncodeError, Output, Payload};
use bytes::Bytes;

use crate::topic::Shared;

/// A shared value up to this length is copied behind its neighbours, since that costs less than a place of its own.
pub(super) const COPIED: usize = 1024;

/// What a stream may give: a message, `Result<Message, Error>` whose error is the last item, or [`Shared<Message>`](Shared).
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be the item of a stream",
    label = "neither a message, nor a `Result` of messages, nor a `Shared` message",
    note = "put `#[bowline::message]` on the type"
)]
pub trait Item: Send + 'static {
    /// What the reader gets.
    type Owned: Payload;
    /// The error that ends the stream; `Infallible` where there is none.
    type Error: Payload;

    /// Encodes the item, behind what is in `out`.
    ///
    /// # Errors
    ///
    /// What [`Payload::encode`] says.
    fn encode(self, codec: Codec, out: &mut Vec<u8>) -> Result<Encoded, EncodeError>;
}

/// What became of an item.
#[derive(Debug, Clone)]
pub enum Encoded {
    /// A value, which was appended.
    Appended,
    /// A value that others share; nothing was appended.
    Shared(Bytes),
    /// The error that ends the stream; nothing was appended.
    Error(Bytes),
}

#[diagnostic::do_not_recommend]
impl<T: Output + Send + 'static> Item for T {
    type Owned = T::Ok;
    type Error = T::Err;

    fn encode(self, codec: Codec, out: &mut Vec<u8>) -> Result<Encoded, EncodeError> {
        match self.into_result() {
            Ok(value) => Payload::encode(&value, codec, out).map(|()| Encoded::Appended),
            Err(error) => {
                let mut bytes = Vec::new();
                Payload::encode(&error, codec, &mut bytes).map(|()| Encoded::Error(bytes.into()))
            }
        }
    }
}

impl<T: Payload> Item for Shared<T> {
    type Owned = T;
    type Error = std::convert::Infallible;

    fn encode(self, codec: Codec, out: &mut Vec<u8>) -> Result<Encoded, EncodeError> {
        self.encoded(codec).map(|bytes| {
            // The first of many is sent as it is if no other follows: nothing is allocated then.
            if bytes.len() > COPIED || out.is_empty() {
                return Encoded::Shared(bytes.clone());
            }
            out.extend_from_slice(bytes);
            Encoded::Appended
        })
    }
}

/// Stands for `impl Stream<Item = X>` in the type that a stream method is asked about.
#[derive(Debug)]
pub struct Items<X>(PhantomData<fn() -> X>);

/// What a stream method may return, with [`Items`] for the stream: `Items<X>`, or `Result<Items<X>, E>`.
#[diagnostic::on_unimplemented(
    message = "a method cannot return the stream `{Self}`",
    label = "neither `impl Stream` nor a `Result` of one"
)]
pub trait StreamOutput {
    /// What the reader gets.
    type Item: Payload;
    /// What the stream may end with, or the call be refused with.
    type Err: Payload;
}

impl<X: Item> StreamOutput for Items<X> {
    type Item = X::Owned;
    type Err = X::Error;
}

impl<X: Item, E: Payload> StreamOutput for Result<Items<X>, E> {
    type Item = X::Owned;
    type Err = E;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_small_shared_value_is_copied_only_behind_another() {
        let value = Shared::new(7_u64);
        let mut out = Vec::new();
        let alone = value.clone().encode(Codec::Rkyv, &mut out).unwrap();
        assert!(matches!(alone, Encoded::Shared(bytes) if bytes.len() == 8));
        out.push(0);
        assert!(matches!(value.encode(Codec::Rkyv, &mut out), Ok(Encoded::Appended)));
        assert_eq!(out.len(), 9);
        let large = Shared::new("x".repeat(COPIED + 1));
        assert!(matches!(large.encode(Codec::Rkyv, &mut out), Ok(Encoded::Shared(_))));
    }
}
