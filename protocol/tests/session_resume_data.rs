//! What travels in chunks or without numbers, across a cut: large payloads, gaps among items, watches and notifies.

#![allow(clippy::unwrap_used, reason = "a helper of tests that fails them")]

mod common;

use std::time::Duration;

use bowline_protocol::envelope::{Envelope, Sequenced};
use bowline_protocol::limits::Limits;
use bowline_protocol::session::{CallId, Config, Event, Read};
use bowline_protocol::status::CloseCode;
use bowline_test_support::{Pair, Side};
use bytes::Bytes;
use common::links::*;
use common::*;

const MIB: usize = 1024 * 1024;

#[test]
fn eight_large_uploads_go_on_where_they_stopped() {
    let mut pair = pair();
    pair.records = false;
    pair.weather.delay = Duration::from_millis(10);
    for number in 0..8_u8 {
        ask(&mut pair, request(UNARY, vec![number; MIB]));
    }
    let before = pair.ends[Side::Client as usize].bytes;
    while pair.ends[Side::Client as usize].bytes - before < 4 * MIB {
        pair.advance(Duration::from_millis(1));
    }
    assert_eq!(arrivals(&mut pair), [], "all eight are under way");
    assert_eq!(pair.server().stats().held.assembling, 8);
    cut(&mut pair);
    // Longer than an upload may stand still on a living link.
    pair.advance(Duration::from_secs(32));
    pair.connect();
    pair.advance(Duration::from_secs(10));
    let came = arrivals(&mut pair);
    assert_eq!(came.len(), 8);
    // In the order in which they became complete.
    let mut whole: Vec<_> = came.into_iter().map(|(_, bytes)| bytes).collect();
    whole.sort();
    assert!(whole == (0..8_u8).map(|number| vec![number; MIB]).collect::<Vec<_>>());
    let bytes = pair.ends[Side::Client as usize].bytes - before;
    // All of it once, and again no more than what was not acknowledged when the link went.
    assert!((8 * MIB..9 * MIB + 128 * 1024).contains(&bytes), "{bytes}");
}

#[test]
fn a_large_answer_goes_on_where_it_stopped() {
    let mut pair = pair();
    pair.weather.delay = Duration::from_millis(10);
    let own = ask(&mut pair, request(UNARY, "x"));
    pair.advance(Duration::from_millis(20));
    let call = incoming(&mut pair);
    let before = pair.ends[Side::Server as usize].bytes;
    respond(&mut pair, call.call, vec![9; 4 * MIB]);
    while pair.ends[Side::Server as usize].bytes - before < 2 * MIB {
        pair.advance(Duration::from_millis(1));
    }
    for _ in 0..2 {
        cut(&mut pair);
        pair.connect();
        pair.advance(Duration::from_millis(25));
    }
    pair.advance(Duration::from_secs(5));
    let told = answers(&mut pair);
    assert!(matches!(&told[..], [(call, Ok(bytes))] if *call == own && *bytes == vec![9; 4 * MIB]));
    let bytes = pair.ends[Side::Server as usize].bytes - before;
    assert!(bytes < 6 * MIB + 256 * 1024, "{bytes}");
}

#[test]
fn a_gap_among_items_keeps_its_place_in_a_cut() {
    let mut pair = pair();
    let (own, call) = open(&mut pair, SERVER_STREAM);
    assert!(send(&mut pair, Side::Server, call, "one"));
    pair.run();
    lose_from(&mut pair, Side::Server);
    let now = pair.now;
    pair.server().send_gap(now, call, 7);
    assert!(send(&mut pair, Side::Server, call, "nine"));
    pair.run();
    change_links(&mut pair);
    assert_eq!(item(&mut pair, Side::Client, own), b"one");
    assert!(matches!(read(&mut pair, Side::Client, own), Read::Gap(7)));
    assert_eq!(item(&mut pair, Side::Client, own), b"nine");
    assert!(matches!(read(&mut pair, Side::Client, own), Read::Pending));
}

fn watch(pair: &mut Pair) -> (CallId, CallId) {
    let (own, call) = open(pair, WATCH);
    set(pair, call, vec![0]);
    assert_eq!(value(pair, own), Some(vec![0]));
    pair.advance(Duration::from_secs(2));
    pair.events(Side::Client);
    (own, call)
}

fn set(pair: &mut Pair, call: CallId, value: Vec<u8>) {
    let now = pair.now;
    pair.server().set_watch(now, call, value.into());
    pair.run();
}

fn value(pair: &mut Pair, own: CallId) -> Option<Vec<u8>> {
    match read(pair, Side::Client, own) {
        Read::Item(_, buffer) => Some(buffer.to_vec()),
        Read::Pending => None,
        other => panic!("{other:?}"),
    }
}

const SMALL: usize = 10;
const LARGE: usize = 200_000;

#[test]
fn the_newest_value_of_a_watch_comes_after_a_cut() {
    for len in [SMALL, LARGE] {
        for newest in [1, 2] {
            let mut pair = pair();
            let (own, call) = watch(&mut pair);
            lose_from(&mut pair, Side::Server);
            for number in 1..=newest {
                set(&mut pair, call, vec![number; len]);
            }
            cut(&mut pair);
            assert!(pair.client().is_stale(own));
            resume(&mut pair);
            assert!(!pair.client().is_stale(own));
            assert_eq!(value(&mut pair, own), Some(vec![newest; len]), "{len}");
            assert_eq!(value(&mut pair, own), None, "once");
            // And it takes no room from those that follow.
            for number in 0..50 {
                set(&mut pair, call, vec![number; len]);
                pair.advance(Duration::from_secs(1));
                assert_eq!(value(&mut pair, own), Some(vec![number; len]));
                change_links(&mut pair);
            }
            assert_eq!(value(&mut pair, own), None);
        }
    }
}

#[test]
fn a_value_that_is_set_without_a_link_comes_and_older_ones_do_not() {
    let mut pair = pair();
    let (own, call) = watch(&mut pair);
    lose_from(&mut pair, Side::Server);
    set(&mut pair, call, vec![1]);
    cut(&mut pair);
    set(&mut pair, call, vec![2]);
    set(&mut pair, call, vec![3]);
    pair.sent(Side::Server);
    resume(&mut pair);
    let sent = pair.sent(Side::Server);
    assert_eq!(sent.iter().filter(|it| matches!(it, Envelope::Watch(_))).count(), 1, "{sent:?}");
    assert_eq!(value(&mut pair, own), Some(vec![3]));
}

/// What a server writes after a cut in which items of a stream were lost: `w` for a value of a watch, `c` for the rest of
/// one that travels in chunks, `s` for what has a number.
fn written_again(pair: &mut Pair) -> String {
    cut(pair);
    pair.sent(Side::Server);
    resume(pair);
    let letter = |envelope: &Envelope| match envelope {
        Envelope::Watch(_) => Some('w'),
        Envelope::WatchChunk(_) => Some('c'),
        Envelope::Sequenced(..) => Some('s'),
        _ => None,
    };
    pair.sent(Side::Server).iter().filter_map(letter).collect()
}

#[test]
fn the_newest_values_of_watches_come_before_what_is_replayed() {
    let mut pair = pair();
    let (watched, watch) = watch(&mut pair);
    let (large, largest) = open(&mut pair, WATCH);
    let (items, stream) = open(&mut pair, SERVER_STREAM);
    pair.events(Side::Client);
    lose_from(&mut pair, Side::Server);
    let now = pair.now;
    pair.server().accept(now, stream);
    for item in 0..3 {
        assert!(send(&mut pair, Side::Server, stream, vec![item; 10_000]));
    }
    set(&mut pair, watch, vec![1]);
    set(&mut pair, largest, vec![2; LARGE]);
    // Its place in the queue is behind the items, and it was not there when they were written.
    set(&mut pair, watch, vec![3]);
    let written = written_again(&mut pair);
    // Two acceptances and three items have numbers. A large value travels behind them.
    assert_eq!(written, "wssssswcccc");
    assert_eq!(value(&mut pair, watched), Some(vec![3]));
    assert_eq!(value(&mut pair, large), Some(vec![2; LARGE]));
    for number in 0..3 {
        assert_eq!(item(&mut pair, Side::Client, items), vec![number; 10_000]);
    }
}

#[test]
fn a_value_accepts_a_watch_whose_acceptance_is_replayed_behind_it() {
    let mut pair = pair();
    let own = call(&mut pair, WATCH, "open");
    let call = incoming(&mut pair).call;
    lose_from(&mut pair, Side::Server);
    set(&mut pair, call, vec![1]);
    assert_eq!(written_again(&mut pair), "ws");
    let events = pair.events(Side::Client);
    let accepted = events.iter().filter(|it| matches!(it, Event::Accepted { call } if *call == own));
    assert_eq!(accepted.count(), 1, "{events:?}");
    assert_eq!(value(&mut pair, own), Some(vec![1]));
}

#[test]
fn no_more_values_come_before_a_replay_than_fit_into_a_message() {
    let mut pair = pair();
    let watches: Vec<_> = (0..20).map(|_| open(&mut pair, WATCH)).collect();
    let (_, stream) = open(&mut pair, SERVER_STREAM);
    pair.events(Side::Client);
    lose_from(&mut pair, Side::Server);
    assert!(send(&mut pair, Side::Server, stream, vec![0; 100]));
    for (_, call) in &watches {
        set(&mut pair, *call, vec![1; 10_000]);
    }
    let written = written_again(&mut pair);
    let first = written.find('s').unwrap();
    assert_eq!(first, 7, "64 KiB of 10,000 bytes each: {written}");
    for (own, _) in watches {
        assert_eq!(value(&mut pair, own), Some(vec![1; 10_000]));
    }
}

#[test]
fn a_value_that_arrived_does_not_come_again() {
    let mut pair = pair();
    let (own, call) = watch(&mut pair);
    set(&mut pair, call, vec![1]);
    pair.sent(Side::Server);
    // It arrived and nothing said so yet.
    change_links(&mut pair);
    let sent = pair.sent(Side::Server);
    assert!(!sent.iter().any(|it| matches!(it, Envelope::Watch(_))), "{sent:?}");
    assert_eq!(value(&mut pair, own), Some(vec![1]));
}

#[test]
fn a_half_written_value_is_written_anew_and_its_first_half_forgotten() {
    for newer in [None, Some(8)] {
        let mut pair = pair();
        let (own, call) = watch(&mut pair);
        let now = pair.now;
        pair.server().set_watch(now, call, vec![7; LARGE].into());
        let half = pair.server().poll_transmit(now).unwrap();
        pair.inject(Side::Client, half);
        assert_eq!(pair.client().stats().held.assembling, 1);
        cut(&mut pair);
        assert_eq!(pair.client().stats().held.assembling, 0);
        if let Some(newer) = newer {
            set(&mut pair, call, vec![newer; LARGE]);
        }
        resume(&mut pair);
        assert_eq!(value(&mut pair, own), Some(vec![newer.unwrap_or(7); LARGE]));
        assert_eq!(value(&mut pair, own), None);
    }
}

#[test]
fn the_last_value_before_the_end_of_a_watch_survives_a_cut() {
    for len in [SMALL, LARGE] {
        // The cut comes before the value, between it and the end, or after both.
        for written in 0..3 {
            let mut pair = pair();
            let (own, call) = watch(&mut pair);
            let now = pair.now;
            lose_from(&mut pair, Side::Server);
            if written == 0 {
                cut(&mut pair);
            }
            set(&mut pair, call, vec![1; len]);
            if written == 1 {
                cut(&mut pair);
            }
            pair.server().respond(now, call, Ok(Bytes::new()));
            pair.run();
            cut(&mut pair);
            resume(&mut pair);
            pair.advance(Duration::from_secs(2));
            assert_eq!(value(&mut pair, own), Some(vec![1; len]), "{len} {written}");
            assert!(matches!(read(&mut pair, Side::Client, own), Read::End), "{len} {written}");
            pair.events(Side::Client);
            pair.events(Side::Server);
            assert_empty(&mut pair);
        }
    }
}

fn notify(pair: &mut Pair, number: u8) -> bool {
    let now = pair.now;
    let taken = pair.client().notify(now, request(NOTIFY, vec![number])).is_ok();
    pair.run();
    taken
}

/// Offered is what arrived and what was dropped and counted, to the last one.
#[test]
fn notifies_are_counted_exactly_across_cuts() {
    let mut pair = pair();
    let mut offered = 0;
    let mut arrived = 0;
    let mut count = |pair: &mut Pair| {
        for event in pair.events(Side::Server) {
            if let Event::Notify(notify) = event {
                arrived += 1;
                pair.server().finish_notify(notify.ticket);
            }
        }
        arrived
    };
    for round in 0..4 {
        for number in 0..5 {
            offered += u64::from(notify(&mut pair, number));
        }
        lose_from(&mut pair, Side::Client);
        for number in 0..3 {
            offered += u64::from(notify(&mut pair, number));
        }
        // What the socket did not take is dropped with the link.
        pair.ends[Side::Client as usize].takes = false;
        offered += u64::from(notify(&mut pair, 9));
        cut(&mut pair);
        assert!(!notify(&mut pair, 10), "nothing of the kind waits for a link");
        offered += 1;
        if round % 2 == 1 {
            lose_welcome(&mut pair);
        }
        pair.connect();
        pair.run();
        let arrived = count(&mut pair);
        assert_eq!(arrived, 5 * (round + 1));
        assert_eq!(pair.client().stats().counted.notifies_dropped, offered - arrived, "round {round}");
    }
}

/// A session that is lost takes with it what was under way, on its last link and on the one that is there: of that nobody
/// will say whether it arrived, so it is counted as dropped.
#[test]
fn notifies_under_way_when_their_session_is_lost_are_counted() {
    type Lose = fn(&mut Pair);
    let ways: [(&str, Side, Lose); 5] = [
        ("closed on purpose", Side::Client, |pair| {
            let now = pair.now;
            pair.client().handle_disconnect(now, Some(CloseCode::NORMAL));
        }),
        ("the server was restarted", Side::Client, |pair| {
            cut(pair);
            pair.restart_server(serving());
            pair.connect();
            pair.run();
        }),
        ("over at a server without a link", Side::Server, |pair| {
            cut(pair);
            let now = pair.now;
            pair.server().end(now);
        }),
        ("over at a server with a link", Side::Server, |pair| {
            let now = pair.now;
            pair.server().end(now);
        }),
        ("a link later", Side::Server, |pair| {
            cut(pair);
            lose_welcome(pair);
            let now = pair.now;
            pair.server().end(now);
        }),
    ];
    for (what, side, lose) in ways {
        let mut pair = Pair::live(serving(), serving());
        let offer = |pair: &mut Pair, number: u8| {
            let now = pair.now;
            pair.session(side).notify(now, request(NOTIFY, vec![number])).unwrap();
            pair.run();
        };
        for number in 0..5 {
            offer(&mut pair, number);
        }
        pair.advance(Duration::from_secs(2));
        let arrived = |pair: &mut Pair| {
            let events = pair.events(side.other());
            events.iter().filter(|it| matches!(it, Event::Notify(_))).count() as u64
        };
        assert_eq!(arrived(&mut pair), 5, "{what}");
        lose_from(&mut pair, side);
        for number in 0..3 {
            offer(&mut pair, number);
        }
        assert_eq!(pair.session(side).stats().counted.notifies_dropped, 0, "{what}");
        lose(&mut pair);
        assert_eq!(arrived(&mut pair), 0, "{what}");
        assert_eq!(pair.session(side).stats().counted.notifies_dropped, 3, "{what}");
    }
}

#[test]
fn an_upload_goes_on_item_by_item() {
    let limits = Limits { stream_window: 8192, stream_window_max: 8192, ..Limits::default() };
    let mut pair = live(serving(), Config { limits, ..serving() });
    let (own, call) = open(&mut pair, CLIENT_STREAM);
    let mut sent = 0_u8;
    let mut came = 0_u8;
    while came < 100 {
        while sent < 100 && send(&mut pair, Side::Client, own, vec![sent; 900]) {
            sent += 1;
        }
        pair.run();
        // Now the items are lost, now the credit, now nothing.
        match came % 3 {
            0 => lose_from(&mut pair, Side::Client),
            1 => lose_from(&mut pair, Side::Server),
            _ => {}
        }
        while let Read::Item(_, buffer) = read(&mut pair, Side::Server, call) {
            assert_eq!(buffer.to_vec(), vec![came; 900]);
            came += 1;
        }
        pair.events(Side::Server);
        pair.events(Side::Client);
        change_links(&mut pair);
    }
    let now = pair.now;
    pair.client().send_end(now, own);
    change_links(&mut pair);
    assert!(matches!(read(&mut pair, Side::Server, call), Read::End));
    let sent = pair.sent(Side::Client);
    assert!(numbered(&sent).iter().any(|(_, it)| matches!(it, Sequenced::End { .. })));
}
