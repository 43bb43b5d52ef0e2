//! Slow links: what is on them at one time, so that control and small calls get their turn.

mod common;

use std::collections::VecDeque;
use std::time::Duration;

use bowline_protocol::envelope::{Ack, Control, Encoder, Envelope};
use bowline_protocol::limits::{Limits, Timing};
use bowline_protocol::session::Config;
use bowline_protocol::status::CloseCode;
use bowline_test_support::{Pair, Side};
use common::{CHAT, UNARY, ask, incoming, live, quiet, request, response, serving};

const KIB: usize = 1024;

fn secs(seconds: f64) -> Duration {
    Duration::from_secs_f64(seconds)
}

/// A client whose link is what it is by default, and a server that hears nothing of it: the test says what arrived.
fn with(limits: Limits, timing: Timing) -> Pair {
    let generous = Config { limits: Limits { calls: 1_000_000, ..Limits::default() }, ..serving() };
    let mut pair = live(Config { limits, timing, services: vec![&CHAT] }, generous);
    pair.advance(secs(2.0));
    pair.ends[Side::Client as usize].takes = false;
    pair
}

fn pair() -> Pair {
    with(Limits::default(), quiet())
}

/// What the client writes now: the lengths of its messages.
fn written(pair: &mut Pair) -> Vec<usize> {
    let now = pair.now;
    std::iter::from_fn(|| pair.client().poll_transmit(now)).map(|message| message.len()).collect()
}

/// The other end acknowledges all that was written.
fn acknowledge(pair: &mut Pair) {
    let seq = pair.client().head();
    acknowledge_up_to(pair, seq);
}

fn acknowledge_up_to(pair: &mut Pair, seq: u64) {
    let mut out = Vec::new();
    Encoder::new(&mut out).push(&Envelope::Control(Control::Ack(Ack { seq, unsequenced: 0 })));
    pair.inject(Side::Client, out.into());
}

/// Lets the client write all day, to a link that carries so much in a second and acknowledges after `round_trip`. What
/// was under way each time.
fn rounds(pair: &mut Pair, rate: f64, round_trip: f64, count: usize) -> Vec<usize> {
    let rounds = (0..count).map(|_| {
        while pair.client().stats().held.queued < 300 {
            ask(pair, request(UNARY, vec![0; 2 * KIB]));
        }
        let bytes: usize = written(pair).iter().sum();
        pair.now += secs(round_trip + bytes as f64 / rate);
        acknowledge(pair);
        bytes
    });
    rounds.collect()
}

fn many() -> Limits {
    Limits { waiting_calls: 100_000, waiting_bytes: 1 << 30, ..Limits::default() }
}

#[test]
fn a_new_link_is_taken_for_a_slow_one_and_grows_with_every_round_trip() {
    let mut pair = with(many(), quiet());
    let bytes = rounds(&mut pair, 1e9, 0.05, 9);
    // 2 KiB/s for 4 s, and twice as much each time; then nothing but the replay buffer is a bound.
    for (round, kib) in [8, 16, 32, 64, 128, 256].into_iter().enumerate() {
        assert!((kib * KIB..kib * KIB + 3000).contains(&bytes[round]), "round {round}: {bytes:?}");
    }
    assert!(bytes[6] > 600_000, "all there was: {bytes:?}");
}

#[test]
fn a_slow_link_is_filled_and_not_more() {
    for (rate, round_trip) in [(2000.0, 2.0), (2000.0, 0.1), (20_000.0, 0.5), (50_000.0, 2.0)] {
        let mut pair = with(many(), quiet());
        let bytes = rounds(&mut pair, rate, round_trip, 30);
        for &bytes in &bytes[20..] {
            let took = round_trip + bytes as f64 / rate;
            assert!(bytes as f64 >= rate * round_trip, "{rate} B/s, {round_trip} s: {bytes}");
            // One more call than fits.
            assert!(took <= 4.1 + 2100.0 / rate, "{rate} B/s, {round_trip} s: {took} s");
        }
        assert_eq!(pair.closed, None);
    }
}

/// A fast link has large messages and many bytes under way, a slow one has neither; between the two borders it stays
/// what it was.
#[test]
fn a_link_becomes_slow_and_fast_again() {
    let mut pair = with(many(), quiet());
    let largest = |pair: &mut Pair| {
        while pair.client().stats().held.queued < 300 {
            ask(pair, request(UNARY, vec![0; 2 * KIB]));
        }
        let lengths = written(pair);
        (lengths.iter().max().copied().unwrap_or(0) / KIB, lengths.iter().sum::<usize>())
    };
    rounds(&mut pair, 1e9, 0.05, 9);
    assert!(largest(&mut pair).0 >= 64);
    pair.now += secs(9.0);
    acknowledge(&mut pair);
    let (fast, bytes) = largest(&mut pair);
    assert!(fast >= 64, "100 KiB/s is no slow link for one that was fast");
    pair.now += secs(bytes as f64 / 60_000.0);
    acknowledge(&mut pair);
    let (slow, bytes) = largest(&mut pair);
    assert!((14..=18).contains(&slow), "{slow}");
    assert!((200..=260).contains(&(bytes / KIB)), "{bytes}");
    pair.now += secs(bytes as f64 / 100_000.0);
    acknowledge(&mut pair);
    assert!(largest(&mut pair).0 <= 18, "100 KB/s is no fast link for one that was slow");
    pair.now += secs(0.1);
    acknowledge(&mut pair);
    assert!(largest(&mut pair).0 >= 64);
}

/// A link that lets little through at once and then 2 KB/s is known to do so by small calls that are answered at once.
#[test]
fn small_calls_now_and_then_say_nothing_of_what_a_link_carries() {
    let mut pair = with(many(), quiet());
    for _ in 0..200 {
        ask(&mut pair, request(UNARY, vec![0; 100]));
        assert_eq!(written(&mut pair).len(), 1);
        pair.now += secs(0.01);
        acknowledge(&mut pair);
        pair.advance(secs(0.99));
    }
    let bytes = rounds(&mut pair, 1e9, 0.05, 1)[0];
    assert!((8 * KIB..8 * KIB + 3000).contains(&bytes), "{bytes}");
}

#[test]
fn what_is_slow_and_what_it_carries_is_a_setting() {
    let first = |limits: Limits, timing: Timing| {
        let mut pair = with(limits, timing);
        for _ in 0..100 {
            ask(&mut pair, request(UNARY, vec![0; 512]));
        }
        written(&mut pair)
    };
    let lengths = |limits| first(limits, quiet());
    let default = lengths(Limits::default());
    assert!(default.iter().all(|len| (2 * KIB..3 * KIB).contains(len)) && default.len() == 4, "{default:?}");
    let small = lengths(Limits { message_out_slow: 1000, ..Limits::default() });
    assert!(small.iter().all(|len| (1000..1600).contains(len)), "{small:?}");
    assert_eq!(lengths(Limits { slow_link: 0, ..Limits::default() }).len(), 1, "no link is slow");
    let longer = first(Limits::default(), Timing { flight: secs(8.0), ..quiet() });
    assert!((16 * KIB..17 * KIB).contains(&longer.iter().sum()), "{longer:?}");
    assert!(!first(Limits::default(), Timing { flight: Duration::ZERO, ..quiet() }).is_empty(), "one goes");
}

/// What a loopback carries whole, and the bulk of one turn of a driver.
#[test]
fn a_large_payload_goes_in_messages_of_63_kib() {
    let mut pair = with(Limits { slow_link: 0, ..Limits::default() }, quiet());
    ask(&mut pair, request(UNARY, vec![0; 10 * 63 * KIB]));
    let lengths = written(&mut pair);
    let full = lengths.iter().filter(|len| (63 * KIB..63 * KIB + 64).contains(*len)).count();
    assert!(full >= 9 && lengths.len() <= 12, "{lengths:?}");
}

/// A link without any delay is found to be fast without waiting for a timer, whatever the ends' tasks do first: one that
/// acknowledges each message before the next one comes, or one that lets so many come together.
#[test]
fn a_large_payload_on_a_new_fast_link_waits_for_no_timer() {
    for (side, together) in
        [Side::Client, Side::Server].into_iter().flat_map(|it| (1..10).map(move |n| (it, n)))
    {
        let mut pair = live(
            Config { limits: Limits::default(), ..serving() },
            Config { limits: Limits::default(), ..serving() },
        );
        let (start, large) = (pair.now, vec![7; 1024 * KIB]);
        let own = ask(&mut pair, request(UNARY, if side == Side::Client { large.clone() } else { vec![1] }));
        if side == Side::Server {
            pair.run();
            let call = incoming(&mut pair).call;
            pair.server().respond(start, call, Ok(large.clone().into()));
        }
        let mut under_way = VecDeque::new();
        loop {
            while under_way.len() < together
                && let Some(message) = pair.session(side).poll_transmit(start)
            {
                under_way.push_back(message);
            }
            let Some(message) = under_way.pop_front() else { break };
            pair.session(side.other()).handle_message(start, message);
            while let Some(answer) = pair.session(side.other()).poll_transmit(start) {
                pair.session(side).handle_message(start, answer);
            }
        }
        pair.run();
        match side {
            Side::Client => assert_eq!(incoming(&mut pair).buffer.len(), large.len(), "{together} together"),
            Side::Server => assert_eq!(response(&mut pair, own).unwrap(), large, "{together} together"),
        }
    }
}

/// Both always have more, and each message is acknowledged on its own: whoever takes every gap would leave none.
#[test]
fn a_large_payload_has_its_part_of_a_link_that_other_data_fills_and_no_more() {
    // The last takes none for slow: there the replay buffer is what is full.
    for (rate, slow_link, size) in [
        (2000.0, 64 * KIB, 300 * KIB),
        (16_000.0, 64 * KIB, 300 * KIB),
        (50_000.0, 64 * KIB, 300 * KIB),
        (1e6, 0, 4096 * KIB),
    ] {
        let mut pair = with(Limits { slow_link, ..many() }, quiet());
        if slow_link > 0 {
            rounds(&mut pair, rate, 0.1, 20);
        }
        ask(&mut pair, request(UNARY, vec![0; size]));
        let (mut under_way, mut carried) = (VecDeque::new(), None);
        while carried.is_none_or(|bytes| bytes < 10 * size) {
            while pair.client().stats().held.queued < 300 {
                ask(&mut pair, request(UNARY, vec![0; 500]));
            }
            let now = pair.now;
            while let Some(message) = pair.client().poll_transmit(now) {
                under_way.push_back((message.len(), pair.client().head()));
            }
            match (&mut carried, pair.client().stats().held.sending) {
                (None, 0) => {}
                (Some(_), 0) => break,
                (bytes, _) => *bytes.get_or_insert(0) += under_way[0].0,
            }
            let (len, seq) = under_way.pop_front().unwrap();
            pair.now += secs(len as f64 / rate);
            acknowledge_up_to(&mut pair, seq);
        }
        let part = size as f64 / carried.unwrap() as f64;
        assert!((0.4..0.75).contains(&part), "{rate} B/s, {slow_link}: {part} of the link");
    }
}

/// A single payload of 60 KB takes 30 s on 2 KB/s, and is waited for.
#[test]
fn what_goes_at_once_and_takes_longer_has_its_time() {
    for (takes, is_closed) in [(50.0, false), (70.0, true)] {
        let mut pair = pair();
        ask(&mut pair, request(UNARY, vec![0; 60_000]));
        assert_eq!(written(&mut pair).len(), 1);
        pair.advance(secs(takes));
        acknowledge(&mut pair);
        let closed = pair.closed.map(|(_, refusal)| refusal.code);
        assert_eq!(closed, is_closed.then_some(CloseCode::SLOW), "{takes} s");
    }
}

/// As long as some of it arrives: each piece says how long the rest may take.
#[test]
fn what_was_under_way_when_a_fast_link_became_slow_has_its_time() {
    for (rate, arrives, is_closed) in
        [(60_000.0, 1.0, false), (20_000.0, 1.0, false), (5000.0, 1.0, false), (5000.0, 0.5, true)]
    {
        let mut pair = with(many(), quiet());
        rounds(&mut pair, 1e9, 0.05, 9);
        while pair.client().stats().held.queued < 500 {
            ask(&mut pair, request(UNARY, vec![0; 2 * KIB]));
        }
        let now = pair.now;
        let mut under_way = Vec::new();
        while let Some(message) = pair.client().poll_transmit(now) {
            under_way.push((message.len(), pair.client().head()));
        }
        let bytes: usize = under_way.iter().map(|it| it.0).sum();
        assert!(bytes > 900 * KIB, "{bytes}");
        under_way.truncate((under_way.len() as f64 * arrives) as usize);
        for (len, seq) in under_way {
            pair.advance(secs(len as f64 / rate));
            acknowledge_up_to(&mut pair, seq);
        }
        assert_eq!(pair.closed, None, "{rate} B/s");
        pair.advance(secs(300.0));
        let closed = pair.closed.map(|(_, refusal)| refusal.code);
        assert_eq!(closed, is_closed.then_some(CloseCode::SLOW), "{rate} B/s, {arrives} of it arrives");
    }
}

/// A ping behind it as well.
#[test]
fn a_ping_behind_a_large_message_has_time_to_be_answered() {
    for (takes, is_closed) in [(20.0, false), (50.0, true)] {
        let timing = Timing { unanswered: secs(1.0), ..quiet() };
        let mut pair = with(Limits::default(), timing);
        ask(&mut pair, request(UNARY, vec![0; 60_000]));
        written(&mut pair);
        pair.advance(secs(1.0));
        assert_eq!(written(&mut pair).len(), 1, "the ping");
        pair.advance(secs(takes));
        let closed = pair.closed.map(|(_, refusal)| refusal.code);
        assert_eq!(closed, is_closed.then_some(CloseCode::NO_PONG), "{takes} s");
    }
}
