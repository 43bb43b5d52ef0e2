use std::fmt;
use std::ops::Deref;

use rkyv::bytecheck::CheckBytes;
use rkyv::munge::munge;
use rkyv::rancor::{Fallible, Source};
use rkyv::{Archive, Deserialize, Place, Portable, Serialize};

use super::Refused;

/// A type that is made, and checked, from another: what `#[message(try_from = ..)]` implements.
pub trait Checked: Sized {
    /// What crosses the wire.
    type Wire: Archive;

    /// What is written for the value.
    fn to_wire(&self) -> Self::Wire;

    /// Checks what was read.
    ///
    /// # Errors
    ///
    /// What the type's own `TryFrom` says.
    fn from_wire(wire: Self::Wire) -> Result<Self, impl fmt::Display>;
}

/// A wire value that was written, and where its parts are: both are needed to write the archive's root.
type Written<T> = (<T as Checked>::Wire, <<T as Checked>::Wire as Archive>::Resolver);

/// The archive of a [`Checked`] type: that of what crosses the wire in its place.
#[derive(Portable, CheckBytes)]
#[bytecheck(crate = rkyv::bytecheck)]
#[rkyv(crate = rkyv)]
#[repr(transparent)]
pub struct ArchivedChecked<T: Checked> {
    wire: <T::Wire as Archive>::Archived,
}

impl<T: Checked> ArchivedChecked<T> {
    /// Archives `value`; the wire value has to live until it is resolved.
    ///
    /// # Errors
    ///
    /// The serializer's own.
    pub fn serialize<S>(value: &T, serializer: &mut S) -> Result<Written<T>, S::Error>
    where
        T::Wire: Serialize<S>,
        S: Fallible + ?Sized,
    {
        let wire = value.to_wire();
        let resolver = wire.serialize(serializer)?;
        Ok((wire, resolver))
    }

    /// Writes the archive where it belongs.
    pub fn resolve((wire, resolver): Written<T>, out: Place<Self>) {
        munge!(let ArchivedChecked { wire: place } = out);
        wire.resolve(resolver, place);
    }
}

impl<T: Checked> Deref for ArchivedChecked<T> {
    type Target = <T::Wire as Archive>::Archived;

    fn deref(&self) -> &Self::Target {
        &self.wire
    }
}

impl<T: Checked> fmt::Debug for ArchivedChecked<T>
where
    <T::Wire as Archive>::Archived: fmt::Debug,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.wire.fmt(f)
    }
}

impl<T, D> Deserialize<T, D> for ArchivedChecked<T>
where
    T: Checked,
    <T::Wire as Archive>::Archived: Deserialize<T::Wire, D>,
    D: Fallible + ?Sized,
    D::Error: Source,
{
    fn deserialize(&self, deserializer: &mut D) -> Result<T, D::Error> {
        let wire = self.wire.deserialize(deserializer)?;
        T::from_wire(wire).map_err(|reason| D::Error::new(Refused::new(&reason)))
    }
}
