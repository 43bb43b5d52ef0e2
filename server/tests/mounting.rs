//! One server, mounted in every way.
#![allow(clippy::unwrap_used, reason = "helpers of tests are tests")]

mod support;

use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use axum::routing::get;
use bowline::prelude::*;
use bowline_protocol::codec::Codec;
use bowline_protocol::envelope::{Control, Envelope};
use bowline_server::{Refused, Server, serve};
use http::request::Parts;
use support::probe::{ProbeClient, ProbeServer, Service, User, method};
use support::{Socket, hello, request, start};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

#[bowline::rpc]
trait Second {
    async fn double(&self, number: u32) -> u32;
}

struct Doubler;

impl Second for Doubler {
    async fn double(&self, number: u32) -> u32 {
        2 * number
    }
}

fn server() -> Server {
    Server::builder()
        .service(ProbeServer::new(Service::default()))
        .service(SecondServer::new(Doubler))
        .build()
}

async fn serve_app(app: Router) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, app).await });
    address
}

async fn get_page(address: SocketAddr, path: &str) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

async fn adds(address: SocketAddr) {
    let mut socket = Socket::connect(address, &[ProbeClient::SERVICE]).await;
    assert_eq!(socket.call(method::ADD, r#"{"a":2,"b":3}"#).await.unwrap(), "5");
}

#[tokio::test]
async fn one_connection_carries_calls_to_several_services() {
    let server = server();
    let address = start(&server).await;
    let mut socket = Socket::connect(address, &[SecondClient::SERVICE, ProbeClient::SERVICE]).await;
    let double = socket.open_as(0, 0, Codec::Json, br#"{"number":21}"#.to_vec()).await;
    let add = socket.open_as(1, method::ADD, Codec::Json, br#"{"a":2,"b":3}"#.to_vec()).await;
    assert_eq!(socket.ended(double).await.unwrap(), "42");
    assert_eq!(socket.ended(add).await.unwrap(), "5");
}

#[tokio::test]
async fn as_a_layer_it_answers_its_path_and_passes_everything_else_on() {
    let app = Router::new().route("/", get(|| async { "the page" })).layer(server().layer("/ws"));
    let address = serve_app(app).await;
    adds(address).await;
    assert!(get_page(address, "/").await.ends_with("the page"));
    assert!(get_page(address, "/ws/").await.starts_with("HTTP/1.1 404 "));
    assert!(get_page(address, "/ws").await.starts_with("HTTP/1.1 426 "));
}

#[tokio::test]
async fn alone_it_answers_every_path_until_it_is_told_to_stop() {
    // Nobody is given time to leave: that has tests of its own, in which time is not the world's.
    let builder = Server::builder().service(ProbeServer::new(Service::default()));
    let server = builder.drain_spread(Duration::ZERO).build();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let signal = async move { drop(stopped.await) };
    let serving = tokio::spawn(serve(listener, server.clone()).with_graceful_shutdown(signal).into_future());

    adds(address).await;
    assert!(get_page(address, "/").await.starts_with("HTTP/1.1 426 "));
    let mut socket = Socket::connect(address, &[ProbeClient::SERVICE]).await;
    stop.send(()).unwrap();
    let (code, _) = socket.closed().await;
    assert_eq!(code, 4001);
    drop(socket);
    serving.await.unwrap();
    assert_eq!(server.sessions(), 0);
    assert!(TcpStream::connect(address).await.is_err());
}

#[tokio::test]
async fn what_the_request_says_reaches_handlers_as_the_identity() {
    async fn by_header(parts: &Parts) -> Result<User, Refused> {
        match parts.headers.get("x-user").and_then(|name| name.to_str().ok()) {
            Some("eve") => Err(Refused::forbidden("eve may not connect")),
            Some(name) => Ok(User(name.to_owned())),
            None => Err(Refused::unauthenticated("say who you are")),
        }
    }
    let server = Server::builder().service(ProbeServer::new(Service::default())).identify(by_header).build();
    let address = start(&server).await;
    for (user, expected) in [(Some("ada"), Ok("ada")), (Some("eve"), Err(4503)), (None, Err(4500))] {
        let mut request = request(address);
        if let Some(user) = user {
            request.headers_mut().insert("x-user", user.parse().unwrap());
        }
        let mut socket = Socket::with(TcpStream::connect(address).await.unwrap(), request).await;
        match expected {
            Ok(name) => {
                socket.greet(&[ProbeClient::SERVICE]).await;
                let said = socket.call(method::WHOAMI, "{}").await.unwrap();
                assert_eq!(said, format!("{name:?}"));
            }
            Err(code) => {
                socket.send(&[Envelope::Control(Control::Hello(Box::new(hello(&[]))))]).await;
                assert_eq!(socket.closed().await.0, code);
            }
        }
    }
}

#[tokio::test]
async fn without_identify_everybody_is_anonymous() {
    let server = server();
    let mut socket = Socket::connect(start(&server).await, &[ProbeClient::SERVICE]).await;
    assert_eq!(socket.call(method::WHOAMI, "{}").await.unwrap(), r#""nobody""#);
}

#[tokio::test]
async fn what_http_layers_put_into_the_request_reaches_handlers_too() {
    let app =
        Router::new().route("/ws", server().handler()).layer(axum::Extension(User("from a layer".into())));
    let mut socket = Socket::connect(serve_app(app).await, &[ProbeClient::SERVICE]).await;
    assert_eq!(socket.call(method::WHOAMI, "{}").await.unwrap(), r#""from a layer""#);
}
