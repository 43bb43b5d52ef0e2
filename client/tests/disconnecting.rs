//! Going offline on purpose: the link goes, the session stays.

mod common;

use std::time::Duration;

use bowline::{Arrival, State, prelude::*};
use bowline_client::Liveness;
use common::{OfficeClient, Place, reaches, until};

#[tokio::test(start_paused = true)]
async fn the_link_goes_and_the_session_waits_at_the_server_until_the_client_comes_back() {
    let place = Place::new();
    let client = place.client().await;
    let office = client.client::<OfficeClient>();
    let under_way = tokio::spawn(office.wait().deadline(Duration::from_secs(600)));
    until("it runs", || place.running() == 1).await;
    let mut level = office.level("a".into()).await.unwrap();
    assert_eq!(level.next().await.unwrap().unwrap(), 1000);

    client.disconnect();
    reaches(&client, |state| *state == State::Offline).await;
    assert_eq!(place.faults.links(), 0);
    until("the server has noticed", || place.server.stats().held.detached == 1).await;
    let posted = tokio::spawn(office.echo("written offline".into()).queued());
    place.world.level.send_replace(5);
    for _ in 0..10 {
        tokio::time::sleep(Duration::from_secs(10)).await;
        client.wake();
    }
    assert_eq!((client.state(), place.faults.links()), (State::Offline, 0), "nothing ends it");
    assert_eq!((place.running(), place.calls()), (2, 2), "handlers go on, and nothing came");

    client.reconnect();
    assert_eq!(reaches(&client, State::is_live).await, State::Live(Arrival::Resumed));
    assert_eq!(posted.await.unwrap().unwrap(), "written offline");
    assert_eq!(level.next().await.unwrap().unwrap(), 1005);
    place.world.release.notify_one();
    assert_eq!(under_way.await.unwrap().unwrap(), 7);
    assert_eq!((place.server.sessions(), place.server.stats().held.detached, place.calls()), (1, 0, 3));
}

#[tokio::test(start_paused = true)]
async fn the_last_word_counts() {
    let place = Place::new();
    let client = place.client().await;
    client.reconnect();
    client.disconnect();
    tokio::time::sleep(Duration::from_secs(30)).await;
    assert_eq!(client.state(), State::Offline);
    client.disconnect();
    client.reconnect();
    reaches(&client, State::is_live).await;
    client.disconnect();
    client.close().await;
    until("the session has ended", || place.server.sessions() == 0).await;
}

#[tokio::test(start_paused = true)]
async fn whoever_has_a_stub_only_sees_whether_it_is_live() {
    let place = Place::new();
    let client = place.builder().connect_lazy();
    let liveness = Liveness::of(client.client::<OfficeClient>().as_channel());
    assert!(!liveness.is_live(), "not before the welcome");
    let mut changes = liveness.changes();
    assert_eq!(changes.next().await, Some(false));
    assert_eq!(changes.next().await, Some(true));
    client.disconnect();
    assert_eq!(changes.next().await, Some(false));
    client.reconnect();
    assert_eq!(changes.next().await, Some(true));
    drop(client);
    until("it keeps nobody alive", || place.server.sessions() == 0).await;
    assert!(!liveness.is_live());
}
