use std::convert::Infallible;

use super::{Payload, View, ViewPayload};

/// What a method may return: a message, or a `Result` of one whose error is a message too.
///
/// Asked of the type, so that an alias of `Result` works like `Result`. Here and not where calls are, because only the
/// crate that owns [`Payload`] may say that no `Result` is one.
#[diagnostic::on_unimplemented(
    message = "a method cannot return `{Self}`",
    label = "neither a message nor a `Result` of messages",
    note = "put `#[bowline::message]` on the type, and on the error's"
)]
pub trait Output {
    /// What a call that succeeds gives.
    type Ok: Payload;
    /// The method's own error; [`Infallible`] where it has none.
    type Err: Payload;

    /// The value or the error.
    ///
    /// # Errors
    ///
    /// The method's own.
    fn into_result(self) -> Result<Self::Ok, Self::Err>;
}

#[diagnostic::do_not_recommend]
impl<T: Payload> Output for T {
    type Ok = T;
    type Err = Infallible;

    fn into_result(self) -> Result<T, Infallible> {
        Ok(self)
    }
}

impl<T: Payload, E: Payload> Output for Result<T, E> {
    type Ok = T;
    type Err = E;

    fn into_result(self) -> Self {
        self
    }
}

/// What a method may take: a message, or a [`View`] of one. On the wire both are the message.
pub trait Argument {
    /// What the caller passes.
    type Wire: Payload;
}

#[diagnostic::do_not_recommend]
impl<T: Payload> Argument for T {
    type Wire = T;
}

impl<T: ViewPayload> Argument for View<T> {
    type Wire = T;
}
