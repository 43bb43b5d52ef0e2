//! Layers around calls: the same calls as `call/memory/64_in_flight` and `call/memory/1_in_flight`, with layers.
//!
//! Unit: per call. What a layer costs is the difference to the line without it. With `tracing` somebody listens who keeps
//! spans (the registry of `tracing-subscriber`) and writes none; with `metrics` somebody counts in atomic numbers. Both
//! layers are on both ends. `stack/..` has no session behind it: a call goes through a client's stack to a service that
//! refuses it at once, which is what can be answered without a session.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bowline::middleware::{BreakerLayer, MetricsLayer, TraceLayer};
use bowline::prelude::*;
use bowline::{BoxError, Call, Code, Reply, Server, Status};
use bowline_protocol::session::Config;
use bowline_rpc::{Channel, Peer};
use metrics::{
    Counter, Gauge, Histogram, HistogramFn, Key, KeyName, LocalRecorderGuard, Metadata, Recorder,
    SharedString, Unit,
};
use tower_layer::{Identity, Layer};
use tower_service::Service;
use tracing_subscriber::Registry;

use super::whole::{calls, runtime};
use crate::place::{Client, listen};
use crate::service::{BenchClient, BenchServer, Desk, small_text};
use crate::{Result, Scenario, Work};

pub(crate) const SCENARIOS: &[Scenario] = &[
    Scenario::counted("layers/tracing_and_metrics/1_in_flight", "call", (500, 2_000), || {
        traced_and_metered(1)
    }),
    Scenario::counted("layers/tracing_and_metrics/64_in_flight", "call", (6_400, 12_800), || {
        traced_and_metered(64)
    }),
    Scenario::counted("layers/metrics/64_in_flight", "call", (6_400, 12_800), || metered(64)),
    Scenario::counted("layers/breaker/64_in_flight", "call", (6_400, 12_800), || behind_a_breaker(64)),
    Scenario::counted("stack/nothing", "call", (100, 5_000), || refused_calls(Identity::new())),
    Scenario::counted("stack/breaker", "call", (100, 5_000), || refused_calls(BreakerLayer::default())),
    Scenario::counted("stack/tracing", "call", (100, 5_000), || {
        let listening = listen_to_spans();
        let mut work = refused_calls(TraceLayer::client())?;
        Ok(Box::new(move |n| {
            let _ = &listening;
            work(n)
        }))
    }),
    Scenario::counted("stack/metrics", "call", (100, 5_000), || {
        let counting = count_in_atomics();
        let mut work = refused_calls(MetricsLayer::client())?;
        Ok(Box::new(move |n| {
            let _ = &counting;
            work(n)
        }))
    }),
];

fn traced_and_metered(in_flight: u64) -> Result<Work> {
    let listening = (listen_to_spans(), count_in_atomics());
    let runtime = runtime()?;
    let client = runtime.block_on(async {
        let desk = Desk::default();
        let news = desk.news.clone();
        let server = Server::builder().service(BenchServer::new(desk));
        let server = server.layer(MetricsLayer::server()).layer(TraceLayer::server()).build();
        let connector = listen(server, news);
        let client = connector.builder().layer(MetricsLayer::client()).layer(TraceLayer::client());
        client.connect().await.map(|client| connector.client(client.client()))
    })?;
    Ok(Box::new(move |n| {
        let _ = &listening;
        runtime.block_on(calls(&client, in_flight, n))
    }))
}

fn metered(in_flight: u64) -> Result<Work> {
    let counting = count_in_atomics();
    let runtime = runtime()?;
    let client = runtime.block_on(async {
        let desk = Desk::default();
        let news = desk.news.clone();
        let server = Server::builder().service(BenchServer::new(desk)).layer(MetricsLayer::server()).build();
        let connector = listen(server, news);
        let client = connector.builder().layer(MetricsLayer::client());
        client.connect().await.map(|client| connector.client(client.client()))
    })?;
    Ok(Box::new(move |n| {
        let _ = &counting;
        runtime.block_on(calls(&client, in_flight, n))
    }))
}

/// Each call succeeds: it is admitted, timed, and its outcome counted.
fn behind_a_breaker(in_flight: u64) -> Result<Work> {
    let runtime = runtime()?;
    let client: Client = runtime.block_on(async {
        let connector = crate::serve().await;
        let client = connector.builder().breaker(BreakerLayer::default());
        client.connect().await.map(|client| connector.client(client.client()))
    })?;
    Ok(Box::new(move |n| runtime.block_on(calls(&client, in_flight, n))))
}

/// Calls that go through `layer` and are refused behind it.
fn refused_calls<L>(layer: L) -> Result<Work>
where
    L: Layer<Refusing>,
    L::Service: Service<Call, Response = Reply> + Send + 'static,
    <L::Service as Service<Call>>::Error: Into<BoxError>,
    <L::Service as Service<Call>>::Future: Send + 'static,
{
    let runtime = runtime()?;
    let peer = Peer::client(Config::default());
    let stub = BenchClient::from_channel(Channel::with_stack(&peer, layer.layer(Refusing)));
    Ok(Box::new(move |n| {
        runtime.block_on(async {
            for _ in 0..n {
                match stub.echo(small_text()).await {
                    Err(CallError::InvalidArgument { .. }) => {}
                    other => return Err(format!("not the refusal: {other:?}").into()),
                }
            }
            Ok(())
        })
    }))
}

/// Answers every call with a word that says nothing about the service.
struct Refusing;

impl Service<Call> for Refusing {
    type Response = Reply;
    type Error = Infallible;
    type Future = std::future::Ready<Result<Reply, Infallible>>;

    fn poll_ready(&mut self, _: &mut std::task::Context<'_>) -> std::task::Poll<Result<(), Infallible>> {
        std::task::Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Call) -> Self::Future {
        std::future::ready(Ok(Reply::from(Status::new(Code::InvalidArgument, ""))))
    }
}

/// For this thread, as long as the guard lives, so that other scenarios of the process are not listened to.
fn listen_to_spans() -> tracing::subscriber::DefaultGuard {
    tracing::subscriber::set_default(Registry::default())
}

fn count_in_atomics() -> LocalRecorderGuard<'static> {
    metrics::set_default_local_recorder(&Numbers)
}

/// A recorder as cheap as one can be: a number for each series.
struct Numbers;

impl Recorder for Numbers {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn register_counter(&self, _: &Key, _: &Metadata<'_>) -> Counter {
        Counter::from_arc(Arc::new(AtomicU64::new(0)))
    }

    fn register_gauge(&self, _: &Key, _: &Metadata<'_>) -> Gauge {
        Gauge::from_arc(Arc::new(AtomicU64::new(0)))
    }

    fn register_histogram(&self, _: &Key, _: &Metadata<'_>) -> Histogram {
        Histogram::from_arc(Arc::new(Recorded(AtomicU64::new(0))))
    }
}

/// How many values a histogram was given.
struct Recorded(AtomicU64);

impl HistogramFn for Recorded {
    fn record(&self, _: f64) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}
