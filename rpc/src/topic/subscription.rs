use std::collections::VecDeque;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bowline_runtime::now;
use futures_core::Stream;

use super::queue::Taken;
use super::{Inner, Shared, State};
use crate::context::Incoming;

/// The items of a topic for one call's stream. Dropping it ends the subscription.
pub struct Subscription<T> {
    topic: Arc<Inner<T>>,
    queue: usize,
    /// Items that were taken out together with one before them.
    ready: VecDeque<Shared<T>>,
    /// The call whose stream is told of gaps.
    call: Arc<Incoming>,
}

impl<T> Subscription<T> {
    pub(super) fn new(topic: Arc<Inner<T>>, queue: usize, call: Arc<Incoming>) -> Self {
        Self { topic, queue, ready: VecDeque::new(), call }
    }
}

impl<T> Stream for Subscription<T> {
    type Item = Shared<T>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Shared<T>>> {
        if let Some(item) = self.ready.pop_front() {
            return Poll::Ready(Some(item));
        }
        let this = &mut *self;
        let mut state = this.topic.lock();
        let State { retained, queues, closed, .. } = &mut *state;
        let closed = *closed;
        let Some(queue) = queues.get_mut(this.queue) else { return Poll::Ready(None) };
        match queue.take(now, retained) {
            Taken::Item(missed, item) => {
                this.call.notices.miss(missed);
                queue.take_more(&mut this.ready);
                Poll::Ready(Some(item))
            }
            Taken::Lagged(missed) => {
                this.call.notices.lag(missed);
                Poll::Ready(None)
            }
            Taken::Nothing if closed => Poll::Ready(None),
            Taken::Nothing => {
                let retired = queue.waker.replace(cx.waker().clone());
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
        let mut state = self.topic.lock();
        let queue = state.queues.try_remove(self.queue);
        if state.queues.is_empty() {
            // Of many that were there at one time.
            state.queues.shrink_to_fit();
        }
        // Its drop may run foreign code: not under the lock.
        drop(state);
        drop(queue);
    }
}

impl<T> fmt::Debug for Subscription<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Subscription").finish_non_exhaustive()
    }
}
