use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::{StreamExt, stream};
use tokio::sync::Notify;
use tokio::task::JoinSet;

use super::Items;
use crate::Result;
use crate::peers::Doing;

/// Connections that are made at one time.
const AT_ONCE: usize = 32;

/// How long all readers together may take for what was published.
const LIMIT: Duration = Duration::from_secs(60);

/// All readers of one source, each a task.
pub(super) struct Readers {
    progress: Arc<Progress>,
    count: u64,
    /// Ends them with this.
    _tasks: JoinSet<()>,
}

#[derive(Default)]
struct Progress {
    /// Items that arrived, at all readers together.
    deliveries: AtomicU64,
    /// At how many somebody is waiting.
    goal: AtomicU64,
    reached: Notify,
    failed: Mutex<Option<String>>,
}

impl Readers {
    /// Subscribes all of them; each of their items must carry so long a text.
    pub(super) async fn start(subscriptions: Vec<Doing<'static, Items>>, text: usize) -> Result<Arc<Self>> {
        let (progress, count) = (Arc::new(Progress::default()), subscriptions.len() as u64);
        let mut tasks = JoinSet::new();
        let mut connecting = stream::iter(subscriptions).buffer_unordered(AT_ONCE);
        while let Some(items) = connecting.next().await {
            let (items, progress) = (items?, Arc::clone(&progress));
            tasks.spawn(async move {
                if let Err(error) = read(items, &progress, text).await {
                    progress.fail(error);
                }
            });
        }
        Ok(Arc::new(Self { progress, count, _tasks: tasks }))
    }

    /// Waits until every reader has the items before this number.
    pub(super) async fn all_have(&self, number: u64) -> Result<()> {
        let goal = number * self.count;
        self.progress.goal.store(goal, Ordering::SeqCst);
        let waiting = async {
            while self.progress.deliveries.load(Ordering::SeqCst) < goal {
                self.progress.reached.notified().await;
                if let Some(error) =
                    self.progress.failed.lock().unwrap_or_else(PoisonError::into_inner).take()
                {
                    return Err(error.into());
                }
            }
            Ok(())
        };
        let waited = tokio::time::timeout(LIMIT, waiting).await;
        waited.unwrap_or_else(|_| {
            let left = goal - self.deliveries();
            Err(format!("{left} of {goal} deliveries have not arrived after {LIMIT:?}").into())
        })
    }

    /// Items that have arrived, at all readers together.
    pub(super) fn deliveries(&self) -> u64 {
        self.progress.deliveries.load(Ordering::SeqCst)
    }

    pub(super) fn count(&self) -> u64 {
        self.count
    }
}

impl Progress {
    fn fail(&self, error: crate::Error) {
        *self.failed.lock().unwrap_or_else(PoisonError::into_inner) = Some(error.to_string());
        self.reached.notify_one();
    }
}

/// Reads until something is wrong; a source does not end.
async fn read(mut items: Items, progress: &Progress, text: usize) -> Result<()> {
    let mut expected = 0;
    while let Some(item) = items.next().await {
        let (number, length) = item?;
        if number != expected {
            return Err(format!("a reader got item {number} instead of {expected}").into());
        }
        if length != text {
            return Err(format!("item {number} came with a text of {length} bytes instead of {text}").into());
        }
        expected += 1;
        // Nobody waits for less than all.
        if progress.deliveries.fetch_add(1, Ordering::SeqCst) + 1 == progress.goal.load(Ordering::SeqCst) {
            progress.reached.notify_one();
        }
    }
    Err(format!("a reader's items ended before item {expected}").into())
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn after_two(items: Vec<Result<(u64, usize)>>) -> String {
        let items = stream::iter(items).chain(stream::pending());
        let subscription: Doing<'static, Items> = Box::pin(async move { Ok(Box::pin(items) as Items) });
        let readers = Readers::start(vec![subscription], 4).await.unwrap();
        match readers.all_have(2).await {
            Ok(()) => format!("{} delivered", readers.deliveries()),
            Err(error) => error.to_string(),
        }
    }

    #[tokio::test]
    async fn only_the_right_items_in_the_right_order_count() {
        assert_eq!(after_two(vec![Ok((0, 4)), Ok((1, 4))]).await, "2 delivered");
        assert_eq!(after_two(vec![Ok((0, 4)), Ok((2, 4))]).await, "a reader got item 2 instead of 1");
        assert_eq!(after_two(vec![Ok((0, 4)), Ok((0, 4))]).await, "a reader got item 0 instead of 1");
        assert_eq!(
            after_two(vec![Ok((0, 4)), Ok((1, 3))]).await,
            "item 1 came with a text of 3 bytes instead of 4"
        );
        assert_eq!(after_two(vec![Ok((0, 4)), Err("lost".into())]).await, "lost");
    }

    #[tokio::test(start_paused = true)]
    async fn what_does_not_arrive_is_not_waited_for_without_end() {
        assert_eq!(after_two(vec![Ok((0, 4))]).await, "1 of 2 deliveries have not arrived after 60s");
    }
}
