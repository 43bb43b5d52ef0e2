use std::future::poll_fn;
use std::time::Duration;

use bowline_protocol::envelope::SUBPROTOCOL;
use bowline_protocol::limits::Limits;
use bowline_runtime::{BoxFuture, timeout};

use super::endpoint::resolve;
use super::link::WebLink;
use super::socket::Socket;
use crate::{BoxLink, Connect, ConnectError};

/// Connects through the page's WebSocket.
///
/// The endpoint is a `ws://` or `wss://` URL, or a path like `/ws` on the server that the page came from, encrypted
/// if the page is. Offers the subprotocol `bowline.v1` and insists on it. An attempt may take 10 s.
///
/// A browser does not tell a page why a connection failed: that is [`ConnectError::Failed`].
#[derive(Debug, Clone)]
pub struct WebConnector {
    within: Duration,
}

impl WebConnector {
    /// A connector with 10 s for each attempt.
    pub fn new() -> Self {
        Self { within: Duration::from_secs(10) }
    }

    /// Does nothing: a browser has its own limits, and what leaves a page is cut to size before it gets here. So that
    /// a [`PlatformConnector`](crate::PlatformConnector) is made in the same way on every target.
    #[must_use]
    pub fn with_limits(self, _: &Limits) -> Self {
        self
    }

    /// Gives each attempt at most `duration`.
    #[must_use]
    pub fn with_timeout(mut self, duration: Duration) -> Self {
        self.within = duration;
        self
    }
}

impl Default for WebConnector {
    fn default() -> Self {
        Self::new()
    }
}

impl Connect for WebConnector {
    fn connect(&self, endpoint: &str) -> BoxFuture<'static, Result<BoxLink, ConnectError>> {
        let url = resolve(endpoint);
        let within = self.within;
        Box::pin(async move {
            // The constructor refuses what a page may not open: a plain socket from an encrypted page.
            let socket = Socket::new(&url?).map_err(|_| ConnectError::Failed)?;
            match timeout(within, poll_fn(|cx| socket.poll_open(cx))).await {
                Err(_) => Err(ConnectError::Timeout),
                Ok(false) => Err(ConnectError::Failed),
                Ok(true) if socket.raw.protocol() != SUBPROTOCOL => {
                    Err(ConnectError::Protocol("the server chose no subprotocol".into()))
                }
                Ok(true) => Ok(Box::new(WebLink::new(socket)) as BoxLink),
            }
        })
    }
}
