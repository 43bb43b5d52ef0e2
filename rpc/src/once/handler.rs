use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bowline_protocol::codec::Buffer;
use bowline_protocol::once::Record;
use bowline_protocol::schema::ServiceDescriptor;
use bowline_protocol::session::WireFailure;
use bowline_protocol::status::{Code, Status};
use bowline_runtime::spawn;
use bytes::Bytes;
use tokio::sync::oneshot;

use super::Claim;
use super::claim::unknown;
use crate::reply::Outcome;
use crate::server::guarded;
use crate::{Reply, ReplyFuture, error};

/// What layers poll of a `once` call: waits for the handler, which goes on when this is dropped.
pub(crate) enum OnceFuture {
    /// Not polled yet: nothing of the handler ran, and dropping it forgets the call.
    Prepared(Box<Handler>),
    /// The handler runs in a task of the store's.
    Running(oneshot::Receiver<Reply>),
    Done,
}

impl OnceFuture {
    pub(crate) fn new(
        claim: Claim,
        future: ReplyFuture,
        service: &'static ServiceDescriptor,
        method: usize,
    ) -> Self {
        Self::Prepared(Box::new(Handler { claim, future: Some(future), service, method }))
    }

    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Reply> {
        if let Self::Prepared(_) = self {
            let Self::Prepared(mut handler) = std::mem::replace(self, Self::Done) else {
                return Poll::Pending;
            };
            // Here and not in its task, so that handlers start in the order of their calls.
            if let Poll::Ready(reply) = Pin::new(&mut *handler).poll(cx) {
                return Poll::Ready(reply);
            }
            let (answer, answered) = oneshot::channel();
            *self = Self::Running(answered);
            handler.detach(answer);
        }
        match self {
            Self::Running(answered) => {
                let reply = ready!(Pin::new(answered).poll(cx));
                *self = Self::Done;
                Poll::Ready(reply.unwrap_or_else(|_| unknown().into()))
            }
            Self::Prepared(_) | Self::Done => panic!("a call was polled after it had ended"),
        }
    }
}

/// A handler whose end is recorded.
pub(crate) struct Handler {
    claim: Claim,
    /// `None` once it has ended.
    future: Option<ReplyFuture>,
    service: &'static ServiceDescriptor,
    method: usize,
}

impl Handler {
    /// Runs on in a task of the store's.
    fn detach(self: Box<Self>, answer: oneshot::Sender<Reply>) {
        let store = self.claim.store();
        // Who waited may be gone by then: the record has it.
        let task = spawn(async move { drop(answer.send(self.await)) });
        // Without a store nobody is left to ask for the outcome, and the task is dropped.
        if let Some(store) = store.upgrade() {
            store.own(task);
        }
    }

    fn name(&self) -> String {
        error::name(self.service, &self.service.methods[self.method])
    }
}

impl Future for Handler {
    type Output = Reply;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Reply> {
        let this = &mut *self;
        this.claim.start();
        let Some(mut future) = this.future.take() else { panic!("a handler was polled after it had ended") };
        let polled = guarded(&|| this.name(), || future.as_mut().poll(cx));
        let reply = match polled {
            Ok(Poll::Pending) => {
                this.future = Some(future);
                return Poll::Pending;
            }
            Ok(Poll::Ready(reply)) => reply,
            Err(panicked) => panicked.into(),
        };
        // It has ended when it was dropped.
        let reply = match guarded(&|| this.name(), || drop(future)) {
            Ok(()) => reply,
            Err(panicked) => panicked.into(),
        };
        this.claim.finish(record(&reply));
        Poll::Ready(reply)
    }
}

/// What is kept of a handler's reply.
fn record(reply: &Reply) -> Record {
    Err(WireFailure::Status(match &reply.0 {
        Outcome::Value(_, buffer) => return Ok(bytes(buffer)),
        Outcome::Application(_, buffer) => return Err(WireFailure::Application(bytes(buffer))),
        Outcome::Failed(status, _) => status.clone(),
        Outcome::Body(_) | Outcome::Opened(_) | Outcome::Done => {
            Status::new(Code::Internal, "only one value can be recorded")
        }
    }))
}

fn bytes(buffer: &Buffer) -> Bytes {
    match buffer {
        Buffer::Small(bytes) => bytes.clone(),
        assembled @ Buffer::Assembled(_) => Bytes::copy_from_slice(assembled),
    }
}
