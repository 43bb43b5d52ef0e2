//! Pings of a client at the edges of their rules: right after another, right before a wake-up, answered by what was not asked.

mod common;

use std::time::Duration;

use bowline_protocol::envelope::{Ack, Control, Encoder, Envelope};
use bowline_protocol::limits::Timing;
use bowline_protocol::session::Config;
use bowline_protocol::status::CloseCode;
use bowline_test_support::{Pair, Side};
use common::*;

const MILLI: Duration = Duration::from_millis(1);

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// A client with this heartbeat that has heard nothing for 2 s, and hears nothing more.
fn unheard(timing: Timing) -> Pair {
    let config = |timing| Config { timing, ..serving() };
    let mut pair = live(config(timing), config(Timing { ping: Duration::ZERO, ..Timing::default() }));
    pair.advance(seconds(2));
    pair.sent(Side::Client);
    pair.ends[Side::Client as usize].hears = false;
    pair
}

fn pings(pair: &mut Pair) -> Vec<u64> {
    let nonce = |envelope: &Envelope| match envelope {
        Envelope::Control(Control::Ping { nonce }) => Some(*nonce),
        _ => None,
    };
    pair.sent(Side::Client).iter().filter_map(nonce).collect()
}

/// The client reads a pong that its server did not write.
fn answer(pair: &mut Pair, nonce: u64) {
    let ack = Ack { seq: 0, unsequenced: 0 };
    let mut message = Vec::new();
    Encoder::new(&mut message).push(&Envelope::Control(Control::Pong { nonce, ack, once_tick: 0 }));
    let now = pair.now;
    pair.client().handle_message(now, message.into());
    pair.run();
}

#[test]
fn only_the_answer_to_the_last_ping_says_how_far_the_server_is() {
    let mut pair = unheard(Timing { silence: seconds(3), ..Timing::default() });
    let before = pair.client().round_trip();
    pair.advance(seconds(1));
    let [nonce] = pings(&mut pair)[..] else { panic!("one ping") };
    pair.advance(seconds(2));
    answer(&mut pair, nonce + 1);
    answer(&mut pair, nonce - 1);
    assert_eq!(pair.client().round_trip(), before);
    answer(&mut pair, nonce);
    assert_eq!(pair.client().round_trip(), Some(seconds(2)));
}

/// A server that answers each ping and acknowledges nothing is not asked all the time.
#[test]
fn what_stays_unanswered_is_asked_for_every_five_seconds_at_most() {
    let mut pair = unheard(Timing { unanswered: seconds(1), ..Timing::default() });
    ask(&mut pair, request(UNARY, "x"));
    pair.advance(seconds(1));
    let [nonce] = pings(&mut pair)[..] else { panic!("one ping") };
    answer(&mut pair, nonce);
    pair.advance(seconds(5) - MILLI);
    assert!(pings(&mut pair).is_empty());
    pair.advance(MILLI);
    assert_eq!(pings(&mut pair), [nonce + 1]);
}

/// A ping that is under way when the device wakes has as long as one that is sent then.
#[test]
fn a_wake_shortens_the_wait_for_a_ping_that_is_under_way() {
    let mut pair = unheard(Timing { silence: seconds(3), ..Timing::default() });
    pair.advance(seconds(1));
    assert_eq!(pings(&mut pair).len(), 1);
    pair.advance(seconds(1));
    let now = pair.now;
    pair.client().handle_wake(now);
    pair.run();
    assert!(pings(&mut pair).is_empty());
    pair.advance(seconds(5) - MILLI);
    assert!(pair.client().is_live());
    pair.advance(MILLI);
    assert!(!pair.client().is_live());
    assert_eq!(
        pair.closed.map(|(side, refusal)| (side, refusal.code)),
        Some((Side::Client, CloseCode::NO_PONG))
    );
}
