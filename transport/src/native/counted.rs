use std::future::Future;
use std::io;
use std::pin::{Pin, pin};
use std::task::{Context, Poll};

use bytes::{Buf, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf};

use super::frames::Frames;

/// What is asked of the system at once while more comes than the library's buffer takes: batches of small calls come so.
const BATCH: usize = 16 * 1024;
/// The same while more comes than that: a large message costs few calls then, and lands at the beginning of a buffer. A
/// little behind the beginning of a page, where a header that was consumed leaves the library's own buffer, the kernel
/// copies several times slower.
const BULK: usize = 64 * 1024;
/// Who gets no more than this at once needs no block.
const LITTLE: usize = 512;

/// A stream that counts what was written to it: a socket that takes a few bytes now and then is slow, not stuck. And
/// that looks for messages in what is read from it, since the library shows only whole ones.
///
/// It reads into the library's small buffer until that is filled at once. From then on it reads into a block of its own,
/// until little comes at once: an acknowledgement, at the latest the answer to a ping. A block for bulk goes also when it is
/// asked in vain twice; between two pieces of a large payload it is asked once.
#[derive(Debug)]
pub(super) struct Counted<S> {
    inner: S,
    block: Option<Block>,
    pub(super) written: u64,
    pub(super) frames: Frames,
}

impl<S> Counted<S> {
    /// Where `read` has been read before.
    pub(super) fn new(inner: S, read: &[u8]) -> Self {
        let mut frames = Frames::default();
        frames.push(read);
        Self { inner, block: None, written: 0, frames }
    }

    #[cfg(test)]
    pub(super) fn inner(&self) -> &S {
        &self.inner
    }

    fn count(&mut self, written: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        if let Poll::Ready(Ok(bytes)) = &written {
            self.written += *bytes as u64;
        }
        written
    }
}

/// What was read ahead.
#[derive(Debug)]
struct Block {
    bytes: BytesMut,
    /// How much is asked for.
    size: usize,
    /// How much came last.
    came: usize,
}

impl Block {
    fn new(size: usize) -> Self {
        Self { bytes: BytesMut::with_capacity(size), size, came: size }
    }
}

impl<S: AsyncRead + Unpin> Counted<S> {
    fn poll_fill(&mut self, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let Some(block) = &mut self.block else {
            let read = Pin::new(&mut self.inner).poll_read(cx, buffer);
            if buffer.remaining() == 0 {
                self.block = Some(Block::new(BATCH));
            }
            return read;
        };
        if block.bytes.is_empty() {
            block.bytes.clear();
            block.bytes.reserve(block.size);
            match pin!(self.inner.read_buf(&mut block.bytes)).poll(cx) {
                Poll::Ready(Ok(came)) => block.came = came,
                Poll::Pending if block.size == BATCH || block.came > 0 => {
                    block.came = 0;
                    return Poll::Pending;
                }
                read => {
                    self.block = None;
                    return read.map_ok(|_| ());
                }
            }
        }
        let len = block.bytes.len().min(buffer.remaining());
        buffer.put_slice(&block.bytes[..len]);
        block.bytes.advance(len);
        if block.bytes.is_empty() {
            if block.came <= LITTLE {
                self.block = None;
            } else if block.came >= BATCH && block.size == BATCH {
                self.block = Some(Block::new(BULK));
            }
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Counted<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let read = self.poll_fill(cx, buffer);
        self.frames.push(&buffer.filled()[before..]);
        read
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Counted<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.inner).poll_write(cx, bytes);
        self.count(written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.inner).poll_write_vectored(cx, slices);
        self.count(written)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use tokio::io::AsyncReadExt;

    use super::*;

    /// Gives what it was given, as far as it is asked for, and notes how much it was asked for.
    #[derive(Debug, Default)]
    struct Socket {
        bytes: VecDeque<u8>,
        asked: Vec<usize>,
    }

    impl AsyncRead for Socket {
        fn poll_read(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
            buffer: &mut ReadBuf<'_>,
        ) -> Poll<io::Result<()>> {
            self.asked.push(buffer.remaining());
            if self.bytes.is_empty() {
                return Poll::Pending;
            }
            let len = buffer.remaining().min(self.bytes.len());
            let bytes: Vec<u8> = self.bytes.drain(..len).collect();
            buffer.put_slice(&bytes);
            Poll::Ready(Ok(()))
        }
    }

    /// Reads all there is with a buffer of 4 KiB.
    fn read(counted: &mut Counted<Socket>) -> Vec<u8> {
        let (mut all, mut buffer) = (Vec::new(), [0; 4096]);
        let mut cx = Context::from_waker(std::task::Waker::noop());
        while let Poll::Ready(read) = pin!(counted.read(&mut buffer)).poll(&mut cx) {
            all.extend_from_slice(&buffer[..read.unwrap()]);
        }
        all
    }

    fn receive(counted: &mut Counted<Socket>, len: u32) -> Vec<usize> {
        let sent: Vec<u8> = (0..len).map(|byte| byte as u8).collect();
        counted.inner.bytes.extend(&sent);
        assert_eq!(read(counted), sent);
        std::mem::take(&mut counted.inner.asked)
    }

    #[test]
    fn it_asks_for_more_while_more_comes() {
        let mut counted = Counted::new(Socket::default(), &[]);
        let asked = receive(&mut counted, 300_000);
        assert_eq!(asked[..2], [4096, BATCH]);
        assert!(asked[2..].iter().all(|asked| *asked >= BULK), "{asked:?}");
        assert!(asked.len() <= 8, "{asked:?}");
        // The next piece comes at once.
        let asked = receive(&mut counted, 60_000);
        assert_eq!(asked, [BULK, BULK]);
    }

    #[test]
    fn a_block_for_bulk_goes_when_little_comes_or_nothing_twice() {
        let mut counted = Counted::new(Socket::default(), &[]);
        receive(&mut counted, 300_000);
        receive(&mut counted, 100);
        assert!(counted.block.is_none(), "an acknowledgement came");
        receive(&mut counted, 300_000);
        assert!(counted.block.is_some());
        receive(&mut counted, 0);
        assert!(counted.block.is_none(), "asked in vain twice");
    }

    #[test]
    fn batches_of_a_few_kib_take_one_step_each_until_little_comes() {
        let mut counted = Counted::new(Socket::default(), &[]);
        receive(&mut counted, 6000);
        for _ in 0..3 {
            let asked = receive(&mut counted, 6000);
            // The second finds that there is no more.
            assert_eq!(asked.len(), 2, "{asked:?}");
        }
        assert!(counted.block.is_some());
        receive(&mut counted, 100);
        assert!(counted.block.is_none(), "a ping was answered");
        assert_eq!(receive(&mut counted, 100), [4096, 4096]);
    }
}
