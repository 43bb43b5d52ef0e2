//! Two peers back to back in memory, and services written by hand.
#![allow(unreachable_pub, reason = "a test binary has no outside")]

pub mod bank;
pub mod log;
pub mod node;
pub mod service;
pub mod wire;

use std::time::Duration;

use bowline_protocol::schema::{Lag, MethodDescriptor, MethodKind, Retry};
use bowline_protocol::session::Held;
use bowline_rpc::Peer;

pub use service::{Handlers, Stub};
pub use wire::{Ends, Stack};

/// A unary method that is made again as `retry` says.
pub const fn unary(name: &'static str, retry: Retry) -> MethodDescriptor {
    MethodDescriptor { name, kind: MethodKind::Unary, retry, hash: 1, deadline: None, lag: Lag::Close }
}

/// Lets everything that can happen without the clock happen, and a moment pass.
pub async fn settle() {
    tokio::time::sleep(Duration::from_millis(1)).await;
}

/// Asserts that nothing is left of any call at `peer`.
#[track_caller]
pub fn assert_empty(peer: &Peer) {
    let stats = peer.stats();
    // What was written last may still wait for its acknowledgement.
    let held = Held { unacknowledged: 0, unacknowledged_bytes: 0, ..stats.session.held };
    assert_eq!(held, Held::default());
    assert_eq!((stats.slots, stats.waiting), (0, 0));
}
