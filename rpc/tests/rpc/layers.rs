//! Tower's contract at both ends, with a mock service and with tower's own layers.

use std::future::{Future, poll_fn};
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use crate::support::{Ends, Stub, assert_empty, settle};
use bowline_protocol::status::{Code, Delivery, Status};
use bowline_rpc::{BoxError, Call, CallError, CallFuture, Channel, Reply, StreamEnd};
use futures_util::{FutureExt, StreamExt};
use tower::limit::ConcurrencyLimitLayer;
use tower::{Layer, Service, ServiceBuilder};

/// A stack that is ready when the test says so, and tells what it was asked.
#[derive(Clone, Default)]
struct Gate(Arc<Mutex<Asked>>);

#[derive(Default)]
struct Asked {
    permits: usize,
    /// How often readiness was asked for.
    asked: usize,
    /// Methods in the order in which they passed.
    passed: Vec<&'static str>,
    waker: Option<Waker>,
}

impl Gate {
    fn open(&self, permits: usize) {
        let mut asked = self.0.lock().unwrap();
        asked.permits += permits;
        if let Some(waker) = asked.waker.take() {
            waker.wake();
        }
    }

    fn asked(&self) -> usize {
        self.0.lock().unwrap().asked
    }

    fn passed(&self) -> Vec<&'static str> {
        self.0.lock().unwrap().passed.clone()
    }
}

#[derive(Clone)]
struct Gated<S>(Gate, S);

impl<S> Layer<S> for Gate {
    type Service = Gated<S>;

    fn layer(&self, inner: S) -> Gated<S> {
        Gated(self.clone(), inner)
    }
}

impl<S: Service<Call>> Service<Call> for Gated<S> {
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        let mut asked = self.0.0.lock().unwrap();
        asked.asked += 1;
        if asked.permits == 0 {
            asked.waker = Some(cx.waker().clone());
            return Poll::Pending;
        }
        drop(asked);
        self.1.poll_ready(cx)
    }

    fn call(&mut self, call: Call) -> S::Future {
        let mut asked = self.0.0.lock().unwrap();
        asked.permits = asked.permits.checked_sub(1).expect("a call passes only when the stack was ready");
        asked.passed.push(call.method_name());
        drop(asked);
        self.1.call(call)
    }
}

async fn poll_once<F: Future + Unpin>(future: &mut F) -> Poll<F::Output> {
    poll_fn(|cx| Poll::Ready(Pin::new(&mut *future).poll(cx))).await
}

fn client_layers(ends: &Ends, gate: &Gate) -> Stub {
    Stub::new(&Channel::with_stack(&ends.client, gate.layer(ends.client.endpoint())))
}

#[tokio::test(start_paused = true)]
async fn a_session_without_a_waiting_call_asks_nothing_of_its_stack() {
    let gate = Gate::default();
    gate.open(10);
    let ends = Ends::layered(|router| gate.layer(router)).await;
    settle().await;
    assert_eq!(gate.asked(), 0);
    ends.stub().echo(1).await.unwrap();
    settle().await;
    assert_eq!(gate.asked(), 1);
}

#[tokio::test(start_paused = true)]
async fn received_calls_wait_in_order_and_everything_else_goes_on() {
    let gate = Gate::default();
    gate.open(1);
    let ends = Ends::layered(|router| gate.layer(router)).await;
    let stub = ends.stub();
    let mut items = stub.endless(1000).await.unwrap();

    let mut first = stub.echo(1);
    let mut second = stub.slow(1, 2);
    assert!(poll_once(&mut first).await.is_pending() && poll_once(&mut second).await.is_pending());
    settle().await;
    // Items and credit of the open stream don't pass through the stack.
    for _ in 0..500 {
        items.next().await.unwrap().unwrap();
    }
    gate.open(1);
    assert_eq!(first.await, Ok(1));
    gate.open(1);
    assert_eq!(second.await, Ok(2));
    assert_eq!(gate.passed(), ["endless", "echo", "slow"]);
}

#[tokio::test(start_paused = true)]
async fn a_received_call_that_vanishes_gives_its_turn_to_the_next() {
    let gate = Gate::default();
    let ends = Ends::layered(|router| gate.layer(router)).await;
    let stub = ends.stub();
    let (mut first, mut second) = (stub.hang(), stub.echo(2));
    assert!(poll_once(&mut first).await.is_pending() && poll_once(&mut second).await.is_pending());
    settle().await;
    drop(first);
    settle().await;
    gate.open(1);
    assert_eq!(second.await, Ok(2));
    assert_eq!(gate.passed(), ["echo"]);
    settle().await;
    assert_empty(&ends.client);
    assert_empty(&ends.server);
}

#[tokio::test(start_paused = true)]
async fn a_received_calls_deadline_passes_while_it_waits_for_the_stack() {
    let gate = Gate::default();
    let ends = Ends::layered(|router| gate.layer(router)).await;
    let late = ends.stub().echo(1).deadline(Duration::from_millis(20)).await;
    assert!(matches!(late, Err(CallError::DeadlineExceeded(_))));
    settle().await;
    assert_empty(&ends.server);
    gate.open(1);
    assert_eq!(ends.stub().slow(0, 2).await, Ok(2));
    assert_eq!(gate.passed(), ["slow"]);
}

#[tokio::test(start_paused = true)]
async fn a_callers_stack_is_asked_with_a_call_in_hand_and_in_order() {
    let ends = Ends::new().await;
    let gate = Gate::default();
    let stub = client_layers(&ends, &gate);
    settle().await;
    assert_eq!(gate.asked(), 0);

    let (mut first, mut second, mut third) = (stub.echo(1), stub.slow(0, 2), stub.who("x"));
    assert!(poll_once(&mut first).await.is_pending());
    assert!(poll_once(&mut second).await.is_pending());
    assert!(poll_once(&mut third).await.is_pending());
    // The second vanishes in the queue, the first while the stack is asked for it.
    drop(second);
    drop(first);
    gate.open(1);
    assert_eq!(third.await, Ok(None));
    assert_eq!(gate.passed(), ["who"]);
    assert_eq!(gate.0.lock().unwrap().permits, 0);
    assert_empty(&ends.client);
}

#[tokio::test(start_paused = true)]
async fn nobody_goes_past_a_call_that_waits_for_its_callers_stack() {
    let ends = Ends::new().await;
    let gate = Gate::default();
    let stub = client_layers(&ends, &gate);
    let mut first = stub.echo(1);
    assert!(poll_once(&mut first).await.is_pending());
    // It was woken, and has not run yet.
    gate.open(2);
    let mut second = stub.slow(0, 2);
    assert!(poll_once(&mut second).await.is_pending());
    assert!(gate.passed().is_empty());
    assert_eq!((first.await, second.await), (Ok(1), Ok(2)));
    assert_eq!(gate.passed(), ["echo", "slow"]);
    // Nobody waits any more.
    gate.open(1);
    let asked = gate.asked();
    assert!(poll_once(&mut stub.hang()).await.is_pending());
    assert_eq!((gate.asked(), gate.passed()), (asked + 1, vec!["echo", "slow", "hang"]));
}

/// What makes a call of its own while it is asked to make one, and panics at calls of `fail`.
struct Curious<S>(S, Arc<Own>);

#[derive(Default)]
struct Own {
    stub: Mutex<Option<Stub>>,
    call: Mutex<Option<CallFuture<u64>>>,
    woken: AtomicUsize,
}

impl Wake for Own {
    fn wake(self: Arc<Self>) {
        self.woken.fetch_add(1, Ordering::SeqCst);
    }
}

impl<S: Service<Call>> Service<Call> for Curious<S> {
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.0.poll_ready(cx)
    }

    fn call(&mut self, call: Call) -> S::Future {
        assert_ne!(call.method_name(), "fail");
        let stub = self.1.stub.lock().unwrap().take();
        if let Some(mut own) = stub.map(|stub| stub.echo(7)) {
            let waker = Waker::from(self.1.clone());
            assert!(
                Pin::new(&mut own).poll(&mut Context::from_waker(&waker)).is_pending(),
                "the stack is taken"
            );
            *self.1.call.lock().unwrap() = Some(own);
        }
        self.0.call(call)
    }
}

fn curious(ends: &Ends) -> (Stub, Arc<Own>) {
    let own = Arc::new(Own::default());
    let stack = Curious(ends.client.endpoint(), own.clone());
    (Stub::new(&Channel::with_stack(&ends.client, stack)), own)
}

#[tokio::test(start_paused = true)]
async fn a_layer_may_make_a_call_while_it_is_asked_to_make_one() {
    let ends = Ends::new().await;
    let (stub, own) = curious(&ends);
    *own.stub.lock().unwrap() = Some(stub.clone());
    assert_eq!(stub.echo(1).await, Ok(1));
    assert!(own.woken.load(Ordering::SeqCst) > 0, "its turn has come");
    let call = own.call.lock().unwrap().take().unwrap();
    assert_eq!(call.await, Ok(7));
    settle().await;
    assert_empty(&ends.client);
}

#[tokio::test(start_paused = true)]
async fn a_layer_that_panicked_is_asked_again() {
    let ends = Ends::new().await;
    let (stub, _) = curious(&ends);
    let mut call = stub.fail("x");
    let panicked = AssertUnwindSafe(&mut call).catch_unwind().await;
    assert!(panicked.is_err());
    assert!(call.key().is_none() && call.channel().is_none(), "it was polled");
    assert_eq!(stub.echo(1).await, Ok(1));
}

#[tokio::test(start_paused = true)]
async fn a_callers_deadline_passes_while_it_waits_for_the_stack() {
    let ends = Ends::new().await;
    let gate = Gate::default();
    let stub = client_layers(&ends, &gate);
    let start = bowline_runtime::now();
    let late = stub.echo(1).deadline(Duration::from_millis(20)).await;
    assert_eq!(late, Err(CallError::DeadlineExceeded(Delivery::NotSent)));
    assert_eq!(bowline_runtime::now() - start, Duration::from_millis(20));
    gate.open(1);
    assert_eq!(stub.echo(2).await, Ok(2));
}

#[tokio::test(start_paused = true)]
async fn every_kind_of_call_passes_a_callers_layers() {
    let ends = Ends::new().await;
    let gate = Gate::default();
    gate.open(10);
    let stub = client_layers(&ends, &gate);
    assert_eq!(stub.fail("x").await, Err(CallError::Application("x".into())));
    assert_eq!(stub.count(3).await.unwrap().map(Result::unwrap).collect::<Vec<_>>().await, [0, 1, 2]);
    assert_eq!(stub.sum(0, futures_util::stream::iter([1, 2])).await, Ok(3));
    let both = stub.double(futures_util::stream::iter([1, 2])).await.unwrap();
    assert_eq!(both.map(Result::unwrap).collect::<Vec<_>>().await, [2, 4]);
    assert_eq!(stub.newest().await.unwrap().next().await, Some(Ok(0)));
    stub.note().await.unwrap();
    assert_eq!(stub.open(Some("no")).await.unwrap_err(), CallError::Application("no".into()));
    assert_eq!(gate.passed(), ["fail", "count", "sum", "double", "newest", "note", "open"]);
    settle().await;
    assert_empty(&ends.client);
    assert_empty(&ends.server);
}

#[tokio::test(start_paused = true)]
async fn a_dropped_call_is_withdrawn_through_layers() {
    let ends = Ends::new().await;
    let gate = Gate::default();
    gate.open(1);
    let mut call = client_layers(&ends, &gate).hang();
    assert!(poll_once(&mut call).await.is_pending());
    settle().await;
    assert_eq!(ends.handlers.started(), 1);
    drop(call);
    settle().await;
    assert_eq!(ends.handlers.dropped(), 1);
    assert_empty(&ends.client);
    assert_empty(&ends.server);
}

/// As the middleware crate does it, for the errors of this test.
fn status_of(error: &BoxError) -> Status {
    if error.is::<tower::timeout::error::Elapsed>() {
        return Status::new(Code::DeadlineExceeded, "a layer's time was up");
    }
    if error.is::<tower::load_shed::error::Overloaded>() {
        return Status::new(Code::ResourceExhausted, "too many calls");
    }
    bowline_rpc::status_of(error)
}

#[tokio::test(start_paused = true)]
async fn towers_own_layers_work_unchanged_at_both_ends() {
    let layers = || {
        ServiceBuilder::new()
            .load_shed()
            .layer(ConcurrencyLimitLayer::new(2))
            .timeout(Duration::from_millis(100))
    };
    let ends = Ends::layered(|router| {
        ServiceBuilder::new()
            .map_err(|error: BoxError| BoxError::from(status_of(&error)))
            .layer(layers())
            .service(router)
    })
    .await;
    let plain = ends.stub();
    let layered =
        Channel::with_stack(&ends.client, layers().service(ends.client.endpoint())).with_status_of(status_of);
    for stub in [plain, Stub::new(&layered)] {
        let (one, two, three) = futures_util::join!(stub.slow(10, 1), stub.slow(10, 2), stub.slow(10, 3));
        assert_eq!((one, two), (Ok(1), Ok(2)));
        assert_eq!(three.unwrap_err().code(), Some(Code::ResourceExhausted));
        assert_eq!(stub.slow(500, 1).await.unwrap_err().code(), Some(Code::DeadlineExceeded));
        settle().await;
        assert_empty(&ends.client);
        assert_empty(&ends.server);
    }
}

#[tokio::test(start_paused = true)]
async fn an_unknown_error_of_a_layer_is_internal_and_tells_nothing() {
    let ends = Ends::layered(|router| {
        ServiceBuilder::new()
            .filter(|call: Call| {
                if call.method_name() == "echo" {
                    Err(BoxError::from("the password is swordfish"))
                } else {
                    Ok(call)
                }
            })
            .service(router)
    })
    .await;
    let error = ends.stub().echo(1).await.unwrap_err();
    assert!(matches!(error, CallError::Internal { id } if id != 0), "{error:?}");
    assert_eq!(ends.stub().slow(0, 1).await, Ok(1));
}

#[tokio::test(start_paused = true)]
async fn a_layer_can_follow_a_stream_to_its_end() {
    let ended = Arc::new(Mutex::new(Vec::new()));
    let log = ended.clone();
    let ends = Ends::layered(|router| {
        ServiceBuilder::new()
            .map_response(move |reply: Reply| {
                let log = log.clone();
                reply.on_end(move |end: &StreamEnd| log.lock().unwrap().push(end.clone()))
            })
            .service(router)
    })
    .await;
    let take = || std::mem::take(&mut *ended.lock().unwrap());
    let stub = ends.stub();
    stub.echo(1).await.unwrap();
    assert_eq!(take(), [StreamEnd::Over]);
    let stream = stub.count(2).await.unwrap();
    assert_eq!(stream.count().await, 2);
    assert_eq!(take(), [StreamEnd::Over]);
    assert_eq!(stub.failing().await.unwrap().count().await, 2);
    assert_eq!(take(), [StreamEnd::Application]);
    let stream = stub.hang_stream().await.unwrap();
    assert_eq!(take(), []);
    drop(stream);
    settle().await;
    assert_eq!(take(), [StreamEnd::Dropped]);
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_passed_layers_keeps_its_channels_lease() {
    let ends = Ends::new().await;
    let lease = Arc::new(());
    let channel = || Channel::with_stack(&ends.client, ends.client.endpoint()).with_lease(lease.clone());
    let mut call = Stub::new(&channel()).hang();
    assert!(poll_once(&mut call).await.is_pending());
    assert!(Arc::strong_count(&lease) > 1);
    drop(call);
    assert_eq!(Arc::strong_count(&lease), 1);
    // One that can subscribe again holds the channel for that.
    for asks_again in [true, false] {
        for is_layered in [true, false] {
            let plain = || ends.client.channel().with_lease(lease.clone());
            let stream = Stub::new(&if is_layered { channel() } else { plain() }).hang_stream();
            let stream = if asks_again { stream } else { stream.no_resubscribe() }.await.unwrap();
            assert!(Arc::strong_count(&lease) > 1);
            drop(stream);
            assert_eq!(Arc::strong_count(&lease), 1);
        }
    }
}
