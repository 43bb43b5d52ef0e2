//! A call that nobody waits for any more stops at its handler, whatever its kind.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::Poll;
use std::time::Duration;

use crate::support::{Ends, assert_empty, settle};
use futures_util::{StreamExt, stream};

/// Polls `future` once, lets it reach its handler, and drops it.
async fn start_and_drop(ends: &Ends, future: impl Future + Unpin) {
    let mut future = future;
    assert!(poll_fn(|cx| Poll::Ready(Pin::new(&mut future).poll(cx))).await.is_pending());
    settle().await;
    assert_eq!((ends.handlers.started(), ends.handlers.dropped()), (1, 0));
    assert!(!ends.handlers.cancellation.lock().unwrap().clone().unwrap().is_cancelled());
    drop(future);
    stopped(ends).await;
}

/// The handler was dropped, its spawned work is told, and nothing is left anywhere.
async fn stopped(ends: &Ends) {
    settle().await;
    assert_eq!(ends.handlers.dropped(), 1);
    let cancellation = ends.handlers.cancellation.lock().unwrap().clone().unwrap();
    assert!(cancellation.is_cancelled());
    cancellation.cancelled().await;
    assert_empty(&ends.client);
    assert_empty(&ends.server);
}

#[tokio::test(start_paused = true)]
async fn dropping_a_unary_call_drops_its_handler() {
    let ends = Ends::new().await;
    start_and_drop(&ends, ends.stub().hang()).await;
}

#[tokio::test(start_paused = true)]
async fn dropping_a_client_stream_drops_its_handler_and_its_upload() {
    let ends = Ends::new().await;
    start_and_drop(&ends, ends.stub().hang_upload(stream::iter(0..))).await;
}

#[tokio::test(start_paused = true)]
async fn dropping_a_stream_that_is_not_accepted_drops_its_handler() {
    let ends = Ends::new().await;
    start_and_drop(&ends, ends.stub().hang_open()).await;
}

#[tokio::test(start_paused = true)]
async fn dropping_a_server_stream_drops_its_handler() {
    let ends = Ends::new().await;
    let stream = ends.stub().hang_stream().await.unwrap();
    assert_eq!((ends.handlers.started(), ends.handlers.dropped()), (1, 0));
    drop(stream);
    stopped(&ends).await;
}

#[tokio::test(start_paused = true)]
async fn dropping_a_bidirectional_call_drops_its_handler_and_its_upload() {
    let ends = Ends::new().await;
    let stream = ends.stub().hang_both(stream::pending()).await.unwrap();
    settle().await;
    assert_eq!((ends.handlers.started(), ends.handlers.dropped()), (1, 0));
    drop(stream);
    stopped(&ends).await;
}

#[tokio::test(start_paused = true)]
async fn a_lost_link_drops_every_handler() {
    let mut ends = Ends::new().await;
    let stub = ends.stub();
    let call = tokio::spawn(stub.hang());
    let mut stream = stub.hang_stream().no_resubscribe().await.unwrap();
    settle().await;
    assert_eq!(ends.handlers.started(), 2);
    ends.cut().await;
    assert!(call.await.unwrap().is_err());
    assert!(stream.next().await.unwrap().is_err());
    assert!(stream.next().await.is_none());
    drop(stream);
    tokio::time::sleep(Duration::from_millis(5)).await;
    assert_eq!(ends.handlers.dropped(), 2);
    assert_empty(&ends.client);
    assert_empty(&ends.server);
}

#[tokio::test(start_paused = true)]
async fn a_stream_outlives_the_deadline_that_bounded_its_acceptance() {
    let ends = Ends::new().await;
    let second = Duration::from_secs(1);
    let stream = ends.stub().hang_stream().deadline(second).await.unwrap();
    tokio::time::sleep(100 * second).await;
    assert_eq!(ends.handlers.dropped(), 0);
    drop(stream);

    let late = ends.stub().hang_open().deadline(second).await;
    assert!(late.is_err());
    settle().await;
    assert_eq!(ends.handlers.dropped(), 2);
    assert_empty(&ends.client);
    assert_empty(&ends.server);
}
