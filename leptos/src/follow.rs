//! What every hook over a call has in common: run it again when what it reads has changed, and never two at a time.

use std::{
    future::Future,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use bowline_client::Liveness;
use bowline_protocol::status::Delivery;
use bowline_rpc::{CallError, CallFuture, CallKey, Channel, Output, StreamFuture};
use bowline_runtime::{MaybeSend, Task, sleep, spawn};
use bowline_transport::Backoff;
use futures_util::{Stream, StreamExt, future::Either, stream};
use leptos::prelude::*;

/// A call that was made and not yet sent.
pub(crate) trait Keyed {
    /// Equal for calls of the same method with the same arguments.
    fn key(&self) -> Option<CallKey>;
    /// What it will go to.
    fn channel(&self) -> Option<Channel>;
}

impl<R: Output> Keyed for CallFuture<R> {
    fn key(&self) -> Option<CallKey> {
        CallFuture::key(self)
    }

    fn channel(&self) -> Option<Channel> {
        CallFuture::channel(self)
    }
}

impl<T, E> Keyed for StreamFuture<T, E> {
    fn key(&self) -> Option<CallKey> {
        StreamFuture::key(self)
    }

    fn channel(&self) -> Option<Channel> {
        StreamFuture::channel(self)
    }
}

/// Why a call starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Start {
    /// It is the first, or its arguments are others than before.
    Changed,
    /// The same once more.
    Again,
}

impl Start {
    /// Why the call that asks `key` in this `round` starts; `None` if it is the `last` one. What was polled before says no
    /// more what it asks, and is taken for another each time.
    fn of(last: Option<&(Option<CallKey>, u64)>, key: &Option<CallKey>, round: u64) -> Option<Self> {
        match last.filter(|(last, _)| key.is_some() && last == key) {
            Some((_, before)) if *before == round => None,
            Some(_) => Some(Self::Again),
            None => Some(Self::Changed),
        }
    }
}

/// Asks for the same call once more.
#[derive(Debug, Clone)]
pub(crate) struct Again(ArcRwSignal<u64>);

impl Again {
    pub(crate) fn new() -> Self {
        Self(ArcRwSignal::new(0))
    }

    pub(crate) fn ask(&self) {
        self.0.update(|rounds| *rounds = rounds.wrapping_add(1));
    }
}

/// Runs `start` with the call that `make` makes: at first, when `make` makes another call because something that it
/// reads has changed, and when someone asks for it `again`. The one before is dropped, which cancels it.
///
/// Belongs to the current owner and ends with it. On a server nothing runs.
pub(crate) fn follow<C, F>(
    make: impl Fn() -> C + Send + Sync + 'static,
    again: Again,
    start: impl Fn(C, Start, Link) -> F + Send + Sync + 'static,
) where
    C: Keyed,
    F: Future<Output = ()> + MaybeSend + 'static,
{
    if cfg!(feature = "ssr") {
        return;
    }
    let slot = Slot::new();
    Effect::new_sync(move |last: Option<(Option<CallKey>, u64)>| {
        let round = again.0.get();
        let call = make();
        let key = call.key();
        let Some(why) = Start::of(last.as_ref(), &key, round) else { return (key, round) };
        let link = Link(call.channel().map(|channel| Liveness::of(&channel)));
        slot.run(start(call, why, link));
        (key, round)
    });
}

/// The connection that a call goes to. It keeps nothing alive.
#[derive(Debug, Clone)]
pub(crate) struct Link(Option<Arc<Liveness>>);

impl Link {
    /// Whether calls go through, now and after each change.
    pub(crate) fn changes(&self) -> impl Stream<Item = bool> + Unpin + use<> {
        stream::iter(self.0.as_ref().map(|link| link.changes())).flatten()
    }

    /// Whether the call has failed with `error` because there is no connection, as where the other end refuses one: then
    /// the call is of use again when there is.
    pub(crate) fn is_why<E>(&self, error: &CallError<E>) -> bool {
        let is_live = self.0.as_ref().is_none_or(|link| link.is_live());
        !is_live && !matches!(error, CallError::Closed | CallError::Application(_))
    }

    /// Waits until calls go through.
    pub(crate) async fn live(&self) {
        let mut changes = self.changes();
        while changes.next().await == Some(false) {}
    }
}

/// Holds at most one running task; a newer one replaces it, and the end of the owner ends it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Slot(StoredValue<Option<Task>>);

impl Slot {
    pub(crate) fn new() -> Self {
        Self(StoredValue::new(None))
    }

    /// Runs `future` here, unless the owner has ended.
    pub(crate) fn run(self, future: impl Future<Output = ()> + MaybeSend + 'static) {
        if self.0.is_disposed() {
            return;
        }
        // The old call goes first, so that its cancel is written before the new call.
        drop(self.0.try_update_value(Option::take));
        let task = spawn(future);
        let _ = self.0.try_update_value(|slot| *slot = Some(task));
    }
}

/// Whether a hook makes the same call again by itself, and when. One for all tries of a hook.
#[derive(Debug, Clone)]
pub(crate) struct Patience(Arc<Mutex<Backoff>>);

/// What a caller expects of a hook.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wanted {
    /// One answer: it is asked for again only where the question certainly did not arrive.
    Once,
    /// A value that is kept up to date for as long as anyone looks.
    Kept,
}

impl Patience {
    pub(crate) fn new() -> Self {
        Self(Arc::default())
    }

    /// It went well, or it is another call: the next failure starts with the shortest wait.
    pub(crate) fn reset(&self) {
        self.lock().reset();
    }

    /// Waits after `error` for as long as it takes until the same call is of use again; `None` if it never is.
    pub(crate) fn wait<E>(
        &self,
        error: &CallError<E>,
        link: Link,
    ) -> Option<impl Future<Output = ()> + MaybeSend + use<E>> {
        match self.after(error, Wanted::Kept) {
            Some(wait) => Some(Either::Left(sleep(wait))),
            None if link.is_why(error) => Some(Either::Right(async move { link.live().await })),
            None => None,
        }
    }

    /// How long to wait after `error` before the same call is made again; `None` if that is of no use.
    pub(crate) fn after<E>(&self, error: &CallError<E>, wanted: Wanted) -> Option<Duration> {
        let mut backoff = self.lock();
        match error {
            CallError::Disconnected(delivery) | CallError::DeadlineExceeded(delivery)
                if wanted == Wanted::Kept || *delivery != Delivery::OutcomeUnknown =>
            {
                // The next call waits for the connection by itself, which is made again with growing delays; here
                // it only matters that a thousand pages don't ask in the same moment.
                backoff.reset();
                Some(backoff.next_delay())
            }
            CallError::Unavailable { retry_after, .. } | CallError::ResourceExhausted { retry_after, .. }
                if wanted == Wanted::Kept =>
            {
                Some(backoff.next_delay().max(retry_after.unwrap_or_default()))
            }
            _ => None,
        }
    }

    fn lock(&self) -> MutexGuard<'_, Backoff> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use bowline_protocol::schema::{Lag, MethodDescriptor, MethodKind, Retry, ServiceDescriptor};
    use bowline_rpc::Peer;

    use super::*;

    #[test]
    fn only_what_may_come_right_by_itself_is_asked_again() {
        let after = |error: CallError<()>, wanted| Patience::new().after(&error, wanted);
        let unknown = || CallError::Disconnected(Delivery::OutcomeUnknown);
        assert_eq!(after(unknown(), Wanted::Once), None, "it may have run");
        assert!(after(unknown(), Wanted::Kept).is_some());
        assert!(after(CallError::DeadlineExceeded(Delivery::NotSent), Wanted::Once).is_some());
        assert!(after(CallError::Disconnected(Delivery::NotExecuted), Wanted::Once).is_some());
        let busy =
            || CallError::Unavailable { message: "busy".into(), retry_after: Some(Duration::from_secs(45)) };
        assert_eq!(after(busy(), Wanted::Once), None);
        assert!(after(busy(), Wanted::Kept) >= Some(Duration::from_secs(45)));
        for last in [CallError::Application(()), CallError::Closed, CallError::Unauthenticated(String::new())]
        {
            assert_eq!(after(last, Wanted::Kept), None);
        }
    }

    const NEXT: MethodDescriptor = MethodDescriptor {
        name: "next",
        kind: MethodKind::Unary,
        retry: Retry::Never,
        hash: 0,
        deadline: None,
        lag: Lag::Close,
    };

    #[test]
    fn a_call_starts_when_it_asks_something_else_or_in_another_round() {
        static NUMBERS: ServiceDescriptor = ServiceDescriptor { name: "Numbers", methods: &[NEXT] };
        let channel = Peer::client(Default::default()).channel();
        let key = |number: u64| CallFuture::<u64>::new(&channel, &NUMBERS, 0, &number).key();
        let why = |last, key, round| Start::of(Some(&last), &key, round);
        assert_eq!(Start::of(None, &key(1), 0), Some(Start::Changed));
        assert_eq!(why((key(1), 0), key(1), 0), None);
        assert_eq!(why((key(1), 0), key(1), 1), Some(Start::Again));
        assert_eq!(why((key(1), 0), key(2), 0), Some(Start::Changed));
        for last in [None, key(1)] {
            assert_eq!(why((last, 0), None, 0), Some(Start::Changed), "it was polled");
        }
    }

    #[test]
    fn a_lost_connection_is_never_waited_for_twice() {
        let patience = Patience::new();
        for _ in 0..20 {
            let wait = patience.after::<()>(&CallError::DeadlineExceeded(Delivery::NotSent), Wanted::Kept);
            assert!(wait <= Some(Duration::from_millis(500)), "{wait:?}");
        }
    }
}
