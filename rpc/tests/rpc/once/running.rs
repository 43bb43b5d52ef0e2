//! A handler that has started runs to its end.

use std::sync::atomic::Ordering;
use std::time::Duration;

use bowline_protocol::session::Failure;
use bowline_protocol::status::{Code, Delivery};
use bowline_runtime::now;

use crate::support::bank::HOLD;
use crate::support::node::{Node, linked};
use crate::support::settle;

#[tokio::test(start_paused = true)]
async fn handlers_start_in_the_order_of_their_calls() {
    let (node, mut link) = linked().await;
    for amount in 0..50 {
        link.caller.ask(HOLD, u128::from(amount), amount);
    }
    link.carry().await;
    assert_eq!(*node.bank.order.lock().unwrap(), (0..50).collect::<Vec<_>>());
}

#[tokio::test(start_paused = true)]
async fn a_started_handler_runs_to_its_end_when_its_call_is_cancelled() {
    let (node, mut link) = linked().await;
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
    let (node, mut link) = linked().await;
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
    let (node, mut link) = linked().await;
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
    let (node, mut link) = linked().await;
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
    let node = Node::default();
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

#[test]
fn what_a_stopped_runtime_drops_is_not_waited_for() {
    let node = Node::default();
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
