//! Types that cross the wire as another type: foreign ones, and those that check what they are made of.

mod checked;
#[cfg(any(feature = "chrono", feature = "json"))]
mod foreign;

use std::error::Error;
use std::fmt;
use std::marker::PhantomData;

use rkyv::rancor::{Fallible, Source};
use rkyv::with::{ArchiveWith, DeserializeWith, SerializeWith};
use rkyv::{Archive, Deserialize, Place, Serialize};

pub use checked::{ArchivedChecked, Checked};
#[cfg(feature = "json")]
pub use foreign::JsonText;
#[cfg(feature = "chrono")]
pub use foreign::{Date, DateTime, Time, UtcTime};

/// How a field of type `T` crosses the wire as a [`Wire`](With::Wire), in both codecs.
///
/// Implement it on a type of your own and name that on the field:
/// `#[message(with = Celsius, schema = "celsius/1")]`. Raise the number in `schema` whenever the meaning of the wire
/// value changes: ends with different numbers never read each other's archives of this message. A
/// [`View`](super::View) shows the wire value as it came; `from_wire` has not run on it.
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not say how `{T}` crosses the wire",
    label = "implement `With<{T}>` for it"
)]
pub trait With<T> {
    /// What crosses the wire; a type that can do so by itself.
    type Wire;
    /// Why a wire value is not a `T`.
    type Error: fmt::Display;

    /// What is written for `value`.
    fn to_wire(value: &T) -> Self::Wire;

    /// What was read.
    ///
    /// # Errors
    ///
    /// Whatever `wire` lacks to be a `T`; the payload is then refused.
    fn from_wire(wire: Self::Wire) -> Result<T, Self::Error>;
}

/// The wrapper that makes a [`With`] rkyv's.
#[derive(Debug)]
pub struct Via<W>(PhantomData<W>);

impl<T, W> ArchiveWith<T> for Via<W>
where
    W: With<T>,
    W::Wire: Archive,
{
    type Archived = <W::Wire as Archive>::Archived;
    type Resolver = (W::Wire, <W::Wire as Archive>::Resolver);

    fn resolve_with(_: &T, (wire, resolver): Self::Resolver, out: Place<Self::Archived>) {
        wire.resolve(resolver, out);
    }
}

impl<T, W, S> SerializeWith<T, S> for Via<W>
where
    W: With<T>,
    W::Wire: Serialize<S>,
    S: Fallible + ?Sized,
{
    fn serialize_with(field: &T, serializer: &mut S) -> Result<Self::Resolver, S::Error> {
        let wire = W::to_wire(field);
        let resolver = wire.serialize(serializer)?;
        Ok((wire, resolver))
    }
}

impl<T, W, D> DeserializeWith<<W::Wire as Archive>::Archived, T, D> for Via<W>
where
    W: With<T>,
    W::Wire: Archive,
    <W::Wire as Archive>::Archived: Deserialize<W::Wire, D>,
    D: Fallible + ?Sized,
    D::Error: Source,
{
    fn deserialize_with(
        archived: &<W::Wire as Archive>::Archived,
        deserializer: &mut D,
    ) -> Result<T, D::Error> {
        let wire = archived.deserialize(deserializer)?;
        W::from_wire(wire).map_err(|reason| D::Error::new(Refused::new(&reason)))
    }
}

/// Serde's side of a [`With`]: what `serialize_with` names.
///
/// # Errors
///
/// The serializer's own.
pub fn serialize<W, T, S>(value: &T, serializer: S) -> Result<S::Ok, S::Error>
where
    W: With<T>,
    W::Wire: serde::Serialize,
    S: serde::Serializer,
{
    serde::Serialize::serialize(&W::to_wire(value), serializer)
}

/// Serde's side of a [`With`]: what `deserialize_with` names.
///
/// # Errors
///
/// The deserializer's own, and what [`With::from_wire`] refuses.
pub fn deserialize<'de, W, T, D>(deserializer: D) -> Result<T, D::Error>
where
    W: With<T>,
    W::Wire: serde::Deserialize<'de>,
    D: serde::Deserializer<'de>,
{
    let wire = <W::Wire as serde::Deserialize>::deserialize(deserializer)?;
    W::from_wire(wire).map_err(serde::de::Error::custom)
}

/// A value that a conversion did not accept, in the words of that conversion.
#[derive(Debug)]
struct Refused(String);

impl Refused {
    fn new(reason: &impl fmt::Display) -> Self {
        Self(reason.to_string())
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Error for Refused {}
