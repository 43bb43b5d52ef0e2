//! Two peers back to back in memory, and a service written by hand.
#![allow(unreachable_pub, reason = "a test binary has no outside")]

pub mod log;
pub mod service;
pub mod wire;

use std::time::Duration;

use bowline_protocol::session::Held;
use bowline_rpc::Peer;

pub use service::{Handlers, Stub};
pub use wire::Ends;

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
