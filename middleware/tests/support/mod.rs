//! A service, and sessions to it with layers on either side.
#![allow(dead_code, unreachable_pub, reason = "each test binary uses a part of it")]

pub mod counted;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bowline::prelude::*;
use bowline::{BoxError, Call, Endpoint, Reply, Router, Server};
use bowline_middleware::status_from_error;
use bowline_protocol::session::Config;
use bowline_rpc::{Channel, Peer};
use bowline_runtime::spawn;
use bowline_transport::memory::{Faults, pair};
use bowline_transport::{Link, drive};
use tokio::sync::{Notify, Semaphore};
use tower::{Layer, Service};

#[bowline::rpc]
pub trait Work {
    /// Answers when the test releases it.
    async fn wait(&self) -> u32;
    /// Answers at once.
    async fn quick(&self) -> u32;
    /// Its own error.
    async fn fails(&self) -> Result<u32, String>;
    /// Items as the test releases them.
    fn items(&self) -> impl Stream<Item = u32>;
    /// Three items.
    fn three(&self) -> impl Stream<Item = u32>;
    /// Counts what is sent, at the caller's pace.
    async fn upload(&self, items: Streaming<u32>) -> u32;
    /// A bug.
    async fn panics(&self) -> u32;
    /// The trace that came along.
    async fn trace(&self, cx: &Context) -> Option<String>;
}

#[derive(Clone)]
pub struct Worker {
    releases: Arc<Semaphore>,
    running: Arc<AtomicUsize>,
    changed: Arc<Notify>,
}

impl Default for Worker {
    fn default() -> Self {
        Self { releases: Arc::new(Semaphore::new(0)), running: Arc::default(), changed: Arc::default() }
    }
}

impl Worker {
    /// Lets so many calls of `wait`, or items, go on.
    pub fn release(&self, count: usize) {
        self.releases.add_permits(count);
    }

    /// Ends when so many calls of `wait` run.
    pub async fn running(&self, count: usize) {
        loop {
            let changed = self.changed.notified();
            if self.running.load(Ordering::SeqCst) == count {
                return;
            }
            changed.await;
        }
    }
}

impl Work for Worker {
    async fn wait(&self) -> u32 {
        struct Runs<'a>(&'a Worker);
        impl Drop for Runs<'_> {
            fn drop(&mut self) {
                self.0.running.fetch_sub(1, Ordering::SeqCst);
                self.0.changed.notify_waiters();
            }
        }
        self.running.fetch_add(1, Ordering::SeqCst);
        self.changed.notify_waiters();
        let _runs = Runs(self);
        self.releases.acquire().await.unwrap().forget();
        1
    }

    async fn quick(&self) -> u32 {
        2
    }

    async fn fails(&self) -> Result<u32, String> {
        Err("no".to_owned())
    }

    fn items(&self) -> impl Stream<Item = u32> {
        futures_util::stream::unfold(0, move |item| async move {
            self.releases.acquire().await.unwrap().forget();
            tracing::info!("made an item");
            Some((item, item + 1))
        })
    }

    fn three(&self) -> impl Stream<Item = u32> {
        futures_util::stream::iter(0..3)
    }

    async fn upload(&self, items: Streaming<u32>) -> u32 {
        items.count().await as u32
    }

    async fn panics(&self) -> u32 {
        panic!("a bug")
    }

    async fn trace(&self, cx: &Context) -> Option<String> {
        cx.metadata().get("traceparent").map(ToOwned::to_owned)
    }
}

/// A server whose calls go through `layer`.
pub fn server<L>(worker: &Worker, layer: L) -> Server
where
    L: Layer<Router> + Send + Sync + 'static,
    L::Service: Service<Call, Response = Reply> + Send + 'static,
    <L::Service as Service<Call>>::Error: Into<BoxError> + 'static,
    <L::Service as Service<Call>>::Future: Send + 'static,
{
    Server::builder().service(WorkServer::new(worker.clone())).layer(layer).build()
}

/// A new session with the layers of the server, and none at the caller.
pub fn plain(server: &Server) -> WorkClient {
    WorkClient::from_channel(server.channel())
}

/// A new session to a server without layers, whose caller's calls go through `layer`.
pub fn layered<L>(server: &Server, layer: &L) -> WorkClient
where
    L: Layer<Endpoint>,
    L::Service: Service<Call, Response = Reply> + Send + 'static,
    <L::Service as Service<Call>>::Error: Into<BoxError>,
    <L::Service as Service<Call>>::Future: Send + 'static,
{
    let (work, far) = unanswered(layer);
    server.accept(far);
    work
}

/// The same before anybody answers at the other end.
pub fn unanswered<L>(layer: &L) -> (WorkClient, impl Link + use<L>)
where
    L: Layer<Endpoint>,
    L::Service: Service<Call, Response = Reply> + Send + 'static,
    <L::Service as Service<Call>>::Error: Into<BoxError>,
    <L::Service as Service<Call>>::Future: Send + 'static,
{
    let (work, far, _) = unanswered_peer(layer);
    (work, far)
}

/// The same with the caller's end of the session.
pub fn unanswered_peer<L>(layer: &L) -> (WorkClient, impl Link + use<L>, Peer)
where
    L: Layer<Endpoint>,
    L::Service: Service<Call, Response = Reply> + Send + 'static,
    <L::Service as Service<Call>>::Error: Into<BoxError>,
    <L::Service as Service<Call>>::Future: Send + 'static,
{
    let (near, far) = pair(&Faults::default());
    let peer = Peer::client(Config::default());
    let driven = peer.clone();
    let driver = spawn(async move {
        drive(near, &driven, std::future::pending()).await;
    });
    let stack = layer.layer(peer.endpoint());
    let channel = Channel::with_stack(&peer, stack).with_status_of(status_from_error);
    (WorkClient::from_channel(channel.with_lease(Arc::new(driver))), far, peer)
}
