use std::collections::HashMap;
use std::pin::Pin;
use std::sync::{Arc, Weak};
use std::task::{Context, Poll};

use bowline_protocol::envelope::OnceTable;
use bowline_protocol::once::Ticket as OnceTicket;
use bowline_protocol::session::{CallId, WireFailure};
use bowline_protocol::status::{Code, Status};

use super::guard::Guard;
use super::panic::guarded;
use super::running::{answer, failed, terminal};
use super::waiting::Waiting;
use crate::call::Content;
use crate::once::{Admission, Asked, Bell, OnceStore, Run};
use crate::peer::{Peer, Terminal};
use crate::{BoxError, Reply};

/// How many running calls there are when those that have ended are looked for first.
const SWEEP: usize = 64;

/// A dispatcher's part of `once` calls: those of its session.
pub(super) struct OnceSide {
    store: OnceStore,
    bell: Arc<Bell>,
    /// Calls that wait for the end of one like them.
    repeats: Vec<(Asked, Waiting)>,
    /// Which entry answers which call, until its caller has the answer.
    answering: HashMap<CallId, OnceTicket>,
    /// What the session tells its caller.
    told: Option<OnceTable>,
    /// What this session started.
    runs: Vec<Weak<Run>>,
    sweep_at: usize,
}

impl OnceSide {
    pub(super) fn new(store: OnceStore) -> Self {
        Self {
            store,
            bell: Arc::default(),
            repeats: Vec::new(),
            answering: HashMap::new(),
            told: None,
            runs: Vec::new(),
            sweep_at: SWEEP,
        }
    }

    pub(super) fn store(&self) -> &OnceStore {
        &self.store
    }

    /// Answers the call if that can be done, keeps it if it has to wait, or gives it back to be started.
    pub(super) fn admit(&mut self, asked: Asked, mut waiting: Waiting) -> Option<Waiting> {
        let (admission, ticket) = self.store.begin(&asked, &self.bell);
        if let (Some(call), Some(ticket)) = (waiting.guard.call(), ticket) {
            self.answering.insert(call, ticket);
        }
        match admission {
            Admission::Start(claim) => {
                if let Content::Incoming { once, .. } = &mut waiting.call.content {
                    waiting.run = Some(claim.run().clone());
                    *once = Some(Box::new(claim));
                }
                return Some(waiting);
            }
            Admission::Wait => self.repeats.push((asked, waiting)),
            Admission::Done(record) => waiting.guard.finish(match record {
                Ok(bytes) => Terminal::Value(bytes),
                Err(failure) => Terminal::Failed(failure),
            }),
            Admission::Refused(status) => waiting.guard.finish(Terminal::Failed(WireFailure::Status(status))),
        }
        None
    }

    /// The callers of these have the end.
    pub(super) fn forget(&mut self, acknowledged: Vec<CallId>) {
        for call in acknowledged {
            if let Some(ticket) = self.answering.remove(&call) {
                self.store.acknowledged(ticket);
            }
        }
    }

    /// Lets the session tell its caller how much the store has forgotten.
    pub(super) fn tell(&mut self, peer: &Peer) {
        let table = self.store.table();
        if self.told != Some(table) {
            self.told = Some(table);
            peer.set_once_table(table);
        }
    }

    /// Whether there are calls that wait.
    pub(super) fn waits(&self) -> bool {
        !self.repeats.is_empty()
    }

    /// What is to be started of the calls that waited.
    pub(super) fn poll(&mut self, cx: &Context<'_>) -> Vec<Waiting> {
        if self.repeats.is_empty() || !self.bell.heard(cx) {
            return Vec::new();
        }
        let repeats = std::mem::take(&mut self.repeats);
        repeats.into_iter().filter_map(|(asked, waiting)| self.admit(asked, waiting)).collect()
    }

    /// Answers calls that were stopped while they waited.
    pub(super) fn drop_stopped(&mut self) {
        for (asked, waiting) in std::mem::take(&mut self.repeats) {
            if let Some(waiting) = waiting.unless_stopped() {
                self.repeats.push((asked, waiting));
            }
        }
    }

    /// A call starts on its way through the layers.
    pub(super) fn started(&mut self, run: &Arc<Run>) {
        if self.runs.len() >= self.sweep_at {
            self.runs.retain(|run| run.strong_count() > 0);
            self.sweep_at = (self.runs.len() * 2).max(SWEEP);
        }
        self.runs.push(Arc::downgrade(run));
    }
}

impl Drop for OnceSide {
    fn drop(&mut self) {
        for run in self.runs.iter().filter_map(Weak::upgrade) {
            run.leave();
        }
    }
}

/// A `once` call from the layers' future to its terminal envelope: goes on without its session once the handler has
/// started, so that what the layers hold for it is held for as long as it runs.
pub(super) struct OnceRunning<F> {
    /// `None` once the session has its answer.
    guard: Option<Guard>,
    /// `None` once it has ended.
    future: Option<Pin<Box<F>>>,
    run: Arc<Run>,
    name: String,
    status_of: fn(&BoxError) -> Status,
}

// The future is boxed.
impl<F> Unpin for OnceRunning<F> {}

impl<F> OnceRunning<F> {
    pub(super) fn new(guard: Guard, future: F, run: Arc<Run>, status_of: fn(&BoxError) -> Status) -> Self {
        let name = guard.name();
        Self { guard: Some(guard), future: Some(Box::pin(future)), run, name, status_of }
    }

    /// Drops what the layers made of the call.
    fn drop_future(&mut self) -> Result<(), Status> {
        let future = self.future.take();
        guarded(&|| self.name.clone(), || drop(future))
    }

    /// Answers the call if it was stopped. The handler goes on if it has started.
    fn poll_stopped(&mut self, cx: &Context<'_>) {
        let Some(guard) = &self.guard else { return };
        let reason = match guard.poll_stopped(cx) {
            Poll::Ready(reason) => Some(reason),
            Poll::Pending if self.run.is_left(cx) => None,
            Poll::Pending => return,
        };
        if !self.run.has_started() {
            // A destructor that panics was logged; the call ends as it was going to.
            let _logged = self.drop_future();
        }
        let Some(guard) = self.guard.take() else { return };
        match reason {
            Some(reason) => guard.finish_stopped(reason),
            None if self.run.has_started() => {
                guard.finish(failed(Status::new(Code::OutcomeUnknown, "this end is being stopped")))
            }
            None => drop(guard),
        }
    }
}

impl<F, E> Future for OnceRunning<F>
where
    F: Future<Output = Result<Reply, E>>,
    E: Into<BoxError>,
{
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = self.get_mut();
        this.poll_stopped(cx);
        let Some(future) = &mut this.future else { return Poll::Ready(()) };
        let polled = guarded(&|| this.name.clone(), || {
            future.as_mut().poll(cx).map(|output| terminal(answer(output, this.status_of)))
        });
        let terminal = match polled {
            Ok(Poll::Pending) => return Poll::Pending,
            Ok(Poll::Ready(terminal)) => terminal,
            Err(panicked) => failed(panicked),
        };
        let dropped = this.drop_future();
        if let Some(guard) = this.guard.take() {
            guard.finish(dropped.map_or_else(failed, |()| terminal));
        }
        Poll::Ready(())
    }
}
