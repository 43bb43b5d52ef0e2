use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bowline_runtime::{Instant, Moment};

use super::guard::Answers;
use super::running::Room;

/// How many handlers one poll of the dispatcher starts and polls at most: 256, then writing gets its turn. Calls start in
/// their order, so the rest waits for the next poll. Source: our choice, as many as a caller has in flight by default. What is
/// fair to others is bounded by time; this bounds what lies ready to be written.
pub(super) const INLINE: usize = 256;

/// How long one poll of the dispatcher starts handlers: 1 ms. Source: rule 22 of the protocol.
const INLINE_TIME: Duration = Duration::from_millis(1);

/// How many handlers are polled at most between two looks at the clock, which cost as much as a small step of a call: 8.
/// They grow to that, and there is one after each handler where an eighth of the time is over.
const UNSEEN: usize = 8;

/// What one poll of the dispatcher spends on inline polls.
pub(super) struct Turn<F> {
    polled: usize,
    /// `None` before the first.
    clock: Option<Clock>,
    /// What the last call that ended at once lay in.
    spare: Option<Room<F>>,
    /// Those of what ended at once, at most [`INLINE`]: they are given together when the turn is over.
    answers: Answers,
    /// Layers that take the time of their calls look at the clock when these end, which is when the next one starts.
    _moment: Moment,
}

impl<F> Turn<F> {
    /// Begins one that has `calls` to start.
    pub(super) fn new(mut answers: Answers, calls: usize) -> Self {
        answers.reserve(calls.min(INLINE));
        Self { polled: 0, clock: None, spare: None, answers, _moment: Moment::begin() }
    }

    /// Room for a call's future.
    pub(super) fn room(&mut self, future: F) -> Room<F> {
        match self.spare.take() {
            Some(mut room) => {
                room.set(Some(future));
                room
            }
            None => Box::pin(Some(future)),
        }
    }

    /// Takes the room of a call that has ended, for the next one.
    pub(super) fn keep(&mut self, room: Option<Room<F>>) {
        self.spare = room;
    }

    /// Polls a call once; if it is pending, it is to become a task.
    pub(super) fn run(&mut self, poll: impl FnOnce(&mut Context<'_>, &mut Answers) -> Poll<()>) -> Poll<()> {
        self.polled += 1;
        // Whatever wakes it between here and the first poll of its task is seen by that poll.
        poll(&mut Context::from_waker(Waker::noop()), &mut self.answers)
    }

    /// Whether no further call starts in this turn; else it starts now.
    pub(super) fn is_over(&mut self) -> bool {
        if self.polled >= INLINE {
            return true;
        }
        match &mut self.clock {
            Some(clock) => clock.is_over(self.polled),
            None => {
                // At least one in each turn.
                self.clock = Some(Clock::new());
                false
            }
        }
    }
}

/// Looks at the clock after some of a turn's handlers.
struct Clock {
    /// When an eighth of the time is over, and when all of it is. They are compared, which takes less than a difference.
    early: Instant,
    end: Instant,
    last: Instant,
    /// How many are polled when it looks next.
    next: usize,
    /// Nobody is told when the handler that was polled last had started.
    is_unseen: bool,
    /// Layers look as well. What is seen after a handler is when it ended and when the next one starts: one look for three.
    is_shared: bool,
}

impl Clock {
    fn new() -> Self {
        let now = Moment::recent();
        let (early, end) = (now + INLINE_TIME / 8, now + INLINE_TIME);
        Self { early, end, last: now, next: 1, is_unseen: false, is_shared: false }
    }

    /// Whether the turn's time was over when it looked last, after `polled` handlers: now, if it is time to look.
    fn is_over(&mut self, polled: usize) -> bool {
        if !self.is_shared && Moment::is_seen_after(self.last) {
            self.is_shared = true;
            if self.is_unseen {
                // Perhaps that was when the handler started.
                Moment::forget();
            }
        }
        self.is_unseen = !self.is_shared && polled < self.next;
        if self.is_unseen {
            Moment::forget();
        } else {
            self.last = Moment::after(self.last);
            // After 1, 2, 4, 8, 16, 24 ..
            self.next = polled + if self.last < self.early { polled.min(UNSEEN) } else { 1 };
        }
        self.last >= self.end
    }
}

#[cfg(all(test, not(target_arch = "wasm32")))]
mod tests {
    use std::future::Ready;

    use bowline_runtime::now;
    use futures_util::FutureExt;

    use super::*;

    fn turn() -> Turn<Ready<()>> {
        Turn::new(Answers::default(), 0)
    }

    /// As a handler that computes and does not wait.
    fn compute(time: Duration) {
        let _ = tokio::time::advance(time).now_or_never();
    }

    /// Starts handlers as long as the turn lets it, each of which computes for as long as it is told; says how many.
    fn fill(mut handlers: impl Iterator<Item = Duration>) -> usize {
        let mut turn = turn();
        while !turn.is_over() {
            let time = handlers.next().expect("the turn is over before that");
            let _ = turn.run(|_, _| {
                compute(time);
                Poll::Ready(())
            });
        }
        turn.polled
    }

    #[tokio::test(start_paused = true)]
    async fn a_turn_starts_handlers_for_a_millisecond() {
        for (micros, started) in [(5000, 1), (1000, 1), (999, 2), (400, 3), (126, 8), (100, 10)] {
            assert_eq!(fill(std::iter::repeat(Duration::from_micros(micros))), started, "{micros} µs");
        }
        // Not looked at after each, but in time.
        for (micros, started) in [(10, 100), (20, 50)] {
            assert_eq!(fill(std::iter::repeat(Duration::from_micros(micros))), started, "{micros} µs");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn handlers_that_become_slow_are_seen_before_there_are_many() {
        for quick in 0..INLINE - UNSEEN {
            let handlers = (0..quick).map(|_| Duration::ZERO).chain(std::iter::repeat(INLINE_TIME));
            let started = fill(handlers);
            assert!(started <= quick + UNSEEN, "{started} with {quick} quick ones");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_turn_of_quick_handlers_ends_at_its_count() {
        assert_eq!(fill(std::iter::repeat(Duration::ZERO)), INLINE);
        assert_eq!(fill(std::iter::repeat(Duration::from_micros(1))), INLINE);
    }

    /// How a layer looks, and a handler that may still be pending then.
    enum Look {
        AtStart,
        AtBoth,
    }

    #[tokio::test(start_paused = true)]
    async fn layers_that_look_see_when_their_call_starts_however_seldom_the_turn_looks() {
        for (first_look, ends) in [(0, 2), (1, 2), (5, 3), (60, 5), (60, 1)] {
            let mut turn = turn();
            let mut calls = 0;
            while !turn.is_over() {
                let look = if calls % ends == 0 { Look::AtStart } else { Look::AtBoth };
                let _ = turn.run(|_, _| {
                    if calls >= first_look {
                        let started = Moment::recent();
                        assert_eq!(started, now(), "it starts when the one before ended");
                        compute(INLINE_TIME / 50);
                        if matches!(look, Look::AtBoth) {
                            assert_eq!(Moment::after(started), now());
                        }
                    } else {
                        compute(INLINE_TIME / 500);
                    }
                    Poll::Ready(())
                });
                calls += 1;
            }
            let quick = first_look / 10;
            assert!((50..=50 + first_look - quick + UNSEEN).contains(&calls), "{calls}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn turns_and_layers_share_their_looks() {
        let mut turn = turn();
        for is_over in [false, false, false, true] {
            assert_eq!(turn.is_over(), is_over);
            let _ = turn.run(|_, _| {
                let started = Moment::recent();
                compute(INLINE_TIME * 2 / 5);
                let ended = Moment::after(started);
                // Time that nobody is to see.
                compute(Duration::from_micros(1));
                assert_eq!(Moment::recent(), ended);
                Poll::Ready(())
            });
            let clock = turn.clock.as_ref().map(|clock| clock.last);
            assert!(clock.is_none_or(|last| last < now()));
        }
    }
}
