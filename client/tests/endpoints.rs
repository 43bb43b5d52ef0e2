//! Several endpoints of one service.

mod common;

use std::time::Duration;

use bowline::{Client, CloseCode, ConnectFailed, State, prelude::*};
use common::{OfficeClient, Place, Two, reaches, until};
use tokio::time::Instant;

#[tokio::test(start_paused = true)]
async fn connect_tries_each_endpoint_once_and_without_a_pause() {
    let two = Two::new();
    two.a.faults.unplug();
    let begin = Instant::now();
    let client = two.builder().connect().await.unwrap();
    assert_eq!((two.map.tried(), begin.elapsed()), ("ab".into(), Duration::ZERO));
    assert_eq!(client.client::<OfficeClient>().echo("hi".into()).await.unwrap(), "hi");
    assert_eq!((two.a.calls(), two.b.calls()), (0, 1));

    two.b.faults.unplug();
    let failed = two.builder().connect().await.unwrap_err();
    assert!(matches!(failed, ConnectFailed::NoLink(_)), "{failed:?}");
    assert!(two.map.tried().ends_with("ab"), "{}", two.map.tried());
}

#[tokio::test(start_paused = true)]
async fn a_lost_link_is_made_again_at_the_same_endpoint() {
    let two = Two::new();
    two.a.faults.unplug();
    let client = two.builder().connect().await.unwrap();
    two.a.faults.plug();
    tokio::time::sleep(Duration::from_secs(11)).await;
    two.b.faults.cut();
    reaches(&client, |state| !state.is_live()).await;
    reaches(&client, State::is_live).await;
    assert_eq!(two.map.tried(), "abb");
}

#[tokio::test(start_paused = true)]
async fn an_endpoint_that_is_gone_gives_way_to_the_next() {
    let two = Two::new();
    let client = two.builder().connect().await.unwrap();
    let office = client.client::<OfficeClient>();
    tokio::time::sleep(Duration::from_secs(11)).await;
    two.a.faults.unplug();
    reaches(&client, |state| !state.is_live()).await;
    let waiting = tokio::spawn(office.echo("hi".into()));
    assert_eq!(waiting.await.unwrap().unwrap(), "hi", "within the deadline of a call");
    assert_eq!((two.map.tried(), two.b.calls()), ("aab".into(), 1));

    two.a.faults.plug();
    two.b.faults.unplug();
    reaches(&client, |state| !state.is_live()).await;
    reaches(&client, State::is_live).await;
    until("one session is left", || two.a.server.sessions() == 1 && two.b.server.sessions() == 0).await;
}

#[tokio::test(start_paused = true)]
async fn a_server_that_drains_is_left_for_another() {
    let two = Two::new();
    let client = two.builder().connect().await.unwrap();
    tokio::time::sleep(Duration::from_secs(90)).await;
    let draining = tokio::spawn({
        let server = two.a.server.clone();
        async move { server.shutdown().await }
    });
    until("the session is at the other server", || two.b.server.sessions() == 1).await;
    reaches(&client, State::is_live).await;
    assert!(two.map.tried().starts_with("ab"), "{}", two.map.tried());
    draining.abort();
}

#[tokio::test(start_paused = true)]
async fn a_server_that_drains_is_left_without_a_moment_between_sessions() {
    let two = Two::new();
    let client = two.builder().connect().await.unwrap();
    let mut states = client.states();
    let watching = tokio::spawn(async move {
        while let Some(state) = states.next().await {
            assert!(state.is_live() || state == State::Closed, "{state}");
        }
    });
    let office = client.client::<OfficeClient>();
    let under_way = tokio::spawn(office.wait().deadline(Duration::from_secs(100)));
    until("it runs", || two.a.running() == 1).await;
    let draining = tokio::spawn({
        let server = two.a.server.clone();
        async move { server.drain().await }
    });
    until("there is another session", || two.b.server.sessions() == 1).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(office.echo("there".into()).await.unwrap(), "there");
    assert_eq!(two.b.calls(), 1);
    two.a.world.release.notify_one();
    assert_eq!(under_way.await.unwrap().unwrap(), 7);
    draining.await.unwrap();
    client.close().await;
    watching.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn an_endpoint_that_is_none_is_left_out() {
    let place = Place::new();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("ws://{}/", listener.local_addr().unwrap());
    let serving = tokio::spawn(bowline::serve(listener, place.server.clone()).into_future());
    tokio::time::resume();
    let client = Client::builder("no url").endpoint(url).connect().await.unwrap();
    assert_eq!(client.client::<OfficeClient>().echo("hi".into()).await.unwrap(), "hi");
    serving.abort();

    tokio::time::pause();
    let client = Client::builder("no url").endpoint("no url either").connect_lazy();
    let state = reaches(&client, State::is_stopped).await;
    assert!(matches!(state, State::Refused { code: CloseCode::POLICY, .. }), "{state:?}");
}
