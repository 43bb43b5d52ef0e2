//! A link that writes down what crosses it.

use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use bowline::Server;
use bowline::transport::memory::{MemoryConnector, network};
use bowline::transport::{BoxLink, CloseFrame, Connect, ConnectError, Link, LinkError, Received};
use bowline_protocol::envelope::{Decoder, Envelope, Sequenced};
use bowline_runtime::BoxFuture;
use bytes::Bytes;

/// Both directions of one link, message by message.
#[derive(Debug, Clone, Default)]
pub(crate) struct Crossed(Arc<Mutex<Vec<Bytes>>>);

impl Crossed {
    /// The envelopes that carry payloads, in order, and nothing of before.
    pub(crate) fn take(&self) -> Vec<Sequenced> {
        let messages = std::mem::take(&mut *self.0.lock().unwrap());
        let envelopes = messages.into_iter().flat_map(Decoder::new).map(Result::unwrap);
        envelopes
            .filter_map(|envelope| match envelope {
                Envelope::Sequenced(_, sequenced) => Some(sequenced),
                _ => None,
            })
            .collect()
    }
}

/// A client of `server` over a link in memory, and what crosses it.
pub(crate) fn tapped(server: &Server) -> (bowline::Client, Crossed) {
    let (mut listener, connector) = network();
    let server = server.clone();
    tokio::spawn(async move {
        while let Some(link) = listener.accept().await {
            server.accept(link);
        }
    });
    let crossed = Crossed::default();
    let connector = Tapping(connector, crossed.clone());
    (bowline::Client::builder("memory").connector(connector).connect_lazy(), crossed)
}

struct Tapping(MemoryConnector, Crossed);

impl Connect for Tapping {
    fn connect(&self, endpoint: &str) -> BoxFuture<'static, Result<BoxLink, ConnectError>> {
        let (link, crossed) = (self.0.connect(endpoint), self.1.clone());
        Box::pin(async move { Ok(Box::new(Tap(link.await?, crossed)) as BoxLink) })
    }
}

struct Tap(BoxLink, Crossed);

impl Link for Tap {
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), LinkError>> {
        self.0.poll_ready(cx)
    }

    fn start_send(&mut self, message: Bytes) -> Result<(), LinkError> {
        self.1.0.lock().unwrap().push(message.clone());
        self.0.start_send(message)
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), LinkError>> {
        self.0.poll_flush(cx)
    }

    fn poll_receive(&mut self, cx: &mut Context<'_>) -> Poll<Result<Received, LinkError>> {
        let received = self.0.poll_receive(cx);
        if let Poll::Ready(Ok(Received::Binary(message))) = &received {
            self.1.0.lock().unwrap().push(message.clone());
        }
        received
    }

    fn poll_close(&mut self, cx: &mut Context<'_>, frame: &CloseFrame) -> Poll<()> {
        self.0.poll_close(cx, frame)
    }

    fn written(&self) -> u64 {
        self.0.written()
    }
}
