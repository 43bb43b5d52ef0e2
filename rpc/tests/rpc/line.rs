//! A channel whose session is followed by another.

use std::sync::atomic::{AtomicU64, Ordering};

use bowline_rpc::{Channel, Line};

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
