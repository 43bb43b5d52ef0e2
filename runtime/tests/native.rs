//! The native backend under tokio's paused clock.
#![cfg(not(target_arch = "wasm32"))]
#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Waker};
use std::time::Duration;

use bowline_runtime::{Sleep, now, sleep, sleep_until, spawn, timeout};
use tokio::task::coop::consume_budget;

const SECOND: Duration = Duration::from_secs(1);

fn assert_send_unpin<T: Send + Unpin>(value: T) -> T {
    value
}

#[tokio::test(start_paused = true)]
async fn sleep_follows_the_paused_clock() {
    let start = now();
    assert_send_unpin::<Sleep>(sleep(90 * SECOND)).await;
    assert_eq!(now() - start, 90 * SECOND);
    sleep_until(start).await;
    assert_eq!(now() - start, 90 * SECOND);
}

#[tokio::test(start_paused = true)]
async fn a_sleep_can_be_moved() {
    let start = now();
    let mut moved = sleep(SECOND);
    moved.reset(start + 5 * SECOND);
    assert_eq!(moved.deadline(), start + 5 * SECOND);
    moved.await;
    assert_eq!(now() - start, 5 * SECOND);
}

/// Polls `timer` ten times before it waits, as a task does that mostly runs for other reasons.
async fn often(timer: &mut Sleep) {
    let mut polls = 0;
    poll_fn(|cx| {
        polls += 1;
        if polls < 10 {
            cx.waker().wake_by_ref();
        }
        Pin::new(&mut *timer).poll(cx)
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_sleep_that_is_polled_often_wakes_its_task_once_it_is_over() {
    let start = now();
    let mut timer = sleep(SECOND);
    timeout(5 * SECOND, often(&mut timer)).await.unwrap();
    assert_eq!(now() - start, SECOND);
    // It has fired, and knows nobody any more.
    timer.reset(start + 2 * SECOND);
    timeout(5 * SECOND, often(&mut timer)).await.unwrap();
    // The same where nobody has looked at it since.
    timer.reset(start + 3 * SECOND);
    assert!(timeout(SECOND / 2, often(&mut timer)).await.is_err());
    tokio::time::sleep(SECOND).await;
    timer.reset(start + 4 * SECOND);
    timeout(5 * SECOND, often(&mut timer)).await.unwrap();
    assert_eq!(now() - start, 4 * SECOND);
}

#[tokio::test(start_paused = true)]
async fn a_sleep_wakes_the_task_that_polled_it_last() {
    let start = now();
    let mut timer = sleep(SECOND);
    assert!(Pin::new(&mut timer).poll(&mut Context::from_waker(Waker::noop())).is_pending());
    timeout(5 * SECOND, often(&mut timer)).await.unwrap();
    assert_eq!(now() - start, SECOND);
}

/// tokio looks at no timer in a task that has used up its turn.
#[tokio::test(start_paused = true)]
async fn a_sleep_that_is_first_polled_at_the_end_of_a_turn_is_not_forgotten() {
    let start = now();
    let mut timer = sleep(SECOND);
    let mut is_first = true;
    let waiting = poll_fn(|cx| {
        if std::mem::take(&mut is_first) {
            while pin!(consume_budget()).poll(cx).is_ready() {}
        }
        Pin::new(&mut timer).poll(cx)
    });
    // tokio's own is not forgotten either.
    tokio::time::timeout(5 * SECOND, waiting).await.unwrap();
    assert_eq!(now() - start, SECOND);
}

#[tokio::test(start_paused = true)]
async fn an_endless_sleep_is_no_overflow() {
    assert!(timeout(SECOND, sleep(Duration::MAX)).await.is_err());
}

#[tokio::test(start_paused = true)]
async fn timeout_gives_the_value_or_the_end() {
    assert_eq!(timeout(Duration::ZERO, async { 7 }).await, Ok(7));
    let start = now();
    let late = timeout(SECOND, sleep(2 * SECOND)).await;
    assert_eq!(late.unwrap_err().to_string(), "the time was up");
    assert_eq!(now() - start, SECOND);
}

/// Sets its flag when the future that owns it is dropped.
struct Dropped(Arc<AtomicBool>);

impl Drop for Dropped {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

#[tokio::test(start_paused = true)]
async fn dropping_a_task_drops_its_future() {
    let flag = Arc::new(AtomicBool::new(false));
    let guard = Dropped(flag.clone());
    let task = spawn(async move {
        let _guard = guard;
        std::future::pending::<()>().await;
    });
    sleep(SECOND).await;
    assert!(!flag.load(Ordering::SeqCst) && !task.is_finished());
    drop(task);
    sleep(SECOND).await;
    assert!(flag.load(Ordering::SeqCst));
}

#[tokio::test(start_paused = true)]
async fn a_detached_task_runs_on() {
    let flag = Arc::new(AtomicBool::new(false));
    let guard = Dropped(flag.clone());
    spawn(async move {
        sleep(SECOND).await;
        drop(guard);
    })
    .detach();
    sleep(2 * SECOND).await;
    assert!(flag.load(Ordering::SeqCst));
}
