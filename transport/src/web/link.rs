use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bowline_runtime::{Sleep, sleep};
use bytes::Bytes;

use super::socket::{Ended, Socket};
use crate::{CloseFrame, Link, LinkError, Received};

/// What the browser may hold unsent before this link is not ready: 128 KiB. What it has taken can't be overtaken.
const UNSENT_MAX: u32 = 128 * 1024;
/// No event tells that the browser has sent something; so it is asked again.
const ASK_AGAIN: Duration = Duration::from_millis(10);

/// One open WebSocket of the page.
///
/// It is ready while the browser holds less than 128 KiB unsent. Dropping it closes the WebSocket and frees its event
/// handlers.
pub struct WebLink {
    socket: Socket,
    phase: Phase,
    sent: u64,
    /// Runs while the link is not ready.
    ask_again: Option<Sleep>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Open,
    Closing,
    Ended,
}

impl WebLink {
    pub(super) fn new(socket: Socket) -> Self {
        Self { socket, phase: Phase::Open, sent: 0, ask_again: None }
    }

    fn check(&self) -> Result<(), LinkError> {
        // What was received before the end can still be read; nothing can be sent any more.
        if self.phase == Phase::Open && !self.socket.has_ended() {
            Ok(())
        } else {
            Err(LinkError::Lost(None))
        }
    }
}

impl Link for WebLink {
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), LinkError>> {
        self.check()?;
        while self.socket.raw.buffered_amount() >= UNSENT_MAX {
            ready!(Pin::new(self.ask_again.get_or_insert_with(|| sleep(ASK_AGAIN))).poll(cx));
            self.ask_again = None;
        }
        self.ask_again = None;
        Poll::Ready(Ok(()))
    }

    fn start_send(&mut self, message: Bytes) -> Result<(), LinkError> {
        self.check()?;
        self.socket.raw.send_with_u8_array(&message).map_err(|_| LinkError::Lost(None))?;
        self.sent += message.len() as u64;
        Ok(())
    }

    fn poll_flush(&mut self, _: &mut Context<'_>) -> Poll<Result<(), LinkError>> {
        // The browser has had it since `start_send`.
        Poll::Ready(self.check())
    }

    fn poll_receive(&mut self, cx: &mut Context<'_>) -> Poll<Result<Received, LinkError>> {
        if self.phase != Phase::Open {
            return Poll::Ready(Err(LinkError::Lost(None)));
        }
        Poll::Ready(ready!(self.socket.poll_received(cx)).or_else(|ended| {
            self.phase = Phase::Ended;
            match ended {
                Ended::Closed(frame) => Ok(Received::Closed(frame)),
                Ended::Lost => Err(LinkError::Lost(None)),
            }
        }))
    }

    fn poll_close(&mut self, cx: &mut Context<'_>, frame: &CloseFrame) -> Poll<()> {
        if self.phase == Phase::Open {
            let frame = frame.for_browser();
            // Fails for codes and reasons only that `for_browser` rules out.
            let _ = self.socket.raw.close_with_code_and_reason(frame.code.number(), &frame.reason);
            self.phase = Phase::Closing;
        }
        if self.phase == Phase::Closing {
            ready!(self.socket.poll_ended(cx));
            self.phase = Phase::Ended;
        }
        Poll::Ready(())
    }

    fn written(&self) -> u64 {
        self.sent.saturating_sub(u64::from(self.socket.raw.buffered_amount()))
    }
}

impl fmt::Debug for WebLink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WebLink")
            .field("phase", &self.phase)
            .field("sent", &self.sent)
            .finish_non_exhaustive()
    }
}
