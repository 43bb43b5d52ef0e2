//! What every link can do.

use std::error::Error;
use std::fmt;
use std::task::{Context, Poll};

use bowline_protocol::session::Arriving;
use bowline_protocol::status::CloseCode;
use bowline_runtime::{Lines, MaybeSend};
use bytes::Bytes;

/// One connection that carries whole messages in both directions, in order, until it is closed or lost.
///
/// Writing follows the pattern of a sink: [`poll_ready`](Link::poll_ready), then at most one
/// [`start_send`](Link::start_send), and [`poll_flush`](Link::poll_flush) when there is nothing more to write. A
/// link holds a bounded number of bytes: it is not ready while the other end does not read. Reading and writing
/// are independent: a link that is not ready still receives.
///
/// Dropping a link loses it: the other end gets what was flushed and then [`LinkError::Lost`], or a close without a
/// code where a browser insists on sending one.
pub trait Link: MaybeSend + Unpin + 'static {
    /// Whether the next message may be handed over. Moves bytes that are held back, if that is what it takes.
    ///
    /// # Errors
    ///
    /// [`LinkError::Lost`] when the link is gone; it says so again on every further call.
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), LinkError>>;

    /// Hands over one message. Only after [`poll_ready`](Link::poll_ready) was ready, once for each time.
    ///
    /// # Errors
    ///
    /// [`LinkError::Lost`] when the link is gone or closing, [`LinkError::TooLarge`] for a message that this link
    /// can never carry (it goes on without it).
    fn start_send(&mut self, message: Bytes) -> Result<(), LinkError>;

    /// Moves what was handed over to the layer below: the kernel, the browser, the other half of a pair.
    ///
    /// # Errors
    ///
    /// [`LinkError::Lost`] when the link is gone.
    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), LinkError>>;

    /// The next message, or how the other end closed the link.
    ///
    /// After [`Received::Closed`], after an error and once [`poll_close`](Link::poll_close) was called, every
    /// further call is [`LinkError::Lost`].
    ///
    /// # Errors
    ///
    /// [`LinkError::Lost`] when the link ended without a close; [`LinkError::Violation`] when the other end broke a
    /// rule of the transport: the link is then to be closed with the frame that stands in the error.
    fn poll_receive(&mut self, cx: &mut Context<'_>) -> Poll<Result<Received, LinkError>>;

    /// Closes the link: what was handed over goes first, then `frame`, then the other end's answer is awaited and
    /// messages that still arrive are dropped. Ready when the close is complete or the link is gone; never an error,
    /// since there is nothing left to do. After [`Received::Closed`] it sends the answer and ignores `frame`.
    ///
    /// It sets no time limit: an other end that does not answer makes it wait for ever. `frame` counts on the first
    /// call.
    fn poll_close(&mut self, cx: &mut Context<'_>, frame: &CloseFrame) -> Poll<()>;

    /// How many bytes the layer below has taken from this link so far. Only its growth means something: a link
    /// that is not ready, but moves, is slow and not stuck.
    fn written(&self) -> u64;

    /// The memory that each turn of whoever drives the link asks for, so that it can be [prefetched](Lines). Links that are many
    /// say so; others need not.
    fn lines(&self) -> Lines {
        Lines::default()
    }

    /// What has arrived so far, messages that are not whole included.
    ///
    /// Not every link can say: one that only sees whole messages, as in a browser, says nothing, which is what this
    /// does if it is not implemented. Then a large message on a slow link looks like silence.
    fn arriving(&self) -> Arriving {
        Arriving::default()
    }
}

/// A link of any kind.
pub type BoxLink = Box<dyn Link>;

impl fmt::Debug for dyn Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Link").finish_non_exhaustive()
    }
}

impl<L: Link + ?Sized> Link for Box<L> {
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), LinkError>> {
        (**self).poll_ready(cx)
    }

    fn start_send(&mut self, message: Bytes) -> Result<(), LinkError> {
        (**self).start_send(message)
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), LinkError>> {
        (**self).poll_flush(cx)
    }

    fn poll_receive(&mut self, cx: &mut Context<'_>) -> Poll<Result<Received, LinkError>> {
        (**self).poll_receive(cx)
    }

    fn poll_close(&mut self, cx: &mut Context<'_>, frame: &CloseFrame) -> Poll<()> {
        (**self).poll_close(cx, frame)
    }

    fn written(&self) -> u64 {
        (**self).written()
    }

    fn lines(&self) -> Lines {
        (**self).lines()
    }

    fn arriving(&self) -> Arriving {
        (**self).arriving()
    }
}

/// What a link received.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Received {
    /// One whole binary message.
    Binary(Bytes),
    /// A text message, whose content is of no use here.
    Text,
    /// The other end closed the link.
    Closed(CloseFrame),
}

/// Why a link was closed, as it stands in the close frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CloseFrame {
    /// The code; [`CloseFrame::NO_CODE`] when the other end gave none.
    pub code: CloseCode,
    /// A sentence for people, at most 123 bytes on the wire.
    pub reason: String,
}

impl CloseFrame {
    /// What RFC 6455 section 7.1.5 calls a close without a code; never sent.
    pub const NO_CODE: CloseCode = CloseCode::new(1005);

    /// What a control frame has room for beside the code (RFC 6455 section 5.5).
    const REASON_MAX: usize = 123;

    /// A frame with this code and sentence. The sentence is cut after 123 bytes, at the border of a character.
    pub fn new(code: CloseCode, reason: impl Into<String>) -> Self {
        let mut reason = reason.into();
        let mut end = reason.len().min(Self::REASON_MAX);
        while !reason.is_char_boundary(end) {
            end -= 1;
        }
        reason.truncate(end);
        Self { code, reason }
    }

    /// The same as far as a page may say it: 1000 and 3000–4999 only. A code that stops clients becomes one of ours
    /// that stops, another one of ours that doesn't; the reason keeps the number for logs.
    #[cfg(any(test, target_arch = "wasm32"))]
    pub(crate) fn for_browser(&self) -> Self {
        const OTHER: CloseCode = CloseCode::new(4000);
        match self.code.number() {
            1000 | 3000..=4999 => Self::new(self.code, self.reason.as_str()),
            1001 | 1005 => Self::new(CloseCode::NORMAL, self.reason.as_str()),
            number => {
                let code = if self.code.stops() { CloseCode::MALFORMED } else { OTHER };
                Self::new(code, format!("{number}: {}", self.reason))
            }
        }
    }
}

/// Why a link can't go on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LinkError {
    /// The link is gone, and nobody closed it properly.
    #[error("link lost")]
    Lost(#[source] Option<Box<dyn Error + Send + Sync>>),
    /// The other end broke a rule of the transport; the link is to be closed with this frame.
    #[error("the other end broke a rule of the transport: {} {}", .0.code, .0.reason)]
    Violation(CloseFrame),
    /// The message is larger than this link can ever carry. It was not sent, and the link goes on.
    #[error("a message of {size} bytes is larger than the link carries ({limit})")]
    TooLarge {
        /// The size of the message.
        size: usize,
        /// The largest size.
        limit: usize,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_reason_is_cut_between_characters() {
        let frame = CloseFrame::new(CloseCode::NORMAL, format!("{}é and more", "x".repeat(122)));
        assert_eq!(frame.reason, "x".repeat(122));
    }

    #[test]
    fn a_page_says_only_what_browsers_allow() {
        let said = |code| CloseFrame::new(code, "why").for_browser();
        for code in [CloseCode::NORMAL, CloseCode::new(3000), CloseCode::SLOW, CloseCode::new(4999)] {
            assert_eq!(said(code), CloseFrame::new(code, "why"));
        }
        assert_eq!(said(CloseCode::AWAY), CloseFrame::new(CloseCode::NORMAL, "why"));
        assert_eq!(said(CloseFrame::NO_CODE), CloseFrame::new(CloseCode::NORMAL, "why"));
        for code in [CloseCode::UNSUPPORTED, CloseCode::TOO_BIG, CloseCode::PROTOCOL] {
            let said = said(code);
            assert!(said.code.stops() && said.code.number() >= 4000);
            assert_eq!(said.reason, format!("{}: why", code.number()));
        }
        for code in [CloseCode::INTERNAL, CloseCode::TRY_AGAIN, CloseCode::ABNORMAL, CloseCode::new(5000)] {
            let said = said(code);
            assert!(!said.code.stops() && said.code.number() >= 4000);
        }
    }
}
