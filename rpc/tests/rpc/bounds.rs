//! What is bounded, what is batched, and what is logged.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};

use bowline_protocol::limits::Limits;
use bowline_protocol::session::Config;
use bowline_rpc::{Call, CallError, Reply, Router};
use futures_util::future::join_all;
use tower::Service;

use crate::support::{Ends, assert_empty, log, settle};

#[tokio::test(start_paused = true)]
async fn answers_that_are_ready_at_once_leave_in_one_message() {
    let ends = Ends::new().await;
    ends.stub().echo(0).await.unwrap();
    settle().await;
    let before = ends.server.stats().session.counted.messages_out;
    let calls = (0..50).map(|number| ends.stub().echo(number));
    join_all(calls).await;
    assert_eq!(ends.server.stats().session.counted.messages_out - before, 1);
}

/// As many calls as two turns and a half start.
const BURST: usize = 640;

/// Takes a burst at once.
fn wide() -> Config {
    let limits = Limits { calls: BURST as u32, ..Limits::default() };
    Config { limits, ..Config::default() }
}

#[tokio::test(start_paused = true)]
async fn more_calls_than_one_turn_polls_inline_are_all_answered() {
    let ends = Ends::with(Config::default(), wide(), |router| router).await;
    let calls = (0..BURST).map(|number| ends.stub().echo(number as u64));
    let answers = join_all(calls).await;
    assert!(answers.into_iter().enumerate().all(|(number, answer)| answer == Ok(number as u64)));
    settle().await;
    assert_empty(&ends.server);
}

/// Notices a call that is made before the one before it was polled.
struct InTurn {
    router: Router,
    called: Arc<AtomicUsize>,
    polled: Arc<AtomicUsize>,
    overtaken: Arc<AtomicUsize>,
}

impl Service<Call> for InTurn {
    type Response = Reply;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Reply, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, call: Call) -> Self::Future {
        if self.called.fetch_add(1, Ordering::SeqCst) != self.polled.load(Ordering::SeqCst) {
            self.overtaken.fetch_add(1, Ordering::SeqCst);
        }
        let (reply, polled) = (self.router.call(call), self.polled.clone());
        Box::pin(async move {
            polled.fetch_add(1, Ordering::SeqCst);
            reply.await
        })
    }
}

/// What one turn had no time for became tasks that nobody had polled: on several threads they raced for who starts.
#[tokio::test(start_paused = true)]
async fn calls_start_in_their_order_however_many_come_at_once() {
    let overtaken = Arc::new(AtomicUsize::new(0));
    let (called, polled) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let counted = overtaken.clone();
    let layer = |router| InTurn { router, called, polled, overtaken: counted };
    let ends = Ends::with(Config::default(), wide(), layer).await;
    let answers = join_all((0..BURST).map(|number| ends.stub().echo(number as u64))).await;
    assert!(answers.into_iter().enumerate().all(|(number, answer)| answer == Ok(number as u64)));
    assert_eq!(overtaken.load(Ordering::SeqCst), 0);
}

#[tokio::test(start_paused = true)]
async fn handlers_of_one_way_calls_are_bounded_and_the_rest_is_counted() {
    let ends = Ends::new().await;
    for _ in 0..10 {
        for _ in 0..10 {
            ends.stub().note_slowly().await.unwrap();
        }
        settle().await;
    }
    assert_eq!(ends.handlers.notes.load(Ordering::SeqCst), 64);
    assert_eq!(ends.server.stats().session.held.notifies, 64);
    assert_eq!(ends.server.stats().session.counted.notifies_refused, 36);
    tokio::time::sleep(std::time::Duration::from_secs(61)).await;
    assert_empty(&ends.server);
    ends.stub().note_slowly().await.unwrap();
    settle().await;
    assert_eq!(ends.handlers.notes.load(Ordering::SeqCst), 65);
}

#[tokio::test(start_paused = true)]
async fn a_panic_is_logged_under_the_id_that_its_caller_gets() {
    let ends = Ends::new().await;
    let Err(CallError::Internal { id }) = ends.stub().panic(0).await else { panic!("no such error") };
    let lines = log::lines_with(&format!("id={id:016x}"));
    let [line] = &lines[..] else { panic!("{lines:?}") };
    assert!(line.contains("Test/panic") && line.contains("swordfish"), "{line}");
}
