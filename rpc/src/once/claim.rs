use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::task::Context;

use bowline_protocol::once::{Record, Ticket};
use bowline_protocol::session::WireFailure;
use bowline_protocol::status::{Code, Status};

use super::Bell;
use super::store::Shared;

/// The right to run one `once` call, which travels with the call to its handler.
///
/// Dropped before the handler starts it leaves nothing behind, and a repeat may run.
pub(crate) struct Claim {
    /// Weak, because the store owns the tasks that hold claims.
    store: Weak<Shared>,
    ticket: Ticket,
    stage: Stage,
    run: Arc<Run>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    Reserved,
    Started,
    Finished,
}

/// What a running `once` call and its session know of each other.
#[derive(Debug, Default)]
pub(crate) struct Run {
    started: AtomicBool,
    abandoned: AtomicBool,
    bell: Bell,
}

impl Claim {
    pub(super) fn new(store: Weak<Shared>, ticket: Ticket) -> Self {
        Self { store, ticket, stage: Stage::Reserved, run: Arc::default() }
    }

    pub(crate) fn run(&self) -> &Arc<Run> {
        &self.run
    }

    /// The handler starts.
    pub(super) fn start(&mut self) {
        self.stage = Stage::Started;
        self.run.started.store(true, Ordering::Release);
    }

    /// The handler has ended.
    pub(super) fn finish(&mut self, record: Record) {
        self.stage = Stage::Finished;
        if let Some(store) = self.store.upgrade() {
            store.finish(self.ticket, record);
        }
    }

    pub(super) fn store(&self) -> Weak<Shared> {
        self.store.clone()
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        match self.stage {
            Stage::Reserved => {
                if let Some(store) = self.store.upgrade() {
                    store.abandon(self.ticket);
                }
            }
            // The runtime is being stopped, and dropped the handler.
            Stage::Started => self.finish(Err(WireFailure::Status(unknown()))),
            Stage::Finished => {}
        }
    }
}

impl Run {
    /// Whether the handler has started: it runs to its end.
    pub(crate) fn has_started(&self) -> bool {
        self.started.load(Ordering::Acquire)
    }

    /// The dispatcher is gone: nobody waits for the answer any more.
    pub(crate) fn leave(&self) {
        self.abandoned.store(true, Ordering::Release);
        self.bell.ring();
    }

    /// Whether the dispatcher is gone; the task is woken when it goes.
    pub(crate) fn is_left(&self, cx: &Context<'_>) -> bool {
        self.bell.heard(cx);
        self.abandoned.load(Ordering::Acquire)
    }
}

pub(super) fn unknown() -> Status {
    Status::new(Code::OutcomeUnknown, "this end was stopped before the call had ended")
}
