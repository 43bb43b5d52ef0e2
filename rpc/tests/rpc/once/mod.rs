//! `once` calls: one run for each key, to its end, whatever happens to calls, sessions and links.

use std::future::{Future, pending, poll_fn, ready};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bowline_protocol::codec::{Arguments, Codec, Payload};
use bowline_protocol::envelope::{
    self as wire, CallOpen, Encoder, Envelope, GapReason, OnceKey, Outcome, Sequenced,
};
use bowline_protocol::once::OnceLimits;
use bowline_protocol::schema::{Lag, MethodDescriptor, MethodKind, Retry, ServiceDescriptor};
use bowline_protocol::session::{CallId, Config, Event, Failure, Request, Session, Welcoming};
use bowline_protocol::status::{Code, Delivery, Status};
use bowline_rpc::{
    BoxError, Call, Cancellation, Dispatcher, OnceStore, Peer, Reply, ReplyFuture, Router, Service,
    SessionInfo, macros, status_of,
};
use bowline_runtime::{now, random_bytes, random_u128};
use tokio::sync::{Notify, Semaphore};
use tokio::task::JoinHandle;
use tower::Layer;

use crate::support::settle;

const fn method(name: &'static str, retry: Retry) -> MethodDescriptor {
    MethodDescriptor { name, kind: MethodKind::Unary, retry, hash: 1, deadline: None, lag: Lag::Close }
}

static SERVICE: ServiceDescriptor = ServiceDescriptor {
    name: "Bank",
    methods: &[
        method("pay", Retry::Once),
        method("hold", Retry::Once),
        method("explode", Retry::Once),
        method("refuse", Retry::Once),
        method("look", Retry::Idempotent),
        method("also_pay", Retry::Once),
    ],
};

const PAY: usize = 0;
/// Runs until it is released.
const HOLD: usize = 1;
const EXPLODE: usize = 2;
const REFUSE: usize = 3;
const LOOK: usize = 4;
const ALSO_PAY: usize = 5;

#[derive(Default)]
struct Bank {
    started: AtomicU64,
    ended: AtomicU64,
    dropped: AtomicU64,
    release: Notify,
    cancellation: std::sync::Mutex<Option<Cancellation>>,
    order: std::sync::Mutex<Vec<u64>>,
}

impl Bank {
    fn counts(&self) -> (u64, u64) {
        (self.started.load(Ordering::SeqCst), self.ended.load(Ordering::SeqCst))
    }
}

struct Dropped(Arc<Bank>);

impl Drop for Dropped {
    fn drop(&mut self) {
        self.0.dropped.fetch_add(1, Ordering::SeqCst);
    }
}

#[derive(Clone)]
struct Served(Arc<Bank>);

impl Service for Served {
    fn descriptor(&self) -> &'static ServiceDescriptor {
        &SERVICE
    }

    fn dispatch(&self, call: Call) -> ReplyFuture {
        let bank = self.0.clone();
        let index = call.method_index();
        macros::unary(call, move |cx, amount: u64| async move {
            let number = bank.started.fetch_add(1, Ordering::SeqCst) + 1;
            bank.order.lock().unwrap().push(amount);
            *bank.cancellation.lock().unwrap() = Some(cx.cancellation());
            let _dropped = Dropped(bank.clone());
            if matches!(index, HOLD | EXPLODE | LOOK) {
                bank.release.notified().await;
            }
            assert!(index != EXPLODE, "the bank is gone");
            bank.ended.fetch_add(1, Ordering::SeqCst);
            if index == REFUSE { Err(format!("refused {number}")) } else { Ok(number * 1000 + amount) }
        })
    }
}

/// A server's end of one session, as a node has many.
struct Node {
    store: OnceStore,
    bank: Arc<Bank>,
}

struct End {
    peer: Peer,
    dispatcher: JoinHandle<()>,
}

impl Node {
    fn new(limits: OnceLimits) -> Self {
        crate::support::log::start();
        Self { store: OnceStore::new(limits), bank: Arc::default() }
    }

    fn serve<S>(&self, scope: u128, layer: impl FnOnce(Router) -> S) -> End
    where
        S: tower::Service<Call, Response = Reply> + Send + 'static,
        S::Error: Into<BoxError> + 'static,
        S::Future: Send + 'static,
    {
        let router = Router::new().add(Served(self.bank.clone()));
        let peer = Peer::server(Config { services: router.descriptors(), ..Config::default() });
        peer.handle_connected();
        let info = SessionInfo { scope, ..SessionInfo::default() };
        let mut dispatcher = Dispatcher::new(&peer, layer(router), info, status_of).once(self.store.clone());
        let dispatcher =
            tokio::spawn(async move { poll_fn(|cx| dispatcher.poll(cx).map(|never| match never {})).await });
        End { peer, dispatcher }
    }

    async fn link(&self) -> Link {
        self.link_as(1).await
    }

    async fn link_as(&self, scope: u128) -> Link {
        self.link_through(Caller::new(), scope, |router| router).await
    }

    async fn link_through<S>(&self, caller: Caller, scope: u128, layer: impl FnOnce(Router) -> S) -> Link
    where
        S: tower::Service<Call, Response = Reply> + Send + 'static,
        S::Error: Into<BoxError> + 'static,
        S::Future: Send + 'static,
    {
        let mut caller = caller;
        let served = self.serve(scope, layer);
        caller.session.handle_connected(now());
        let mut link = Link { caller, served };
        link.carry().await;
        assert!(link.caller.session.is_live());
        link
    }

    /// The session of `link` is lost, and the same client begins another.
    async fn lose(&self, link: Link) -> Link {
        let Link { mut caller, served, .. } = link;
        caller.session.handle_disconnect(now(), None);
        served.peer.handle_disconnect(None);
        served.peer.end();
        served.dispatcher.abort();
        settle().await;
        self.link_through(caller, 1, |router| router).await
    }
}

/// A client without anything around its machine, so that tests choose the keys.
struct Caller {
    session: Session,
    answers: Vec<(CallId, Result<Vec<u8>, Failure>)>,
}

impl Caller {
    fn new() -> Self {
        Self { session: Session::client(Config::default(), random_u128()), answers: Vec::new() }
    }

    fn ask(&mut self, method: usize, key: u128, amount: u64) -> CallId {
        self.ask_within(method, key, amount, Duration::from_secs(100))
    }

    fn ask_within(&mut self, method: usize, key: u128, amount: u64, time: Duration) -> CallId {
        let request = Request {
            service: &SERVICE,
            method,
            arguments: Arguments::new(&amount).unwrap(),
            deadline: Some(now() + time),
            metadata: Vec::new(),
            depth: 0,
            once: Some(key),
            queued: None,
        };
        self.session.call(now(), request).unwrap()
    }

    fn answer(&mut self, call: CallId) -> Option<Result<Vec<u8>, Failure>> {
        while let Some(event) = self.session.poll_event() {
            if let Event::Response { call, result } = event {
                self.answers.push((call, result.map(|(_, buffer)| buffer.to_vec())));
            }
        }
        let place = self.answers.iter().position(|answer| answer.0 == call)?;
        Some(self.answers.remove(place).1)
    }

    fn number(&mut self, call: CallId) -> u64 {
        let bytes = self.answer(call).expect("the call has ended").unwrap();
        u64::decode(Codec::Rkyv, &bytes::Bytes::from(bytes).into()).unwrap()
    }

    fn status(&mut self, call: CallId) -> Status {
        match self.answer(call).expect("the call has ended") {
            Err(Failure::Status(status)) => status,
            other => panic!("{other:?}"),
        }
    }
}

/// A client and its session at the node.
struct Link {
    caller: Caller,
    served: End,
}

impl Link {
    /// Everything that can arrive arrives.
    async fn carry(&mut self) {
        let mut quiet = 0;
        while quiet < 2 {
            let there = self.send();
            settle().await;
            quiet = if there | self.receive() { 0 } else { quiet + 1 };
        }
    }

    fn send(&mut self) -> bool {
        let mut carried = false;
        while let Some(message) = self.caller.session.poll_transmit(now()) {
            self.served.peer.handle_message(message);
            carried = true;
        }
        let mut cx = Context::from_waker(Waker::noop());
        if let Poll::Ready(hello) = self.served.peer.poll_hello(&mut cx) {
            let mut welcoming = Welcoming::new(random_u128(), random_bytes(), random_u128());
            if hello.resume.is_some() {
                let reason = GapReason::Unknown;
                welcoming.outcome = Outcome::Gap { reason, lost_from: 0, lost_to: None };
            }
            self.served.peer.welcome(welcoming);
        }
        carried
    }

    fn receive(&mut self) -> bool {
        let mut carried = false;
        let mut cx = Context::from_waker(Waker::noop());
        while let Poll::Ready(message) = self.served.peer.poll_transmit(&mut cx) {
            self.caller.session.handle_message(now(), message);
            carried = true;
        }
        carried
    }

    /// Lets the time of both ends pass.
    async fn pass(&mut self, time: Duration) {
        tokio::time::sleep(time).await;
        self.caller.session.handle_timeout(now());
        self.served.peer.handle_timeout();
        self.carry().await;
    }
}

fn node() -> Node {
    Node::new(OnceLimits::default())
}

#[tokio::test(start_paused = true)]
async fn a_repeat_waits_for_the_first_and_gets_its_answer() {
    let node = node();
    let mut link = node.link().await;
    let first = link.caller.ask(HOLD, 1, 7);
    let repeat = link.caller.ask(HOLD, 1, 7);
    link.carry().await;
    // From another session of the same caller, too.
    let mut other = node.link().await;
    let third = other.caller.ask(HOLD, 1, 7);
    other.carry().await;
    assert_eq!(node.bank.counts(), (1, 0));
    assert!(link.caller.answer(first).is_none() && link.caller.answer(repeat).is_none());

    node.bank.release.notify_one();
    link.carry().await;
    other.carry().await;
    assert_eq!((link.caller.number(first), link.caller.number(repeat)), (1007, 1007));
    assert_eq!(other.caller.number(third), 1007);
    assert_eq!(node.bank.counts(), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn a_repeat_after_the_end_gets_what_was_recorded() {
    let node = node();
    let mut link = node.link().await;
    for (method, key) in [(PAY, 1), (REFUSE, 2)] {
        let first = link.caller.ask(method, key, 7);
        link.carry().await;
        let answer = format!("{:?}", link.caller.answer(first).unwrap());
        let repeat = link.caller.ask(method, key, 7);
        link.carry().await;
        assert_eq!(format!("{:?}", link.caller.answer(repeat).unwrap()), answer);
    }
    assert_eq!(node.bank.counts(), (2, 2));
}

#[tokio::test(start_paused = true)]
async fn a_lost_session_does_not_run_a_call_twice() {
    let node = node();
    let mut link = node.link().await;
    let held = link.caller.ask(HOLD, 1, 7);
    link.carry().await;
    // This one ends, and its answer is lost with the session.
    let paid = link.caller.ask(PAY, 2, 8);
    link.send();
    settle().await;
    assert_eq!(node.bank.counts(), (2, 1));

    let mut link = node.lose(link).await;
    link.carry().await;
    assert_eq!(node.bank.counts(), (2, 1), "nothing ran again");
    assert_eq!(link.caller.number(paid), 2008);
    node.bank.release.notify_one();
    link.carry().await;
    assert_eq!(link.caller.number(held), 1007);
    assert_eq!(node.bank.counts(), (2, 2));
}

#[tokio::test(start_paused = true)]
async fn after_a_restart_the_outcome_is_unknown_and_nothing_runs() {
    let before = node();
    let mut link = before.link().await;
    let call = link.caller.ask(HOLD, 1, 7);
    link.carry().await;
    assert_eq!(before.bank.counts(), (1, 0));

    let after = node();
    let mut link = after.lose(link).await;
    link.carry().await;
    assert_eq!(link.caller.status(call).code, Code::OutcomeUnknown);
    assert_eq!(after.bank.counts(), (0, 0));
    // Calls that were never made there run.
    let next = link.caller.ask(PAY, 2, 8);
    link.carry().await;
    assert_eq!(link.caller.number(next), 1008);
}

#[tokio::test(start_paused = true)]
async fn a_started_handler_runs_to_its_end_when_its_call_is_cancelled() {
    let node = node();
    let mut link = node.link().await;
    let call = link.caller.ask(HOLD, 1, 7);
    link.carry().await;
    link.caller.session.cancel(now(), call);
    link.carry().await;
    assert_eq!(node.bank.dropped.load(Ordering::SeqCst), 0);
    let cancellation = node.bank.cancellation.lock().unwrap().clone().unwrap();
    assert!(!cancellation.is_cancelled(), "what it started elsewhere goes on as well");

    node.bank.release.notify_one();
    settle().await;
    assert_eq!(node.bank.counts(), (1, 1));
    let repeat = link.caller.ask(HOLD, 1, 7);
    link.carry().await;
    assert_eq!(link.caller.number(repeat), 1007);
    assert_eq!(link.served.peer.stats().slots, 0);
}

#[tokio::test(start_paused = true)]
async fn a_started_handler_runs_to_its_end_when_its_time_is_up() {
    let node = node();
    let mut link = node.link().await;
    let call = link.caller.ask_within(HOLD, 1, 7, Duration::from_secs(1));
    link.carry().await;
    link.pass(Duration::from_secs(2)).await;
    assert!(matches!(
        link.caller.answer(call),
        Some(Err(Failure::DeadlineExceeded(Delivery::OutcomeUnknown)))
    ));
    node.bank.release.notify_one();
    settle().await;
    assert_eq!(node.bank.counts(), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn a_started_handler_runs_to_its_end_when_its_dispatcher_is_gone() {
    let node = node();
    let mut link = node.link().await;
    let call = link.caller.ask(HOLD, 1, 7);
    link.carry().await;
    link.served.dispatcher.abort();
    link.carry().await;
    assert_eq!(link.caller.status(call).code, Code::OutcomeUnknown);
    node.bank.release.notify_one();
    settle().await;
    assert_eq!(node.bank.counts(), (1, 1));
    assert_eq!(node.store.stats().running, 0);
}

#[tokio::test(start_paused = true)]
async fn handlers_end_with_the_last_clone_of_the_store() {
    let node = node();
    let mut link = node.link().await;
    link.caller.ask(HOLD, 1, 7);
    link.carry().await;
    let Node { store, bank } = node;
    drop(store);
    link.served.dispatcher.abort();
    settle().await;
    assert_eq!((bank.counts(), bank.dropped.load(Ordering::SeqCst)), ((1, 0), 1));
}

#[tokio::test(start_paused = true)]
async fn whoever_stops_can_wait_for_what_runs() {
    let node = node();
    node.store.finished().await;
    let mut link = node.link().await;
    link.caller.ask(HOLD, 1, 7);
    link.caller.ask(HOLD, 2, 7);
    link.carry().await;
    let mut finished = Box::pin(node.store.finished());
    for _ in 0..2 {
        assert!(tokio::time::timeout(Duration::from_secs(60), &mut finished).await.is_err());
        node.bank.release.notify_one();
    }
    finished.await;
    assert_eq!(node.bank.counts(), (2, 2));
}

#[tokio::test(start_paused = true)]
async fn a_panic_is_recorded_as_an_internal_error() {
    let node = node();
    let mut link = node.link().await;
    let call = link.caller.ask(EXPLODE, 1, 7);
    link.carry().await;
    node.bank.release.notify_one();
    link.carry().await;
    let status = link.caller.status(call);
    assert_eq!((status.code, status.detail != 0), (Code::Internal, true));
    let repeat = link.caller.ask(EXPLODE, 1, 7);
    link.carry().await;
    assert_eq!(link.caller.status(repeat), status);
    assert_eq!(node.bank.counts(), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn a_key_with_other_arguments_is_refused() {
    let node = node();
    let mut link = node.link().await;
    let first = link.caller.ask(HOLD, 1, 7);
    let other = link.caller.ask(HOLD, 1, 8);
    link.carry().await;
    assert_eq!(link.caller.status(other).code, Code::InvalidArgument);
    node.bank.release.notify_one();
    link.carry().await;
    assert_eq!(link.caller.number(first), 1007);
    let after = link.caller.ask(HOLD, 1, 8);
    link.carry().await;
    assert_eq!(link.caller.status(after).code, Code::InvalidArgument);
}

#[tokio::test(start_paused = true)]
async fn keys_belong_to_identity_and_method() {
    let node = node();
    let mut one = node.link_as(1).await;
    let mut two = node.link_as(2).await;
    let calls = [one.caller.ask(PAY, 1, 7), one.caller.ask(ALSO_PAY, 1, 7)];
    one.carry().await;
    // Whose answer it is, is nobody else's business.
    let stolen = two.caller.ask(PAY, 1, 7);
    let own = two.caller.ask(PAY, 2, 7);
    two.carry().await;
    assert_eq!(calls.map(|call| one.caller.number(call)), [1007, 2007]);
    assert_eq!(two.caller.status(stolen).code, Code::OutcomeUnknown);
    assert_eq!(two.caller.number(own), 3007);
    assert_eq!(node.bank.counts(), (3, 3));
}

#[tokio::test(start_paused = true)]
async fn without_room_a_call_is_refused_and_an_acknowledged_answer_makes_room() {
    let node = Node::new(OnceLimits { identity_entries: 1, ..OnceLimits::default() });
    let mut link = node.link().await;
    let held = link.caller.ask(HOLD, 1, 7);
    let refused = link.caller.ask(PAY, 2, 8);
    link.carry().await;
    assert_eq!(link.caller.status(refused).code, Code::ResourceExhausted);
    node.bank.release.notify_one();
    link.carry().await;
    assert_eq!(link.caller.number(held), 1007);
    // Another session of the same caller knows nothing of that, and the answer has not been acknowledged.
    let mut other = node.link().await;
    let refused = other.caller.ask(PAY, 3, 8);
    other.carry().await;
    assert_eq!(other.caller.status(refused).code, Code::ResourceExhausted);
    // What this one says next says so.
    let paid = link.caller.ask(PAY, 4, 8);
    link.carry().await;
    assert_eq!(link.caller.number(paid), 2008);
    assert_eq!(node.store.table().tick, 1, "an acknowledged answer leaves no hole");
    // In a quiet session it is a second later.
    link.pass(Duration::from_secs(1)).await;
    let paid = other.caller.ask(PAY, 5, 8);
    other.carry().await;
    assert_eq!(other.caller.number(paid), 3008);
}

#[tokio::test(start_paused = true)]
async fn callers_hear_how_much_was_forgotten() {
    let node = Node::new(OnceLimits { identity_entries: 1, keep: Duration::ZERO, ..OnceLimits::default() });
    let mut link = node.link().await;
    let mut other = node.link_as(2).await;
    other.caller.session.declare(now(), &SERVICE);
    other.carry().await;
    for key in [1, 2] {
        // Nothing of it is acknowledged.
        other.caller.ask(PAY, key, 7);
        other.send();
        settle().await;
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    assert_eq!(node.store.table().tick, 2);
    // A call that was first written before is not known any more; a later one can't have been forgotten.
    let early = link.caller.ask(PAY, 3, 8);
    link.carry().await;
    assert_eq!(link.caller.status(early).code, Code::OutcomeUnknown);
    link.caller.session.handle_wake(now());
    link.carry().await;
    let late = link.caller.ask(PAY, 4, 8);
    link.carry().await;
    assert_eq!(link.caller.number(late), 3008);
}

#[tokio::test(start_paused = true)]
async fn other_methods_are_not_remembered_whatever_key_they_carry() {
    let node = node();
    let mut link = node.link().await;
    let call = link.caller.ask(LOOK, 1, 7);
    link.carry().await;
    assert_eq!((node.bank.counts(), node.store.stats().entries), ((1, 0), 0));
    link.caller.session.cancel(now(), call);
    link.carry().await;
    assert_eq!(node.bank.dropped.load(Ordering::SeqCst), 1);
}

/// Our own callers send no key for such a method; others may.
#[tokio::test(start_paused = true)]
async fn a_key_for_a_method_that_is_not_once_says_nothing() {
    let node = node();
    let mut link = node.link().await;
    // Announces the service.
    link.caller.ask(PAY, 1, 7);
    link.carry().await;
    for (id, key) in [(100, 5), (101, 5)] {
        let call = CallOpen {
            id,
            service: 0,
            method: LOOK as u32,
            codec: Codec::Rkyv,
            time_left_ms: None,
            depth: 0,
            once: Some(OnceKey { key, table: node.store.table() }),
            metadata: Vec::new(),
            payload: wire::Payload::Whole(Arguments::new(&7_u64).unwrap().rkyv),
        };
        let mut message = Vec::new();
        let seq = link.caller.session.head() + u64::from(id) - 99;
        Encoder::new(&mut message).push(&Envelope::Sequenced(seq, Sequenced::Call(call)));
        link.served.peer.handle_message(message.into());
    }
    settle().await;
    assert_eq!((node.bank.counts(), node.store.stats().entries), ((3, 1), 1));
}

#[test]
fn what_a_stopped_runtime_drops_is_not_waited_for() {
    let node = node();
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    runtime.block_on(async {
        let mut link = node.link().await;
        link.caller.ask(HOLD, 1, 7);
        link.carry().await;
    });
    assert_eq!(node.store.stats().running, 1);
    drop(runtime);
    assert_eq!((node.store.stats().running, node.store.stats().entries), (0, 1));
}

#[tokio::test(start_paused = true)]
async fn handlers_start_in_the_order_of_their_calls() {
    let node = node();
    let mut link = node.link().await;
    for amount in 0..50 {
        link.caller.ask(HOLD, u128::from(amount), amount);
    }
    link.carry().await;
    assert_eq!(*node.bank.order.lock().unwrap(), (0..50).collect::<Vec<_>>());
}

/// Does with each call what the test says.
#[derive(Clone)]
struct With<F>(F);

struct Around<F, S>(F, S);

impl<F, S> Layer<S> for With<F>
where
    F: Clone,
{
    type Service = Around<F, S>;

    fn layer(&self, inner: S) -> Around<F, S> {
        Around(self.0.clone(), inner)
    }
}

type Passed = Pin<Box<dyn Future<Output = Result<Reply, BoxError>> + Send>>;

impl<F, S> tower::Service<Call> for Around<F, S>
where
    F: FnMut(Call, &mut S) -> Passed,
    S: tower::Service<Call, Response = Reply>,
    S::Error: Into<BoxError>,
{
    type Response = Reply;
    type Error = BoxError;
    type Future = Passed;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.1.poll_ready(cx).map_err(Into::into)
    }

    fn call(&mut self, call: Call) -> Passed {
        (self.0)(call, &mut self.1)
    }
}

fn pass(call: Call, inner: &mut Router) -> Passed {
    let future = tower::Service::call(inner, call);
    Box::pin(async move { Ok(future.await.unwrap_or_else(|never| match never {})) })
}

#[tokio::test(start_paused = true)]
async fn what_a_layer_refuses_is_not_recorded() {
    let node = node();
    let mut refuse = true;
    let layer = With(move |call: Call, inner: &mut Router| {
        if std::mem::take(&mut refuse) {
            let status = Status::new(Code::PermissionDenied, "not today");
            return Box::pin(ready(Err(status.into()))) as Passed;
        }
        pass(call, inner)
    });
    let mut link = node.link_through(Caller::new(), 1, |router| layer.layer(router)).await;
    let first = link.caller.ask(PAY, 1, 7);
    link.carry().await;
    assert_eq!(link.caller.status(first).code, Code::PermissionDenied);
    assert_eq!(node.store.stats().entries, 0);
    let again = link.caller.ask(PAY, 1, 7);
    link.carry().await;
    assert_eq!(link.caller.number(again), 1007);
}

#[tokio::test(start_paused = true)]
async fn a_layer_that_gives_up_waiting_does_not_end_the_handler() {
    let node = node();
    let mut link = node
        .link_through(Caller::new(), 1, |router| {
            tower::timeout::TimeoutLayer::new(Duration::from_secs(1)).layer(router)
        })
        .await;
    let first = link.caller.ask(HOLD, 1, 7);
    link.carry().await;
    link.pass(Duration::from_secs(2)).await;
    assert!(link.caller.answer(first).unwrap().is_err());
    assert_eq!(node.bank.dropped.load(Ordering::SeqCst), 0);
    let repeat = link.caller.ask(HOLD, 1, 7);
    link.carry().await;
    node.bank.release.notify_one();
    link.carry().await;
    assert_eq!(link.caller.number(repeat), 1007);
    assert_eq!(node.bank.counts(), (1, 1));
}

/// Otherwise a caller could run any number of handlers by cancelling its calls.
#[tokio::test(start_paused = true)]
async fn what_layers_hold_for_a_call_is_held_until_its_handler_has_ended() {
    let node = node();
    let permits = Arc::new(Semaphore::new(1));
    let (shared, held) = (permits.clone(), permits.clone());
    let layer = With(move |call: Call, inner: &mut Router| {
        let passed = pass(call, inner);
        let permits = held.clone();
        Box::pin(async move {
            let _permit = permits.acquire_owned().await.unwrap();
            passed.await
        }) as Passed
    });
    let mut link = node.link_through(Caller::new(), 1, |router| layer.layer(router)).await;
    let first = link.caller.ask(HOLD, 1, 7);
    link.carry().await;
    assert_eq!((shared.available_permits(), node.bank.counts()), (0, (1, 0)));
    link.caller.session.cancel(now(), first);
    link.carry().await;
    assert_eq!(shared.available_permits(), 0);
    // Nor by losing the session.
    link.served.dispatcher.abort();
    settle().await;
    assert_eq!(shared.available_permits(), 0);
    node.bank.release.notify_one();
    settle().await;
    assert_eq!(shared.available_permits(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_call_that_is_stopped_before_its_handler_starts_is_forgotten_and_a_repeat_runs() {
    let node = node();
    // The layer keeps the call for ever.
    let kept = With(|call: Call, _: &mut Router| {
        Box::pin(async move {
            let _kept = call;
            pending().await
        }) as Passed
    });
    let mut stuck = node.link_through(Caller::new(), 1, |router| kept.layer(router)).await;
    let first = stuck.caller.ask(PAY, 1, 7);
    stuck.carry().await;
    let mut link = node.link().await;
    let repeat = link.caller.ask(PAY, 1, 7);
    link.carry().await;
    assert!(link.caller.answer(repeat).is_none(), "it waits for the first");
    assert_eq!(node.bank.counts(), (0, 0));

    stuck.caller.session.cancel(now(), first);
    stuck.carry().await;
    link.carry().await;
    assert_eq!(link.caller.number(repeat), 1007);
    assert_eq!(node.store.stats().entries, 1);
}

#[tokio::test(start_paused = true)]
async fn a_dispatcher_that_goes_forgets_what_has_not_started() {
    let node = node();
    let kept = With(|call: Call, _: &mut Router| {
        Box::pin(async move {
            let _kept = call;
            pending().await
        }) as Passed
    });
    let mut stuck = node.link_through(Caller::new(), 1, |router| kept.layer(router)).await;
    stuck.caller.ask(PAY, 1, 7);
    stuck.carry().await;
    assert_eq!(node.store.stats().running, 1);
    stuck.served.dispatcher.abort();
    settle().await;
    assert_eq!(node.store.stats().entries, 0);
}

#[tokio::test(start_paused = true)]
async fn a_repeat_that_waits_can_be_cancelled() {
    let node = node();
    let mut link = node.link().await;
    let first = link.caller.ask(HOLD, 1, 7);
    let repeat = link.caller.ask(HOLD, 1, 7);
    link.carry().await;
    link.caller.session.cancel(now(), repeat);
    link.carry().await;
    assert_eq!(link.served.peer.stats().session.held.incoming, 1);
    node.bank.release.notify_one();
    link.carry().await;
    assert_eq!(link.caller.number(first), 1007);
    assert_eq!(link.served.peer.stats().slots, 0);
}
