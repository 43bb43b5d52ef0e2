//! Who stands back for bulk lets others see what came for them.
#![cfg(not(target_arch = "wasm32"))]
#![allow(clippy::unwrap_used, reason = "helpers of tests fail them")]

use std::future::poll_fn;
use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Poll;

use bowline_runtime::wake_last;
use tokio::net::{TcpListener, TcpStream};

/// Lets others run as often as that.
async fn stand_back(times: usize) {
    let mut left = times;
    poll_fn(|cx| {
        if left == 0 {
            return Poll::Ready(());
        }
        left -= 1;
        wake_last(cx);
        Poll::Pending
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_task_that_stands_back_lets_others_hear_their_sockets() {
    tokio::spawn(stands_back()).await.unwrap();
}

async fn stands_back() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut theirs = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (ours, _): (TcpStream, _) = listener.accept().await.unwrap();
    let heard = Arc::new(AtomicBool::new(false));
    let hears = heard.clone();
    let reading = tokio::spawn(async move {
        while ours.try_read(&mut [0]).is_err() {
            ours.readable().await.unwrap();
        }
        hears.store(true, Ordering::Relaxed);
    });
    stand_back(4).await;
    assert!(!heard.load(Ordering::Relaxed));
    theirs.write_all(b"x").unwrap();
    stand_back(4).await;
    assert!(heard.load(Ordering::Relaxed));
    reading.await.unwrap();
}
