//! The circuit breaker around calls, at the callee and at the caller.
#![allow(clippy::unwrap_used, reason = "helpers of tests are tests")]

mod support;

use std::future::ready;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use bowline::transport::memory::network;
use bowline::{BoxError, Call, CallError, Client, Code, Delivery, Reply, Router, Status};
use bowline_middleware::{BreakerConfig, BreakerLayer, BreakerOpen, BreakerState};
use bowline_runtime::{BoxFuture, spawn};
use futures_util::{FutureExt, StreamExt};
use support::{WorkClient, Worker, layered, plain, server};
use tower::layer::util::Identity;
use tower::{Layer, Service, ServiceBuilder, ServiceExt};

/// Opens at the second of two failures, and has no chance in it.
fn config() -> BreakerConfig {
    BreakerConfig { min_calls: 2, failure_ratio: 1.0, jitter: 0.0, ..BreakerConfig::default() }
}

fn breaker(config: BreakerConfig) -> BreakerLayer {
    BreakerLayer::new(config).unwrap()
}

/// Runs the test with the breaker at the callee and then with it at the caller.
macro_rules! on_both_ends {
    ($config:expr, |$worker:ident, $session:ident, $handle:ident| $test:block) => {{
        {
            let ($worker, layer) = (Worker::default(), breaker($config));
            let $handle = layer.handle();
            let server = server(&$worker, layer);
            let $session = || plain(&server);
            $test
        }
        {
            let ($worker, layer) = (Worker::default(), breaker($config));
            let $handle = layer.handle();
            let server = server(&$worker, Identity::new());
            let $session = || layered(&server, &layer);
            $test
        }
    }};
}

/// Lets everything that can happen without time passing happen.
async fn settle() {
    tokio::time::sleep(Duration::from_millis(1)).await;
}

/// Opens a breaker of [`config`].
async fn fail_twice(work: &WorkClient) {
    for _ in 0..2 {
        work.panics().await.unwrap_err();
    }
}

/// Opens a breaker of [`config`] wherever it is, and waits until it lets a probe through.
async fn half_open(work: &WorkClient) {
    for _ in 0..2 {
        work.panics().await.unwrap_err();
        settle().await;
    }
    tokio::time::sleep(Duration::from_secs(5)).await;
}

#[tokio::test(start_paused = true)]
async fn a_service_that_fails_is_left_alone_until_it_is_back() {
    on_both_ends!(config(), |worker, session, handle| {
        let work = session();
        assert_eq!(handle.state("Work"), BreakerState::Closed);
        for _ in 0..2 {
            assert_eq!(work.panics().await.unwrap_err().code(), Some(Code::Internal));
            settle().await;
        }
        let BreakerState::Open { until } = handle.state("Work") else { panic!("it is open") };
        let left = until - bowline_runtime::now();
        assert!(left <= Duration::from_secs(5) && left >= Duration::from_millis(4_990), "{left:?}");

        // Refused with the wait, whatever the method, before any handler runs; in every session.
        let refused = session().wait().await.unwrap_err();
        let CallError::Unavailable { retry_after: Some(wait), .. } = refused else { panic!("{refused:?}") };
        assert!(wait <= Duration::from_secs(5) && wait >= Duration::from_millis(4_900), "{wait:?}");
        assert!(work.items().await.is_err());
        worker.running(0).await;

        tokio::time::sleep(wait).await;
        for _ in 0..3 {
            assert_eq!(work.quick().await.unwrap(), 2);
            settle().await;
        }
        assert_eq!(handle.state("Work"), BreakerState::Closed);
    });
}

#[tokio::test(start_paused = true)]
async fn a_deadline_that_passes_is_a_failure_at_both_ends() {
    on_both_ends!(config(), |_worker, session, handle| {
        let work = session();
        for _ in 0..2 {
            work.wait().deadline(Duration::from_secs(5)).await.unwrap_err();
            settle().await;
        }
        assert_eq!(handle.state("Work").as_str(), "open");
    });
}

/// One caller with no patience would shut the service for all others.
#[tokio::test(start_paused = true)]
async fn at_a_server_a_deadline_that_leaves_no_time_says_nothing() {
    for (slow, state) in [(5, "closed"), (4, "open")] {
        let layer = breaker(BreakerConfig { slow: Duration::from_secs(slow), ..config() });
        let handle = layer.handle();
        let server = server(&Worker::default(), layer);
        let work = plain(&server);
        for _ in 0..4 {
            work.wait().deadline(Duration::from_millis(4_500)).await.unwrap_err();
            settle().await;
        }
        assert_eq!(handle.state("Work").as_str(), state, "slow after {slow} s");
    }
}

#[tokio::test(start_paused = true)]
async fn a_slow_answer_is_a_failure() {
    for (slow, given, after, state) in [
        (5, 10, 6, "open"),
        (5, 10, 4, "closed"),
        (7, 10, 6, "closed"),
        (1, 10, 4, "closed"),
        (1, 4, 3, "open"),
        (5, 4, 3, "closed"),
        // Who was given more time may take more.
        (5, 60, 6, "closed"),
        (5, 60, 31, "open"),
    ] {
        on_both_ends!(
            BreakerConfig { slow: Duration::from_secs(slow), ..config() },
            |worker, session, handle| {
                let work = session();
                let call = || tokio::spawn(work.wait().deadline(Duration::from_secs(given)));
                let calls = [call(), call()];
                tokio::time::sleep(Duration::from_secs(after)).await;
                worker.release(2);
                for call in calls {
                    assert_eq!(call.await.unwrap().unwrap(), 1);
                }
                assert_eq!(
                    handle.state("Work").as_str(),
                    state,
                    "slow after {slow} s, took {after} of {given} s"
                );
            }
        );
    }
}

/// It takes as long as its caller does.
#[tokio::test(start_paused = true)]
async fn an_upload_is_never_slow() {
    on_both_ends!(config(), |_worker, session, handle| {
        let work = session();
        let upload = || {
            let items = futures_util::stream::iter(0..3).then(async |item| {
                tokio::time::sleep(Duration::from_secs(20)).await;
                item
            });
            tokio::spawn(work.upload(items).deadline(Duration::from_secs(90)))
        };
        for upload in [upload(), upload()] {
            assert_eq!(upload.await.unwrap().unwrap(), 3);
        }
        assert_eq!(handle.state("Work"), BreakerState::Closed);
    });
}

#[tokio::test(start_paused = true)]
async fn what_the_caller_did_and_the_methods_own_error_are_no_failures() {
    on_both_ends!(config(), |worker, session, handle| {
        let work = session();
        for _ in 0..4 {
            assert_eq!(work.fails().await.unwrap_err(), CallError::Application("no".to_owned()));
            // Withdrawn in the middle.
            let call = tokio::spawn(work.wait());
            worker.running(1).await;
            call.abort();
            worker.running(0).await;
        }
        settle().await;
        assert_eq!(handle.state("Work"), BreakerState::Closed);
    });
}

#[tokio::test(start_paused = true)]
async fn a_stream_counts_when_it_is_accepted() {
    on_both_ends!(BreakerConfig { probes: 1, ..config() }, |worker, session, handle| {
        let work = session();
        half_open(&work).await;
        let mut items = work.items().await.unwrap();
        settle().await;
        assert_eq!(handle.state("Work"), BreakerState::Closed);
        // However long it takes.
        tokio::time::sleep(Duration::from_secs(100)).await;
        worker.release(1);
        assert_eq!(items.next().await.unwrap().unwrap(), 0);
        assert_eq!(handle.state("Work"), BreakerState::Closed);
    });
}

#[tokio::test(start_paused = true)]
async fn a_probe_that_is_withdrawn_frees_its_place() {
    on_both_ends!(BreakerConfig { probes: 1, ..config() }, |worker, session, handle| {
        let work = session();
        half_open(&work).await;
        let probe = tokio::spawn(work.wait());
        worker.running(1).await;
        let refused = work.quick().await.unwrap_err();
        assert_eq!(refused.code(), Some(Code::Unavailable));
        probe.abort();
        worker.running(0).await;
        settle().await;
        assert_eq!(work.quick().await.unwrap(), 2);
        settle().await;
        assert_eq!(handle.state("Work"), BreakerState::Closed);
    });
}

#[tokio::test(start_paused = true)]
async fn the_state_can_be_awaited() {
    let layer = breaker(config());
    let handle = layer.handle();
    let server = server(&Worker::default(), layer);
    let mut states = handle.states("Work");
    let mut other = handle.states("Other");
    assert_eq!(states.next().await, Some(BreakerState::Closed));
    assert_eq!(other.next().await, Some(BreakerState::Closed));
    let work = plain(&server);
    fail_twice(&work).await;
    assert_eq!(states.next().await.unwrap().as_str(), "open");
    tokio::time::sleep(Duration::from_secs(5)).await;
    let calls = tokio::spawn(async move {
        for _ in 0..3 {
            work.quick().await.unwrap();
        }
    });
    // A reader that looks now and then sees the newest.
    calls.await.unwrap();
    assert_eq!(states.next().await, Some(BreakerState::Closed));
    assert_eq!(states.next().now_or_never(), None);
    // Nothing ever happened to the other.
    assert_eq!(other.next().now_or_never(), None);
    // The stream keeps nothing alive.
    drop((server, handle));
    assert_eq!(states.next().await, None);
}

#[tokio::test(start_paused = true)]
async fn what_one_endpoint_did_says_nothing_of_another() {
    let (worker, layer) = (Worker::default(), breaker(config()));
    let handle = layer.handle();
    let server = server(&worker, Identity::new());
    let work = layered(&server, &layer);
    let mut states = handle.states("Work");
    handle.set_endpoint("a");
    fail_twice(&work).await;
    assert!(matches!(states.next().await, Some(BreakerState::Open { .. })));
    handle.set_endpoint("b");
    assert_eq!(states.next().await, Some(BreakerState::Closed));
    assert_eq!(work.quick().await.unwrap(), 2);
    assert!(handle.is_open_at("a") && !handle.is_open_at("b") && !handle.is_open_at("c"));
    handle.set_endpoint("a");
    assert!(work.quick().await.is_err(), "what was learnt there is still known");
    // Due for a probe: no reason to stay away any more.
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert_eq!(handle.state("Work").as_str(), "open");
    assert!(!handle.is_open_at("a"));
}

/// Such a call may have been asked again at the other endpoint.
#[tokio::test(start_paused = true)]
async fn a_call_that_ends_when_calls_go_elsewhere_says_nothing() {
    for (stays, state) in [(true, "open"), (false, "closed")] {
        let (worker, layer) = (Worker::default(), breaker(config()));
        let handle = layer.handle();
        let server = server(&worker, Identity::new());
        let work = layered(&server, &layer);
        handle.set_endpoint("a");
        let calls = [(); 2].map(|()| tokio::spawn(work.wait().deadline(Duration::from_secs(1))));
        worker.running(2).await;
        handle.set_endpoint(if stays { "a" } else { "b" });
        for call in calls {
            call.await.unwrap().unwrap_err();
        }
        handle.set_endpoint("a");
        assert_eq!(handle.state("Work").as_str(), state);
    }
}

#[tokio::test(start_paused = true)]
async fn a_reset_lets_calls_pass() {
    let layer = breaker(config());
    let handle = layer.handle();
    let server = server(&Worker::default(), layer);
    let work = plain(&server);
    fail_twice(&work).await;
    assert!(work.quick().await.is_err());
    handle.reset();
    assert_eq!(handle.state("Work"), BreakerState::Closed);
    assert_eq!(work.quick().await.unwrap(), 2);
}

#[tokio::test(start_paused = true)]
async fn services_and_endpoints_beyond_the_bound_have_no_breaker() {
    for (breakers, state) in [(2, "open"), (1, "closed"), (0, "closed")] {
        let layer = breaker(BreakerConfig { breakers, ..config() });
        let handle = layer.handle();
        let server = server(&Worker::default(), layer);
        let work = plain(&server);
        work.quick().await.unwrap();
        handle.set_endpoint("another");
        for _ in 0..10 {
            work.panics().await.unwrap_err();
        }
        assert_eq!(handle.state("Work").as_str(), state);
    }
}

/// Fails as often as the test asks, one way or another, while there is no link.
#[tokio::test(start_paused = true)]
async fn a_lost_link_opens_nothing() {
    let worker = Worker::default();
    let server = server(&worker, Identity::new());
    let (mut listener, connector) = network();
    let faults = connector.faults().clone();
    let accepting = spawn(async move {
        while let Some(link) = listener.accept().await {
            server.accept(link);
        }
    });
    let layer = breaker(config());
    let handle = layer.handle();
    let client = Client::builder("memory").connector(connector).layer(layer).connect().await.unwrap();
    let work: WorkClient = client.client();
    assert_eq!(work.quick().await.unwrap(), 2);
    let calls: Vec<_> = (0..4).map(|_| tokio::spawn(work.wait().deadline(Duration::from_secs(3)))).collect();
    worker.running(4).await;
    faults.unplug();
    // Sent, and never answered.
    for call in calls {
        let error = call.await.unwrap().unwrap_err();
        assert!(matches!(error, CallError::DeadlineExceeded(_) | CallError::Disconnected(_)), "{error:?}");
    }
    // Never sent.
    for _ in 0..4 {
        let error = work.wait().deadline(Duration::from_secs(1)).await.unwrap_err();
        assert_eq!(error, CallError::DeadlineExceeded(Delivery::NotSent));
    }
    assert_eq!(handle.state("Work"), BreakerState::Closed);
    client.close().await;
    for _ in 0..4 {
        assert_eq!(work.quick().await.unwrap_err(), CallError::Closed);
    }
    assert_eq!(handle.state("Work"), BreakerState::Closed);
    drop(accepting);
}

/// Who can't be reached at all refuses all calls, and not those of one service.
#[tokio::test(start_paused = true)]
async fn a_refused_connection_opens_nothing() {
    let layer = breaker(config());
    let handle = layer.handle();
    let client = Client::builder("not a url").layer(layer).connect_lazy();
    let work: WorkClient = client.client();
    for _ in 0..4 {
        assert_eq!(work.quick().await.unwrap_err().code(), Some(Code::Unavailable));
    }
    assert_eq!(handle.state("Work"), BreakerState::Closed);
}

/// A layer that answers, or fails, as the test says.
#[derive(Clone)]
struct Says(Result<Code, Arc<dyn Fn() -> BoxError + Send + Sync>>);

impl<S> Layer<S> for Says {
    type Service = Says;

    fn layer(&self, _: S) -> Says {
        self.clone()
    }
}

impl Service<Call> for Says {
    type Response = Reply;
    type Error = BoxError;
    type Future = BoxFuture<'static, Result<Reply, BoxError>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Call) -> Self::Future {
        let answer = match &self.0 {
            Ok(code) => Ok(Reply::from(Status::new(*code, "said by a layer"))),
            Err(error) => Err(error()),
        };
        Box::pin(ready(answer))
    }
}

#[tokio::test(start_paused = true)]
async fn three_codes_and_unknown_errors_are_failures_and_no_other_code_is() {
    let state_after = async |says: Says| {
        let layer = breaker(config());
        let handle = layer.handle();
        let layers = ServiceBuilder::new().layer(layer).layer(says).into_inner();
        let server = server(&Worker::default(), layers);
        let work = plain(&server);
        for _ in 0..4 {
            work.quick().await.unwrap_err();
        }
        handle.state("Work").as_str()
    };
    for code in [Code::DeadlineExceeded, Code::Unavailable, Code::Internal] {
        assert_eq!(state_after(Says(Ok(code))).await, "open", "{code}");
    }
    for code in [
        Code::Cancelled,
        Code::InvalidArgument,
        Code::PermissionDenied,
        Code::Unauthenticated,
        Code::ResourceExhausted,
        Code::Unimplemented,
        Code::SchemaMismatch,
        Code::Lagged,
    ] {
        assert_eq!(state_after(Says(Ok(code))).await, "closed", "{code}");
    }
    let unknown = || BoxError::from("nobody knows this one");
    assert_eq!(state_after(Says(Err(Arc::new(unknown)))).await, "open");
    let elapsed = || tower::timeout::error::Elapsed::new().into();
    assert_eq!(state_after(Says(Err(Arc::new(elapsed)))).await, "open");
    let shed = || tower::load_shed::error::Overloaded::new().into();
    assert_eq!(state_after(Says(Err(Arc::new(shed)))).await, "closed");
}

/// Or one breaker that is open would open all that look at it.
#[tokio::test(start_paused = true)]
async fn the_refusal_of_another_breaker_is_no_failure() {
    let (far, near) = (breaker(config()), breaker(BreakerConfig { min_calls: 3, ..config() }));
    let (at_server, at_client) = (far.handle(), near.handle());
    let server = server(&Worker::default(), far);
    let work = layered(&server, &near);
    for _ in 0..2 {
        work.panics().await.unwrap_err();
        settle().await;
    }
    for _ in 0..10 {
        assert_eq!(work.quick().await.unwrap_err().code(), Some(Code::Unavailable));
    }
    assert_eq!((at_server.state("Work").as_str(), at_client.state("Work").as_str()), ("open", "closed"));
}

/// Counts how often it is asked for readiness and called.
#[derive(Clone, Default)]
struct Counts(Arc<(AtomicUsize, AtomicUsize)>);

impl<S> Layer<S> for Counts {
    type Service = Counted<S>;

    fn layer(&self, inner: S) -> Counted<S> {
        Counted(inner, self.clone())
    }
}

struct Counted<S>(S, Counts);

impl<S: Service<Call>> Service<Call> for Counted<S> {
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.1.0.0.fetch_add(1, Ordering::SeqCst);
        self.0.poll_ready(cx)
    }

    fn call(&mut self, call: Call) -> S::Future {
        self.1.0.1.fetch_add(1, Ordering::SeqCst);
        self.0.call(call)
    }
}

#[tokio::test(start_paused = true)]
async fn a_refused_call_reaches_nothing_behind_the_breaker() {
    let (layer, counts) = (breaker(config()), Counts::default());
    let layers = ServiceBuilder::new().layer(layer).layer(counts.clone()).into_inner();
    let server = server(&Worker::default(), layers);
    let work = plain(&server);
    fail_twice(&work).await;
    for _ in 0..5 {
        work.quick().await.unwrap_err();
    }
    assert_eq!(counts.0.1.load(Ordering::SeqCst), 2);
}

/// Asked to be ready it takes nothing that another session would miss: half-open services stay free for whoever calls.
#[tokio::test(start_paused = true)]
async fn being_ready_takes_no_place_of_a_probe() {
    let layer = breaker(BreakerConfig { probes: 1, ..config() });
    let counts = Counts::default();
    let asking = ServiceBuilder::new().layer(layer.clone()).layer(counts.clone()).into_inner();
    let bare = server(&Worker::default(), Identity::new());
    let work = layered(&bare, &layer);
    fail_twice(&work).await;
    tokio::time::sleep(Duration::from_secs(5)).await;
    let mut ready = asking.layer(Router::new());
    for _ in 0..10 {
        ready.ready().await.unwrap();
    }
    assert_eq!(counts.0.0.load(Ordering::SeqCst), 10);
    assert_eq!(work.quick().await.unwrap(), 2);
}

#[tokio::test(start_paused = true)]
async fn the_refusal_is_an_error_that_layers_can_tell() {
    let seen = Arc::new(AtomicUsize::new(0));
    let layer = breaker(config());
    let outer = {
        let seen = seen.clone();
        tower::layer::layer_fn(move |inner| {
            let seen = seen.clone();
            tower::util::MapErr::new(inner, move |error: BoxError| {
                let open = error.downcast_ref::<BreakerOpen>();
                seen.fetch_add(
                    usize::from(open.is_some_and(|open| !open.retry_after().is_zero())),
                    Ordering::SeqCst,
                );
                error
            })
        })
    };
    let layers = ServiceBuilder::new().layer(outer).layer(layer).into_inner();
    let server = server(&Worker::default(), layers);
    let work = plain(&server);
    fail_twice(&work).await;
    work.quick().await.unwrap_err();
    assert_eq!(seen.load(Ordering::SeqCst), 1);
}

#[test]
fn nonsense_is_refused_when_the_layer_is_made() {
    let error = BreakerLayer::new(BreakerConfig { probes: 0, ..config() }).unwrap_err();
    assert!(error.to_string().contains("probes"));
}
