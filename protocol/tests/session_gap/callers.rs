//! Sessions of another caller than before.

use bowline_protocol::envelope::{GapReason, Outcome};
use bowline_protocol::session::{Config, Failure, Welcoming};
use bowline_protocol::status::{CloseCode, Delivery};
use bowline_test_support::{Pair, Side};

use crate::common::links::*;
use crate::common::*;
use crate::shop::{
    IDEMPOTENT, NEVER, ONCE, TABLE, buy, failed, greet, hello, one_arrives, restart, shop, shopping,
};

const ADA: Option<u128> = Some(500);
const BOB: Option<u128> = Some(501);

/// A new session at a server that knows nothing of an older one, for a caller with this digest.
fn welcomed_as(pair: &mut Pair, identity: Option<u128>) {
    welcomed_at(pair, shopping(), identity);
}

fn welcomed_at(pair: &mut Pair, server: Config, identity: Option<u128>) {
    let hello = hello(pair);
    let outcome = match &hello.resume {
        None => Outcome::New,
        Some(_) => Outcome::Gap { reason: GapReason::Unknown, lost_from: 2, lost_to: None },
    };
    pair.restart_server(server);
    pair.server().set_once_table(TABLE);
    greet(pair, hello, Welcoming { outcome, identity, ..Welcoming::new(50, [1; 32], 50) });
}

#[test]
fn another_identity_ends_everything_and_asks_nothing_again() {
    let mut pair = shop();
    let (arrived, lost) = one_arrives(&mut pair, (IDEMPOTENT, "arrived"), (ONCE, "lost"));
    let waits = buy(&mut pair, IDEMPOTENT, "waits");
    let hello = hello(&mut pair);
    restart(&mut pair);
    let outcome = Outcome::Gap { reason: GapReason::IdentityChanged, lost_from: 1, lost_to: None };
    greet(&mut pair, hello, Welcoming { outcome, ..Welcoming::new(50, [1; 32], 50) });
    assert_eq!(outcomes(&mut pair, Side::Client), [outcome]);
    let told = answers(&mut pair);
    assert_eq!(failed(&told, arrived), Some(Delivery::OutcomeUnknown));
    assert_eq!(failed(&told, lost), Some(Delivery::OutcomeUnknown));
    assert_eq!(failed(&told, waits), Some(Delivery::NotSent));
    assert_eq!(arrivals(&mut pair), []);
    assert_empty(&mut pair);
    assert_exchanges(&mut pair);
}

/// The session that follows carries calls.
fn assert_exchanges(pair: &mut Pair) {
    let next = buy(pair, NEVER, "next");
    pair.run();
    let came = arrivals(pair);
    respond(pair, came[0].0, "answer");
    assert_eq!(response(pair, next).unwrap(), b"answer");
}

/// A server that lost its state can't tell that the session was somebody else's: the digest of its welcome does.
#[test]
fn a_server_that_knows_nothing_any_more_is_asked_nothing_as_somebody_else() {
    for (before, after) in [(ADA, BOB), (ADA, None), (None, ADA)] {
        let mut pair = Pair::new(shopping(), shopping());
        welcomed_as(&mut pair, before);
        assert_eq!(outcomes(&mut pair, Side::Client), [Outcome::New]);
        assert_eq!(pair.client().identity(), before);
        let ran: Vec<_> = [NEVER, IDEMPOTENT, ONCE].map(|method| buy(&mut pair, method, "ran")).into();
        pair.run();
        assert_eq!(arrivals(&mut pair).len(), 3);
        cut(&mut pair);
        let waits: Vec<_> = [NEVER, IDEMPOTENT, ONCE].map(|method| buy(&mut pair, method, "waits")).into();
        welcomed_as(&mut pair, after);
        assert_eq!(
            outcomes(&mut pair, Side::Client),
            [Outcome::Gap { reason: GapReason::IdentityChanged, lost_from: 2, lost_to: None }]
        );
        let told = answers(&mut pair);
        assert!(ran.iter().all(|call| failed(&told, *call) == Some(Delivery::OutcomeUnknown)), "{told:?}");
        assert!(waits.iter().all(|call| failed(&told, *call) == Some(Delivery::NotSent)), "{told:?}");
        assert_eq!(arrivals(&mut pair), [], "{before:?} {after:?}");
        assert_empty(&mut pair);
        assert_exchanges(&mut pair);
    }
}

#[test]
fn a_stream_of_one_caller_is_not_subscribed_again_as_another() {
    for (after, again) in [(ADA, 2), (BOB, 0)] {
        let mut pair = Pair::new(serving(), serving());
        welcomed_at(&mut pair, serving(), ADA);
        let streams = [WATCH, SERVER_STREAM].map(|method| call(&mut pair, method, "asked"));
        pair.run();
        outcomes(&mut pair, Side::Client);
        outcomes(&mut pair, Side::Server);
        pair.events(Side::Server);
        cut(&mut pair);
        welcomed_at(&mut pair, serving(), after);
        outcomes(&mut pair, Side::Client);
        assert_eq!(arrivals(&mut pair).len(), again, "{after:?}");
        for stream in streams.into_iter().filter(|_| again == 0) {
            assert!(matches!(
                read(&mut pair, Side::Client, stream),
                bowline_protocol::session::Read::Failed(Failure::Disconnected(_))
            ));
        }
    }
}

/// As somebody else it was heard of in between, or it was not: what was asked is sent as who asked it, or not at all.
#[test]
fn what_was_asked_before_two_changes_of_identity_is_sent_as_who_asked_it() {
    for bob_is_welcomed in [false, true] {
        let mut pair = Pair::new(shopping(), shopping());
        welcomed_as(&mut pair, ADA);
        cut(&mut pair);
        let waits = buy(&mut pair, IDEMPOTENT, "ada's");
        if bob_is_welcomed {
            welcomed_as(&mut pair, BOB);
            assert_eq!(arrivals(&mut pair), []);
        } else {
            // His hello is all that a server hears.
            hello(&mut pair);
        }
        cut(&mut pair);
        welcomed_as(&mut pair, ADA);
        let told = answers(&mut pair);
        let came: Vec<_> = arrivals(&mut pair).into_iter().map(|it| it.1).collect();
        if bob_is_welcomed {
            assert_eq!((failed(&told, waits), came), (Some(Delivery::NotSent), vec![]));
        } else {
            assert_eq!((told.len(), came), (0, vec![b"ada's".to_vec()]));
        }
    }
}

/// The session is gone with the close, and what waits stays: for the same caller.
#[test]
fn what_waits_after_a_close_that_stops_is_not_sent_as_somebody_else() {
    for (after, sent) in [(ADA, 1), (BOB, 0)] {
        let mut pair = Pair::new(shopping(), shopping());
        welcomed_as(&mut pair, ADA);
        let call = buy(&mut pair, IDEMPOTENT, "asked");
        pair.run();
        assert_eq!(arrivals(&mut pair).len(), 1);
        let now = pair.now;
        pair.client().handle_disconnect(now, Some(CloseCode::BAD_CREDENTIALS));
        cut(&mut pair);
        assert!(answers(&mut pair).is_empty());
        welcomed_as(&mut pair, after);
        assert_eq!(arrivals(&mut pair).len(), sent, "{after:?}");
        let told = answers(&mut pair);
        assert_eq!(failed(&told, call), (sent == 0).then_some(Delivery::OutcomeUnknown));
    }
}
