//! Making links.

use std::error::Error;

use bowline_runtime::{BoxFuture, MaybeSend, MaybeSync};

use crate::BoxLink;

/// Makes links to an endpoint.
///
/// The future does everything that a link needs before its first message, within a time limit of its own. Dropping
/// it gives the attempt up.
pub trait Connect: MaybeSend + MaybeSync + 'static {
    /// Connects to `endpoint`, for sockets a URL like `ws://127.0.0.1:3000/ws`.
    fn connect(&self, endpoint: &str) -> BoxFuture<'static, Result<BoxLink, ConnectError>>;
}

impl<C: Connect + ?Sized> Connect for std::sync::Arc<C>
where
    std::sync::Arc<C>: MaybeSend + MaybeSync,
{
    fn connect(&self, endpoint: &str) -> BoxFuture<'static, Result<BoxLink, ConnectError>> {
        (**self).connect(endpoint)
    }
}

impl<C: Connect + ?Sized> Connect for Box<C> {
    fn connect(&self, endpoint: &str) -> BoxFuture<'static, Result<BoxLink, ConnectError>> {
        (**self).connect(endpoint)
    }
}

/// The connector that fits the target: tokio's sockets natively, the page's WebSocket in a browser.
#[cfg(not(target_arch = "wasm32"))]
pub type PlatformConnector = crate::native::NativeConnector;
/// The connector that fits the target: tokio's sockets natively, the page's WebSocket in a browser.
#[cfg(target_arch = "wasm32")]
pub type PlatformConnector = crate::web::WebConnector;

/// Why an attempt to connect failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// The endpoint is not a URL that this connector understands. Trying again does not help.
    #[error("`{endpoint}` is no endpoint: {problem}")]
    Endpoint {
        /// What was given.
        endpoint: String,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// The name of the host is not known.
    #[error("the host `{host}` was not found")]
    Dns {
        /// The name.
        host: String,
        /// What the resolver said.
        #[source]
        source: std::io::Error,
    },
    /// The host answers, and nothing listens at the port.
    #[error("connection refused")]
    Refused(#[source] std::io::Error),
    /// The connection could not be made or broke on the way.
    #[error("the endpoint can't be reached")]
    Unreachable(#[source] std::io::Error),
    /// No encrypted connection came about; mostly a certificate that is not trusted.
    #[error("no encrypted connection")]
    Tls(#[source] std::io::Error),
    /// The server answered the upgrade with an HTTP error.
    #[error("the server refused the upgrade with status {status}: {message}")]
    Upgrade {
        /// The HTTP status.
        status: u16,
        /// The sentence in the response's body, or the status in words.
        message: String,
    },
    /// The server answered with something that is no WebSocket, or not the subprotocol that was asked for.
    #[error("the server does not speak `bowline.v1`")]
    Protocol(#[source] Box<dyn Error + Send + Sync>),
    /// Connecting and upgrading took longer than allowed.
    #[error("no connection in time")]
    Timeout,
    /// The browser could not connect; it tells pages no more than that.
    #[error("the browser could not connect (its console may say why)")]
    Failed,
}

impl ConnectError {
    /// Whether the next attempt will fail in the same way unless somebody changes the endpoint.
    pub fn is_permanent(&self) -> bool {
        matches!(self, Self::Endpoint { .. })
    }
}
