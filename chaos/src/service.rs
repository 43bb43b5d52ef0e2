//! What both ends know: the service, its messages, and how patient they are.

use std::time::Duration;

use bowline::Timing;
use bowline::prelude::*;

/// One numbered item of a stream.
#[bowline::message]
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Item {
    /// Which run of the stream it belongs to.
    pub(crate) run: u64,
    /// Counts up from 0.
    pub(crate) number: u64,
    /// See [`filling`].
    pub(crate) filling: String,
}

impl Item {
    pub(crate) fn new(run: u64, number: u64) -> Self {
        Self { run, number, filling: filling(number) }
    }

    /// Whether it holds what it was sent with.
    pub(crate) fn is_whole(&self) -> bool {
        self.filling == filling(self.number)
    }
}

/// What a swarm does to a server.
#[bowline::rpc]
pub(crate) trait Chaos {
    /// Writes down that it ran and answers with `number`.
    async fn call(&self, cx: &Context, number: u64, filling: String) -> u64;

    /// Takes effect by a record in the server's journal, and answers with `number`.
    #[rpc(once)]
    async fn effect(&self, cx: &Context, number: u64) -> u64;

    /// `count` items, one every `pace` microseconds, under a run of their own.
    fn numbers(&self, cx: &Context, count: u64, pace: u64) -> impl Stream<Item = Item>;

    /// The items of one log behind `after` and below `count`.
    #[rpc(resume = "after: number")]
    fn log(&self, cx: &Context, after: Option<u64>, count: u64, pace: u64) -> impl Stream<Item = Item>;

    /// Writes down each item and answers with how many there were.
    async fn collect(&self, cx: &Context, upload: u64, items: Streaming<Item>) -> u64;

    /// Which life of the server this is.
    #[rpc(idempotent)]
    async fn life(&self) -> u64;
}

/// Who a client says it is, in the address it connects to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Who(pub(crate) u32);

/// Whether a message with this number travels in chunks, between others. Its place among them is that of its last chunk.
pub(crate) fn is_large(number: u64) -> bool {
    number % 256 == 200
}

/// What a message with this number carries: seldom 100 KB, else of all lengths up to 120 bytes.
pub(crate) fn filling(number: u64) -> String {
    let length = if is_large(number) { 100_000 } else { number % 120 * 37 % 120 };
    let letter = char::from(b'a' + (number % 26) as u8);
    std::iter::repeat_n(letter, length as usize).collect()
}

/// Heartbeats that find a dead link in seconds rather than the best part of a minute, so that a run is short. Everything else is
/// as it is for everybody.
pub(crate) fn timing() -> Timing {
    Timing {
        ping: Duration::from_secs(3),
        pong: Duration::from_secs(3),
        silence: Duration::from_secs(4),
        unanswered: Duration::from_secs(2),
        ..Timing::default()
    }
}
