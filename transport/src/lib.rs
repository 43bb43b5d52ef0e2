//! Whole messages over native sockets, the browser's WebSocket, and memory with faults.
//!
//! A [`Link`] carries whole messages between two ends until it is closed or lost; a [`Connect`] makes links. There
//! are three kinds, and one suite of tests that all of them pass:
//!
//! | Module | Link | Connector | Where |
//! |---|---|---|---|
//! | `native` | `SocketLink`, RFC 6455 over any tokio stream | `NativeConnector`: `ws://` and `wss://` | native targets |
//! | `web` | `WebLink`, the page's WebSocket | `WebConnector` | wasm in a browser |
//! | [`memory`] | [`memory::MemoryLink`] | [`memory::MemoryConnector`] | everywhere, with faults on demand |
//!
//! [`drive`] is the loop that joins a link to one end of a session, the same for servers and clients.
//! [`Backoff`] says how long to wait before the next attempt to connect, [`Endpoints`] where to make it, and
//! [`SleepWatch`] and [`PlatformWakeSignals`] when not to wait for it.
//!
//! What this crate never knows: methods and services. Applications use the `bowline` crate, which re-exports what
//! they need.

mod backoff;
mod connect;
mod drive;
mod endpoints;
mod link;
pub mod memory;
mod wake;

#[cfg(not(target_arch = "wasm32"))]
pub mod native;
#[cfg(target_arch = "wasm32")]
pub mod web;

pub use backoff::Backoff;
pub use bowline_protocol::session::Arriving;
pub use connect::{Connect, ConnectError, PlatformConnector};
pub use drive::{Ended, EndedBy, Left, close, drive, drive_until, greet};
pub use endpoints::{EndpointId, Endpoints};
pub use link::{BoxLink, CloseFrame, Link, LinkError, Received};
pub use wake::{PlatformWakeSignals, SleepWatch};
