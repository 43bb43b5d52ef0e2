//! Schemas of types that are not ours.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet, VecDeque};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};
use std::num::{
    NonZeroI8, NonZeroI16, NonZeroI32, NonZeroI64, NonZeroI128, NonZeroU8, NonZeroU16, NonZeroU32,
    NonZeroU64, NonZeroU128,
};
use std::time::Duration;

use super::{Form, Hasher, Schema};

macro_rules! leaves {
    ($($type:ty: $name:literal, $form:ident;)*) => {
        $(impl Schema for $type {
            const HASH: u128 = Hasher::new($name).finish();
            const FORM: Form = Form::$form;
        })*
    };
}

// `usize` and `isize` are missing on purpose: rkyv cuts them to 32 bits.
leaves! {
    bool: "bool", KEY;
    u8: "u8", KEY; u16: "u16", KEY; u32: "u32", KEY; u64: "u64", KEY; u128: "u128", KEY;
    i8: "i8", KEY; i16: "i16", KEY; i32: "i32", KEY; i64: "i64", KEY; i128: "i128", KEY;
    NonZeroU8: "nonzero u8", KEY; NonZeroU16: "nonzero u16", KEY; NonZeroU32: "nonzero u32", KEY;
    NonZeroU64: "nonzero u64", KEY; NonZeroU128: "nonzero u128", KEY;
    NonZeroI8: "nonzero i8", KEY; NonZeroI16: "nonzero i16", KEY; NonZeroI32: "nonzero i32", KEY;
    NonZeroI64: "nonzero i64", KEY; NonZeroI128: "nonzero i128", KEY;
    f32: "f32", PLAIN; f64: "f64", PLAIN;
    char: "char", KEY;
    String: "string", KEY;
    Box<str>: "boxed string", KEY;
    (): "unit", UNIT;
    Duration: "duration", PLAIN;
    Ipv4Addr: "ipv4", KEY; Ipv6Addr: "ipv6", KEY; IpAddr: "ip", KEY;
    SocketAddrV4: "socket v4", KEY; SocketAddrV6: "socket v6", KEY; SocketAddr: "socket", KEY;
}

#[cfg(feature = "uuid")]
leaves! {
    uuid::Uuid: "uuid", KEY;
}

/// One expression for each of the three hashes of a schema, and what the first of them asserts before.
///
/// Once is enough: the compiler shows a failure for each const that fails.
macro_rules! hashes {
    ($hash:ident => $value:expr $(, $assertion:expr)?) => {
        const HASH: u128 = {
            macro_rules! $hash {
                ($type:ty) => {
                    <$type as Schema>::HASH
                };
            }
            $($assertion;)?
            $value
        };
        const PAST_ONE: u128 = {
            macro_rules! $hash {
                ($type:ty) => {
                    <$type as Schema>::PAST_ONE
                };
            }
            $value
        };
        const PAST_TWO: u128 = {
            macro_rules! $hash {
                ($type:ty) => {
                    <$type as Schema>::PAST_TWO
                };
            }
            $value
        };
    };
}

macro_rules! lists {
    ($($type:ident<$item:ident $(, $state:ident)?>: $name:literal;)*) => {
        $(impl<$item: Schema $(, $state)?> Schema for $type<$item $(, $state)?> {
            hashes!(hash => Hasher::new($name).hash(hash!($item)).finish(), $item::FORM.assert_list());
            const FORM: Form = $item::FORM.inside();
        })*
    };
}

lists! {
    Vec<T>: "list";
    VecDeque<T>: "deque";
    BTreeSet<T>: "ordered set";
    HashSet<T, S>: "set";
}

impl<T: Schema> Schema for Box<[T]> {
    hashes!(hash => Hasher::new("boxed list").hash(hash!(T)).finish(), T::FORM.assert_list());
    const FORM: Form = T::FORM.inside();
}

impl<T: Schema> Schema for Option<T> {
    hashes!(hash => Hasher::new("option").hash(hash!(T)).finish(), T::FORM.assert_optional());
    const FORM: Form = T::FORM.optional();
}

impl<T: Schema> Schema for Box<T> {
    hashes!(hash => Hasher::new("box").hash(hash!(T)).finish());
    const FORM: Form = Form { empty: false, ..T::FORM };
}

macro_rules! maps {
    ($($type:ident<K, V $(, $state:ident)?>: $name:literal;)*) => {
        $(impl<K: Schema, V: Schema $(, $state)?> Schema for $type<K, V $(, $state)?> {
            hashes!(hash => Hasher::new($name).hash(hash!(K)).hash(hash!(V)).finish(), K::FORM.assert_key());
            const FORM: Form = K::FORM.and(V::FORM).inside();
        })*
    };
}

maps! {
    HashMap<K, V, S>: "map";
    BTreeMap<K, V>: "ordered map";
}

// serde knows arrays by their length, one by one.
macro_rules! arrays {
    ($($len:literal)*) => {
        $(impl<T: Schema> Schema for [T; $len] {
            hashes!(hash => Hasher::new("array").number($len).hash(hash!(T)).finish());
            const FORM: Form = Form { empty: $len == 0 || T::FORM.empty, ..T::FORM.inside() };
        })*
    };
}

arrays! { 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29 30 31 32 }

macro_rules! tuples {
    ($(($($type:ident)+))*) => {
        $(impl<$($type: Schema),+> Schema for ($($type,)+) {
            hashes!(hash => Hasher::new("tuple")$(.hash(hash!($type)))+.finish());
            const FORM: Form = Form::PRODUCT$(.and($type::FORM))+;
        })*
    };
}

tuples! {
    (A)
    (A B)
    (A B C)
    (A B C D)
    (A B C D E)
    (A B C D E F)
    (A B C D E F G)
    (A B C D E F G H)
    (A B C D E F G H I)
    (A B C D E F G H I J)
    (A B C D E F G H I J K)
    (A B C D E F G H I J K L)
}
