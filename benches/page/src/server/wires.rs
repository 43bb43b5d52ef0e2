//! What each WebSocket carried.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use axum::extract::{ConnectInfo, Request, State};
use axum::middleware::Next;
use axum::response::Response;

use super::frames::Frames;
use super::listener::Over;

/// Seen from the page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// From the page.
    Up,
    /// To the page.
    Down,
}

/// The bytes and messages of one socket, behind the heads of its upgrade.
#[derive(Debug, Default)]
pub struct Traffic {
    up: Mutex<Frames>,
    down: Mutex<Frames>,
}

impl Traffic {
    fn frames(&self, direction: Direction) -> std::sync::MutexGuard<'_, Frames> {
        let frames = match direction {
            Direction::Up => &self.up,
            Direction::Down => &self.down,
        };
        frames.lock().expect("no panic under the lock")
    }

    pub(super) fn carry(&self, direction: Direction, bytes: &[u8]) {
        self.frames(direction).feed(bytes);
    }

    /// Bytes and messages so far.
    pub fn so_far(&self, direction: Direction) -> (u64, u64) {
        let frames = self.frames(direction);
        (frames.bytes, frames.messages)
    }
}

/// By path, the newest socket.
#[derive(Debug, Clone, Default)]
pub(super) struct Wires(Arc<Mutex<HashMap<String, Arc<Traffic>>>>);

impl Wires {
    pub(super) fn of(&self, path: &str) -> Option<Arc<Traffic>> {
        self.0.lock().expect("no panic under the lock").get(path).cloned()
    }
}

/// Notes which socket an upgrade came over.
pub(super) async fn remember(
    State(wires): State<Wires>,
    ConnectInfo(Over(traffic)): ConnectInfo<Over>,
    request: Request,
    next: Next,
) -> Response {
    let path = request.uri().path().to_owned();
    wires.0.lock().expect("no panic under the lock").insert(path, traffic);
    next.run(request).await
}
