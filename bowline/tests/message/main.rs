//! What `#[message]` makes of types, seen from an application.

#![allow(missing_debug_implementations, unreachable_pub)] // messages as applications write them
#![allow(clippy::unwrap_used, reason = "a helper of tests that fails them")]

// What a dependency that is renamed in the manifest amounts to.
extern crate bowline as bl;

mod checks;
mod foreign;
mod hashes;
mod hygiene;
mod shapes;
mod skipped;
mod tolerance;

use std::fmt::Debug;

use bowline::View;
use bowline_protocol::codec::{Arguments, Buffer, Codec, DecodePayloadError, Payload, ViewPayload};
use bytes::Bytes;

const CODECS: [Codec; 2] = [Codec::Rkyv, Codec::Json];

fn encode<T: Payload>(codec: Codec, value: &T) -> Bytes {
    let mut out = Vec::new();
    value.encode(codec, &mut out).unwrap();
    out.into()
}

fn decode<T: Payload>(codec: Codec, bytes: &[u8]) -> Result<T, DecodePayloadError> {
    T::decode(codec, &Buffer::Small(Bytes::copy_from_slice(bytes)))
}

fn json<T: Payload>(value: &T) -> String {
    String::from_utf8(encode(Codec::Json, value).to_vec()).unwrap()
}

/// Both codecs, the way from one to the other, and views of both.
#[track_caller]
fn survives<T: ViewPayload + PartialEq + Debug>(value: T) {
    for codec in CODECS {
        let bytes = encode(codec, &value);
        assert_eq!(decode::<T>(codec, &bytes).unwrap(), value, "{codec:?}");
        let view = View::<T>::decode(codec, bytes.into()).unwrap();
        assert_eq!(view.to_owned().unwrap(), value, "view of {codec:?}");
    }
    let arguments = Arguments::new(&value).unwrap();
    let recoded = arguments.to_codec(Codec::Json).unwrap();
    assert_eq!(decode::<T>(Codec::Json, &recoded).unwrap(), value, "recoded");
}

/// No part of an archive that is cut or changed may bring down its reader.
fn never_panics_on_damage<T: ViewPayload>(value: &T) {
    let bytes = encode(Codec::Rkyv, value);
    for len in 0..bytes.len() {
        let _ = decode::<T>(Codec::Rkyv, &bytes[..len]);
        let _ = View::<T>::decode(Codec::Rkyv, bytes.slice(len..).into());
    }
    for place in 0..bytes.len() {
        for byte in [0, 1, 0x7f, 0x80, 0xff] {
            let mut damaged = bytes.to_vec();
            damaged[place] = byte;
            let _ = decode::<T>(Codec::Rkyv, &damaged);
            let _ = View::<T>::decode(Codec::Rkyv, Bytes::from(damaged).into());
        }
    }
}
