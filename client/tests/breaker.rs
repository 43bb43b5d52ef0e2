//! A circuit breaker at a client: what it learnt counts for one endpoint, and for the choice of the next.

#![allow(clippy::unwrap_used, reason = "helpers of tests are tests")]

mod common;

use std::{sync::atomic::Ordering, time::Duration};

use bowline::{
    CallError, Client, Code, State,
    middleware::{BreakerConfig, BreakerHandle, BreakerLayer, BreakerState},
    prelude::*,
};
use common::{OfficeClient, Place, Two, reaches, until};
use tokio::time::Instant;

/// Opens at the second of two failures, for 5 s.
fn layer() -> BreakerLayer {
    let config = BreakerConfig { min_calls: 2, failure_ratio: 1.0, jitter: 0.0, ..BreakerConfig::default() };
    BreakerLayer::new(config).unwrap()
}

/// The server falls ill, and the breaker notices.
async fn open(place: &Place, office: &OfficeClient, breaker: &BreakerHandle) {
    place.world.ill.store(true, Ordering::SeqCst);
    let before = place.calls();
    for _ in 0..2 {
        assert_eq!(office.echo("hi".into()).await.unwrap_err().code(), Some(Code::Internal));
    }
    assert_eq!(breaker.state("Office").as_str(), "open");
    let error = office.echo("hi".into()).await.unwrap_err();
    assert!(matches!(error, CallError::Unavailable { retry_after: Some(_), .. }), "{error:?}");
    assert_eq!(place.calls() - before, 2, "refused before it is sent");
}

#[tokio::test]
async fn a_service_that_fails_at_one_port_is_called_at_the_next_connect_at_another() {
    let places = [Place::new(), Place::new()];
    let mut urls = Vec::new();
    let mut serving = Vec::new();
    for place in &places {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        urls.push(format!("ws://{}/", listener.local_addr().unwrap()));
        serving.push(tokio::spawn(bowline::serve(listener, place.server.clone()).into_future()));
    }
    let (layer, [a, b]) = (layer(), &places);
    let breaker = layer.handle();
    let client = Client::builder(&urls[0]).endpoint(&urls[1]).breaker(layer).connect().await.unwrap();
    let office: OfficeClient = client.client();
    let mut states = breaker.states("Office");
    assert_eq!(states.next().await, Some(BreakerState::Closed));
    open(a, &office, &breaker).await;
    assert!(matches!(states.next().await, Some(BreakerState::Open { .. })));

    client.reconnect();
    reaches(&client, |state| !state.is_live()).await;
    assert_eq!(office.echo("hi".into()).await.unwrap(), "hi", "waits for the session, and passes");
    assert_eq!((a.calls(), b.calls(), b.server.sessions()), (2, 1, 1));
    assert_eq!(breaker.state("Office"), BreakerState::Closed, "of where calls go");
    assert_eq!(states.next().await, Some(BreakerState::Closed));
    assert!(breaker.is_open_at(&urls[0]) && !breaker.is_open_at(&urls[1]));
    serving.into_iter().for_each(|task| task.abort());
}

#[tokio::test(start_paused = true)]
async fn an_only_endpoint_is_not_put_off_by_its_breaker() {
    let (two, layer) = (Two::new(), layer());
    let breaker = layer.handle();
    let client = Client::builder("a").connector(two.map.clone()).breaker(layer).connect().await.unwrap();
    open(&two.a, &client.client(), &breaker).await;
    let begin = Instant::now();
    client.reconnect();
    until("it was tried again", || two.map.tried() == "aa").await;
    reaches(&client, State::is_live).await;
    assert!(begin.elapsed() < Duration::from_millis(10), "{:?}", begin.elapsed());

    two.a.faults.cut();
    until("it was tried again", || two.map.tried() == "aaa").await;
    reaches(&client, State::is_live).await;
    assert!(begin.elapsed() <= Duration::from_millis(2_010), "{:?}", begin.elapsed());
    assert_eq!(breaker.state("Office").as_str(), "open");
}

#[tokio::test(start_paused = true)]
async fn a_lost_link_is_made_again_elsewhere_while_a_breaker_is_open_and_at_home_once_it_is_due() {
    for (after, tried) in [(1, "aaba"), (6, "aaab")] {
        let (two, layer) = (Two::new(), layer());
        let breaker = layer.handle();
        let client = two.builder().breaker(layer).connect().await.unwrap();
        let office: OfficeClient = client.client();
        // Live for long enough that a lost link is no failure of its endpoint.
        client.reconnect();
        tokio::time::sleep(Duration::from_secs(61)).await;
        open(&two.a, &office, &breaker).await;
        tokio::time::sleep(Duration::from_secs(after)).await;
        two.a.world.ill.store(false, Ordering::SeqCst);
        two.a.faults.cut();
        reaches(&client, |state| !state.is_live()).await;
        reaches(&client, State::is_live).await;
        assert_eq!(two.map.tried(), tried[..3], "{after} s after it opened");
        // Both may be called now: one has a breaker that is due, and the other never failed.
        assert_eq!(office.echo("hi".into()).await.unwrap(), "hi");

        [&two.a, &two.b][usize::from(tried.starts_with("aab"))].faults.unplug();
        reaches(&client, |state| !state.is_live()).await;
        until("it is elsewhere", || two.map.tried().ends_with(&tried[3..])).await;
        reaches(&client, State::is_live).await;
    }
}

#[tokio::test(start_paused = true)]
async fn an_endpoint_with_an_open_breaker_is_tried_when_the_others_fail() {
    let (two, layer) = (Two::new(), layer());
    let breaker = layer.handle();
    let client = two.builder().breaker(layer).connect().await.unwrap();
    open(&two.a, &client.client(), &breaker).await;
    two.b.faults.unplug();
    client.reconnect();
    until("all were tried", || two.map.tried() == "aba").await;
    reaches(&client, State::is_live).await;
    assert_eq!(breaker.state("Office").as_str(), "open", "it knows what it learnt there");
}

#[tokio::test(start_paused = true)]
async fn calls_that_wait_for_another_endpoint_pass() {
    let (two, layer) = (Two::new(), layer());
    let breaker = layer.handle();
    let client = two.builder().breaker(layer).connect().await.unwrap();
    let office: OfficeClient = client.client();
    // Under way when the breaker opens: its end is told elsewhere, and blames nobody there.
    let under_way = tokio::spawn(office.wait().deadline(Duration::from_secs(90)));
    until("it runs", || two.a.running() == 1).await;
    open(&two.a, &office, &breaker).await;
    two.a.faults.unplug();
    two.b.faults.unplug();
    client.reconnect();
    reaches(&client, |state| !state.is_live()).await;
    let waiting = tokio::spawn(office.echo("hi".into()).queued_for(Duration::from_secs(60)));
    tokio::time::sleep(Duration::from_millis(100)).await;
    two.b.faults.plug();
    assert_eq!(waiting.await.unwrap().unwrap(), "hi");
    assert!(matches!(under_way.await.unwrap(), Err(CallError::Disconnected(_))));
    assert_eq!(breaker.state("Office"), BreakerState::Closed);
}

#[tokio::test(start_paused = true)]
async fn a_server_that_drains_hands_over_to_another_breaker() {
    let (two, layer) = (Two::new(), layer());
    let breaker = layer.handle();
    let client = two.builder().breaker(layer).connect().await.unwrap();
    let office: OfficeClient = client.client();
    open(&two.a, &office, &breaker).await;
    let server = two.a.server.clone();
    let draining = tokio::spawn(async move { server.drain().await });
    until("the session is at the other server", || two.b.server.sessions() == 1).await;
    reaches(&client, State::is_live).await;
    tokio::time::sleep(Duration::from_millis(10)).await;
    assert_eq!(office.echo("hi".into()).await.unwrap(), "hi");
    assert_eq!(breaker.state("Office"), BreakerState::Closed);
    draining.await.unwrap();
}
