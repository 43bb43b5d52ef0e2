//! What is counted is what happened: numbers of a recorder beside numbers that the test took itself.
#![allow(clippy::unwrap_used, reason = "helpers of tests are tests")]

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::future::{Future, poll_fn};
use std::task::{Context, Poll};
use std::time::Duration;

use bowline_middleware::names::{self, Kind};
use bowline_middleware::{BreakerConfig, BreakerLayer, MetricsLayer};
use bowline_protocol::schema::{Lag, MethodDescriptor, MethodKind, Retry, ServiceDescriptor};
use bowline_protocol::status::{Code, Status};
use bowline_rpc::{BoxError, Call, CallError, Peer, Reply};
use bowline_runtime::BoxFuture;
use futures_util::{FutureExt, StreamExt};
use support::counted::Counted;
use support::{Worker, layered, plain, server, unanswered};
use tower::layer::layer_fn;
use tower::layer::util::Identity;
use tower::timeout::TimeoutLayer;
use tower::util::MapRequestLayer;
use tower::{Layer, Service, ServiceBuilder, service_fn};

/// Runs the test with the layer at the callee and then with it at the caller.
macro_rules! on_both_ends {
    (|$end:ident, $counted:ident, $worker:ident, $session:ident| $test:block) => {{
        {
            let ($end, mut $counted, $worker) = ("server", Counted::default(), Worker::default());
            let server = server(&$worker, MetricsLayer::server());
            let $session = || plain(&server);
            $test
        }
        {
            let ($end, mut $counted, $worker) = ("client", Counted::default(), Worker::default());
            let server = server(&$worker, Identity::new());
            let layer = MetricsLayer::client();
            let $session = || layered(&server, &layer);
            $test
        }
    }};
}

/// Lets everything that can happen without time passing happen.
async fn settle() {
    tokio::time::sleep(Duration::from_millis(1)).await;
}

fn duration(end: &str, method: &str, error: Option<&str>) -> String {
    let error = error.map(|error| format!(",error.type={error}")).unwrap_or_default();
    format!("rpc.{end}.call.duration{{rpc.system.name=bowline,rpc.method=Work/{method}{error}}}")
}

fn calls(end: &str, method: &str) -> String {
    format!("bowline.{end}.calls{{rpc.method=Work/{method}}}")
}

fn errors(end: &str, method: &str, error: &str) -> String {
    format!("bowline.{end}.call.errors{{rpc.method=Work/{method},error.type={error}}}")
}

fn in_flight(end: &str) -> String {
    format!("bowline.{end}.calls.in_flight{{}}")
}

/// A walk through all that can happen to a call, in an order that differs from session to session.
#[tokio::test(start_paused = true)]
async fn counters_agree_with_a_count_taken_outside() {
    on_both_ends!(|end, counted, worker, session| {
        let (mut sums, mut ended) = (BTreeMap::<String, f64>::new(), BTreeMap::<String, usize>::new());
        let mut expect = |method: &str, error: Option<&str>| {
            *sums.entry(calls(end, method)).or_default() += 1.0;
            *ended.entry(duration(end, method, error)).or_default() += 1;
            if let Some(error) = error {
                *sums.entry(errors(end, method, error)).or_default() += 1.0;
            }
        };
        let sessions: Vec<_> = (0..5).map(|_| session()).collect();
        let mut random = 0x9e37_79b9_7f4a_7c15_u64;
        for _ in 0..400 {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let work = &sessions[(random >> 40) as usize % sessions.len()];
            match (random >> 33) % 8 {
                0 => {
                    work.quick().await.unwrap();
                    expect("quick", None);
                }
                1 => {
                    work.fails().await.unwrap_err();
                    expect("fails", Some("application"));
                }
                2 => {
                    work.panics().await.unwrap_err();
                    expect("panics", Some("internal"));
                }
                3 => {
                    work.wait().deadline(Duration::from_millis(50)).await.unwrap_err();
                    expect("wait", Some("deadline_exceeded"));
                }
                4 => {
                    let call = tokio::spawn(work.wait());
                    worker.running(1).await;
                    call.abort();
                    expect("wait", Some("cancelled"));
                }
                5 => {
                    assert_eq!(work.three().await.unwrap().collect::<Vec<_>>().await.len(), 3);
                    expect("three", None);
                }
                6 => {
                    drop(work.items().await.unwrap());
                    expect("items", Some("cancelled"));
                }
                _ => {
                    let call = tokio::spawn(work.wait());
                    worker.running(1).await;
                    worker.release(1);
                    call.await.unwrap().unwrap();
                    expect("wait", None);
                }
            }
            worker.running(0).await;
            settle().await;
        }
        // Sessions count too.
        let (mut told, mut durations) = (counted.sums(), counted.value_counts());
        told.retain(|series, _| series.contains(".call"));
        durations.retain(|series, _| series.contains(".call"));
        assert_eq!(told, sums);
        assert_eq!(durations, ended);
    });
}

#[tokio::test(start_paused = true)]
async fn a_call_is_in_flight_until_it_ended_and_a_stream_until_its_own_end() {
    on_both_ends!(|end, counted, worker, session| {
        let work = session();
        let call = tokio::spawn(work.wait());
        worker.running(1).await;
        let mut items = work.items().await.unwrap();
        settle().await;
        assert_eq!(counted.sum(&in_flight(end)), 2.0);
        tokio::time::sleep(Duration::from_secs(3)).await;
        worker.release(1);
        call.await.unwrap().unwrap();
        settle().await;
        assert_eq!(counted.sum(&in_flight(end)), 1.0);
        let [took] = counted.values(&duration(end, "wait", None))[..] else { panic!("one call") };
        assert!((3.0..3.1).contains(&took), "{took}");

        worker.release(1);
        items.next().await.unwrap().unwrap();
        tokio::time::sleep(Duration::from_secs(100)).await;
        assert_eq!(counted.sum(&in_flight(end)), 1.0);
        drop(items);
        settle().await;
        assert_eq!(counted.sum(&in_flight(end)), 0.0);
        let [took] = counted.values(&duration(end, "items", Some("cancelled")))[..] else {
            panic!("one stream")
        };
        assert!((103.0..103.1).contains(&took), "{took}");
    });
}

/// As a handler or layer that computes and does not wait.
fn compute(time: Duration) {
    let _ = tokio::time::advance(time).now_or_never();
}

/// Looks at the clock are shared with the session, and with the calls that came in together.
#[tokio::test(start_paused = true)]
async fn a_call_takes_what_is_computed_for_it_and_not_what_is_for_others() {
    let mut counted = Counted::default();
    // Less than a turn of the dispatcher, so that all of it is one.
    let each = Duration::from_micros(200);
    let computing = MapRequestLayer::new(move |call: Call| {
        compute(each);
        call
    });
    let layers = ServiceBuilder::new().layer(MetricsLayer::server()).layer(computing).into_inner();
    let server = server(&Worker::default(), layers);
    let work = layered(&server, &MetricsLayer::client());
    let (first, second, third) = tokio::join!(work.quick(), work.quick(), work.quick());
    assert_eq!([first, second, third].map(Result::unwrap), [2; 3]);
    assert_eq!(counted.values(&duration("server", "quick", None)), [0.000_2; 3]);
    let at_caller = counted.values(&duration("client", "quick", None));
    assert!(at_caller.iter().all(|took| (0.000_6..0.002).contains(took)), "{at_caller:?}");
}

/// Passes calls on after 3 s.
#[derive(Clone)]
struct Waiting<S>(S);

impl<S> Service<Call> for Waiting<S>
where
    S: Service<Call> + Clone + Send + 'static,
    S::Future: Send,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = BoxFuture<'static, Result<S::Response, S::Error>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.0.poll_ready(cx)
    }

    fn call(&mut self, call: Call) -> Self::Future {
        let mut inner = self.0.clone();
        Box::pin(async move {
            tokio::time::sleep(Duration::from_secs(3)).await;
            inner.call(call).await
        })
    }
}

#[tokio::test(start_paused = true)]
async fn what_a_layer_further_out_waits_for_is_not_the_calls_time() {
    let mut counted = Counted::default();
    let at_server = ServiceBuilder::new().layer(layer_fn(Waiting)).layer(MetricsLayer::server()).into_inner();
    let at_client = ServiceBuilder::new().layer(layer_fn(Waiting)).layer(MetricsLayer::client()).into_inner();
    let server = server(&Worker::default(), at_server);
    let work = layered(&server, &at_client);
    work.quick().await.unwrap();
    for (end, waits) in [("server", 0.0), ("client", 3.0)] {
        let [took] = counted.values(&duration(end, "quick", None))[..] else { panic!("one call") };
        assert!((waits..waits + 0.1).contains(&took), "{end}: {took}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_layers_further_in_refuse_is_counted_by_its_code() {
    let mut counted = Counted::default();
    let timeout = TimeoutLayer::new(Duration::from_secs(1));
    let breaker = BreakerConfig { min_calls: 1, failure_ratio: 1.0, ..BreakerConfig::default() };
    let layers = ServiceBuilder::new()
        .layer(MetricsLayer::server())
        .layer(BreakerLayer::new(breaker).unwrap())
        .layer(timeout)
        .into_inner();
    let server = server(&Worker::default(), layers);
    let work = plain(&server);
    work.wait().await.unwrap_err();
    work.quick().await.unwrap_err();
    work.quick().await.unwrap_err();
    assert_eq!(counted.sum(&errors("server", "wait", "deadline_exceeded")), 1.0);
    assert_eq!(counted.sum(&errors("server", "quick", "unavailable")), 2.0);
    assert_eq!(counted.sum("bowline.breaker.refusals{rpc.service=Work}"), 2.0);
}

#[tokio::test(start_paused = true)]
async fn breakers_are_counted_by_their_state() {
    let mut counted = Counted::default();
    let config = BreakerConfig { min_calls: 1, probes: 1, jitter: 0.0, ..BreakerConfig::default() };
    let layer = BreakerLayer::new(config).unwrap();
    let other = BreakerLayer::default();
    let (one, two) = (server(&Worker::default(), layer.clone()), server(&Worker::default(), other));
    plain(&two).quick().await.unwrap();
    let work = plain(&one);
    let states = |counted: &mut Counted| {
        ["closed", "open", "half_open"]
            .map(|state| counted.sum(&format!("bowline.breaker.state{{rpc.service=Work,state={state}}}")))
    };
    let transitions = |counted: &mut Counted| {
        ["closed", "open", "half_open"].map(|state| {
            counted.sum(&format!("bowline.breaker.transitions{{rpc.service=Work,state={state}}}"))
        })
    };
    work.quick().await.unwrap();
    assert_eq!(states(&mut counted), [2.0, 0.0, 0.0]);
    work.panics().await.unwrap_err();
    assert_eq!(states(&mut counted), [1.0, 1.0, 0.0]);
    tokio::time::sleep(Duration::from_secs(5)).await;
    let probe = tokio::spawn(work.wait());
    settle().await;
    assert_eq!(states(&mut counted), [1.0, 0.0, 1.0]);
    probe.abort();
    settle().await;
    work.quick().await.unwrap();
    assert_eq!(states(&mut counted), [2.0, 0.0, 0.0]);
    assert_eq!(transitions(&mut counted), [1.0, 1.0, 1.0]);
    work.panics().await.unwrap_err();
    drop((work, one, layer));
    settle().await;
    assert_eq!(states(&mut counted), [1.0, 0.0, 0.0]);
}

/// Methods with a name, made while the program runs as no real program does.
fn service(number: usize) -> &'static ServiceDescriptor {
    let method = MethodDescriptor {
        name: "method",
        kind: MethodKind::Unary,
        retry: Retry::Never,
        hash: 0,
        deadline: None,
        lag: Lag::Close,
    };
    let name: &'static str = Box::leak(format!("Service{number}").into_boxed_str());
    Box::leak(Box::new(ServiceDescriptor { name, methods: Box::leak(Box::new([method])) }))
}

#[tokio::test(start_paused = true)]
async fn methods_of_services_beyond_the_bound_are_other() {
    let mut counted = Counted::default();
    let peer = Peer::client(Default::default());
    let layer = MetricsLayer::client();
    let channel = bowline_rpc::Channel::with_stack(&peer, layer.layer(peer.endpoint()));
    for round in 0..2 {
        for number in 0..70 {
            let call = bowline_rpc::CallFuture::<u32>::new(&channel, service_once(number), 0, &());
            let _ = tokio::time::timeout(Duration::from_millis(1), call).await;
        }
        let named = counted.sums().keys().filter(|key| key.contains(".calls{rpc.method=Service")).count();
        assert_eq!(named, 64);
        let others = 6.0 * f64::from(round + 1);
        assert_eq!(counted.sum("bowline.client.calls{rpc.method=_OTHER}"), others);
        // The session has no room for their declarations either.
        let errors = "bowline.client.call.errors{rpc.method=_OTHER,error.type=resource_exhausted}";
        assert_eq!(counted.sum(errors), others);
    }
}

/// The same descriptor each time, as in a real program.
fn service_once(number: usize) -> &'static ServiceDescriptor {
    use std::sync::{LazyLock, Mutex};
    static MADE: LazyLock<Mutex<Vec<&'static ServiceDescriptor>>> = LazyLock::new(Mutex::default);
    let mut made = MADE.lock().unwrap();
    while made.len() <= number {
        let next = made.len();
        made.push(service(next));
    }
    made[number]
}

/// No future has to stand that, and some do.
#[tokio::test(start_paused = true)]
async fn an_answer_that_is_asked_for_twice_is_one_call() {
    let mut counted = Counted::default();
    let answer = || Reply::from(Status::new(Code::Unavailable, "not now"));
    let inner = service_fn(move |_: Call| poll_fn(move |_| Poll::Ready(Ok::<_, BoxError>(answer()))));
    let metered = MetricsLayer::client().layer(inner);
    let twice = service_fn(move |call: Call| {
        let mut call = Box::pin(metered.clone().call(call));
        poll_fn(move |cx| {
            assert!(call.as_mut().poll(cx).is_ready());
            call.as_mut().poll(cx)
        })
    });
    let channel = bowline_rpc::Channel::with_stack(&Peer::client(Default::default()), twice);
    let call = bowline_rpc::CallFuture::<u32>::new(&channel, service_once(0), 0, &());
    assert!(matches!(call.await, Err(CallError::Unavailable { .. })));
    let errors = "bowline.client.call.errors{rpc.method=Service0/method,error.type=unavailable}";
    assert_eq!((counted.sum(errors), counted.sum(&in_flight("client"))), (1.0, 0.0));
}

#[tokio::test(start_paused = true)]
async fn a_call_that_nobody_answers_is_in_flight_and_then_late() {
    let mut counted = Counted::default();
    let (work, _other_end) = unanswered(&MetricsLayer::client());
    let call = tokio::spawn(work.wait().deadline(Duration::from_secs(2)));
    settle().await;
    assert_eq!(counted.sum(&in_flight("client")), 1.0);
    call.await.unwrap().unwrap_err();
    assert_eq!(counted.sum(&in_flight("client")), 0.0);
    assert_eq!(counted.sum(&errors("client", "wait", "deadline_exceeded")), 1.0);
}

#[test]
fn names_are_told_apart_and_keep_to_the_conventions() {
    let mut seen = BTreeSet::new();
    for metric in names::ALL {
        assert!(seen.insert(metric.name), "`{}` stands twice", metric.name);
        assert!(metric.name.starts_with("bowline.") || metric.name.starts_with("rpc."), "{}", metric.name);
        assert!(!metric.about.is_empty() && metric.about.ends_with('.'), "{}", metric.name);
        let unit = metric.unit;
        assert!(matches!(unit, "s" | "By") || (unit.starts_with('{') && unit.ends_with('}')), "{unit}");
        assert_eq!(metric.kind == Kind::Histogram, unit == "s", "{}", metric.name);
    }
}

#[test]
fn the_recorder_is_told_what_each_metric_is() {
    use metrics_util::debugging::DebuggingRecorder;
    let recorder = DebuggingRecorder::new();
    let snapshotter = recorder.snapshotter();
    metrics::with_local_recorder(&recorder, || {
        names::describe();
        for metric in names::ALL {
            match metric.kind {
                Kind::Counter => metrics::counter!(metric.name).increment(1),
                Kind::UpDownCounter => metrics::gauge!(metric.name).increment(1),
                _ => metrics::histogram!(metric.name).record(1),
            }
        }
    });
    let told = snapshotter.snapshot().into_vec();
    assert_eq!(told.len(), names::ALL.len());
    for (key, unit, about, _) in told {
        let metric = names::ALL.iter().find(|metric| metric.name == key.key().name()).unwrap();
        assert_eq!(about.as_deref(), Some(metric.about));
        let expected = match metric.unit {
            "s" => metrics::Unit::Seconds,
            "By" => metrics::Unit::Bytes,
            _ => metrics::Unit::Count,
        };
        assert_eq!(unit, Some(expected), "{}", metric.name);
    }
}

/// The trait bounds that a stack asks for hold on every target.
#[test]
fn layers_fit_each_other_in_any_order() {
    fn fits<L>(layer: L)
    where
        L: Layer<bowline_rpc::Router>,
        L::Service: Service<Call, Response = Reply> + Send + 'static,
        <L::Service as Service<Call>>::Future: Send + 'static,
    {
        drop(layer.layer(bowline_rpc::Router::new()));
    }
    fits(ServiceBuilder::new().layer(MetricsLayer::server()).layer(BreakerLayer::default()).into_inner());
    fits(ServiceBuilder::new().layer(BreakerLayer::default()).layer(MetricsLayer::server()).into_inner());
}
