//! The same client type with no socket, through the same layers.
#![allow(clippy::unwrap_used, reason = "helpers of tests are tests")]

mod support;

use std::future::IntoFuture;
use std::pin::pin;
use std::time::Duration;

use bowline::prelude::*;
use bowline_protocol::status::Code;
use bowline_server::{Refused, Server};
use futures_util::StreamExt;
use futures_util::future::{Either, join, select};
use http::request::Parts;
use support::probe::{ProbeClient, ProbeServer, Service, User};
use tower::limit::ConcurrencyLimitLayer;
use tower::load_shed::LoadShedLayer;

fn builder(service: &Service) -> bowline_server::ServerBuilder {
    Server::builder().service(ProbeServer::new(service.clone()))
}

async fn empty(server: &Server) {
    while server.sessions() > 0 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn calls_streams_and_uploads_work() {
    let server = builder(&Service::default()).build();
    let probe = ProbeClient::from_channel(server.channel());
    assert_eq!(probe.add(2, 3).await.unwrap(), 5);
    let counted: Vec<_> = probe.count(3).await.unwrap().map(Result::unwrap).collect().await;
    assert_eq!(counted, [0, 1, 2]);
    assert_eq!(probe.total(futures_util::stream::iter([1, 2, 3])).await.unwrap(), 6);
}

#[tokio::test]
async fn calls_go_through_the_same_layers() {
    let service = Service::default();
    let server = builder(&service).layer(LoadShedLayer::new()).layer(ConcurrencyLimitLayer::new(1)).build();
    let probe = ProbeClient::from_channel(server.channel());
    let hanging = tokio::spawn(probe.hang());
    service.running.wait_for(1).await;
    assert_eq!(probe.add(2, 3).await.unwrap_err().code(), Some(Code::ResourceExhausted));
    hanging.abort();
    service.running.wait_for(0).await;
}

#[tokio::test]
async fn a_channel_belongs_to_whom_it_was_made_for() {
    async fn by_header(parts: &Parts) -> Result<User, Refused> {
        let name = parts.headers.get("x-user").ok_or_else(|| Refused::unauthenticated("say who you are"))?;
        Ok(User(name.to_str().unwrap().to_owned()))
    }
    let server = builder(&Service::default()).identify(by_header).build();
    let said = async |channel| ProbeClient::from_channel(channel).whoami().await.unwrap();
    assert_eq!(said(server.channel()).await, "nobody");
    assert_eq!(said(server.channel_as(User("ada".into()))).await, "ada");

    let page = http::Request::builder().header("x-user", "grace").body(()).unwrap().into_parts().0;
    assert_eq!(said(server.channel_for(&page).await.unwrap()).await, "grace");
    let strange = http::Request::new(()).into_parts().0;
    assert_eq!(server.channel_for(&strange).await.unwrap_err().code().number(), 4500);
}

#[tokio::test]
async fn the_session_ends_with_its_last_handle() {
    let server = builder(&Service::default()).build();
    let tasks = tokio::runtime::Handle::current().metrics().num_alive_tasks();
    let probe = ProbeClient::from_channel(server.channel());
    let other = probe.clone();
    drop(probe);
    assert_eq!(other.add(1, 1).await.unwrap(), 2);
    assert_eq!(server.sessions(), 1);

    // A stream outlives the stub that it came from.
    let mut stream = other.count(u32::MAX).await.unwrap();
    drop(other);
    for expected in 0..1000 {
        assert_eq!(stream.next().await.unwrap().unwrap(), expected);
    }
    drop(stream);
    empty(&server).await;
    while tokio::runtime::Handle::current().metrics().num_alive_tasks() > tasks {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_dropped_call_stops_its_handler() {
    let service = Service::default();
    let server = builder(&service).build();
    let probe = ProbeClient::from_channel(server.channel());
    let hanging = tokio::spawn(probe.hang());
    service.running.wait_for(1).await;
    hanging.abort();
    service.running.wait_for(0).await;
    assert_eq!(probe.add(1, 1).await.unwrap(), 2);
}

#[tokio::test(start_paused = true)]
async fn after_shutdown_calls_end_at_once() {
    let service = Service::default();
    let server = builder(&service).build();
    let probe = ProbeClient::from_channel(server.channel());
    let hanging = tokio::spawn(probe.hang());
    service.running.wait_for(1).await;
    server.shutdown().await;
    assert_eq!(server.sessions(), 0);

    let start = tokio::time::Instant::now();
    assert_eq!(hanging.await.unwrap().unwrap_err().code(), Some(Code::Unavailable));
    assert_eq!(probe.add(1, 1).await.unwrap_err().code(), Some(Code::Unavailable));
    let late = ProbeClient::from_channel(server.channel());
    assert_eq!(late.add(1, 1).await.unwrap_err().code(), Some(Code::Unavailable));
    assert!(start.elapsed() < Duration::from_secs(1));
}

#[tokio::test]
async fn dropping_the_server_ends_its_channels() {
    let service = Service::default();
    let server = builder(&service).build();
    let probe = ProbeClient::from_channel(server.channel());
    let hanging = tokio::spawn(probe.hang());
    service.running.wait_for(1).await;
    drop(server);
    service.running.wait_for(0).await;
    assert_eq!(hanging.await.unwrap().unwrap_err().code(), Some(Code::Unavailable));
}

/// Without whoever drives them, not even deadlines would pass.
#[test]
fn calls_end_with_the_runtime_of_their_channel() {
    let of = || tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let (theirs, ours) = (of(), of());
    let service = Service::default();
    let server = builder(&service).build();
    let probe = ProbeClient::from_channel(theirs.block_on(async { server.channel() }));
    let mut hanging = probe.hang().into_future();
    let begun = pin!(service.running.wait_for(1));
    assert!(matches!(theirs.block_on(select(&mut hanging, begun)), Either::Right(_)));
    drop(theirs);
    let ended = ours.block_on(async {
        let late = probe.add(1, 1).deadline(Duration::from_secs(1)).into_future();
        tokio::time::timeout(Duration::from_secs(30), join(hanging, late)).await
    });
    let (hanging, late) = ended.expect("both end");
    assert_eq!(hanging.unwrap_err().code(), Some(Code::Unavailable));
    assert_eq!(late.unwrap_err().code(), Some(Code::Unavailable));
}
