//! Envelopes of any kind with any content: hardly one of them keeps the rules.

use bowline_protocol::codec::Codec;
use bowline_protocol::envelope::{
    Ack, CallOpen, CallRef, Chunk, Control, Credit, Declaration, DeclareAnswer, Envelope, GapReason, Hello,
    Notify, OnceKey, OnceTable, Opener, Outcome, Payload, Refusal, Resume, Sequenced, VERSION, WatchValue,
    Welcome, WireError, WireLimits, WireMethod,
};
use bowline_protocol::status::{CloseCode, Code};
use bytes::Bytes;

use super::{SERVICE, Script};

/// Any envelope but a sequenced one.
pub(crate) fn unsequenced(script: &mut Script<'_>) -> Envelope {
    match script.below(6) {
        0..=2 => Envelope::Control(control(script)),
        3 => Envelope::Watch(WatchValue {
            call: call_ref(script),
            codec: codec(script),
            payload: payload(script),
        }),
        4 => Envelope::Notify(Notify {
            service: script.id() % 3,
            method: script.id(),
            codec: codec(script),
            metadata: metadata(script),
            payload: bytes(script),
        }),
        _ => Envelope::WatchChunk(chunk(script)),
    }
}

/// Any sequenced envelope.
pub(crate) fn sequenced(script: &mut Script<'_>) -> Sequenced {
    match script.below(20) {
        0..=4 => Sequenced::Call(call(script)),
        5 | 6 => {
            Sequenced::Response { call: call_ref(script), codec: codec(script), payload: payload(script) }
        }
        7 => Sequenced::Error { call: call_ref(script), error: error(script) },
        8 => Sequenced::Accepted { call: call_ref(script) },
        9 | 10 => Sequenced::Item { call: call_ref(script), codec: codec(script), payload: payload(script) },
        11 => Sequenced::End {
            call: call_ref(script),
            last: script.once_in(3).then(|| (codec(script), payload(script))),
        },
        12 | 13 => Sequenced::Cancel { call: call_ref(script) },
        14 => Sequenced::Void { call: call_ref(script) },
        15 => Sequenced::Gap { call: call_ref(script), missed: script.number() },
        16 | 17 => Sequenced::Chunk(chunk(script)),
        18 => Sequenced::Declare { service: script.id(), declaration: declaration(script) },
        _ => Sequenced::Declared { service: script.id() % 2, answer: answer(script) },
    }
}

fn control(script: &mut Script<'_>) -> Control {
    match script.below(16) {
        0..=4 => Control::Ack(ack(script)),
        5..=7 => Control::Credit(credit(script)),
        8 => Control::Ping { nonce: script.number() },
        9 => Control::Pong { nonce: script.number(), ack: ack(script), once_tick: script.number() },
        10 => Control::Auth { credentials: bytes(script).slice(..0).into() },
        11 => Control::AuthAnswer {
            refusal: script.once_in(2).then(|| Refusal { code: close_code(script), reason: "no".into() }),
        },
        12 => Control::GoAway { spread_ms: script.number() },
        13 if script.once_in(4) => Control::Closing { code: close_code(script), reason: "bye".into() },
        14 if script.once_in(4) => Control::Hello(Box::new(hello(script))),
        15 if script.once_in(4) => Control::Welcome(Box::new(welcome(script))),
        _ => Control::Ack(ack(script)),
    }
}

fn ack(script: &mut Script<'_>) -> Ack {
    Ack { seq: script.number(), unsequenced: script.number() }
}

pub(crate) fn hello(script: &mut Script<'_>) -> Hello {
    Hello {
        versions: if script.once_in(64) { vec![9] } else { vec![VERSION] },
        instance: 7,
        attempt: script.number(),
        credentials: Bytes::new().into(),
        declarations: (0..1 + script.below(2)).map(|_| declaration(script)).collect(),
        limits: limits(script),
        resume: script.once_in(8).then(|| Resume {
            session: 1,
            token: bytes(script).slice(..0).into(),
            epoch: 2,
            last_processed: script.number(),
            declarations: 3,
            generation: script.number(),
            unsequenced: script.number(),
        }),
    }
}

/// What somebody might ask for who knows something of the right one.
pub(crate) fn resume(script: &mut Script<'_>, right: &Resume) -> Resume {
    let mut resume = right.clone();
    match script.below(6) {
        0 => resume.session = script.number().into(),
        1 => resume.epoch = script.number().into(),
        2 => resume.declarations = script.number().into(),
        3 => resume.last_processed = near(script, resume.last_processed),
        _ => resume.last_processed = script.number(),
    }
    resume.generation = script.number();
    resume.unsequenced = script.number();
    resume
}

/// What a server might say that knows something of the right welcome, or has an older one.
pub(crate) fn forged(script: &mut Script<'_>, right: &Welcome, older: Option<&Welcome>) -> Welcome {
    let mut welcome = right.clone();
    match script.below(9) {
        0 => welcome.session = script.number().into(),
        1 => welcome.epoch = script.number().into(),
        2 => welcome.generation = script.number(),
        3 => welcome.peer_last_processed = script.once_in(2).then(|| script.number()),
        4 => welcome.peer_last_processed = right.peer_last_processed.map(|seq| near(script, seq)),
        5 => welcome = older.unwrap_or(right).clone(),
        6 => welcome.outcome = Outcome::New,
        7 => welcome.identity = script.once_in(2).then(|| script.byte().into()),
        _ => {
            welcome.session = script.number().into();
            welcome.peer_last_processed = script.once_in(2).then(|| script.number());
            welcome.outcome = Outcome::Gap {
                reason: GapReason::Expired,
                lost_from: script.number(),
                lost_to: script.once_in(2).then(|| script.number()),
            };
        }
    }
    if script.once_in(2) {
        welcome.peer_unsequenced = script.number();
    }
    if script.once_in(8) {
        welcome.limits = limits(script);
    }
    welcome
}

/// A number that might be right.
fn near(script: &mut Script<'_>, number: u64) -> u64 {
    let other = u64::from(script.below(8));
    if script.once_in(2) { number.saturating_add(other) } else { number.saturating_sub(other) }
}

pub(crate) fn welcome(script: &mut Script<'_>) -> Welcome {
    Welcome {
        version: if script.once_in(64) { 9 } else { VERSION },
        session: 1,
        token: Bytes::from_static(&[7; 16]).into(),
        epoch: 2,
        generation: script.number(),
        outcome: match script.byte() {
            255 => Outcome::Resumed,
            _ => Outcome::New,
        },
        peer_last_processed: script.once_in(4).then(|| script.number()),
        peer_unsequenced: script.number(),
        limits: limits(script),
        heartbeat_ms: script.number(),
        once: None,
        identity: script.once_in(2).then(|| script.byte().into()),
    }
}

fn limits(script: &mut Script<'_>) -> WireLimits {
    if script.once_in(16) {
        return WireLimits {
            calls: script.id(),
            streams: script.id(),
            stream_window: script.number(),
            message: script.number(),
            payload: script.number(),
            assembly: script.number(),
            replay: script.number(),
        };
    }
    generous()
}

pub(crate) fn generous() -> WireLimits {
    WireLimits {
        calls: 8,
        streams: 8,
        stream_window: 4096,
        message: 1 << 20,
        payload: 1 << 20,
        assembly: 1 << 20,
        replay: 1 << 20,
    }
}

pub(crate) fn declaration(script: &mut Script<'_>) -> Declaration {
    let name = if script.once_in(16) { "Nobody" } else { SERVICE.name };
    let digest = if script.once_in(8) { 0 } else { SERVICE.digest() };
    Declaration { name: name.into(), digest }
}

pub(crate) fn answer(script: &mut Script<'_>) -> DeclareAnswer {
    match script.below(4) {
        0 | 1 => DeclareAnswer::Same,
        2 => {
            let count = script.below(8);
            let methods = (0..count).map(|_| {
                let known = &SERVICE.methods[usize::from(script.below(SERVICE.methods.len() as u8))];
                WireMethod {
                    name: if script.once_in(4) { "other".into() } else { known.name.into() },
                    kind: if script.once_in(4) { script.below(8) } else { known.kind.to_wire() },
                    retry: script.below(2),
                    hash: if script.once_in(2) { 0 } else { known.hash },
                }
            });
            DeclareAnswer::Different(methods.collect())
        }
        _ => DeclareAnswer::Unknown,
    }
}

fn call(script: &mut Script<'_>) -> CallOpen {
    CallOpen {
        id: script.id(),
        service: if script.once_in(16) { script.id() } else { 0 },
        method: if script.once_in(16) { script.id() } else { u32::from(script.below(6)) },
        codec: codec(script),
        time_left_ms: script.once_in(2).then(|| script.number()),
        depth: if script.once_in(8) { script.byte() } else { 0 },
        once: script
            .once_in(16)
            .then(|| Box::new(OnceKey { key: 1, table: OnceTable { id: 2, tick: script.number() } })),
        metadata: metadata(script),
        payload: payload(script),
    }
}

fn metadata(script: &mut Script<'_>) -> Vec<(String, String)> {
    match script.byte() {
        255 => vec![("key".into(), "v".repeat(8000))],
        254 => vec![("key".into(), "value".into()); 64],
        value => vec![("key".into(), "value".into()); usize::from(value / 128)],
    }
}

pub(crate) fn error(script: &mut Script<'_>) -> WireError {
    if script.once_in(2) {
        return WireError::Application { codec: codec(script), payload: payload(script) };
    }
    WireError::Status {
        code: Code::from_wire(script.byte()),
        message: "x".repeat(script.len() % 2000),
        detail: script.number(),
    }
}

fn credit(script: &mut Script<'_>) -> Credit {
    let total = script.number();
    match script.below(6) {
        0 => Credit::Calls { total },
        1 => Credit::Streams { total },
        2 => Credit::Assembly { total },
        _ => Credit::Items { call: call_ref(script), taken: script.number(), total },
    }
}

fn chunk(script: &mut Script<'_>) -> Chunk {
    let transfer = script.id();
    let len = script.len().max(1);
    Chunk { transfer, bytes: vec![7; len].into() }
}

fn payload(script: &mut Script<'_>) -> Payload {
    if script.once_in(4) {
        let len = if script.once_in(8) { script.number() >> 1 } else { script.len() as u64 };
        return Payload::Chunked { transfer: script.id(), len: len.max(1) };
    }
    Payload::Whole(bytes(script))
}

pub(crate) fn bytes(script: &mut Script<'_>) -> Bytes {
    vec![7; script.len()].into()
}

pub(crate) fn codec(script: &mut Script<'_>) -> Codec {
    if script.once_in(4) { Codec::Json } else { Codec::Rkyv }
}

fn call_ref(script: &mut Script<'_>) -> CallRef {
    let opener = if script.once_in(2) { Opener::Reader } else { Opener::Writer };
    CallRef { id: script.id(), opener }
}

fn close_code(script: &mut Script<'_>) -> CloseCode {
    CloseCode::new(3990 + u16::from(script.byte()))
}
