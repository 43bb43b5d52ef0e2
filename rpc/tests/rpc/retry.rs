//! Calls that are made again when they are answered `Unavailable`.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use bowline_protocol::schema::{Retry, ServiceDescriptor};
use bowline_protocol::status::{Code, Delivery, Status};
use bowline_rpc::{Call, CallError, CallFuture, Channel, Reply, ReplyFuture, Service, macros};
use tokio::time::Instant;

use crate::support::{Ends, assert_empty, settle, unary};

static SERVICE: ServiceDescriptor = ServiceDescriptor {
    name: "Flaky",
    methods: &[
        unary("never", Retry::Never),
        unary("idempotent", Retry::Idempotent),
        unary("once", Retry::Once),
        unary("refuses", Retry::Idempotent),
    ],
};

const NEVER: usize = 0;
const IDEMPOTENT: usize = 1;
const ONCE: usize = 2;
/// Returns its own error.
const REFUSES: usize = 3;

/// Refuses so many calls with a status before it answers one.
#[derive(Clone)]
struct Flaky {
    refuses: Arc<AtomicU32>,
    asked: Arc<AtomicU32>,
    status: Status,
}

impl Flaky {
    fn new(refuses: u32, status: Status) -> Self {
        Self { refuses: Arc::new(refuses.into()), asked: Arc::default(), status }
    }

    fn unavailable(refuses: u32) -> Self {
        Self::new(refuses, Status::new(Code::Unavailable, "not now"))
    }

    fn refuse(&self, calls: u32) {
        self.refuses.store(calls, Ordering::SeqCst);
    }

    fn asked(&self) -> u32 {
        self.asked.swap(0, Ordering::SeqCst)
    }
}

impl Service for Flaky {
    fn descriptor(&self) -> &'static ServiceDescriptor {
        &SERVICE
    }

    fn dispatch(&self, call: Call) -> ReplyFuture {
        self.asked.fetch_add(1, Ordering::SeqCst);
        let refuses = self.refuses.load(Ordering::SeqCst);
        if refuses > 0 {
            self.refuses.store(refuses - 1, Ordering::SeqCst);
            return Box::pin(std::future::ready(Reply::from(self.status.clone())));
        }
        if call.method_index() == REFUSES {
            return macros::unary(call, |_, _: u64| async { Err::<u64, String>("no".into()) });
        }
        macros::unary(call, |_, number: u64| async move { number })
    }
}

fn call(channel: &Channel, method: usize) -> CallFuture<u64> {
    CallFuture::new(channel, &SERVICE, method, &7_u64)
}

fn unavailable() -> CallError<std::convert::Infallible> {
    CallError::Unavailable { message: "not now".into(), retry_after: None }
}

#[tokio::test(start_paused = true)]
async fn an_idempotent_call_is_made_again_when_the_other_end_is_not_available() {
    let flaky = Flaky::unavailable(3);
    let ends = Ends::serving(flaky.clone()).await;
    let started = Instant::now();
    assert_eq!(call(&ends.channel(), IDEMPOTENT).await, Ok(7));
    assert_eq!(flaky.asked(), 4);
    assert!(started.elapsed() <= Duration::from_millis(100 + 200 + 400), "{:?}", started.elapsed());
    settle().await;
    assert_empty(&ends.client);
}

#[tokio::test(start_paused = true)]
async fn it_is_made_again_three_times_and_then_has_its_answer() {
    let flaky = Flaky::unavailable(100);
    let ends = Ends::serving(flaky.clone()).await;
    assert_eq!(call(&ends.channel(), IDEMPOTENT).await, Err(unavailable()));
    assert_eq!(flaky.asked(), 4);
}

#[tokio::test(start_paused = true)]
async fn calls_of_other_methods_are_made_only_once() {
    let flaky = Flaky::unavailable(100);
    let ends = Ends::serving(flaky.clone()).await;
    for method in [NEVER, ONCE] {
        assert_eq!(call(&ends.channel(), method).await, Err(unavailable()));
        assert_eq!(flaky.asked(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn other_answers_are_final() {
    for code in [Code::ResourceExhausted, Code::Internal, Code::Cancelled, Code::OutcomeUnknown] {
        let flaky = Flaky::new(100, Status::new(code, "no"));
        let ends = Ends::serving(flaky.clone()).await;
        call(&ends.channel(), IDEMPOTENT).await.unwrap_err();
        assert_eq!(flaky.asked(), 1, "{code}");
    }
    let flaky = Flaky::unavailable(0);
    let ends = Ends::serving(flaky.clone()).await;
    let refused: CallFuture<Result<u64, String>> =
        CallFuture::new(&ends.channel(), &SERVICE, REFUSES, &7_u64);
    assert_eq!(refused.await, Err(CallError::Application("no".into())));
    assert_eq!(flaky.asked(), 1);
}

#[tokio::test(start_paused = true)]
async fn the_wait_that_the_answer_asks_for_is_kept() {
    let status = Status::new(Code::Unavailable, "not now").with_detail(3000);
    let flaky = Flaky::new(1, status);
    let ends = Ends::serving(flaky.clone()).await;
    let started = Instant::now();
    assert_eq!(call(&ends.channel(), IDEMPOTENT).await, Ok(7));
    let elapsed = started.elapsed();
    assert!(elapsed >= Duration::from_secs(3) && elapsed < Duration::from_millis(3200), "{elapsed:?}");
}

#[tokio::test(start_paused = true)]
async fn a_retry_that_would_be_too_late_is_not_waited_for() {
    let status = Status::new(Code::Unavailable, "not now").with_detail(3000);
    let flaky = Flaky::new(100, status);
    let ends = Ends::serving(flaky.clone()).await;
    let started = Instant::now();
    let error = call(&ends.channel(), IDEMPOTENT).deadline(Duration::from_secs(5)).await.unwrap_err();
    let retry_after = Some(Duration::from_secs(3));
    assert_eq!(error, CallError::Unavailable { message: "not now".into(), retry_after });
    assert_eq!(flaky.asked(), 2);
    assert!(started.elapsed() < Duration::from_secs(4), "{:?}", started.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_wait_that_no_clock_can_hold_is_an_answer() {
    let status = Status::new(Code::Unavailable, "not now").with_detail(u64::MAX);
    let flaky = Flaky::new(100, status);
    let ends = Ends::serving(flaky.clone()).await;
    call(&ends.channel(), IDEMPOTENT).deadline(Duration::from_secs(1)).await.unwrap_err();
    assert_eq!(flaky.asked(), 1);
}

/// Answers nothing after the first refusal.
#[derive(Clone)]
struct Silent(Flaky);

impl Service for Silent {
    fn descriptor(&self) -> &'static ServiceDescriptor {
        &SERVICE
    }

    fn dispatch(&self, call: Call) -> ReplyFuture {
        let answer = self.0.dispatch(call);
        if self.0.refuses.load(Ordering::SeqCst) < 99 { Box::pin(std::future::pending()) } else { answer }
    }
}

#[tokio::test(start_paused = true)]
async fn all_tries_are_within_one_deadline() {
    let silent = Silent(Flaky::unavailable(100));
    let ends = Ends::serving(silent.clone()).await;
    let started = Instant::now();
    let error = call(&ends.channel(), IDEMPOTENT).deadline(Duration::from_secs(5)).await.unwrap_err();
    assert_eq!(error, CallError::DeadlineExceeded(Delivery::OutcomeUnknown));
    assert_eq!(silent.0.asked(), 2);
    let elapsed = started.elapsed();
    assert!(elapsed >= Duration::from_secs(5) && elapsed < Duration::from_millis(5010), "{elapsed:?}");
}

#[tokio::test(start_paused = true)]
async fn a_session_has_ten_retries_and_gets_one_back_for_ten_successes() {
    let flaky = Flaky::unavailable(u32::MAX);
    let ends = Ends::serving(flaky.clone()).await;
    let channel = ends.channel();
    let mut tries = Vec::new();
    for _ in 0..6 {
        call(&channel, IDEMPOTENT).await.unwrap_err();
        tries.push(flaky.asked());
    }
    assert_eq!(tries, [4, 4, 4, 2, 1, 1]);

    flaky.refuse(0);
    for _ in 0..9 {
        call(&channel, IDEMPOTENT).await.unwrap();
    }
    // An error of the method's own says that the other end is well, and calls that are made once say nothing.
    let refused: CallFuture<Result<u64, String>> = CallFuture::new(&channel, &SERVICE, REFUSES, &7_u64);
    refused.await.unwrap_err();
    for _ in 0..50 {
        call(&channel, NEVER).await.unwrap();
    }
    flaky.asked();
    flaky.refuse(u32::MAX);
    call(&channel, IDEMPOTENT).await.unwrap_err();
    assert_eq!(flaky.asked(), 2);
}

#[tokio::test(start_paused = true)]
async fn layers_of_the_caller_see_one_call() {
    let flaky = Flaky::unavailable(2);
    let ends = Ends::serving(flaky.clone()).await;
    let seen = Arc::new(AtomicU32::new(0));
    let counted = seen.clone();
    let stack = tower::ServiceBuilder::new()
        .map_request(move |call: Call| {
            counted.fetch_add(1, Ordering::SeqCst);
            call
        })
        .service(ends.client.endpoint());
    assert_eq!(call(&Channel::with_stack(&ends.client, stack), IDEMPOTENT).await, Ok(7));
    assert_eq!((seen.load(Ordering::SeqCst), flaky.asked()), (1, 3));
}

#[tokio::test(start_paused = true)]
async fn a_call_dropped_between_two_tries_is_not_made_again() {
    let status = Status::new(Code::Unavailable, "not now").with_detail(1000);
    let flaky = Flaky::new(100, status);
    let ends = Ends::serving(flaky.clone()).await;
    let pending = tokio::time::timeout(Duration::from_millis(500), call(&ends.channel(), IDEMPOTENT)).await;
    assert!(pending.is_err());
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert_eq!(flaky.asked(), 1);
    assert_empty(&ends.client);
}
