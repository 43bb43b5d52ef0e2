use std::{
    convert::Infallible,
    fmt,
    ops::ControlFlow,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll},
};

use bowline_rpc::{CallError, StreamError, StreamFuture, Streaming};
use futures_util::{StreamExt, future::poll_fn, stream::ReadyChunks};
use leptos::prelude::*;

use crate::{
    follow::{Again, Patience, Start, follow},
    freshness::Freshness,
};

/// Collects the items of a stream into a signal, losing none.
///
/// `call` is any closure that starts a stream: `stream(move || chat.messages(room.get()))`. What becomes of the items
/// is said next: [`latest`](StreamSignal::latest), [`keep`](StreamSignal::keep) or [`fold`](StreamSignal::fold).
///
/// The signals that `call` reads are followed; when they lead to other arguments, the stream under way is cancelled,
/// what was collected is dropped, and the new stream starts.
///
/// Every item that arrives reaches the signal, in order. Where items are missing the signal says so: `missed` counts
/// those that the server left out for a slow reader, `interrupted` counts the times that the stream had to be started
/// anew, after a lost connection or because the page was far too slow, when nobody knows how many were missed. A method
/// with `resume = ".."` goes on behind its last item instead, and neither counts. A stream waits for the connection
/// without a deadline and starts again by itself, also after the connection was refused and then made all the same; what was
/// collected stays meanwhile, and is `stale`.
///
/// # Server-side rendering
///
/// Nothing is called on the server: the page starts with nothing collected.
///
/// # Cleanup
///
/// The stream is cancelled when the owner of the hook ends, mostly the component.
pub fn stream<T, E, F>(call: F) -> StreamSignal<T, E>
where
    F: Fn() -> StreamFuture<T, E> + Send + Sync + 'static,
{
    StreamSignal { call: Box::new(call) }
}

/// A stream that is not started yet. From [`stream`] and the `.._signal` methods of generated clients.
#[must_use = "a stream starts with `latest`, `keep` or `fold`"]
pub struct StreamSignal<T, E = Infallible> {
    call: Box<dyn Fn() -> StreamFuture<T, E> + Send + Sync>,
}

impl<T: Send + Sync + 'static, E: Send + Sync + 'static> StreamSignal<T, E> {
    /// Shows the newest item.
    pub fn latest(self) -> Folded<Option<T>, E> {
        self.collect(|| None, |latest, item| *latest = Some(item))
    }

    /// Keeps the last `count` items, oldest first.
    pub fn keep(self, count: usize) -> Kept<T, E> {
        let Folded { value, loading, stale, missed, interrupted, error, ended } =
            self.collect(Vec::new, move |items: &mut Vec<T>, item| {
                items.push(item);
                items.drain(..items.len().saturating_sub(count));
            });
        Kept { items: value, loading, stale, missed, interrupted, error, ended }
    }

    /// Starts with `init` and has `fold` add every item to it.
    ///
    /// Items that arrive together are added together, with one change of the signal. Other arguments start with `init`
    /// again; a stream that is started anew with the same arguments goes on with what there is.
    pub fn fold<A, F>(self, init: A, fold: F) -> Folded<A, E>
    where
        A: Clone + Send + Sync + 'static,
        F: Fn(&mut A, T) + Send + Sync + 'static,
    {
        self.collect(move || init.clone(), fold)
    }

    fn collect<A, F>(self, init: impl Fn() -> A + Send + Sync + 'static, fold: F) -> Folded<A, E>
    where
        A: Send + Sync + 'static,
        F: Fn(&mut A, T) + Send + Sync + 'static,
    {
        let folding = Folding::new(init());
        let folded = folding.folded();
        let (again, patience) = (Again::new(), Patience::new());
        let fold = Arc::new(fold);
        follow(self.call, again.clone(), move |call, start, link| {
            if start == Start::Changed {
                patience.reset();
                folding.restart(init());
            }
            let (folding, again, patience, fold) =
                (folding.clone(), again.clone(), patience.clone(), fold.clone());
            async move {
                let Some(error) = folding.run(call, &patience, &*fold).await else { return };
                let wait = patience.wait(&error, link);
                folding.fail(error, wait.is_some());
                if let Some(wait) = wait {
                    wait.await;
                    again.ask();
                }
            }
        });
        folded
    }
}

impl<T, E> fmt::Debug for StreamSignal<T, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StreamSignal").finish_non_exhaustive()
    }
}

type Batch<T, E> = Vec<Result<T, StreamError<E>>>;
type Batches<T, E> = ReadyChunks<Streaming<T, E>>;

/// What the task of a stream writes to. Reference-counted, so that it never meets a signal that is gone.
struct Folding<A, E> {
    value: ArcRwSignal<A>,
    loading: ArcRwSignal<bool>,
    freshness: Freshness,
    missed: ArcRwSignal<u64>,
    interrupted: ArcRwSignal<u32>,
    error: ArcRwSignal<Option<CallError<E>>>,
    ended: ArcRwSignal<bool>,
    /// A stream with these arguments has run before.
    ran: Arc<AtomicBool>,
}

impl<A: Send + Sync + 'static, E: Send + Sync + 'static> Folding<A, E> {
    /// The most items that are added with one change of the signal, so that the page gets its turn.
    const BATCH: usize = 256;

    fn new(init: A) -> Self {
        Self {
            value: ArcRwSignal::new(init),
            loading: ArcRwSignal::new(true),
            freshness: Freshness::new(),
            missed: ArcRwSignal::new(0),
            interrupted: ArcRwSignal::new(0),
            error: ArcRwSignal::new(None),
            ended: ArcRwSignal::new(false),
            ran: Arc::default(),
        }
    }

    fn folded(&self) -> Folded<A, E> {
        Folded {
            value: self.value.read_only().into(),
            loading: self.loading.read_only().into(),
            stale: self.freshness.signal(),
            missed: self.missed.read_only().into(),
            interrupted: self.interrupted.read_only().into(),
            error: self.error.read_only().into(),
            ended: self.ended.read_only().into(),
        }
    }

    /// Other arguments: nothing of what was collected belongs to them.
    fn restart(&self, init: A) {
        self.value.set(init);
        self.set_loading(true);
        self.freshness.clear();
        self.missed.set(0);
        self.interrupted.set(0);
        self.error.set(None);
        self.ended.set(false);
        self.ran.store(false, Ordering::Relaxed);
    }

    /// Adds items until the stream is over; why, if not because it came to its end.
    async fn run<T>(
        &self,
        call: StreamFuture<T, E>,
        patience: &Patience,
        fold: &impl Fn(&mut A, T),
    ) -> Option<CallError<E>> {
        let items = match call.no_deadline().await {
            Ok(items) => items,
            Err(error) => return Some(error),
        };
        if self.error.with_untracked(Option::is_some) {
            self.error.set(None);
        }
        // Told when the new stream runs and not when the old one broke: whoever fetches what is missing then gets
        // everything up to its first item.
        if self.ran.swap(true, Ordering::Relaxed) {
            self.interrupt();
        }
        self.set_loading(false);
        self.freshness.renew();
        let mut batches = items.ready_chunks(Self::BATCH);
        while let Some(batch) = poll_fn(|cx| self.poll_batch(&mut batches, cx)).await {
            patience.reset();
            if let ControlFlow::Break(error) = self.add(batch, fold) {
                return Some(error);
            }
        }
        self.ended.set(true);
        None
    }

    /// The next items. A stream that was lost subscribes again by itself: until then none come.
    fn poll_batch<T>(&self, batches: &mut Batches<T, E>, cx: &mut Context<'_>) -> Poll<Option<Batch<T, E>>> {
        loop {
            if let Poll::Ready(batch) = batches.poll_next_unpin(cx) {
                return Poll::Ready(batch);
            }
            match std::task::ready!(batches.get_mut().poll_stale_changed(cx)) {
                true => self.freshness.outdate(),
                false => self.freshness.renew(),
            }
        }
    }

    /// The stream broke, or was refused.
    fn fail(&self, error: CallError<E>, again: bool) {
        self.freshness.outdate();
        self.set_loading(again);
        self.error.set(Some(error));
    }

    fn set_loading(&self, loading: bool) {
        if self.loading.get_untracked() != loading {
            self.loading.set(loading);
        }
    }

    /// Items may be missing here, nobody knows how many.
    fn interrupt(&self) {
        self.interrupted.update(|times| *times = times.saturating_add(1));
    }

    fn add<T>(&self, batch: Batch<T, E>, fold: &impl Fn(&mut A, T)) -> ControlFlow<CallError<E>> {
        let (mut items, mut missed, mut over) = (Vec::with_capacity(batch.len()), 0_u64, None);
        for item in batch {
            match item {
                Ok(item) => items.push(item),
                Err(StreamError::Gap { missed: Some(more) }) => missed = missed.saturating_add(more),
                Err(StreamError::Gap { missed: None }) => self.interrupt(),
                Err(StreamError::Lagged { missed: more }) => {
                    missed = missed.saturating_add(more);
                    let message = "the reader was too slow".into();
                    over = Some(CallError::Unavailable { message, retry_after: None });
                }
                Err(StreamError::Failed(error)) => over = Some(error),
                // Kinds that come with later versions say nothing about items.
                Err(_) => {}
            }
        }
        // The news of a failure alone is no change of the value.
        if !items.is_empty() {
            self.value.update(|value| items.into_iter().for_each(|item| fold(value, item)));
        }
        if missed > 0 {
            self.missed.update(|total| *total = total.saturating_add(missed));
        }
        match over {
            None => ControlFlow::Continue(()),
            Some(error) => ControlFlow::Break(error),
        }
    }
}

impl<A, E> Clone for Folding<A, E> {
    fn clone(&self) -> Self {
        Self {
            value: self.value.clone(),
            loading: self.loading.clone(),
            freshness: self.freshness.clone(),
            missed: self.missed.clone(),
            interrupted: self.interrupted.clone(),
            error: self.error.clone(),
            ended: self.ended.clone(),
            ran: self.ran.clone(),
        }
    }
}

macro_rules! collected {
    ($(#[$doc:meta])* $name:ident<$value:ident> { $(#[$field_doc:meta])* $field:ident: $held:ty }) => {
        $(#[$doc])*
        pub struct $name<$value: 'static, E: 'static = Infallible> {
            $(#[$field_doc])*
            pub $field: ReadSignal<$held>,
            /// Whether the stream is being asked for: until the server has accepted it, and while it is to be asked for
            /// again after it failed.
            pub loading: ReadSignal<bool>,
            /// Whether what was collected may lack the newest items: the connection is away, or the stream broke.
            pub stale: ReadSignal<bool>,
            /// How many items the server left out because this reader was slow.
            pub missed: ReadSignal<u64>,
            /// How many times the stream was lost and started anew; each time items may be missing, nobody knows how many.
            pub interrupted: ReadSignal<u32>,
            /// Why the stream broke or was refused; `None` while it runs, also while it waits for the connection.
            pub error: ReadSignal<Option<CallError<E>>>,
            /// Whether the stream has come to its end, as the server wanted it.
            pub ended: ReadSignal<bool>,
        }

        impl<$value, E> Clone for $name<$value, E> {
            fn clone(&self) -> Self {
                *self
            }
        }

        impl<$value, E> Copy for $name<$value, E> {}

        impl<$value, E> fmt::Debug for $name<$value, E> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_struct(stringify!($name)).finish_non_exhaustive()
            }
        }
    };
}

collected! {
    /// A stream folded into one value, as signals. From [`StreamSignal::fold`] and [`StreamSignal::latest`].
    Folded<A> {
        /// What the items so far make.
        value: A
    }
}

collected! {
    /// The last items of a stream, as signals. From [`StreamSignal::keep`].
    Kept<T> {
        /// The last items, oldest first.
        items: Vec<T>
    }
}
