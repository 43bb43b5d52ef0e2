use std::collections::HashMap;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use bowline_protocol::envelope::{GapReason, Hello, Refusal};
use bowline_protocol::registry::{Attached, New, NodeLimits, Registry, RegistryStats, Remains, Verdict, Who};
use bowline_protocol::status::CloseCode;
use bowline_runtime::{Task, now, sleep_until, spawn};
use futures_util::future::select;
use tokio::sync::{Notify, watch};

use crate::mail::{End, Handover, Mail};

/// All sessions of the server: the book of who may continue which, and how each one's task is reached.
///
/// It owns no tasks but the one that watches the clock for it.
#[derive(Debug)]
pub(crate) struct Node {
    book: Mutex<Book>,
    /// How many sessions have a link; what a drain waits on.
    attached: watch::Sender<usize>,
    /// Something may be due earlier than it was.
    changed: Arc<Notify>,
}

#[derive(Debug)]
struct Book {
    registry: Registry,
    sessions: HashMap<u128, Arc<Mail>>,
    /// Within which time clients are to move, once the server drains.
    draining: Option<Duration>,
    /// Ends sessions whose window has passed; made with the first session, since that is where a runtime is.
    keeper: Option<Task>,
}

impl Node {
    pub(crate) fn new(limits: NodeLimits) -> Arc<Self> {
        let book =
            Book { registry: Registry::new(limits), sessions: HashMap::new(), draining: None, keeper: None };
        Arc::new(Self {
            book: Mutex::new(book),
            attached: watch::Sender::new(0),
            changed: Arc::new(Notify::new()),
        })
    }

    pub(crate) fn stats(&self) -> RegistryStats {
        self.lock().registry.stats()
    }

    pub(crate) fn look(&self, hello: &Hello, who: &Who) -> Verdict {
        self.act(|book| book.registry.look(now(), hello, who))
    }

    pub(crate) fn insert(self: &Arc<Self>, new: New<'_>, mail: &Arc<Mail>) -> Result<(), Refusal> {
        self.act(|book| {
            book.registry.insert(now(), new)?;
            book.sessions.insert(new.session, mail.clone());
            book.keeper.get_or_insert_with(|| spawn(keep(Arc::downgrade(self), self.changed.clone())));
            Ok(())
        })
    }

    /// Gives a link to the task of its session.
    pub(crate) fn hand_over(&self, session: u128, handover: Handover) {
        let mail = self.lock().sessions.get(&session).cloned();
        match mail {
            Some(mail) => mail.hand_over(handover),
            None => {
                let reason = "the session has just ended".into();
                handover.refuse(Verdict::Refuse(Refusal { code: CloseCode::TRY_AGAIN, reason }));
            }
        }
    }

    pub(crate) fn attach(&self, hello: &Hello, who: &Who, token: &[u8; 32]) -> Result<Attached, Verdict> {
        self.act(|book| book.registry.attach(now(), hello, who, token))
    }

    pub(crate) fn prove(&self, session: u128) {
        self.act(|book| book.registry.prove(session));
    }

    pub(crate) fn detach(&self, session: u128, held: usize) {
        self.act(|book| book.registry.detach(now(), session, held));
        self.changed.notify_one();
    }

    pub(crate) fn set_held(&self, session: u128, held: usize) {
        self.act(|book| book.registry.set_held(session, held));
    }

    /// The session has ended, and its client may come back and ask.
    pub(crate) fn remove(&self, session: u128, reason: GapReason, remains: Remains) {
        self.act(|book| {
            book.registry.remove(now(), session, reason, remains);
            book.sessions.remove(&session);
        });
        self.changed.notify_one();
    }

    /// The session has ended, and its client won't.
    pub(crate) fn forget(&self, session: u128) {
        self.act(|book| {
            book.registry.forget(session);
            book.sessions.remove(&session);
        });
    }

    /// From now on no session begins, and clients are told to move within `spread`.
    pub(crate) fn drain(&self, spread: Duration) {
        self.act(|book| {
            book.registry.drain();
            book.draining = Some(spread);
            for mail in book.sessions.values() {
                mail.go_away(spread);
            }
        });
    }

    /// Within which time clients are to move, while the server drains.
    pub(crate) fn draining(&self) -> Option<Duration> {
        self.lock().draining
    }

    /// Waits until no session has a link.
    pub(crate) async fn emptied(&self) {
        let mut attached = self.attached.subscribe();
        // Fails only when the sender is gone, and `self` holds it.
        let _ = attached.wait_for(|attached| *attached == 0).await;
    }

    /// Ends every session; none begins any more.
    pub(crate) fn stop(&self) {
        self.act(|book| {
            book.registry.drain();
            let end = End {
                reason: GapReason::StateLost,
                code: CloseCode::DRAIN,
                sentence: "the server is being stopped",
            };
            for mail in book.sessions.values() {
                mail.end(end);
            }
        });
    }

    /// Ends the sessions of an identity, and says how many.
    pub(crate) fn revoke(&self, identity: u128) -> usize {
        self.act(|book| {
            let sessions = book.registry.revoke(identity);
            let end = End {
                reason: GapReason::IdentityChanged,
                code: CloseCode::BAD_CREDENTIALS,
                sentence: "the credentials were revoked",
            };
            for mail in sessions.iter().filter_map(|session| book.sessions.get(session)) {
                mail.end(end);
            }
            sessions.len()
        })
    }

    /// Takes the lock, runs `step`, and ends what is to end by it.
    fn act<R>(&self, step: impl FnOnce(&mut Book) -> R) -> R {
        let mut book = self.lock();
        let result = step(&mut book);
        while let Some((session, reason)) = book.registry.poll_evicted() {
            if let Some(mail) = book.sessions.get(&session) {
                mail.end(End { reason, code: CloseCode::SLOW, sentence: "the server needs the memory" });
            }
        }
        let attached = book.registry.stats().held.attached;
        self.attached.send_if_modified(|known| std::mem::replace(known, attached) != attached);
        result
    }

    fn lock(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Tells the registry of a server when something is due in it.
async fn keep(node: Weak<Node>, changed: Arc<Notify>) {
    loop {
        let due = {
            let Some(node) = node.upgrade() else { return };
            node.act(|book| {
                book.registry.handle_timeout(now());
                book.registry.poll_timeout()
            })
        };
        let changed = pin!(changed.notified());
        match due {
            Some(due) => {
                select(changed, pin!(sleep_until(due))).await;
            }
            None => changed.await,
        }
    }
}
