//! The real client over a network that breaks: what its callers see.
#![allow(clippy::unwrap_used, reason = "helpers of tests are tests")]

mod support;

use std::convert::Infallible;
use std::time::Duration;

use bowline::prelude::*;
use bowline::{Client, Server, State};
use bowline_protocol::registry::{NodeLimits, RegistryHeld};
use bowline_server::ServerBuilder;
use support::probe::{ProbeClient, ProbeServer, Service};
use support::wire::{Place, until};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};

fn builder(service: &Service) -> ServerBuilder {
    Server::builder().service(ProbeServer::new(service.clone()))
}

async fn client(place: &Place) -> Client {
    Client::builder("memory").connector(place.connector.clone()).connect().await.unwrap()
}

/// A client with a call that waits at the gate, for at most so many seconds.
async fn gated(place: &Place, service: &Service, seconds: u64) -> (Client, ProbeClient, JoinHandle<Gated>) {
    let client = client(place).await;
    let probe = client.client::<ProbeClient>();
    let call = tokio::spawn(probe.gate().deadline(Duration::from_secs(seconds)));
    service.running.wait_for(1).await;
    (client, probe, call)
}

type Gated = Result<u32, CallError<Infallible>>;

#[tokio::test(start_paused = true)]
async fn a_call_in_flight_survives_cuts_and_its_caller_notices_nothing() {
    let service = Service::default();
    let place = Place::new(builder(&service).build());
    let (_client, _, call) = gated(&place, &service, 300).await;
    for cut in 1..=5 {
        place.faults.cut();
        until(60, "it is resumed", || place.server.stats().counted.resumed == cut).await;
        sleep(Duration::from_secs(7)).await;
    }
    assert!(!call.is_finished());
    service.gate.notify_one();
    assert_eq!(call.await.unwrap().unwrap(), 7);
    assert_eq!(place.server.stats().counted.begun, 1);
}

#[tokio::test(start_paused = true)]
async fn a_client_that_is_away_for_100_s_goes_on_where_it_was() {
    let service = Service::default();
    let place = Place::new(builder(&service).build());
    let (_client, _, call) = gated(&place, &service, 300).await;
    place.faults.unplug();
    sleep(Duration::from_secs(50)).await;
    service.gate.notify_one();
    sleep(Duration::from_secs(30)).await;
    place.faults.plug();
    assert_eq!(call.await.unwrap().unwrap(), 7);
    assert_eq!((place.server.stats().counted.begun, place.server.stats().counted.resumed), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn after_the_window_callers_are_told_and_the_server_keeps_nothing() {
    let service = Service::default();
    let limits = NodeLimits { tombstone_age: Duration::from_secs(200), ..NodeLimits::default() };
    let place = Place::new(builder(&service).node_limits(limits).build());
    let (client, probe, call) = gated(&place, &service, 900).await;
    place.faults.unplug();
    sleep(Duration::from_secs(121)).await;
    service.running.wait_for(0).await;
    place.faults.plug();
    // The handler had started, so nobody can say what it did.
    let failed = call.await.unwrap().unwrap_err();
    assert!(matches!(failed, CallError::Disconnected(_)), "{failed:?}");
    assert_eq!(probe.add(2, 3).await.unwrap(), 5);
    drop((client, probe));
    until(1, "it said goodbye", || place.server.stats().held.attached == 0).await;
    sleep(Duration::from_secs(201)).await;
    assert_eq!(place.server.stats().held, RegistryHeld::default());
}

#[tokio::test(start_paused = true)]
async fn a_thousand_clients_whose_network_fails_all_come_back_to_their_sessions() {
    let service = Service::default();
    let place = Place::new(builder(&service).build());
    let mut clients = Vec::new();
    for _ in 0..1000 {
        clients.push(client(&place).await);
    }
    let calls: Vec<_> = clients
        .iter()
        .map(|client| tokio::spawn(client.client::<ProbeClient>().gate().deadline(Duration::from_secs(300))))
        .collect();
    service.running.wait_for(1000).await;
    let start = Instant::now();
    place.faults.unplug();
    sleep(Duration::from_secs(10)).await;
    assert_eq!(place.server.stats().held.detached, 1000);
    place.faults.plug();
    until(60, "all are back", || place.server.stats().held.attached == 1000).await;
    assert!(start.elapsed() < Duration::from_secs(70));
    assert_eq!(place.server.stats().counted.resumed, 1000);
    for _ in 0..1000 {
        service.gate.notify_one();
        tokio::task::yield_now().await;
    }
    for call in calls {
        assert_eq!(call.await.unwrap().unwrap(), 7);
    }
    for client in &clients {
        assert!(matches!(client.state(), State::Live { .. }));
    }
    drop(clients);
    until(10, "nothing is left", || place.server.stats().held == RegistryHeld::default()).await;
    assert_eq!(place.server.sessions(), 0);
}
