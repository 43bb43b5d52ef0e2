use std::{
    convert::Infallible,
    fmt,
    pin::Pin,
    task::{Context, Poll},
};

use bowline_rpc::{CallError, StreamError, StreamFuture, Streaming};
use futures_util::{Stream, future::poll_fn};
use leptos::prelude::*;

use crate::{
    follow::{Again, Patience, Start, follow},
    freshness::Freshness,
};

/// Keeps the newest value of a watch on screen.
///
/// `call` is any closure that starts a watch (or another stream of which only the newest item matters):
/// `watch(move || chat.members(room.get()))`. The signals that it reads are followed; when they lead to other
/// arguments, the watch under way is cancelled and the new one starts.
///
/// The value stays on screen while the connection is away, or while the watch on other arguments has not given one;
/// [`stale`](Watch::stale) tells. A watch waits for the connection without a deadline and goes on by itself after it
/// was lost, or refused and then made all the same, or when the server could not serve it for a while.
///
/// # Server-side rendering
///
/// Nothing is called on the server: the page starts without a value.
///
/// # Cleanup
///
/// The watch is cancelled when the owner of the hook ends, mostly the component.
pub fn watch<T, E, F>(call: F) -> Watch<T, E>
where
    F: Fn() -> StreamFuture<T, E> + Send + Sync + 'static,
    T: Send + Sync + 'static,
    E: Send + Sync + 'static,
{
    let watching = Watching {
        value: ArcRwSignal::new(None),
        error: ArcRwSignal::new(None),
        freshness: Freshness::new(),
    };
    let watch = Watch {
        value: watching.value.read_only().into(),
        error: watching.error.read_only().into(),
        stale: watching.freshness.signal(),
    };
    let (again, patience) = (Again::new(), Patience::new());
    follow(call, again.clone(), move |call, start, link| {
        let (watching, again, patience) = (watching.clone(), again.clone(), patience.clone());
        async move {
            if start == Start::Changed {
                patience.reset();
                watching.freshness.outdate();
            }
            let Err(error) = watching.run(call, &patience).await else { return };
            watching.freshness.outdate();
            let wait = patience.wait(&error, link);
            watching.error.set(Some(error));
            if let Some(wait) = wait {
                wait.await;
                again.ask();
            }
        }
    });
    watch
}

/// A stream of another kind than a watch ended because it was read too slowly; the next one starts with a new value.
fn too_slow<E>() -> CallError<E> {
    CallError::Unavailable { message: "the reader was too slow".into(), retry_after: None }
}

/// What the task of a watch writes to. Reference-counted, so that it never meets a signal that is gone.
struct Watching<T, E> {
    value: ArcRwSignal<Option<T>>,
    error: ArcRwSignal<Option<CallError<E>>>,
    freshness: Freshness,
}

impl<T: Send + Sync + 'static, E: Send + Sync + 'static> Watching<T, E> {
    /// Shows values until the watch ends.
    async fn run(&self, call: StreamFuture<T, E>, patience: &Patience) -> Result<(), CallError<E>> {
        let mut values = call.no_deadline().await?;
        let mut is_shown = false;
        loop {
            match poll_fn(|cx| self.poll_value(&mut values, is_shown, cx)).await {
                None => return Ok(()),
                Some(Ok(value)) => {
                    patience.reset();
                    is_shown = true;
                    self.value.set(Some(value));
                    self.freshness.renew();
                    if self.error.with_untracked(Option::is_some) {
                        self.error.set(None);
                    }
                }
                Some(Err(StreamError::Failed(error))) => return Err(error),
                Some(Err(StreamError::Lagged { .. })) => return Err(too_slow()),
                // Only the newest value counts: what is missing before it is no loss.
                Some(Err(_)) => {}
            }
        }
    }

    fn poll_value(
        &self,
        values: &mut Streaming<T, E>,
        is_shown: bool,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<T, StreamError<E>>>> {
        loop {
            if let Poll::Ready(value) = Pin::new(&mut *values).poll_next(cx) {
                return Poll::Ready(value);
            }
            match values.poll_stale_changed(cx) {
                Poll::Ready(true) => self.freshness.outdate(),
                // The session went on, and the value is what it was; or the newest one comes as an item.
                Poll::Ready(false) if is_shown => self.freshness.renew(),
                Poll::Ready(false) => {}
                Poll::Pending => return Poll::Pending,
            }
        }
    }
}

impl<T, E> Clone for Watching<T, E> {
    fn clone(&self) -> Self {
        Self { value: self.value.clone(), error: self.error.clone(), freshness: self.freshness.clone() }
    }
}

/// The newest value of a watch, as signals. From [`watch`] and the `.._signal` methods of generated clients.
pub struct Watch<T: 'static, E: 'static = Infallible> {
    /// The newest value; `None` until there is one.
    pub value: ReadSignal<Option<T>>,
    /// Why no newer value comes at the moment; `None` while values come.
    pub error: ReadSignal<Option<CallError<E>>>,
    /// Whether the value may be out of date: the connection is away, the watch failed, or the value belongs to the
    /// arguments before.
    pub stale: ReadSignal<bool>,
}

impl<T, E> Clone for Watch<T, E> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T, E> Copy for Watch<T, E> {}

impl<T, E> fmt::Debug for Watch<T, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watch").finish_non_exhaustive()
    }
}
