//! Envelopes: our header plus payload, without a session. Payloads are 64 bytes.
//!
//! Unit: per envelope. `encode` appends one to a buffer that has room; `decode` reads one from a message whose bytes the
//! envelope then shares. `batch` does 64 calls in one message, as many as are in flight elsewhere, and gives the part of one.

use std::hint::black_box;

use bowline_protocol::codec::Codec;
use bowline_protocol::envelope::{
    Ack, CallOpen, CallRef, Chunk, Control, Credit, Declaration, Decoder, Encoder, Envelope, Hello, Notify,
    Opener, Outcome, Payload, Secret, Sequenced, WatchValue, Welcome, WireError, WireLimits,
};
use bowline_protocol::status::Code;
use bytes::Bytes;

use crate::service::small_text;
use crate::{Result, Scenario, Work};

macro_rules! kinds {
    ($([$encode:literal, $decode:literal, $of:expr]),* $(,)?) => {
        &[$(
            Scenario::timed($encode, "envelope", || encode(vec![$of])),
            Scenario::timed($decode, "envelope", || decode(vec![$of])),
        )*]
    };
}

/// Each kind.
pub(crate) const KINDS: &[Scenario] = kinds![
    ["envelope/encode/hello", "envelope/decode/hello", hello()],
    ["envelope/encode/welcome", "envelope/decode/welcome", welcome()],
    ["envelope/encode/ack", "envelope/decode/ack", control(Control::Ack(ack()))],
    ["envelope/encode/credit", "envelope/decode/credit", control(Control::Credit(credit()))],
    ["envelope/encode/ping", "envelope/decode/ping", control(Control::Ping { nonce: 70_000 })],
    ["envelope/encode/pong", "envelope/decode/pong", control(pong())],
    ["envelope/encode/declare", "envelope/decode/declare", sequenced(declare())],
    ["envelope/encode/error", "envelope/decode/error", sequenced(error())],
    ["envelope/encode/accepted", "envelope/decode/accepted", sequenced(Sequenced::Accepted { call: CALL })],
    ["envelope/encode/item", "envelope/decode/item", sequenced(item())],
    ["envelope/encode/end", "envelope/decode/end", sequenced(Sequenced::End { call: CALL, last: None })],
    ["envelope/encode/cancel", "envelope/decode/cancel", sequenced(Sequenced::Cancel { call: CALL })],
    ["envelope/encode/void", "envelope/decode/void", sequenced(Sequenced::Void { call: CALL })],
    ["envelope/encode/gap", "envelope/decode/gap", sequenced(Sequenced::Gap { call: CALL, missed: 3 })],
    ["envelope/encode/chunk", "envelope/decode/chunk", sequenced(Sequenced::Chunk(chunk()))],
    ["envelope/encode/watch", "envelope/decode/watch", watch()],
    ["envelope/encode/notify", "envelope/decode/notify", notify()],
];

/// Those that each call consists of.
pub(crate) const COUNTED: &[Scenario] = &[
    Scenario::counted("envelope/encode/call", "envelope", (100, 10_000), || encode(vec![call(1)])),
    Scenario::counted("envelope/decode/call", "envelope", (100, 10_000), || decode(vec![call(1)])),
    Scenario::counted("envelope/encode/response", "envelope", (100, 10_000), || encode(vec![response()])),
    Scenario::counted("envelope/decode/response", "envelope", (100, 10_000), || decode(vec![response()])),
    Scenario::counted("envelope/encode/batch", "envelope", (640, 64_000), || encode(batch())),
    Scenario::counted("envelope/decode/batch", "envelope", (640, 64_000), || decode(batch())),
];

const CALL: CallRef = CallRef { id: 17, opener: Opener::Reader };

/// Writes all of `envelopes` into one message, again and again; each counts as one operation.
fn encode(envelopes: Vec<Envelope>) -> Result<Work> {
    let mut out = Vec::with_capacity(64 * 1024);
    Ok(Box::new(move |n| {
        for _ in 0..n.div_ceil(envelopes.len() as u64) {
            out.clear();
            let mut encoder = Encoder::new(&mut out);
            for envelope in black_box(&envelopes) {
                encoder.push(envelope);
            }
            black_box(&out);
        }
        Ok(())
    }))
}

/// Reads all of `envelopes` from one message, again and again.
fn decode(envelopes: Vec<Envelope>) -> Result<Work> {
    let mut out = Vec::new();
    let mut encoder = Encoder::new(&mut out);
    for envelope in &envelopes {
        encoder.push(envelope);
    }
    let message = Bytes::from(out);
    let read: Vec<_> = Decoder::new(message.clone()).collect::<Result<_, _>>()?;
    if read != envelopes {
        return Err("what was written reads as something else".into());
    }
    Ok(Box::new(move |n| {
        for _ in 0..n.div_ceil(envelopes.len() as u64) {
            for envelope in Decoder::new(black_box(&message).clone()) {
                black_box(envelope?);
            }
        }
        Ok(())
    }))
}

fn batch() -> Vec<Envelope> {
    (1..=64).map(call).collect()
}

fn call(seq: u64) -> Envelope {
    Envelope::Sequenced(
        seq,
        Sequenced::Call(CallOpen {
            id: seq as u32,
            service: 0,
            method: 3,
            codec: Codec::Rkyv,
            time_left_ms: Some(10_000),
            depth: 0,
            once: None,
            metadata: Vec::new(),
            payload: payload(),
        }),
    )
}

fn response() -> Envelope {
    sequenced(Sequenced::Response { call: CALL, codec: Codec::Rkyv, payload: payload() })
}

fn item() -> Sequenced {
    Sequenced::Item { call: CALL, codec: Codec::Rkyv, payload: payload() }
}

fn error() -> Sequenced {
    let error =
        WireError::Status { code: Code::Unavailable, message: "no answer today".to_owned(), detail: 0 };
    Sequenced::Error { call: CALL, error }
}

fn chunk() -> Chunk {
    Chunk { transfer: 2, bytes: bytes() }
}

fn watch() -> Envelope {
    Envelope::Watch(WatchValue { call: CALL, codec: Codec::Rkyv, payload: payload() })
}

fn notify() -> Envelope {
    let metadata = Vec::new();
    Envelope::Notify(Notify { service: 0, method: 4, codec: Codec::Rkyv, metadata, payload: bytes() })
}

fn hello() -> Envelope {
    control(Control::Hello(Box::new(Hello {
        versions: vec![1],
        instance: u128::MAX / 3,
        attempt: 1,
        credentials: Secret::from(bytes()),
        declarations: vec![declaration()],
        limits: limits(),
        resume: None,
    })))
}

fn welcome() -> Envelope {
    control(Control::Welcome(Box::new(Welcome {
        version: 1,
        session: u128::MAX / 5,
        token: Secret::from(Bytes::from_static(&[7; 32])),
        epoch: u128::MAX / 7,
        generation: 1,
        outcome: Outcome::New,
        peer_last_processed: None,
        peer_unsequenced: 0,
        limits: limits(),
        heartbeat_ms: 25_000,
        once: None,
        identity: None,
    })))
}

fn declare() -> Sequenced {
    Sequenced::Declare { service: 1, declaration: declaration() }
}

fn declaration() -> Declaration {
    Declaration { name: "Bench".to_owned(), digest: u128::MAX / 11 }
}

fn limits() -> WireLimits {
    WireLimits {
        calls: 256,
        streams: 256,
        stream_window: 64 * 1024,
        message: 1024 * 1024,
        payload: 16 * 1024 * 1024,
        assembly: 16 * 1024 * 1024,
        replay: 1024 * 1024,
    }
}

fn ack() -> Ack {
    Ack { seq: 70_000, unsequenced: 12 }
}

fn credit() -> Credit {
    Credit::Items { call: CALL, taken: 70_000, total: 140_000 }
}

fn pong() -> Control {
    Control::Pong { nonce: 70_000, ack: ack(), once_tick: 0 }
}

fn control(control: Control) -> Envelope {
    Envelope::Control(control)
}

fn sequenced(sequenced: Sequenced) -> Envelope {
    Envelope::Sequenced(70_000, sequenced)
}

fn payload() -> Payload {
    Payload::Whole(bytes())
}

fn bytes() -> Bytes {
    Bytes::from(small_text())
}
