use std::collections::VecDeque;
use std::task::{Context, Waker};
use std::time::Duration;

use bowline_protocol::envelope::{GapReason, Hello, Outcome};
use bowline_protocol::session::{CallId, Event, Failure, Origin, Session};
use bowline_protocol::status::Delivery;
use bowline_runtime::{Instant, Lines, Moment, now};

use super::callee::{Arrival, StopReason};
use super::driver::Rest;
use super::slot::Slots;
use crate::few::Few;

/// Everything behind a peer's lock.
// In this order: what each turn of a session asks for lies together.
#[repr(C)]
pub(crate) struct State {
    /// The driver is at work: it looks at everything before it parks.
    pub(super) attended: bool,
    /// In which of its turns.
    turn: u32,
    /// Something was asked of this end since the driver last had nothing to write.
    pub(super) news: bool,
    /// There is something for the dispatcher. It was woken unless a driver is at work, which runs it by itself, or there is only
    /// memory to be given back, which has time until it runs next.
    pub(super) dispatches: bool,
    /// Whether a call was stopped that has no task to be told, so that the dispatcher looks through those that it has.
    pub(super) stopped_waiting: bool,
    /// Memory was given back since the dispatcher last took arrivals, and it has some, too.
    pub(super) trims: bool,
    /// Something may be due earlier than `timeout` says.
    pub(super) retimes: bool,
    /// There is more in `changes` than whoever does not lock knows of.
    pub(super) has_changed: bool,
    /// When the session's timer is due, as it said last.
    timeout: Option<Instant>,
    /// What the clock said last, while the driver is at work.
    clock: Option<Instant>,
    pub(super) driver: Option<Waker>,
    pub(super) dispatcher: Option<Waker>,
    pub(super) slots: Slots,
    pub(super) session: Session,
    /// What every call of this end fails with, while this end has given up.
    pub(super) failed: Option<Failure>,
    pub(super) hello: Mailbox<Box<Hello>>,
    pub(super) live: Mailbox<Outcome>,
    pub(super) proved: Mailbox<()>,
    pub(super) go_away: Mailbox<Duration>,
    pub(super) session_id: Option<u128>,
    /// How often this end has become somebody else to the other.
    pub(super) changes: u64,
    /// What came in and waits for the dispatcher.
    pub(super) arrivals: VecDeque<Arrival>,
    /// `once` calls whose callers have the end, for the dispatcher.
    pub(super) acknowledged: Vec<CallId>,
    /// What each turn of the driver asks for beside this, and of the dispatcher.
    pub(super) driver_lines: [Lines; 3],
    pub(super) dispatcher_lines: Lines,
}

/// One value for one waiter; a newer value replaces the older.
#[derive(Debug)]
pub(super) struct Mailbox<T> {
    pub(super) value: Option<T>,
    pub(super) waker: Option<Waker>,
}

impl<T> Default for Mailbox<T> {
    fn default() -> Self {
        Self { value: None, waker: None }
    }
}

impl State {
    pub(super) fn new(session: Session) -> Self {
        Self {
            session,
            slots: Slots::default(),
            failed: None,
            driver: None,
            attended: false,
            turn: 0,
            retimes: true,
            has_changed: false,
            timeout: None,
            clock: None,
            news: false,
            hello: Mailbox::default(),
            live: Mailbox::default(),
            proved: Mailbox::default(),
            go_away: Mailbox::default(),
            session_id: None,
            changes: 0,
            arrivals: VecDeque::new(),
            acknowledged: Vec::new(),
            driver_lines: [Lines::default(); 3],
            dispatcher_lines: Lines::default(),
            dispatcher: None,
            dispatches: false,
            stopped_waiting: false,
            trims: false,
        }
    }

    /// Whether a call of this end can be made, as who it was after so many `changes` if that is given.
    pub(super) fn check(&self, changes: Option<u64>) -> Result<(), Failure> {
        if let Some(failure) = &self.failed {
            return Err(failure.clone());
        }
        if changes.is_some_and(|changes| changes != self.changes) {
            return Err(Failure::Disconnected(Delivery::NotSent));
        }
        Ok(())
    }

    /// Hands out what the session has to say.
    #[inline]
    pub(super) fn settle(&mut self, wakes: &mut Wakes) {
        if self.session.has_events() {
            self.tell(wakes);
        }
    }

    #[inline(never)]
    fn tell(&mut self, wakes: &mut Wakes) {
        while let Some(event) = self.session.poll_event() {
            self.handle_event(event, wakes);
        }
    }

    fn handle_event(&mut self, event: Event, wakes: &mut Wakes) {
        match event {
            Event::Hello(hello) => {
                self.hello.value = Some(hello);
                wakes.push(self.hello.waker.take());
            }
            Event::Live { outcome, session } => {
                self.session_id = Some(session);
                if matches!(outcome, Outcome::Gap { reason: GapReason::IdentityChanged, .. }) {
                    self.changes += 1;
                    self.has_changed = true;
                }
                self.live.value = Some(outcome);
                wakes.push(self.live.waker.take());
                self.wake_readers(wakes);
            }
            Event::Call(call) => {
                self.slots.insert(call.call);
                self.arrive(Arrival::from(call), wakes);
            }
            Event::Notify(notify) => self.arrive(Arrival::from(notify), wakes),
            Event::Acknowledged { call } => {
                self.acknowledged.push(call);
                self.call_dispatcher(wakes);
            }
            Event::Stopped { call, reason } => self.stop(call, StopReason::Session(reason), wakes),
            Event::Response { call, result } => {
                if let Some(slot) = self.slots.get_mut(call) {
                    slot.response = Some(result);
                    wakes.push(slot.owner.take());
                }
            }
            Event::Accepted { call } => {
                if let Some(slot) = self.slots.get_mut(call) {
                    slot.accepted = true;
                    wakes.push(slot.owner.take());
                }
            }
            Event::Readable { call } => {
                if let Some(slot) = self.slots.get_mut(call) {
                    wakes.push(slot.reader.take());
                    if call.origin == Origin::Local && !slot.accepted {
                        wakes.push(slot.owner.take());
                    }
                }
            }
            Event::Writable { call } => {
                if let Some(slot) = self.slots.get_mut(call) {
                    wakes.push(slot.writer.take());
                }
            }
            Event::Disconnected => self.wake_readers(wakes),
            Event::Proved => {
                self.proved.value = Some(());
                wakes.push(self.proved.waker.take());
            }
            Event::GoAway { spread } => {
                self.go_away.value = Some(spread);
                wakes.push(self.go_away.waker.take());
            }
        }
    }

    /// There is something to write, or another time to wait for.
    pub(super) fn call_driver(&mut self, wakes: &mut Wakes) {
        self.news = true;
        if !self.attended {
            wakes.push(self.driver.take());
        }
    }

    pub(super) fn arrive(&mut self, arrival: Arrival, wakes: &mut Wakes) {
        if self.arrivals.capacity() == 0 {
            // One at a time is what most sessions see; a queue by itself begins with room for four.
            self.arrivals.reserve_exact(1);
        }
        self.arrivals.push_back(arrival);
        self.call_dispatcher(wakes);
    }

    fn call_dispatcher(&mut self, wakes: &mut Wakes) {
        self.dispatches = true;
        if !self.attended {
            wakes.push(self.dispatcher.take());
        }
    }

    /// Nobody of this end holds `call` any more.
    pub(super) fn forget(&mut self, call: CallId, wakes: &mut Wakes) {
        self.slots.remove(call, |waker| wakes.retire(waker));
    }

    /// The driver is at work if it has begun another turn.
    #[inline]
    pub(super) fn notice(&mut self, turn: u32) {
        if self.turn != turn {
            self.turn = turn;
            self.attended = true;
            self.clock = None;
            self.session.prefetch();
        }
    }

    /// What the clock said last is too long ago.
    pub(super) fn look_again(&mut self) {
        self.clock = None;
    }

    /// When the session's timer is due. It is asked only where something may be due earlier than it said last: what moves
    /// away, as with each message, is found out when that time has come.
    pub(super) fn timeout(&mut self) -> Option<Instant> {
        if std::mem::take(&mut self.retimes) {
            self.timeout = self.session.poll_timeout();
        }
        debug_assert!(
            self.session.poll_timeout().is_none_or(|due| self.timeout.is_some_and(|known| known <= due)),
            "{:?} is earlier than {:?}",
            self.session.poll_timeout(),
            self.timeout
        );
        self.timeout
    }

    /// What the driver waits for once it has written everything.
    pub(super) fn rest(&mut self) -> Rest {
        self.session.poll_close().map_or_else(|| Ok(self.timeout()), Err)
    }

    /// What the clock said last, or says now.
    pub(super) fn recent(&mut self) -> Instant {
        self.clock.unwrap_or_else(|| self.now())
    }

    /// The instant now.
    pub(super) fn now(&mut self) -> Instant {
        let now = now();
        // Instants never go back for the session.
        self.clock = self.attended.then_some(now);
        now
    }

    /// What the clock said last in this moment, which the driver is never behind.
    pub(super) fn now_or_just_before(&mut self) -> Instant {
        let now = Moment::recent();
        match &mut self.clock {
            Some(clock) => {
                *clock = now.max(*clock);
                *clock
            }
            None => now,
        }
    }

    /// Tells this moment what the clock said last while the driver was at work.
    pub(super) fn note_clock(&self) {
        if let Some(clock) = self.clock {
            Moment::note(clock);
        }
    }

    /// The driver goes to sleep.
    pub(super) fn park_driver(&mut self, wakes: &mut Wakes, cx: &Context<'_>) {
        wakes.park(&mut self.driver, cx);
        self.leave(wakes);
    }

    /// No driver is at work.
    pub(super) fn away(&mut self) {
        self.attended = false;
        self.clock = None;
    }

    /// The driver was at work, and has not looked at what came after it ran the dispatcher.
    pub(super) fn leave(&mut self, wakes: &mut Wakes) {
        self.away();
        if self.dispatches {
            wakes.push(self.dispatcher.take());
        }
    }

    /// The first reason to stop a handler stands.
    pub(super) fn stop(&mut self, call: CallId, reason: StopReason, wakes: &mut Wakes) {
        let Some(slot) = self.slots.get_mut(call) else { return };
        slot.stopped.get_or_insert_with(|| Box::new(reason));
        match slot.owner.take() {
            Some(owner) => wakes.push(Some(owner)),
            None => {
                self.stopped_waiting = true;
                self.call_dispatcher(wakes);
            }
        }
    }

    /// Readers of this end's streams ask whether they are stale when a link comes or goes, and whether to go over to
    /// another session when one follows.
    pub(super) fn wake_readers(&mut self, wakes: &mut Wakes) {
        for slot in self.slots.local() {
            wakes.push(slot.reader.take());
        }
    }
}

/// Wakers to be woken, and to be dropped, once the lock is released: both may run foreign code.
#[derive(Debug, Default)]
pub(crate) struct Wakes {
    woken: Few<Waker>,
    retired: Few<Waker>,
}

impl Wakes {
    #[inline]
    pub(super) fn push(&mut self, waker: Option<Waker>) {
        if let Some(waker) = waker {
            self.woken.push(waker);
        }
    }

    /// Leaves the waker of `cx` in `place`.
    #[inline]
    pub(super) fn park(&mut self, place: &mut Option<Waker>, cx: &Context<'_>) {
        if place.as_ref().is_none_or(|known| !known.will_wake(cx.waker())) {
            self.retire(place.replace(cx.waker().clone()));
        }
    }

    /// Drops a waker later: that may run foreign code.
    #[inline]
    fn retire(&mut self, waker: Option<Waker>) {
        if let Some(waker) = waker {
            self.retired.push(waker);
        }
    }

    #[inline]
    pub(super) fn wake(mut self) {
        if self.woken.is_bare() && self.retired.is_bare() {
            // As mostly: nothing is left to be dropped, which need not be looked for.
            std::mem::forget(self);
        } else {
            self.tell();
        }
    }

    /// Lent, as it is large.
    #[inline(never)]
    fn tell(&mut self) {
        self.woken.drain(Waker::wake);
        self.retired.drain(drop);
    }
}
