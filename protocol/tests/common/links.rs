//! What the tests of resumed sessions share: links that go and come, and what crosses them.

use bowline_protocol::envelope::{Control, Envelope, Outcome, Sequenced, Welcome};
use bowline_protocol::session::{CallId, Event, Failure};
use bowline_test_support::{Pair, Side};

/// The outcomes of the sessions that became live. Other news about links, and about room, is thrown away.
pub(crate) fn outcomes(pair: &mut Pair, side: Side) -> Vec<Outcome> {
    let mut outcomes = Vec::new();
    for event in pair.events(side) {
        match event {
            Event::Live { outcome, .. } => outcomes.push(outcome),
            Event::Hello(_)
            | Event::Proved
            | Event::Disconnected
            | Event::Writable { .. }
            | Event::Acknowledged { .. } => {}
            other => pair.ends[side as usize].events.push_back(other),
        }
    }
    outcomes
}

/// The link is lost with everything under way, also what one end did not hear.
pub(crate) fn cut(pair: &mut Pair) {
    pair.cut();
    for end in &mut pair.ends {
        (end.hears, end.takes) = (true, true);
    }
}

/// The session goes on on a new link.
pub(crate) fn resume(pair: &mut Pair) {
    pair.connect();
    pair.run();
    for side in [Side::Client, Side::Server] {
        assert_eq!(outcomes(pair, side).last(), Some(&Outcome::Resumed), "{side:?} {:?}", pair.closed);
    }
}

pub(crate) fn change_links(pair: &mut Pair) {
    cut(pair);
    resume(pair);
}

/// What this end writes from now on does not arrive.
pub(crate) fn lose_from(pair: &mut Pair, side: Side) {
    pair.ends[side.other() as usize].hears = false;
}

/// The next link is lost before the client hears the welcome.
pub(crate) fn lose_welcome(pair: &mut Pair) {
    pair.connect();
    lose_from(pair, Side::Server);
    pair.run();
    assert!(pair.server().is_live() && !pair.client().is_live());
    cut(pair);
}

/// What has numbers, with them.
pub(crate) fn numbered(envelopes: &[Envelope]) -> Vec<(u64, &Sequenced)> {
    let numbered = envelopes.iter().filter_map(|it| match it {
        Envelope::Sequenced(seq, sequenced) => Some((*seq, sequenced)),
        _ => None,
    });
    numbered.collect()
}

pub(crate) fn welcome(envelopes: &[Envelope]) -> &Welcome {
    let mut found = envelopes.iter().filter_map(|it| match it {
        Envelope::Control(Control::Welcome(welcome)) => Some(welcome),
        _ => None,
    });
    found.next().expect("a welcome")
}

/// The calls among the events of the server, which are nothing else.
pub(crate) fn arrivals(pair: &mut Pair) -> Vec<(CallId, Vec<u8>)> {
    outcomes(pair, Side::Server);
    super::incoming_all(pair).into_iter().map(|call| (call.call, call.buffer.to_vec())).collect()
}

/// The responses among the events of the client, which are nothing else.
pub(crate) fn answers(pair: &mut Pair) -> Vec<(CallId, Result<Vec<u8>, Failure>)> {
    outcomes(pair, Side::Client);
    let events = pair.events(Side::Client).into_iter();
    events
        .map(|event| match event {
            Event::Response { call, result } => (call, result.map(|(_, buffer)| buffer.to_vec())),
            other => panic!("expected a response, got {other:?}"),
        })
        .collect()
}
