//! Bowline's own connector, counted, and with a knife for its links.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::task::{Context, Poll};

use bowline::prelude::*;
use bowline::transport::native::NativeConnector;
use bowline::transport::{Arriving, BoxLink, CloseFrame, Connect, ConnectError, Link, LinkError, Received};
use futures_util::future::BoxFuture;
use tokio::sync::watch;
use tokio_stream::wrappers::WatchStream;

use crate::orders::Dials;

/// Makes links as every native client does, and counts how that goes.
#[derive(Debug)]
pub(super) struct Dialer {
    inner: NativeConnector,
    counts: Arc<Counts>,
    /// Counts the cuts; `None` for links that are never cut, and are the connector's own.
    cuts: Option<watch::Sender<u64>>,
}

#[derive(Debug, Default)]
struct Counts {
    tried: AtomicU64,
    made: AtomicU64,
    turned_away: AtomicU64,
    timed_out: AtomicU64,
    failed: AtomicU64,
}

impl Dialer {
    pub(super) fn new(cuttable: bool) -> Self {
        let cuts = cuttable.then(|| watch::Sender::new(0));
        Self { inner: NativeConnector::new(), counts: Arc::default(), cuts }
    }

    /// Loses all links, without a word to either end.
    pub(super) fn cut(&self) {
        if let Some(cuts) = &self.cuts {
            cuts.send_modify(|cuts| *cuts += 1);
        }
    }

    pub(super) fn dials(&self) -> Dials {
        let Counts { tried, made, turned_away, timed_out, failed } = &*self.counts;
        Dials {
            tried: tried.load(Relaxed),
            made: made.load(Relaxed),
            turned_away: turned_away.load(Relaxed),
            timed_out: timed_out.load(Relaxed),
            failed: failed.load(Relaxed),
        }
    }
}

impl Dials {
    pub(super) fn since(self, before: Self) -> Self {
        Self {
            tried: self.tried - before.tried,
            made: self.made - before.made,
            turned_away: self.turned_away - before.turned_away,
            timed_out: self.timed_out - before.timed_out,
            failed: self.failed - before.failed,
        }
    }
}

impl Connect for Dialer {
    fn connect(&self, endpoint: &str) -> BoxFuture<'static, Result<BoxLink, ConnectError>> {
        let (connecting, counts) = (self.inner.connect(endpoint), self.counts.clone());
        let cuts = self.cuts.as_ref().map(watch::Sender::subscribe);
        Box::pin(async move {
            counts.tried.fetch_add(1, Relaxed);
            let made = connecting.await;
            let counter = match &made {
                Ok(_) => &counts.made,
                Err(ConnectError::Upgrade { .. }) => &counts.turned_away,
                Err(ConnectError::Timeout) => &counts.timed_out,
                Err(_) => &counts.failed,
            };
            counter.fetch_add(1, Relaxed);
            match cuts {
                Some(cuts) => Ok(Box::new(Thread::new(made?, cuts)) as BoxLink),
                None => made,
            }
        })
    }
}

/// A link that can be cut. At the other end it is a socket that ended.
struct Thread {
    /// `None` once it is cut.
    link: Option<BoxLink>,
    cuts: WatchStream<u64>,
}

impl Thread {
    fn new(link: BoxLink, cuts: watch::Receiver<u64>) -> Self {
        // A cut while it was being made does not count: then it was no link.
        Self { link: Some(link), cuts: WatchStream::from_changes(cuts) }
    }

    fn link(&mut self) -> Result<&mut BoxLink, LinkError> {
        self.link.as_mut().ok_or(LinkError::Lost(None))
    }
}

impl Link for Thread {
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), LinkError>> {
        self.link()?.poll_ready(cx)
    }

    fn start_send(&mut self, message: bytes::Bytes) -> Result<(), LinkError> {
        self.link()?.start_send(message)
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), LinkError>> {
        self.link()?.poll_flush(cx)
    }

    fn poll_receive(&mut self, cx: &mut Context<'_>) -> Poll<Result<Received, LinkError>> {
        if self.cuts.poll_next_unpin(cx).is_ready() {
            self.link = None;
        }
        self.link()?.poll_receive(cx)
    }

    fn poll_close(&mut self, cx: &mut Context<'_>, frame: &CloseFrame) -> Poll<()> {
        match &mut self.link {
            Some(link) => link.poll_close(cx, frame),
            None => Poll::Ready(()),
        }
    }

    fn written(&self) -> u64 {
        self.link.as_ref().map_or(0, |link| link.written())
    }

    fn arriving(&self) -> Arriving {
        self.link.as_ref().map_or_else(Arriving::default, |link| link.arriving())
    }
}
