//! Each stage of a connect has its time limit, and a slow one holds nobody up. Everything is in memory, so that the
//! clock stands still while bytes move.
#![allow(clippy::unwrap_used, reason = "helpers of tests are tests")]

mod support;

use std::time::Duration;

use bowline_server::Server;
use support::Socket;
use support::pipes::Network;
use support::probe::{ProbeServer, Service};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::Instant;

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
