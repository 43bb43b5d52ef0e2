//! The session machine: a client's and a server's [`Session`] in one thread, messages handed over at once, no I/O, no
//! runtime and no codec (payloads are 64 bytes that nobody looks into).
//!
//! Unit: per call or item, for both ends together. Time is simulated: 10 µs pass in each round.

use std::hint::black_box;
use std::time::{Duration, Instant};

use bowline_protocol::codec::{Arguments, Codec};
use bowline_protocol::schema::{Lag, MethodDescriptor, MethodKind, Retry, ServiceDescriptor};
use bowline_protocol::session::{CallId, Config, Event, Read, Request, Session, Welcoming};
use bytes::Bytes;

use crate::service::small_text;
use crate::{Result, Scenario, Work};

pub(crate) const SCENARIOS: &[Scenario] = &[
    Scenario::counted("session/call/1_in_flight", "call", (1_000, 5_000), || calls(1, ROUND)),
    Scenario::counted("session/call/64_in_flight", "call", (6_400, 12_800), || calls(64, ROUND)),
    Scenario::counted("session/call/acknowledged_alone", "call", (1_000, 5_000), || calls(1, SLOW)),
    Scenario::counted("session/item/small", "item", (10_000, 50_000), || items(8)),
    Scenario::counted("session/item/1000_bytes", "item", (5_000, 20_000), || items(1_000)),
    Scenario::counted("session/connect/same_schema", "session", (10, 200), || connects(&CLIENT)),
    Scenario::counted("session/connect/other_schema", "session", (10, 200), || connects(&OTHER)),
    Scenario::timed("schema/digest/6_methods", "service", digests),
];

const ROUND: Duration = Duration::from_micros(10);
/// So long that acknowledgements find no data to ride on: each call costs a message of its own for each end's.
const SLOW: Duration = Duration::from_millis(1_500);

const UNARY: usize = 0;
const STREAM: usize = 1;

const fn method(name: &'static str, kind: MethodKind, hash: u128) -> MethodDescriptor {
    MethodDescriptor { name, kind, retry: Retry::Never, hash, deadline: None, lag: Lag::Close }
}

const fn methods(watch: u128) -> [MethodDescriptor; 6] {
    [
        method("unary", MethodKind::Unary, 1),
        method("stream", MethodKind::ServerStream, 2),
        method("upload", MethodKind::ClientStream, 3),
        method("both", MethodKind::Bidirectional, 4),
        method("notify", MethodKind::Notify, 5),
        method("watch", MethodKind::Watch, watch),
    ]
}

static SERVER: ServiceDescriptor = ServiceDescriptor { name: "Bench", methods: &const { methods(6) } };
static CLIENT: ServiceDescriptor = ServiceDescriptor { name: "Bench", methods: &const { methods(6) } };
/// As [`SERVER`] with another type in one method: the server lists its methods, and that one speaks JSON.
static OTHER: ServiceDescriptor = ServiceDescriptor { name: "Bench", methods: &const { methods(7) } };

/// Two ends and the time.
struct Pair {
    client: Session,
    server: Session,
    now: Instant,
    answer: Bytes,
    /// Answers that the client got.
    answered: u64,
    /// The server's name of the stream that was opened.
    stream: Option<CallId>,
}

impl Pair {
    fn new(service: &'static ServiceDescriptor) -> Result<Self> {
        let serving = Config { services: vec![&SERVER], ..Config::default() };
        let mut pair = Self {
            client: Session::client(Config::default(), 7),
            server: Session::server(serving),
            now: Instant::now(),
            answer: Bytes::from(small_text()),
            answered: 0,
            stream: None,
        };
        pair.client.declare(pair.now, service);
        pair.client.handle_connected(pair.now);
        pair.server.handle_connected(pair.now);
        pair.exchange();
        // Until the declaration is answered.
        pair.pass(ROUND);
        if pair.client.is_live() && pair.server.is_live() { Ok(pair) } else { Err("no live session".into()) }
    }

    /// Hands everything over until both have nothing more to say.
    fn exchange(&mut self) {
        loop {
            let mut quiet = true;
            while let Some(message) = self.client.poll_transmit(self.now) {
                quiet = false;
                self.server.handle_message(self.now, message);
            }
            while let Some(event) = self.server.poll_event() {
                match event {
                    Event::Hello(_) => self.server.welcome(self.now, Welcoming::new(1, [7; 32], 3)),
                    Event::Call(call) if call.method == UNARY => {
                        self.server.respond(self.now, call.call, Ok(self.answer.clone()));
                    }
                    Event::Call(call) => {
                        self.server.accept(self.now, call.call);
                        self.stream = Some(call.call);
                    }
                    other => {
                        black_box(other);
                    }
                }
            }
            while let Some(message) = self.server.poll_transmit(self.now) {
                quiet = false;
                self.client.handle_message(self.now, message);
            }
            while let Some(event) = self.client.poll_event() {
                self.answered += u64::from(matches!(event, Event::Response { result: Ok(_), .. }));
            }
            if quiet {
                return;
            }
        }
    }

    fn pass(&mut self, time: Duration) {
        self.now += time;
        for end in [&mut self.client, &mut self.server] {
            if end.poll_timeout().is_some_and(|due| due <= self.now) {
                end.handle_timeout(self.now);
            }
        }
        self.exchange();
    }

    fn call(&mut self, method: usize) -> Result<CallId> {
        let request = Request {
            service: &CLIENT,
            method,
            arguments: Arguments { rkyv: self.answer.clone(), recode: |rkyv| Ok(rkyv.to_vec()) },
            deadline: Some(self.now + Duration::from_secs(10)),
            metadata: Vec::new(),
            depth: 0,
            once: None,
            queued: None,
        };
        self.client.call(self.now, request).map_err(|status| status.to_string().into())
    }
}

/// Rounds of so many calls each: all are made, then answered, then `pause` passes.
fn calls(in_flight: u64, pause: Duration) -> Result<Work> {
    let mut pair = Pair::new(&CLIENT)?;
    Ok(Box::new(move |n| {
        let wanted = pair.answered + n;
        while pair.answered < wanted {
            let before = pair.answered;
            for _ in 0..in_flight.min(wanted - before) {
                pair.call(UNARY)?;
            }
            pair.exchange();
            pair.pass(pause);
            if pair.answered == before {
                return Err("calls get no answers".into());
            }
        }
        Ok(())
    }))
}

/// One stream whose reader takes all that came before more is sent: credit and acknowledgements included.
fn items(len: usize) -> Result<Work> {
    let mut pair = Pair::new(&CLIENT)?;
    let own = pair.call(STREAM)?;
    pair.exchange();
    let call = pair.stream.ok_or("the stream did not arrive")?;
    let item = Bytes::from(vec![7; len]);
    Ok(Box::new(move |n| {
        let (mut sent, mut read) = (0, 0);
        while read < n {
            while sent < n && pair.server.capacity(call).is_some() {
                pair.server.send_item(pair.now, call, item.clone());
                sent += 1;
            }
            pair.exchange();
            while let Read::Item(Codec::Rkyv, item) = pair.client.read(pair.now, own) {
                black_box(item);
                read += 1;
            }
            pair.pass(ROUND);
        }
        Ok(())
    }))
}

/// Two new ends, hello, welcome, and the declaration with its answer: what the schema check costs is the difference
/// between an equal service and one that differs.
fn connects(service: &'static ServiceDescriptor) -> Result<Work> {
    Ok(Box::new(move |n| {
        for _ in 0..n {
            black_box(Pair::new(service)?);
        }
        Ok(())
    }))
}

fn digests() -> Result<Work> {
    Ok(Box::new(|n| {
        for _ in 0..n {
            black_box(black_box(&SERVER).digest());
        }
        Ok(())
    }))
}
