//! A channel whose session is followed by another.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bowline_rpc::{Channel, Line};
use tokio::sync::Semaphore;
use tower::ServiceBuilder;
use tower::limit::GlobalConcurrencyLimitLayer;

use crate::support::{Ends, Stub};

#[tokio::test(start_paused = true)]
async fn calls_go_to_the_session_that_was_put_there_last_and_end_where_they_began() {
    let (first, second) = (Ends::new().await, Ends::new().await);
    let line = Line::new(first.client.clone());
    let stub = Stub::new(&line.channel());
    let layered = Stub::new(&line.channel().with_layers(line.endpoint()));
    assert_eq!(stub.echo(1).await, Ok(1));
    let mut under_way = Box::pin(stub.slow(60, 7));
    assert!(futures_util::poll!(&mut under_way).is_pending());
    let described = stub.echo(2);

    line.switch(second.client.clone());
    let calls = |ends: &Ends| ends.client.stats().session.held.calls;
    assert_eq!((calls(&first), calls(&second)), (1, 0));
    let mut later = Box::pin(stub.slow(60, 8));
    let mut layered = Box::pin(layered.slow(60, 9));
    assert!(futures_util::poll!(&mut later).is_pending() && futures_util::poll!(&mut layered).is_pending());
    assert_eq!((calls(&first), calls(&second)), (1, 2));
    assert_eq!(described.await, Ok(2), "what was not polled yet is not bound to a session");

    assert_eq!(under_way.await, Ok(7));
    assert_eq!((later.await, layered.await), (Ok(8), Ok(9)));
}

#[tokio::test(start_paused = true)]
async fn a_call_that_waits_in_a_layer_goes_to_the_session_that_follows_meanwhile() {
    let (first, second) = (Ends::new().await, Ends::new().await);
    let line = Line::new(first.client.clone());
    let permits = Arc::new(Semaphore::new(1));
    let stack = ServiceBuilder::new()
        .layer(GlobalConcurrencyLimitLayer::with_semaphore(permits.clone()))
        .service(line.endpoint());
    let stub = Stub::new(&line.channel().with_layers(stack));
    let taken = permits.acquire_owned().await.unwrap();
    let mut waits = Box::pin(stub.slow(60, 7));
    assert!(futures_util::poll!(&mut waits).is_pending());
    line.switch(second.client.clone());
    drop(taken);
    assert!(futures_util::poll!(&mut waits).is_pending());
    let calls = |ends: &Ends| ends.client.stats().session.held.calls;
    assert_eq!((calls(&first), calls(&second)), (0, 1));
    assert_eq!(waits.await, Ok(7));

    // The session that was there before may come back.
    line.switch(first.client.clone());
    assert!(futures_util::poll!(&mut Box::pin(stub.slow(60, 8))).is_pending());
    let mut last = Box::pin(stub.slow(60, 9));
    assert!(futures_util::poll!(&mut last).is_pending());
    assert_eq!((calls(&first), calls(&second)), (1, 0));
    assert_eq!(last.await, Ok(9));
}

/// A stack may end at another line than the one whose channel it serves.
#[tokio::test(start_paused = true)]
async fn a_call_goes_where_its_endpoint_leads() {
    let (here, there) = (Ends::new().await, Ends::new().await);
    let (line, other) = (Line::new(here.client.clone()), Line::new(there.client.clone()));
    let stub = Stub::new(&line.channel().with_layers(other.endpoint()));
    let mut call = Box::pin(stub.slow(60, 1));
    assert!(futures_util::poll!(&mut call).is_pending());
    let calls = |ends: &Ends| ends.client.stats().session.held.calls;
    assert_eq!((calls(&here), calls(&there)), (0, 1));
    assert_eq!(call.await, Ok(1));
}

#[tokio::test(start_paused = true)]
async fn what_lives_beside_a_channel_stays_when_its_session_is_followed() {
    let (first, second) = (Ends::new().await, Ends::new().await);
    let line = Line::new(first.client.clone());
    let (before, other): (Channel, Channel) = (line.channel(), first.client.channel());
    before.extension::<AtomicU64>().store(5, Ordering::SeqCst);
    line.switch(second.client.clone());
    assert_eq!(line.channel().extension::<AtomicU64>().load(Ordering::SeqCst), 5);
    assert_eq!(other.extension::<AtomicU64>().load(Ordering::SeqCst), 0, "that is beside the session itself");
    assert!(before.is_same_session(&line.channel()));
    assert!(!before.is_same_session(&other) && !before.is_same_session(&Line::new(first.client).channel()));
}
