use std::collections::VecDeque;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bowline_runtime::Lines;
use futures_core::Stream;

use super::follower::{Follower, Taken};
use super::readers::ReaderId;
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
}

impl<T> Subscription<T> {
    pub(super) fn new(
        topic: Arc<Inner<T>>,
        reader: ReaderId,
        follower: Follower,
        call: Arc<Incoming>,
    ) -> Self {
        Self { topic, reader, follower, ready: VecDeque::new(), call }
    }
}

impl<T> Stream for Subscription<T> {
    type Item = Shared<T>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Shared<T>>> {
        if let Some(item) = self.ready.pop_front() {
            return Poll::Ready(Some(item));
        }
        let this = &mut *self;
        let own = Lines::of(this);
        let mut state = this.topic.lock();
        let State { log, readers, closed, .. } = &mut *state;
        let reader = readers.get_mut(&mut this.reader);
        match this.follower.take(&mut reader.next, log) {
            Taken::Item(missed, item) => {
                this.call.miss(missed);
                this.follower.take_more(&mut reader.next, log, &mut this.ready);
                if let Some(neighbour) = readers.neighbour(&this.reader) {
                    neighbour.nearby.prefetch();
                }
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
                reader.nearby.note(cx.waker(), own);
                let retired = reader.waker.replace(cx.waker().clone());
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
