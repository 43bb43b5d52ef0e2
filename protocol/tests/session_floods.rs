//! What costs a client nothing to write, written too often: the link goes, and the session can be continued.

#![allow(clippy::unwrap_used, reason = "a helper of tests that fails them")]

mod common;

use std::time::Duration;

use bowline_protocol::envelope::{
    Ack, CallRef, Control, Encoder, Envelope, Opener, Outcome, Secret, Sequenced,
};
use bowline_protocol::limits::{Limits, Rate};
use bowline_protocol::session::Config;
use bowline_protocol::status::CloseCode;
use bowline_test_support::{Pair, Side};
use common::links::*;
use common::*;

fn limited(limits: Limits) -> Pair {
    live(serving(), Config { limits, ..serving() })
}

fn write(pair: &mut Pair, to: Side, envelopes: &[Envelope]) {
    let mut out = Vec::new();
    let mut encoder = Encoder::new(&mut out);
    envelopes.iter().for_each(|it| encoder.push(it));
    pair.inject(to, out.into());
}

fn ping() -> Envelope {
    Envelope::Control(Control::Ping { nonce: 1 })
}

fn auth() -> Envelope {
    Envelope::Control(Control::Auth { credentials: Secret::default() })
}

/// Says nothing new: a live pair has acknowledged what there is.
fn ack(pair: &mut Pair) -> Envelope {
    Envelope::Control(Control::Ack(Ack { seq: pair.server().head(), unsequenced: 0 }))
}

/// How many of these the server takes at one moment, and then one more each `step`.
fn assert_rate(limits: &Limits, envelope: impl Fn(&mut Pair) -> Envelope, burst: usize, step: Duration) {
    let fresh = || {
        let mut pair = limited(limits.clone());
        pair.advance(Duration::from_secs(1_000));
        pair
    };
    let mut pair = fresh();
    for number in 0..burst {
        let one = envelope(&mut pair);
        write(&mut pair, Side::Server, &[one]);
        assert!(pair.server().is_live(), "{number}");
    }
    for _ in 0..5 {
        pair.advance(step);
        let one = envelope(&mut pair);
        write(&mut pair, Side::Server, &[one]);
        assert!(pair.server().is_live());
    }
    pair.advance(step - Duration::from_millis(1));
    let one = envelope(&mut pair);
    write(&mut pair, Side::Server, &[one]);
    pair.run();
    let (side, refusal) = pair.closed.clone().expect("closed");
    assert_eq!((side, refusal.code), (Side::Server, CloseCode::RATE_LIMITED), "{}", refusal.reason);
    // The next link begins with the whole burst, and the session goes on.
    pair.closed = None;
    cut(&mut pair);
    resume(&mut pair);
    for _ in 1..burst {
        let one = envelope(&mut pair);
        write(&mut pair, Side::Server, &[one]);
    }
    assert!(pair.server().is_live());
}

#[test]
fn pings_come_ten_at_once_and_one_in_five_seconds() {
    assert_rate(&Limits::default(), |_| ping(), 10, Duration::from_secs(5));
    let pings = Rate { count: 2, per: Duration::from_secs(4) };
    assert_rate(&Limits { pings, ..Limits::default() }, |_| ping(), 2, Duration::from_secs(2));
}

#[test]
fn new_credentials_come_three_in_a_minute() {
    assert_rate(&Limits::default(), |_| auth(), 3, Duration::from_secs(20));
    let auths = Rate { count: 5, per: Duration::from_secs(5) };
    assert_rate(&Limits { auths, ..Limits::default() }, |_| auth(), 5, Duration::from_secs(1));
}

#[test]
fn acknowledgements_without_news_come_200_in_a_second() {
    assert_rate(&Limits::default(), ack, 200, Duration::from_millis(5));
    let idle_acks = Rate { count: 3, per: Duration::from_secs(3) };
    assert_rate(&Limits { idle_acks, ..Limits::default() }, ack, 3, Duration::from_secs(1));
}

#[test]
fn acknowledgements_with_news_are_not_counted() {
    let idle_acks = Rate { count: 1, per: Duration::from_secs(1_000_000) };
    let mut pair = limited(Limits { idle_acks, ..Limits::default() });
    for _ in 0..50 {
        let (own, call) = open(&mut pair, UNARY);
        respond(&mut pair, call, "answer");
        assert!(response(&mut pair, own).is_ok());
        pair.advance(Duration::from_secs(2));
    }
    assert!(pair.server().is_live());
}

/// Whoever opens and cancels, again and again, makes handlers start for nothing.
#[test]
fn cancels_come_a_thousand_in_ten_seconds() {
    for (limits, burst) in [
        (Limits::default(), 1000),
        (Limits { cancels: Rate { count: 5, per: Duration::from_secs(10) }, ..Limits::default() }, 5),
    ] {
        let mut pair = limited(limits);
        let cancel = |seq| {
            let call = CallRef { id: 0, opener: Opener::Writer };
            Envelope::Sequenced(seq, Sequenced::Cancel { call })
        };
        let first = pair.server().last_processed() + 1;
        let all: Vec<_> = (first..first + burst).map(cancel).collect();
        write(&mut pair, Side::Server, &all);
        assert!(pair.server().is_live());
        write(&mut pair, Side::Server, &[cancel(first + burst)]);
        pair.run();
        let (side, refusal) = pair.closed.clone().expect("closed");
        assert_eq!((side, refusal.code), (Side::Server, CloseCode::RATE_LIMITED));
    }
}

#[test]
fn a_session_of_our_own_stays_below_every_bound() {
    let mut pair = live(
        Config { timing: Default::default(), ..serving() },
        Config { timing: Default::default(), ..serving() },
    );
    for _ in 0..200 {
        pair.advance(Duration::from_secs(1));
        let now = pair.now;
        pair.client().handle_wake(now);
        pair.run();
    }
    assert_eq!(pair.closed, None);
}

#[test]
fn a_client_takes_what_its_server_sends() {
    let mut pair = pair();
    let same = Envelope::Control(Control::Ack(Ack { seq: pair.client().head(), unsequenced: 0 }));
    let envelopes: Vec<_> = std::iter::repeat_n(ping(), 500).chain(std::iter::repeat_n(same, 500)).collect();
    write(&mut pair, Side::Client, &envelopes);
    pair.run();
    assert!(pair.client().is_live());
    cut(&mut pair);
    resume(&mut pair);
    assert_eq!(outcomes(&mut pair, Side::Client), Vec::<Outcome>::new());
}
