use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use futures_util::task::AtomicWaker;

/// Lets one of several things that a task polls be polled only when it has called since it was last pending.
///
/// A task mostly wakes for one of them, and where there are ten thousand such tasks a look at one that has nothing is a look
/// at memory that no cache has.
///
/// # Examples
///
/// ```
/// use std::task::{Context, Poll, Waker};
///
/// let (mut bell, cx) = (bowline_runtime::Bell::default(), Context::from_waker(Waker::noop()));
/// let mut polls = 0;
/// for _ in 0..3 {
///     let polled: Poll<()> = bell.poll(&cx, |_| {
///         polls += 1;
///         Poll::Pending
///     });
///     assert!(polled.is_pending());
/// }
/// assert_eq!(polls, 1);
/// ```
#[derive(Debug)]
pub struct Bell {
    rope: Arc<Rope>,
    waker: Waker,
    /// It was not pending when it was polled last, or never polled.
    is_due: bool,
}

#[derive(Debug, Default)]
struct Rope {
    rung: AtomicBool,
    task: AtomicWaker,
}

impl Wake for Rope {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.rung.store(true, Ordering::Release);
        self.task.wake();
    }
}

impl Default for Bell {
    fn default() -> Self {
        let rope = Arc::<Rope>::default();
        Self { waker: rope.clone().into(), rope, is_due: true }
    }
}

impl Bell {
    /// The next poll is one, whether it calls or not.
    pub fn ring(&mut self) {
        self.is_due = true;
    }

    /// Polls, unless that was pending and has not called since. The task of `cx` is woken when it calls.
    pub fn poll<T>(&mut self, cx: &Context<'_>, poll: impl FnOnce(&mut Context<'_>) -> Poll<T>) -> Poll<T> {
        // In this order: who calls after the second line wakes the task, and who called before it is heard there.
        self.rope.task.register(cx.waker());
        self.is_due |= self.rope.rung.swap(false, Ordering::AcqRel);
        if !self.is_due {
            return Poll::Pending;
        }
        let polled = poll(&mut Context::from_waker(&self.waker));
        self.is_due = polled.is_ready();
        polled
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;

    use super::*;

    #[derive(Default)]
    struct Counting(AtomicUsize);

    impl Wake for Counting {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }

    /// A source that never has anything, with the waker that it was given last.
    #[derive(Default)]
    struct Source {
        polls: usize,
        waker: Option<Waker>,
    }

    impl Source {
        fn poll(&mut self, bell: &mut Bell, task: &Arc<Counting>) {
            let waker = Waker::from(task.clone());
            let polled = bell.poll(&Context::from_waker(&waker), |cx| {
                self.polls += 1;
                self.waker = Some(cx.waker().clone());
                Poll::<()>::Pending
            });
            assert!(polled.is_pending());
        }
    }

    #[test]
    fn what_is_pending_is_polled_when_it_calls_and_not_before() {
        let (mut bell, mut source, task) = (Bell::default(), Source::default(), Arc::<Counting>::default());
        source.poll(&mut bell, &task);
        source.poll(&mut bell, &task);
        assert_eq!((source.polls, task.0.load(Ordering::SeqCst)), (1, 0));
        for calls in 1..4 {
            source.waker.take().unwrap().wake();
            assert_eq!(task.0.load(Ordering::SeqCst), calls, "each call wakes the task");
            source.poll(&mut bell, &task);
            source.poll(&mut bell, &task);
            assert_eq!(source.polls, 1 + calls);
        }
    }

    #[test]
    fn another_task_is_woken_from_then_on() {
        let (mut bell, mut source) = (Bell::default(), Source::default());
        let [first, second] = [Arc::<Counting>::default(), Arc::<Counting>::default()];
        source.poll(&mut bell, &first);
        source.poll(&mut bell, &second);
        assert_eq!(source.polls, 1);
        source.waker.take().unwrap().wake();
        assert_eq!([first, second].map(|task| task.0.load(Ordering::SeqCst)), [0, 1]);
    }

    /// The task was woken for something that it had seen already, and then for nothing any more.
    #[test]
    fn a_call_that_is_late_costs_no_later_one() {
        let (mut bell, mut source, task) = (Bell::default(), Source::default(), Arc::<Counting>::default());
        source.poll(&mut bell, &task);
        // A call from another thread: the task polls between its two steps.
        bell.rope.rung.store(true, Ordering::Release);
        source.poll(&mut bell, &task);
        bell.rope.task.wake();
        assert_eq!((source.polls, task.0.load(Ordering::SeqCst)), (2, 1));
        source.poll(&mut bell, &task);
        source.waker.take().unwrap().wake();
        assert_eq!(task.0.load(Ordering::SeqCst), 2);
        source.poll(&mut bell, &task);
        assert_eq!(source.polls, 3);
    }

    #[test]
    fn what_was_ready_is_polled_again() {
        let mut bell = Bell::default();
        let cx = Context::from_waker(Waker::noop());
        for number in 0..3 {
            assert_eq!(bell.poll(&cx, |_| Poll::Ready(number)), Poll::Ready(number));
        }
    }
}
