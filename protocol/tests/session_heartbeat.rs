//! Pings: a link that is dead without saying so is found, and one that is alive is left alone.

#![allow(clippy::unwrap_used, reason = "a helper of tests that fails them")]

mod common;

use std::time::Duration;

use bowline_protocol::Instant;
use bowline_protocol::envelope::{Control, Encoder, Envelope, Outcome};
use bowline_protocol::limits::Timing;
use bowline_protocol::session::{Config, Event, Failure, Session, Welcoming};
use bowline_protocol::status::{CloseCode, Delivery};
use bowline_test_support::{Pair, Side, origin};
use bytes::Bytes;
use common::links::*;
use common::*;

fn timed(timing: Timing) -> Config {
    Config { timing, ..serving() }
}

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

const MILLI: Duration = Duration::from_millis(1);

/// With the heartbeat of a fresh installation at both ends.
fn beating() -> Pair {
    live(timed(Timing::default()), timed(Timing::default()))
}

/// A client whose server never pings.
fn client_alone(timing: Timing) -> Pair {
    live(timed(timing), timed(Timing { ping: Duration::ZERO, ..Timing::default() }))
}

fn pings(pair: &mut Pair, side: Side) -> usize {
    pair.sent(side).iter().filter(|it| matches!(it, Envelope::Control(Control::Ping { .. }))).count()
}

/// How long it takes until one end finds out that nothing comes any more.
fn found_after(pair: &mut Pair, side: Side) -> (Duration, CloseCode) {
    let start = pair.now;
    pair.ends[side as usize].hears = false;
    while pair.session(side).is_live() {
        pair.advance(MILLI * 100);
        assert!(pair.now - start < seconds(600), "never");
    }
    let (closer, refusal) = pair.closed.clone().unwrap();
    assert_eq!(closer, side);
    (pair.now - start, refusal.code)
}

/// When the machine of a server pings for the first time, and for how long it then waits.
fn first_ping(session: u128, timing: &Timing) -> Instant {
    let mut client = Session::client(serving(), 1);
    let mut server = Session::server(timed(timing.clone()));
    let now = origin();
    client.handle_connected(now);
    server.handle_connected(now);
    server.handle_message(now, client.poll_transmit(now).unwrap());
    server.poll_event();
    server.welcome(now, Welcoming::new(session, [0; 32], 1));
    server.poll_transmit(now);
    server.poll_timeout().unwrap()
}

#[test]
fn a_server_pings_first_at_a_moment_of_its_session_and_then_regularly() {
    let timing = Timing::default();
    let first = |session| first_ping(session, &timing) - origin();
    assert_eq!(first(512), Duration::from_millis(12_500));
    assert_eq!(first(1), timing.ping / 1024);
    let mut moments: Vec<_> = (0..100).map(|it| first(it * 7919)).collect();
    assert!(moments.iter().all(|at| *at < timing.ping));
    moments.sort();
    moments.dedup();
    assert_eq!(moments.len(), 100, "not all at once");

    let mut pair = beating();
    pair.advance(seconds(25));
    assert_eq!(pings(&mut pair, Side::Server), 1);
    for _ in 0..10 {
        pair.advance(seconds(25));
        assert_eq!(pings(&mut pair, Side::Server), 1, "each interval, whatever flows");
        let (own, call) = open(&mut pair, UNARY);
        respond(&mut pair, call, "x");
        assert!(response(&mut pair, own).is_ok());
    }
    assert_eq!(pair.closed, None);
}

#[test]
fn a_server_pings_as_often_as_it_is_told() {
    let mut pair = live(serving(), timed(Timing { ping: seconds(7), ..Timing::default() }));
    pair.advance(seconds(7));
    pings(&mut pair, Side::Server);
    pair.advance(seconds(70));
    assert_eq!(pings(&mut pair, Side::Server), 10);
    assert_eq!(first_ping(512, &Timing { ping: seconds(8), ..Timing::default() }) - origin(), seconds(4));
}

#[test]
fn a_server_that_is_told_so_never_pings() {
    let mut pair = client_alone(quiet());
    pair.advance(seconds(100_000));
    assert_eq!(pings(&mut pair, Side::Server), 0);
}

#[test]
fn a_server_finds_a_dead_link_within_its_interval_and_the_wait_for_a_pong() {
    // The client's own pings are not answered either; it would find out in the same moment.
    let patient = Timing { pong: seconds(100), ..Timing::default() };
    let mut pair = live(timed(patient), timed(Timing::default()));
    let (took, code) = found_after(&mut pair, Side::Server);
    assert_eq!(code, CloseCode::NO_PONG);
    assert!(took >= seconds(10) && took <= seconds(35) + MILLI * 100, "{took:?}");
    assert!(pair.server().is_detached(), "the session can be continued");
    outcomes(&mut pair, Side::Client);
    cut(&mut pair);
    resume(&mut pair);
}

#[test]
fn a_client_finds_a_dead_link_within_fifty_seconds() {
    // Nothing but silence: 40 s, a ping, and 10 s more.
    let mut pair = client_alone(Timing::default());
    pair.advance(seconds(2));
    let (took, code) = found_after(&mut pair, Side::Client);
    assert_eq!(code, CloseCode::NO_PONG);
    assert!(took <= seconds(50) && took > seconds(46), "{took:?}");
}

#[test]
fn a_client_that_waits_for_an_acknowledgement_finds_it_within_twenty_seconds() {
    let mut pair = client_alone(Timing::default());
    pair.advance(seconds(2));
    pair.ends[Side::Client as usize].hears = false;
    ask(&mut pair, request(UNARY, "x"));
    let (took, code) = found_after(&mut pair, Side::Client);
    assert_eq!(code, CloseCode::NO_PONG);
    assert_eq!(took, seconds(20));
    // The call is not lost with the link.
    outcomes(&mut pair, Side::Client);
    assert!(answers(&mut pair).is_empty());
}

#[test]
fn a_link_on_which_only_pings_are_answered_lives() {
    let mut pair = beating();
    for _ in 0..100 {
        pair.advance(seconds(60));
        outcomes(&mut pair, Side::Client);
    }
    assert_eq!(pair.closed, None);
    assert_eq!(pair.client().stats().held, bowline_protocol::session::Held::default());
}

#[test]
fn the_wait_for_a_pong_is_as_long_as_it_is_told() {
    for pong in [3, 20] {
        let mut pair = client_alone(Timing { pong: seconds(pong), ..Timing::default() });
        pair.advance(seconds(2));
        pair.ends[Side::Client as usize].hears = false;
        ask(&mut pair, request(UNARY, "x"));
        assert_eq!(found_after(&mut pair, Side::Client).0, seconds(10 + pong));
    }
}

#[test]
fn a_client_is_silent_for_as_long_as_it_is_told() {
    for silence in [15, 100] {
        let mut pair = client_alone(Timing { silence: seconds(silence), ..Timing::default() });
        let (took, _) = found_after(&mut pair, Side::Client);
        assert!(took <= seconds(silence + 10) && took >= seconds(silence + 8), "{took:?}");
    }
}

/// A server that pings seldom is not taken for dead in between.
#[test]
fn a_client_waits_for_the_pings_that_its_server_promised() {
    let mut pair = live(timed(Timing::default()), timed(Timing { ping: seconds(120), ..Timing::default() }));
    while pings(&mut pair, Side::Server) == 0 {
        pair.advance(seconds(1));
    }
    pings(&mut pair, Side::Client);
    let start = pair.now;
    pair.ends[Side::Client as usize].hears = false;
    pair.advance(seconds(100));
    assert_eq!(pings(&mut pair, Side::Client), 0);
    while pair.client().is_live() {
        pair.advance(seconds(1));
    }
    assert!(pair.now - start <= seconds(141));
}

#[test]
fn a_client_asks_after_as_much_unanswered_time_as_it_is_told() {
    let mut pair = client_alone(Timing { unanswered: seconds(3), ..Timing::default() });
    pair.advance(seconds(2));
    pair.ends[Side::Client as usize].hears = false;
    ask(&mut pair, request(UNARY, "x"));
    pair.advance(seconds(3) - MILLI);
    assert_eq!(pings(&mut pair, Side::Client), 0);
    pair.advance(MILLI);
    assert_eq!(pings(&mut pair, Side::Client), 1);
}

#[test]
fn after_a_wake_the_link_has_five_seconds() {
    for (wake, timing) in [(5, Timing::default()), (2, Timing { wake: seconds(2), ..Timing::default() })] {
        let mut pair = client_alone(timing);
        pair.advance(seconds(12));
        pair.ends[Side::Client as usize].hears = false;
        let now = pair.now;
        pair.client().handle_wake(now);
        assert_eq!(found_after(&mut pair, Side::Client).0, seconds(wake));
    }
}

#[test]
fn after_a_wake_deadlines_are_found_before_anything_is_sent() {
    let mut pair = client_alone(Timing::default());
    let now = pair.now;
    let late = ask(&mut pair, within(request(UNARY, "late"), now + seconds(10)));
    let good = ask(&mut pair, within(request(UNARY, "good"), now + seconds(100)));
    // It slept with both in hand.
    pair.now += seconds(50);
    let now = pair.now;
    pair.client().handle_wake(now);
    pair.run();
    let told = answers(&mut pair);
    assert!(
        matches!(told[..], [(call, Err(Failure::DeadlineExceeded(Delivery::NotSent)))] if call == late),
        "{told:?}"
    );
    let sent = pair.sent(Side::Client);
    assert!(matches!(sent[0], Envelope::Control(Control::Ping { .. })), "asked before anything: {sent:?}");
    let came = arrivals(&mut pair);
    assert_eq!(came.len(), 1);
    respond(&mut pair, came[0].0, "answer");
    assert_eq!(response(&mut pair, good).unwrap(), b"answer");
}

/// A lid was closed with something unacknowledged. The link survived, and is not closed for what happened meanwhile.
#[test]
fn a_sleep_is_no_stall_of_the_other_end() {
    for wakes in [true, false] {
        let mut pair = client_alone(Timing::default());
        let own = call(&mut pair, UNARY, "x");
        let came = arrivals(&mut pair);
        respond(&mut pair, came[0].0, "answer");
        assert_eq!(response(&mut pair, own).unwrap(), b"answer");
        let late = ask(&mut pair, request(UNARY, "late"));
        lose_from(&mut pair, Side::Server);
        pair.run();
        pair.now += seconds(300);
        let now = pair.now;
        if wakes {
            pair.client().handle_wake(now);
        } else {
            pair.client().handle_timeout(now);
        }
        assert!(pair.client().is_live());
        pair.ends[Side::Client as usize].hears = true;
        pair.advance(seconds(2));
        let came = arrivals(&mut pair);
        respond(&mut pair, came[0].0, "answer");
        assert_eq!(response(&mut pair, late).unwrap(), b"answer");
        pair.advance(seconds(60));
        assert_eq!(pair.closed, None);
    }
}

#[test]
fn a_timer_that_comes_late_is_a_sleep_and_the_link_gets_another_chance() {
    let mut pair = client_alone(Timing::default());
    pair.advance(seconds(2));
    pair.ends[Side::Client as usize].hears = false;
    pair.advance(seconds(45));
    assert_eq!(pings(&mut pair, Side::Client), 1, "unanswered for now");
    let due = pair.client().poll_timeout().unwrap();
    // Not 5 s late: the link is dead. As late as that: the machine slept.
    for (late, lives) in [(seconds(5) - MILLI, false), (seconds(5), true)] {
        let mut pair = client_alone(Timing::default());
        pair.advance(seconds(2));
        pair.ends[Side::Client as usize].hears = false;
        pair.advance(seconds(45));
        let due = pair.client().poll_timeout().unwrap();
        pair.sent(Side::Client);
        pair.client().handle_timeout(due + late);
        assert_eq!(pair.client().is_live(), lives);
        if lives {
            pair.now = due + late;
            pair.run();
            assert_eq!(pings(&mut pair, Side::Client), 1);
            let next = pair.client().poll_timeout().unwrap();
            assert_eq!(next, due + late + seconds(5), "and that is the last one");
            pair.client().handle_timeout(next);
            assert!(!pair.client().is_live());
        }
    }
    assert!(due > pair.now);
}

#[test]
fn pings_of_a_client_are_five_seconds_apart() {
    let timing = Timing { silence: seconds(1), unanswered: seconds(1), ..Timing::default() };
    let mut pair = live(timed(timing), timed(Timing { ping: seconds(1), ..Timing::default() }));
    pair.advance(seconds(5));
    pings(&mut pair, Side::Client);
    for second in 0..100 {
        pair.advance(seconds(1));
        if second % 3 == 0 {
            // A browser tells of each of `online`, `visibilitychange` and `pageshow`.
            for _ in 0..3 {
                let now = pair.now;
                pair.client().handle_wake(now);
                pair.run();
            }
        }
    }
    let pings = pings(&mut pair, Side::Client);
    assert!((19..=21).contains(&pings), "{pings}");
    assert_eq!(pair.closed, None);
}

/// What wakes right after a ping was answered is asked again all the same, as soon as it may be.
#[test]
fn a_wake_right_after_a_ping_finds_a_dead_link_too() {
    let mut pair = client_alone(Timing::default());
    pair.advance(seconds(60));
    let now = pair.now;
    pair.client().handle_wake(now);
    pair.run();
    pair.advance(seconds(1));
    let now = pair.now;
    pair.client().handle_wake(now);
    let (took, code) = found_after(&mut pair, Side::Client);
    assert_eq!(code, CloseCode::NO_PONG);
    assert_eq!(took, seconds(4 + 5));
}

#[test]
fn a_pong_carries_the_acknowledgement() {
    let mut pair = pair();
    pair.advance(seconds(2));
    call(&mut pair, UNARY, "x");
    let processed = pair.server().last_processed();
    pair.sent(Side::Server);
    let now = pair.now;
    pair.client().handle_wake(now);
    pair.run();
    let sent = pair.sent(Side::Server);
    let ack = sent.iter().find_map(|it| match it {
        Envelope::Control(Control::Pong { ack, .. }) => Some(ack.seq),
        _ => None,
    });
    assert_eq!(ack, Some(processed));
    assert_eq!(pair.client().stats().held.unacknowledged, 0);
}

#[test]
fn the_round_trip_is_known_from_the_handshake_and_then_from_pings() {
    let mut pair = Pair::new(timed(Timing::default()), timed(Timing::default()));
    assert_eq!(pair.client().round_trip(), None);
    pair.weather.delay = Duration::from_millis(30);
    pair.connect();
    pair.advance(seconds(1));
    assert_eq!(pair.client().round_trip(), Some(Duration::from_millis(60)));
    assert_eq!(pair.server().round_trip(), None, "the server has not asked yet");
    pair.weather.delay = Duration::from_millis(45);
    pair.advance(seconds(26));
    assert_eq!(pair.server().round_trip(), Some(Duration::from_millis(90)));
    assert_eq!(pair.client().round_trip(), Some(Duration::from_millis(90)));
    pair.cut();
    assert_eq!(pair.client().round_trip(), None);
}

/// A message has room for half a million.
#[test]
fn many_go_aways_on_a_link_are_one_event_and_the_first_counts() {
    let mut pair = pair();
    for link in 1..=2_u64 {
        let mut out = Vec::new();
        let mut encoder = Encoder::new(&mut out);
        for spread_ms in link * 1000..link * 1000 + 300 {
            encoder.push(&Envelope::Control(Control::GoAway { spread_ms }));
        }
        let message = Bytes::from(out);
        pair.inject(Side::Client, message.clone());
        pair.inject(Side::Client, message);
        let events = pair.events(Side::Client);
        assert!(matches!(events[..], [Event::GoAway { spread }] if spread == seconds(link)), "{events:?}");
        // Behind another link there may be another server.
        change_links(&mut pair);
    }
}

#[test]
fn a_go_away_reaches_the_client_once() {
    let mut pair = pair();
    let now = pair.now;
    pair.server().go_away(now, seconds(30));
    pair.run();
    let events = pair.events(Side::Client);
    assert!(matches!(events[..], [Event::GoAway { spread }] if spread == seconds(30)), "{events:?}");
    // It is about this link's server as it is now; a session that goes on is told again if need be.
    change_links(&mut pair);
    assert!(pair.events(Side::Client).is_empty());
    pair.client().go_away(now, seconds(30));
    pair.run();
    assert!(pair.events(Side::Server).is_empty(), "a client does not send anybody away");
    assert_eq!(outcomes(&mut pair, Side::Client), Vec::<Outcome>::new());
}
