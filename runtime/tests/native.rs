//! The native backend under tokio's paused clock.
#![cfg(not(target_arch = "wasm32"))]
#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bowline_runtime::{Sleep, now, sleep, sleep_until, spawn, timeout};

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
