use std::collections::HashMap;
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use bowline_runtime::{Task, spawn};
use futures_util::FutureExt;
use tokio::sync::watch;

/// Owns the tasks of all links and sessions, and counts the links: dropping it ends them.
///
/// A link that has not said hello may be one that goes on with a session, which a full server takes. So there is room for
/// such links beside those that carry sessions, however many these are: how many sessions there may be is for the book of
/// sessions to know, which hears whether a session is a new one.
#[derive(Debug)]
pub(crate) struct Places {
    state: Mutex<State>,
    /// How many places are taken; what shutdown waits on.
    taken: watch::Sender<usize>,
    /// Turns true once: links close, and no place is given any more.
    stopping: watch::Sender<bool>,
    room: Room,
}

/// How many links there may be.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Room {
    /// That carry sessions; those that have not said hello yet use what is left of it. More may carry sessions.
    pub(crate) sessions: usize,
    /// Beside these: that have not said hello, or are told why they may not stay.
    pub(crate) reserve: usize,
}

#[derive(Debug, Default)]
struct State {
    next: u64,
    tasks: HashMap<u64, Task>,
    /// Links that carry sessions.
    carrying: usize,
}

impl Places {
    pub(crate) fn new(room: Room) -> Arc<Self> {
        Arc::new(Self {
            state: Mutex::default(),
            taken: watch::Sender::new(0),
            stopping: watch::Sender::new(false),
            room,
        })
    }

    /// How many links there are, channels in process and those included that have not said hello yet.
    pub(crate) fn len(&self) -> usize {
        *self.taken.borrow()
    }

    /// Takes a place for a link that has not said hello, if there is one left.
    pub(crate) fn reserve(self: &Arc<Self>) -> Result<Place, NoPlace> {
        self.take(|state, Room { sessions, reserve }| sessions.max(state.carrying).saturating_add(reserve))
    }

    /// Takes a place that is counted and not bounded.
    pub(crate) fn enter(self: &Arc<Self>) -> Result<Place, NoPlace> {
        self.take(|_, _| usize::MAX)
    }

    fn take(self: &Arc<Self>, limit: impl FnOnce(&State, Room) -> usize) -> Result<Place, NoPlace> {
        let mut state = self.lock();
        if *self.stopping.borrow() {
            return Err(NoPlace::Stopping);
        }
        if self.len() >= limit(&state, self.room) {
            return Err(NoPlace::Full);
        }
        self.taken.send_modify(|taken| *taken += 1);
        state.next += 1;
        Ok(Place { places: Arc::downgrade(self), id: state.next, stopping: self.stopping.subscribe() })
    }

    /// Asks all links to close, waits until they have, and gives no further places.
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

    /// Ends the links and sessions that are left, without a word to their peers.
    pub(crate) fn abort(&self) {
        let tasks = std::mem::take(&mut self.lock().tasks);
        // Outside the lock: a task that ends gives its place back.
        drop(tasks);
    }

    /// A link carries a session from here on, until what is returned is dropped.
    pub(crate) fn carry(self: &Arc<Self>) -> Carrying {
        self.lock().carrying += 1;
        Carrying(Arc::downgrade(self))
    }

    /// Owns the task of a session, which outlives its links and takes no place.
    pub(crate) fn adopt(self: &Arc<Self>, session: impl Future<Output = ()> + Send + 'static) {
        let places = Arc::downgrade(self);
        // As in `Place::spawn`.
        let mut state = self.lock();
        state.next += 1;
        let id = state.next;
        // Also when the session panics or is aborted: its entry goes with it.
        let leaving = Leaving { places, id };
        let task = spawn(holding(session, leaving));
        state.tasks.insert(id, task);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Why a link can't begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NoPlace {
    /// Every place is taken.
    Full,
    /// The server is being stopped.
    Stopping,
}

/// The place of one link; dropping it gives the place back.
#[derive(Debug)]
pub(crate) struct Place {
    /// Weak, because the task that holds the place is owned by the places.
    places: Weak<Places>,
    id: u64,
    stopping: watch::Receiver<bool>,
}

impl Place {
    /// Tells when the link is to close.
    pub(crate) fn stopping(&self) -> watch::Receiver<bool> {
        self.stopping.clone()
    }

    /// Runs the link in a task that is owned with all others; the place is held until it ends.
    pub(crate) fn spawn(self, link: impl Future<Output = ()> + Send + 'static) {
        let Some(places) = self.places.upgrade() else { return };
        let id = self.id;
        // The lock is held across the spawn: a task that ended at once would otherwise be entered afterwards and stay.
        let mut state = places.lock();
        let task = spawn(holding(link, self));
        state.tasks.insert(id, task);
    }
}

/// Runs a task and drops `held` behind it, also when it panics or is aborted. An async block that awaits what it captured
/// has room for that twice.
fn holding<T>(task: impl Future<Output = ()>, held: T) -> impl Future<Output = ()> {
    task.map(move |()| drop(held))
}

/// A link that carries a session; see [`Places::carry`].
#[derive(Debug)]
pub(crate) struct Carrying(Weak<Places>);

impl Drop for Carrying {
    fn drop(&mut self) {
        if let Some(places) = self.0.upgrade() {
            places.lock().carrying -= 1;
        }
    }
}

/// Takes a task out of the list when it ends.
struct Leaving {
    places: Weak<Places>,
    id: u64,
}

impl Drop for Leaving {
    fn drop(&mut self) {
        let Some(places) = self.places.upgrade() else { return };
        let task = places.lock().tasks.remove(&self.id);
        drop(task);
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let Some(places) = self.places.upgrade() else { return };
        let task = places.lock().tasks.remove(&self.id);
        drop(task);
        places.taken.send_modify(|taken| *taken -= 1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with_room(sessions: usize) -> Arc<Places> {
        Places::new(Room { sessions, reserve: 0 })
    }

    /// However many sessions went on here, there is room for the next that may.
    #[tokio::test]
    async fn links_that_carry_sessions_leave_the_reserve_to_those_that_have_not_said_hello() {
        let places = Places::new(Room { sessions: 2, reserve: 1 });
        let mut all = Vec::new();
        for _ in 0..10 {
            let place = places.reserve().unwrap();
            all.push((place, places.carry()));
        }
        let silent = places.reserve().unwrap();
        assert_eq!(places.reserve().unwrap_err(), NoPlace::Full);
        // One that is being closed takes of the reserve as well.
        let (closing, carrying) = all.pop().unwrap();
        drop((carrying, silent));
        assert_eq!(places.reserve().unwrap_err(), NoPlace::Full);
        drop(closing);
        let silent = places.reserve().unwrap();
        all.truncate(1);
        // What sessions leave is for whoever comes.
        let more = places.reserve().unwrap();
        assert_eq!(places.reserve().unwrap_err(), NoPlace::Full);
        drop((all, silent, more));
        assert_eq!((places.len(), places.lock().carrying), (0, 0));
    }

    /// Each session and each link had room for two of itself.
    #[test]
    fn a_task_takes_the_room_of_its_future_once() {
        let room = [0_u8; 1000];
        let task = async move {
            std::future::pending::<()>().await;
            std::hint::black_box(&room);
        };
        let of_task = size_of_val(&task);
        let all = holding(task, 0_u64);
        assert!(size_of_val(&all) <= of_task + 32, "{} for {of_task}", size_of_val(&all));
    }

    #[tokio::test]
    async fn a_place_is_free_again_when_its_task_ended() {
        let places = with_room(1);
        let place = places.reserve().unwrap();
        assert_eq!(places.reserve().unwrap_err(), NoPlace::Full);
        let mut taken = places.taken.subscribe();
        place.spawn(async {});
        taken.wait_for(|taken| *taken == 0).await.unwrap();
        assert!(places.lock().tasks.is_empty());
        assert!(places.reserve().is_ok());
    }

    #[tokio::test]
    async fn a_place_that_never_got_a_task_is_given_back() {
        let places = with_room(1);
        drop(places.reserve().unwrap());
        assert_eq!(places.len(), 0);
    }

    #[tokio::test]
    async fn dropping_the_places_ends_its_tasks() {
        let places = with_room(1);
        let held = Arc::new(());
        let inside = held.clone();
        places.reserve().unwrap().spawn(async move {
            let _inside = inside;
            std::future::pending().await
        });
        tokio::task::yield_now().await;
        drop(places);
        tokio::task::yield_now().await;
        assert_eq!(Arc::strong_count(&held), 1);
    }

    #[tokio::test]
    async fn a_session_takes_no_place_and_leaves_no_task() {
        let places = with_room(1);
        let (over, wait) = tokio::sync::oneshot::channel::<()>();
        places.adopt(async move { drop(wait.await) });
        assert_eq!((places.len(), places.lock().tasks.len()), (0, 1));
        over.send(()).unwrap();
        while !places.lock().tasks.is_empty() {
            tokio::task::yield_now().await;
        }
    }

    #[tokio::test]
    async fn stopping_waits_for_sessions_and_admits_no_more() {
        let places = with_room(2);
        let place = places.reserve().unwrap();
        let mut stopping = place.stopping();
        place.spawn(async move {
            stopping.wait_for(|stopping| *stopping).await.unwrap();
        });
        places.stop().await;
        assert_eq!(places.len(), 0);
        assert_eq!(places.reserve().unwrap_err(), NoPlace::Stopping);
    }

    #[tokio::test]
    async fn sessions_that_do_not_close_are_aborted() {
        let places = with_room(1);
        places.reserve().unwrap().spawn(std::future::pending());
        places.abort();
        tokio::task::yield_now().await;
        assert_eq!(places.len(), 0);
    }
}
