//! Layers around a handler that outlives its call.

use std::future::{Future, pending, ready};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll};
use std::time::Duration;

use bowline_protocol::status::{Code, Status};
use bowline_rpc::{BoxError, Call, Reply, Router};
use bowline_runtime::now;
use tokio::sync::Semaphore;
use tower::Layer;

use crate::support::bank::{HOLD, PAY};
use crate::support::node::{Link, Node};
use crate::support::settle;

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

/// A session whose layer keeps every call for ever.
async fn stuck(node: &Node) -> Link {
    let kept = With(|call: Call, _: &mut Router| {
        Box::pin(async move {
            let _kept = call;
            pending().await
        }) as Passed
    });
    node.link_layered(|router| kept.layer(router)).await
}

#[tokio::test(start_paused = true)]
async fn what_a_layer_refuses_is_not_recorded() {
    let node = Node::default();
    let mut refuse = true;
    let layer = With(move |call: Call, inner: &mut Router| {
        if std::mem::take(&mut refuse) {
            let status = Status::new(Code::PermissionDenied, "not today");
            return Box::pin(ready(Err(status.into()))) as Passed;
        }
        pass(call, inner)
    });
    let mut link = node.link_layered(|router| layer.layer(router)).await;
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
    let node = Node::default();
    let mut link = node
        .link_layered(|router| tower::timeout::TimeoutLayer::new(Duration::from_secs(1)).layer(router))
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
    let node = Node::default();
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
    let mut link = node.link_layered(|router| layer.layer(router)).await;
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
    let node = Node::default();
    let mut stuck = stuck(&node).await;
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
    let node = Node::default();
    let mut stuck = stuck(&node).await;
    stuck.caller.ask(PAY, 1, 7);
    stuck.carry().await;
    assert_eq!(node.store.stats().running, 1);
    stuck.served.dispatcher.abort();
    settle().await;
    assert_eq!(node.store.stats().entries, 0);
}
