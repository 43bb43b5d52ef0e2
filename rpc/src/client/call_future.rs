use std::fmt;
use std::marker::PhantomData;
use std::pin::Pin;
use std::task::{Context, Poll};

use bowline_protocol::codec::{Buffer, Codec, DecodePayloadError, Output, Payload, View, ViewPayload};
use bowline_protocol::schema::ServiceDescriptor;
use futures_core::Stream;

use super::CallKey;
use super::exchange::Exchange;
use super::prepared::Prepared;
use super::setters::setters;
use crate::reply::Outcome;
use crate::stream::{Item, Upload};
use crate::{CallError, Channel, Reply, error};

/// A unary call or client stream; `R` is what the trait's method returns.
///
/// Nothing is sent before the first poll; the deadline counts from there. Dropping it withdraws the call, and the
/// handler is dropped at the other end (that of a `once` method runs to its end). Whether the call may
/// be sent again when its session is lost is the method's to say (`idempotent`, `once`); any other ends with what is known
/// about it. It is `'static`, `Send` and `Unpin`: spawn it, join it, select on it by `&mut`.
///
/// A call of an `idempotent` method that the other end answers with [`CallError::Unavailable`] is made again, below the
/// caller's layers, which see one call: at most 3 times, after pauses of 0 to 0.1 s, 0.2 s and 0.4 s by chance, or as
/// long as the answer asks for. All of that is within the deadline; a retry that would come too late is not waited for.
/// A session has 10 retries, and gets one back for every 10 calls of such methods that succeed.
///
/// # Errors
///
/// [`CallError`]; the method's own error is [`CallError::Application`].
#[must_use = "a call does nothing until it is awaited"]
pub struct CallFuture<R: Output> {
    core: Core,
    result: PhantomData<fn() -> R>,
}

impl<R: Output> CallFuture<R> {
    /// Describes a unary call. Generated code calls this.
    pub fn new<A: Payload>(
        channel: &Channel,
        service: &'static ServiceDescriptor,
        method: usize,
        arguments: &A,
    ) -> Self {
        Self::from_prepared(Prepared::new(channel, service, method, arguments, None))
    }

    /// Describes a client stream. Generated code calls this.
    pub fn with_upload<A: Payload, S>(
        channel: &Channel,
        service: &'static ServiceDescriptor,
        method: usize,
        arguments: &A,
        upload: S,
    ) -> Self
    where
        S: Stream + Send + 'static,
        S::Item: Item,
    {
        let upload = Some(Upload::new(upload));
        Self::from_prepared(Prepared::new(channel, service, method, arguments, upload))
    }

    /// Leaves the answer where it arrived and reads it in place.
    pub fn view(self) -> ViewFuture<R>
    where
        R::Ok: ViewPayload,
    {
        ViewFuture { core: self.core, result: PhantomData }
    }

    /// What the call asks, for a cache; `None` once it was polled.
    pub fn key(&self) -> Option<CallKey> {
        self.core.exchange.prepared().map(Prepared::key)
    }

    /// What the call will go to; `None` once it was polled.
    pub fn channel(&self) -> Option<Channel> {
        self.core.exchange.prepared()?.channel().cloned()
    }

    fn from_prepared(prepared: Prepared) -> Self {
        Self { core: Core::new(prepared), result: PhantomData }
    }

    fn edit(&mut self, edit: impl FnOnce(&mut Prepared)) {
        self.core.exchange.edit(edit);
    }
}

setters!(unary [R: Output] CallFuture<R>);

impl<R: Output> Future for CallFuture<R> {
    type Output = Result<R::Ok, CallError<R::Err>>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.core.poll(cx, |codec, buffer| R::Ok::decode(codec, &buffer))
    }
}

impl<R: Output> fmt::Debug for CallFuture<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.core.debug(f, "CallFuture")
    }
}

/// A call whose answer is read in place; from [`CallFuture::view`].
///
/// # Errors
///
/// As [`CallFuture`].
#[must_use = "a call does nothing until it is awaited"]
pub struct ViewFuture<R: Output>
where
    R::Ok: ViewPayload,
{
    core: Core,
    result: PhantomData<fn() -> R>,
}

setters!(unary [R: Output] ViewFuture<R> where [R::Ok: ViewPayload]);

impl<R: Output> ViewFuture<R>
where
    R::Ok: ViewPayload,
{
    fn edit(&mut self, edit: impl FnOnce(&mut Prepared)) {
        self.core.exchange.edit(edit);
    }
}

impl<R: Output> Future for ViewFuture<R>
where
    R::Ok: ViewPayload,
{
    type Output = Result<View<R::Ok>, CallError<R::Err>>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.core.poll(cx, View::decode)
    }
}

impl<R: Output> fmt::Debug for ViewFuture<R>
where
    R::Ok: ViewPayload,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.core.debug(f, "ViewFuture")
    }
}

/// What both futures share.
struct Core {
    exchange: Exchange,
    service: &'static ServiceDescriptor,
    method: usize,
}

impl Core {
    fn new(prepared: Prepared) -> Self {
        let (service, method) = (prepared.service(), prepared.method());
        Self { exchange: Exchange::new(prepared), service, method }
    }

    fn poll<T, E: Payload>(
        &mut self,
        cx: &mut Context<'_>,
        decode: impl FnOnce(Codec, Buffer) -> Result<T, DecodePayloadError>,
    ) -> Poll<Result<T, CallError<E>>> {
        let reply = std::task::ready!(self.exchange.poll(cx));
        let name = || error::name(self.service, &self.service.methods[self.method]);
        // Each end is written where the caller has it: put together first, it would be moved.
        match reply.0 {
            Outcome::Value(codec, buffer) => match decode(codec, buffer) {
                Ok(value) => Poll::Ready(Ok(value)),
                Err(cause) => Poll::Ready(Err(error::unreadable(codec, "answer", &name(), &cause))),
            },
            other => Poll::Ready(Err(failure(Reply(other), &name, E::decode))),
        }
    }

    fn debug(&self, f: &mut fmt::Formatter<'_>, future: &str) -> fmt::Result {
        f.debug_struct(future)
            .field("service", &self.service.name)
            .field("method", &self.service.methods[self.method].name)
            .finish_non_exhaustive()
    }
}

/// The error in a reply that is not the value it should be.
pub(crate) fn failure<E>(
    reply: Reply,
    name: &dyn Fn() -> String,
    decode: fn(Codec, &[u8]) -> Result<E, DecodePayloadError>,
) -> CallError<E> {
    match reply.0 {
        Outcome::Application(codec, buffer) => match decode(codec, &buffer) {
            Ok(error) => CallError::Application(error),
            Err(cause) => error::unreadable(codec, "error", &name(), &cause),
        },
        Outcome::Failed(status, ending) => CallError::from_ending(status, ending),
        // A layer answered with another call's reply.
        _ => CallError::InvalidResponse(format!("the answer of `{}`", name())),
    }
}
