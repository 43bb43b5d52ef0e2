use std::fmt;
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use bowline_protocol::codec::Payload;
use bowline_protocol::schema::MethodKind;
use bowline_protocol::status::{Code, Status};
use bowline_runtime::{BoxFuture, Confined};
use bytes::Bytes;
use futures_core::Stream;

use super::Item;
use super::hooks::{Hooks, StreamEnd};
use super::pump::{Gathering, PumpEnd, poll_items, poll_values};
use crate::context::Incoming;
use crate::reply::Outcome;
use crate::{Reply, boxed, error};

/// Where the handler of a stream method puts its stream. Generated code uses it.
///
/// A watch's sink sends the newest value only; any other sends every item, as the reader's credit allows.
pub struct Sink {
    context: crate::Context,
    stage: Arc<Stage>,
}

impl Sink {
    pub(crate) fn new(context: crate::Context, stage: Arc<Stage>) -> Self {
        Self { context, stage }
    }

    /// Accepts the call and sends the stream to its end.
    ///
    /// # Cancel safety
    ///
    /// Dropping it ends the call.
    pub async fn drive<S>(self, stream: S)
    where
        S: Stream,
        S::Item: Item,
    {
        self.stage.set(Progress::Accepted);
        // The reply goes out through the layers before the first item; then this is polled again.
        let mut yielded = false;
        poll_fn(|_| if std::mem::replace(&mut yielded, true) { Poll::Ready(()) } else { Poll::Pending })
            .await;

        let mut stream = pin!(stream);
        let Incoming { home, call, notices, .. } = &**self.context.incoming();
        let Some(call) = *call else { return };
        // Beside the stream, as every item asks for it.
        let peer = home.peer.clone();
        let end = match self.context.method().kind {
            MethodKind::Watch => {
                let codec = self.context.codec();
                poll_fn(|cx| poll_values(stream.as_mut(), cx, &peer, call, codec)).await
            }
            _ => {
                let mut gathering = Gathering::default();
                poll_fn(|cx| poll_items(stream.as_mut(), cx, &peer, call, Some(notices), &mut gathering))
                    .await
            }
        };
        self.stage.set(Progress::Ended(match (end, notices.take_lagged()) {
            (PumpEnd::Over, None) => BodyEnd::Over,
            (PumpEnd::Over, Some(missed)) => BodyEnd::Status(
                Status::new(Code::Lagged, "the reader was too slow for this stream").with_detail(missed),
            ),
            (PumpEnd::Error(bytes), _) => BodyEnd::Error(bytes),
            (PumpEnd::Unencodable(cause), _) => {
                BodyEnd::Status(boxed::internal("an item can't be encoded", &self.name(), &cause))
            }
        }));
    }

    /// Refuses the call with the method's own error.
    pub async fn refuse<E: Payload>(self, error: E) {
        let reply = Reply::application(self.context.codec(), &|| self.name(), &error);
        self.stage.set(Progress::Refused(reply));
    }
}

impl Sink {
    fn name(&self) -> String {
        error::name(self.context.service(), self.context.method())
    }
}

impl fmt::Debug for Sink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sink").finish_non_exhaustive()
    }
}

/// How far a stream's handler has come; shared by its [`Sink`] and by whoever polls it.
#[derive(Default)]
pub(crate) struct Stage(Mutex<Progress>);

#[derive(Default)]
enum Progress {
    #[default]
    Deciding,
    Refused(Reply),
    Accepted,
    Ended(BodyEnd),
}

impl Stage {
    fn set(&self, progress: Progress) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = progress;
    }

    fn take(&self) -> Progress {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// How an accepted stream ended.
#[derive(Debug, Default)]
pub(crate) enum BodyEnd {
    #[default]
    Over,
    Error(Bytes),
    Status(Status),
}

impl From<&BodyEnd> for StreamEnd {
    fn from(end: &BodyEnd) -> Self {
        match end {
            BodyEnd::Over => Self::Over,
            BodyEnd::Error(_) => Self::Application,
            BodyEnd::Status(status) => Self::Status(status.clone()),
        }
    }
}

/// The one future of a stream method, until it decided.
pub(crate) struct Accepting {
    future: Option<BoxFuture<'static, ()>>,
    stage: Arc<Stage>,
}

impl Accepting {
    pub(crate) fn new(future: BoxFuture<'static, ()>, stage: Arc<Stage>) -> Self {
        Self { future: Some(future), stage }
    }
}

impl Future for Accepting {
    type Output = Reply;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Reply> {
        let future = self.future.as_mut().expect("a handler is not polled after it decided");
        let finished = future.as_mut().poll(cx).is_ready();
        let progress = self.stage.take();
        if finished {
            self.future = None;
        }
        match progress {
            Progress::Refused(reply) => {
                // The terminal envelope says that the handler has stopped.
                self.future = None;
                Poll::Ready(reply)
            }
            Progress::Deciding if !finished => Poll::Pending,
            // A handler that ends without a word gave an empty stream.
            Progress::Deciding => Poll::Ready(self.body(Some(BodyEnd::Over))),
            Progress::Accepted => Poll::Ready(self.body(None)),
            Progress::Ended(end) => Poll::Ready(self.body(Some(end))),
        }
    }
}

impl Accepting {
    fn body(&mut self, end: Option<BodyEnd>) -> Reply {
        let future = self.future.take().map(Confined::new);
        let body = Body { future, end, stage: self.stage.clone(), hooks: Hooks::default() };
        Reply(Outcome::Body(Box::new(body)))
    }
}

/// A stream that its handler accepted: the same future, which now sends the items.
pub(crate) struct Body {
    future: Option<Confined<BoxFuture<'static, ()>>>,
    end: Option<BodyEnd>,
    stage: Arc<Stage>,
    pub(crate) hooks: Hooks,
}

impl Future for Body {
    type Output = BodyEnd;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<BodyEnd> {
        let this = &mut *self;
        if let Some(future) = &mut this.future {
            let _entered = this.hooks.enter();
            std::task::ready!(Pin::new(future).poll(cx));
            this.future = None;
        }
        let end = this.end.take().unwrap_or_else(|| match this.stage.take() {
            Progress::Ended(end) => end,
            _ => BodyEnd::Over,
        });
        this.hooks.end(&StreamEnd::from(&end));
        Poll::Ready(end)
    }
}
