use std::{
    collections::HashMap,
    convert::Infallible,
    fmt,
    future::Future,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use bowline_rpc::CallError;
use bowline_runtime::{MaybeSend, Task, spawn};
use leptos::prelude::*;

/// Makes a call each time it is told to, mostly when somebody clicks.
///
/// `call` is any closure that takes an input and makes a call: `action(move |text: String| chat.post(room, text))`.
/// An `async` block that makes several calls fits too, as long as it ends with a `Result<T, CallError<E>>`.
///
/// Calls run beside each other; none is cancelled by the next. Nothing is made again by itself.
///
/// # Server-side rendering
///
/// Nothing is called on the server; [`dispatch`](Action::dispatch) does nothing there.
///
/// # Cleanup
///
/// Calls under way are cancelled when the owner of the hook ends, mostly the component.
pub fn action<I, T, E, F, Fut>(call: F) -> Action<I, T, E>
where
    I: 'static,
    F: Fn(I) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<T, CallError<E>>> + MaybeSend + 'static,
    T: Send + Sync + 'static,
    E: Send + Sync + 'static,
{
    let shown = Shown {
        pending: ArcRwSignal::new(false),
        value: ArcRwSignal::new(None),
        error: ArcRwSignal::new(None),
        version: ArcRwSignal::new(0),
    };
    let action = Action {
        pending: shown.pending.read_only().into(),
        value: shown.value.read_only().into(),
        error: shown.error.read_only().into(),
        version: shown.version.read_only().into(),
        dispatch: StoredValue::new(None),
    };
    if !cfg!(feature = "ssr") {
        let calls = Calls::default();
        let dispatch: Dispatch<I> = Arc::new(move |input| calls.run(call(input), &shown));
        action.dispatch.set_value(Some(dispatch));
    }
    action
}

type Dispatch<I> = Arc<dyn Fn(I) + Send + Sync>;

/// What the tasks of an action write to. Reference-counted, so that they never meet a signal that is gone.
struct Shown<T, E> {
    pending: ArcRwSignal<bool>,
    value: ArcRwSignal<Option<T>>,
    error: ArcRwSignal<Option<CallError<E>>>,
    version: ArcRwSignal<usize>,
}

impl<T: Send + Sync + 'static, E: Send + Sync + 'static> Shown<T, E> {
    fn end(&self, ended: Ended, outcome: Result<T, CallError<E>>) {
        match outcome {
            Ok(value) if ended.newest => self.value.set(Some(value)),
            Ok(_) => {}
            Err(error) => self.error.set(Some(error)),
        }
        if ended.last {
            self.pending.set(false);
        }
        self.version.update(|version| *version = version.wrapping_add(1));
    }
}

impl<T, E> Clone for Shown<T, E> {
    fn clone(&self) -> Self {
        Self {
            pending: self.pending.clone(),
            value: self.value.clone(),
            error: self.error.clone(),
            version: self.version.clone(),
        }
    }
}

/// The calls under way; dropping it cancels them.
#[derive(Debug, Clone, Default)]
struct Calls(Arc<Mutex<Table>>);

#[derive(Debug, Default)]
struct Table {
    /// The number of the newest call.
    number: u64,
    /// The number of the newest call that gave a value.
    answered: u64,
    tasks: HashMap<u64, Task>,
}

/// How a call stands beside the others when it ends.
#[derive(Debug, Clone, Copy)]
struct Ended {
    /// No call made after it has given a value yet.
    newest: bool,
    /// No other is under way.
    last: bool,
}

impl Calls {
    fn run<T, E, F>(&self, call: F, shown: &Shown<T, E>)
    where
        F: Future<Output = Result<T, CallError<E>>> + MaybeSend + 'static,
        T: Send + Sync + 'static,
        E: Send + Sync + 'static,
    {
        let mut table = lock(&self.0);
        table.number += 1;
        let number = table.number;
        let first = table.tasks.is_empty();
        let (weak, at) = (Arc::downgrade(&self.0), shown.clone());
        let task = spawn(async move {
            let outcome = call.await;
            // Without a table the owner is gone, and so is everybody who looks.
            let Some(table) = weak.upgrade() else { return };
            let ended = lock(&table).end(number, outcome.is_ok());
            at.end(ended, outcome);
        });
        table.tasks.insert(number, task);
        drop(table);
        if first {
            shown.error.set(None);
            shown.pending.set(true);
        }
    }
}

impl Table {
    fn end(&mut self, number: u64, answered: bool) -> Ended {
        if let Some(task) = self.tasks.remove(&number) {
            // It is the caller: there is nothing left to abort.
            task.detach();
        }
        let newest = number > self.answered;
        if answered && newest {
            self.answered = number;
        }
        Ended { newest, last: self.tasks.is_empty() }
    }
}

fn lock(table: &Mutex<Table>) -> MutexGuard<'_, Table> {
    table.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A call that is made when told to, as signals. From [`action`] and the `.._action` methods of generated clients.
pub struct Action<I: 'static, T: 'static, E: 'static = Infallible> {
    /// Whether any call is under way.
    pub pending: ReadSignal<bool>,
    /// The newest answer; stays when a later call fails.
    pub value: ReadSignal<Option<T>>,
    /// Why the last call that failed did. Goes with the next call that starts while none is under way.
    pub error: ReadSignal<Option<CallError<E>>>,
    /// How many calls have ended, well or not.
    pub version: ReadSignal<usize>,
    dispatch: StoredValue<Option<Dispatch<I>>>,
}

impl<I, T, E> Action<I, T, E> {
    /// Makes the call with `input`.
    pub fn dispatch(&self, input: I) {
        // Taken out first: the call may be made from within a closure that dispatches again.
        if let Some(dispatch) = self.dispatch.try_get_value().flatten() {
            dispatch(input);
        }
    }
}

impl<I, T, E> Clone for Action<I, T, E> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<I, T, E> Copy for Action<I, T, E> {}

impl<I, T, E> fmt::Debug for Action<I, T, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Action").finish_non_exhaustive()
    }
}
