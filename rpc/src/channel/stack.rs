use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bowline_protocol::session::Failure;
use bowline_protocol::status::{Delivery, Status};
use bowline_runtime::{now, timeout};
use tokio::sync::Mutex;
use tower_service::Service;

use crate::{BoxError, Call, Reply};

type StackFuture = Pin<Box<dyn Future<Output = Result<Reply, BoxError>> + Send>>;

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

    /// Passes one call through.
    pub(crate) async fn pass(self: Arc<Self>, call: Call) -> Reply {
        let answered = match self.start(call).await {
            Ok(future) => future.await,
            Err(reply) => return reply,
        };
        answered.unwrap_or_else(|error| Reply::from((self.status_of)(&error)))
    }

    /// Waits for the stack to be ready, within the call's deadline.
    async fn start(&self, call: Call) -> Result<StackFuture, Reply> {
        let Some(deadline) = call.deadline() else { return self.start_when_ready(call).await };
        let left = deadline.saturating_duration_since(now());
        match timeout(left, self.start_when_ready(call)).await {
            Ok(started) => started,
            Err(_) => Err(Reply::failed(Failure::DeadlineExceeded(Delivery::NotSent))),
        }
    }

    async fn start_when_ready(&self, call: Call) -> Result<StackFuture, Reply> {
        let mut service = self.service.lock().await;
        match poll_fn(|cx| service.poll_ready(cx)).await {
            Ok(()) => Ok(service.call(call)),
            Err(error) => Err(Reply::from((self.status_of)(&error))),
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
        let future = Service::call(self, call);
        Box::pin(async move { future.await.map_err(Into::into) })
    }
}
