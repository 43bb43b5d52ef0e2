use std::future::poll_fn;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, TryLockError};
use std::task::{Context, Poll, ready};

use bowline_protocol::session::Failure;
use bowline_protocol::status::{Delivery, Status};
use bowline_runtime::{now, timeout};
use tower_service::Service;

use crate::{BoxError, Call, Reply};

type StackFuture = Pin<Box<dyn ErasedFuture + Send>>;
type Turn = Pin<Box<dyn Future<Output = Result<StackFuture, Reply>> + Send>>;

/// A caller's layers, erased once for all calls of a channel.
pub(crate) struct Stack {
    gate: Arc<Gate<dyn Erased>>,
    status_of: fn(&BoxError) -> Status,
}

/// Calls get the stack in the order in which they came, and one that vanishes while it waits, for its turn or for the stack
/// to be ready, gives its turn to the next.
struct Gate<S: ?Sized> {
    /// How many wait. Nobody goes past them.
    waiting: AtomicUsize,
    /// Whose turn it is among those; fair.
    turn: tokio::sync::Mutex<()>,
    /// Held for a few steps, and never waited for: a layer may make a call while it is asked to make one.
    stack: Mutex<S>,
}

impl Stack {
    pub(crate) fn new<S>(stack: S, status_of: fn(&BoxError) -> Status) -> Self
    where
        S: Service<Call, Response = Reply> + Send + 'static,
        S::Error: Into<BoxError>,
        S::Future: Send + 'static,
    {
        let (waiting, turn, stack) = (AtomicUsize::new(0), tokio::sync::Mutex::new(()), Mutex::new(stack));
        Self { gate: Arc::new(Gate { waiting, turn, stack }), status_of }
    }

    pub(crate) fn with_status_of(&self, status_of: fn(&BoxError) -> Status) -> Self {
        Self { gate: self.gate.clone(), status_of }
    }

    /// Lets one call in: at once where nobody waits and the stack is ready, else in its turn. The reply is that of a
    /// stack that takes no calls.
    pub(crate) fn pass(&self, call: Call, cx: &mut Context<'_>) -> Result<Passing, Box<Reply>> {
        let status_of = self.status_of;
        let started = |future| Ok(Passing { stage: Stage::Started(future), status_of });
        if self.gate.waiting.load(Ordering::Acquire) == 0
            && let Some(mut stack) = self.gate.stack()
        {
            match stack.poll_ready(cx) {
                Poll::Ready(Ok(())) => return started(stack.call(call)),
                Poll::Ready(Err(error)) => return Err(Box::new(Reply::from(status_of(&error)))),
                Poll::Pending => {}
            }
        }
        let mut turn: Turn = Box::pin(turn(self.gate.clone(), call, status_of));
        // Gets in line.
        match turn.as_mut().poll(cx) {
            Poll::Ready(Ok(future)) => started(future),
            Poll::Ready(Err(reply)) => Err(Box::new(reply)),
            Poll::Pending => Ok(Passing { stage: Stage::Waiting(turn), status_of }),
        }
    }
}

impl<S: ?Sized> Gate<S> {
    /// `None` while another call is at it.
    fn stack(&self) -> Option<MutexGuard<'_, S>> {
        match self.stack.try_lock() {
            Ok(stack) => Some(stack),
            // A layer that panicked is asked again, as it would be without the lock.
            Err(TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
            Err(TryLockError::WouldBlock) => None,
        }
    }
}

/// Waits for its turn and for the stack to be ready, within the call's deadline.
async fn turn(
    gate: Arc<Gate<dyn Erased>>,
    call: Call,
    status_of: fn(&BoxError) -> Status,
) -> Result<StackFuture, Reply> {
    let deadline = call.deadline();
    let started = async move {
        let _waits = Waits::new(&gate.waiting);
        let _turn = gate.turn.lock().await;
        let mut call = Some(call);
        poll_fn(|cx| {
            let Some(mut stack) = gate.stack() else {
                // Over in a moment, but for a layer that waits for this very call.
                cx.waker().wake_by_ref();
                return Poll::Pending;
            };
            let ready = ready!(stack.poll_ready(cx));
            let call = call.take().expect("it is passed once");
            Poll::Ready(ready.map(|()| stack.call(call)).map_err(|error| Reply::from(status_of(&error))))
        })
        .await
    };
    let Some(deadline) = deadline else { return started.await };
    match timeout(deadline.saturating_duration_since(now()), started).await {
        Ok(started) => started,
        Err(_) => Err(Reply::failed(Failure::DeadlineExceeded(Delivery::NotSent))),
    }
}

/// Counts one that waits.
struct Waits<'a>(&'a AtomicUsize);

impl<'a> Waits<'a> {
    fn new(waiting: &'a AtomicUsize) -> Self {
        waiting.fetch_add(1, Ordering::AcqRel);
        Self(waiting)
    }
}

impl Drop for Waits<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
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

#[cfg(all(test, not(target_arch = "wasm32")))]
mod tests {
    use std::future::{Ready, ready};
    use std::task::Waker;

    use bowline_protocol::codec::Arguments;
    use bowline_protocol::schema::ServiceDescriptor;
    use bowline_protocol::status::Code;

    use super::*;
    use crate::call::{Content, Patience};
    use crate::{Metadata, status_of};

    /// Ready for one call at a time, which the test lets in.
    struct Door(Arc<AtomicUsize>);

    impl Service<Call> for Door {
        type Response = Reply;
        type Error = BoxError;
        type Future = Ready<Result<Reply, BoxError>>;

        fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
            let open = |free: usize| free.checked_sub(1);
            match self.0.fetch_update(Ordering::SeqCst, Ordering::SeqCst, open) {
                Ok(_) => Poll::Ready(Ok(())),
                Err(_) => Poll::Pending,
            }
        }

        fn call(&mut self, _: Call) -> Self::Future {
            ready(Ok(Reply::from(Status::new(Code::Cancelled, ""))))
        }
    }

    fn call() -> Call {
        static SERVICE: ServiceDescriptor = ServiceDescriptor { name: "Rooms", methods: &[] };
        let arguments = Arguments::new(&0u64).expect("a number is encoded");
        let content = Content::Outgoing { arguments, patience: Patience::Deadline, extra: None, asker: None };
        let (metadata, extensions) = (Metadata::new(), http::Extensions::new());
        Call { service: &SERVICE, method: 0, content, metadata, extensions, deadline: None, depth: 0 }
    }

    /// Those that wait are counted one by one, or nobody would go in at once any more.
    #[tokio::test(start_paused = true)]
    async fn who_waits_is_counted_until_it_is_in_or_gone() {
        let free = Arc::new(AtomicUsize::new(0));
        let stack = Stack::new(Door(free.clone()), status_of);
        let waits = || stack.pass(call(), &mut Context::from_waker(Waker::noop())).unwrap();
        let (mut first, second) = (waits(), waits());
        assert_eq!(stack.gate.waiting.load(Ordering::SeqCst), 2);
        drop(second);
        assert_eq!(stack.gate.waiting.load(Ordering::SeqCst), 1);
        free.store(1, Ordering::SeqCst);
        assert!(first.poll(&mut Context::from_waker(Waker::noop())).is_ready());
        assert_eq!(stack.gate.waiting.load(Ordering::SeqCst), 0);
    }
}
