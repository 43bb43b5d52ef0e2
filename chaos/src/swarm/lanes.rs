//! The kinds of traffic of one client. Each writes down what it is about to send, and how it ended.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::Poll;
use std::time::Duration;

use bowline::{CallError, Delivery};
use futures_util::future::join;
use futures_util::stream::{self, FuturesUnordered};
use futures_util::{FutureExt, Stream, StreamExt};
use tokio::time::{sleep, timeout};

use super::{One, Swarm, read};
use crate::journal::{End, Lane, Record, What};
use crate::service::{Item, filling};

/// Calls of one lane that are under way at one time.
const WIDTH: usize = 8;
/// Items of one upload.
const UPLOAD: u64 = 50;
/// Between two calls or items where the run is endless, for each client that does the same: about as much traffic for many
/// clients as for few.
const PACE: Duration = Duration::from_micros(200);
/// After something that failed: a server that is not there answers nobody sooner for being asked at once.
pub(super) const REST: Duration = Duration::from_millis(40);

/// Everything that a client does.
pub(super) async fn all(one: Arc<One>) {
    let work = one.swarm.options.work;
    let calls = join(
        calls(&one, Lane::Call, work.calls, |number| {
            one.stub.call(number, filling(number)).deadline(one.deadline())
        }),
        calls(&one, Lane::Once, work.effects, |number| one.stub.effect(number).deadline(one.deadline())),
    );
    let streams = join(read::numbers(&one, work.numbers), read::log(&one, work.log));
    join(join(calls, streams), uploads(&one, work.uploaded)).await;
    one.swarm.busy.fetch_sub(1, Ordering::Relaxed);
}

impl Swarm {
    /// Between two messages of one lane in an endless run.
    pub(super) fn pace(&self) -> Duration {
        PACE * u32::try_from(self.options.ports.len()).unwrap_or(u32::MAX)
    }
}

impl One {
    pub(super) fn deadline(&self) -> Duration {
        self.swarm.deadline()
    }

    /// Waits between two messages, in an endless run.
    pub(super) async fn pace(&self) {
        if self.swarm.options.endless {
            sleep(self.swarm.pace()).await;
        }
    }

    /// Whether a lane that has done `done` of its `count` goes on.
    pub(super) fn goes_on(&self, done: u64, count: u64) -> bool {
        if self.swarm.options.endless { count > 0 && !self.swarm.is_stopping() } else { done < count }
    }

    pub(super) fn intend(&self, lane: Lane, part: u64, number: u64) {
        self.swarm.write(Record::new(What::Intent, lane, self.number, part, number));
        self.swarm.sent.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn ended(&self, lane: Lane, part: u64, number: u64, end: End) {
        self.swarm.write(Record::ended(lane, self.number, part, number, end));
    }
}

/// Numbered calls, several at a time, first polled in their order.
async fn calls<F>(one: &One, lane: Lane, count: u64, call: impl Fn(u64) -> F)
where
    F: Future<Output = Result<u64, CallError<std::convert::Infallible>>>,
{
    let call = &call;
    let mut flying = FuturesUnordered::new();
    let mut number = 0;
    while one.goes_on(number, count) {
        if flying.len() >= WIDTH {
            flying.next().await;
        }
        one.intend(lane, 0, number);
        let mut next = Box::pin(async move {
            let end = match timeout(one.swarm.guard(), call(number)).await {
                Ok(Ok(answer)) if answer == number => End::Done,
                Ok(Ok(_)) => End::Wrong,
                Ok(Err(error)) => end_of(&error),
                Err(_) => End::Hanging,
            };
            one.ended(lane, 0, number, end);
            if end == End::Done {
                one.swarm.received.fetch_add(1, Ordering::Relaxed);
            } else {
                sleep(REST).await;
            }
        });
        // Sent by its first poll, which comes before the next call's.
        if poll_fn(|cx| Poll::Ready(next.poll_unpin(cx))).await.is_pending() {
            flying.push(next);
        }
        number += 1;
        one.pace().await;
    }
    while flying.next().await.is_some() {}
}

/// Client streams one after the other.
async fn uploads(one: &Arc<One>, count: u64) {
    let mut upload = 0;
    while one.goes_on(upload * UPLOAD, count) {
        let length = if one.swarm.options.endless { UPLOAD } else { UPLOAD.min(count - upload * UPLOAD) };
        let call = one.stub.collect(upload, items(one.clone(), upload, length)).deadline(one.deadline());
        let (end, answer) = match timeout(one.swarm.guard(), call).await {
            Ok(Ok(answer)) => (End::Done, answer),
            Ok(Err(error)) => (end_of(&error), 0),
            Err(_) => (End::Hanging, 0),
        };
        one.ended(Lane::Upload, upload, answer, end);
        if end != End::Done {
            sleep(REST).await;
        }
        upload += 1;
    }
}

/// The items of an upload; each is written down when the session asks for it.
fn items(one: Arc<One>, upload: u64, length: u64) -> impl Stream<Item = Item> + Send + 'static {
    stream::unfold((one, 0), move |(one, number)| async move {
        if number >= length {
            return None;
        }
        one.pace().await;
        one.intend(Lane::Upload, upload, number);
        Some((Item::new(upload, number), (one, number + 1)))
    })
}

/// How an error is judged.
pub(super) fn end_of<E>(error: &CallError<E>) -> End {
    match error {
        CallError::Disconnected(delivery) | CallError::DeadlineExceeded(delivery) => match delivery {
            Delivery::NotSent => End::NotSent,
            Delivery::NotExecuted => End::NotExecuted,
            Delivery::OutcomeUnknown => End::Unknown,
        },
        _ => End::Failed,
    }
}

/// Waits for `future`, unless the run is to stop first.
pub(super) async fn unless_stopped<F: Future>(one: &One, future: F) -> Option<F::Output> {
    if !one.swarm.options.endless {
        return Some(future.await);
    }
    let (future, stopped) = (pin!(future), pin!(one.swarm.stopped()));
    match futures_util::future::select(future, stopped).await {
        futures_util::future::Either::Left((output, _)) => Some(output),
        futures_util::future::Either::Right(_) => None,
    }
}
