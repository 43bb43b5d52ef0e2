mod callee;
mod caller;
mod driver;
mod items;
mod slot;
mod state;

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bowline_protocol::session::{Config, Session, Stats};
use bowline_runtime::{Instant, random_u128, wall_clock};

use crate::Channel;
use crate::channel::{Extensions, Target};
use crate::client::Endpoint;
use state::State;

pub(crate) use callee::{Arrival, Ending, StopReason, Taken, Terminal, Ticket};
pub(crate) use caller::Handle;
pub use driver::{Rest, Transmit};
pub(crate) use state::Wakes;

/// One end of a session, shared by its driver, its dispatcher and every call on it. Cheap to clone.
///
/// It holds the session machine behind a lock that is taken for a few steps at a time and never while foreign code
/// runs: tasks are woken after it was released. Methods that depend on the time read the clock themselves.
///
/// A driver calls [`handle_connected`](Self::handle_connected) once per link, feeds messages and the passing of time
/// in, writes what [`poll_transmit`](Self::poll_transmit) gives, closes when [`poll_close`](Self::poll_close) says
/// so, and looks at [`poll_timeout`](Self::poll_timeout) again after each of these. Its waker is the one that it gave
/// to `poll_transmit`.
#[derive(Clone)]
pub struct Peer(Arc<Shared>);

// In this order: what each turn of a session asks for lies together.
#[repr(C)]
struct Shared {
    /// A stream of this end was told that items are missing: others, whose notices lie elsewhere, need not look.
    has_gaps: AtomicBool,
    /// Counts the turns of the driver that [attends](Peer::attend). Whoever locks next finds out that another has begun: a driver
    /// that has nothing else to ask then need not lock for it.
    turn: AtomicU32,
    /// Time went by since the driver looked at the clock.
    is_later: AtomicBool,
    /// Counts the links that are gone: what was found out about credit holds while it stays.
    links: AtomicU32,
    /// There may be something for the dispatcher: as long as not, it need not lock to find out. Written under the lock.
    dispatches: AtomicBool,
    state: Mutex<State>,
    /// What lives beside the session.
    extensions: Extensions,
    /// It is the session of a line no more.
    has_successor: AtomicBool,
    /// How often this end had become somebody else to the other. Written under the lock.
    changes: AtomicU64,
    /// The deadline of calls that name none.
    deadline: Duration,
    /// Whether it lives across links.
    is_client: bool,
    /// What the wall clock says, since 1970.
    wall: fn() -> Duration,
}

impl Peer {
    /// Makes the client's end. It lives across links.
    pub fn client(config: Config) -> Self {
        Self::client_with_wall_clock(config, wall_clock)
    }

    /// The same with a wall clock other than the system's: what it says since 1970.
    pub fn client_with_wall_clock(config: Config, wall: fn() -> Duration) -> Self {
        let deadline = config.timing.deadline;
        Self::new(Session::client(config, random_u128()), deadline, true, wall)
    }

    /// Makes the server's end. It ends with its link.
    pub fn server(config: impl Into<Arc<Config>>) -> Self {
        let config = config.into();
        let deadline = config.timing.deadline;
        Self::new(Session::server(config), deadline, false, wall_clock)
    }

    fn new(session: Session, deadline: Duration, is_client: bool, wall: fn() -> Duration) -> Self {
        let state = Mutex::new(State::new(session));
        let [has_gaps, is_later, dispatches, has_successor] = [const { AtomicBool::new(false) }; 4];
        let (turn, links, extensions) = (AtomicU32::new(0), AtomicU32::new(0), Extensions::default());
        Self(Arc::new(Shared {
            has_gaps,
            is_later,
            turn,
            links,
            dispatches,
            state,
            extensions,
            has_successor,
            changes: AtomicU64::new(0),
            deadline,
            is_client,
            wall,
        }))
    }

    /// A channel for stubs, without layers.
    pub fn channel(&self) -> Channel {
        Channel::new(Target::Session(self.clone()), 0)
    }

    /// The innermost `tower` service of a caller's stack: puts calls on this session.
    pub fn endpoint(&self) -> Endpoint {
        Endpoint::new(Target::Session(self.clone()))
    }

    /// What this end holds and has counted.
    pub fn stats(&self) -> PeerStats {
        let state = self.lock();
        PeerStats { session: state.session.stats(), slots: state.slots.len(), waiting: state.arrivals.len() }
    }

    pub(crate) fn nested_channel(&self, depth: u8) -> Channel {
        Channel::new(Target::Session(self.clone()), depth)
    }

    pub(crate) fn default_deadline(&self) -> Duration {
        self.0.deadline
    }

    /// What the wall clock says, since 1970.
    pub(crate) fn wall_clock(&self) -> Duration {
        (self.0.wall)()
    }

    /// Whether this is the client's end, which has another session when one is lost.
    pub(crate) fn is_client(&self) -> bool {
        self.0.is_client
    }

    /// Who this end is to the other.
    pub(crate) fn who(&self) -> Who {
        let state = self.lock();
        Who { changes: state.changes, identity: state.session.identity() }
    }

    /// How often this end has become somebody else to the other, as [`who`](Self::who) says it.
    pub(crate) fn changes(&self) -> u64 {
        self.0.changes.load(Ordering::Acquire)
    }

    /// Another session takes its place on a line.
    pub(crate) fn note_successor(&self) {
        self.0.has_successor.store(true, Ordering::Release);
    }

    /// Whether another session has ever taken its place on a line.
    pub(crate) fn has_successor(&self) -> bool {
        self.0.has_successor.load(Ordering::Acquire)
    }

    /// Whether a stream of this end was ever told that items are missing.
    #[inline]
    pub(crate) fn has_gaps(&self) -> bool {
        self.0.has_gaps.load(Ordering::Acquire)
    }

    /// A stream of this end was told that items are missing, and finds it from now on.
    pub(crate) fn note_gap(&self) {
        self.0.has_gaps.store(true, Ordering::Release);
    }

    pub(crate) fn extensions(&self) -> &Extensions {
        &self.0.extensions
    }

    pub(crate) fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// Takes the lock for steps that follow.
    fn turn(&self) -> Turn<'_> {
        let mut state = self.lock();
        state.retimes = true;
        Turn { peer: self, state, wakes: Wakes::default() }
    }

    /// Takes the lock, runs `step`, hands the session's events out, and wakes who waits for them.
    fn act<R>(&self, step: impl FnOnce(&mut State, &mut Wakes) -> R) -> R {
        self.act_in_time(|state, wakes| {
            state.retimes = true;
            step(state, wakes)
        })
    }

    /// As [`act`](Self::act), for steps that make nothing due earlier than it was, or say so themselves.
    fn act_in_time<R>(&self, step: impl FnOnce(&mut State, &mut Wakes) -> R) -> R {
        let mut wakes = Wakes::default();
        let mut state = self.lock();
        let result = step(&mut state, &mut wakes);
        state.settle(&mut wakes);
        self.unlock(state, wakes);
        result
    }

    /// As [`act`](Self::act), for steps that leave the session alone: it has nothing new to say, and nobody is woken.
    fn look<R>(&self, step: impl FnOnce(&mut State, &mut Wakes) -> R) -> R {
        let mut wakes = Wakes::default();
        let mut state = self.lock();
        let result = step(&mut state, &mut wakes);
        self.unlock(state, wakes);
        result
    }

    /// As [`act`](Self::act), for steps that depend on the time: reading the clock costs as much as a small step.
    fn act_now<R>(&self, step: impl FnOnce(&mut State, Instant, &mut Wakes) -> R) -> R {
        self.act(|state, wakes| {
            let now = state.now();
            step(state, now, wakes)
        })
    }

    /// As [`act_now`](Self::act_now), for the driver, which reads the clock once for what it does in one go.
    fn drive<R>(&self, step: impl FnOnce(&mut State, Instant, &mut Wakes) -> R) -> R {
        self.act(|state, wakes| {
            let now = self.recent(state);
            step(state, now, wakes)
        })
    }

    /// The instant now, for the driver: what it does in one go takes less time than to look each time, and whatever took longer
    /// in between has looked, or says so.
    #[inline]
    fn recent(&self, state: &mut State) -> Instant {
        if self.0.is_later.load(Ordering::Acquire) {
            self.0.is_later.store(false, Ordering::Release);
            state.look_again();
        }
        state.recent()
    }

    /// As [`act_now`](Self::act_now), for commands: the driver has something to write or another time to wait for.
    fn command<R>(&self, step: impl FnOnce(&mut State, Instant, &mut Wakes) -> R) -> R {
        self.act_now(|state, now, wakes| {
            let result = step(state, now, wakes);
            state.call_driver(wakes);
            result
        })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing under the lock runs foreign code; a panic there is a bug of ours that should not spread.
        let mut state = self.0.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.notice(self.0.turn.load(Ordering::Acquire));
        state
    }

    /// Gives the lock back, and wakes whom what was done under it concerns.
    #[inline]
    fn unlock(&self, mut state: MutexGuard<'_, State>, wakes: Wakes) {
        if std::mem::take(&mut state.has_changed) {
            self.0.changes.store(state.changes, Ordering::Release);
        }
        if state.dispatches {
            self.0.dispatches.store(true, Ordering::Release);
        }
        drop(state);
        wakes.wake();
    }
}

/// The lock, and who is to be woken when it is released.
struct Turn<'a> {
    peer: &'a Peer,
    state: MutexGuard<'a, State>,
    wakes: Wakes,
}

impl Turn<'_> {
    /// The driver has something to write or another time to wait for.
    fn call_driver(&mut self) {
        self.state.call_driver(&mut self.wakes);
    }

    /// Hands the session's events out, releases the lock, and wakes who waits for them.
    #[inline]
    fn end(mut self) {
        self.state.settle(&mut self.wakes);
        self.peer.unlock(self.state, self.wakes);
    }
}

impl fmt::Debug for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Peer").finish_non_exhaustive()
    }
}

/// Who a client is to its server.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Who {
    /// How often it has become somebody else.
    pub(crate) changes: u64,
    /// The server's digest of it.
    pub(crate) identity: Option<u128>,
}

/// Numbers about one end, for tests, gauges and metrics.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct PeerStats {
    /// The session machine's own.
    pub session: Stats,
    /// Calls that a future, stream or handler of this end still holds.
    pub slots: usize,
    /// Calls that came in and that the dispatcher has not taken.
    pub waiting: usize,
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;
    use std::task::{Context, Waker};

    use bowline_protocol::codec::{Buffer, Codec};
    use bowline_protocol::schema::ServiceDescriptor;
    use bowline_protocol::session::{CallId, Failure, Origin};
    use bowline_protocol::status::Delivery;
    use bowline_runtime::{Lines, Moment, now};
    use bytes::Bytes;

    use super::caller::Handle;
    use super::*;
    use crate::Metadata;

    fn arrival() -> Arrival {
        static SERVICE: ServiceDescriptor = ServiceDescriptor { name: "Rooms", methods: &[] };
        Arrival {
            ticket: Ticket::Call(CallId { id: 0, generation: 0, origin: Origin::Remote }),
            service: &SERVICE,
            method: 0,
            codec: Codec::Rkyv,
            buffer: Buffer::Small(Bytes::new()),
            metadata: Metadata::default(),
            deadline: None,
            depth: 0,
            once: None,
        }
    }

    /// An idle connection kept a KiB and a half of room for its busiest moment.
    #[test]
    fn a_trim_gives_back_the_room_of_calls_that_are_over() {
        let peer = Peer::server(Config::default());
        peer.lock().arrivals.reserve(100);
        peer.trim();
        assert_eq!(peer.lock().arrivals.capacity(), 0);
    }

    #[test]
    fn one_call_that_came_in_takes_room_for_one() {
        let peer = Peer::server(Config::default());
        peer.act(|state, wakes| state.arrive(arrival(), wakes));
        assert_eq!(peer.lock().arrivals.capacity(), 1);
    }

    #[test]
    fn what_driver_and_dispatcher_ask_for_is_foreseen_with_the_session() {
        let peer = Peer::server(Config::default());
        let beside = [1000, 2000, 3000, 4000].map(|start| Lines::new(start..start + 100));
        let [first, second, third, fourth] = beside;
        peer.foresee([first, second, third]);
        peer.foresee_dispatcher(fourth);
        let call = CallId { id: 0, generation: 0, origin: Origin::Remote };
        let lines = peer.lines(call);
        assert_eq!(lines[6..], beside);
        assert_eq!(lines[0], Lines::of(&*peer.0).first(3));
    }

    /// As long as not, the dispatcher need not lock.
    #[test]
    fn there_is_something_for_the_dispatcher_until_it_took_it() {
        let (peer, cx) = (Peer::server(Config::default()), Context::from_waker(Waker::noop()));
        let mut took = VecDeque::new();
        for _ in 0..2 {
            assert!(!peer.has_arrivals());
            peer.act(|state, wakes| state.arrive(arrival(), wakes));
            peer.trim();
            assert!(peer.has_arrivals());
            assert!(peer.take_arrivals(&cx, &mut took).is_some());
            assert!(!peer.has_arrivals());
            peer.trim();
            assert!(peer.has_arrivals());
            assert!(peer.take_arrivals(&cx, &mut took).is_some_and(|taken| taken.trims));
        }
    }

    /// A handler that computed for 4 s before it waited made the message that was written next look 4 s old.
    #[tokio::test(start_paused = true)]
    async fn what_the_dispatcher_ran_may_have_taken_long_without_a_word() {
        let (peer, cx) = (Peer::server(Config::default()), Context::from_waker(Waker::noop()));
        let (mut took, second) = (VecDeque::new(), || tokio::time::advance(Duration::from_secs(1)));
        let seen = || peer.drive(|_, now, _| now);
        peer.attend();
        for arrives in [false, true] {
            let before = seen();
            if arrives {
                peer.act(|state, wakes| state.arrive(arrival(), wakes));
            }
            peer.take_arrivals(&cx, &mut took);
            second().await;
            assert_eq!(seen(), if arrives { now() } else { before });
        }
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_tells_its_caller_what_a_driver_at_work_has_read_of_the_clock() {
        let (peer, cx) = (Peer::client(Config::default()), Context::from_waker(Waker::noop()));
        let call = CallId { id: 0, generation: 0, origin: Origin::Local };
        for attends in [true, false] {
            if attends {
                peer.attend()
            } else {
                peer.act(|state, _| state.away())
            };
            let seen = peer.drive(|_, now, _| now);
            let answer = Err(Failure::Disconnected(Delivery::NotSent));
            peer.act(|state, _| state.slots.insert(call).response = Some(answer));
            tokio::time::advance(Duration::from_secs(1)).await;
            let _moment = Moment::begin();
            assert!(Handle::new(peer.clone(), call).poll_response(&cx).is_ready());
            assert_eq!(Moment::recent(), if attends { seen } else { now() });
        }
    }

    /// Clocks take as long to read as a small step. An instant that went back would be a timer that never comes.
    #[tokio::test(start_paused = true)]
    async fn a_driver_at_work_reads_the_clock_once_and_is_never_behind_commands() {
        let peer = Peer::server(Config::default());
        let second = || tokio::time::advance(Duration::from_secs(1));
        let seen = || peer.drive(|_, now, _| now);
        peer.attend();
        let first = seen();
        second().await;
        assert_eq!(seen(), first);
        let told = peer.command(|_, now, _| now);
        assert_eq!((told, seen()), (now(), told));
        let opened = || peer.act(|state, _| state.now_or_just_before());
        {
            let _moment = Moment::begin();
            let begun = Moment::recent();
            second().await;
            assert_eq!((opened(), seen()), (begun, begun), "a call is opened when its moment began");
            let later = peer.command(|_, now, _| now);
            assert_eq!((opened(), seen()), (later, later), "but never before what the session has seen");
        }
        second().await;
        peer.attend();
        assert_eq!(seen(), now(), "time passed between two turns");
        peer.register(&mut Context::from_waker(Waker::noop()));
        for _ in 0..2 {
            second().await;
            assert_eq!(seen(), now(), "nobody says when a driver turns up that does not attend");
        }
    }
}
