use std::io;
use std::sync::Arc;
use std::time::Duration;

use bowline_protocol::limits::Limits;
use bowline_runtime::{BoxFuture, timeout};
use http::{HeaderMap, HeaderName, HeaderValue};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, lookup_host};

use super::endpoint::Endpoint;
use super::tls::{InvalidCertificate, Trust};
use super::{Role, SocketLink, tune, upgrade};
use crate::{BoxLink, Connect, ConnectError};

/// Connects to `ws://` and `wss://` endpoints over TCP.
///
/// Offers the subprotocol `bowline.v1` and insists on it. `wss://` is encrypted by rustls and trusts the certificate
/// authorities that browsers trust; [`with_root_certificates`](Self::with_root_certificates) adds more. Redirects
/// are not followed (RFC 6455 section 4.1 leaves that open): they are an [`ConnectError::Upgrade`] like any other
/// status.
///
/// Looking up the host, connecting and upgrading may take 10 s together. Source: our choice, 10 to 15 s is usual.
#[derive(Debug, Clone)]
pub struct NativeConnector(Arc<Options>);

#[derive(Debug, Clone)]
struct Options {
    limits: Limits,
    headers: HeaderMap,
    trust: Trust,
    within: Duration,
}

impl NativeConnector {
    /// A connector with the default limits and 10 s for each attempt.
    pub fn new() -> Self {
        Self(Arc::new(Options {
            limits: Limits::default(),
            headers: HeaderMap::new(),
            trust: Trust::default(),
            within: Duration::from_secs(10),
        }))
    }

    /// Reads and writes messages up to the sizes in `limits`.
    #[must_use]
    pub fn with_limits(mut self, limits: &Limits) -> Self {
        self.options().limits = limits.clone();
        self
    }

    /// Sends one more header with each upgrade request: a token, an origin. Headers of the upgrade itself can't be
    /// replaced.
    #[must_use]
    pub fn with_header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        const OURS: [HeaderName; 7] = [
            http::header::HOST,
            http::header::CONNECTION,
            http::header::UPGRADE,
            http::header::SEC_WEBSOCKET_KEY,
            http::header::SEC_WEBSOCKET_VERSION,
            http::header::SEC_WEBSOCKET_PROTOCOL,
            http::header::SEC_WEBSOCKET_EXTENSIONS,
        ];
        if !OURS.contains(&name) {
            self.options().headers.append(name, value);
        }
        self
    }

    /// Trusts more certificate authorities, or a server's own certificate: all of a PEM file, or one in DER.
    ///
    /// # Errors
    ///
    /// [`InvalidCertificate`] when there is none in it.
    pub fn with_root_certificates(mut self, file: &[u8]) -> Result<Self, InvalidCertificate> {
        self.options().trust.add(file)?;
        Ok(self)
    }

    /// Gives each attempt at most `duration`.
    #[must_use]
    pub fn with_timeout(mut self, duration: Duration) -> Self {
        self.options().within = duration;
        self
    }

    fn options(&mut self) -> &mut Options {
        Arc::make_mut(&mut self.0)
    }
}

impl Default for NativeConnector {
    fn default() -> Self {
        Self::new()
    }
}

impl Connect for NativeConnector {
    fn connect(&self, endpoint: &str) -> BoxFuture<'static, Result<BoxLink, ConnectError>> {
        let endpoint = Endpoint::parse(endpoint);
        let options = self.0.clone();
        Box::pin(async move {
            let endpoint = endpoint?;
            let connecting = options.connect(&endpoint);
            timeout(options.within, connecting).await.unwrap_or(Err(ConnectError::Timeout))
        })
    }
}

impl Options {
    async fn connect(&self, endpoint: &Endpoint) -> Result<BoxLink, ConnectError> {
        let stream = reach(endpoint).await?;
        if endpoint.encrypted {
            let stream = self.trust.encrypt(stream, &endpoint.host).await?;
            self.upgrade(stream, endpoint).await
        } else {
            self.upgrade(stream, endpoint).await
        }
    }

    async fn upgrade<S>(&self, mut stream: S, endpoint: &Endpoint) -> Result<BoxLink, ConnectError>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let read = upgrade::upgrade(&mut stream, endpoint, &self.headers).await?;
        Ok(Box::new(SocketLink::from_partly_read(stream, read, Role::Client, &self.limits)))
    }
}

/// Tries the addresses of the host one after the other; the last failure counts.
async fn reach(endpoint: &Endpoint) -> Result<TcpStream, ConnectError> {
    let dns = |source| ConnectError::Dns { host: endpoint.host.clone(), source };
    let mut failure = dns(io::Error::new(io::ErrorKind::NotFound, "the name has no address"));
    for address in lookup_host((endpoint.host.as_str(), endpoint.port)).await.map_err(dns)? {
        match TcpStream::connect(address).await {
            Ok(stream) => {
                if let Err(error) = tune(&stream) {
                    tracing::debug!(%error, "socket options not set");
                }
                return Ok(stream);
            }
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
                failure = ConnectError::Refused(error);
            }
            Err(error) => failure = ConnectError::Unreachable(error),
        }
    }
    Err(failure)
}
