use std::convert::Infallible;
use std::fmt;
use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll};

use bowline_protocol::codec::{Codec, DecodePayloadError, Payload};
use bowline_protocol::schema::ServiceDescriptor;
use bowline_protocol::session::{Batch, CallId, Failure, Read};
use bowline_protocol::status::Delivery;
use futures_core::Stream;

use super::{Again, Decode, StreamEnd};
use crate::client::{Exchange, Opened, failure};
use crate::error::{self, Ending};
use crate::peer::Peer;
use crate::reply::Outcome;
use crate::{CallError, Reply, StreamError};

/// Items from the other end: what a stream call gives its caller, and what a handler gets of an upload.
///
/// Each item is a `Result`: after [`StreamError::Gap`] the stream goes on, any other error is the last item. At the
/// caller dropping it withdraws the call, and the handler is dropped at the other end. It is `Send` and `Unpin` on
/// every target. An item that nobody takes holds the sender back once the window (64 KiB at first) is full.
///
/// # Lost streams
///
/// A client's server stream that was accepted subscribes again by itself when its session is lost for good, and when
/// its reader was too slow ([`StreamError::Lagged`]). It then waits for a session without a deadline;
/// [`is_stale`](Self::is_stale) meanwhile. A method with `resume = ".."` goes on behind the last item that was read, and
/// nothing is missing or told. Any other stream starts anew and says so by [`StreamError::Gap`] with `missed: None`; so
/// does one that has neither an item nor a place in its arguments to go on from. If the other end refuses the new
/// subscription, the stream ends with its answer. All of this happens while it is read: one that nobody reads, or that
/// was dropped, asks for nothing. [`StreamFuture::no_resubscribe`](crate::StreamFuture::no_resubscribe) leaves it to
/// the application.
///
/// A watch subscribes again in the same way; its reader is shown the newest value, and told nothing. Where a client opens
/// another session because its server goes away, watches, and streams with a place to go on from, subscribe again there
/// at once. Any other stream stays where it is until that session ends.
///
/// What a handler gets, what a call with a stream of its own gives, and what a server gets of its client's streams ends
/// with the session.
pub struct Streaming<T, E = Infallible> {
    source: Source,
    /// Items that came, ahead of what the source gives next.
    batch: Batch,
    /// How it is asked for again; `None` where it is not.
    again: Option<Box<Again<T>>>,
    service: &'static ServiceDescriptor,
    method: usize,
    decode: Decode<T, E>,
    /// What [`stale_changed`](Self::stale_changed) last told.
    stale: bool,
}

enum Source {
    /// At the caller.
    Opened(Opened),
    /// At the callee.
    Received(Peer, CallId),
    /// At the caller: it was lost and asked for again.
    Asked(Box<Exchange>),
    /// The reader has not been told why.
    Ended(Box<Reply>),
    Over,
}

impl Source {
    fn call(&self) -> Option<(&Peer, CallId)> {
        match self {
            Self::Opened(opened) => Some((opened.handle.peer(), opened.handle.call())),
            Self::Received(peer, call) => Some((peer, *call)),
            Self::Asked(_) | Self::Ended(_) | Self::Over => None,
        }
    }
}

impl<T, E> Streaming<T, E> {
    pub(crate) fn opened(
        opened: Opened,
        again: Option<Box<Again<T>>>,
        service: &'static ServiceDescriptor,
        method: usize,
        decode: Decode<T, E>,
    ) -> Self {
        let source = Source::Opened(opened);
        Self { source, batch: Batch::default(), again, service, method, decode, stale: false }
    }

    /// Whether what was read last may be out of date.
    ///
    /// That is so from the moment in which its link is lost until the session goes on; where the session is lost too,
    /// until a watch has its newest value and the new subscription of another stream is accepted. A stream whose reader
    /// was too slow is stale while it waits for its new subscription.
    pub fn is_stale(&self) -> bool {
        match &self.source {
            Source::Asked(_) => true,
            source => source.call().is_some_and(|(peer, call)| peer.is_stale(call)) || self.awaits_value(),
        }
    }

    fn awaits_value(&self) -> bool {
        self.again.as_ref().is_some_and(|again| again.awaits_value())
    }

    /// Waits until [`is_stale`](Self::is_stale) is another than when this last returned (false at first), and returns it.
    ///
    /// It shares its place to wait with the items: await one or the other, or poll both from one task. A stream that was
    /// lost subscribes again while this waits.
    ///
    /// # Cancel safety
    ///
    /// Holds nothing: drop it and ask again.
    pub async fn stale_changed(&mut self) -> bool {
        poll_fn(|cx| self.poll_stale_changed(cx)).await
    }

    /// As [`stale_changed`](Self::stale_changed).
    pub fn poll_stale_changed(&mut self, cx: &mut Context<'_>) -> Poll<bool> {
        if self.again.is_some()
            && self.batch.is_empty()
            && let Some((peer, call)) = self.source.call()
            && peer.is_failed(cx, call)
            && let Poll::Ready(Some(Read::Failed(failure))) = peer.poll_read(cx, call, &mut self.batch)
        {
            self.lose(failure);
        }
        let asked = self.poll_asked(cx);
        let stale = match self.source.call() {
            Some((peer, call)) => peer.watch_stale(cx, call) || self.awaits_value(),
            None => asked.is_pending(),
        };
        if stale == self.stale {
            return Poll::Pending;
        }
        self.stale = stale;
        Poll::Ready(stale)
    }

    /// Brings a stream that was asked for again to its answer.
    fn poll_asked(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let mut repeated = false;
        loop {
            let Source::Asked(exchange) = &mut self.source else { return Poll::Ready(()) };
            let reply = std::task::ready!(exchange.poll(cx));
            let lost = match &reply.0 {
                // A peer that has no session any more answers so each time.
                Outcome::Failed(_, Ending::Disconnected(delivery)) if !repeated => {
                    Some(Failure::Disconnected(*delivery))
                }
                _ => None,
            };
            repeated = true;
            match (reply.0, lost) {
                (Outcome::Opened(opened), _) => self.source = Source::Opened(*opened),
                (_, Some(failure)) => self.lose(failure),
                (refused, None) => self.end(Reply(refused)),
            }
        }
    }

    /// The stream has failed: it is asked for again, or has ended.
    fn lose(&mut self, failure: Failure) {
        match self.again.as_mut().filter(|again| again.follows(&failure)) {
            Some(again) => {
                let asked = Source::Asked(Box::new(again.ask(&failure)));
                self.close(asked, &end_of(&Reply::failed(failure)));
            }
            None => self.end(Reply::failed(failure)),
        }
    }

    /// Goes where another session has followed that of the stream, if nothing is lost by it. What waits there is cancelled.
    fn move_on(&mut self) -> bool {
        let (Source::Opened(opened), Some(again)) = (&self.source, &mut self.again) else { return false };
        let moves = again.has_moved(opened.handle.peer());
        if moves {
            let asked = again.ask(&Failure::Disconnected(Delivery::OutcomeUnknown));
            self.source = Source::Asked(Box::new(asked));
        }
        moves
    }

    /// The stream has ended with `reply`, which its reader is still to be told.
    fn end(&mut self, reply: Reply) {
        let end = end_of(&reply);
        self.close(Source::Ended(Box::new(reply)), &end);
        self.again = None;
    }

    /// Tells the layers of the subscription how it ended.
    fn close(&mut self, next: Source, end: &StreamEnd) {
        if let Source::Opened(mut opened) = std::mem::replace(&mut self.source, next) {
            opened.hooks.end(end);
        }
    }

    fn name(&self) -> String {
        error::name(self.service, &self.service.methods[self.method])
    }

    /// What the reader is told of `reply`.
    fn error(&self, reply: Reply) -> StreamError<E> {
        match reply.0 {
            Outcome::Failed(status, ending) => StreamError::from_ending(status, ending),
            other => StreamError::Failed(failure(Reply(other), &|| self.name(), self.decode.error)),
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
        let source = call.map_or(Source::Over, |call| Source::Received(peer, call));
        Self {
            source,
            batch: Batch::default(),
            again: None,
            service,
            method,
            decode: Decode::owned(),
            stale: false,
        }
    }
}

impl<T, E> Stream for Streaming<T, E> {
    type Item = Result<T, StreamError<E>>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        loop {
            std::task::ready!(self.poll_asked(cx));
            if self.again.as_mut().is_some_and(|again| again.take_gap()) {
                return Poll::Ready(Some(Err(StreamError::Gap { missed: None })));
            }
            let this = &mut *self;
            let codec = this.batch.codec();
            if let Some(item) = this.batch.take_next() {
                let item = (this.decode.small)(codec, item);
                return Poll::Ready(Some(this.take(codec, item)));
            }
            let Some((peer, call)) = this.source.call() else {
                return Poll::Ready(match std::mem::replace(&mut this.source, Source::Over) {
                    Source::Ended(reply) => Some(Err(this.error(*reply))),
                    _ => None,
                });
            };
            let read = match peer.poll_read(cx, call, &mut this.batch) {
                Poll::Ready(Some(read)) => read,
                Poll::Ready(None) => continue,
                Poll::Pending if self.move_on() => continue,
                Poll::Pending => return Poll::Pending,
            };
            match read {
                Read::Item(codec, buffer) => {
                    let item = (self.decode.item)(codec, buffer);
                    return Poll::Ready(Some(self.take(codec, item)));
                }
                Read::Gap(missed) => {
                    return Poll::Ready(Some(Err(StreamError::Gap { missed: Some(missed) })));
                }
                Read::Pending => return Poll::Pending,
                Read::End => {
                    self.close(Source::Over, &StreamEnd::Over);
                    self.again = None;
                }
                Read::Failed(failure) => self.lose(failure),
            }
        }
    }
}

impl<T, E> Streaming<T, E> {
    /// Makes a value of an item. One that is none ends the stream.
    fn take(&mut self, codec: Codec, item: Result<T, DecodePayloadError>) -> Result<T, StreamError<E>> {
        match item {
            Ok(item) => {
                if let Some(again) = &mut self.again {
                    again.pass(&item);
                }
                Ok(item)
            }
            Err(cause) => {
                let failed = match &self.source {
                    // The caller's fault, and the end of its call, whatever the handler makes of it.
                    Source::Received(peer, call) => {
                        let status = error::undecodable(codec, "item", &self.name(), &cause);
                        peer.stop(*call, status.clone());
                        CallError::from(status)
                    }
                    _ => error::unreadable(codec, "item", &self.name(), &cause),
                };
                self.source = Source::Over;
                self.batch = Batch::default();
                self.again = None;
                Err(StreamError::Failed(failed))
            }
        }
    }
}

/// What layers are told of `reply`.
fn end_of(reply: &Reply) -> StreamEnd {
    match &reply.0 {
        Outcome::Application(..) => StreamEnd::Application,
        Outcome::Failed(status, _) => StreamEnd::Status(status.clone()),
        _ => StreamEnd::Over,
    }
}

impl<T, E> fmt::Debug for Streaming<T, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Streaming")
            .field("service", &self.service.name)
            .field("method", &self.service.methods[self.method].name)
            .field("open", &!matches!(self.source, Source::Ended(_) | Source::Over))
            .finish_non_exhaustive()
    }
}
