use std::collections::BTreeMap;
use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::pin::pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use bowline_protocol::codec::Codec;
use bowline_protocol::envelope::{OnceKey, OnceTable};
use bowline_protocol::once::{Begin, OnceLimits, OnceStats, Record, Scope, Table, Ticket};
use bowline_protocol::status::{Code, Status};
use bowline_runtime::{Task, now, random_u128};

use tokio::sync::Notify;

use super::{Bell, Claim};
use crate::server::Tasks;

/// The `once` calls of a node: what runs, and what was answered. Cheap to clone; give one to every
/// [`Dispatcher`](crate::Dispatcher).
///
/// A repeat of a call, on the same session or another, waits for the first to end or gets what it ended with; it
/// passes no layers. A handler that has started runs to its end: a cancel, a deadline, a lost link and a session that
/// ends only stop the waiting. Its tasks end with the last clone of the store.
///
/// It is kept in memory. After a restart of the process, or on another node, a repeat of a call that may have run is
/// answered `OutcomeUnknown`, and runs nothing.
#[derive(Clone)]
pub struct OnceStore(Arc<Shared>);

pub(super) struct Shared {
    state: Mutex<State>,
    id: u128,
    /// The table's, beside the lock: every session looks at it whenever it runs.
    tick: AtomicU64,
    /// Notified when the last call that runs has ended.
    idle: Notify,
    /// Make a digest of arguments: twice 64 bits. Who guesses at collisions can only spoil calls of its own.
    seeds: [RandomState; 2],
}

struct State {
    table: Table,
    /// Who waits for the end of which call.
    waiting: BTreeMap<Ticket, Vec<Weak<Bell>>>,
    tasks: Tasks,
}

/// What a caller asks for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Asked {
    pub(crate) key: OnceKey,
    pub(crate) scope: Scope,
    pub(crate) arguments: u128,
}

/// What is to be done with a call.
pub(crate) enum Admission {
    Start(Claim),
    /// It runs already: ask again when the bell rings.
    Wait,
    Done(Record),
    Refused(Status),
}

impl OnceStore {
    /// Makes an empty store with a random id.
    pub fn new(limits: OnceLimits) -> Self {
        let id = random_u128();
        let table = Table::new(id, limits);
        let tick = AtomicU64::new(table.table().tick);
        let state = State { table, waiting: BTreeMap::new(), tasks: Tasks::default() };
        Self(Arc::new(Shared {
            state: Mutex::new(state),
            id,
            tick,
            idle: Notify::new(),
            seeds: [RandomState::new(), RandomState::new()],
        }))
    }

    /// The id of its table and how much that has forgotten: what sessions tell their callers.
    pub fn table(&self) -> OnceTable {
        OnceTable { id: self.0.id, tick: self.0.tick.load(Ordering::Acquire) }
    }

    /// What it holds.
    pub fn stats(&self) -> OnceStats {
        self.0.lock().table.stats()
    }

    /// Ends when no call runs: what a process waits for, within some limit, before it stops.
    ///
    /// # Cancel safety
    ///
    /// Holds nothing: drop it and ask again.
    pub async fn finished(&self) {
        loop {
            let mut idle = pin!(self.0.idle.notified());
            // Enlisted before the count is read, or an end between the two would go unseen.
            idle.as_mut().enable();
            if self.stats().running == 0 {
                return;
            }
            idle.await;
        }
    }

    /// A digest of a call's arguments.
    pub(crate) fn digest(&self, codec: Codec, arguments: &[u8]) -> u128 {
        let [high, low] = &self.0.seeds;
        let asked = (codec == Codec::Json, arguments);
        u128::from(high.hash_one(asked)) << 64 | u128::from(low.hash_one(asked))
    }

    /// A call came in, or a bell rang for one that waits. Also names the entry that answers it, if there is one.
    pub(crate) fn begin(&self, asked: &Asked, bell: &Arc<Bell>) -> (Admission, Option<Ticket>) {
        let mut state = self.0.lock();
        let refused = |code, why: &str| (Admission::Refused(Status::new(code, why)), None);
        let begun = state.table.begin(now(), &asked.key, asked.scope, asked.arguments);
        self.0.publish(&state.table);
        match begun {
            Begin::Start(ticket) => {
                (Admission::Start(Claim::new(Arc::downgrade(&self.0), ticket)), Some(ticket))
            }
            Begin::Wait(ticket) => {
                let waiting = state.waiting.entry(ticket).or_default();
                // One place for each who waits, however many calls of it do, and none for those that are gone.
                waiting.retain(|other| other.strong_count() > 0 && !std::ptr::eq(other.as_ptr(), &**bell));
                waiting.push(Arc::downgrade(bell));
                (Admission::Wait, Some(ticket))
            }
            Begin::Done(ticket, record) => (Admission::Done(record), Some(ticket)),
            Begin::Unknown => {
                refused(Code::OutcomeUnknown, "whether an earlier try of this call ran is not known here")
            }
            Begin::Mismatch => {
                refused(Code::InvalidArgument, "the key of this call came with other arguments before")
            }
            Begin::Full => refused(Code::ResourceExhausted, "too many calls to be remembered"),
        }
    }

    /// The caller has the end of its call.
    pub(crate) fn acknowledged(&self, ticket: Ticket) {
        self.0.lock().table.acknowledged(ticket);
    }

    /// Keeps a task of a call that has started.
    pub(crate) fn own(&self, task: Task) {
        self.0.own(task);
    }
}

impl Default for OnceStore {
    /// With the default limits.
    fn default() -> Self {
        Self::new(OnceLimits::default())
    }
}

impl fmt::Debug for OnceStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OnceStore").field("holds", &self.stats()).finish_non_exhaustive()
    }
}

impl Shared {
    pub(super) fn finish(&self, ticket: Ticket, record: Record) {
        self.ring(ticket, |table| table.finish(now(), ticket, record));
    }

    pub(super) fn abandon(&self, ticket: Ticket) {
        self.ring(ticket, |table| table.abandon(ticket));
    }

    pub(super) fn own(&self, task: Task) {
        self.lock().tasks.own(task);
    }

    /// Changes an entry, and tells who waits for it.
    fn ring(&self, ticket: Ticket, change: impl FnOnce(&mut Table)) {
        let waiting = {
            let mut state = self.lock();
            change(&mut state.table);
            self.publish(&state.table);
            if state.table.stats().running == 0 {
                self.idle.notify_waiters();
            }
            state.waiting.remove(&ticket)
        };
        for bell in waiting.into_iter().flatten().filter_map(|bell| bell.upgrade()) {
            bell.ring();
        }
    }

    fn publish(&self, table: &Table) {
        self.tick.store(table.table().tick, Ordering::Release);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing under the lock runs foreign code; a panic there is a bug of ours that should not spread.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
