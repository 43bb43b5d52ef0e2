use std::task::{Context, Poll};

use bowline_protocol::envelope::{Hello, Outcome, Refusal};
use bowline_protocol::session::{Failure, SessionIds};
use bowline_protocol::status::CloseCode;
use bowline_runtime::{Instant, random_bytes, random_u128};
use bytes::Bytes;

use super::Peer;
use super::state::Mailbox;

/// What a driver calls.
impl Peer {
    /// A link is there. A client's session says hello on it; a server's waits for one.
    pub fn handle_connected(&self) {
        self.act(|state, now, _| {
            state.failed = None;
            state.session.handle_connected(now);
        });
    }

    /// One whole binary message came in.
    pub fn handle_message(&self, message: Bytes) {
        self.act(|state, now, _| state.session.handle_message(now, message));
    }

    /// A text message came in, where binary is due.
    pub fn handle_text(&self) {
        self.act(|state, now, _| state.session.handle_text(now));
    }

    /// The link is gone, however it ended.
    pub fn handle_disconnect(&self) {
        self.act(|state, now, _| state.session.handle_disconnect(now));
    }

    /// The instant that [`poll_timeout`](Self::poll_timeout) named has come.
    pub fn handle_timeout(&self) {
        self.act(|state, now, _| state.session.handle_timeout(now));
    }

    /// The socket accepts no more bytes for now.
    pub fn handle_blocked(&self) {
        self.act(|state, now, _| state.session.handle_blocked(now));
    }

    /// The socket accepted bytes.
    pub fn handle_progress(&self) {
        self.act(|state, now, _| state.session.handle_progress(now));
    }

    /// The next message to write. Ask again after each one; while there is none, the task is woken by commands.
    pub fn poll_transmit(&self, cx: &mut Context<'_>) -> Poll<Bytes> {
        self.act(|state, now, wakes| match state.session.poll_transmit(now) {
            Some(message) => Poll::Ready(message),
            None => {
                wakes.park(&mut state.driver, cx);
                Poll::Pending
            }
        })
    }

    /// Asks to be woken by commands as [`poll_transmit`](Self::poll_transmit) does, without taking a message: for a
    /// driver whose socket is blocked.
    pub fn register(&self, cx: &mut Context<'_>) {
        self.act(|state, _, wakes| wakes.park(&mut state.driver, cx));
    }

    /// Whether the link is to be closed, and how. Only after everything of `poll_transmit` was written.
    pub fn poll_close(&self) -> Option<Refusal> {
        self.act(|state, _, _| state.session.poll_close())
    }

    /// When [`handle_timeout`](Self::handle_timeout) is due. May change with every other call.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.lock().session.poll_timeout()
    }

    /// Server: the client's hello, to be answered by [`welcome`](Self::welcome) or [`close`](Self::close).
    pub fn poll_hello(&self, cx: &mut Context<'_>) -> Poll<Hello> {
        self.poll_mailbox(cx, |state| &mut state.hello).map(|hello| *hello)
    }

    /// Server: makes the session live, under random ids. Returns the one that logs may show.
    pub fn welcome(&self) -> u128 {
        let ids = SessionIds { session: random_u128(), token: random_bytes(), epoch: random_u128() };
        let session = ids.session;
        self.command(|state, now, _| state.session.welcome(now, ids));
        session
    }

    /// Closes the link: what is left of control is written, then [`poll_close`](Self::poll_close) says so.
    pub fn close(&self, code: CloseCode, reason: &str) {
        self.command(|state, now, _| state.session.close(now, code, reason));
    }

    /// The next time that the session becomes live, since this was last asked.
    pub fn poll_live(&self, cx: &mut Context<'_>) -> Poll<Outcome> {
        self.poll_mailbox(cx, |state| &mut state.live)
    }

    /// Whether the session is live now.
    pub fn is_live(&self) -> bool {
        self.lock().session.is_live()
    }

    /// The id of the session that is or was last live; logs may show it.
    pub fn session_id(&self) -> Option<u128> {
        self.lock().session_id
    }

    /// Client: gives up. Every call of this end fails with `failure`, and so does every later one, until the next
    /// [`handle_connected`](Self::handle_connected).
    pub fn fail_all(&self, failure: Failure) {
        self.command(|state, now, _| {
            state.failed = Some(failure.clone());
            state.session.fail_all(now, failure);
        });
    }

    fn poll_mailbox<T>(
        &self,
        cx: &mut Context<'_>,
        mailbox: impl FnOnce(&mut super::State) -> &mut Mailbox<T>,
    ) -> Poll<T> {
        self.act(|state, _, wakes| {
            let mailbox = mailbox(state);
            match mailbox.value.take() {
                Some(value) => Poll::Ready(value),
                None => {
                    wakes.park(&mut mailbox.waker, cx);
                    Poll::Pending
                }
            }
        })
    }
}
