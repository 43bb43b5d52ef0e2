//! Bowline in a browser beside sockets that people would write: the same work, in one page, in turn.
//!
//! The page (`page`) does what it is told and checks every answer; the host (`server`, `drive`) serves it and the three back ends,
//! drives a real Chromium, counts at its own sockets, and makes the table. `README.md` in this folder says what each number means.

pub mod wire;

#[cfg(not(target_arch = "wasm32"))]
pub mod drive;
#[cfg(target_arch = "wasm32")]
pub mod page;
#[cfg(not(target_arch = "wasm32"))]
pub mod report;
#[cfg(not(target_arch = "wasm32"))]
pub mod server;
#[cfg(target_arch = "wasm32")]
pub mod small;

use bowline::prelude::*;
pub use wire::Tick;

/// Items that are published and not measured, while everything that is made once is made.
pub const WARM_UP: u64 = 20;

/// What the host does for the page, as Bowline has it.
#[bowline::rpc]
pub trait Bench {
    /// The text again.
    async fn echo(&self, text: String) -> String;

    /// Counts from 0 up to, and without, `limit`.
    fn count(&self, limit: u64) -> impl Stream<Item = u64>;

    /// Everything that is published, from now on.
    fn ticks(&self) -> impl Stream<Item = Tick>;

    /// What was published last.
    #[rpc(watch)]
    fn newest(&self) -> impl Stream<Item = Tick>;
}
