//! A page and its server for tests of sessions in a real browser.
//!
//! The page ([`page`]) calls and listens without a pause and keeps all that it saw where a test can read it. The server (`server`)
//! writes down what reached its handlers. Neither knows what the other end has.

use bowline::prelude::*;

#[cfg(target_arch = "wasm32")]
pub mod page;
#[cfg(not(target_arch = "wasm32"))]
pub mod server;

/// One item of a stream.
#[bowline::message]
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Item {
    /// Which run of the stream it belongs to; no two have the same.
    pub run: u64,
    /// Counts up from 0.
    pub number: u64,
}

/// What the page does to the server.
#[bowline::rpc]
pub trait Trial {
    /// Writes down that it ran; answers with `number`.
    async fn call(&self, page: u64, number: u64) -> u64;

    /// Writes down that it ran; answers with how many times it has, for all numbers, in this life of the server.
    #[rpc(once)]
    async fn effect(&self, page: u64, number: u64) -> u64;

    /// Items without an end, from 0 in each run.
    fn numbers(&self) -> impl Stream<Item = Item>;

    /// The same with a cursor.
    #[rpc(resume = "after: number")]
    fn log(&self, after: Option<u64>) -> impl Stream<Item = Item>;

    /// Which life of the server this is.
    #[rpc(watch)]
    fn life(&self) -> impl Stream<Item = u64>;
}
