use std::convert::Infallible;

use rkyv::bytecheck::CheckBytes;
use rkyv::{Archive, Deserialize, Portable, Serialize};
use serde::de::DeserializeOwned;

use super::{Codec, DecodePayloadError, EncodeError, archive, json};
use crate::schema::{Hasher, Schema};

/// Everything that may cross the wire.
///
/// Implemented for every type that has a [`Schema`] and is known to both codecs, which is what `#[message]` sees
/// to, and for [`Infallible`], the error of a method that can't fail. Nobody implements it by hand.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot cross the wire",
    label = "put `#[bowline::message]` on it",
    note = "values of other crates cross as fields of a message, see `bowline::message`"
)]
pub trait Payload: Sized + Send + Sync + 'static {
    /// The structural hash of the type.
    const HASH: u128;

    /// Appends the value to `out`.
    ///
    /// An archive counts its positions from the end of what `out` held, so payloads need no padding between them.
    ///
    /// # Errors
    ///
    /// [`EncodeError`]; the content of `out` is then what it was.
    fn encode(&self, codec: Codec, out: &mut Vec<u8>) -> Result<(), EncodeError>;

    /// Makes the value of received bytes; all of them are validated first.
    ///
    /// # Errors
    ///
    /// [`DecodePayloadError`] when the bytes are not a value of this type.
    fn decode(codec: Codec, bytes: &[u8]) -> Result<Self, DecodePayloadError>;

    /// Makes JSON of an archive.
    ///
    /// # Errors
    ///
    /// [`EncodeError`] when the archive is not valid or JSON can't carry its value.
    fn recode(rkyv: &[u8]) -> Result<Vec<u8>, EncodeError>;
}

#[diagnostic::do_not_recommend]
impl<T> Payload for T
where
    T: Schema + Send + Sync + 'static,
    T: serde::Serialize + DeserializeOwned,
    T: Archive + for<'a> Serialize<archive::Serializer<'a>>,
    T::Archived: Portable + Deserialize<T, archive::Deserializer> + for<'a> CheckBytes<archive::Checker<'a>>,
{
    const HASH: u128 = <T as Schema>::HASH;

    fn encode(&self, codec: Codec, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        match codec {
            Codec::Rkyv => archive::write(self, out).map_err(EncodeError::archive),
            Codec::Json => json::write(self, out),
        }
    }

    fn decode(codec: Codec, bytes: &[u8]) -> Result<Self, DecodePayloadError> {
        match codec {
            Codec::Rkyv => archive::read(bytes).map_err(DecodePayloadError::archive),
            Codec::Json => json::read(bytes),
        }
    }

    fn recode(rkyv: &[u8]) -> Result<Vec<u8>, EncodeError> {
        let value: T = archive::read(rkyv)
            .map_err(|error| EncodeError::Recode(Box::new(DecodePayloadError::archive(error))))?;
        let mut out = Vec::new();
        json::write(&value, &mut out)?;
        Ok(out)
    }
}

// By hand, since it must have no schema: `Result<T, E>` and plain results are told apart by who has one.
impl Payload for Infallible {
    const HASH: u128 = Hasher::new("never").finish();

    fn encode(&self, _: Codec, _: &mut Vec<u8>) -> Result<(), EncodeError> {
        match *self {}
    }

    fn decode(codec: Codec, _: &[u8]) -> Result<Self, DecodePayloadError> {
        const REASON: &str = "the method declares no error of its own, so it can't have sent one";
        Err(match codec {
            Codec::Rkyv => DecodePayloadError::Archive(REASON.into()),
            Codec::Json => DecodePayloadError::Json(serde::de::Error::custom(REASON)),
        })
    }

    fn recode(_: &[u8]) -> Result<Vec<u8>, EncodeError> {
        let never = Self::decode(Codec::Rkyv, &[]);
        Err(never.map_or_else(|error| EncodeError::Recode(Box::new(error)), |never| match never {}))
    }
}
