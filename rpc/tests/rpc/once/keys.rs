//! Which calls a key names, and how many the table holds.

use std::sync::atomic::Ordering;
use std::time::Duration;

use bowline_protocol::codec::{Arguments, Codec};
use bowline_protocol::envelope::{self as wire, CallOpen, Encoder, Envelope, OnceKey, Sequenced};
use bowline_protocol::once::OnceLimits;
use bowline_protocol::status::Code;
use bowline_runtime::now;

use crate::support::bank::{ALSO_PAY, HOLD, LOOK, PAY, SERVICE};
use crate::support::node::{Node, linked};
use crate::support::settle;

#[tokio::test(start_paused = true)]
async fn a_key_with_other_arguments_is_refused() {
    let (node, mut link) = linked().await;
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
    let node = Node::default();
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
async fn other_methods_are_not_remembered_whatever_key_they_carry() {
    let (node, mut link) = linked().await;
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
    let (node, mut link) = linked().await;
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
            once: Some(Box::new(OnceKey { key, table: node.store.table() })),
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
