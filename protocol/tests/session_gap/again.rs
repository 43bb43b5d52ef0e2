//! What is asked again in the next session, and as what.

use std::time::Duration;

use bowline_protocol::envelope::{GapReason, Outcome};
use bowline_protocol::schema::{MethodDescriptor, Retry, ServiceDescriptor};
use bowline_protocol::session::{Config, Failure, Held, Welcoming};
use bowline_protocol::status::Delivery;
use bowline_test_support::{Pair, Side};

use crate::common::links::*;
use crate::common::*;
use crate::shop::{
    IDEMPOTENT, NEVER, ONCE, OTHER_TABLE, SHOP, TABLE, buy, buy_as_before, failed, greet, hello, older,
    once_keys, one_arrives, restart, retried, shop, shopping,
};

#[test]
fn a_restarted_server_is_told_what_may_be_asked_again_in_order_and_before_new_calls() {
    let mut pair = shop();
    let arrived: Vec<_> = [(NEVER, "a"), (IDEMPOTENT, "b"), (ONCE, "c")]
        .into_iter()
        .map(|(method, what)| buy(&mut pair, method, what))
        .collect();
    pair.run();
    assert_eq!(arrivals(&mut pair).len(), 3);
    let keys: Vec<_> = once_keys(&pair.sent(Side::Client));
    cut(&mut pair);
    buy(&mut pair, NEVER, "d");
    buy(&mut pair, ONCE, "e");
    restart(&mut pair);
    pair.connect();
    pair.run();
    assert_eq!(
        outcomes(&mut pair, Side::Client),
        [Outcome::Gap { reason: GapReason::Unknown, lost_from: 2, lost_to: None }]
    );
    let told = answers(&mut pair);
    assert_eq!(told.len(), 1, "{told:?}");
    assert_eq!(failed(&told, arrived[0]), Some(Delivery::OutcomeUnknown));
    let came = arrivals(&mut pair);
    let order: Vec<_> = came.iter().map(|it| String::from_utf8(it.1.clone()).unwrap()).collect();
    assert_eq!(order, ["b", "c", "d", "e"]);
    // The first `once` call says again what it said first; the one that was never written names the table of today.
    let again = once_keys(&pair.sent(Side::Client));
    assert_eq!(again[..1], keys[..]);
    assert_eq!((keys[0].1, again[1].1), (TABLE, OTHER_TABLE));
    for (call, bytes) in came {
        respond(&mut pair, call, bytes);
    }
    assert_eq!(answers(&mut pair).len(), 4);
    pair.advance(Duration::from_secs(2));
    outcomes(&mut pair, Side::Server);
    assert_empty(&mut pair);
}

/// Its caller has no key of its own for it; the session makes one as soon as the callee is known.
#[test]
fn a_call_that_is_idempotent_to_its_caller_and_once_to_its_callee_has_a_key_from_the_first_time_on() {
    let mut pair = older(&SHOP);
    for what in ["x", "y"] {
        buy_as_before(&mut pair, ONCE, what);
    }
    pair.run();
    assert_eq!(arrivals(&mut pair).len(), 2);
    let first = once_keys(&pair.sent(Side::Client));
    let [(one, table), (other, _)] = first[..] else { panic!("{first:?}") };
    assert!(one != other && table == TABLE);
    cut(&mut pair);
    restart(&mut pair);
    pair.connect();
    pair.run();
    outcomes(&mut pair, Side::Client);
    assert_eq!(arrivals(&mut pair).len(), 2);
    assert_eq!(once_keys(&pair.sent(Side::Client)), first, "the same keys, and the table of the first time");
    assert!(answers(&mut pair).is_empty());
}

/// One that ran where running twice made no difference is not asked where it does.
#[test]
fn what_may_have_run_is_asked_again_only_as_the_callee_of_today_allows() {
    // Idempotent to its caller throughout; to the callee it was idempotent, and is something else since.
    for (today, repeats) in [(Retry::Idempotent, true), (Retry::Once, false), (Retry::Never, false)] {
        let of = |retry| {
            let methods: &'static [MethodDescriptor] = vec![retried("never", retry, 1)].leak();
            &*Box::leak(Box::new(ServiceDescriptor { name: "Shop", methods }))
        };
        let mut pair = older(of(Retry::Idempotent));
        let ran = buy_as_before(&mut pair, NEVER, "ran");
        pair.run();
        assert_eq!(arrivals(&mut pair).len(), 1);
        assert_eq!(once_keys(&pair.sent(Side::Client)), []);
        cut(&mut pair);
        let waits = buy_as_before(&mut pair, NEVER, "waits");
        pair.restart_server(Config { services: vec![of(today)], ..shopping() });
        pair.server().set_once_table(TABLE);
        pair.connect();
        pair.run();
        outcomes(&mut pair, Side::Client);
        let came: Vec<_> = arrivals(&mut pair).into_iter().map(|it| it.1).collect();
        assert_eq!(came.len(), 1 + usize::from(repeats), "{today:?}");
        assert_eq!(came.last().unwrap(), b"waits");
        assert_eq!(once_keys(&pair.sent(Side::Client)).len(), usize::from(today == Retry::Once));
        let told = answers(&mut pair);
        assert_eq!(failed(&told, ran), (!repeats).then_some(Delivery::OutcomeUnknown), "{today:?}");
        assert_eq!(failed(&told, waits), None);
        assert_eq!(pair.client().stats().held.waiting_calls, 0);
        assert_eq!(pair.client().stats().held.calls, came.len());
    }
}

/// Without a table nobody remembers a key: such a call is sent without one, and once.
#[test]
fn a_once_call_that_was_written_without_a_key_is_not_asked_again() {
    let mut pair = Pair::new(shopping(), shopping());
    pair.connect();
    let call = buy(&mut pair, ONCE, "x");
    pair.run();
    assert_eq!(arrivals(&mut pair).len(), 1);
    assert_eq!(once_keys(&pair.sent(Side::Client)), []);
    cut(&mut pair);
    restart(&mut pair);
    pair.connect();
    pair.run();
    let told = answers(&mut pair);
    assert_eq!(failed(&told, call), Some(Delivery::OutcomeUnknown));
    assert_eq!(arrivals(&mut pair), []);
}

/// The server still knew how far it had come: what lies beyond was not executed, and is asked again.
#[test]
fn what_the_server_knows_that_it_never_saw_is_asked_again() {
    for knows in [true, false] {
        let mut pair = shop();
        let (seen, lost) = one_arrives(&mut pair, (NEVER, "seen"), (NEVER, "lost"));
        let now = pair.now;
        let hello = hello(&mut pair);
        let processed = pair.server().last_processed();
        restart(&mut pair);
        let outcome = Outcome::Gap { reason: GapReason::Expired, lost_from: 1, lost_to: Some(4) };
        let peer_last_processed = knows.then_some(processed);
        let welcoming = Welcoming { outcome, peer_last_processed, ..Welcoming::new(50, [1; 32], 50) };
        greet(&mut pair, hello, welcoming);
        assert_eq!(outcomes(&mut pair, Side::Client), [outcome]);
        assert!(pair.now == now);
        let told = answers(&mut pair);
        assert_eq!(failed(&told, seen), Some(Delivery::OutcomeUnknown));
        assert_eq!(failed(&told, lost), (!knows).then_some(Delivery::OutcomeUnknown));
        let again: Vec<_> = arrivals(&mut pair).into_iter().map(|it| it.1).collect();
        assert_eq!(again, if knows { vec![b"lost".to_vec()] } else { Vec::new() });
    }
}

#[test]
fn streams_and_watches_across_a_gap() {
    let mut pair = pair();
    let (accepted, writer) = open(&mut pair, SERVER_STREAM);
    assert!(send(&mut pair, Side::Server, writer, "one"));
    let (watched, watch) = open(&mut pair, WATCH);
    let now = pair.now;
    pair.server().set_watch(now, watch, "old".into());
    pair.run();
    let asked = call(&mut pair, SERVER_STREAM, "asked");
    outcomes(&mut pair, Side::Server);
    pair.events(Side::Server);
    cut(&mut pair);
    pair.restart_server(serving());
    pair.connect();
    pair.run();
    outcomes(&mut pair, Side::Client);
    // What had come is read; then the accepted stream says that it ended.
    assert_eq!(item(&mut pair, Side::Client, accepted), b"one");
    assert!(matches!(
        read(&mut pair, Side::Client, accepted),
        bowline_protocol::session::Read::Failed(Failure::Disconnected(Delivery::OutcomeUnknown))
    ));
    // The watch and the stream that was not accepted are asked for again.
    let came: Vec<_> = arrivals(&mut pair).into_iter().map(|it| it.0).collect();
    assert_eq!(came.len(), 2);
    assert!(pair.client().is_stale(watched) && !pair.client().is_stale(asked));
    pair.server().set_watch(now, came[0], "new".into());
    pair.run();
    assert_eq!(item(&mut pair, Side::Client, watched), b"new");
    assert!(!pair.client().is_stale(watched));
    let stats = pair.client().stats().held;
    assert_eq!(
        Held { unacknowledged: 0, unacknowledged_bytes: 0, events: 0, ..stats },
        Held { calls: 2, ..Held::default() }
    );
}
