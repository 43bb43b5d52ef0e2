//! Strategies for envelopes of every kind, within the bounds of the wire.

use bowline_protocol::codec::Codec;
use bowline_protocol::envelope::{
    Ack, CallOpen, CallRef, Chunk, Control, Credit, Declaration, DeclareAnswer, Envelope, GapReason, Hello,
    Notify, OnceKey, OnceTable, Opener, Outcome, Payload, Refusal, Resume, Secret, Sequenced, VERSION,
    WatchValue, Welcome, WireError, WireLimits, WireMethod, bounds,
};
use bowline_protocol::status::{CloseCode, Code};
use bytes::Bytes;
use proptest::collection::vec;
use proptest::prelude::*;

/// Any envelope.
pub(crate) fn envelope() -> impl Strategy<Value = Envelope> {
    prop_oneof![
        2 => control().prop_map(Envelope::Control),
        4 => (seq(), sequenced()).prop_map(|(seq, envelope)| Envelope::Sequenced(seq, envelope)),
        1 => unsequenced(),
    ]
}

/// The envelopes of one message as a session writes them: numbers follow each other, control stands between.
pub(crate) fn run() -> impl Strategy<Value = Vec<Envelope>> {
    let part = prop_oneof![
        1 => control().prop_map(Envelope::Control),
        4 => sequenced().prop_map(|envelope| Envelope::Sequenced(0, envelope)),
        1 => unsequenced(),
    ];
    (1..u64::MAX - 32, vec(part, 1..16)).prop_map(|(first, mut parts)| {
        let numbers = parts.iter_mut().filter_map(|part| match part {
            Envelope::Sequenced(seq, _) => Some(seq),
            _ => None,
        });
        numbers.zip(first..).for_each(|(seq, next)| *seq = next);
        parts
    })
}

/// Any sequenced envelope.
pub(crate) fn sequenced() -> impl Strategy<Value = Sequenced> {
    prop_oneof![
        2 => (number(), declaration())
            .prop_map(|(service, declaration)| Sequenced::Declare { service, declaration }),
        2 => (number(), answer()).prop_map(|(service, answer)| Sequenced::Declared { service, answer }),
        4 => call().prop_map(Sequenced::Call),
        4 => (call_ref(), codec(), payload())
            .prop_map(|(call, codec, payload)| Sequenced::Response { call, codec, payload }),
        2 => (call_ref(), error()).prop_map(|(call, error)| Sequenced::Error { call, error }),
        1 => call_ref().prop_map(|call| Sequenced::Accepted { call }),
        4 => (call_ref(), codec(), payload())
            .prop_map(|(call, codec, payload)| Sequenced::Item { call, codec, payload }),
        2 => (call_ref(), proptest::option::of((codec(), payload())))
            .prop_map(|(call, last)| Sequenced::End { call, last }),
        1 => call_ref().prop_map(|call| Sequenced::Cancel { call }),
        1 => call_ref().prop_map(|call| Sequenced::Void { call }),
        1 => (call_ref(), any_u64()).prop_map(|(call, missed)| Sequenced::Gap { call, missed }),
        2 => chunk().prop_map(Sequenced::Chunk),
    ]
}

/// Any control envelope.
pub(crate) fn control() -> impl Strategy<Value = Control> {
    prop_oneof![
        hello().prop_map(|it| Control::Hello(Box::new(it))),
        welcome().prop_map(|it| Control::Welcome(Box::new(it))),
        ack().prop_map(Control::Ack),
        credit().prop_map(Control::Credit),
        any_u64().prop_map(|nonce| Control::Ping { nonce }),
        (any_u64(), ack(), any_u64()).prop_map(|(nonce, ack, once_tick)| Control::Pong {
            nonce,
            ack,
            once_tick
        }),
        secret(bounds::MAX_CREDENTIALS).prop_map(|credentials| Control::Auth { credentials }),
        proptest::option::of((any::<u16>(), text(bounds::MAX_REASON))).prop_map(|refusal| {
            let refusal = refusal.map(|(code, reason)| Refusal { code: CloseCode::new(code), reason });
            Control::AuthAnswer { refusal }
        }),
        any_u64().prop_map(|spread_ms| Control::GoAway { spread_ms }),
        (any::<u16>(), text(bounds::MAX_REASON))
            .prop_map(|(code, reason)| Control::Closing { code: CloseCode::new(code), reason }),
    ]
}

fn unsequenced() -> impl Strategy<Value = Envelope> {
    prop_oneof![
        (call_ref(), codec(), payload()).prop_map(|(call, codec, payload)| Envelope::Watch(WatchValue {
            call,
            codec,
            payload
        })),
        (number(), number(), codec(), metadata(), bytes(64)).prop_map(
            |(service, method, codec, metadata, payload)| {
                Envelope::Notify(Notify { service, method, codec, metadata, payload })
            }
        ),
        chunk().prop_map(Envelope::WatchChunk),
    ]
}

fn call() -> impl Strategy<Value = CallOpen> {
    let target = (number(), number(), number(), codec());
    let rest = (
        proptest::option::of(any_u64()),
        any::<u8>(),
        proptest::option::of((any::<u128>(), once_table())),
        metadata(),
        payload(),
    );
    (target, rest).prop_map(
        |((id, service, method, codec), (time_left_ms, depth, once, metadata, payload))| {
            let once = once.map(|(key, table)| Box::new(OnceKey { key, table }));
            CallOpen { id, service, method, codec, time_left_ms, depth, once, metadata, payload }
        },
    )
}

fn hello() -> impl Strategy<Value = Hello> {
    let numbers = (any_u64(), any_u64(), any_u64());
    let resume = (any::<u128>(), secret(bounds::MAX_TOKEN), any::<u128>(), numbers, any::<u128>()).prop_map(
        |(session, token, epoch, (last_processed, generation, unsequenced), declarations)| Resume {
            session,
            token,
            epoch,
            last_processed,
            declarations,
            generation,
            unsequenced,
        },
    );
    (
        vec(any::<u32>(), 0..4),
        any::<u128>(),
        any_u64(),
        secret(bounds::MAX_CREDENTIALS),
        vec(declaration(), 0..5),
        limits(),
        proptest::option::of(resume),
    )
        .prop_map(|(mut versions, instance, attempt, credentials, declarations, limits, resume)| {
            // Without ours nothing else of a hello is read.
            versions.push(VERSION);
            Hello { versions, instance, attempt, credentials, declarations, limits, resume }
        })
}

fn welcome() -> impl Strategy<Value = Welcome> {
    let outcome = prop_oneof![
        Just(Outcome::New),
        Just(Outcome::Resumed),
        (gap_reason(), any_u64(), proptest::option::of(any_u64()))
            .prop_map(|(reason, lost_from, lost_to)| Outcome::Gap { reason, lost_from, lost_to }),
    ];
    let ids = (any::<u32>(), any::<u128>(), secret(bounds::MAX_TOKEN), any::<u128>(), any_u64());
    let facts = (
        outcome,
        (proptest::option::of(any_u64()), any_u64()),
        limits(),
        any_u64(),
        (proptest::option::of(once_table()), proptest::option::of(any::<u128>())),
    );
    (ids, facts).prop_map(
        |(
            (version, session, token, epoch, generation),
            (outcome, (peer_last_processed, peer_unsequenced), limits, heartbeat_ms, (once, identity)),
        )| {
            Welcome {
                version,
                session,
                token,
                epoch,
                generation,
                outcome,
                peer_last_processed,
                peer_unsequenced,
                limits,
                heartbeat_ms,
                once,
                identity,
            }
        },
    )
}

fn answer() -> impl Strategy<Value = DeclareAnswer> {
    let method = (text(bounds::MAX_NAME), any::<u8>(), any::<u8>(), any::<u128>())
        .prop_map(|(name, kind, retry, hash)| WireMethod { name, kind, retry, hash });
    prop_oneof![
        Just(DeclareAnswer::Same),
        Just(DeclareAnswer::Unknown),
        vec(method, 0..6).prop_map(DeclareAnswer::Different),
    ]
}

fn error() -> impl Strategy<Value = WireError> {
    prop_oneof![
        (codec(), payload()).prop_map(|(codec, payload)| WireError::Application { codec, payload }),
        (any::<u8>(), text(bounds::MAX_STATUS_MESSAGE), any_u64()).prop_map(|(code, message, detail)| {
            WireError::Status { code: Code::from_wire(code), message, detail }
        }),
    ]
}

fn credit() -> impl Strategy<Value = Credit> {
    prop_oneof![
        any_u64().prop_map(|total| Credit::Calls { total }),
        any_u64().prop_map(|total| Credit::Streams { total }),
        any_u64().prop_map(|total| Credit::Assembly { total }),
        (call_ref(), any_u64(), any_u64()).prop_map(|(call, taken, total)| Credit::Items {
            call,
            taken,
            total
        }),
    ]
}

fn declaration() -> impl Strategy<Value = Declaration> {
    (text(bounds::MAX_NAME).prop_filter("a service has a name", |name| !name.is_empty()), any::<u128>())
        .prop_map(|(name, digest)| Declaration { name, digest })
}

fn limits() -> impl Strategy<Value = WireLimits> {
    (number(), number(), [any_u64(), any_u64(), any_u64(), any_u64(), any_u64()]).prop_map(
        |(calls, streams, [stream_window, message, payload, assembly, replay])| WireLimits {
            calls,
            streams,
            stream_window,
            message,
            payload,
            assembly,
            replay,
        },
    )
}

fn payload() -> impl Strategy<Value = Payload> {
    prop_oneof![
        3 => bytes(200).prop_map(Payload::Whole),
        1 => (number(), 1..u64::MAX >> 1)
            .prop_map(|(transfer, len)| Payload::Chunked { transfer, len }),
    ]
}

fn chunk() -> impl Strategy<Value = Chunk> {
    (number(), vec(any::<u8>(), 1..200)).prop_map(|(transfer, bytes)| Chunk { transfer, bytes: bytes.into() })
}

fn metadata() -> impl Strategy<Value = Vec<(String, String)>> {
    vec((text(40), text(80)), 0..4)
}

fn gap_reason() -> impl Strategy<Value = GapReason> {
    prop_oneof![
        Just(GapReason::Unknown),
        Just(GapReason::Expired),
        Just(GapReason::Evicted),
        Just(GapReason::StateLost),
        Just(GapReason::IdentityChanged),
        Just(GapReason::SchemaChanged),
        Just(GapReason::NoProgress),
    ]
}

fn once_table() -> impl Strategy<Value = OnceTable> {
    (any::<u128>(), any_u64()).prop_map(|(id, tick)| OnceTable { id, tick })
}

fn ack() -> impl Strategy<Value = Ack> {
    (any_u64(), any_u64()).prop_map(|(seq, unsequenced)| Ack { seq, unsequenced })
}

fn call_ref() -> impl Strategy<Value = CallRef> {
    (number(), prop_oneof![Just(Opener::Writer), Just(Opener::Reader)])
        .prop_map(|(id, opener)| CallRef { id, opener })
}

fn codec() -> impl Strategy<Value = Codec> {
    prop_oneof![Just(Codec::Rkyv), Just(Codec::Json)]
}

fn secret(bound: usize) -> impl Strategy<Value = Secret> {
    bytes(bound.min(100)).prop_map(Secret::from)
}

fn bytes(bound: usize) -> impl Strategy<Value = Bytes> {
    vec(any::<u8>(), 0..=bound).prop_map(Bytes::from)
}

/// Texts of one to four bytes per character, never above `bound` bytes.
fn text(bound: usize) -> impl Strategy<Value = String> {
    vec(prop_oneof![prop::char::range('a', 'z'), any::<char>()], 0..=bound.min(100) / 4)
        .prop_map(String::from_iter)
}

/// Small numbers and large ones, each length of varint among them.
fn any_u64() -> impl Strategy<Value = u64> {
    (any::<u64>(), 0..64_u32).prop_map(|(value, shift)| value >> shift)
}

fn seq() -> impl Strategy<Value = u64> {
    any_u64().prop_map(|seq| seq.max(1))
}

fn number() -> impl Strategy<Value = u32> {
    (any::<u32>(), 0..32_u32).prop_map(|(value, shift)| value >> shift)
}
