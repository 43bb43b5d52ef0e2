//! What holds for all envelopes and for all bytes.

mod arbitrary;

use bowline_protocol::envelope::{DecodeError, DecodeErrorKind, Decoder, Encoder, Envelope, MAX_HEADER};
use bytes::Bytes;
use proptest::collection::vec;
use proptest::prelude::*;

fn encoded(envelopes: &[Envelope]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut encoder = Encoder::new(&mut out);
    envelopes.iter().for_each(|envelope| encoder.push(envelope));
    out
}

fn decoded(message: &[u8]) -> Result<Vec<Envelope>, DecodeError> {
    Decoder::new(Bytes::copy_from_slice(message)).collect()
}

/// What was read, and the error that ended it if one did.
fn read_on(message: &[u8]) -> (Vec<Envelope>, Option<DecodeError>) {
    let mut decoder = Decoder::new(Bytes::copy_from_slice(message));
    let mut envelopes = Vec::new();
    for read in &mut decoder {
        match read {
            Ok(envelope) => envelopes.push(envelope),
            Err(error) => {
                assert!(error.offset <= message.len(), "{error} lies behind the message");
                assert!(decoder.next().is_none(), "nothing follows an error");
                return (envelopes, Some(error));
            }
        }
    }
    (envelopes, None)
}

/// A message and where each of its envelopes ends.
fn with_ends(envelopes: &[Envelope]) -> (Vec<u8>, Vec<usize>) {
    let mut out = Vec::new();
    let mut encoder = Encoder::new(&mut out);
    let ends = envelopes
        .iter()
        .map(|envelope| {
            encoder.push(envelope);
            encoder.len()
        })
        .collect();
    (out, ends)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(256) })]

    #[test]
    fn every_envelope_comes_back(envelope in arbitrary::envelope()) {
        let bytes = encoded(std::slice::from_ref(&envelope));
        prop_assert_eq!(decoded(&bytes).unwrap(), [envelope]);
    }

    #[test]
    fn every_run_comes_back(run in arbitrary::run()) {
        prop_assert_eq!(decoded(&encoded(&run)).unwrap(), run);
    }

    /// Envelopes in any order, with any numbers: what does not follow is stated.
    #[test]
    fn numbers_that_do_not_follow_come_back(batch in vec(arbitrary::envelope(), 1..8)) {
        prop_assert_eq!(decoded(&encoded(&batch)).unwrap(), batch);
    }

    #[test]
    fn the_largest_length_is_never_too_small(envelope in arbitrary::envelope()) {
        let len = encoded(std::slice::from_ref(&envelope)).len();
        prop_assert!(len <= envelope.max_len(), "{} > {}", len, envelope.max_len());
        prop_assert!(envelope.max_len() <= len + 4 * MAX_HEADER, "{} is far above {len}", envelope.max_len());
    }

    #[test]
    fn a_cut_message_is_an_error_or_a_shorter_run(run in arbitrary::run(), cut in any::<prop::sample::Index>()) {
        let (message, ends) = with_ends(&run);
        let cut = cut.index(message.len());
        let (read, error) = read_on(&message[..cut]);
        let whole = ends.iter().filter(|end| **end <= cut).count();
        prop_assert_eq!(&read[..], &run[..whole]);
        let on_an_end = ends.contains(&cut);
        prop_assert_eq!(error.is_none(), on_an_end, "cut at {} of {:?}: {:?}", cut, ends, error);
    }

    #[test]
    fn any_bytes_are_read_without_a_panic(bytes in vec(any::<u8>(), 0..400)) {
        read_on(&bytes);
    }

    /// Bytes behind a first byte that is understood get further than any bytes do.
    #[test]
    fn any_bytes_of_each_kind_are_read_without_a_panic(
        first in prop_oneof![1..=0x0a_u8, 0x90..=0x9b_u8, 0x20..=0x22_u8],
        bytes in vec(prop_oneof![3 => 0..8_u8, 1 => any::<u8>()], 0..200),
    ) {
        read_on(&[&[first][..], &bytes].concat());
    }

    #[test]
    fn what_is_read_of_mutated_bytes_can_be_written_and_read_again(
        run in arbitrary::run(),
        changes in vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
    ) {
        let mut message = encoded(&run);
        for (place, byte) in changes {
            let place = place.index(message.len());
            message[place] = byte;
        }
        let (read, error) = read_on(&message);
        prop_assert!(error.is_some() || !read.is_empty());
        if !read.is_empty() {
            prop_assert_eq!(decoded(&encoded(&read)).unwrap(), read);
        }
    }

    #[test]
    fn payloads_share_the_message(run in arbitrary::run()) {
        use bowline_protocol::envelope::{Notify, Payload, Sequenced};
        let message = Bytes::from(encoded(&run));
        let within = |bytes: &Bytes| bytes.is_empty() || message.as_ptr_range().contains(&bytes.as_ptr());
        for envelope in Decoder::new(message.clone()) {
            match envelope.unwrap() {
                Envelope::Sequenced(_, Sequenced::Item { payload: Payload::Whole(bytes), .. })
                | Envelope::Sequenced(_, Sequenced::Response { payload: Payload::Whole(bytes), .. })
                | Envelope::Notify(Notify { payload: bytes, .. }) => prop_assert!(within(&bytes)),
                Envelope::Sequenced(_, Sequenced::Chunk(chunk)) | Envelope::WatchChunk(chunk) => {
                    prop_assert!(within(&chunk.bytes));
                }
                _ => {}
            }
        }
    }
}

#[test]
fn an_empty_message_is_an_error() {
    let (read, error) = read_on(&[]);
    assert!(read.is_empty());
    assert_eq!(error.map(|error| error.kind), Some(DecodeErrorKind::EmptyMessage));
}
