use std::{
    collections::HashMap,
    convert::Infallible,
    fmt,
    future::Future,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
};

use bowline_rpc::CallError;
use bowline_runtime::{MaybeSend, Task, spawn};
use leptos::prelude::*;

/// How many submissions may be under way: what a client's outbox holds by default (`Limits::waiting_calls`).
const UNDER_WAY: usize = 1000;

/// How many submissions that have ended stay on the list.
const ENDED: usize = 100;

/// Makes a call for each input, and shows every one of them: what still waits, what came of it, what failed and why.
///
/// It is the view of an outbox, for what a person writes while the connection is away; an [`action`](crate::action()) shows
/// the newest call only. `call` is any closure that takes an input and makes a call. Let it wait for the connection for
/// longer than it may take with `.queued()`: `submissions(move |text: String| chat.post(room, text).queued())`.
///
/// [`list`](Submissions::list) has the submissions in the order in which they were dispatched. 100 that have ended stay;
/// beyond that the oldest that went well goes first, then the oldest that failed. 1,000 may be under way; one more ends
/// at once with `ResourceExhausted`. The list lives in memory, and goes with the page.
///
/// Calls run beside each other; those that wait for the connection are sent in order. None is made again unless
/// [`retry`](Submissions::retry) asks for it.
///
/// # Server-side rendering
///
/// Nothing is called on the server; [`dispatch`](Submissions::dispatch) does nothing there.
///
/// # Cleanup
///
/// Calls under way are cancelled when the owner of the hook ends, mostly the component.
///
/// # Examples
///
/// ```no_run
/// use bowline_leptos::Submissions;
/// use leptos::prelude::*;
///
/// #[component]
/// fn Outbox(post: Submissions<String, u64>) -> impl IntoView {
///     view! {
///         <For each=move || post.list.get() key=|posted| posted.id() let:posted>
///             <li class:waiting=posted.pending()>{posted.input().clone()}</li>
///         </For>
///     }
/// }
/// ```
pub fn submissions<I, T, E, F, Fut>(call: F) -> Submissions<I, T, E>
where
    I: Clone + Send + Sync + 'static,
    F: Fn(I) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<T, CallError<E>>> + MaybeSend + 'static,
    T: Send + Sync + 'static,
    E: Send + Sync + 'static,
{
    let outbox = Arc::new(Outbox {
        list: ArcRwSignal::new(Vec::new()),
        waiting: ArcRwSignal::new(0),
        tasks: Mutex::default(),
    });
    let submissions = Submissions {
        list: outbox.list.read_only().into(),
        waiting: outbox.waiting.read_only().into(),
        orders: StoredValue::new(None),
    };
    if !cfg!(feature = "ssr") {
        let orders: Orders<I> = Arc::new(move |order| match order {
            Order::Dispatch(input) => outbox.dispatch(input, &call),
            Order::Retry(id) => outbox.retry(id, &call),
            Order::Remove(id) => outbox.remove(id),
        });
        submissions.orders.set_value(Some(orders));
    }
    submissions
}

type Orders<I> = Arc<dyn Fn(Order<I>) + Send + Sync>;

enum Order<I> {
    Dispatch(I),
    Retry(u64),
    Remove(u64),
}

/// What the tasks write to. Reference-counted, so that they never meet a signal that is gone; dropping it cancels them.
struct Outbox<I, T: 'static, E: 'static> {
    list: ArcRwSignal<Vec<Submission<I, T, E>>>,
    waiting: ArcRwSignal<usize>,
    tasks: Mutex<Tasks>,
}

#[derive(Debug, Default)]
struct Tasks {
    /// The id of the newest submission.
    newest: u64,
    /// Those under way.
    running: HashMap<u64, Task>,
}

impl<I, T, E> Outbox<I, T, E>
where
    I: Clone + Send + Sync + 'static,
    T: Send + Sync + 'static,
    E: Send + Sync + 'static,
{
    fn dispatch<Fut>(self: &Arc<Self>, input: I, call: &impl Fn(I) -> Fut)
    where
        Fut: Future<Output = Result<T, CallError<E>>> + MaybeSend + 'static,
    {
        let id = {
            let mut tasks = self.tasks();
            tasks.newest += 1;
            tasks.newest
        };
        let submission = Submission {
            id,
            input: Arc::new(input),
            pending: ArcRwSignal::new(true),
            value: ArcRwSignal::new(None),
            error: ArcRwSignal::new(None),
        };
        self.list.update(|list| list.push(submission.clone()));
        self.run(submission, call);
    }

    fn retry<Fut>(self: &Arc<Self>, id: u64, call: &impl Fn(I) -> Fut)
    where
        Fut: Future<Output = Result<T, CallError<E>>> + MaybeSend + 'static,
    {
        let Some(submission) = self.find(id) else { return };
        if submission.error.with_untracked(Option::is_none) {
            return;
        }
        submission.error.set(None);
        submission.pending.set(true);
        self.run(submission, call);
    }

    fn remove(&self, id: u64) {
        let task = self.tasks().running.remove(&id);
        self.list.update(|list| list.retain(|submission| submission.id != id));
        self.count();
        drop(task);
    }

    fn run<Fut>(self: &Arc<Self>, submission: Submission<I, T, E>, call: &impl Fn(I) -> Fut)
    where
        Fut: Future<Output = Result<T, CallError<E>>> + MaybeSend + 'static,
    {
        let id = submission.id;
        if self.tasks().running.len() >= UNDER_WAY {
            let message = format!("{UNDER_WAY} submissions are under way already");
            return self.end(id, Err(CallError::ResourceExhausted { message, retry_after: None }));
        }
        let call = call(I::clone(&submission.input));
        let outbox: Weak<Self> = Arc::downgrade(self);
        let mut tasks = self.tasks();
        let task = spawn(async move {
            let outcome = call.await;
            // Without an outbox the owner is gone, and so is everybody who looks.
            if let Some(outbox) = outbox.upgrade() {
                outbox.end(id, outcome);
            }
        });
        tasks.running.insert(id, task);
        drop(tasks);
        self.count();
    }

    fn end(&self, id: u64, outcome: Result<T, CallError<E>>) {
        if let Some(task) = self.tasks().running.remove(&id) {
            // It is the caller: there is nothing left to abort.
            task.detach();
        }
        if let Some(submission) = self.find(id) {
            match outcome {
                Ok(value) => submission.value.set(Some(value)),
                Err(error) => submission.error.set(Some(error)),
            }
            submission.pending.set(false);
        }
        self.count();
        self.forget();
    }

    /// Lets go of the oldest that have ended, where there are too many.
    fn forget(&self) {
        let ended =
            |list: &[Submission<I, T, E>]| list.iter().filter(|it| !it.pending.get_untracked()).count();
        if self.list.with_untracked(|list| ended(list)) <= ENDED {
            return;
        }
        self.list.update(|list| {
            while ended(list) > ENDED {
                let succeeded = list.iter().position(|it| it.value.with_untracked(Option::is_some));
                let Some(oldest) =
                    succeeded.or_else(|| list.iter().position(|it| !it.pending.get_untracked()))
                else {
                    return;
                };
                list.remove(oldest);
            }
        });
    }

    fn find(&self, id: u64) -> Option<Submission<I, T, E>> {
        self.list.with_untracked(|list| list.iter().find(|submission| submission.id == id).cloned())
    }

    fn count(&self) {
        let now = self.tasks().running.len();
        if self.waiting.get_untracked() != now {
            self.waiting.set(now);
        }
    }

    fn tasks(&self) -> MutexGuard<'_, Tasks> {
        self.tasks.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One input and what became of it. From [`Submissions::list`].
///
/// It waits while [`pending`](Self::pending), went well with a [`value`](Self::value), and has failed with an
/// [`error`](Self::error).
pub struct Submission<I, T: 'static, E: 'static = Infallible> {
    id: u64,
    input: Arc<I>,
    pending: ArcRwSignal<bool>,
    value: ArcRwSignal<Option<T>>,
    error: ArcRwSignal<Option<CallError<E>>>,
}

impl<I, T, E> Submission<I, T, E> {
    /// Names it among those of one hook; counts up.
    pub fn id(&self) -> u64 {
        self.id
    }

    /// What was dispatched.
    pub fn input(&self) -> &I {
        &self.input
    }

    /// Whether the call is under way: on its way, or waiting for the connection.
    pub fn pending(&self) -> ArcReadSignal<bool> {
        self.pending.read_only()
    }

    /// The answer; `None` until there is one.
    pub fn value(&self) -> ArcReadSignal<Option<T>> {
        self.value.read_only()
    }

    /// Why there is none; `None` while the call is under way, and after it went well.
    pub fn error(&self) -> ArcReadSignal<Option<CallError<E>>> {
        self.error.read_only()
    }
}

impl<I, T, E> Clone for Submission<I, T, E> {
    fn clone(&self) -> Self {
        Self {
            id: self.id,
            input: self.input.clone(),
            pending: self.pending.clone(),
            value: self.value.clone(),
            error: self.error.clone(),
        }
    }
}

impl<I, T, E> fmt::Debug for Submission<I, T, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Submission").field("id", &self.id).finish_non_exhaustive()
    }
}

/// Calls that each have a place of their own, as signals. From [`submissions`] and the `.._submissions` methods of
/// generated clients.
pub struct Submissions<I: 'static, T: 'static, E: 'static = Infallible> {
    /// Every submission, oldest first. Changes when one comes or goes; how each of them is getting on are its own signals.
    pub list: ReadSignal<Vec<Submission<I, T, E>>>,
    /// How many are under way.
    pub waiting: ReadSignal<usize>,
    orders: StoredValue<Option<Orders<I>>>,
}

impl<I, T, E> Submissions<I, T, E> {
    /// Makes the call with `input`, which comes last on the list.
    pub fn dispatch(&self, input: I) {
        self.order(Order::Dispatch(input));
    }

    /// Makes the call of a submission that has failed once more; it keeps its place on the list. Nothing if it has not
    /// failed.
    ///
    /// It is a new call: where the error leaves open whether the first one ran (`OutcomeUnknown`), it may run twice.
    pub fn retry(&self, id: u64) {
        self.order(Order::Retry(id));
    }

    /// Takes a submission off the list. If it is under way it is cancelled: nothing is sent if it still waited, else the
    /// handler may run to its end.
    pub fn remove(&self, id: u64) {
        self.order(Order::Remove(id));
    }

    fn order(&self, order: Order<I>) {
        // Taken out first: the call may be made from within a closure that gives another order.
        if let Some(orders) = self.orders.try_get_value().flatten() {
            orders(order);
        }
    }
}

impl<I, T, E> Clone for Submissions<I, T, E> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<I, T, E> Copy for Submissions<I, T, E> {}

impl<I, T, E> fmt::Debug for Submissions<I, T, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Submissions").finish_non_exhaustive()
    }
}
