//! How a session comes back, and what shows of it.

mod common;

use std::time::Duration;

use bowline::{Arrival, GapReason, State};
use common::{OfficeClient, Place, reaches, until};

#[tokio::test(start_paused = true)]
async fn the_state_says_whether_the_session_went_on() {
    let place = Place::new();
    let client = place.client().await;
    assert_eq!(client.state(), State::Live(Arrival::New));
    place.faults.cut();
    reaches(&client, |state| !state.is_live()).await;
    assert_eq!(reaches(&client, State::is_live).await, State::Live(Arrival::Resumed));

    place.faults.unplug();
    reaches(&client, |state| matches!(state, State::Suspended { .. })).await;
    tokio::time::sleep(Duration::from_secs(60)).await;
    place.faults.plug();
    let state = reaches(&client, State::is_live).await;
    assert_eq!(state, State::Live(Arrival::Gap(GapReason::Expired)));
}

#[tokio::test(start_paused = true)]
async fn reconnecting_by_hand_and_waking_keep_the_session() {
    let place = Place::new();
    let client = place.client().await;
    let office = client.client::<OfficeClient>();
    let under_way = tokio::spawn(office.wait().deadline(Duration::from_secs(600)));
    until("it runs", || place.running() == 1).await;
    client.reconnect();
    reaches(&client, |state| *state == State::Live(Arrival::Resumed)).await;

    place.faults.unplug();
    reaches(&client, |state| matches!(state, State::Reconnecting { attempt: 4, .. })).await;
    place.faults.plug();
    client.wake();
    assert_eq!(reaches(&client, State::is_live).await, State::Live(Arrival::Resumed));
    place.world.release.notify_one();
    assert_eq!(under_way.await.unwrap().unwrap(), 7);
    assert_eq!((place.calls(), place.server.sessions()), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn a_link_that_died_in_a_sleep_costs_no_call() {
    let place = Place::new();
    let client = place.client().await;
    let office = client.client::<OfficeClient>();
    tokio::time::sleep(Duration::from_secs(100)).await;
    place.faults.half_open();
    let call = tokio::spawn(office.echo("asleep".into()).deadline(Duration::from_secs(60)));
    tokio::task::yield_now().await;
    client.wake();
    reaches(&client, |state| !state.is_live()).await;
    place.faults.resume();
    assert_eq!(call.await.unwrap().unwrap(), "asleep");
    assert_eq!((client.state(), place.calls()), (State::Live(Arrival::Resumed), 1));
}
