//! On whose account an anonymous session is, behind a proxy and without one.
#![allow(clippy::unwrap_used, reason = "helpers of tests are tests")]

mod support;

use std::net::{IpAddr, SocketAddr};

use bowline::prelude::*;
use bowline_protocol::envelope::{Control, Envelope, GapReason, Outcome};
use bowline_protocol::registry::NodeLimits;
use bowline_server::{Server, ServerBuilder, forwarded_for, serve};
use support::probe::{ProbeClient, ProbeServer, Service};
use support::wire::Ticket;
use support::{Socket, hello, request};
use tokio::net::{TcpListener, TcpStream};

const LOOPBACK: [u8; 4] = [127, 0, 0, 1];

/// One session of each address may wait for a link.
fn builder() -> ServerBuilder {
    let limits = NodeLimits { detached_per_address: 1, ..NodeLimits::default() };
    Server::builder().service(ProbeServer::new(Service::default())).node_limits(limits)
}

async fn start(server: &Server) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(serve(listener, server.clone()).into_future());
    address
}

/// A socket whose request says that it is forwarded for somebody.
async fn forwarded(address: SocketAddr, client: &str) -> Socket {
    let mut request = request(address);
    request.headers_mut().insert("x-forwarded-for", client.parse().unwrap());
    Socket::with(TcpStream::connect(address).await.unwrap(), request).await
}

/// What two clients are told that come back, one after the other, after both were cut.
async fn both_come_back(server: &Server, clients: [&str; 2], left: usize) -> [Outcome; 2] {
    let address = start(server).await;
    let mut tickets = Vec::new();
    for client in clients {
        let mut socket = forwarded(address, client).await;
        let welcome = socket.greet(&[ProbeClient::SERVICE]).await;
        tickets.push(Ticket::new(hello(&[ProbeClient::SERVICE]), welcome));
        drop(socket);
        while server.stats().held.attached > 0 {
            tokio::task::yield_now().await;
        }
    }
    let held = server.stats().held;
    assert_eq!((held.detached, held.owners), (left, left));
    // Each stays: a link that is lost again would count against the other.
    let (mut told, mut sockets) = (Vec::new(), Vec::new());
    for (client, mut ticket) in clients.into_iter().zip(tickets) {
        let mut socket = forwarded(address, client).await;
        socket.send(&[Envelope::Control(Control::Hello(Box::new(ticket.again())))]).await;
        let Envelope::Control(Control::Welcome(welcome)) = socket.next().await else { panic!("a welcome") };
        told.push(welcome.outcome);
        sockets.push(socket);
    }
    told.try_into().unwrap()
}

fn is_evicted(outcome: &Outcome) -> bool {
    matches!(outcome, Outcome::Gap { reason: GapReason::Evicted, .. })
}

#[tokio::test]
async fn behind_a_proxy_each_client_has_its_own_account() {
    let server = builder().client_address(forwarded_for([LOOPBACK.into()])).build();
    let told = both_come_back(&server, ["192.0.2.1", "192.0.2.2"], 2).await;
    assert_eq!(told, [Outcome::Resumed, Outcome::Resumed]);
    // Two of one client share its account, whatever it writes before what the proxy adds.
    let server = builder().client_address(forwarded_for([LOOPBACK.into()])).build();
    let told = both_come_back(&server, ["192.0.2.1", "203.0.113.9, 192.0.2.1"], 1).await;
    assert!(is_evicted(&told[0]) && told[1] == Outcome::Resumed, "{told:?}");
}

#[tokio::test]
async fn a_header_that_nobody_vouches_for_changes_nothing() {
    let by_default = builder().build();
    let another_proxy = builder().client_address(forwarded_for([IpAddr::from([10, 0, 0, 7])])).build();
    for server in [by_default, another_proxy] {
        let told = both_come_back(&server, ["192.0.2.1", "192.0.2.2"], 1).await;
        assert!(is_evicted(&told[0]) && told[1] == Outcome::Resumed, "{told:?}");
    }
}

#[tokio::test]
async fn a_program_may_say_in_its_own_way_where_a_client_is() {
    let by_header = |parts: &http::request::Parts| {
        let stated = parts.headers.get("x-forwarded-for")?.to_str().ok()?;
        stated.rsplit('.').next()?.parse().ok().map(|last: u8| IpAddr::from([203, 0, 113, last]))
    };
    let server = builder().client_address(by_header).build();
    let told = both_come_back(&server, ["192.0.2.1", "192.0.2.2"], 2).await;
    assert_eq!(told, [Outcome::Resumed, Outcome::Resumed]);
}
