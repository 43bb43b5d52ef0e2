//! What has no numbers is counted per link: what arrived on an earlier link says nothing about a later one.

mod common;

use bowline_protocol::session::Event;
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
