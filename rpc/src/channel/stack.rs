use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bowline_protocol::session::Failure;
use bowline_protocol::status::{Delivery, Status};
use bowline_runtime::{now, timeout};
use tokio::sync::Mutex;
use tower_service::Service;

use crate::{BoxError, Call, Reply};

type StackFuture = Pin<Box<dyn ErasedFuture + Send>>;
type Turn = Pin<Box<dyn Future<Output = Result<StackFuture, Reply>> + Send>>;

/// A caller's layers, erased once for all calls of a channel.
pub(crate) struct Stack {
    /// The lock is fair: calls get the stack in the order in which they came, and one that vanishes while it waits,
    /// for the lock or for the stack to be ready, gives its turn to the next.
    service: Arc<Mutex<dyn Erased>>,
    status_of: fn(&BoxError) -> Status,
}

impl Stack {
    pub(crate) fn new<S>(stack: S, status_of: fn(&BoxError) -> Status) -> Self
    where
        S: Service<Call, Response = Reply> + Send + 'static,
        S::Error: Into<BoxError>,
        S::Future: Send + 'static,
    {
        Self { service: Arc::new(Mutex::new(stack)), status_of }
    }

    pub(crate) fn with_status_of(&self, status_of: fn(&BoxError) -> Status) -> Self {
        Self { service: self.service.clone(), status_of }
    }

    /// Lets one call in: at once where nobody waits and the stack is ready, else in its turn. The reply is that of a
    /// stack that takes no calls.
    pub(crate) fn pass(&self, call: Call, cx: &mut Context<'_>) -> Result<Passing, Box<Reply>> {
        let status_of = self.status_of;
        let started = |future| Ok(Passing { stage: Stage::Started(future), status_of });
        // While somebody waits for it the lock is never free.
        let mut held = self.service.try_lock().ok();
        if let Some(service) = &mut held {
            match service.poll_ready(cx) {
                Poll::Ready(Ok(())) => return started(service.call(call)),
                Poll::Ready(Err(error)) => return Err(Box::new(Reply::from(status_of(&error)))),
                Poll::Pending => {}
            }
        }
        let mut turn: Turn = Box::pin(turn(self.service.clone(), call, status_of));
        // Gets in line before it gives the stack back, which it then has first.
        let polled = turn.as_mut().poll(cx);
        drop(held);
        match polled {
            Poll::Ready(Ok(future)) => started(future),
            Poll::Ready(Err(reply)) => Err(Box::new(reply)),
            Poll::Pending => Ok(Passing { stage: Stage::Waiting(turn), status_of }),
        }
    }
}

/// Waits for its turn and for the stack to be ready, within the call's deadline.
async fn turn(
    service: Arc<Mutex<dyn Erased>>,
    call: Call,
    status_of: fn(&BoxError) -> Status,
) -> Result<StackFuture, Reply> {
    let deadline = call.deadline();
    let started = async move {
        let mut service = service.lock().await;
        match poll_fn(|cx| service.poll_ready(cx)).await {
            Ok(()) => Ok(service.call(call)),
            Err(error) => Err(Reply::from(status_of(&error))),
        }
    };
    let Some(deadline) = deadline else { return started.await };
    match timeout(deadline.saturating_duration_since(now()), started).await {
        Ok(started) => started,
        Err(_) => Err(Reply::failed(Failure::DeadlineExceeded(Delivery::NotSent))),
    }
}

/// One call in its caller's layers.
pub(crate) struct Passing {
    stage: Stage,
    status_of: fn(&BoxError) -> Status,
}

enum Stage {
    /// It is not its turn, or the stack is not ready.
    Waiting(Turn),
    Started(StackFuture),
}

impl Passing {
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Reply> {
        loop {
            match &mut self.stage {
                Stage::Waiting(turn) => match ready!(turn.as_mut().poll(cx)) {
                    Ok(started) => self.stage = Stage::Started(started),
                    Err(reply) => return Poll::Ready(reply),
                },
                Stage::Started(future) => return future.as_mut().poll(cx, self.status_of),
            }
        }
    }
}

/// `tower`'s trait without its associated types.
trait Erased: Send {
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>>;
    fn call(&mut self, call: Call) -> StackFuture;
}

impl<S> Erased for S
where
    S: Service<Call, Response = Reply> + Send,
    S::Error: Into<BoxError>,
    S::Future: Send + 'static,
{
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Service::poll_ready(self, cx).map_err(Into::into)
    }

    fn call(&mut self, call: Call) -> StackFuture {
        Box::pin(Service::call(self, call))
    }
}

/// What a service's future is, whatever its error.
trait ErasedFuture {
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>, status_of: fn(&BoxError) -> Status) -> Poll<Reply>;
}

impl<F, E> ErasedFuture for F
where
    F: Future<Output = Result<Reply, E>>,
    E: Into<BoxError>,
{
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>, status_of: fn(&BoxError) -> Status) -> Poll<Reply> {
        Future::poll(self, cx).map(|answer| answer.unwrap_or_else(|error| status_of(&error.into()).into()))
    }
}
