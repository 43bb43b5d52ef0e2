//! The bytes of every envelope, held against files that were written from `WIRE.md` and not by this code.
//!
//! A change that breaks one of these breaks every client in the field.

#![expect(clippy::unwrap_used, reason = "helpers of tests unwrap as the tests do")]

use std::collections::BTreeMap;
use std::path::Path;

use bowline_protocol::codec::Codec;
use bowline_protocol::envelope::{
    Ack, CallOpen, CallRef, Chunk, Control, Credit, Declaration, DeclareAnswer, DecodeErrorKind, Decoder,
    Encoder, Envelope, GapReason, Hello, Notify, OnceKey, OnceTable, Opener, Outcome, Payload, Refusal,
    Resume, Sequenced, WatchValue, Welcome, WireError, WireLimits, WireMethod,
};
use bowline_protocol::status::{CloseCode, Code};
use bytes::Bytes;

const SESSION: u128 = 0x0f0e_0d0c_0b0a_0908_0706_0504_0302_0100;
const EPOCH: u128 = 0x1f1e_1d1c_1b1a_1918_1716_1514_1312_1110;
const DIGEST: u128 = 0x2f2e_2d2c_2b2a_2928_2726_2524_2322_2120;
const INSTANCE: u128 = 0x3f3e_3d3c_3b3a_3938_3736_3534_3332_3130;
const KEY: u128 = 0x4f4e_4d4c_4b4a_4948_4746_4544_4342_4140;
const TABLE: OnceTable = OnceTable { id: 0x5f5e_5d5c_5b5a_5958_5756_5554_5352_5150, tick: 9 };
const IDENTITY: u128 = 0x7f7e_7d7c_7b7a_7978_7776_7574_7372_7170;
const HASH: u128 = 0x6f6e_6d6c_6b6a_6968_6766_6564_6362_6160;
const TOKEN: [u8; 16] =
    [0xa0, 0xa1, 0xa2, 0xa3, 0xa4, 0xa5, 0xa6, 0xa7, 0xa8, 0xa9, 0xaa, 0xab, 0xac, 0xad, 0xae, 0xaf];
const LIMITS: WireLimits = WireLimits {
    calls: 256,
    streams: 256,
    stream_window: 65_536,
    message: 1 << 20,
    payload: 1 << 24,
    assembly: 1 << 24,
    replay: 1 << 20,
};

/// Names the golden file of each variant: without a line here the match has a hole and nothing compiles, and without a
/// file for a line a test fails.
macro_rules! variants {
    ($($name:literal => $pattern:pat $(if $guard:expr)?,)*) => {
        const VARIANTS: &[&str] = &[$($name),*];

        fn variant(envelope: &Envelope) -> &'static str {
            match envelope { $($pattern $(if $guard)? => $name,)* }
        }
    };
}

variants! {
    "hello.resume" => Envelope::Control(Control::Hello(hello)) if hello.resume.is_some(),
    "hello" => Envelope::Control(Control::Hello(_)),
    "welcome.gap" => Envelope::Control(Control::Welcome(welcome)) if matches!(welcome.outcome, Outcome::Gap { .. }),
    "welcome" => Envelope::Control(Control::Welcome(_)),
    "ack" => Envelope::Control(Control::Ack(_)),
    "credit.calls" => Envelope::Control(Control::Credit(Credit::Calls { .. })),
    "credit.streams" => Envelope::Control(Control::Credit(Credit::Streams { .. })),
    "credit.assembly" => Envelope::Control(Control::Credit(Credit::Assembly { .. })),
    "credit.items" => Envelope::Control(Control::Credit(Credit::Items { .. })),
    "ping" => Envelope::Control(Control::Ping { .. }),
    "pong" => Envelope::Control(Control::Pong { .. }),
    "auth" => Envelope::Control(Control::Auth { .. }),
    "auth-answer" => Envelope::Control(Control::AuthAnswer { refusal: None }),
    "auth-answer.refused" => Envelope::Control(Control::AuthAnswer { refusal: Some(_) }),
    "go-away" => Envelope::Control(Control::GoAway { .. }),
    "closing" => Envelope::Control(Control::Closing { .. }),
    "declare" => Envelope::Sequenced(_, Sequenced::Declare { .. }),
    "declared.same" => Envelope::Sequenced(_, Sequenced::Declared { answer: DeclareAnswer::Same, .. }),
    "declared.different" => Envelope::Sequenced(_, Sequenced::Declared { answer: DeclareAnswer::Different(_), .. }),
    "declared.unknown" => Envelope::Sequenced(_, Sequenced::Declared { answer: DeclareAnswer::Unknown, .. }),
    "call" => Envelope::Sequenced(_, Sequenced::Call(CallOpen { codec: Codec::Rkyv, .. })),
    "call.full" => Envelope::Sequenced(_, Sequenced::Call(CallOpen { codec: Codec::Json, once: Some(_), .. })),
    "call.json" => Envelope::Sequenced(_, Sequenced::Call(CallOpen { codec: Codec::Json, once: None, .. })),
    "response" => Envelope::Sequenced(_, Sequenced::Response { codec: Codec::Rkyv, .. }),
    "response.json" => Envelope::Sequenced(_, Sequenced::Response { codec: Codec::Json, .. }),
    "error.application" => Envelope::Sequenced(_, Sequenced::Error { error: WireError::Application { .. }, .. }),
    "error.status" => Envelope::Sequenced(_, Sequenced::Error { error: WireError::Status { .. }, .. }),
    "accepted" => Envelope::Sequenced(_, Sequenced::Accepted { .. }),
    "item" => Envelope::Sequenced(_, Sequenced::Item { payload: Payload::Whole(_), .. }),
    "item.chunked" => Envelope::Sequenced(_, Sequenced::Item { payload: Payload::Chunked { .. }, .. }),
    "end" => Envelope::Sequenced(_, Sequenced::End { last: None, .. }),
    "end.last" => Envelope::Sequenced(_, Sequenced::End { last: Some(_), .. }),
    "cancel" => Envelope::Sequenced(_, Sequenced::Cancel { .. }),
    "void" => Envelope::Sequenced(_, Sequenced::Void { .. }),
    "gap" => Envelope::Sequenced(_, Sequenced::Gap { .. }),
    "chunk" => Envelope::Sequenced(_, Sequenced::Chunk(_)),
    "watch" => Envelope::Watch(_),
    "notify" => Envelope::Notify(_),
    "watch-chunk" => Envelope::WatchChunk(_),
}

fn by_reader(id: u32) -> CallRef {
    CallRef { id, opener: Opener::Reader }
}

fn by_writer(id: u32) -> CallRef {
    CallRef { id, opener: Opener::Writer }
}

fn whole(bytes: &'static [u8]) -> Payload {
    Payload::Whole(Bytes::from_static(bytes))
}

fn named(name: &str) -> Declaration {
    Declaration { name: name.to_owned(), digest: DIGEST }
}

/// What the files say, in our types.
fn examples() -> Vec<Envelope> {
    let controls = [
        Control::Hello(Box::new(Hello {
            versions: vec![1],
            instance: INSTANCE,
            attempt: 1,
            credentials: Bytes::new().into(),
            declarations: vec![named("Chat")],
            limits: LIMITS,
            resume: None,
        })),
        Control::Hello(Box::new(Hello {
            versions: vec![1],
            instance: INSTANCE,
            attempt: 7,
            credentials: Bytes::from_static(b"secret").into(),
            declarations: vec![],
            limits: LIMITS,
            resume: Some(Resume {
                session: SESSION,
                token: TOKEN.to_vec().into(),
                epoch: EPOCH,
                last_processed: 300,
                declarations: DIGEST,
                generation: 3,
                unsequenced: 5,
            }),
        })),
        Control::Welcome(Box::new(Welcome {
            version: 1,
            session: SESSION,
            token: TOKEN.to_vec().into(),
            epoch: EPOCH,
            generation: 1,
            outcome: Outcome::New,
            peer_last_processed: None,
            peer_unsequenced: 0,
            limits: LIMITS,
            heartbeat_ms: 25_000,
            once: None,
            identity: None,
        })),
        Control::Welcome(Box::new(Welcome {
            version: 1,
            session: SESSION,
            token: TOKEN.to_vec().into(),
            epoch: EPOCH,
            generation: 1,
            outcome: Outcome::Gap { reason: GapReason::Expired, lost_from: 301, lost_to: Some(305) },
            peer_last_processed: Some(42),
            peer_unsequenced: 0,
            limits: LIMITS,
            heartbeat_ms: 25_000,
            once: Some(TABLE),
            identity: Some(IDENTITY),
        })),
        Control::Ack(Ack { seq: 300, unsequenced: 5 }),
        Control::Credit(Credit::Calls { total: 320 }),
        Control::Credit(Credit::Streams { total: 257 }),
        Control::Credit(Credit::Assembly { total: 17 << 20 }),
        Control::Credit(Credit::Items { call: by_reader(5), taken: 32 << 10, total: 96 << 10 }),
        Control::Ping { nonce: 1234 },
        Control::Pong { nonce: 1234, ack: Ack { seq: 300, unsequenced: 5 }, once_tick: 9 },
        Control::Auth { credentials: Bytes::from_static(b"secret").into() },
        Control::AuthAnswer { refusal: None },
        Control::AuthAnswer {
            refusal: Some(Refusal { code: CloseCode::BAD_CREDENTIALS, reason: "token expired".into() }),
        },
        Control::GoAway { spread_ms: 30_000 },
        Control::Closing { code: CloseCode::MALFORMED, reason: "0x7f is no kind".into() },
    ];
    let sequenced = [
        (1, Sequenced::Declare { service: 1, declaration: named("Counter") }),
        (1, Sequenced::Declared { service: 1, answer: DeclareAnswer::Same }),
        (
            1,
            Sequenced::Declared {
                service: 1,
                answer: DeclareAnswer::Different(vec![
                    WireMethod { name: "get".into(), kind: 0, retry: 0, hash: HASH },
                    WireMethod { name: "watch".into(), kind: 5, retry: 0, hash: HASH },
                ]),
            },
        ),
        (1, Sequenced::Declared { service: 1, answer: DeclareAnswer::Unknown }),
        (
            1,
            Sequenced::Call(CallOpen {
                id: 0,
                service: 0,
                method: 3,
                codec: Codec::Rkyv,
                time_left_ms: Some(10_000),
                depth: 0,
                once: None,
                metadata: vec![],
                payload: whole(&[1, 0, 0, 0, 0, 0, 0, 0]),
            }),
        ),
        (
            2,
            Sequenced::Call(CallOpen {
                id: 1,
                service: 0,
                method: 0,
                codec: Codec::Json,
                time_left_ms: Some(10_000),
                depth: 0,
                once: None,
                metadata: vec![],
                payload: whole(br#"{"room":"general","text":"hi"}"#),
            }),
        ),
        (
            300,
            Sequenced::Call(CallOpen {
                id: 200,
                service: 1,
                method: 3,
                codec: Codec::Json,
                time_left_ms: Some(2_500),
                depth: 2,
                once: Some(Box::new(OnceKey { key: KEY, table: TABLE })),
                metadata: vec![("traceparent".into(), "00-0af7".into())],
                payload: Payload::Chunked { transfer: 4, len: 100_000 },
            }),
        ),
        (1, Sequenced::Response { call: by_reader(0), codec: Codec::Rkyv, payload: whole(&[42, 0, 0, 0]) }),
        (2, Sequenced::Response { call: by_reader(1), codec: Codec::Json, payload: whole(b"42") }),
        (
            3,
            Sequenced::Error {
                call: by_reader(1),
                error: WireError::Application { codec: Codec::Json, payload: whole(br#""Empty""#) },
            },
        ),
        (
            3,
            Sequenced::Error {
                call: by_reader(1),
                error: WireError::Status {
                    code: Code::Unavailable,
                    message: "restarting".into(),
                    detail: 1_500,
                },
            },
        ),
        (4, Sequenced::Accepted { call: by_reader(2) }),
        (5, Sequenced::Item { call: by_reader(2), codec: Codec::Rkyv, payload: whole(&[7, 0, 0, 0]) }),
        (
            5,
            Sequenced::Item {
                call: by_writer(3),
                codec: Codec::Rkyv,
                payload: Payload::Chunked { transfer: 0, len: 1 << 20 },
            },
        ),
        (9, Sequenced::End { call: by_writer(3), last: None }),
        (9, Sequenced::End { call: by_reader(2), last: Some((Codec::Json, whole(b"42"))) }),
        (10, Sequenced::Cancel { call: by_writer(3) }),
        (11, Sequenced::Void { call: by_writer(4) }),
        (12, Sequenced::Gap { call: by_reader(2), missed: 300 }),
        (13, Sequenced::Chunk(Chunk { transfer: 4, bytes: Bytes::from_static(&[0xde, 0xad, 0xbe, 0xef]) })),
    ];
    let unsequenced = [
        Envelope::Watch(WatchValue { call: by_reader(2), codec: Codec::Rkyv, payload: whole(&[8, 0, 0, 0]) }),
        Envelope::Notify(Notify {
            service: 0,
            method: 5,
            codec: Codec::Json,
            metadata: vec![("tab".into(), "2".into())],
            payload: Bytes::from_static(br#"{"room":"general"}"#),
        }),
        Envelope::WatchChunk(Chunk { transfer: 0, bytes: Bytes::from_static(&[0xde, 0xad, 0xbe, 0xef]) }),
    ];
    let sequenced = sequenced.map(|(seq, envelope)| Envelope::Sequenced(seq, envelope));
    controls.map(Envelope::Control).into_iter().chain(sequenced).chain(unsequenced).collect()
}

/// The files by name, `name.hex` as `name`.
fn golden() -> BTreeMap<String, String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let files = files.filter(|path| path.extension().is_some_and(|it| it == "hex"));
    files
        .map(|path| {
            let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
            (name, std::fs::read_to_string(path).unwrap())
        })
        .collect()
}

/// Hex digits with comments, as bytes.
fn bytes_of(text: &str) -> Vec<u8> {
    let digits = text.lines().flat_map(|line| line.split('#').next().unwrap().split_whitespace());
    digits.map(|digit| u8::from_str_radix(digit, 16).unwrap()).collect()
}

fn encoded(envelopes: &[Envelope]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut encoder = Encoder::new(&mut out);
    envelopes.iter().for_each(|envelope| encoder.push(envelope));
    out
}

fn decoded(message: &[u8]) -> Vec<Envelope> {
    Decoder::new(Bytes::copy_from_slice(message)).collect::<Result<_, _>>().unwrap()
}

#[test]
fn every_example_has_exactly_the_bytes_of_its_file() {
    let golden = golden();
    for envelope in examples() {
        let name = variant(&envelope);
        let bytes = bytes_of(golden.get(name).unwrap_or_else(|| panic!("no golden file {name}.hex")));
        let envelope = std::slice::from_ref(&envelope);
        assert_eq!(decoded(&bytes), envelope, "{name}");
        assert_eq!(encoded(envelope), bytes, "{name}");
    }
}

#[test]
fn every_variant_has_a_file_and_an_example() {
    let golden = golden();
    let examples = examples();
    let mut shown: Vec<_> = examples.iter().map(variant).collect();
    shown.sort_unstable();
    let mut expected = VARIANTS.to_vec();
    expected.sort_unstable();
    assert_eq!(shown, expected, "one example for each variant");
    expected.push("run");
    expected.sort_unstable();
    assert_eq!(golden.keys().map(String::as_str).collect::<Vec<_>>(), expected, "one file for each variant");
}

#[test]
fn every_file_keeps_its_bytes_when_read_and_written_again() {
    for (name, text) in golden() {
        let bytes = bytes_of(&text);
        assert_eq!(encoded(&decoded(&bytes)), bytes, "{name}");
    }
}

#[test]
fn a_run_states_its_first_number_once() {
    let envelopes = decoded(&bytes_of(&golden()["run"]));
    let numbers: Vec<_> = envelopes
        .iter()
        .filter_map(|envelope| match envelope {
            Envelope::Sequenced(seq, _) => Some(*seq),
            _ => None,
        })
        .collect();
    assert_eq!(envelopes.len(), 5);
    assert_eq!(numbers, [300, 301, 302]);
}

#[test]
fn every_kind_that_is_understood_is_in_a_file() {
    let firsts: Vec<u8> = golden().values().map(|text| bytes_of(text)[0]).collect();
    for first in 0..=u8::MAX {
        let read = Decoder::new(Bytes::copy_from_slice(&[first])).next().unwrap();
        let unknown = read.is_err_and(|error| error.kind == DecodeErrorKind::UnknownKind(first));
        let shown = firsts.iter().any(|golden| golden & 0x7f == first & 0x7f);
        // Only sequenced envelopes state a number, and the files show them stating it.
        let expected = if first & 0x80 != 0 { firsts.contains(&first) } else { shown };
        assert_eq!(!unknown, expected, "{first:#04x}");
    }
}

/// Whoever reads the page alone must read what we send.
#[test]
fn the_page_shows_every_file_as_it_is() {
    let page = include_str!("../WIRE.md");
    for (name, text) in golden() {
        let block = format!("```text {name}\n{text}```");
        assert!(page.contains(&block), "WIRE.md does not show {name}.hex");
    }
    assert_eq!(page.matches("```text ").count(), golden().len(), "WIRE.md shows files that don't exist");
}
