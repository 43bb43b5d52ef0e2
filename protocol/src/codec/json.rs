//! The JSON side.

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::strict::{Fault, Strict, Watch};
use super::{DecodePayloadError, EncodeError};

/// Appends `value` as JSON to `out`; on an error `out` is as before.
pub(super) fn write<T: Serialize>(value: &T, out: &mut Vec<u8>) -> Result<(), EncodeError> {
    let start = out.len();
    let watch = Watch::default();
    let result = value.serialize(Strict::new(&mut serde_json::Serializer::new(&mut *out), &watch));
    result.map_err(|error| {
        out.truncate(start);
        match watch.fault() {
            Some(Fault::NotFinite) => EncodeError::NotFinite,
            Some(Fault::TooDeep) => EncodeError::TooDeep,
            None => EncodeError::Json(error),
        }
    })
}

/// Makes a value of JSON; the parser bounds the depth.
pub(super) fn read<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, DecodePayloadError> {
    serde_json::from_slice(bytes).map_err(DecodePayloadError::Json)
}
