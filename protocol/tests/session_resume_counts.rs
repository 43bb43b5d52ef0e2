//! What has no numbers is counted per link: what arrived on an earlier link says nothing about a later one.

#![allow(clippy::unwrap_used, reason = "a helper of tests that fails them")]

mod common;

use bowline_protocol::limits::Limits;
use bowline_protocol::session::{Config, Event};
use bowline_test_support::{Pair, Side};
use common::links::*;
use common::*;

fn notify(pair: &mut Pair, times: usize) {
    for _ in 0..times {
        let now = pair.now;
        pair.client().notify(now, request(NOTIFY, "x")).unwrap();
        pair.run();
    }
}

fn arrived(pair: &mut Pair) -> usize {
    let events = pair.events(Side::Server);
    events.iter().filter(|event| matches!(event, Event::Notify(_))).count()
}

#[test]
fn notifies_on_a_link_from_which_nothing_arrived_are_counted_as_dropped() {
    let mut pair = pair();
    notify(&mut pair, 3);
    assert_eq!(arrived(&mut pair), 3);
    change_links(&mut pair);
    lose_from(&mut pair, Side::Client);
    notify(&mut pair, 2);
    assert_eq!(pair.client().stats().counted.notifies_dropped, 0);
    cut(&mut pair);
    pair.connect();
    pair.run();
    assert_eq!(arrived(&mut pair), 0);
    assert_eq!(pair.client().stats().counted.notifies_dropped, 2);
}

/// The announcement of a large value takes room at the other end, which never hears of it.
#[test]
fn a_large_value_that_was_lost_takes_no_room_any_more() {
    let limits = Limits { payload_in: 200 * 1024, assembly: 200 * 1024, ..Limits::default() };
    let mut pair = live(Config { limits, ..serving() }, serving());
    let (own, watch) = open(&mut pair, WATCH);
    for value in 1..=3_u8 {
        lose_from(&mut pair, Side::Server);
        let (now, value) = (pair.now, vec![value; 150 * 1024]);
        pair.server().set_watch(now, watch, value.clone().into());
        pair.run();
        cut(&mut pair);
        pair.connect();
        pair.run();
        assert_eq!(item(&mut pair, Side::Client, own), value);
    }
}
