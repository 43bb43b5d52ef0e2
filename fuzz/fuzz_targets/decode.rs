//! Any bytes as a message: no panic, and what was read can be written and read again.

#![no_main]

use bowline_protocol::envelope::{Decoder, Encoder, Envelope};
use bytes::Bytes;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|message: &[u8]| {
    let message = Bytes::copy_from_slice(message);
    let read: Vec<Envelope> = Decoder::new(message.clone()).map_while(Result::ok).collect();
    if let Some(Err(error)) = Decoder::new(message.clone()).find(Result::is_err) {
        assert!(error.offset <= message.len(), "{error}");
    }
    if read.is_empty() {
        return;
    }

    let mut written = Vec::new();
    let mut encoder = Encoder::new(&mut written);
    for envelope in &read {
        let start = encoder.len();
        encoder.push(envelope);
        assert!(encoder.len() - start <= envelope.max_len(), "{envelope:?}");
    }
    let again: Vec<Envelope> =
        Decoder::new(written.into()).collect::<Result<_, _>>().expect("we read what we write");
    assert_eq!(again, read);
});
