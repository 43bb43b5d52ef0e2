//! What layers allocate for each call, beside the same calls without them.
//!
//! In a binary of its own: its allocator counts.
#![allow(clippy::unwrap_used, reason = "helpers of tests are tests")]

mod support;

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};

use allocation_counter::measure;
use bowline::{BoxError, Call, Code, Reply, Status};
use bowline_middleware::{BreakerLayer, MetricsLayer, SessionMetrics, TraceLayer};
use bowline_protocol::session::Config;
use bowline_rpc::{Channel, Peer, ServiceClient};
use metrics::{Counter, Gauge, Histogram, HistogramFn, Key, KeyName, Metadata, Recorder, SharedString, Unit};
use support::{WorkClient, Worker, layered, plain, server, unanswered_peer};
use tokio::runtime::{Builder, Runtime};
use tower::layer::util::Identity;
use tower::{Layer, Service};

/// Enough that what happens once in a while does not look as if it happened for each.
const CALLS: u64 = 400;

fn runtime() -> Runtime {
    Builder::new_current_thread().enable_all().start_paused(true).build().unwrap()
}

/// What one of many calls of `work`, which all end with `code` or well, allocates at both ends.
fn per_call(runtime: &Runtime, work: &WorkClient, code: Option<Code>) -> f64 {
    let calls = || {
        runtime.block_on(async {
            for _ in 0..CALLS {
                assert_eq!(work.quick().await.err().and_then(|error| error.code()), code);
            }
        });
    };
    // Tables have grown, and handles are known.
    calls();
    measure(calls).count_total as f64 / CALLS as f64
}

/// A client's calls through `layer` to a server without layers.
fn at_the_client<L>(layer: &L) -> f64
where
    L: Layer<bowline::Endpoint>,
    L::Service: Service<Call, Response = Reply> + Send + 'static,
    <L::Service as Service<Call>>::Error: Into<BoxError>,
    <L::Service as Service<Call>>::Future: Send + 'static,
{
    let runtime = runtime();
    let server = server(&Worker::default(), Identity::new());
    let work = runtime.block_on(async { layered(&server, layer) });
    per_call(&runtime, &work, None)
}

/// Calls without layers to a server with `layer`.
fn at_the_server<L>(layer: L) -> f64
where
    L: Layer<bowline::Router> + Send + Sync + 'static,
    L::Service: Service<Call, Response = Reply> + Send + 'static,
    <L::Service as Service<Call>>::Error: Into<BoxError> + 'static,
    <L::Service as Service<Call>>::Future: Send + 'static,
{
    let runtime = runtime();
    let server = server(&Worker::default(), layer);
    let work = runtime.block_on(async { plain(&server) });
    per_call(&runtime, &work, None)
}

/// Calls that go through `layer` and are refused behind it.
fn refused<L>(layer: &L) -> f64
where
    L: Layer<Refusing>,
    L::Service: Service<Call, Response = Reply> + Send + 'static,
    <L::Service as Service<Call>>::Error: Into<BoxError>,
    <L::Service as Service<Call>>::Future: Send + 'static,
{
    let peer = Peer::client(Config::default());
    let work = WorkClient::from_channel(Channel::with_stack(&peer, layer.layer(Refusing)));
    per_call(&runtime(), &work, Some(Code::InvalidArgument))
}

/// Refuses every call, with a word that says nothing about the service.
struct Refusing;

impl Service<Call> for Refusing {
    type Response = Reply;
    type Error = Infallible;
    type Future = Ready<Result<Reply, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Call) -> Self::Future {
        ready(Ok(Reply::from(Status::new(Code::InvalidArgument, "not like that"))))
    }
}

/// A recorder that keeps a number for each handle.
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

struct Recorded(AtomicU64);

impl HistogramFn for Recorded {
    fn record(&self, _: f64) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

/// The same number, but for what happens once in a while.
#[track_caller]
fn assert_same(with: f64, without: f64) {
    assert!((with - without).abs() < 0.1, "{with} allocations with the layer, {without} without");
}

#[test]
fn layers_allocate_nothing_for_a_call_that_succeeds() {
    let _counting = metrics::set_default_local_recorder(&Numbers);
    let (client, server) = (at_the_client(&Identity::new()), at_the_server(Identity::new()));
    assert_same(at_the_client(&MetricsLayer::client()), client);
    assert_same(at_the_server(MetricsLayer::server()), server);
    assert_same(at_the_client(&BreakerLayer::default()), client);
    assert_same(at_the_server(BreakerLayer::default()), server);
    // Nobody listens to spans here.
    assert_same(at_the_client(&TraceLayer::client()), client);
    assert_same(at_the_server(TraceLayer::server()), server);
}

#[test]
fn layers_allocate_nothing_for_a_call_that_fails() {
    let _counting = metrics::set_default_local_recorder(&Numbers);
    let without = refused(&Identity::new());
    assert_same(refused(&MetricsLayer::client()), without);
    assert_same(refused(&BreakerLayer::default()), without);
    assert_same(refused(&TraceLayer::client()), without);
}

/// For the future of all layers together.
#[test]
fn a_stack_of_layers_allocates_once_for_a_call() {
    let runtime = runtime();
    let server = server(&Worker::default(), Identity::new());
    let (bare, layered) = runtime.block_on(async {
        let (layered, far, peer) = unanswered_peer(&Identity::new());
        server.accept(far);
        (WorkClient::from_channel(peer.channel()), layered)
    });
    let (bare, layered) = (per_call(&runtime, &bare, None), per_call(&runtime, &layered, None));
    assert_same(layered, bare + 1.0);
}

#[test]
fn a_look_at_a_session_makes_no_list_of_labels() {
    let runtime = runtime();
    let server = server(&Worker::default(), Identity::new());
    let (work, peer) = runtime.block_on(async {
        let (work, far, peer) = unanswered_peer(&Identity::new());
        server.accept(far);
        (work, peer)
    });
    let mut metrics = SessionMetrics::client();
    for _ in 0..3 {
        runtime.block_on(work.quick()).unwrap();
        // No recorder: what is allocated is Bowline's.
        assert_eq!(measure(|| metrics.look(&peer)).count_total, 0);
    }
}
