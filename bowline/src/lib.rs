//! Type-safe WebSocket RPC for Rust, with reactive bindings for Leptos.

#[doc(hidden)]
pub mod __private;

pub use bowline_macros::rpc;
