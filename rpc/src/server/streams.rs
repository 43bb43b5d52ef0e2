use std::pin::Pin;
use std::task::Context;
use std::time::Duration;

use bowline_runtime::{has_budget, now};

use super::panic::guarded;

/// How many streams of one session are polled in its task: 4. Source: our choice; most sessions have fewer, and looking at
/// those that have nothing costs less than waking a task for the one that has.
const ROOM: usize = 4;

/// How long they may take together: 1 ms, as what the dispatcher spends on handlers at one time.
const STEP: Duration = Duration::from_millis(1);

/// Of so many polls one is measured, and each one behind a slow one. Source: our choice.
const MEASURED: u8 = 8;

/// Accepted streams that are polled in the task of their session, whenever it runs: what they send leaves with that task's
/// next write, and nobody else has to be woken for it.
///
/// They leave for tasks of their own once they took too long for others to wait for twice in a row.
// In this order: what each turn of a session asks for lies together.
#[repr(C)]
pub(super) struct Streams<R> {
    were_slow: bool,
    /// How often they were polled since the clock was asked how long that takes.
    unmeasured: u8,
    /// They left the task no budget, so that nothing of what they gave could be written.
    rest: bool,
    others: Vec<R>,
    /// It lies here: most sessions have one, are many, and poll it for each of its items.
    first: Option<R>,
}

impl<R> Default for Streams<R> {
    fn default() -> Self {
        Self { first: None, others: Vec::new(), were_slow: false, unmeasured: 0, rest: false }
    }
}

impl<R: Future<Output = ()> + Unpin> Streams<R> {
    /// Takes a stream in, to be polled by the next [`poll`](Self::poll); gives it back where there is no room.
    pub(super) fn take_in(&mut self, stream: R) -> Option<R> {
        if self.first.is_none() {
            self.first = Some(stream);
        } else if self.len() < ROOM {
            self.others.reserve_exact(1);
            self.others.push(stream);
        } else {
            return Some(stream);
        }
        None
    }

    /// Drops those of which `ends` says that they are over.
    pub(super) fn remove(&mut self, mut ends: impl FnMut(&mut R) -> bool) {
        self.retain(|stream| !ends(stream));
    }

    /// Polls all of them, and says whether that may have taken long. Those that leave are given to `leave`.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>, leave: impl FnMut(R)) -> bool {
        if self.len() == 0 {
            return false;
        }
        if std::mem::take(&mut self.rest) {
            cx.waker().wake_by_ref();
            return false;
        }
        // Looking costs as much as a good part of what it measures.
        let measures = self.were_slow || self.unmeasured == 0;
        self.unmeasured = (self.unmeasured + 1) % MEASURED;
        let started = measures.then(now);
        self.retain(|stream| Pin::new(stream).poll(cx).is_pending());
        self.rest = !has_budget();
        let Some(started) = started else { return true };
        let are_slow = now().saturating_duration_since(started) >= STEP;
        if std::mem::replace(&mut self.were_slow, are_slow) && are_slow {
            self.were_slow = false;
            self.first.take().into_iter().chain(std::mem::take(&mut self.others)).for_each(leave);
        }
        are_slow
    }

    fn len(&self) -> usize {
        usize::from(self.first.is_some()) + self.others.len()
    }

    fn retain(&mut self, mut keep: impl FnMut(&mut R) -> bool) {
        self.first.take_if(|stream| !keep(stream));
        if !self.others.is_empty() {
            self.others.retain_mut(keep);
            if self.others.is_empty() {
                self.others = Vec::new();
            }
        }
    }
}

impl<R> Drop for Streams<R> {
    fn drop(&mut self) {
        for stream in self.first.take().into_iter().chain(std::mem::take(&mut self.others)) {
            // One whose destructor panics was logged; the others are dropped all the same.
            let _logged = guarded(&|| "a stream".to_owned(), || drop(stream));
        }
    }
}

#[cfg(all(test, not(target_arch = "wasm32")))]
mod tests {
    use std::cell::Cell;
    use std::future::{pending, poll_fn};
    use std::rc::Rc;
    use std::task::{Poll, Waker};

    use super::*;

    type Stream = Pin<Box<dyn Future<Output = ()>>>;

    /// How many leave at one poll.
    fn leave(streams: &mut Streams<Stream>) -> usize {
        let mut left = 0;
        streams.poll(&mut Context::from_waker(Waker::noop()), |_| left += 1);
        left
    }

    #[test]
    fn there_is_room_for_a_few() {
        let mut streams = Streams::default();
        let refused = (0..10).filter_map(|_| streams.take_in(Box::pin(pending()) as Stream)).count();
        assert_eq!((streams.len(), refused), (ROOM, 10 - ROOM));
    }

    #[test]
    fn the_place_of_one_that_went_is_taken_by_the_next() {
        let mut streams = Streams::default();
        let polls = Rc::new(Cell::new(0));
        let take_in = |streams: &mut Streams<Stream>| {
            let polls = polls.clone();
            let stream = poll_fn(move |_| {
                polls.set(polls.get() + 1);
                Poll::Pending
            });
            streams.take_in(Box::pin(stream) as Stream).is_none()
        };
        assert!((0..ROOM).all(|_| take_in(&mut streams)));
        for place in 0..ROOM {
            let mut seen = 0..;
            streams.remove(|_| seen.next() == Some(place));
            assert_eq!((streams.len(), leave(&mut streams)), (ROOM - 1, 0));
            assert!(take_in(&mut streams) && !take_in(&mut streams));
        }
        assert_eq!(polls.get(), ROOM * (ROOM - 1));
    }

    #[test]
    fn each_is_polled_to_its_end_and_leaves_room() {
        let mut streams = Streams::default();
        let polls = Rc::new(Cell::new(0));
        for last in [1, 3] {
            let (polls, mut own) = (polls.clone(), 0);
            let stream = poll_fn(move |_| {
                polls.set(polls.get() + 1);
                own += 1;
                if own == last { Poll::Ready(()) } else { Poll::Pending }
            });
            assert!(streams.take_in(Box::pin(stream) as Stream).is_none());
        }
        for (polled, left) in [(2, 1), (3, 1), (4, 0), (4, 0)] {
            assert_eq!(leave(&mut streams), 0);
            assert_eq!((polls.get(), streams.len()), (polled, left));
        }
        assert_eq!(streams.others.capacity(), 0);
    }

    #[test]
    fn those_that_are_stopped_leave_room_too_and_nothing_when_they_were_the_last() {
        let mut streams = Streams::default();
        for _ in 0..ROOM {
            assert!(streams.take_in(Box::pin(pending()) as Stream).is_none());
        }
        let mut seen = 0;
        streams.remove(|_| {
            seen += 1;
            seen <= ROOM / 2
        });
        assert_eq!((seen, streams.len()), (ROOM, ROOM / 2));
        streams.remove(|_| true);
        assert_eq!(streams.others.capacity(), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn what_takes_too_long_twice_in_a_row_leaves() {
        let mut streams = Streams::default();
        let steps = Rc::new(Cell::new(Duration::ZERO));
        let took = steps.clone();
        let slow = poll_fn(move |cx| {
            // Time passes for what asks for it, without a task that would wait.
            let passing = tokio::time::advance(took.get());
            let _ = std::pin::pin!(passing).poll(cx);
            Poll::Pending
        });
        assert!(streams.take_in(Box::pin(slow) as Stream).is_none());
        // One of eight is measured, and what follows a slow one.
        let quick = std::iter::repeat_n((Duration::ZERO, 0), 6);
        let polls =
            [(STEP, 0), (STEP / 2, 0)].into_iter().chain(quick).chain([(STEP, 0), (STEP, 1), (STEP, 0)]);
        for (place, (took, left)) in polls.enumerate() {
            steps.set(took);
            assert_eq!(leave(&mut streams), left, "{place}");
        }
    }

    #[tokio::test]
    async fn what_takes_all_of_a_task_leaves_it_the_next_turn() {
        let (sender, mut receiver) = tokio::sync::mpsc::unbounded_channel();
        for number in 0..1000 {
            sender.send(number).unwrap();
        }
        let taken = Rc::new(Cell::new(0));
        let counted = taken.clone();
        let greedy = poll_fn(move |cx| {
            while receiver.poll_recv(cx).is_ready() {
                counted.set(counted.get() + 1);
            }
            Poll::Pending
        });
        let mut streams = Streams::default();
        assert!(streams.take_in(Box::pin(greedy) as Stream).is_none());
        for turn in 0..4 {
            let before = taken.get();
            leave(&mut streams);
            assert_eq!((taken.get() > before, has_budget()), (turn % 2 == 0, turn % 2 == 1));
            tokio::task::yield_now().await;
        }
    }

    #[test]
    fn all_are_dropped_also_when_one_panics() {
        struct Noting(Rc<Cell<usize>>);
        impl Drop for Noting {
            fn drop(&mut self) {
                self.0.set(self.0.get() + 1);
                assert!(self.0.get() != 1, "the first one panics");
            }
        }
        let dropped = Rc::new(Cell::new(0));
        let mut streams = Streams::default();
        for _ in 0..3 {
            let noting = Noting(dropped.clone());
            let stream = poll_fn(move |_| {
                let _kept = &noting;
                Poll::Pending
            });
            assert!(streams.take_in(Box::pin(stream) as Stream).is_none());
        }
        drop(streams);
        assert_eq!(dropped.get(), 3);
    }
}
