use std::cell::Cell;

use bytes::Bytes;

use super::{Codec, EncodeError, Payload};
use crate::spare::{LEAST, Spare};

/// What holds a small payload without growing.
const SMALL: usize = 128;

/// What is kept with its count of references in one allocation: most arguments and answers.
const INLINE: usize = 104;

thread_local! {
    /// Where small payloads are encoded before it is known that they are small: only what is kept costs an allocation.
    static SCRATCH: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

struct Inline {
    len: u8,
    bytes: [u8; INLINE],
}

impl AsRef<[u8]> for Inline {
    fn as_ref(&self) -> &[u8] {
        &self.bytes[..usize::from(self.len)]
    }
}

/// Encodes a value into a buffer of its own, which may be shared: clones cost no allocation.
///
/// # Errors
///
/// What [`Payload::encode`] says.
pub fn encoded<T: Payload>(codec: Codec, value: &T) -> Result<Bytes, EncodeError> {
    encode(codec, value, |bytes| {
        let mut inline = Inline { len: bytes.len() as u8, bytes: [0; INLINE] };
        inline.bytes[..bytes.len()].copy_from_slice(bytes);
        Bytes::from_owner(inline)
    })
}

/// The same for a buffer that mostly has one owner: the first clone of a small one costs an allocation.
///
/// # Errors
///
/// What [`Payload::encode`] says.
pub fn encoded_alone<T: Payload>(codec: Codec, value: &T) -> Result<Bytes, EncodeError> {
    encode(codec, value, Bytes::copy_from_slice)
}

/// `small` makes a buffer of up to [`INLINE`] bytes.
#[inline]
fn encode<T: Payload>(
    codec: Codec,
    value: &T,
    small: impl FnOnce(&[u8]) -> Bytes,
) -> Result<Bytes, EncodeError> {
    let mut out = SCRATCH.take();
    out.reserve_exact(SMALL);
    value.encode(codec, &mut out)?;
    if out.len() >= LEAST && codec == Codec::Rkyv {
        return Ok(Bytes::from_owner(Spare::from(out)));
    }
    if out.len() > INLINE {
        return Ok(out.into());
    }
    let bytes = small(&out);
    out.clear();
    SCRATCH.set(out);
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_and_large_values_are_what_encode_makes_of_them() {
        for len in [0, 1, 8, 90, 95, 96, 97, 103, 104, 105, 127, 128, 129, 5000] {
            for codec in [Codec::Rkyv, Codec::Json] {
                let text = "x".repeat(len);
                let mut plain = Vec::new();
                text.encode(codec, &mut plain).unwrap();
                assert_eq!(encoded(codec, &text).unwrap(), plain, "{len} {codec:?}");
                assert_eq!(encoded_alone(codec, &text).unwrap(), plain, "{len} {codec:?}");
            }
        }
    }
}
