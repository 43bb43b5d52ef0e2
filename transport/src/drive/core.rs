use std::task::Context;

use bowline_protocol::session::Arriving;
use bowline_protocol::status::CloseCode;
use bowline_rpc::{Peer, Rest, Transmit};
use bowline_runtime::Lines;
use bytes::Bytes;

/// What the loop needs of one end of a session. A trait, so that the loop is tested against scripted ends.
pub(super) trait Core {
    fn handle_connected(&self);
    /// What each turn of the loop asks for that is not the session's.
    fn foresee(&self, parts: [Lines; 3]);
    /// The loop runs: nothing needs to wake it before it parks.
    fn attend(&self);
    fn handle_disconnect(&self, code: Option<CloseCode>);
    fn handle_message(&self, message: Bytes);
    fn handle_received(&self, arriving: Arriving);
    fn handle_text(&self);
    fn handle_timeout(&self);
    fn handle_blocked(&self);
    fn handle_progress(&self);
    /// The next message, unless tasks that are ready should run before; `heard` if messages were handled, `None` if those tasks
    /// have run.
    fn transmit(&self, cx: &mut Context<'_>, heard: Option<bool>) -> Transmit;
    /// What `transmit` says with its last message, where it did not come to that or the session was told something since.
    fn rest(&self) -> Rest;
    /// Asks to be woken by commands, without taking anything out.
    fn park(&self, cx: &mut Context<'_>);
}

impl Core for Peer {
    fn handle_connected(&self) {
        Self::handle_connected(self);
    }

    fn foresee(&self, parts: [Lines; 3]) {
        Self::foresee(self, parts);
    }

    fn attend(&self) {
        Self::attend(self);
    }

    fn handle_disconnect(&self, code: Option<CloseCode>) {
        Self::handle_disconnect(self, code);
    }

    fn handle_message(&self, message: Bytes) {
        Self::handle_message(self, message);
    }

    fn handle_received(&self, arriving: Arriving) {
        Self::handle_received(self, arriving);
    }

    fn handle_text(&self) {
        Self::handle_text(self);
    }

    fn handle_timeout(&self) {
        Self::handle_timeout(self);
    }

    fn handle_blocked(&self) {
        Self::handle_blocked(self);
    }

    fn handle_progress(&self) {
        Self::handle_progress(self);
    }

    fn transmit(&self, cx: &mut Context<'_>, heard: Option<bool>) -> Transmit {
        Self::transmit(self, cx, heard)
    }

    fn rest(&self) -> Rest {
        Self::rest(self)
    }

    fn park(&self, cx: &mut Context<'_>) {
        Self::register(self, cx);
    }
}
