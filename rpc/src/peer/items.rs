use std::sync::atomic::Ordering;
use std::task::{Context, Poll};

use bowline_protocol::session::{Batch, CallId, Read, Run};
use bowline_runtime::Lines;
use bytes::Bytes;

use super::Peer;

/// Items of streams, in both directions.
impl Peer {
    /// The next item of `call`; `End` as well when nobody holds the call any more. `None`: `batch`, which was empty, has the
    /// next items.
    pub(crate) fn poll_read(&self, cx: &Context<'_>, call: CallId, batch: &mut Batch) -> Poll<Option<Read>> {
        self.act_now(|state, now, wakes| {
            let Some(slot) = state.slots.get_mut(call) else { return Poll::Ready(Some(Read::End)) };
            if let Some(peeked) = slot.peeked.take() {
                return Poll::Ready(Some(*peeked));
            }
            let read = state.session.read_batch(now, call, batch);
            if let Some(Read::Pending) = read {
                wakes.park(&mut slot.reader, cx);
                return Poll::Pending;
            }
            // What was taken is credit for the other end.
            state.call_driver(wakes);
            Poll::Ready(read)
        })
    }

    /// Whether nothing of `call` is left to read but its failure. What was looked at stays to be read; where there is
    /// nothing, the reader is woken when something comes.
    pub(crate) fn is_failed(&self, cx: &Context<'_>, call: CallId) -> bool {
        self.act_now(|state, now, wakes| {
            let Some(slot) = state.slots.get_mut(call) else { return false };
            if slot.peeked.is_some() {
                return matches!(slot.peeked.as_deref(), Some(Read::Failed(_)));
            }
            match state.session.read(now, call) {
                Read::Pending => {
                    wakes.park(&mut slot.reader, cx);
                    false
                }
                read => {
                    let failed = matches!(read, Read::Failed(_));
                    slot.peeked = Some(Box::new(read));
                    state.call_driver(wakes);
                    failed
                }
            }
        })
    }

    /// Begins an empty run of items of `call`; `false` while none may be sent, and then the task is woken when one may be.
    #[inline]
    pub(crate) fn begin_run(&self, cx: &Context<'_>, call: CallId, run: &mut Run) -> bool {
        self.look(|state, wakes| {
            let begun = state.session.begin_run(call, run);
            if !begun && let Some(slot) = state.slots.get_mut(call) {
                wakes.park(&mut slot.writer, cx);
            }
            begun
        })
    }

    /// What a turn asks for that writes items of `call`, of the session and beside it.
    pub(crate) fn lines(&self, call: CallId) -> [Lines; 10] {
        let state = self.lock();
        let [data, link, rest, place, stream] = state.session.addresses(call).map(Lines::new);
        let [first, second, third] = state.driver_lines;
        let own = Lines::of(&*self.0).first(3);
        [own, data, link, rest, place, stream, first, second, third, state.dispatcher_lines]
    }

    /// Sends the items of a run, and says whether it has begun anew.
    pub(crate) fn send_run(&self, call: CallId, run: &mut Run) -> bool {
        self.act_in_time(|state, wakes| {
            let begun = state.session.send_run(call, run);
            state.call_driver(wakes);
            begun
        })
    }

    /// On which link this end is: a run that has begun holds until there is none or another.
    #[inline]
    pub(crate) fn link(&self) -> u32 {
        self.0.links.load(Ordering::Acquire)
    }

    pub(crate) fn send_item(&self, call: CallId, item: Bytes) {
        self.command(|state, now, _| state.session.send_item(now, call, item));
    }

    pub(crate) fn send_gap(&self, call: CallId, missed: u64) {
        self.command(|state, now, _| state.session.send_gap(now, call, missed));
    }

    pub(crate) fn send_end(&self, call: CallId) {
        self.command(|state, now, _| state.session.send_end(now, call));
    }

    pub(crate) fn set_watch(&self, call: CallId, value: Bytes) {
        self.command(|state, now, _| state.session.set_watch(now, call, value));
    }

    /// Lets the readers of this end's streams look where they are now.
    pub(crate) fn wake_readers(&self) {
        self.act(|state, wakes| state.wake_readers(wakes));
    }

    /// Whether the newest value of this watch is of a link that was lost.
    pub(crate) fn is_stale(&self, call: CallId) -> bool {
        self.lock().session.is_stale(call)
    }

    /// As [`is_stale`](Self::is_stale); the reader is woken when a link comes or goes.
    pub(crate) fn watch_stale(&self, cx: &Context<'_>, call: CallId) -> bool {
        self.act(|state, wakes| {
            if let Some(slot) = state.slots.get_mut(call) {
                wakes.park(&mut slot.reader, cx);
            }
            state.session.is_stale(call)
        })
    }
}
