use bytes::Bytes;

use super::{Codec, EncodeError, Payload, encoded};

/// The arguments of a call that may still become either codec.
///
/// Which one is agreed with the other end, perhaps long after the call was made: until then a call is held as its
/// archive and the function that makes JSON of it. Equal arguments have equal archives, except in hash maps and sets.
#[derive(Debug, Clone)]
pub struct Arguments {
    /// The archive.
    pub rkyv: Bytes,
    /// Makes JSON of the archive.
    pub recode: fn(&[u8]) -> Result<Vec<u8>, EncodeError>,
}

impl Arguments {
    /// Archives `arguments`.
    ///
    /// # Errors
    ///
    /// What [`Payload::encode`] says.
    pub fn new<T: Payload>(arguments: &T) -> Result<Self, EncodeError> {
        Ok(Self { rkyv: encoded(Codec::Rkyv, arguments)?, recode: T::recode })
    }

    /// Returns the arguments in `codec`: the archive itself, or JSON made of it.
    ///
    /// # Errors
    ///
    /// [`EncodeError`] when JSON can't carry them.
    pub fn to_codec(&self, codec: Codec) -> Result<Bytes, EncodeError> {
        match codec {
            Codec::Rkyv => Ok(self.rkyv.clone()),
            Codec::Json => (self.recode)(&self.rkyv).map(Bytes::from),
        }
    }
}
