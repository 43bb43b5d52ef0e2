use std::convert::Infallible;
use std::fmt;
use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll};

use bowline_protocol::codec::Payload;
use bowline_protocol::schema::ServiceDescriptor;
use bowline_protocol::session::{CallId, Failure, Read};
use futures_core::Stream;

use super::{Decode, StreamEnd};
use crate::client::Opened;
use crate::error::{self, split};
use crate::peer::Peer;
use crate::{CallError, StreamError};

/// Items from the other end: what a stream call gives its caller, and what a handler gets of an upload.
///
/// Each item is a `Result`: after [`StreamError::Gap`] the stream goes on, any other error is the last item. At the
/// caller dropping it withdraws the call, and the handler is dropped at the other end. It is `Send` and `Unpin` on
/// every target. An item that nobody takes holds the sender back once the window (64 KiB at first) is full.
pub struct Streaming<T, E = Infallible> {
    source: Option<Source>,
    service: &'static ServiceDescriptor,
    method: usize,
    decode: Decode<T, E>,
    /// What [`stale_changed`](Self::stale_changed) last told.
    stale: bool,
}

enum Source {
    Opened(Opened),
    Received(Peer, CallId),
}

impl Source {
    fn call(&self) -> (&Peer, CallId) {
        match self {
            Self::Opened(opened) => (opened.handle.peer(), opened.handle.call()),
            Self::Received(peer, call) => (peer, *call),
        }
    }
}

impl<T, E> Streaming<T, E> {
    pub(crate) fn opened(
        opened: Opened,
        service: &'static ServiceDescriptor,
        method: usize,
        decode: Decode<T, E>,
    ) -> Self {
        Self { source: Some(Source::Opened(opened)), service, method, decode, stale: false }
    }

    /// Whether the newest value of a watch came over a link that was lost since. Always false for other streams.
    pub fn is_stale(&self) -> bool {
        self.source.as_ref().is_some_and(|source| {
            let (peer, call) = source.call();
            peer.is_stale(call)
        })
    }

    /// Waits until [`is_stale`](Self::is_stale) is another than when this last returned (false at first), and returns it.
    ///
    /// It shares its place to wait with the items: await one or the other, or poll both from one task.
    ///
    /// # Cancel safety
    ///
    /// Holds nothing: drop it and ask again.
    pub async fn stale_changed(&mut self) -> bool {
        poll_fn(|cx| self.poll_stale_changed(cx)).await
    }

    /// As [`stale_changed`](Self::stale_changed).
    pub fn poll_stale_changed(&mut self, cx: &mut Context<'_>) -> Poll<bool> {
        let stale = self.source.as_ref().is_some_and(|source| {
            let (peer, call) = source.call();
            peer.watch_stale(cx, call)
        });
        if stale == self.stale {
            return Poll::Pending;
        }
        self.stale = stale;
        Poll::Ready(stale)
    }

    fn finish(&mut self, end: &StreamEnd) {
        if let Some(Source::Opened(mut opened)) = self.source.take() {
            opened.hooks.end(end);
        }
    }

    fn name(&self) -> String {
        error::name(self.service, &self.service.methods[self.method])
    }

    fn failed(&self, failure: Failure) -> StreamError<E> {
        match split(failure) {
            Ok((status, ending)) => StreamError::from_ending(status, ending),
            Err((codec, buffer)) => StreamError::Failed(match (self.decode.error)(codec, &buffer) {
                Ok(error) => CallError::Application(error),
                Err(cause) => error::unreadable(codec, "error", &self.name(), &cause),
            }),
        }
    }
}

impl<T: Payload> Streaming<T> {
    pub(crate) fn received(
        peer: Peer,
        call: Option<CallId>,
        service: &'static ServiceDescriptor,
        method: usize,
    ) -> Self {
        let source = call.map(|call| Source::Received(peer, call));
        Self { source, service, method, decode: Decode::owned(), stale: false }
    }
}

impl<T, E> Stream for Streaming<T, E> {
    type Item = Result<T, StreamError<E>>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let Some(source) = &self.source else { return Poll::Ready(None) };
        let (peer, call) = source.call();
        let (codec, buffer) = match std::task::ready!(peer.poll_read(cx, call)) {
            Read::Item(codec, buffer) => (codec, buffer),
            Read::Gap(missed) => return Poll::Ready(Some(Err(StreamError::Gap { missed }))),
            Read::Pending => return Poll::Pending,
            Read::End => {
                self.finish(&StreamEnd::Over);
                return Poll::Ready(None);
            }
            Read::Failed(failure) => {
                self.finish(&match &failure {
                    Failure::Application(..) => StreamEnd::Application,
                    other => split(other.clone())
                        .map_or(StreamEnd::Application, |(status, _)| StreamEnd::Status(status)),
                });
                return Poll::Ready(Some(Err(self.failed(failure))));
            }
        };
        match (self.decode.item)(codec, buffer) {
            Ok(item) => Poll::Ready(Some(Ok(item))),
            Err(cause) => {
                let failed = match &source {
                    Source::Opened(_) => error::unreadable(codec, "item", &self.name(), &cause),
                    // The caller's fault, and the end of its call, whatever the handler makes of it.
                    Source::Received(peer, call) => {
                        let status = error::undecodable(codec, "item", &self.name(), &cause);
                        peer.stop(*call, status.clone());
                        CallError::from(status)
                    }
                };
                self.source = None;
                Poll::Ready(Some(Err(StreamError::Failed(failed))))
            }
        }
    }
}

impl<T, E> fmt::Debug for Streaming<T, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Streaming")
            .field("service", &self.service.name)
            .field("method", &self.service.methods[self.method].name)
            .field("open", &self.source.is_some())
            .finish_non_exhaustive()
    }
}
