use std::convert::Infallible;
use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

use bowline_protocol::codec::{Payload, View, ViewPayload};
use bowline_protocol::schema::{MethodKind, ServiceDescriptor};
use futures_core::Stream;

use super::CallKey;
use super::call_future::failure;
use super::exchange::Exchange;
use super::prepared::Prepared;
use super::setters::setters;
use crate::reply::Outcome;
use crate::stream::{Again, Cursor, Decode, FieldCursor, Item, Place, Start, Streaming, Upload, ViewCursor};
use crate::{CallError, Channel, Reply, error};

/// A call whose answer is a stream of `T`; it ends when the other end accepted or refused it.
///
/// As with [`CallFuture`](crate::CallFuture) nothing is sent before the first poll, and dropping it withdraws the
/// call. The deadline bounds only the time until the stream is accepted. A stream that is lost after that subscribes
/// again by itself, see [`Streaming`].
///
/// # Errors
///
/// [`CallError`]; the method's own refusal is [`CallError::Application`].
#[must_use = "a call does nothing until it is awaited"]
pub struct StreamFuture<T, E = Infallible> {
    exchange: Exchange,
    service: &'static ServiceDescriptor,
    method: usize,
    decode: Decode<T, E>,
    resubscribes: bool,
    cursor: Option<Box<dyn Cursor<T>>>,
    /// How to ask for the stream again; from the first poll on.
    again: Option<Box<Again<T>>>,
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

    /// Describes a server stream that goes on where it was lost: `argument` is then set to `field` of the last item.
    /// Generated code calls this.
    pub fn resuming<A: Payload, K: Clone + 'static, F: Place<K> + 'static>(
        channel: &Channel,
        service: &'static ServiceDescriptor,
        method: usize,
        arguments: A,
        argument: fn(&mut A) -> &mut Option<K>,
        field: fn(&T) -> &F,
    ) -> Self {
        let prepared = Prepared::new(channel, service, method, &arguments, None);
        let cursor: Box<dyn Cursor<T>> = Box::new(FieldCursor { arguments, argument, field });
        Self { cursor: Some(cursor), ..Self::from_prepared(prepared) }
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
        let Self { exchange, service, method, resubscribes, cursor, .. } = self;
        let cursor =
            cursor.map(|inner| -> Box<dyn Cursor<View<T>>> { Box::new(ViewCursor { inner, last: None }) });
        let decode = Decode::view();
        StreamFuture { exchange, service, method, decode, resubscribes, cursor, again: None }
    }

    fn from_prepared(prepared: Prepared) -> Self {
        let (service, method) = (prepared.service(), prepared.method());
        let resubscribes = matches!(prepared.descriptor().kind, MethodKind::ServerStream | MethodKind::Watch);
        let (exchange, decode) = (Exchange::new(prepared), Decode::owned());
        Self { exchange, service, method, decode, resubscribes, cursor: None, again: None }
    }
}

impl<T, E> StreamFuture<T, E> {
    /// Lets the stream end with [`StreamError::Failed`](crate::StreamError::Failed) or
    /// [`Lagged`](crate::StreamError::Lagged) where it would subscribe again by itself.
    ///
    /// For streams that mean one attempt, such as the progress of a job, and for readers that start again in their own
    /// way.
    pub fn no_resubscribe(mut self) -> Self {
        self.resubscribes = false;
        self
    }

    /// What the call asks, for a cache; `None` once it was polled.
    pub fn key(&self) -> Option<CallKey> {
        self.exchange.prepared().map(Prepared::key)
    }

    /// What the call will go to; `None` once it was polled.
    pub fn channel(&self) -> Option<Channel> {
        self.exchange.prepared()?.channel().cloned()
    }

    fn edit(&mut self, edit: impl FnOnce(&mut Prepared)) {
        self.exchange.edit(edit);
    }
}

setters!([T, E] StreamFuture<T, E>);

impl<T, E> Future for StreamFuture<T, E> {
    type Output = Result<Streaming<T, E>, CallError<E>>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        if let Some(prepared) = this.exchange.prepared().filter(|_| this.resubscribes) {
            let start = match this.cursor.take() {
                Some(cursor) => Start::Behind(cursor),
                None if prepared.descriptor().kind == MethodKind::Watch => Start::Newest,
                None => Start::Anew,
            };
            this.again = prepared.recipe().map(|recipe| Box::new(Again::new(recipe, start)));
        }
        let reply = std::task::ready!(this.exchange.poll(cx));
        Poll::Ready(match reply.0 {
            Outcome::Opened(opened) => {
                Ok(Streaming::opened(*opened, this.again.take(), this.service, this.method, this.decode))
            }
            other => {
                let name = || error::name(this.service, &this.service.methods[this.method]);
                Err(failure(Reply(other), &name, this.decode.error))
            }
        })
    }
}

impl<T, E> fmt::Debug for StreamFuture<T, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StreamFuture")
            .field("service", &self.service.name)
            .field("method", &self.service.methods[self.method].name)
            .finish_non_exhaustive()
    }
}
