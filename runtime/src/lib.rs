//! Sleep, timeout, spawn and the clock for native targets and the browser.
//!
//! The one crate of Bowline with two backends: tokio on native targets, the browser's timers and microtasks in
//! wasm. Everything above it is written once. On native targets [`sleep`], [`timeout`] and [`spawn`] need a
//! running tokio runtime, and all of them follow tokio's paused clock in tests.
//!
//! [`MaybeSend`] and [`MaybeSync`] are `Send` and `Sync` on native targets and ask for nothing in a browser, where
//! handlers touch the page. [`Confined`] carries such a value inside something that must be `Send` everywhere.
//!
//! Two things serve sessions that are many and share a processor: [`Rope`] and [`Bell`] spare a task the look at what did
//! not call, and [`Lines`] are memory that is prefetched before it is needed.

mod bell;
mod clock;
mod confined;
mod lines;
mod moment;
mod random;
mod send;
mod task;
mod timer;

pub use bell::{Bell, Rope};
pub use clock::{Instant, now, wall_clock};
pub use confined::Confined;
pub use lines::Lines;
pub use moment::Moment;
pub use random::{random_bytes, random_u128};
pub use send::{BoxFuture, BoxStream, MaybeSend, MaybeSync};
pub use task::{Task, has_budget, spawn, wake_last};
pub use timer::{Elapsed, Sleep, sleep, sleep_until, timeout};
