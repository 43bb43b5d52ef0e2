use std::collections::VecDeque;
use std::convert::Infallible;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bowline_protocol::session::WireFailure;
use bowline_protocol::status::Status;
use bowline_runtime::{Instant, MaybeSend, Task, now, spawn};
use tower_service::Service;

use super::guard::Guard;
use super::panic::guarded;
use super::running::Running;
use crate::call::Content;
use crate::context::{Incoming, SessionInfo};
use crate::peer::{Arrival, Peer, Terminal, Ticket};
use crate::topic::Notices;
use crate::{BoxError, Call, Cancellation, Reply};

/// How many handlers one poll of the dispatcher polls inline: 64. Source: rule 22 of the protocol.
const INLINE: usize = 64;

/// How long one poll of the dispatcher polls handlers inline: 1 ms, then writing gets its turn.
const INLINE_TIME: Duration = Duration::from_millis(1);

/// Runs the calls that come in on one session through that session's own stack of layers.
///
/// Calls start in the order in which they came in. The stack is asked for readiness only with a call in hand; a call
/// that is stopped while it waits gives its turn to the next. A handler is polled once where its call was read, and
/// becomes a task when it is still pending. The tasks end with the dispatcher.
///
/// Poll it from the session's driver. It holds no lock of the session while it polls handlers.
pub struct Dispatcher<S> {
    peer: Peer,
    stack: S,
    session: Arc<SessionInfo>,
    queue: VecDeque<Waiting>,
    tasks: Vec<Task>,
    /// How many tasks there are when those that have ended are looked for.
    sweep_at: usize,
    status_of: fn(&BoxError) -> Status,
}

/// A call that has not started.
struct Waiting {
    call: Call,
    guard: Guard,
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
            stack,
            session: Arc::new(session),
            queue: VecDeque::new(),
            tasks: Vec::new(),
            sweep_at: INLINE,
            status_of,
        }
    }

    /// Starts what came in. Never ends; the task is woken when there is more to do.
    pub fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Infallible> {
        while let Poll::Ready(arrival) = self.peer.poll_arrival(cx) {
            let waiting = self.receive(arrival);
            self.queue.push_back(waiting);
        }
        if self.peer.take_stopped_waiting() {
            self.drop_stopped();
        }
        let mut turn = Turn { polled: 0, started: now() };
        while !self.queue.is_empty() {
            let ready = guarded(&|| "poll_ready".to_owned(), || self.stack.poll_ready(cx));
            let refusal = match ready {
                Ok(Poll::Pending) => break,
                Ok(Poll::Ready(Ok(()))) => None,
                Ok(Poll::Ready(Err(error))) => Some((self.status_of)(&error.into())),
                Err(panicked) => Some(panicked),
            };
            let Some(Waiting { call, guard }) = self.queue.pop_front() else { break };
            match refusal {
                None => self.start(call, guard, &mut turn),
                Some(status) => guard.finish(Terminal::Failed(WireFailure::Status(status))),
            }
        }
        Poll::Pending
    }

    fn receive(&self, arrival: Arrival) -> Waiting {
        let Arrival { ticket, service, method, codec, buffer, metadata, deadline, depth, once: _ } = arrival;
        let cancellation = Cancellation::default();
        let guard = Guard::new(self.peer.clone(), ticket, cancellation.clone(), service, method);
        let incoming = Incoming {
            peer: self.peer.clone(),
            call: match ticket {
                Ticket::Call(call) => Some(call),
                Ticket::Notify(_) => None,
            },
            session: self.session.clone(),
            cancellation,
            notices: Arc::new(Notices::default()),
        };
        let content = Content::Incoming { codec, buffer, incoming };
        let extensions = http::Extensions::new();
        Waiting { call: Call { service, method, content, metadata, extensions, deadline, depth }, guard }
    }

    /// Answers calls that were stopped before they started.
    fn drop_stopped(&mut self) {
        for waiting in std::mem::take(&mut self.queue) {
            match waiting.guard.stopped() {
                Some(reason) => waiting.guard.finish_stopped(reason),
                None => self.queue.push_back(waiting),
            }
        }
    }

    fn start(&mut self, call: Call, guard: Guard, turn: &mut Turn) {
        let future = match guarded(&|| guard.name(), || self.stack.call(call)) {
            Ok(future) => future,
            Err(panicked) => return guard.finish(Terminal::Failed(WireFailure::Status(panicked))),
        };
        let mut running = Running::new(guard, future, self.status_of);
        if turn.take() {
            // Whatever wakes it between here and the first poll of its task is seen by that poll.
            let mut cx = Context::from_waker(Waker::noop());
            if Pin::new(&mut running).poll(&mut cx).is_ready() {
                return;
            }
        }
        self.own(spawn(running));
    }

    fn own(&mut self, task: Task) {
        if self.tasks.len() >= self.sweep_at {
            self.tasks.retain(|task| !task.is_finished());
            // Doubling keeps the cost of looking constant per task.
            self.sweep_at = (self.tasks.len() * 2).max(INLINE);
        }
        self.tasks.push(task);
    }
}

impl<S> fmt::Debug for Dispatcher<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Dispatcher")
            .field("session", &self.session)
            .field("waiting", &self.queue.len())
            .finish_non_exhaustive()
    }
}

/// What one poll of the dispatcher spends on inline polls.
struct Turn {
    polled: usize,
    started: Instant,
}

impl Turn {
    fn take(&mut self) -> bool {
        self.polled += 1;
        self.polled <= INLINE && now().saturating_duration_since(self.started) < INLINE_TIME
    }
}
