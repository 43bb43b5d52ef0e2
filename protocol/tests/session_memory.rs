//! A peer that keeps to the letter of the rules and still wants this end's memory.

mod common;

use std::time::Duration;

use bowline_protocol::codec::Codec;
use bowline_protocol::envelope::{
    Ack, CallOpen, CallRef, Control, Credit, Declaration, Decoder, Encoder, Envelope, Hello, Notify, Opener,
    Payload, Sequenced, WatchValue, WireLimits,
};
use bowline_protocol::limits::{Limits, Rate};
use bowline_protocol::session::{CallId, Config, Event, Session, Welcoming};
use bowline_test_support::origin;
use bytes::Bytes;
use common::*;

const GENEROUS: WireLimits = WireLimits {
    calls: 256,
    streams: 256,
    stream_window: 65_536,
    message: 1 << 20,
    payload: 16 << 20,
    assembly: 16 << 20,
    replay: 1 << 30,
};

/// A live server, and what a hand-written client has numbered.
struct Server {
    session: Session,
    seq: u64,
}

impl Server {
    fn new(limits: WireLimits) -> Self {
        // Time stands still here, and a test cancels thousands.
        let cancels = Rate { count: 100_000, per: Duration::from_secs(1) };
        let config = Config { limits: Limits { cancels, ..at_once() }, ..serving() };
        let mut server = Self { session: Session::server(config), seq: 0 };
        server.session.handle_connected(origin());
        let declarations = vec![Declaration { name: CHAT.name.into(), digest: CHAT.digest() }];
        let hello =
            Hello { versions: vec![1], instance: 1, attempt: 1, declarations, limits, ..Hello::default() };
        server.hear(&[Envelope::Control(Control::Hello(Box::new(hello)))]);
        server.session.welcome(origin(), Welcoming::new(1, [0; 32], 1));
        server.written();
        while server.session.poll_event().is_some() {}
        server
    }

    fn hear(&mut self, envelopes: &[Envelope]) -> Bytes {
        let mut bytes = Vec::new();
        let mut encoder = Encoder::new(&mut bytes);
        for envelope in envelopes {
            encoder.push(envelope);
        }
        let message = Bytes::from(bytes);
        self.session.handle_message(origin(), message.clone());
        message
    }

    fn number(&mut self, sequenced: Sequenced) -> Envelope {
        self.seq += 1;
        Envelope::Sequenced(self.seq, sequenced)
    }

    fn open(&mut self, id: u32, method: usize) -> CallId {
        let open = CallOpen {
            id,
            service: 0,
            method: method as u32,
            codec: Codec::Json,
            time_left_ms: None,
            depth: 0,
            once: None,
            metadata: Vec::new(),
            payload: Payload::Whole(Bytes::from_static(b"{}")),
        };
        let open = self.number(Sequenced::Call(open));
        self.hear(&[open]);
        loop {
            if let Event::Call(call) = self.session.poll_event().expect("the call came in") {
                return call.call;
            }
        }
    }

    fn cancel(&mut self, id: u32) {
        let cancel = self.number(Sequenced::Cancel { call: CallRef { id, opener: Opener::Writer } });
        self.hear(&[cancel]);
        while let Some(event) = self.session.poll_event() {
            if let Event::Stopped { call, .. } = event {
                self.session.respond(origin(), call, Ok(Bytes::new()));
            }
        }
    }

    /// Everything that the server writes now, acknowledged as far as it is numbered.
    fn written(&mut self) -> Vec<Envelope> {
        let mut written = Vec::new();
        while let Some(message) = self.session.poll_transmit(origin()) {
            written.extend(Decoder::new(message).map(|envelope| envelope.expect("our own envelopes")));
        }
        let numbered = written.iter().rev().find_map(|envelope| match envelope {
            Envelope::Sequenced(seq, _) => Some(*seq),
            _ => None,
        });
        if let Some(seq) = numbered {
            self.hear(&[Envelope::Control(Control::Ack(Ack { seq, unsequenced: 0 }))]);
        }
        written
    }

    /// Names of calls in all lines and tables.
    fn names(&self) -> usize {
        format!("{:?}", self.session).matches("CallId").count()
    }
}

fn announced(written: &[Envelope]) -> u64 {
    let len = |payload: &Payload| match payload {
        Payload::Chunked { len, .. } => *len,
        Payload::Whole(_) => 0,
    };
    let announced = written.iter().map(|envelope| match envelope {
        Envelope::Sequenced(_, Sequenced::Response { payload, .. }) => len(payload),
        Envelope::Watch(WatchValue { payload, .. }) => len(payload),
        _ => 0,
    });
    announced.sum()
}

#[test]
fn a_reader_that_grants_everything_does_not_make_the_writer_hold_everything() {
    let mut server = Server::new(WireLimits { stream_window: u64::MAX, ..GENEROUS });
    let call = server.open(0, SERVER_STREAM);
    let mut held = 0;
    while server.session.capacity(call).is_some() {
        server.session.send_item(origin(), call, Bytes::from(vec![0; 1024]));
        held += 1024;
        assert!(held <= serving().limits.stream_window_max, "the outbox is bounded by this end");
    }
    assert!(held > 512 * 1024, "and it is not small: {held}");
}

#[test]
fn a_waiting_item_does_not_keep_its_whole_message() {
    let mut server = Server::new(GENEROUS);
    server.open(0, CLIENT_STREAM);
    let call = CallRef { id: 0, opener: Opener::Writer };
    let payload = Payload::Whole(Bytes::from_static(b"1"));
    let item = server.number(Sequenced::Item { call, codec: Codec::Json, payload });
    let padding = Notify {
        service: 0,
        method: 99,
        codec: Codec::Json,
        metadata: Vec::new(),
        payload: Bytes::from(vec![b' '; 65_000]),
    };
    let message = server.hear(&[item, Envelope::Notify(padding)]);
    assert!(message.is_unique(), "nothing of the session holds the message");
}

/// They are prefetched where a turn is foreseen: too few are of no use, and too many throw out what is.
#[test]
fn the_addresses_of_a_turn_are_parts_of_the_session_and_of_its_stream() {
    let mut server = Server::new(GENEROUS);
    let call = server.open(0, SERVER_STREAM);
    let session = std::ptr::from_ref(&server.session).addr();
    let whole = session..session + size_of::<Session>();
    let parts = server.session.addresses(call);
    let (inside, elsewhere) = parts.split_at(3);
    assert!(inside.iter().all(|part| whole.contains(&part.start) && whole.contains(&part.end)), "{parts:?}");
    assert!(inside.is_sorted_by(|one, next| one.end <= next.start), "{parts:?}");
    assert!(elsewhere.iter().all(|part| !whole.contains(&part.start)), "{parts:?}");
    assert!(parts.iter().all(|part| (64..1024).contains(&part.len())), "{parts:?}");
    server.cancel(0);
    server.written();
    assert!(server.session.addresses(call)[3..].iter().all(|part| part.is_empty()), "the call is over");
}

/// The room that a watch waited for was the room of the value that it had then; a later one took more.
#[test]
fn a_watch_that_grows_while_it_waits_announces_no_more_than_allowed() {
    let mut server = Server::new(WireLimits { assembly: 300_000, payload: 300_000, ..GENEROUS });
    let big = server.open(0, UNARY);
    server.session.respond(origin(), big, Ok(Bytes::from(vec![0; 200_000])));
    let mut total = announced(&server.written());
    assert_eq!(total, 200_000);
    let watch = server.open(1, WATCH);
    for len in [150_000, 290_000] {
        server.session.set_watch(origin(), watch, Bytes::from(vec![0; len]));
        total += announced(&server.written());
    }
    assert_eq!(total, 200_000);
    server.hear(&[Envelope::Control(Control::Credit(Credit::Assembly { total: 450_000 }))]);
    total += announced(&server.written());
    assert!(total <= 450_000, "{total} announced");
    server.hear(&[Envelope::Control(Control::Credit(Credit::Assembly { total: 500_000 }))]);
    total += announced(&server.written());
    assert_eq!(total, 490_000, "and the newest value goes out once it may");
}

/// Room granted to a large value was spent on the small one that replaced it, and never came back.
#[test]
fn a_watch_that_shrinks_before_its_turn_gives_its_room_to_others() {
    let mut server = Server::new(WireLimits { assembly: 300_000, payload: 300_000, ..GENEROUS });
    let first = server.open(0, UNARY);
    server.session.respond(origin(), first, Ok(Bytes::from(vec![0; 200_000])));
    let mut total = announced(&server.written());
    let watch = server.open(1, WATCH);
    server.session.set_watch(origin(), watch, Bytes::from(vec![0; 290_000]));
    total += announced(&server.written());
    // The room comes, and before the value is written it is another one.
    server.hear(&[Envelope::Control(Control::Credit(Credit::Assembly { total: 500_000 }))]);
    server.session.set_watch(origin(), watch, Bytes::from_static(b"small"));
    total += announced(&server.written());
    assert_eq!(total, 200_000);
    let second = server.open(2, UNARY);
    server.session.respond(origin(), second, Ok(Bytes::from(vec![0; 290_000])));
    total += announced(&server.written());
    assert_eq!(total, 490_000, "the room is there for the next payload");
}

#[test]
fn lines_forget_calls_that_are_over() {
    // Watches whose values are never acknowledged.
    let mut server = Server::new(GENEROUS);
    for _ in 0..2_000 {
        let watch = server.open(0, WATCH);
        server.session.set_watch(origin(), watch, Bytes::from_static(b"1"));
        server.written();
        server.cancel(0);
        server.written();
    }
    assert!(server.names() < 300, "{} names", server.names());

    // Answers that wait for room behind one that gets none.
    let mut server = Server::new(WireLimits { assembly: 100_000, payload: 100_000, ..GENEROUS });
    for id in 0..2 {
        let call = server.open(id, UNARY);
        server.session.respond(origin(), call, Ok(Bytes::from(vec![0; 90_000])));
        server.written();
    }
    for _ in 0..2_000 {
        let call = server.open(2, UNARY);
        server.session.respond(origin(), call, Ok(Bytes::from(vec![0; 90_000])));
        server.written();
        server.cancel(2);
        server.written();
    }
    assert!(server.names() < 300, "{} names", server.names());
}
