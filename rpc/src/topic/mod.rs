mod follower;
mod log;
mod notices;
mod readers;
mod shared;
mod subscription;

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Waker;

use bowline_protocol::codec::{Codec, Payload};
use bowline_protocol::schema::{Lag, MethodKind};
use bowline_runtime::{Lines, now, random_u128};

use crate::Context;
use follower::{Follower, Room};
use log::Log;
use readers::Readers;

pub use shared::Shared;
pub use subscription::Subscription;

pub(crate) use notices::Notices;

/// A broadcast source: what is published reaches every subscriber, encoded once for all of them. Cheap to clone.
///
/// Publishing never waits. A subscriber that is too slow is treated as its method says (`lag = ".."`): its stream ends
/// with `Lagged`, or it goes on behind a gap that tells how many items are missing. Room per subscriber: 1,024 items or
/// 256 KiB, beyond the window of its stream. Items are numbered; 1,024 of them or 1 MiB are kept for 60 s, so that a
/// reader can go on from a [`Position`]. Source of the numbers: section 5 of the protocol.
///
/// Subscriptions end when the last clone of the topic is dropped.
///
/// # Examples
///
/// A service keeps the topic, and its handler subscribes the call that `cx` belongs to. In a program the trait carries
/// `#[bowline::rpc]`; clients get `String` items.
///
/// ```
/// use bowline_rpc::{Context, Shared, Topic};
/// use futures_core::Stream;
///
/// trait News {
///     fn items(&self, cx: &Context) -> impl Stream<Item = Shared<String>>;
/// }
///
/// struct Room(Topic<String>);
///
/// impl News for Room {
///     fn items(&self, cx: &Context) -> impl Stream<Item = Shared<String>> {
///         self.0.subscribe(cx)
///     }
/// }
///
/// let room = Room(Topic::new());
/// let next = room.0.position();
/// assert_eq!(room.0.publish("the doors are open".into()), next);
/// assert_eq!(room.0.subscribers(), 0);
/// ```
pub struct Topic<T> {
    inner: Arc<Inner<T>>,
    /// Shared by the topic's clones and not by its subscriptions.
    _handle: Arc<Handle<T>>,
}

/// A place in a topic: one item's number, and which topic gave it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Position {
    /// A random number of the topic's; another after a restart.
    pub epoch: u128,
    /// Counts the items from 0.
    pub offset: u64,
}

impl<T: Payload> Topic<T> {
    /// Makes a topic without subscribers.
    pub fn new() -> Self {
        let (log, readers) = (Log::default(), Readers::default());
        let state = State { epoch: random_u128(), log, readers, closed: false };
        let inner = Arc::new(Inner { next: AtomicU64::new(0), state: Mutex::new(state) });
        Self { _handle: Arc::new(Handle(inner.clone())), inner }
    }

    /// Gives `value` to every subscriber, and returns its place.
    ///
    /// It is encoded here for ends of the same build. A value that can't be encoded ends the streams that it reaches.
    pub fn publish(&self, value: T) -> Position {
        let item = Shared::new(value);
        let size = item.encoded(Codec::Rkyv).map_or(0, |bytes| bytes.len());
        let (mut wakers, position, retired);
        {
            let mut state = self.inner.lock();
            wakers = Vec::with_capacity(state.readers.len());
            let mut unread = u64::MAX;
            for reader in state.readers.iter_mut() {
                unread = unread.min(reader.next);
                wakers.extend(reader.waker.take());
            }
            position = Position { epoch: state.epoch, offset: state.log.next() };
            retired = state.log.push(now(), item, size, unread);
            self.inner.next.store(state.log.next(), Ordering::Release);
        }
        wake(wakers);
        // Runs foreign code: it may look at this topic, and nobody stays asleep if it panics.
        drop(retired);
        position
    }

    /// Every item from now on, for the stream of the call that `cx` belongs to.
    ///
    /// Give it to that call's stream: gaps are shown there.
    pub fn subscribe(&self, cx: &Context) -> Subscription<T> {
        self.follow(cx, |state, _| state.log.next())
    }

    /// Every item from `position` on. What is no longer kept is shown as a gap; a position of another topic, or of a
    /// time before a restart, gives everything that is kept. What is kept takes no room of the subscriber's.
    pub fn subscribe_from(&self, cx: &Context, position: Position) -> Subscription<T> {
        self.follow(cx, |state, follower| {
            let first = state.log.first(now());
            let is_known = position.epoch == state.epoch;
            follower.start_behind(if is_known { position.offset.min(state.log.next()) } else { first }, first)
        })
    }

    /// The place of the next item.
    pub fn position(&self) -> Position {
        let state = self.inner.lock();
        Position { epoch: state.epoch, offset: state.log.next() }
    }

    /// How many subscriptions there are.
    pub fn subscribers(&self) -> usize {
        self.inner.lock().readers.len()
    }

    /// `start` says with which item the subscriber begins.
    fn follow(&self, cx: &Context, start: impl FnOnce(&State<T>, &mut Follower) -> u64) -> Subscription<T> {
        let (room, lag) = match cx.method().kind {
            // A watch shows the newest value, and never a gap.
            MethodKind::Watch => (Room::NEWEST, Lag::Latest),
            _ => (Room::DEFAULT, cx.method().lag),
        };
        let mut follower = Follower::new(room, lag);
        let nearby = Nearby::of(cx);
        let mut state = self.inner.lock();
        let next = start(&state, &mut follower);
        let id = state.readers.insert(next, nearby);
        drop(state);
        Subscription::new(self.inner.clone(), id, follower, cx.incoming().clone())
    }
}

impl<T: Payload> Default for Topic<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> Clone for Topic<T> {
    fn clone(&self) -> Self {
        Self { inner: self.inner.clone(), _handle: self._handle.clone() }
    }
}

impl<T> fmt::Debug for Topic<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Topic").field("subscribers", &self.inner.lock().readers.len()).finish_non_exhaustive()
    }
}

struct Inner<T> {
    /// The number of the item that is published next, and [`CLOSED`] behind the last: readers that wait for it need not lock to
    /// find out that it is not there. Written under the lock.
    next: AtomicU64,
    state: Mutex<State<T>>,
}

/// The next item of a topic that is closed.
const CLOSED: u64 = u64::MAX;

struct State<T> {
    epoch: u128,
    log: Log<T>,
    readers: Readers,
    closed: bool,
}

/// What the turn of a subscriber's session asks for. Sessions that are woken together run one behind the other, mostly in the
/// order of their subscribers: while one of them sends, the memory of the next can come.
#[derive(Default)]
struct Nearby {
    /// Of the session, and what its driver has beside it.
    session: [Lines; 10],
    /// Of the task that runs it, and of the subscription.
    task: Lines,
    subscription: Lines,
}

/// How many bytes of a task are asked for: its head, and where its future begins. Source of these: our choice, by their sizes.
const TASK: usize = 128;

/// How many lines before a subscription are asked for, and how many behind it: it lies within its handler's future, which says at
/// its end how far it is.
const AROUND: (usize, usize) = (1, 7);

/// How many tasks before its turn to be woken the head of one is asked for: as many as are woken while memory answers.
const AHEAD: usize = 4;

impl Nearby {
    fn of(cx: &Context) -> Self {
        let incoming = cx.incoming();
        let session = incoming.call.map(|call| incoming.home.peer.lines(call)).unwrap_or_default();
        Self { session, task: Lines::default(), subscription: Lines::default() }
    }

    /// The subscription waits, in the task of `waker`.
    fn note(&mut self, waker: &Waker, subscription: Lines) {
        let task = waker.data().addr();
        self.task = Lines::new(task..task.saturating_add(TASK));
        self.subscription = subscription.with_around(AROUND.0, AROUND.1);
    }

    #[inline]
    fn prefetch(&self) {
        self.task.prefetch();
        self.session.iter().for_each(|part| part.prefetch());
        self.subscription.prefetch();
    }
}

impl<T> Inner<T> {
    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Closes the topic when its last clone is gone.
struct Handle<T>(Arc<Inner<T>>);

impl<T> Drop for Handle<T> {
    fn drop(&mut self) {
        let wakers: Vec<_> = {
            let mut state = self.0.lock();
            state.closed = true;
            self.0.next.store(CLOSED, Ordering::Release);
            state.readers.iter_mut().filter_map(|reader| reader.waker.take()).collect()
        };
        wake(wakers);
    }
}

/// Wakes the tasks of all, and has the heads of those that follow brought meanwhile: each was put away since it last ran.
fn wake(wakers: Vec<Waker>) {
    let mut wakers = wakers.into_iter();
    while let Some(waker) = wakers.next() {
        if let Some(later) = wakers.as_slice().get(AHEAD) {
            let head = later.data().addr();
            Lines::new(head..head.saturating_add(1)).prefetch();
        }
        waker.wake();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
    use std::sync::{OnceLock, Weak};
    use std::task::Wake;

    use bowline_protocol::codec::{DecodePayloadError, EncodeError};

    use super::*;

    /// An item whose drop looks at its topic.
    #[derive(Default)]
    struct Farewell {
        topic: OnceLock<Weak<Inner<Self>>>,
        reader: Arc<Woken>,
        dropped: Arc<AtomicUsize>,
    }

    #[derive(Default)]
    struct Woken(AtomicBool);

    impl Wake for Woken {
        fn wake(self: Arc<Self>) {
            self.0.store(true, Ordering::SeqCst);
        }
    }

    impl Drop for Farewell {
        fn drop(&mut self) {
            if let Some(topic) = self.topic.get().and_then(Weak::upgrade) {
                assert!(topic.state.try_lock().is_ok(), "the topic is locked");
                assert!(self.reader.0.load(Ordering::SeqCst), "the reader sleeps");
                self.dropped.fetch_add(1, Ordering::SeqCst);
            }
        }
    }

    impl Payload for Farewell {
        const HASH: u128 = 1;

        fn encode(&self, codec: Codec, out: &mut Vec<u8>) -> Result<(), EncodeError> {
            0_u64.encode(codec, out)
        }

        fn decode(_: Codec, _: &[u8]) -> Result<Self, DecodePayloadError> {
            Ok(Self::default())
        }

        fn recode(rkyv: &[u8]) -> Result<Vec<u8>, EncodeError> {
            u64::recode(rkyv)
        }
    }

    /// It ran under the topic's lock: an item that looked at its topic waited for itself for ever, and one that panicked left
    /// the readers asleep.
    #[test]
    fn an_item_that_is_kept_no_longer_is_dropped_without_the_lock_and_after_waking() {
        let (topic, reader, dropped) = (Topic::new(), Arc::<Woken>::default(), Arc::<AtomicUsize>::default());
        let mut id = topic.inner.lock().readers.insert(0, Nearby::default());
        for _ in 0..1026 {
            reader.0.store(false, Ordering::SeqCst);
            topic.inner.lock().readers.get_mut(&mut id).waker = Some(reader.clone().into());
            let place = OnceLock::from(Arc::downgrade(&topic.inner));
            topic.publish(Farewell { topic: place, reader: reader.clone(), dropped: dropped.clone() });
        }
        assert_eq!(dropped.load(Ordering::SeqCst), 2, "1,024 are kept");
    }
}
