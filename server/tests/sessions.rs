//! Sessions are counted, bounded and owned.
#![allow(clippy::unwrap_used, reason = "helpers of tests are tests")]

mod support;

use std::time::Duration;

use bowline::prelude::*;
use bowline_protocol::envelope::{Control, Envelope};
use bowline_protocol::registry::NodeLimits;
use bowline_server::Server;
use support::probe::{ProbeClient, ProbeServer, Service, method};
use support::wire::Ticket;
use support::{Socket, hello, request, start};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Error;

fn builder(service: &Service) -> bowline_server::ServerBuilder {
    // Nothing goes on without a link here: that has tests of its own, in which time is not the world's.
    let limits = NodeLimits { resume_window: Duration::ZERO, ..NodeLimits::default() };
    Server::builder().service(ProbeServer::new(service.clone())).node_limits(limits)
}

async fn counts(server: &Server, sessions: usize) {
    while server.sessions() != sessions {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn the_count_follows_connections_and_returns_to_zero() {
    let service = Service::default();
    let server = builder(&service).build();
    let address = start(&server).await;
    let mut sockets = Vec::new();
    for connected in 1..=10 {
        let mut socket = Socket::connect(address, &[ProbeClient::SERVICE]).await;
        socket.open(method::HANG, "{}").await;
        sockets.push(socket);
        assert_eq!(server.sessions(), connected);
    }
    service.running.wait_for(10).await;
    for (at, socket) in sockets.into_iter().enumerate() {
        if at % 2 == 0 { socket.close().await } else { drop(socket) }
    }
    counts(&server, 0).await;
    service.running.wait_for(0).await;
}

#[tokio::test]
async fn a_full_server_says_so_and_has_room_again() {
    let server = builder(&Service::default()).max_sessions(1).build();
    let address = start(&server).await;
    let first = Socket::connect(address, &[ProbeClient::SERVICE]).await;
    // The reason has to reach pages, which can't see how an upgrade was refused.
    for _ in 0..16 {
        let mut second = Socket::upgrade(address).await;
        second.send(&[Envelope::Control(Control::Hello(Box::new(hello(&[]))))]).await;
        assert_eq!(second.closed().await, (1013, "full, retry after 30 s".to_owned()));
    }
    // Who says nothing takes room too, but not without end.
    let mut silent = Vec::new();
    let refused = loop {
        let stream = TcpStream::connect(address).await.unwrap();
        match tokio_tungstenite::client_async(request("localhost"), stream).await {
            Ok(socket) => silent.push(socket),
            Err(refused) => break refused,
        }
        assert!(silent.len() <= 16);
    };
    let Error::Http(response) = refused else { panic!("{refused:?}") };
    assert_eq!(response.status(), 503);
    assert!(response.headers().contains_key("retry-after"));
    drop(silent);

    // Calls in process are the server's own.
    let probe = ProbeClient::from_channel(server.channel());
    assert_eq!(probe.add(1, 1).await.unwrap(), 2);
    drop(probe);

    first.close().await;
    counts(&server, 0).await;
    let mut next = Socket::connect(address, &[ProbeClient::SERVICE]).await;
    assert_eq!(next.call(method::ADD, r#"{"a":1,"b":1}"#).await.unwrap(), "2");
}

/// Sessions that go on come first, and however many do, there is room to ask.
#[tokio::test]
async fn a_full_server_takes_sessions_that_go_on_and_refuses_new_ones() {
    const MANY: usize = 40;
    let server = Server::builder().service(ProbeServer::new(Service::default())).max_sessions(MANY).build();
    let address = start(&server).await;
    let held = async |attached, detached| {
        while (server.stats().held.attached, server.stats().held.detached) != (attached, detached) {
            tokio::task::yield_now().await;
        }
    };
    let mut tickets = Vec::new();
    for _ in 0..MANY {
        let mut socket = Socket::upgrade(address).await;
        let welcome = socket.greet(&[ProbeClient::SERVICE]).await;
        tickets.push(Ticket::new(hello(&[ProbeClient::SERVICE]), welcome));
    }
    held(0, MANY).await;
    let mut sockets = Vec::new();
    for _ in 0..MANY {
        sockets.push(Socket::connect(address, &[ProbeClient::SERVICE]).await);
    }
    held(MANY, MANY).await;
    let refused_a_new_one = async || {
        let mut new = Socket::upgrade(address).await;
        new.send(&[Envelope::Control(Control::Hello(Box::new(hello(&[]))))]).await;
        assert_eq!(new.closed().await, (1013, "full, retry after 30 s".to_owned()));
    };
    for ticket in &mut tickets {
        refused_a_new_one().await;
        let mut socket = Socket::upgrade(address).await;
        socket.send(&[Envelope::Control(Control::Hello(Box::new(ticket.again())))]).await;
        let Envelope::Control(Control::Welcome(welcome)) = socket.next().await else { panic!("a welcome") };
        ticket.take(&welcome);
        sockets.push(socket);
    }
    held(2 * MANY, 0).await;
    for socket in &mut sockets {
        assert_eq!(socket.call(method::ADD, r#"{"a":1,"b":1}"#).await.unwrap(), "2");
    }
    refused_a_new_one().await;
    // Who says nothing takes of the reserve alone.
    counts(&server, 2 * MANY).await;
    let mut silent = Vec::new();
    for _ in 0..16 {
        silent.push(Socket::upgrade(address).await);
    }
    let stream = TcpStream::connect(address).await.unwrap();
    let refused = tokio_tungstenite::client_async(request("localhost"), stream).await;
    let Err(Error::Http(response)) = refused else { panic!("{refused:?}") };
    assert_eq!(response.status(), 503);
}

#[tokio::test]
async fn shutdown_tells_everybody_and_admits_nobody() {
    let service = Service::default();
    let server = builder(&service).build();
    let address = start(&server).await;
    let mut socket = Socket::connect(address, &[ProbeClient::SERVICE]).await;
    let mut silent = Socket::upgrade(address).await;
    socket.open(method::HANG, "{}").await;
    service.running.wait_for(1).await;

    let stopping = tokio::spawn({
        let server = server.clone();
        async move { server.shutdown().await }
    });
    assert_eq!(socket.closed().await.0, 4001);
    assert_eq!(silent.closed().await.0, 4001);
    drop((socket, silent));
    stopping.await.unwrap();
    assert_eq!(server.sessions(), 0);
    service.running.wait_for(0).await;

    let stream = TcpStream::connect(address).await.unwrap();
    let refused = tokio_tungstenite::client_async(request("localhost"), stream).await;
    let Err(Error::Http(response)) = refused else { panic!("{refused:?}") };
    assert_eq!(response.status(), 503);
}

#[tokio::test]
async fn dropping_the_server_ends_every_task() {
    let tasks = || tokio::runtime::Handle::current().metrics().num_alive_tasks();
    let service = Service::default();
    let before = tasks();
    let server = builder(&service).build();
    let address = {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let app = axum::Router::new().route("/ws", server.handler());
        let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
        let serving = tokio::spawn(async move {
            let stopped = async move { drop(stopped.await) };
            axum::serve(listener, app).with_graceful_shutdown(stopped).await
        });
        (address, stop, serving)
    };
    let (address, stop, serving) = address;
    let mut sockets = Vec::new();
    for _ in 0..3 {
        let mut socket = Socket::connect(address, &[ProbeClient::SERVICE]).await;
        for _ in 0..3 {
            socket.open(method::HANG, "{}").await;
        }
        sockets.push(socket);
    }
    service.running.wait_for(9).await;
    stop.send(()).unwrap();
    serving.await.unwrap().unwrap();
    drop(server);
    service.running.wait_for(0).await;
    while tasks() > before {
        tokio::task::yield_now().await;
    }
    drop(sockets);
}
