use std::convert::Infallible;
use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

use bowline_protocol::codec::{Payload, View, ViewPayload};
use bowline_protocol::schema::ServiceDescriptor;
use futures_core::Stream;

use super::CallKey;
use super::call_future::failure;
use super::exchange::Exchange;
use super::prepared::Prepared;
use super::setters::setters;
use crate::reply::Outcome;
use crate::stream::{Decode, Item, Streaming, Upload};
use crate::{CallError, Channel, Reply, error};

/// A call whose answer is a stream of `T`; it ends when the other end accepted or refused it.
///
/// As with [`CallFuture`](crate::CallFuture) nothing is sent before the first poll, and dropping it withdraws the
/// call. The deadline bounds only the time until the stream is accepted.
///
/// # Errors
///
/// [`CallError`]; the method's own refusal is [`CallError::Application`].
#[must_use = "a call does nothing until it is awaited"]
pub struct StreamFuture<T, E = Infallible> {
    exchange: Exchange,
    key: CallKey,
    service: &'static ServiceDescriptor,
    method: usize,
    decode: Decode<T, E>,
}

impl<T: Payload, E: Payload> StreamFuture<T, E> {
    /// Describes a server stream or watch. Generated code calls this.
    pub fn new<A: Payload>(
        channel: &Channel,
        service: &'static ServiceDescriptor,
        method: usize,
        arguments: &A,
    ) -> Self {
        Self::from_prepared(Prepared::new(channel, service, method, arguments, None))
    }

    /// Describes a bidirectional call. Generated code calls this.
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

    /// Leaves each item where it arrived and reads it in place.
    pub fn view(self) -> StreamFuture<View<T>, E>
    where
        T: ViewPayload,
    {
        let Self { exchange, key, service, method, .. } = self;
        StreamFuture { exchange, key, service, method, decode: Decode::view() }
    }

    fn from_prepared(prepared: Prepared) -> Self {
        let key = prepared.key();
        let (service, method) = (prepared.service(), prepared.method());
        Self { exchange: Exchange::new(prepared), key, service, method, decode: Decode::owned() }
    }
}

impl<T, E> StreamFuture<T, E> {
    /// What the call asks, for a cache.
    pub fn key(&self) -> CallKey {
        self.key.clone()
    }

    fn edit(&mut self, edit: impl FnOnce(&mut Prepared)) {
        if let Some(prepared) = self.exchange.prepared() {
            edit(prepared);
        }
    }
}

setters!([T, E] StreamFuture<T, E>);

impl<T, E> Future for StreamFuture<T, E> {
    type Output = Result<Streaming<T, E>, CallError<E>>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let reply = std::task::ready!(self.exchange.poll(cx));
        Poll::Ready(match reply.0 {
            Outcome::Opened(opened) => Ok(Streaming::opened(opened, self.service, self.method, self.decode)),
            other => {
                let name = || error::name(self.service, &self.service.methods[self.method]);
                Err(failure(Reply(other), &name, self.decode.error))
            }
        })
    }
}

impl<T, E> fmt::Debug for StreamFuture<T, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StreamFuture").field("key", &self.key).finish_non_exhaustive()
    }
}
