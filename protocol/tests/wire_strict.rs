//! What a reader refuses: each bound one step beyond, each field in a form that it does not have.

use bowline_protocol::codec::Codec;
use bowline_protocol::envelope::{
    CallOpen, CallRef, Control, Declaration, DeclareAnswer, DecodeError, DecodeErrorKind, Decoder, Encoder,
    Envelope, Hello, Notify, Opener, Payload, Refusal, Sequenced, Welcome, WireError, WireLimits, WireMethod,
    bounds,
};
use bowline_protocol::status::{CloseCode, Code};
use bytes::Bytes;

fn encoded(envelope: &Envelope) -> Vec<u8> {
    let mut out = Vec::new();
    Encoder::new(&mut out).push(envelope);
    out
}

fn read(message: &[u8]) -> Result<Vec<Envelope>, DecodeError> {
    Decoder::new(Bytes::copy_from_slice(message)).collect()
}

#[track_caller]
fn assert_refused(message: &[u8], offset: usize, kind: DecodeErrorKind) {
    let error = read(message).expect_err("the message is refused");
    assert_eq!((error.offset, error.kind), (offset, kind));
    assert_eq!(error.close_code(), CloseCode::MALFORMED);
}

/// At its bound an envelope is read; one step beyond it is refused as too long.
#[track_caller]
fn assert_bound(what: &str, bound: usize, make: impl Fn(usize) -> Envelope) {
    let fits = make(bound);
    assert_eq!(read(&encoded(&fits)).as_deref(), Ok(&[fits][..]));
    match read(&encoded(&make(bound + 1))) {
        Err(error) => match error.kind {
            DecodeErrorKind::TooLong { what: found, bound: stated } => {
                assert_eq!((found, stated), (what, bound));
            }
            other => panic!("refused for another reason: {other}"),
        },
        Ok(_) => panic!("{what} of {} is read", bound + 1),
    }
}

fn letters(len: usize) -> String {
    "x".repeat(len)
}

fn hello(hello: Hello) -> Envelope {
    Envelope::Control(Control::Hello(Box::new(Hello { versions: vec![1], ..hello })))
}

fn call(metadata: Vec<(String, String)>) -> Envelope {
    let open = CallOpen {
        id: 0,
        service: 0,
        method: 0,
        codec: Codec::Rkyv,
        time_left_ms: None,
        depth: 0,
        once: None,
        metadata,
        payload: Payload::Whole(Bytes::new()),
    };
    Envelope::Sequenced(1, Sequenced::Call(open))
}

fn answer(methods: Vec<WireMethod>) -> Envelope {
    Envelope::Sequenced(1, Sequenced::Declared { service: 0, answer: DeclareAnswer::Different(methods) })
}

fn method(name: usize) -> WireMethod {
    WireMethod { name: letters(name), kind: 0, retry: 0, hash: 0 }
}

#[test]
fn credentials_are_bounded() {
    assert_bound("credentials", bounds::MAX_CREDENTIALS, |len| {
        hello(Hello { credentials: vec![7; len].into(), ..Hello::default() })
    });
    assert_bound("credentials", bounds::MAX_CREDENTIALS, |len| {
        Envelope::Control(Control::Auth { credentials: vec![7; len].into() })
    });
}

#[test]
fn declarations_are_bounded() {
    let named = |len| Declaration { name: letters(len), digest: 1 };
    assert_bound("count of declarations", bounds::MAX_SERVICES, |count| {
        hello(Hello { declarations: vec![named(4); count], ..Hello::default() })
    });
    assert_bound("service name", bounds::MAX_NAME, |len| {
        Envelope::Sequenced(1, Sequenced::Declare { service: 0, declaration: named(len) })
    });
}

#[test]
fn a_welcome_is_bounded_as_a_whole() {
    let message = [&[0x02, 0x81, 0x08][..], &[0; 1025]].concat();
    assert_refused(&message, 1, DecodeErrorKind::TooLong { what: "welcome", bound: bounds::MAX_WELCOME });
}

#[test]
fn a_hello_is_bounded_as_a_whole() {
    // Everything in it within its own bound: credentials and 64 long names together are too much.
    let long = Declaration { name: letters(bounds::MAX_NAME), digest: 1 };
    let message = encoded(&hello(Hello {
        credentials: vec![7; bounds::MAX_CREDENTIALS].into(),
        declarations: vec![long; bounds::MAX_SERVICES],
        ..Hello::default()
    }));
    assert_refused(&message, 1, DecodeErrorKind::TooLong { what: "hello", bound: bounds::MAX_HELLO });
}

#[test]
fn answers_are_bounded_in_methods_and_in_bytes() {
    assert_bound("count of methods", bounds::MAX_METHODS, |count| answer(vec![method(3); count]));
    assert_bound("method name", bounds::MAX_NAME, |len| answer(vec![method(len)]));
    // 2 bytes of length, the name, 2 bytes and 16 of hash each; 2 bytes of count before them.
    let each = 2 + bounds::MAX_NAME + 2 + 16;
    let full = (bounds::MAX_ANSWER - 2) / each;
    assert!(read(&encoded(&answer(vec![method(bounds::MAX_NAME); full]))).is_ok());
    let kind = DecodeErrorKind::TooLong { what: "answer to a declaration", bound: bounds::MAX_ANSWER };
    let over = encoded(&answer(vec![method(bounds::MAX_NAME); full + 1]));
    assert_refused(&over, 4, kind);
}

#[test]
fn metadata_is_bounded_in_entries_and_in_bytes() {
    assert_bound("count of metadata", bounds::MAX_METADATA_ENTRIES, |count| {
        call(vec![("k".into(), "v".into()); count])
    });
    assert_bound("metadata", bounds::MAX_METADATA, |len| call(vec![("key".into(), letters(len - 3))]));
    assert_bound("metadata", bounds::MAX_METADATA, |len| {
        call(vec![(letters(4096), letters(3000)), (letters(len - 7096), String::new())])
    });
}

#[test]
fn tokens_and_lists_of_versions_are_bounded() {
    let welcome = |len| Welcome {
        version: 1,
        session: 1,
        token: vec![1; len].into(),
        epoch: 1,
        generation: 1,
        outcome: bowline_protocol::envelope::Outcome::New,
        peer_last_processed: None,
        peer_unsequenced: 0,
        limits: WireLimits::default(),
        heartbeat_ms: 0,
        once: None,
        identity: None,
    };
    assert_bound("token", bounds::MAX_TOKEN, |len| {
        Envelope::Control(Control::Welcome(Box::new(welcome(len))))
    });
    assert_bound("count of versions", bounds::MAX_VERSIONS, |count| {
        Envelope::Control(Control::Hello(Box::new(Hello { versions: vec![1; count], ..Hello::default() })))
    });
}

/// A batch asks before it takes an envelope in: lists, names and metadata count as payloads do.
#[test]
fn the_largest_length_counts_everything_of_variable_length() {
    let metadata = vec![("key".to_owned(), letters(100)); bounds::MAX_METADATA_ENTRIES];
    let payload = Bytes::from_static(&[7; 300]);
    let long = Declaration { name: letters(bounds::MAX_NAME), digest: u128::MAX };
    let codec = Codec::Json;
    for envelope in [
        call(metadata.clone()),
        Envelope::Notify(Notify { service: u32::MAX, method: u32::MAX, codec, metadata, payload }),
        answer(vec![method(bounds::MAX_NAME); 200]),
        Envelope::Sequenced(u64::MAX, Sequenced::Declare { service: u32::MAX, declaration: long.clone() }),
        hello(Hello {
            credentials: vec![7; 4000].into(),
            declarations: vec![long; 32],
            limits: WireLimits {
                calls: u32::MAX,
                message: u64::MAX,
                replay: u64::MAX,
                ..WireLimits::default()
            },
            ..Hello::default()
        }),
        Envelope::Control(Control::Closing { code: CloseCode::NORMAL, reason: letters(512) }),
    ] {
        assert!(encoded(&envelope).len() <= envelope.max_len(), "{envelope:?}");
    }
}

/// The sentence comes from applications and layers; that it is long must not cost the link.
#[test]
fn long_sentences_are_cut_where_they_are_written() {
    let reason = letters(bounds::MAX_REASON - 1) + "ä";
    let refusal = Refusal { code: CloseCode::FORBIDDEN, reason: reason.clone() };
    for envelope in [
        Control::AuthAnswer { refusal: Some(refusal) },
        Control::Closing { code: CloseCode::FORBIDDEN, reason },
    ] {
        let read = read(&encoded(&Envelope::Control(envelope))).unwrap();
        let (Envelope::Control(Control::AuthAnswer { refusal: Some(Refusal { reason, .. }) })
        | Envelope::Control(Control::Closing { reason, .. })) = &read[0]
        else {
            panic!("another envelope: {read:?}")
        };
        assert_eq!(*reason, letters(bounds::MAX_REASON - 1), "no character is cut in two");
    }
    let status = |message| Sequenced::Error {
        call: CallRef { id: 0, opener: Opener::Reader },
        error: WireError::Status { code: Code::Internal, message, detail: 0 },
    };
    let long = Envelope::Sequenced(1, status(letters(bounds::MAX_STATUS_MESSAGE + 1)));
    let cut = Envelope::Sequenced(1, status(letters(bounds::MAX_STATUS_MESSAGE)));
    assert_eq!(read(&encoded(&long)).unwrap(), [cut]);
}

#[test]
fn sentences_beyond_their_bound_are_refused_from_others() {
    // closing, 4503, a reason of 513 bytes.
    let message = [&[0x0a, 0x97, 0x23, 0x81, 0x04][..], letters(513).as_bytes()].concat();
    assert_refused(&message, 3, DecodeErrorKind::TooLong { what: "reason", bound: bounds::MAX_REASON });
    let message = [&[0x94, 1, 1, 2, 13, 0, 0x81, 0x08][..], letters(1025).as_bytes()].concat();
    let kind = DecodeErrorKind::TooLong { what: "message of a status", bound: bounds::MAX_STATUS_MESSAGE };
    assert_refused(&message, 6, kind);
}

/// Counts and lengths are compared with what is there before room is made for them.
#[test]
fn counts_and_lengths_beyond_the_message_are_refused_at_once() {
    let most = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01];
    // An item of 2^63 - 1 bytes, a notify and a chunk of 2^64 - 1.
    let item = [0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01];
    assert_refused(&[&[0x96, 1, 1, 0][..], &item, &[0; 32]].concat(), 4, DecodeErrorKind::Truncated);
    assert_refused(&[&[0x21, 0, 0, 0][..], &most].concat(), 4, DecodeErrorKind::Truncated);
    assert_refused(&[&[0x9b, 1, 0][..], &most].concat(), 3, DecodeErrorKind::Truncated);
    // 1,024 methods in two bytes, 64 entries of metadata in three, 64 declarations in none.
    assert_refused(&[0x91, 1, 0, 1, 0x80, 0x08, 0, 0], 4, DecodeErrorKind::Truncated);
    assert_refused(&[0x92, 1, 0, 0, 0, 2, 0x40, 0, 0, 0], 6, DecodeErrorKind::Truncated);
    let hello = [&[0x01, 21, 1, 1][..], &[0; 16], &[0, 0, 0x40]].concat();
    assert_refused(&hello, 22, DecodeErrorKind::Truncated);
}

#[test]
fn numbers_are_read_in_their_shortest_form_only() {
    assert_refused(&[0x05, 0x80, 0x00], 1, DecodeErrorKind::Varint);
    assert_refused(
        &[0x05, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02],
        1,
        DecodeErrorKind::Varint,
    );
}

#[test]
fn numbers_must_fit_their_field() {
    let above = [0x80, 0x80, 0x80, 0x80, 0x10]; // 2^32
    let call_ref = [0x80, 0x80, 0x80, 0x80, 0x20]; // 2^33: id 2^32
    assert_refused(&[&[0x95, 1][..], &call_ref].concat(), 2, DecodeErrorKind::OutOfRange("call id"));
    assert_refused(&[&[0x92, 1][..], &above].concat(), 2, DecodeErrorKind::OutOfRange("call id"));
    assert_refused(&[&[0x92, 1, 0][..], &above].concat(), 3, DecodeErrorKind::OutOfRange("service number"));
    assert_refused(&[&[0x92, 1, 0, 0][..], &above].concat(), 4, DecodeErrorKind::OutOfRange("method number"));
    assert_refused(&[&[0x9b, 1][..], &above].concat(), 2, DecodeErrorKind::OutOfRange("transfer"));
    assert_refused(&[0x0a, 0x80, 0x80, 0x04, 0], 1, DecodeErrorKind::OutOfRange("close code"));
}

#[test]
fn bytes_that_choose_have_no_other_values() {
    let unknown = |what, value| DecodeErrorKind::UnknownValue { what, value };
    assert_refused(&[0x96, 1, 1, 2, 0], 3, unknown("codec", 2));
    assert_refused(&[0x04, 4, 0], 1, unknown("kind of credit", 4));
    assert_refused(&[0x08, 2], 1, unknown("answer to credentials", 2));
    assert_refused(&[0x91, 1, 0, 3], 3, unknown("answer to a declaration", 3));
    assert_refused(&[0x94, 1, 1, 3], 3, unknown("form of an error", 3));
    assert_refused(&[0x97, 1, 1, 3], 3, unknown("form of an end", 3));
    assert_refused(&[0x92, 1, 0, 0, 0, 0x20], 5, unknown("flags of a call", 0x20));
    assert_refused(&[0x21, 0, 0, 0x04], 3, unknown("flags of a notify", 0x04));
}

#[test]
fn what_says_nothing_is_refused() {
    // The bit is set and nothing is there: a second form of the same envelope.
    assert_refused(&[0x92, 1, 0, 0, 0, 2, 0, 0], 6, DecodeErrorKind::Empty("metadata"));
    assert_refused(&[0x92, 1, 0, 0, 0, 8, 0, 0], 6, DecodeErrorKind::Empty("depth"));
    assert_refused(&[0x9b, 1, 0, 0], 3, DecodeErrorKind::Empty("chunk"));
    assert_refused(&[0x22, 0, 0], 2, DecodeErrorKind::Empty("chunk"));
    assert_refused(&[0x96, 1, 1, 0, 1, 0], 4, DecodeErrorKind::Empty("chunked payload"));
    assert_refused(&[0x01, 1, 0], 2, DecodeErrorKind::Empty("list of versions"));
    let unnamed = [&[0x90, 1, 0, 0][..], &[0; 16]].concat();
    assert_refused(&unnamed, 3, DecodeErrorKind::Empty("service name"));
}

#[test]
fn texts_are_utf8() {
    assert_refused(&[0x0a, 0x97, 0x23, 2, 0xc3, 0x28], 3, DecodeErrorKind::NotUtf8("reason"));
    let name = [&[0x90, 1, 0, 1, 0xff][..], &[0; 16]].concat();
    assert_refused(&name, 3, DecodeErrorKind::NotUtf8("service name"));
    assert_refused(&[0x92, 1, 0, 0, 0, 2, 1, 1, 0xff, 0, 0], 7, DecodeErrorKind::NotUtf8("metadata"));
}

#[test]
fn sequence_numbers_start_at_one_and_follow_from_something() {
    assert_refused(&[0x15, 1], 0, DecodeErrorKind::NoSequence);
    assert_refused(&[0x95, 0, 1], 1, DecodeErrorKind::Sequence);
    // Control and watch values in front give no number.
    assert_refused(&[0x03, 9, 0, 0x15, 1], 3, DecodeErrorKind::NoSequence);
    // The largest number, then one more.
    let most = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01];
    assert_refused(&[&[0x95][..], &most, &[1, 0x15, 1]].concat(), 12, DecodeErrorKind::Sequence);
}

#[test]
fn unsequenced_envelopes_state_no_number() {
    for first in (0x81..=0x8a).chain(0xa0..=0xa2) {
        assert_refused(&[first, 1, 0, 0, 0, 0], 0, DecodeErrorKind::UnknownKind(first));
    }
}

/// A later minor version adds fields at the end of hello and welcome, and earlier ones must still read them.
#[test]
fn what_follows_the_fields_of_a_hello_is_skipped() {
    let mut message = encoded(&hello(Hello { attempt: 3, ..Hello::default() }));
    message.extend([0xaa; 5]);
    message[1] += 5;
    message.extend([0x05, 9]);
    let expected =
        [hello(Hello { attempt: 3, ..Hello::default() }), Envelope::Control(Control::Ping { nonce: 9 })];
    assert_eq!(read(&message).unwrap(), expected);
}

/// Its length holds a hello together: fields that reach beyond it are cut, not read from the next envelope.
#[test]
fn a_hello_does_not_reach_beyond_its_length() {
    let mut message = encoded(&hello(Hello::default()));
    message[1] -= 1;
    assert_refused(&message, message.len() - 1, DecodeErrorKind::Truncated);
}

/// Only the list of versions means the same in every version.
#[test]
fn a_hello_of_other_versions_is_read_up_to_them() {
    let message = [0x01, 6, 2, 2, 3, 0xff, 0xff, 0xff];
    let Envelope::Control(Control::Hello(hello)) = &read(&message).unwrap()[0] else { panic!("no hello") };
    assert_eq!(**hello, Hello { versions: vec![2, 3], ..Hello::default() });
}

/// A newer peer may give reasons that we don't know; the outcome is the same.
#[test]
fn unknown_codes_and_reasons_are_read_as_the_general_one() {
    let message = [0x94, 1, 1, 2, 99, 0, 0];
    let expected = Sequenced::Error {
        call: CallRef { id: 0, opener: Opener::Reader },
        error: WireError::Status { code: Code::Internal, message: String::new(), detail: 0 },
    };
    assert_eq!(read(&message).unwrap(), [Envelope::Sequenced(1, expected)]);
}
