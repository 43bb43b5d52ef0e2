//! What a repeat of a call gets.

use bowline_protocol::status::Code;
use bowline_runtime::now;

use crate::support::bank::{EXPLODE, HOLD, PAY, REFUSE};
use crate::support::node::{Node, linked};
use crate::support::settle;

#[tokio::test(start_paused = true)]
async fn a_repeat_waits_for_the_first_and_gets_its_answer() {
    let (node, mut link) = linked().await;
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
    let (node, mut link) = linked().await;
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
async fn a_repeat_that_waits_can_be_cancelled() {
    let (node, mut link) = linked().await;
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

#[tokio::test(start_paused = true)]
async fn a_lost_session_does_not_run_a_call_twice() {
    let (node, mut link) = linked().await;
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
    let before = Node::default();
    let mut link = before.link().await;
    let call = link.caller.ask(HOLD, 1, 7);
    link.carry().await;
    assert_eq!(before.bank.counts(), (1, 0));

    let after = Node::default();
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
async fn a_panic_is_recorded_as_an_internal_error() {
    let (node, mut link) = linked().await;
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
