//! Bowline, as its guide says.

use crate::BenchClient;

pub(super) fn connect() -> BenchClient {
    bowline::leptos::use_websocket("/ws/bowline").client()
}
