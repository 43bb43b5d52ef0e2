use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

use rkyv::bytecheck::CheckBytes;
use rkyv::{Archive, Deserialize, Portable, Serialize};
use yoke::Yoke;

use super::{Aligned, Buffer, Codec, DecodePayloadError, Payload, archive};
use crate::schema::Schema;

/// A payload that can be read in place; every message can.
pub trait ViewPayload: Payload {
    /// What is read: for a struct `Frame` with `#[message]` it is `ArchivedFrame`.
    type Archived: Send + Sync + 'static;

    #[doc(hidden)]
    fn access(bytes: &[u8]) -> Result<&Self::Archived, DecodePayloadError>;
    #[doc(hidden)]
    fn archive(&self) -> Result<Aligned, DecodePayloadError>;
    #[doc(hidden)]
    fn from_archived(archived: &Self::Archived) -> Result<Self, DecodePayloadError>;
}

#[diagnostic::do_not_recommend]
impl<T> ViewPayload for T
where
    T: Payload + Schema,
    T: Archive + for<'a> Serialize<archive::Serializer<'a>>,
    T::Archived: Portable + Deserialize<T, archive::Deserializer> + for<'a> CheckBytes<archive::Checker<'a>>,
    T::Archived: Send + Sync + 'static,
{
    type Archived = <T as Archive>::Archived;

    fn access(bytes: &[u8]) -> Result<&Self::Archived, DecodePayloadError> {
        let archived = archive::access(bytes).map_err(DecodePayloadError::archive)?;
        if T::FORM.checked {
            // Validation knows the archive's form; what a type checks of itself only its conversion knows.
            Self::from_archived(archived)?;
        }
        Ok(archived)
    }

    fn archive(&self) -> Result<Aligned, DecodePayloadError> {
        archive::to_aligned(self).map_err(DecodePayloadError::archive)
    }

    fn from_archived(archived: &Self::Archived) -> Result<Self, DecodePayloadError> {
        archive::deserialize(archived).map_err(DecodePayloadError::archive)
    }
}

/// A received value that is read where it lies, together with the buffer that holds it.
///
/// It dereferences to the archive (`ArchivedFrame` for a struct `Frame`), which was validated once, when the view
/// was made. Clones and projections share the buffer. A large payload that came as an archive is not copied; a small
/// one is copied once, so that it does not keep its neighbours in memory; one that came as JSON costs one decode and
/// one archive. Where a type inside checks what it is made of (`#[message(try_from = ..)]`, or a field marked
/// `#[message(recursive)]`, behind which there may be one), the whole value is made and dropped once to run the check.
///
/// Numbers in an archive are little-endian on every machine and have types that say so, such as `f32_le` for an `f32`;
/// their `to_native()` gives the number.
///
/// # Examples
///
/// A handler whose argument is `samples: View<Vec<f32>>` gets the view made; here it is made by hand.
///
/// ```
/// use bowline_protocol::codec::{Codec, Payload, View};
///
/// fn loudest(samples: View<Vec<f32>>) -> f32 {
///     samples.iter().map(|sample| sample.to_native()).fold(0.0, f32::max)
/// }
///
/// let mut bytes = Vec::new();
/// vec![0.25_f32, 0.75, 0.5].encode(Codec::Rkyv, &mut bytes)?;
/// let samples = View::<Vec<f32>>::decode(Codec::Rkyv, bytes::Bytes::from(bytes).into())?;
/// assert_eq!(loudest(samples), 0.75);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct View<T: ViewPayload>(Yoke<&'static <T as ViewPayload>::Archived, Arc<Aligned>>);

impl<T: ViewPayload> View<T> {
    /// Validates `buffer` and keeps it.
    ///
    /// # Errors
    ///
    /// [`DecodePayloadError`] when the bytes are not a value of this type.
    pub fn decode(codec: Codec, buffer: Buffer) -> Result<Self, DecodePayloadError> {
        let aligned = match codec {
            Codec::Rkyv => buffer.into_aligned(),
            Codec::Json => Arc::new(T::decode(codec, &buffer)?.archive()?),
        };
        Yoke::try_attach_to_cart(aligned, |bytes: &Aligned| T::access(bytes)).map(Self)
    }

    /// Narrows the view to a part of the value, which shares the buffer.
    pub fn project<U: ViewPayload>(
        &self,
        part: for<'a> fn(&'a <T as ViewPayload>::Archived) -> &'a <U as ViewPayload>::Archived,
    ) -> View<U> {
        View(self.0.map_project_cloned_with_explicit_capture(part, |archived, part, _| part(archived)))
    }

    /// Makes an owned value of the archive.
    ///
    /// # Errors
    ///
    /// [`DecodePayloadError`] when a conversion that the type asks for refuses the value.
    pub fn to_owned(&self) -> Result<T, DecodePayloadError> {
        T::from_archived(self)
    }
}

impl<T: ViewPayload> Deref for View<T> {
    type Target = <T as ViewPayload>::Archived;

    fn deref(&self) -> &Self::Target {
        self.0.get()
    }
}

impl<T: ViewPayload> Clone for View<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<T: ViewPayload> fmt::Debug for View<T>
where
    <T as ViewPayload>::Archived: fmt::Debug,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("View").field(&**self).finish()
    }
}
