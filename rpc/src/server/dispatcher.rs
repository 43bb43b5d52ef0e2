use std::collections::VecDeque;
use std::convert::Infallible;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use bowline_protocol::once::Scope;
use bowline_protocol::schema::{MethodKind, Retry};
use bowline_protocol::status::Status;
use bowline_runtime::{MaybeSend, spawn};
use tower_service::Service;

use super::guard::{Answers, Guard};
use super::once::{OnceRunning, OnceSide};
use super::panic::guarded;
use super::running::{Apart, Running, failed};
use super::streams::Streams;
use super::tasks::Tasks;
use super::turn::Turn;
use super::waiting::Waiting;
use crate::call::Content;
use crate::context::{Home, Incoming, SessionInfo};
use crate::once::{Asked, OnceStore};
use crate::peer::{Arrival, Peer, Taken, Ticket};
use crate::{BoxError, Call, Reply};

/// Runs the calls that come in on one session through that session's own stack of layers.
///
/// Calls start in the order in which they came in. The stack is asked for readiness only with a call in hand; a call
/// that is stopped while it waits gives its turn to the next. A handler is polled once where its call was read, and
/// becomes a task when it is still pending; a few streams whose handlers accepted them at once go on here, so that one item
/// wakes one task. All of them end with the dispatcher.
///
/// Poll it from the session's driver. It holds no lock of the session while it polls handlers.
// In this order: what each turn of a session asks for lies together.
#[repr(C)]
pub struct Dispatcher<S: Service<Call>> {
    peer: Peer,
    /// Of the task that waits for what comes in.
    waker: Waker,
    queue: VecDeque<Waiting>,
    streams: Streams<Running<S::Future>>,
    once: Option<OnceSide>,
    /// Room for what comes in.
    arrivals: VecDeque<Arrival>,
    stack: S,
    home: Arc<Home>,
    tasks: Tasks,
    status_of: fn(&BoxError) -> Status,
}

impl<S> Dispatcher<S>
where
    S: Service<Call, Response = Reply>,
    S::Error: Into<BoxError> + 'static,
    S::Future: MaybeSend + 'static,
{
    /// Makes the dispatcher of `peer`, whose stack ends in a [`Router`](crate::Router).
    ///
    /// `status_of` makes a status of a layer's error: [`status_of`](crate::status_of), or the middleware crate's, which
    /// knows tower's own errors.
    pub fn new(peer: &Peer, stack: S, session: SessionInfo, status_of: fn(&BoxError) -> Status) -> Self {
        Self {
            peer: peer.clone(),
            waker: Waker::noop().clone(),
            stack,
            home: Arc::new(Home { peer: peer.clone(), session }),
            arrivals: VecDeque::new(),
            queue: VecDeque::new(),
            streams: Streams::default(),
            tasks: Tasks::default(),
            once: None,
            status_of,
        }
    }

    /// Remembers `once` calls in `store`, which all sessions of a node share: each runs once and to its end, also when it
    /// is asked for again on another session. Callers are told apart by [`SessionInfo::scope`]. Without a store such
    /// calls run as others do.
    ///
    /// The session names the store's table to its caller, in the welcome if that is not yet written: call this between
    /// the welcome and the first [`poll_transmit`](Peer::poll_transmit). A caller that was told of no table sends no keys.
    #[must_use]
    pub fn once(mut self, store: OnceStore) -> Self {
        let mut side = OnceSide::new(store);
        side.tell(&self.peer);
        self.once = Some(side);
        self
    }

    /// Starts what came in. Never ends; the task is woken when there is more to do.
    pub fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Infallible> {
        let waits = !self.queue.is_empty() || self.once.as_ref().is_some_and(OnceSide::waits);
        let taken = self.take_arrivals(cx);
        if taken.is_some() || waits {
            self.start_calls(cx, taken.unwrap_or_default());
        }
        if let Some(once) = &mut self.once {
            once.tell(&self.peer);
        }
        let Self { streams, tasks, .. } = self;
        if streams.poll(cx, |slow| tasks.own(spawn(Apart(slow)))) {
            self.peer.look_again();
        }
        Poll::Pending
    }

    /// Takes what came in, without a lock where the peer knows of nothing and whom to wake.
    #[inline]
    fn take_arrivals(&mut self, cx: &Context<'_>) -> Option<Taken> {
        if !self.waker.will_wake(cx.waker()) {
            self.waker.clone_from(cx.waker());
        } else if !self.peer.has_arrivals() {
            return None;
        }
        self.peer.take_arrivals(cx, &mut self.arrivals)
    }

    /// Starts what came in, and what waited.
    fn start_calls(&mut self, cx: &mut Context<'_>, taken: Taken) {
        let Taken { acknowledged, stopped_waiting, trims } = taken;
        let mut arrivals = std::mem::take(&mut self.arrivals);
        if let Some(once) = &mut self.once {
            // First: what came in by the same message may need their room.
            once.forget(acknowledged);
        }
        let mut turn = Turn::new(Answers::default(), arrivals.len());
        // Mostly nothing waits, and what came in starts without having been in the queue.
        let mut starts = self.queue.is_empty() && !stopped_waiting;
        for arrival in arrivals.drain(..) {
            let Some(waiting) = self.receive(arrival) else { continue };
            if starts
                && !turn.is_over()
                && let Poll::Ready(ready) = self.poll_stack(cx)
            {
                self.pass(waiting, ready, &mut turn);
            } else {
                starts = false;
                if self.queue.capacity() == 0 {
                    self.queue.reserve_exact(1);
                }
                self.queue.push_back(waiting);
            }
        }
        self.arrivals = arrivals;
        if let Some(once) = &mut self.once {
            self.queue.extend(once.poll(cx));
        }
        if stopped_waiting {
            self.drop_stopped();
        }
        while !self.queue.is_empty() {
            if turn.is_over() {
                // Calls start in their order: tasks of their own would race for who is polled first.
                cx.waker().wake_by_ref();
                break;
            }
            let Poll::Ready(ready) = self.poll_stack(cx) else { break };
            let Some(waiting) = self.queue.pop_front() else { break };
            self.pass(waiting, ready, &mut turn);
        }
        drop(turn);
        if trims {
            self.queue.shrink_to_fit();
        }
    }

    /// Whether the stack takes a call, or why it takes none.
    fn poll_stack(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Status>> {
        match guarded(&|| "poll_ready".to_owned(), || self.stack.poll_ready(cx)) {
            Ok(Poll::Pending) => Poll::Pending,
            Ok(Poll::Ready(Ok(()))) => Poll::Ready(Ok(())),
            Ok(Poll::Ready(Err(error))) => Poll::Ready(Err((self.status_of)(&error.into()))),
            Err(panicked) => Poll::Ready(Err(panicked)),
        }
    }

    fn pass(&mut self, waiting: Waiting, ready: Result<(), Status>, turn: &mut Turn<S::Future>) {
        match ready {
            Ok(()) => self.start(waiting, turn),
            Err(status) => waiting.guard.finish(failed(status)),
        }
    }

    /// Makes a call of what came in, unless it can be answered without one.
    fn receive(&mut self, arrival: Arrival) -> Option<Waiting> {
        let Arrival { ticket, service, method, codec, buffer, metadata, deadline, depth, once } = arrival;
        let described = &service.methods[method];
        // A key for anything else says nothing here: this end never promised to remember it.
        let once = once.filter(|_| described.retry == Retry::Once && described.kind == MethodKind::Unary);
        let asked = self.once.as_ref().zip(once).map(|(side, key)| {
            let scope =
                Scope { identity: self.home.session.scope, service: service.name, method: described.name };
            Asked { key: *key, scope, arguments: side.store().digest(codec, &buffer) }
        });
        let number = match ticket {
            Ticket::Call(call) => Some(call),
            Ticket::Notify(_) => None,
        };
        let incoming = Arc::new(Incoming::new(
            self.home.clone(),
            number,
            (service, method),
            (codec, depth),
            asked.is_some(),
        ));
        let guard = Guard::new(ticket, incoming.clone());
        let content = Content::Incoming { buffer, incoming, once: None };
        let extensions = http::Extensions::new();
        let method = method as u32;
        let call = Call { service, method, content, metadata, extensions, deadline, depth };
        let waiting = Waiting { call, guard, run: None };
        match (&mut self.once, asked) {
            (Some(once), Some(asked)) => once.admit(asked, waiting),
            _ => Some(waiting),
        }
    }

    /// Answers calls that were stopped before they started, and streams that go on here.
    fn drop_stopped(&mut self) {
        self.streams.remove(Running::end_if_stopped);
        let waiting = std::mem::take(&mut self.queue);
        self.queue.extend(waiting.into_iter().filter_map(Waiting::unless_stopped));
        if let Some(once) = &mut self.once {
            once.drop_stopped();
        }
    }

    fn start(&mut self, waiting: Waiting, turn: &mut Turn<S::Future>) {
        let Waiting { call, guard, run } = waiting;
        // Lent to what catches a panic, which would move it twice.
        let mut call = Some(call);
        let stack = &mut self.stack;
        let started = guarded(&|| guard.name(), || stack.call(call.take().expect("it is taken once")));
        let future = match started {
            Ok(future) => future,
            Err(panicked) => return guard.finish(failed(panicked)),
        };
        match (&mut self.once, run) {
            (Some(once), Some(run)) => {
                once.started(&run);
                let mut running = OnceRunning::new(guard, future, run, self.status_of);
                if turn.run(|cx, _| Pin::new(&mut running).poll(cx)).is_pending() {
                    once.store().own(spawn(running));
                }
            }
            _ => {
                let mut running = Running::new(guard, turn.room(future), self.status_of);
                match turn.run(|cx, answers| running.poll_end(cx, answers)) {
                    Poll::Ready(()) => turn.keep(running.into_room()),
                    Poll::Pending => {
                        let elsewhere =
                            if running.is_stream() { self.streams.take_in(running) } else { Some(running) };
                        if let Some(running) = elsewhere {
                            self.tasks.own(spawn(Apart(running)));
                        }
                    }
                }
            }
        }
    }
}

impl<S: Service<Call>> fmt::Debug for Dispatcher<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Dispatcher")
            .field("session", &self.home.session)
            .field("waiting", &self.queue.len())
            .finish_non_exhaustive()
    }
}

#[cfg(all(test, not(target_arch = "wasm32")))]
mod tests {
    use std::panic::{AssertUnwindSafe, catch_unwind};
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::{Wake, Waker};

    use bowline_protocol::limits::Limits;
    use bowline_protocol::schema::{Lag, MethodDescriptor, ServiceDescriptor};
    use bowline_protocol::session::{Config, Welcoming};
    use bowline_protocol::status::Code;
    use bowline_runtime::BoxFuture;

    use super::*;
    use crate::server::turn::INLINE;
    use crate::{CallError, CallFuture, ReplyFuture, Router, macros};

    static SERVICE: ServiceDescriptor = ServiceDescriptor {
        name: "Echo",
        methods: &[MethodDescriptor {
            name: "echo",
            kind: MethodKind::Unary,
            retry: Retry::Never,
            hash: 1,
            deadline: None,
            lag: Lag::Close,
        }],
    };

    /// What the handler panics at.
    const BAD: u64 = u64::MAX;

    struct Echo;

    impl crate::Service for Echo {
        fn descriptor(&self) -> &'static ServiceDescriptor {
            &SERVICE
        }

        fn dispatch(&self, call: Call) -> ReplyFuture {
            macros::unary(call, |_, number: u64| async move {
                assert!(number != BAD);
                number
            })
        }
    }

    /// A stack that is ready so many times and then fails.
    struct Fuse {
        router: Router,
        left: usize,
    }

    impl Service<Call> for Fuse {
        type Response = Reply;
        type Error = BoxError;
        type Future = BoxFuture<'static, Result<Reply, BoxError>>;

        fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
            self.left = self.left.checked_sub(1).ok_or("burnt")?;
            Poll::Ready(Ok(()))
        }

        fn call(&mut self, call: Call) -> Self::Future {
            let handled = self.router.call(call);
            Box::pin(async { handled.await.map_err(BoxError::from) })
        }
    }

    /// A caller, and a dispatcher at the other end that no driver runs.
    struct Ends {
        client: Peer,
        server: Peer,
        dispatcher: Dispatcher<Fuse>,
    }

    impl Ends {
        fn new() -> Self {
            let router = Router::new().add(Echo);
            let client = Peer::client(Config::default());
            // More than one turn starts may come at once.
            let limits = Limits { calls: 4 * INLINE as u32, ..Limits::default() };
            let services = router.descriptors();
            let server = Peer::server(Config { services, limits, ..Config::default() });
            let fuse = Fuse { router, left: usize::MAX };
            let dispatcher =
                Dispatcher::new(&server, fuse, SessionInfo::default(), |error| panic!("no word for {error}"));
            let mut ends = Self { client, server, dispatcher };
            ends.client.handle_connected();
            ends.server.handle_connected();
            ends.carry();
            assert!(ends.server.poll_hello(&mut noop()).is_ready());
            ends.server.welcome(Welcoming::new(1, [0; 32], 1));
            ends.carry();
            // The service is known now.
            ends.burst(1);
            ends
        }

        fn carry(&self) {
            for (from, to) in [(&self.client, &self.server), (&self.server, &self.client)] {
                while let Poll::Ready(message) = from.poll_transmit(&mut noop()) {
                    to.handle_message(message);
                }
            }
        }

        /// Makes these calls, which arrive together.
        fn ask(&self, numbers: impl IntoIterator<Item = u64>) -> Vec<CallFuture<u64>> {
            let channel = self.client.channel();
            let ask = |number| CallFuture::new(&channel, &SERVICE, 0, &number);
            let mut calls: Vec<_> = numbers.into_iter().map(ask).collect();
            assert!(calls.iter_mut().all(|call| poll(call).is_pending()));
            self.carry();
            calls
        }

        /// Makes so many calls at once, and takes their answers.
        fn burst(&mut self, count: usize) {
            let calls = self.ask(0..count as u64);
            while {
                self.carry();
                self.client.stats().session.held.calls > 0
            } {
                self.turn();
            }
            for (number, mut call) in calls.into_iter().enumerate() {
                assert_eq!(poll(&mut call), Poll::Ready(Ok(number as u64)));
            }
        }

        fn turn(&mut self) {
            let _ = self.dispatcher.poll(&mut noop());
        }

        /// For how many calls there is room that came in, and for how many that wait.
        fn rooms(&self) -> (usize, usize) {
            (self.dispatcher.arrivals.capacity(), self.dispatcher.queue.capacity())
        }
    }

    fn noop() -> Context<'static> {
        Context::from_waker(Waker::noop())
    }

    fn poll(call: &mut CallFuture<u64>) -> Poll<Result<u64, CallError<Infallible>>> {
        Pin::new(call).poll(&mut noop())
    }

    #[tokio::test(start_paused = true)]
    async fn the_task_that_polled_last_is_woken_for_what_comes_in() {
        struct Counting(AtomicUsize);
        impl Wake for Counting {
            fn wake(self: Arc<Self>) {
                self.0.fetch_add(1, Ordering::SeqCst);
            }
        }
        let mut ends = Ends::new();
        let tasks = [(); 2].map(|()| Arc::new(Counting(AtomicUsize::new(0))));
        // The first one comes back to where it was, and what is there for nobody wakes nobody.
        for (round, task) in [0, 1, 1, 0].into_iter().enumerate() {
            let waker = Waker::from(tasks[task].clone());
            for _ in 0..2 {
                let _ = ends.dispatcher.poll(&mut Context::from_waker(&waker));
            }
            let before = tasks.each_ref().map(|task| task.0.load(Ordering::SeqCst));
            let _asked = ends.ask([round as u64]);
            let mut woken = before;
            woken[task] += 1;
            assert_eq!(tasks.each_ref().map(|task| task.0.load(Ordering::SeqCst)), woken);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn room_for_a_burst_stays_for_the_next_and_goes_with_a_trim() {
        let burst = 3 * INLINE;
        let mut ends = Ends::new();
        ends.burst(burst);
        let (_, waiting) = ends.rooms();
        assert!(waiting >= burst - INLINE, "{waiting}");
        ends.burst(burst);
        // Of two rooms for what comes in each turn has one.
        for _ in 0..2 {
            ends.turn();
            let (arrivals, still) = ends.rooms();
            assert!(arrivals >= burst, "{arrivals}");
            assert_eq!(still, waiting);
        }
        ends.server.trim();
        for _ in 0..2 {
            ends.turn();
            assert_eq!(ends.rooms(), (0, 0));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_one_turn_has_no_room_for_starts_in_the_next_in_order() {
        let mut ends = Ends::new();
        let calls = 5 * INLINE / 2;
        let mut waiting: VecDeque<_> = ends.ask(0..calls as u64).into();
        for (turn, started) in [INLINE, INLINE, INLINE / 2].into_iter().enumerate() {
            ends.turn();
            ends.carry();
            for number in turn * INLINE..turn * INLINE + started {
                let mut call = waiting.pop_front().unwrap();
                assert_eq!(poll(&mut call), Poll::Ready(Ok(number as u64)));
            }
            assert!(waiting.iter_mut().all(|call| poll(call).is_pending()), "turn {turn}");
        }
        assert!(waiting.is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn a_handler_that_panics_leaves_the_others_of_its_turn_their_answers() {
        let mut ends = Ends::new();
        let mut calls = ends.ask([0, 1, BAD, 3]);
        ends.turn();
        ends.carry();
        let bad = poll(&mut calls.remove(2));
        assert!(matches!(bad, Poll::Ready(Err(CallError::Internal { .. }))), "{bad:?}");
        for (mut call, number) in calls.into_iter().zip([0, 1, 3]) {
            assert_eq!(poll(&mut call), Poll::Ready(Ok(number)));
        }
    }

    /// Whatever has no guard around it, as what makes statuses of errors.
    #[tokio::test(start_paused = true)]
    async fn calls_that_ended_are_answered_also_when_their_turn_unwinds() {
        let mut ends = Ends::new();
        let calls = ends.ask(0..5);
        ends.dispatcher.stack.left = 3;
        assert!(catch_unwind(AssertUnwindSafe(|| ends.turn())).is_err());
        ends.carry();
        let mut answers = calls.into_iter().map(|mut call| poll(&mut call));
        assert!(answers.by_ref().take(3).eq((0..3).map(|number| Poll::Ready(Ok(number)))));
        let Some(Poll::Ready(Err(error))) = answers.next() else { panic!("the one that it unwound at") };
        assert_eq!(error.code(), Some(Code::Unavailable));
    }
}
