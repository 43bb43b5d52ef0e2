use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bowline_protocol::limits::Limits;
use bowline_protocol::session::Arriving;
use bowline_protocol::status::CloseCode;
use bowline_runtime::Lines;
use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::error::{CapacityError, ProtocolError};
use tokio_tungstenite::tungstenite::protocol::{self, WebSocketConfig, frame::coding::CloseCode as WireCode};
use tokio_tungstenite::tungstenite::{Error, Message, WebSocket};

use super::counted::Counted;
use super::nonblocking::Nonblocking;
use crate::{CloseFrame, Link, LinkError, Received};

/// Small, because ten thousand idle sockets each hold one. While more comes than fits, there is another behind it.
const READ_BUFFER: usize = 1024;
/// Messages gather up to here before the socket is written to.
const WRITE_BUFFER: usize = 16 * 1024;
/// Room beyond the largest message: what a whole last envelope adds to it, frame headers, a pong and a close.
const WRITE_SLACK: usize = 128 * 1024;
/// What the kernel may hold unsent where it can be told: what it has taken can't be overtaken by control.
#[cfg(any(target_os = "linux", target_os = "android"))]
const UNSENT: u32 = 128 * 1024;

/// Which end of RFC 6455 a socket is: clients mask what they send, and servers insist on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// This end sent the upgrade request.
    Client,
    /// This end answered it.
    Server,
}

/// Sets what Bowline wants of a TCP socket: no delay for small messages, and at most 128 KiB unsent in the kernel
/// where the system has such a setting.
///
/// # Errors
///
/// Whatever the system says; a socket without these settings works, with more latency.
pub fn tune(stream: &TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    #[cfg(any(target_os = "linux", target_os = "android"))]
    socket2::SockRef::from(stream).set_tcp_notsent_lowat(UNSENT)?;
    Ok(())
}

/// A WebSocket over a stream on which the upgrade has been done.
///
/// Reads with a 1 KiB buffer, and with another of 16 or 64 KiB while more comes; gathers writes up to 16 KiB. Pings are
/// answered here. A message or frame above
/// [`Limits::message_in`] is a violation that closes with 1009, an unmasked frame from a client one that closes
/// with 1002. What it holds for a slow reader is bounded: 16 KiB and one message.
#[derive(Debug)]
pub struct SocketLink<S> {
    socket: WebSocket<Nonblocking<Counted<S>>>,
    phase: Phase,
    /// The stream did not take all of what was handed over: that comes first.
    is_full: bool,
    message_max: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Open,
    /// The other end's close was received; the answer is to be flushed.
    Answering,
    /// Our close was handed over; the other end's is awaited.
    Closing,
    /// The other end broke the framing: its bytes can't be read as frames any more.
    Violated,
    /// Our close for a violation was handed over; it is to be flushed.
    Refusing,
    /// Our close for a violation and the end of our stream are on their way; what arrives is thrown away, since a
    /// socket that is closed over unread bytes resets, and a reset can overtake our close.
    Draining,
    /// The closes are exchanged; the end of our stream is on its way.
    Leaving,
    Ended,
}

impl<S: AsyncRead + AsyncWrite + Unpin> SocketLink<S> {
    /// Takes over a stream on which the upgrade has been done.
    ///
    /// Of `limits` it uses the sizes of messages. A server that accepts TCP connections itself should [`tune`] them.
    pub fn from_upgraded(io: S, role: Role, limits: &Limits) -> Self {
        Self::from_partly_read(io, Vec::new(), role, limits)
    }

    /// The same, where bytes behind the upgrade have been read already.
    pub fn from_partly_read(io: S, read: Vec<u8>, role: Role, limits: &Limits) -> Self {
        let message_max = limits.message_in.max(limits.message_out);
        let config = WebSocketConfig::default()
            .read_buffer_size(READ_BUFFER)
            .write_buffer_size(WRITE_BUFFER)
            .max_write_buffer_size(WRITE_BUFFER + message_max + WRITE_SLACK)
            .max_message_size(Some(limits.message_in))
            .max_frame_size(Some(limits.message_in));
        let role = match role {
            Role::Client => protocol::Role::Client,
            Role::Server => protocol::Role::Server,
        };
        let stream = Nonblocking::new(Counted::new(io, &read));
        let socket = WebSocket::from_partially_read(stream, read, role, Some(config));
        let message_max = message_max + WRITE_SLACK / 2;
        Self { socket, phase: Phase::Open, is_full: false, message_max }
    }

    fn check(&self) -> Result<(), LinkError> {
        match self.phase {
            Phase::Open => Ok(()),
            _ => Err(LinkError::Lost(None)),
        }
    }

    fn start_close(&mut self, frame: &CloseFrame) -> Phase {
        // A failure shows when the close is flushed.
        let _ = self.socket.write(Message::Close(to_wire(frame)));
        if self.phase == Phase::Violated { Phase::Refusing } else { Phase::Closing }
    }

    /// The next message, whatever it is.
    fn poll_message(&mut self, cx: &Context<'_>) -> Poll<Result<Message, Error>> {
        self.socket.get_mut().attend(cx);
        match self.socket.read() {
            Err(error) if waits(&error) => Poll::Pending,
            read => Poll::Ready(read),
        }
    }

    /// Gives everything that was handed over to the stream.
    fn poll_written(&mut self, cx: &Context<'_>) -> Poll<Result<(), Error>> {
        self.socket.get_mut().attend(cx);
        let written = match self.socket.flush() {
            // The answer to a close was the last thing to write.
            Ok(()) | Err(Error::ConnectionClosed) => Ok(()),
            Err(error) if waits(&error) => return Poll::Pending,
            Err(error) => Err(error),
        };
        self.is_full = false;
        Poll::Ready(written)
    }

    /// Flushes, and ignores that the socket may be gone: there is nothing to be done about it.
    fn poll_flushed(&mut self, cx: &Context<'_>) -> Poll<()> {
        self.poll_written(cx).map(|_| ())
    }

    fn stream(&mut self) -> Pin<&mut Counted<S>> {
        Pin::new(&mut self.socket.get_mut().inner)
    }

    /// Reads until the other end's close or the end.
    fn poll_answer(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            match ready!(self.poll_message(cx)) {
                Ok(Message::Close(_)) | Err(_) => return Poll::Ready(()),
                Ok(_) => {}
            }
        }
    }

    /// Throws away what arrives until the end.
    fn poll_drained(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let mut scratch = [0; 1024];
        loop {
            let mut buffer = ReadBuf::new(&mut scratch);
            let read = ready!(self.stream().poll_read(cx, &mut buffer));
            if read.is_err() || buffer.filled().is_empty() {
                return Poll::Ready(());
            }
        }
    }

    /// Sorts an error by what is to be done about it.
    fn fail(&mut self, error: Error) -> LinkError {
        let (code, sentence) = match error {
            Error::Capacity(CapacityError::MessageTooLong { size, max_size }) => (
                CloseCode::TOO_BIG,
                format!("a message of {size} bytes is larger than the {max_size} that are read here"),
            ),
            Error::Utf8(_) => (CloseCode::INVALID_DATA, "text that is not UTF-8".to_owned()),
            // The other end is gone, or its last bytes are: nobody is left to be told.
            Error::Protocol(
                ProtocolError::ResetWithoutClosingHandshake | ProtocolError::ReceivedAfterClosing,
            ) => return self.lose(None),
            Error::Protocol(problem) => (CloseCode::PROTOCOL, problem.to_string()),
            Error::ConnectionClosed | Error::AlreadyClosed => return self.lose(None),
            error => return self.lose(Some(error)),
        };
        self.phase = Phase::Violated;
        LinkError::Violation(CloseFrame::new(code, sentence))
    }

    fn lose(&mut self, error: Option<Error>) -> LinkError {
        self.phase = Phase::Ended;
        LinkError::Lost(error.map(|error| match error {
            Error::Io(error) => error.into(),
            error => error.into(),
        }))
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin + Send + 'static> Link for SocketLink<S> {
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), LinkError>> {
        self.check()?;
        if !self.is_full {
            return Poll::Ready(Ok(()));
        }
        self.poll_flush(cx)
    }

    fn start_send(&mut self, message: Bytes) -> Result<(), LinkError> {
        self.check()?;
        if message.len() > self.message_max {
            return Err(LinkError::TooLarge { size: message.len(), limit: self.message_max });
        }
        match self.socket.write(Message::Binary(message)) {
            Ok(()) => Ok(()),
            // It was accepted all the same.
            Err(error) if waits(&error) => {
                self.is_full = true;
                Ok(())
            }
            Err(error) => Err(self.lose(Some(error))),
        }
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), LinkError>> {
        self.check()?;
        let flushed = ready!(self.poll_written(cx));
        Poll::Ready(flushed.map_err(|error| self.lose(Some(error))))
    }

    fn poll_receive(&mut self, cx: &mut Context<'_>) -> Poll<Result<Received, LinkError>> {
        self.check()?;
        loop {
            let received = match ready!(self.poll_message(cx)) {
                Ok(Message::Binary(message)) => Ok(Received::Binary(message)),
                Ok(Message::Text(_)) => Ok(Received::Text),
                Ok(Message::Close(frame)) => {
                    self.phase = Phase::Answering;
                    Ok(Received::Closed(from_wire(frame)))
                }
                // Answered by the library when it reads on or flushes.
                Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_)) => continue,
                Err(error) => Err(self.fail(error)),
            };
            return Poll::Ready(received);
        }
    }

    fn poll_close(&mut self, cx: &mut Context<'_>, frame: &CloseFrame) -> Poll<()> {
        loop {
            self.phase = match self.phase {
                Phase::Open | Phase::Violated => self.start_close(frame),
                Phase::Closing => {
                    // Both at once: the other end may need to be read before it reads.
                    let flushed = self.poll_flushed(cx);
                    ready!(self.poll_answer(cx));
                    ready!(flushed);
                    Phase::Leaving
                }
                Phase::Refusing => {
                    ready!(self.poll_flushed(cx));
                    match ready!(self.stream().poll_shutdown(cx)) {
                        Ok(()) => Phase::Draining,
                        Err(_) => Phase::Ended,
                    }
                }
                Phase::Draining => {
                    ready!(self.poll_drained(cx));
                    Phase::Ended
                }
                Phase::Answering => {
                    ready!(self.poll_flushed(cx));
                    Phase::Leaving
                }
                Phase::Leaving => {
                    let _ = ready!(self.stream().poll_shutdown(cx));
                    Phase::Ended
                }
                Phase::Ended => return Poll::Ready(()),
            };
        }
    }

    fn written(&self) -> u64 {
        self.socket.get_ref().inner.written
    }

    fn lines(&self) -> Lines {
        Lines::of(self)
    }

    fn arriving(&self) -> Arriving {
        self.socket.get_ref().inner.frames.arriving()
    }
}

/// Whether the library did not do something because the stream would have had to wait, which has been arranged for.
fn waits(error: &Error) -> bool {
    matches!(error, Error::Io(error) if error.kind() == io::ErrorKind::WouldBlock)
}

fn to_wire(frame: &CloseFrame) -> Option<protocol::CloseFrame> {
    let code = WireCode::from(frame.code.number());
    // Codes that stand for the absence of one must not travel (RFC 6455 section 7.4.1).
    let reason = CloseFrame::new(frame.code, frame.reason.as_str()).reason;
    code.is_allowed().then(|| protocol::CloseFrame { code, reason: reason.into() })
}

fn from_wire(frame: Option<protocol::CloseFrame>) -> CloseFrame {
    match frame {
        Some(frame) => CloseFrame::new(CloseCode::new(frame.code.into()), frame.reason.as_str()),
        None => CloseFrame::new(CloseFrame::NO_CODE, ""),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Has nothing, and notes how much it was asked for.
    struct Silent(usize);

    impl AsyncRead for Silent {
        fn poll_read(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
            buffer: &mut ReadBuf<'_>,
        ) -> Poll<io::Result<()>> {
            self.0 = buffer.remaining();
            Poll::Pending
        }
    }

    impl AsyncWrite for Silent {
        fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
            Poll::Ready(Ok(bytes.len()))
        }

        fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }

        fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }
    }

    #[test]
    fn a_socket_that_waits_holds_a_small_buffer() {
        let mut link = SocketLink::from_upgraded(Silent(0), Role::Server, &Limits::default());
        assert!(link.poll_receive(&mut Context::from_waker(std::task::Waker::noop())).is_pending());
        let asked = link.socket.get_ref().inner.inner().0;
        assert!((1..=1024).contains(&asked), "{asked} bytes for what may never come");
    }
}
