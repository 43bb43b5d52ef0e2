use std::collections::HashMap;
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use bowline_runtime::{Task, spawn};
use tokio::sync::watch;

/// Owns the tasks of all sessions: dropping it ends them.
#[derive(Debug)]
pub(crate) struct Registry {
    state: Mutex<State>,
    /// How many places are taken; what shutdown waits on.
    taken: watch::Sender<usize>,
    /// Turns true once: sessions close, and no place is given any more.
    stopping: watch::Sender<bool>,
    places: usize,
}

#[derive(Debug, Default)]
struct State {
    next: u64,
    tasks: HashMap<u64, Task>,
}

impl Registry {
    pub(crate) fn new(places: usize) -> Arc<Self> {
        Arc::new(Self {
            state: Mutex::default(),
            taken: watch::Sender::new(0),
            stopping: watch::Sender::new(false),
            places,
        })
    }

    /// How many sessions there are, those included that have not said hello yet.
    pub(crate) fn len(&self) -> usize {
        *self.taken.borrow()
    }

    /// Takes a place for a session, if there is one left.
    pub(crate) fn reserve(self: &Arc<Self>) -> Result<Place, NoPlace> {
        self.take(self.places)
    }

    /// Takes a place that is counted and not bounded.
    pub(crate) fn enter(self: &Arc<Self>) -> Result<Place, NoPlace> {
        self.take(usize::MAX)
    }

    fn take(self: &Arc<Self>, places: usize) -> Result<Place, NoPlace> {
        let mut state = self.lock();
        if *self.stopping.borrow() {
            return Err(NoPlace::Stopping);
        }
        if self.len() >= places {
            return Err(NoPlace::Full);
        }
        self.taken.send_modify(|taken| *taken += 1);
        state.next += 1;
        Ok(Place { registry: Arc::downgrade(self), id: state.next, stopping: self.stopping.subscribe() })
    }

    /// Asks all sessions to close, waits until they have, and gives no further places.
    pub(crate) async fn stop(&self) {
        {
            // Under the lock, so that no place is given to somebody who looked just before.
            let _state = self.lock();
            self.stopping.send_replace(true);
        }
        let mut taken = self.taken.subscribe();
        // Fails only when the sender is gone, and `self` holds it.
        let _ = taken.wait_for(|taken| *taken == 0).await;
    }

    /// Ends the sessions that are left, without a word to their peers.
    pub(crate) fn abort(&self) {
        let tasks = std::mem::take(&mut self.lock().tasks);
        // Outside the lock: a task that ends gives its place back.
        drop(tasks);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Why a session can't begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NoPlace {
    /// Every place is taken.
    Full,
    /// The server is being stopped.
    Stopping,
}

/// The place of one session; dropping it gives the place back.
#[derive(Debug)]
pub(crate) struct Place {
    /// Weak, because the task that holds the place is owned by the registry.
    registry: Weak<Registry>,
    id: u64,
    stopping: watch::Receiver<bool>,
}

impl Place {
    /// Tells when the session is to close.
    pub(crate) fn stopping(&self) -> watch::Receiver<bool> {
        self.stopping.clone()
    }

    /// Runs the session in a task that the registry owns; the place is held until it ends.
    pub(crate) fn spawn(self, session: impl Future<Output = ()> + Send + 'static) {
        let Some(registry) = self.registry.upgrade() else { return };
        let id = self.id;
        // The lock is held across the spawn: a task that ended at once would otherwise be entered afterwards and stay.
        let mut state = registry.lock();
        let task = spawn(async move {
            session.await;
            drop(self);
        });
        state.tasks.insert(id, task);
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let Some(registry) = self.registry.upgrade() else { return };
        let task = registry.lock().tasks.remove(&self.id);
        drop(task);
        registry.taken.send_modify(|taken| *taken -= 1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_place_is_free_again_when_its_task_ended() {
        let registry = Registry::new(1);
        let place = registry.reserve().unwrap();
        assert_eq!(registry.reserve().unwrap_err(), NoPlace::Full);
        let mut taken = registry.taken.subscribe();
        place.spawn(async {});
        taken.wait_for(|taken| *taken == 0).await.unwrap();
        assert!(registry.lock().tasks.is_empty());
        assert!(registry.reserve().is_ok());
    }

    #[tokio::test]
    async fn a_place_that_never_got_a_task_is_given_back() {
        let registry = Registry::new(1);
        drop(registry.reserve().unwrap());
        assert_eq!(registry.len(), 0);
    }

    #[tokio::test]
    async fn dropping_the_registry_ends_its_tasks() {
        let registry = Registry::new(1);
        let held = Arc::new(());
        let inside = held.clone();
        registry.reserve().unwrap().spawn(async move {
            let _inside = inside;
            std::future::pending().await
        });
        tokio::task::yield_now().await;
        drop(registry);
        tokio::task::yield_now().await;
        assert_eq!(Arc::strong_count(&held), 1);
    }

    #[tokio::test]
    async fn stopping_waits_for_sessions_and_admits_no_more() {
        let registry = Registry::new(2);
        let place = registry.reserve().unwrap();
        let mut stopping = place.stopping();
        place.spawn(async move {
            stopping.wait_for(|stopping| *stopping).await.unwrap();
        });
        registry.stop().await;
        assert_eq!(registry.len(), 0);
        assert_eq!(registry.reserve().unwrap_err(), NoPlace::Stopping);
    }

    #[tokio::test]
    async fn sessions_that_do_not_close_are_aborted() {
        let registry = Registry::new(1);
        registry.reserve().unwrap().spawn(std::future::pending());
        registry.abort();
        tokio::task::yield_now().await;
        assert_eq!(registry.len(), 0);
    }
}
