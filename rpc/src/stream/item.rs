use std::marker::PhantomData;

use bowline_protocol::codec::{Codec, EncodeError, Output, Payload};
use bytes::Bytes;

use crate::topic::Shared;

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

    /// Encodes the item.
    ///
    /// # Errors
    ///
    /// What [`Payload::encode`] says.
    fn encode(self, codec: Codec) -> Result<Encoded, EncodeError>;
}

/// An encoded item.
#[derive(Debug, Clone)]
pub enum Encoded {
    /// A value.
    Value(Bytes),
    /// The error that ends the stream.
    Error(Bytes),
}

#[diagnostic::do_not_recommend]
impl<T: Output + Send + 'static> Item for T {
    type Owned = T::Ok;
    type Error = T::Err;

    fn encode(self, codec: Codec) -> Result<Encoded, EncodeError> {
        let mut bytes = Vec::new();
        match self.into_result() {
            Ok(value) => Payload::encode(&value, codec, &mut bytes).map(|()| Encoded::Value(bytes.into())),
            Err(error) => Payload::encode(&error, codec, &mut bytes).map(|()| Encoded::Error(bytes.into())),
        }
    }
}

impl<T: Payload> Item for Shared<T> {
    type Owned = T;
    type Error = std::convert::Infallible;

    fn encode(self, codec: Codec) -> Result<Encoded, EncodeError> {
        self.encoded(codec).map(Encoded::Value)
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
