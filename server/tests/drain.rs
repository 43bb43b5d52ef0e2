//! A server that is being stopped lets its clients leave.
#![allow(clippy::unwrap_used, reason = "helpers of tests are tests")]

mod support;

use std::future::IntoFuture;
use std::time::Duration;

use bowline::prelude::*;
use bowline_protocol::envelope::{Control, Envelope, Hello};
use bowline_server::{Server, ServerBuilder, serve};
use support::Socket;
use support::pipes::Queue;
use support::probe::{ProbeClient, ProbeServer, Service, method};
use support::wire::{Place, Wire};
use tokio::io::duplex;
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

const PROBE: &[&bowline_protocol::schema::ServiceDescriptor] = &[ProbeClient::SERVICE];

fn builder(service: &Service) -> ServerBuilder {
    Server::builder().service(ProbeServer::new(service.clone()))
}

/// Reads until the server says how soon to move.
async fn told(wire: &mut Wire) -> u64 {
    loop {
        if let Envelope::Control(Control::GoAway { spread_ms }) = wire.next().await.unwrap() {
            return spread_ms;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn clients_are_told_to_move_and_calls_in_flight_are_finished() {
    let service = Service::default();
    let place = Place::new(builder(&service).build());
    let (mut wire, _) = place.begin("", PROBE).await;
    wire.acknowledges = true;
    wire.start(&service, method::GATE).await;

    let start = Instant::now();
    let draining = tokio::spawn({
        let server = place.server.clone();
        async move { server.drain().await }
    });
    assert_eq!(told(&mut wire).await, 30_000);

    // Until it moves the session works as before.
    wire.adds(2, 1).await;
    wire.stays_for(Duration::from_secs(20)).await;
    service.gate.notify_one();
    assert_eq!(wire.response(0).await.1, "7");
    assert!(!draining.is_finished());
    wire.close().await;
    draining.await.unwrap();
    assert!((20..21).contains(&start.elapsed().as_secs()));
}

#[tokio::test(start_paused = true)]
async fn new_sessions_are_refused_with_the_time_to_wait_and_resumes_are_taken() {
    let service = Service::default();
    let place = Place::new(builder(&service).build());
    let (wire, mut ticket) = place.begin("", PROBE).await;
    let draining = tokio::spawn({
        let server = place.server.clone();
        async move { server.drain().await }
    });
    tokio::task::yield_now().await;
    let (_, refused) = place.resume(support::hello(PROBE)).await;
    assert_eq!(refused.unwrap_err(), (1013, "the server is being stopped, retry after 30 s".into()));

    let mut resumed = place.go_on(&mut ticket).await;
    // Who comes back is told as well.
    assert_eq!(told(&mut resumed).await, 30_000);
    resumed.adds(1, 0).await;
    drop((wire, resumed));
    draining.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_session_without_a_link_is_not_waited_for_and_can_be_resumed_meanwhile() {
    let service = Service::default();
    let place = Place::new(builder(&service).build());
    let (wire, mut ticket) = place.begin("", PROBE).await;
    drop(wire);
    place.parked(1).await;
    let start = Instant::now();
    place.server.drain().await;
    assert!(start.elapsed() < Duration::from_secs(1));
    let _wire = place.go_on(&mut ticket).await;
}

#[tokio::test(start_paused = true)]
async fn clients_that_do_not_move_are_given_twice_the_spread() {
    for spread in [30, 5] {
        let service = Service::default();
        let place = Place::new(builder(&service).drain_spread(Duration::from_secs(spread)).build());
        let (mut wire, _) = place.begin("", PROBE).await;
        wire.acknowledges = true;
        let reading = tokio::spawn(async move { wire.closed().await });
        let start = Instant::now();
        place.server.drain().await;
        assert_eq!(start.elapsed().as_secs(), spread * 2);
        place.server.shutdown().await;
        assert_eq!(reading.await.unwrap().0, 4001);
    }
}

#[tokio::test(start_paused = true)]
async fn a_graceful_shutdown_drains_and_keeps_the_port_open_for_resumes_until_then() {
    let service = Service::default();
    let server = builder(&service).build();
    let (connections, queue) = mpsc::unbounded_channel();
    let connect = || {
        let (near, far) = duplex(64 * 1024);
        connections.send(far).map(|()| near)
    };
    let (stop, stopped) = oneshot::channel::<()>();
    let signal = async move { drop(stopped.await) };
    let serving =
        tokio::spawn(serve(Queue(queue), server.clone()).with_graceful_shutdown(signal).into_future());

    let mut socket = Socket::over(connect().unwrap()).await;
    socket.greet(PROBE).await;
    stop.send(()).unwrap();
    loop {
        if let Envelope::Control(Control::GoAway { .. }) = socket.next().await {
            break;
        }
    }
    // A new session is refused, in words that reach a page.
    let mut late = Socket::over(connect().unwrap()).await;
    late.send(&[Envelope::Control(Control::Hello(Box::new(Hello { instance: 2, ..support::hello(PROBE) })))])
        .await;
    assert_eq!(late.closed().await.0, 1013);
    assert!(!serving.is_finished());
    socket.close().await;
    serving.await.unwrap();
    assert_eq!(server.sessions(), 0);
    assert!(connect().is_err());
}

#[tokio::test(start_paused = true)]
async fn clients_are_told_the_spread_that_is_set() {
    let service = Service::default();
    let place = Place::new(builder(&service).drain_spread(Duration::from_secs(5)).build());
    let (mut wire, _) = place.begin("", PROBE).await;
    let server = place.server.clone();
    let draining = tokio::spawn(async move { server.drain().await });
    assert_eq!(told(&mut wire).await, 5_000);
    drop(wire);
    draining.abort();
}
