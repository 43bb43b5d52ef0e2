//! A service whose methods differ in what may be asked again, and sessions that are lost.

use bowline_protocol::envelope::{Control, Decoder, Encoder, Envelope, Hello, OnceTable, Sequenced};
use bowline_protocol::schema::{MethodDescriptor, MethodKind, Retry, ServiceDescriptor};
use bowline_protocol::session::{CallId, Config, Event, Failure, Request, Welcoming};
use bowline_protocol::status::Delivery;
use bowline_test_support::{Pair, Side};
use bytes::Bytes;

use crate::common::links::*;
use crate::common::*;

pub(crate) const fn retried(name: &'static str, retry: Retry, hash: u128) -> MethodDescriptor {
    MethodDescriptor { retry, ..method(name, MethodKind::Unary, hash) }
}

pub(crate) static SHOP: ServiceDescriptor = ServiceDescriptor {
    name: "Shop",
    methods: &[
        retried("never", Retry::Never, 1),
        retried("idempotent", Retry::Idempotent, 2),
        retried("once", Retry::Once, 3),
    ],
};

pub(crate) const NEVER: usize = 0;
pub(crate) const IDEMPOTENT: usize = 1;
pub(crate) const ONCE: usize = 2;

pub(crate) const TABLE: OnceTable = OnceTable { id: 70, tick: 3 };
pub(crate) const OTHER_TABLE: OnceTable = OnceTable { id: 71, tick: 90 };

pub(crate) fn shopping() -> Config {
    Config { services: vec![&SHOP], timing: quiet(), ..Config::default() }
}

pub(crate) fn shop() -> Pair {
    let mut pair = Pair::new(shopping(), shopping());
    let now = pair.now;
    pair.client().declare(now, &SHOP);
    begun(pair)
}

/// The session is live, and all is said that there is to say.
fn begun(mut pair: Pair) -> Pair {
    pair.server().set_once_table(TABLE);
    pair.connect();
    pair.run();
    outcomes(&mut pair, Side::Client);
    outcomes(&mut pair, Side::Server);
    pair.sent(Side::Client);
    pair
}

/// A live session of a client of that time, with the server of `service`.
pub(crate) fn older(service: &'static ServiceDescriptor) -> Pair {
    let serving = Config { services: vec![service], ..shopping() };
    begun(Pair::new(shopping(), serving))
}

/// The shop as it was before its methods changed their classes.
pub(crate) static OLDER: ServiceDescriptor = ServiceDescriptor {
    name: "Shop",
    methods: &[
        retried("never", Retry::Idempotent, 1),
        retried("idempotent", Retry::Once, 2),
        retried("once", Retry::Idempotent, 3),
    ],
};

pub(crate) fn buy(pair: &mut Pair, method: usize, what: &'static str) -> CallId {
    let once = (method == ONCE).then_some(u128::from(what.as_bytes()[0]));
    ask(pair, Request { service: &SHOP, once, ..request(method, what) })
}

pub(crate) fn buy_as_before(pair: &mut Pair, method: usize, what: &'static str) -> CallId {
    let once = (OLDER.methods[method].retry == Retry::Once).then_some(3);
    ask(pair, Request { service: &OLDER, once, ..request(method, what) })
}

/// One call arrives, another is written and lost with the link.
pub(crate) fn one_arrives(
    pair: &mut Pair,
    first: (usize, &'static str),
    second: (usize, &'static str),
) -> (CallId, CallId) {
    let arrived = buy(pair, first.0, first.1);
    pair.run();
    assert_eq!(arrivals(pair).len(), 1);
    lose_from(pair, Side::Client);
    let lost = buy(pair, second.0, second.1);
    pair.run();
    cut(pair);
    (arrived, lost)
}

pub(crate) fn failed(told: &[(CallId, Result<Vec<u8>, Failure>)], call: CallId) -> Option<Delivery> {
    told.iter().find(|it| it.0 == call).map(|it| match &it.1 {
        Err(Failure::Disconnected(delivery)) => *delivery,
        other => panic!("{other:?}"),
    })
}

pub(crate) fn restart(pair: &mut Pair) {
    pair.restart_server(shopping());
    pair.server().set_once_table(OTHER_TABLE);
}

/// The client's hello on a new link, taken off the wire.
pub(crate) fn hello(pair: &mut Pair) -> Hello {
    let now = pair.now;
    pair.client().handle_connected(now);
    let message = pair.client().poll_transmit(now).unwrap();
    match Decoder::new(message).next() {
        Some(Ok(Envelope::Control(Control::Hello(hello)))) => *hello,
        other => panic!("a hello, not {other:?}"),
    }
}

pub(crate) fn encode(control: Control) -> Bytes {
    let mut out = Vec::new();
    Encoder::new(&mut out).push(&Envelope::Control(control));
    out.into()
}

/// A fresh server machine begins a session as `welcoming` says.
pub(crate) fn greet(pair: &mut Pair, hello: Hello, welcoming: Welcoming) {
    let now = pair.now;
    pair.server().handle_connected(now);
    pair.server().handle_message(now, encode(Control::Hello(Box::new(hello))));
    assert!(matches!(pair.server().poll_event(), Some(Event::Hello(_))));
    pair.server().welcome(now, welcoming);
    pair.run();
}

pub(crate) fn once_keys(sent: &[Envelope]) -> Vec<(u128, OnceTable)> {
    let keys = numbered(sent).into_iter().filter_map(|(_, it)| match it {
        Sequenced::Call(open) => open.once.as_ref().map(|once| (once.key, once.table)),
        _ => None,
    });
    keys.collect()
}
