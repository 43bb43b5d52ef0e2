//! A serializer around JSON's that refuses what JSON would write as something else.

use std::cell::Cell;

use serde::ser::{self, Serialize, Serializer};

use super::MAX_DEPTH;

/// Why [`Strict`] refused a value.
#[derive(Debug, Clone, Copy)]
pub(super) enum Fault {
    /// A number that is not finite, which would become `null`.
    NotFinite,
    /// The reader would stop there.
    TooDeep,
}

/// What is known about the value being written.
#[derive(Debug, Default)]
pub(super) struct Watch {
    depth: Cell<usize>,
    fault: Cell<Option<Fault>>,
}

impl Watch {
    /// Why the value was refused, if this serializer refused it.
    pub(super) fn fault(&self) -> Option<Fault> {
        self.fault.get()
    }

    fn enter<E: ser::Error>(&self, levels: usize) -> Result<(), E> {
        self.depth.set(self.depth.get() + levels);
        if self.depth.get() > MAX_DEPTH { Err(self.refuse(Fault::TooDeep)) } else { Ok(()) }
    }

    fn leave(&self, levels: usize) {
        self.depth.set(self.depth.get() - levels);
    }

    fn check<E: ser::Error>(&self, finite: bool) -> Result<(), E> {
        if finite { Ok(()) } else { Err(self.refuse(Fault::NotFinite)) }
    }

    fn refuse<E: ser::Error>(&self, fault: Fault) -> E {
        self.fault.set(Some(fault));
        E::custom("refused")
    }
}

/// Passes everything on to `inner`, and watches.
pub(super) struct Strict<'w, S> {
    inner: S,
    watch: &'w Watch,
}

impl<'w, S> Strict<'w, S> {
    pub(super) fn new(inner: S, watch: &'w Watch) -> Self {
        Self { inner, watch }
    }
}

/// A value inside of another, on its way to a [`Strict`].
struct Inside<'w, 'v, T: ?Sized> {
    value: &'v T,
    watch: &'w Watch,
}

impl<T: Serialize + ?Sized> Serialize for Inside<'_, '_, T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.value.serialize(Strict::new(serializer, self.watch))
    }
}

/// A list, object or variant that is being written.
pub(super) struct Compound<'w, C> {
    inner: C,
    watch: &'w Watch,
    levels: usize,
}

impl<'w, C> Compound<'w, C> {
    fn value<'v, T: ?Sized>(&self, value: &'v T) -> Inside<'w, 'v, T> {
        Inside { value, watch: self.watch }
    }
}

macro_rules! pass_on {
    ($($method:ident: $type:ty,)*) => {
        $(fn $method(self, value: $type) -> Result<S::Ok, S::Error> {
            self.inner.$method(value)
        })*
    };
}

macro_rules! open {
    ($($method:ident($($argument:ident: $type:ty),*) -> $compound:ident, $levels:literal;)*) => {
        $(fn $method(self, $($argument: $type),*) -> Result<Self::$compound, S::Error> {
            self.watch.enter($levels)?;
            Ok(Compound { inner: self.inner.$method($($argument),*)?, watch: self.watch, levels: $levels })
        })*
    };
}

impl<'w, S: Serializer> Serializer for Strict<'w, S> {
    type Ok = S::Ok;
    type Error = S::Error;
    type SerializeSeq = Compound<'w, S::SerializeSeq>;
    type SerializeTuple = Compound<'w, S::SerializeTuple>;
    type SerializeTupleStruct = Compound<'w, S::SerializeTupleStruct>;
    type SerializeTupleVariant = Compound<'w, S::SerializeTupleVariant>;
    type SerializeMap = Compound<'w, S::SerializeMap>;
    type SerializeStruct = Compound<'w, S::SerializeStruct>;
    type SerializeStructVariant = Compound<'w, S::SerializeStructVariant>;

    pass_on! {
        serialize_bool: bool,
        serialize_i8: i8, serialize_i16: i16, serialize_i32: i32, serialize_i64: i64, serialize_i128: i128,
        serialize_u8: u8, serialize_u16: u16, serialize_u32: u32, serialize_u64: u64, serialize_u128: u128,
        serialize_char: char, serialize_str: &str, serialize_bytes: &[u8], serialize_unit_struct: &'static str,
    }

    // An enum's content stands in an object of its own.
    open! {
        serialize_seq(len: Option<usize>) -> SerializeSeq, 1;
        serialize_tuple(len: usize) -> SerializeTuple, 1;
        serialize_tuple_struct(name: &'static str, len: usize) -> SerializeTupleStruct, 1;
        serialize_tuple_variant(name: &'static str, index: u32, variant: &'static str, len: usize)
            -> SerializeTupleVariant, 2;
        serialize_map(len: Option<usize>) -> SerializeMap, 1;
        serialize_struct(name: &'static str, len: usize) -> SerializeStruct, 1;
        serialize_struct_variant(name: &'static str, index: u32, variant: &'static str, len: usize)
            -> SerializeStructVariant, 2;
    }

    fn serialize_f32(self, value: f32) -> Result<S::Ok, S::Error> {
        self.watch.check(value.is_finite())?;
        self.inner.serialize_f32(value)
    }

    fn serialize_f64(self, value: f64) -> Result<S::Ok, S::Error> {
        self.watch.check(value.is_finite())?;
        self.inner.serialize_f64(value)
    }

    fn serialize_unit(self) -> Result<S::Ok, S::Error> {
        self.inner.serialize_unit()
    }

    fn serialize_none(self) -> Result<S::Ok, S::Error> {
        self.inner.serialize_none()
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<S::Ok, S::Error> {
        self.inner.serialize_some(&Inside { value, watch: self.watch })
    }

    fn serialize_unit_variant(
        self,
        name: &'static str,
        index: u32,
        variant: &'static str,
    ) -> Result<S::Ok, S::Error> {
        self.inner.serialize_unit_variant(name, index, variant)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        name: &'static str,
        value: &T,
    ) -> Result<S::Ok, S::Error> {
        self.inner.serialize_newtype_struct(name, &Inside { value, watch: self.watch })
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        name: &'static str,
        index: u32,
        variant: &'static str,
        value: &T,
    ) -> Result<S::Ok, S::Error> {
        self.watch.enter(1)?;
        let watch = self.watch;
        let done = self.inner.serialize_newtype_variant(name, index, variant, &Inside { value, watch })?;
        watch.leave(1);
        Ok(done)
    }

    fn collect_str<T: std::fmt::Display + ?Sized>(self, value: &T) -> Result<S::Ok, S::Error> {
        self.inner.collect_str(value)
    }

    fn is_human_readable(&self) -> bool {
        self.inner.is_human_readable()
    }
}

macro_rules! elements {
    ($($trait:ident::$method:ident,)*) => {
        $(impl<C: ser::$trait> ser::$trait for Compound<'_, C> {
            type Ok = C::Ok;
            type Error = C::Error;

            fn $method<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), C::Error> {
                let value = self.value(value);
                self.inner.$method(&value)
            }

            fn end(self) -> Result<C::Ok, C::Error> {
                self.watch.leave(self.levels);
                self.inner.end()
            }
        })*
    };
}

elements! {
    SerializeSeq::serialize_element,
    SerializeTuple::serialize_element,
    SerializeTupleStruct::serialize_field,
    SerializeTupleVariant::serialize_field,
}

macro_rules! fields {
    ($($trait:ident,)*) => {
        $(impl<C: ser::$trait> ser::$trait for Compound<'_, C> {
            type Ok = C::Ok;
            type Error = C::Error;

            fn serialize_field<T: Serialize + ?Sized>(
                &mut self,
                key: &'static str,
                value: &T,
            ) -> Result<(), C::Error> {
                let value = self.value(value);
                self.inner.serialize_field(key, &value)
            }

            fn skip_field(&mut self, key: &'static str) -> Result<(), C::Error> {
                self.inner.skip_field(key)
            }

            fn end(self) -> Result<C::Ok, C::Error> {
                self.watch.leave(self.levels);
                self.inner.end()
            }
        })*
    };
}

fields! { SerializeStruct, SerializeStructVariant, }

impl<C: ser::SerializeMap> ser::SerializeMap for Compound<'_, C> {
    type Ok = C::Ok;
    type Error = C::Error;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), C::Error> {
        let key = self.value(key);
        self.inner.serialize_key(&key)
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), C::Error> {
        let value = self.value(value);
        self.inner.serialize_value(&value)
    }

    fn end(self) -> Result<C::Ok, C::Error> {
        self.watch.leave(self.levels);
        self.inner.end()
    }
}
