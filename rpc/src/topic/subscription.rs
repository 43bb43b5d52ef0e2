use std::collections::VecDeque;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll};

use bowline_runtime::Lines;
use futures_core::Stream;

use super::follower::{Follower, Taken};
use super::readers::{ReaderId, Task, task_of};
use super::{Inner, Shared, State};
use crate::context::Incoming;

/// The items of a topic for one call's stream. Dropping it ends the subscription.
pub struct Subscription<T> {
    topic: Arc<Inner<T>>,
    reader: ReaderId,
    follower: Follower,
    /// Items that were taken out together with one before them.
    ready: VecDeque<Shared<T>>,
    /// The call whose stream is told of gaps.
    call: Arc<Incoming>,
    /// It has everything before this item, and the topic knows whom to wake for it.
    waits: Option<(u64, Task)>,
}

impl<T> Subscription<T> {
    pub(super) fn new(
        topic: Arc<Inner<T>>,
        reader: ReaderId,
        follower: Follower,
        call: Arc<Incoming>,
    ) -> Self {
        Self { topic, reader, follower, ready: VecDeque::new(), call, waits: None }
    }
}

impl<T> Stream for Subscription<T> {
    type Item = Shared<T>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Shared<T>>> {
        if let Some(item) = self.ready.pop_front() {
            return Poll::Ready(Some(item));
        }
        let this = &mut *self;
        // The topic keeps that task's waker, so another's can't lie where it does.
        if this.waits == Some((this.topic.next.load(Ordering::Acquire), task_of(cx.waker()))) {
            return Poll::Pending;
        }
        this.waits = None;
        let own = Lines::of(this);
        let mut state = this.topic.lock();
        let State { log, readers, closed, .. } = &mut *state;
        let reader = readers.get_mut(&mut this.reader);
        match this.follower.take(&mut reader.next, log) {
            Taken::Item(missed, item) => {
                this.call.miss(missed);
                this.follower.take_more(&mut reader.next, log, &mut this.ready);
                // Whoever took an item asks for the next one, and mostly there is none.
                let has_all = reader.next == log.next() && !this.follower.is_behind() && !*closed;
                let (task, retired) = has_all.then(|| reader.wait(cx.waker(), own)).unzip();
                this.waits = task.map(|task| (log.next(), task));
                if let Some(neighbour) = readers.neighbour(&this.reader) {
                    neighbour.nearby.prefetch();
                }
                drop(state);
                drop(retired);
                Poll::Ready(Some(item))
            }
            Taken::Lagged(missed) => {
                this.call.notices.lag(missed);
                Poll::Ready(None)
            }
            Taken::Nothing if *closed => {
                this.call.miss(this.follower.take_missed());
                Poll::Ready(None)
            }
            Taken::Nothing => {
                let (task, retired) = reader.wait(cx.waker(), own);
                this.waits = Some((log.next(), task));
                // Its drop may run foreign code: not under the lock.
                drop(state);
                drop(retired);
                Poll::Pending
            }
        }
    }
}

impl<T> Drop for Subscription<T> {
    fn drop(&mut self) {
        let waker = self.topic.lock().readers.remove(&mut self.reader);
        // Its drop may run foreign code: not under the lock.
        drop(waker);
    }
}

impl<T> fmt::Debug for Subscription<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Subscription").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;
    use std::task::Wake;

    use bowline_protocol::codec::Codec;
    use bowline_protocol::schema::{Lag, ServiceDescriptor};
    use bowline_protocol::session::Config;

    use super::*;
    use crate::context::Home;
    use crate::topic::Topic;
    use crate::topic::follower::Room;
    use crate::{Peer, SessionInfo};

    #[derive(Default)]
    struct Woken(AtomicUsize);

    impl Wake for Woken {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }

    /// Who took an item is among those who are woken for the next already, and does not look for it again.
    #[test]
    fn the_task_that_asked_last_is_woken_for_each_item_and_for_the_end() {
        static SERVICE: ServiceDescriptor = ServiceDescriptor { name: "News", methods: &[] };
        let home = Home { peer: Peer::server(Config::default()), session: SessionInfo::default() };
        let call = Arc::new(Incoming::new(Arc::new(home), None, (&SERVICE, 0), (Codec::Rkyv, 0), false));
        let topic = Topic::<u64>::new();
        let reader = topic.inner.lock().readers.insert(0, super::super::Nearby::default());
        let follower = Follower::new(Room::DEFAULT, Lag::Close);
        let mut items = Subscription::new(topic.inner.clone(), reader, follower, call);
        let tasks = [Arc::<Woken>::default(), Arc::<Woken>::default()];
        let mut poll = |task: usize| {
            let polled =
                Pin::new(&mut items).poll_next(&mut Context::from_waker(&tasks[task].clone().into()));
            polled.map(|item| item.map(|item| *item))
        };
        let woken = || [0, 1].map(|task| tasks[task].0.swap(0, Ordering::SeqCst));
        assert_eq!(poll(0), Poll::Pending);
        for (number, task) in [(1, 0), (2, 0), (3, 1), (4, 1), (5, 0)] {
            topic.publish(number);
            assert_eq!(woken().iter().sum::<usize>(), 1, "{number}");
            assert_eq!(poll(task), Poll::Ready(Some(number)));
            assert_eq!(poll(task), Poll::Pending);
            // In another task from here on.
            assert_eq!(poll(1), Poll::Pending);
            topic.publish(0);
            assert_eq!(woken(), [0, 1], "{number}");
            assert_eq!((poll(task), poll(task)), (Poll::Ready(Some(0)), Poll::Pending));
        }
        assert_eq!(woken(), [0, 0]);
        drop(topic);
        assert_eq!(woken(), [1, 0]);
        assert_eq!(poll(0), Poll::Ready(None));
    }
}
