use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// A stream as the socket library reads and writes it: what would have to wait fails with
/// [`WouldBlock`](io::ErrorKind::WouldBlock), and wakes the task that was at work.
#[derive(Debug)]
pub(super) struct Nonblocking<S> {
    pub(super) inner: S,
    task: Waker,
}

impl<S> Nonblocking<S> {
    pub(super) fn new(inner: S) -> Self {
        Self { inner, task: Waker::noop().clone() }
    }

    /// The task of `cx` is at work from now on: the only one that waits for this stream, to read and to write.
    pub(super) fn attend(&mut self, cx: &Context<'_>) {
        self.task.clone_from(cx.waker());
    }

    fn step<T>(
        &mut self,
        step: impl FnOnce(Pin<&mut S>, &mut Context<'_>) -> Poll<io::Result<T>>,
    ) -> io::Result<T>
    where
        S: Unpin,
    {
        match step(Pin::new(&mut self.inner), &mut Context::from_waker(&self.task)) {
            Poll::Ready(result) => result,
            Poll::Pending => Err(io::ErrorKind::WouldBlock.into()),
        }
    }
}

impl<S: AsyncRead + Unpin> io::Read for Nonblocking<S> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut buffer = ReadBuf::new(buffer);
        self.step(|stream, cx| stream.poll_read(cx, &mut buffer))?;
        Ok(buffer.filled().len())
    }
}

impl<S: AsyncWrite + Unpin> io::Write for Nonblocking<S> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.step(|stream, cx| stream.poll_write(cx, bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        self.step(|stream, cx| stream.poll_flush(cx))
    }
}
