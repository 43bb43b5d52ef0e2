//! Links over sockets on loopback: both roles pass the suite for all links; then what only sockets have.
#![cfg(not(target_arch = "wasm32"))]
#![allow(clippy::unwrap_used, reason = "helpers of tests count as tests")]

#[path = "../conformance/mod.rs"]
mod conformance;
mod connecting;
#[path = "../echo/mod.rs"]
mod echo;
mod encryption;
mod frames;

use std::future::{Future, poll_fn};
use std::time::Duration;

use bowline_protocol::limits::Limits;
use bowline_transport::native::{NativeConnector, Role, SocketLink};
use bowline_transport::{BoxLink, Connect, ConnectError, Link, LinkError, Received};
use conformance::Maker;
use echo::Endings;
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol;

/// Links that connect to a plain echo server.
struct Connecting {
    endpoint: String,
    connector: NativeConnector,
}

impl Connecting {
    async fn new() -> Self {
        let (listener, port) = listen().await;
        let endpoint = format!("ws://127.0.0.1:{port}/echo");
        tokio::spawn(echo::serve(listener, Endings::default()));
        Self { endpoint, connector: NativeConnector::new() }
    }
}

impl Maker for Connecting {
    async fn link(&self) -> BoxLink {
        self.connector.connect(&self.endpoint).await.unwrap()
    }
}

/// Links that a server makes of accepted connections, with a plain client at the other end.
struct Accepting {
    listener: TcpListener,
    endings: Endings,
}

impl Accepting {
    async fn new() -> Self {
        let (listener, _) = listen().await;
        Self { listener, endings: Endings::default() }
    }
}

impl Maker for Accepting {
    async fn link(&self) -> BoxLink {
        let address = self.listener.local_addr().unwrap();
        let endings = self.endings.clone();
        tokio::spawn(async move {
            let stream = TcpStream::connect(address).await.unwrap();
            let socket = WebSocketStream::from_raw_socket(stream, protocol::Role::Client, None).await;
            echo::echo(socket, endings).await;
        });
        let (stream, _) = self.listener.accept().await.unwrap();
        Box::new(SocketLink::from_upgraded(stream, Role::Server, &Limits::default()))
    }
}

macro_rules! conform {
    ($module:ident, $maker:ident: $($check:ident)*) => {
        mod $module {
            use super::*;

            $(#[tokio::test]
            async fn $check() {
                within(conformance::$check(&$maker::new().await)).await;
            })*
        }
    };
}

macro_rules! conform_in_both_roles {
    ($($check:ident)*) => {
        conform!(client, Connecting: $($check)*);
        conform!(server, Accepting: $($check)*);
    };
}

conformance::checks!(conform_in_both_roles text_is_reported_as_text);

async fn listen() -> (TcpListener, u16) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    (listener, port)
}

/// A test that hangs says so.
async fn within<T>(test: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(60), test).await.expect("the test hangs")
}

async fn receive<L: Link>(link: &mut L) -> Result<Received, LinkError> {
    poll_fn(|cx| link.poll_receive(cx)).await
}

async fn fails(endpoint: &str) -> ConnectError {
    within(NativeConnector::new().connect(endpoint)).await.expect_err("no link")
}
