//! Each stage of a connect has its time limit, and a slow one holds nobody up. Everything is in memory, so that the
//! clock stands still while bytes move.
#![allow(clippy::unwrap_used, reason = "helpers of tests are tests")]

mod support;

use std::io;
use std::time::Duration;

use axum::serve::Listener;
use bowline::prelude::*;
use bowline_server::{Server, serve};
use support::Socket;
use support::probe::{ProbeClient, ProbeServer, Service, method};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tokio::sync::mpsc;
use tokio::time::Instant;

/// Hands out connections that tests made.
struct Queue(mpsc::UnboundedReceiver<DuplexStream>);

impl Listener for Queue {
    type Io = DuplexStream;
    type Addr = ();

    async fn accept(&mut self) -> (DuplexStream, ()) {
        match self.0.recv().await {
            Some(stream) => (stream, ()),
            None => std::future::pending().await,
        }
    }

    fn local_addr(&self) -> io::Result<()> {
        Ok(())
    }
}

struct Network(mpsc::UnboundedSender<DuplexStream>);

impl Network {
    fn start(server: &Server) -> Self {
        let (connections, queue) = mpsc::unbounded_channel();
        tokio::spawn(serve(Queue(queue), server.clone()).into_future());
        Self(connections)
    }

    fn connect(&self) -> DuplexStream {
        let (near, far) = duplex(64 * 1024);
        self.0.send(far).unwrap();
        near
    }

    async fn others_connect(&self) {
        let mut socket = Socket::over(self.connect()).await;
        socket.greet(&[ProbeClient::SERVICE]).await;
        assert_eq!(socket.call(method::ADD, r#"{"a":2,"b":3}"#).await.unwrap(), "5");
    }
}

fn server() -> Server {
    Server::builder().service(ProbeServer::new(Service::default())).build()
}

/// Every stage ends after its 10 s and before 12.
fn assert_in_time(since: Instant) {
    let took = since.elapsed();
    assert!((Duration::from_secs(10)..Duration::from_secs(12)).contains(&took), "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn a_silent_connection_is_closed() {
    let network = Network::start(&server());
    let start = Instant::now();
    let mut silent = network.connect();
    network.others_connect().await;
    let mut answer = Vec::new();
    silent.read_to_end(&mut answer).await.unwrap();
    assert_in_time(start);
}

#[tokio::test(start_paused = true)]
async fn a_header_that_drips_is_closed() {
    let network = Network::start(&server());
    let start = Instant::now();
    let (mut reader, mut writer) = tokio::io::split(network.connect());
    let dripping = tokio::spawn(async move {
        for byte in b"GET /ws HTTP/1.1\r\nHost: localhost\r\n".iter().cycle() {
            if writer.write_all(&[*byte]).await.is_err() {
                return;
            }
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    });
    let mut answer = Vec::new();
    reader.read_to_end(&mut answer).await.unwrap();
    assert_in_time(start);
    network.others_connect().await;
    dripping.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn an_upgrade_without_a_hello_is_closed() {
    let server = server();
    let network = Network::start(&server);
    let start = Instant::now();
    let mut socket = Socket::over(network.connect()).await;
    network.others_connect().await;
    let (code, _) = socket.closed().await;
    assert_eq!(code, 4009);
    assert_in_time(start);
    drop(socket);
    while server.sessions() > 0 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test(start_paused = true)]
async fn half_a_hello_is_closed() {
    let network = Network::start(&server());
    let start = Instant::now();
    let mut stream = Socket::over(network.connect()).await.into_inner();
    // A masked frame of 100 bytes of which three come.
    stream.write_all(&[0x82, 0x80 | 100, 0, 0, 0, 0, 1, 2, 3]).await.unwrap();
    network.others_connect().await;
    let mut answer = Vec::new();
    // Ends: who never answers the close is cut off.
    stream.read_to_end(&mut answer).await.unwrap();
    assert!(start.elapsed() < Duration::from_secs(25), "{:?}", start.elapsed());
    let close = answer.windows(2).position(|bytes| bytes[0] == 0x88).unwrap();
    assert_eq!(answer[close + 2..close + 4], 4009_u16.to_be_bytes());
}
