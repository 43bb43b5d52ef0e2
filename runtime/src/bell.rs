use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Wake, Waker};

use crate::Lines;

/// What the bells of one task hang on: it wakes the task when one of them rings.
///
/// A turn of the task begins with [`attend`](Self::attend). All of them share one place in memory, which is looked at in each turn.
///
/// # Examples
///
/// ```
/// use std::task::{Context, Poll, Waker};
///
/// let (mut rope, cx) = (bowline_runtime::Rope::default(), Context::from_waker(Waker::noop()));
/// let mut bell = rope.bell();
/// let mut polls = 0;
/// for _turn in 0..3 {
///     rope.attend(&cx);
///     let polled: Poll<()> = bell.poll(|_| {
///         polls += 1;
///         Poll::Pending
///     });
///     assert!(polled.is_pending());
/// }
/// assert_eq!(polls, 1);
/// ```
#[derive(Debug)]
pub struct Rope {
    hung: Arc<Hung>,
    /// Whom it wakes.
    task: Waker,
    bells: u32,
}

/// Lets one of several things that a task polls be polled only when it has called since it was last pending.
///
/// A task mostly wakes for one of them, and where there are ten thousand such tasks a look at one that has nothing is a look
/// at memory that no cache has.
#[derive(Debug)]
pub struct Bell {
    hung: Arc<Hung>,
    bit: usize,
    waker: Waker,
    /// It was not pending when it was polled last, or never polled.
    is_due: bool,
}

#[derive(Debug)]
struct Hung {
    /// The bits of those that rang.
    rung: AtomicUsize,
    /// It stays when it is woken: a task that comes back has nothing to leave here.
    task: Mutex<Waker>,
}

impl Hung {
    fn task(&self) -> MutexGuard<'_, Waker> {
        self.task.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wake_task(&self) {
        // Foreign code: not under the lock.
        let task = self.task().clone();
        task.wake();
    }
}

/// What rings one bell.
struct Clapper {
    hung: Arc<Hung>,
    bit: usize,
}

impl Wake for Clapper {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.hung.rung.fetch_or(self.bit, Ordering::Release);
        self.hung.wake_task();
    }
}

impl Default for Rope {
    fn default() -> Self {
        let task = Waker::noop().clone();
        let hung = Hung { rung: AtomicUsize::new(0), task: Mutex::new(task.clone()) };
        Self { hung: Arc::new(hung), task, bells: 0 }
    }
}

impl Rope {
    /// Another bell.
    ///
    /// # Panics
    ///
    /// Behind the 32nd.
    pub fn bell(&mut self) -> Bell {
        let bit = 1_usize.checked_shl(self.bells).filter(|_| self.bells < 32).expect("a task has few bells");
        self.bells += 1;
        let hung = self.hung.clone();
        let waker = Arc::new(Clapper { hung: hung.clone(), bit }).into();
        Bell { hung, bit, waker, is_due: true }
    }

    /// What every turn looks at.
    pub fn lines(&self) -> Lines {
        Lines::of(&*self.hung)
    }

    /// The task of `cx` is woken from now on. What rings from here on wakes it; what rang before is heard by
    /// [`Bell::poll`].
    pub fn attend(&mut self, cx: &Context<'_>) {
        if !self.task.will_wake(cx.waker()) {
            self.task.clone_from(cx.waker());
            let retired = std::mem::replace(&mut *self.hung.task(), self.task.clone());
            drop(retired);
        }
    }
}

impl Bell {
    /// The next poll is one, whether it calls or not.
    pub fn ring(&mut self) {
        self.is_due = true;
    }

    /// Whether the next poll is one.
    pub fn is_due(&self) -> bool {
        self.is_due || self.hung.rung.load(Ordering::Acquire) & self.bit != 0
    }

    /// Polls, unless that was pending and has not called since.
    pub fn poll<T>(&mut self, poll: impl FnOnce(&mut Context<'_>) -> Poll<T>) -> Poll<T> {
        // Mostly nothing rang: looking is cheaper than taking.
        if self.hung.rung.load(Ordering::Acquire) & self.bit != 0 {
            self.hung.rung.fetch_and(!self.bit, Ordering::AcqRel);
            self.is_due = true;
        }
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
    use super::*;

    #[derive(Default)]
    struct Counting(AtomicUsize);

    impl Wake for Counting {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }

    /// A source that never has anything, with the waker that it was given last.
    struct Source {
        bell: Bell,
        polls: usize,
        waker: Option<Waker>,
    }

    impl Source {
        fn new(rope: &mut Rope) -> Self {
            Self { bell: rope.bell(), polls: 0, waker: None }
        }

        fn poll(&mut self, rope: &mut Rope, task: &Arc<Counting>) {
            let waker = Waker::from(task.clone());
            rope.attend(&Context::from_waker(&waker));
            let polled = self.bell.poll(|cx| {
                self.polls += 1;
                self.waker = Some(cx.waker().clone());
                Poll::<()>::Pending
            });
            assert!(polled.is_pending());
        }
    }

    #[test]
    fn what_is_pending_is_polled_when_it_calls_and_not_before() {
        let (mut rope, task) = (Rope::default(), Arc::<Counting>::default());
        let mut source = Source::new(&mut rope);
        assert!(source.bell.is_due());
        source.poll(&mut rope, &task);
        source.poll(&mut rope, &task);
        assert_eq!((source.polls, task.0.load(Ordering::SeqCst)), (1, 0));
        for calls in 1..4 {
            assert!(!source.bell.is_due());
            source.waker.take().unwrap().wake();
            assert!(source.bell.is_due());
            assert_eq!(task.0.load(Ordering::SeqCst), calls, "each call wakes the task");
            source.poll(&mut rope, &task);
            source.poll(&mut rope, &task);
            assert_eq!(source.polls, 1 + calls);
        }
    }

    #[test]
    fn who_calls_is_polled_and_nobody_else() {
        let (mut rope, task) = (Rope::default(), Arc::<Counting>::default());
        let mut sources = [(); 3].map(|()| Source::new(&mut rope));
        sources.iter_mut().for_each(|source| source.poll(&mut rope, &task));
        // Two call before the task looks, and each of them is heard.
        for called in [0, 2] {
            sources[called].waker.take().unwrap().wake();
        }
        sources.iter_mut().for_each(|source| source.poll(&mut rope, &task));
        assert_eq!(sources.each_ref().map(|source| source.polls), [2, 1, 2]);
    }

    #[test]
    fn another_task_is_woken_from_then_on() {
        let mut rope = Rope::default();
        let mut source = Source::new(&mut rope);
        let [first, second] = [Arc::<Counting>::default(), Arc::<Counting>::default()];
        source.poll(&mut rope, &first);
        source.poll(&mut rope, &second);
        assert_eq!(source.polls, 1);
        source.waker.take().unwrap().wake();
        assert_eq!([first, second].map(|task| task.0.load(Ordering::SeqCst)), [0, 1]);
    }

    /// The task was woken for something that it had seen already, and then for nothing any more.
    #[test]
    fn a_call_that_is_late_costs_no_later_one() {
        let (mut rope, task) = (Rope::default(), Arc::<Counting>::default());
        let mut source = Source::new(&mut rope);
        source.poll(&mut rope, &task);
        // A call from another thread: the task polls between its two steps.
        rope.hung.rung.fetch_or(source.bell.bit, Ordering::Release);
        source.poll(&mut rope, &task);
        rope.hung.wake_task();
        assert_eq!((source.polls, task.0.load(Ordering::SeqCst)), (2, 1));
        source.poll(&mut rope, &task);
        source.waker.take().unwrap().wake();
        assert_eq!(task.0.load(Ordering::SeqCst), 2);
        source.poll(&mut rope, &task);
        assert_eq!(source.polls, 3);
    }

    #[test]
    fn what_was_ready_is_polled_again() {
        let mut bell = Rope::default().bell();
        for number in 0..3 {
            assert_eq!(bell.poll(|_| Poll::Ready(number)), Poll::Ready(number));
        }
    }

    #[test]
    #[should_panic(expected = "a task has few bells")]
    fn bells_are_bounded() {
        let mut rope = Rope::default();
        let bits: Vec<_> = (0..32).map(|_| rope.bell().bit).collect();
        assert!(bits.iter().all(|bit| bit.is_power_of_two()));
        rope.bell();
    }
}
