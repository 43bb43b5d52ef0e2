//! The sans-IO core of Bowline: what crosses the wire and when, without sockets, clocks or tasks.
//!
//! Messages, commands and instants go in; messages, events and the next deadline come out. Native server,
//! native client, browser client, simulations and fuzzers all drive the same code. Applications use the
//! `bowline` crate, which re-exports what they need.

pub mod codec;
pub mod envelope;
pub mod limits;
pub mod once;
pub mod registry;
pub mod schema;
pub mod session;
mod spare;
pub mod status;

/// The one instant type: `std`'s on native targets, the browser's clock in wasm.
pub use web_time::Instant;
