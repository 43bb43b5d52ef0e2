use std::{
    convert::Infallible,
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use bowline_rpc::{CallError, CallFuture, Output};
use bowline_runtime::sleep;
use futures_util::future::join;
use leptos::prelude::*;

use crate::{
    follow::{Again, Patience, Start, Wanted, follow},
    freshness::Freshness,
};

/// Keeps the answer to a call on screen, and asks anew when its arguments change.
///
/// `call` is any closure that makes a call: `query(move || chat.history(room.get(), None))`. The signals that it reads
/// are followed; when they lead to other arguments, the call under way is cancelled and the new one starts. Calls are
/// compared by method and encoded arguments, so the types need no `PartialEq`.
///
/// The answer stays while a newer one is on its way, which [`loading`](Query::loading) tells, and while the connection is
/// away, which [`stale`](Query::stale) tells. When the new call fails, an
/// answer to other arguments goes, and one to the same arguments stays. A call that certainly did not run because the
/// connection was away is made again until it did; any other failure waits for [`refetch`](Query::refetch) or for other
/// arguments.
///
/// # Server-side rendering
///
/// Nothing is called on the server: the page starts with `loading` and calls by itself.
///
/// # Cleanup
///
/// The call under way is cancelled when the owner of the hook ends, mostly the component.
pub fn query<R, F>(call: F) -> Query<R::Ok, R::Err>
where
    F: Fn() -> CallFuture<R> + Send + Sync + 'static,
    R: Output + 'static,
    R::Ok: Send + Sync + 'static,
    R::Err: Send + Sync + 'static,
{
    let asking = Asking::<R::Ok, R::Err>::new();
    let query = asking.query();
    follow(call, asking.again.clone(), move |call, start, link| {
        let asking = asking.clone();
        async move {
            let freshness = asking.freshness.clone();
            join(asking.ask(call, start), freshness.follow(link)).await;
        }
    });
    query
}

/// What the task of a query writes to. Reference-counted, so that it never meets a signal that is gone.
struct Asking<T, E> {
    data: ArcRwSignal<Option<T>>,
    error: ArcRwSignal<Option<CallError<E>>>,
    loading: ArcRwSignal<bool>,
    freshness: Freshness,
    /// `data` is the answer to other arguments.
    outdated: Arc<AtomicBool>,
    patience: Patience,
    again: Again,
}

impl<T: Send + Sync + 'static, E: Send + Sync + 'static> Asking<T, E> {
    fn new() -> Self {
        Self {
            data: ArcRwSignal::new(None),
            error: ArcRwSignal::new(None),
            loading: ArcRwSignal::new(true),
            freshness: Freshness::new(),
            outdated: Arc::default(),
            patience: Patience::new(),
            again: Again::new(),
        }
    }

    fn query(&self) -> Query<T, E> {
        Query {
            data: self.data.read_only().into(),
            error: self.error.read_only().into(),
            loading: self.loading.read_only().into(),
            stale: self.freshness.signal(),
            again: StoredValue::new(self.again.clone()),
        }
    }

    async fn ask<R: Output<Ok = T, Err = E>>(self, call: CallFuture<R>, start: Start) {
        if start == Start::Changed {
            self.outdated.store(true, Ordering::Relaxed);
            self.freshness.outdate();
            self.patience.reset();
        }
        self.loading.set(true);
        let error = match call.await {
            Ok(answer) => {
                self.outdated.store(false, Ordering::Relaxed);
                self.patience.reset();
                self.data.set(Some(answer));
                self.freshness.renew();
                self.error.set(None);
                self.loading.set(false);
                return;
            }
            Err(error) => error,
        };
        let wait = self.patience.after(&error, Wanted::Once);
        self.error.set(Some(error));
        if self.outdated.load(Ordering::Relaxed) {
            self.data.set(None);
            self.freshness.clear();
        } else {
            self.freshness.outdate();
        }
        match wait {
            Some(wait) => {
                sleep(wait).await;
                self.again.ask();
            }
            None => self.loading.set(false),
        }
    }
}

impl<T, E> Clone for Asking<T, E> {
    fn clone(&self) -> Self {
        Self {
            data: self.data.clone(),
            error: self.error.clone(),
            loading: self.loading.clone(),
            freshness: self.freshness.clone(),
            outdated: self.outdated.clone(),
            patience: self.patience.clone(),
            again: self.again.clone(),
        }
    }
}

/// The answer to a call, as signals. From [`query`] and the `.._query` methods of generated clients.
pub struct Query<T: 'static, E: 'static = Infallible> {
    /// The newest answer; `None` until there is one.
    pub data: ReadSignal<Option<T>>,
    /// Why the last call gave no answer; `None` once one did.
    pub error: ReadSignal<Option<CallError<E>>>,
    /// Whether a call is under way or about to be made.
    pub loading: ReadSignal<bool>,
    /// Whether the answer may be out of date: the connection is away, a newer call failed, or it is the answer to the
    /// arguments before. One that was current when the connection was lost is so again when it is back: a query asks
    /// once.
    pub stale: ReadSignal<bool>,
    again: StoredValue<Again>,
}

impl<T, E> Query<T, E> {
    /// Makes the same call again; one that is under way is cancelled.
    pub fn refetch(&self) {
        // After the owner's end there is nobody to fetch for.
        if let Some(again) = self.again.try_get_value() {
            again.ask();
        }
    }
}

impl<T, E> Clone for Query<T, E> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T, E> Copy for Query<T, E> {}

impl<T, E> fmt::Debug for Query<T, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Query").finish_non_exhaustive()
    }
}
