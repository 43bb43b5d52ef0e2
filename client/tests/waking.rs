//! What ends a pause between two tries, and how a long absence shows.

mod common;

use std::time::Duration;

use bowline::{
    Client, CloseCode, State,
    transport::{CloseFrame, Link, memory::network},
};
use common::{Place, reaches};
use tokio::time::Instant;

/// Loses the link and waits for a pause of more than 20 s, which a network that is back must not have to wait for.
async fn pauses(client: &Client, place: &Place) {
    place.faults.unplug();
    reaches(client, |state| match state {
        State::Reconnecting { next_in, .. } | State::Suspended { next_in, .. } => next_in.as_secs() > 20,
        _ => false,
    })
    .await;
    place.faults.plug();
}

#[tokio::test(start_paused = true)]
async fn a_sign_that_the_network_is_back_ends_a_pause() {
    let place = Place::new();
    let client = place.client().await;
    pauses(&client, &place).await;
    let begin = Instant::now();
    client.wake();
    reaches(&client, State::is_live).await;
    assert!(begin.elapsed() < Duration::from_millis(100), "{:?}", begin.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_clock_that_jumped_ends_a_pause() {
    let place = Place::new();
    let client = place.client().await;
    pauses(&client, &place).await;
    // A tick is at most 5 s away, and 15 s are a jump for it. The pause is longer.
    tokio::time::advance(Duration::from_secs(15)).await;
    let begin = Instant::now();
    reaches(&client, State::is_live).await;
    assert!(begin.elapsed() < Duration::from_millis(100), "{:?}", begin.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_pause_that_the_server_asked_for_is_kept() {
    let (mut listener, connector) = network();
    let client = Client::builder("memory").connector(connector).connect_lazy();
    let mut link = listener.accept().await.unwrap();
    let frame = CloseFrame::new(CloseCode::TRY_AGAIN, "full, retry after 45 s");
    std::future::poll_fn(|cx| link.poll_close(cx, &frame)).await;
    reaches(&client, |state| matches!(state, State::Reconnecting { .. })).await;
    let begin = Instant::now();
    for _ in 0..10 {
        client.wake();
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    listener.accept().await.unwrap();
    assert_eq!(begin.elapsed().as_secs(), 45, "and not a moment longer, since it was woken");
}

/// Makes the network swallow everything, as a pulled cable does, and waits until the client has noticed.
async fn noticed(wake: impl AsyncFnOnce(&Client)) -> Duration {
    let place = Place::quiet();
    let client = place.client().await;
    // Half of the silence after which the client asks by itself: its pings stay 5 s apart, and this one is not to wait for that.
    tokio::time::sleep(Duration::from_secs(620)).await;
    assert!(client.state().is_live());
    place.faults.half_open();
    let begin = Instant::now();
    wake(&client).await;
    reaches(&client, |state| !state.is_live()).await;
    begin.elapsed()
}

#[tokio::test(start_paused = true)]
async fn a_link_that_died_in_a_sleep_is_found_out_within_seconds() {
    let woken = noticed(async |client| client.wake()).await;
    assert_eq!(woken.as_secs(), 5, "told");
    let jumped = noticed(async |_| tokio::time::advance(Duration::from_secs(15)).await).await;
    assert!(jumped <= Duration::from_secs(21), "{jumped:?}, of which the jump is 15 s");
    let left_alone = noticed(async |_| ()).await;
    assert!(left_alone > Duration::from_secs(21), "{left_alone:?}: the heartbeat finds out as well, later");
}

#[tokio::test(start_paused = true)]
async fn a_link_that_lived_through_a_sleep_stays() {
    let place = Place::new();
    let client = place.client().await;
    tokio::time::sleep(Duration::from_secs(600)).await;
    for _ in 0..3 {
        client.wake();
        tokio::time::advance(Duration::from_secs(300)).await;
        tokio::time::sleep(Duration::from_secs(20)).await;
    }
    assert!(client.state().is_live());
    assert_eq!(place.server.sessions(), 1);
    assert!(
        client.round_trip().is_some_and(|trip| trip < Duration::from_secs(1)),
        "{:?}",
        client.round_trip()
    );
    place.faults.unplug();
    reaches(&client, |state| !state.is_live()).await;
    assert_eq!(client.round_trip(), None);
}

#[tokio::test(start_paused = true)]
async fn after_two_minutes_without_a_session_a_client_is_suspended_and_goes_on() {
    let place = Place::new();
    let client = place.client().await;
    place.faults.unplug();
    reaches(&client, |state| !state.is_live()).await;
    let begin = Instant::now();
    let state = reaches(&client, |state| matches!(state, State::Suspended { .. })).await;
    assert_eq!(begin.elapsed().as_secs(), 120, "{state}");
    tokio::time::sleep(Duration::from_secs(3600)).await;
    assert!(matches!(client.state(), State::Suspended { .. }));
    place.faults.plug();
    let begin = Instant::now();
    reaches(&client, State::is_live).await;
    assert!(begin.elapsed() <= Duration::from_secs(31), "{:?}", begin.elapsed());
}
