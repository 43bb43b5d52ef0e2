//! What `#[rpc]` and `#[message]` expand to. No promise stands behind any of it: applications name none of these.

pub use std::sync::Arc;

pub use bowline_protocol::codec::with;
pub use bowline_protocol::schema::{
    FORMAT_HASH, Form, Hasher, Itself, Lag, MethodDescriptor, MethodKind, Retry, Schema, ServiceDescriptor,
};
pub use bowline_rpc::macros::*;
pub use bowline_runtime::{MaybeSend, MaybeSync};
pub use futures_core::Stream;
pub use {rkyv, serde};

pub use crate::__leptos_items as leptos_items;

/// What rkyv's derives expect to be in scope.
pub mod sized {
    pub use std::marker::Sized;
}

/// What a call that returns `R` ends with.
pub type OkOf<R> = <R as Output>::Ok;
/// The error of a method that returns `R`.
pub type ErrOf<R> = <R as Output>::Err;
/// What a stream that is declared as `O` carries.
pub type ItemOf<O> = <O as StreamOutput>::Item;
/// What a stream that is declared as `O` can end with, or be refused with.
pub type StreamErrOf<O> = <O as StreamOutput>::Err;

/// The hash of a method that takes `A` and returns `R`.
#[must_use]
pub const fn hash_of_value<A: Payload, R: Output>(kind: &str) -> Hasher {
    hash_of::<A, R::Ok, R::Err>(kind)
}

/// The hash of a method that takes `A` and answers with the stream `O`.
#[must_use]
pub const fn hash_of_stream<A: Payload, O: StreamOutput>(kind: &str) -> Hasher {
    hash_of::<A, O::Item, O::Err>(kind)
}

const fn hash_of<A: Payload, T: Payload, E: Payload>(kind: &str) -> Hasher {
    Hasher::new(kind).hash(FORMAT_HASH).hash(A::HASH).hash(T::HASH).hash(E::HASH)
}

/// Lets through what only a page with Leptos can use: whether that is so is this crate's feature, not the macro's.
#[cfg(feature = "leptos")]
#[doc(hidden)]
#[macro_export]
macro_rules! __leptos_items {
    ($($item:tt)*) => { $($item)* };
}

/// Leaves out what only a page with Leptos can use.
#[cfg(not(feature = "leptos"))]
#[doc(hidden)]
#[macro_export]
macro_rules! __leptos_items {
    ($($item:tt)*) => {};
}
