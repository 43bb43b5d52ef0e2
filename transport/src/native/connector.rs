use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bowline_protocol::limits::Limits;
use bowline_runtime::{BoxFuture, timeout};
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use http::{HeaderMap, HeaderName, HeaderValue};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, lookup_host};

use super::endpoint::Endpoint;
use super::tls::{InvalidCertificate, Trust};
use super::{Role, SocketLink, tune, upgrade};
use crate::{BoxLink, Connect, ConnectError};

/// How long an address may keep the next one waiting (RFC 8305 section 5).
const HEAD_START: Duration = Duration::from_millis(250);

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

async fn reach(endpoint: &Endpoint) -> Result<TcpStream, ConnectError> {
    let dns = |source| ConnectError::Dns { host: endpoint.host.clone(), source };
    let addresses = lookup_host((endpoint.host.as_str(), endpoint.port)).await.map_err(dns)?;
    match race(addresses.collect(), TcpStream::connect).await {
        Ok(stream) => {
            if let Err(error) = tune(&stream) {
                tracing::debug!(%error, "socket options not set");
            }
            Ok(stream)
        }
        Err(None) => Err(dns(io::Error::new(io::ErrorKind::NotFound, "the name has no address"))),
        Err(Some(error)) if error.kind() == io::ErrorKind::ConnectionRefused => {
            Err(ConnectError::Refused(error))
        }
        Err(Some(error)) => Err(ConnectError::Unreachable(error)),
    }
}

/// Tries the addresses of a host in their order, each with a head start on the next; the first connection wins, and
/// the last failure counts. An address whose packets vanish would otherwise take all of the time there is.
async fn race<T, F: Future<Output = io::Result<T>>>(
    addresses: Vec<SocketAddr>,
    connect: impl Fn(SocketAddr) -> F,
) -> Result<T, Option<io::Error>> {
    let mut waiting = addresses.into_iter();
    let mut tries = FuturesUnordered::new();
    let mut failure = None;
    loop {
        if let Some(address) = waiting.next() {
            tries.push(connect(address));
        }
        let tried =
            if waiting.len() > 0 { timeout(HEAD_START, tries.next()).await } else { Ok(tries.next().await) };
        match tried {
            Ok(Some(Ok(connection))) => return Ok(connection),
            Ok(Some(Err(error))) => failure = Some(error),
            Ok(None) => return Err(failure),
            // The next one may run beside those that have not answered.
            Err(_) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::{pending, ready};

    use super::*;

    /// Ports stand for what happens: 1 never answers, 2 refuses, any other connects.
    async fn connect(address: SocketAddr) -> io::Result<u16> {
        match address.port() {
            1 => pending().await,
            2 => ready(Err(io::ErrorKind::ConnectionRefused.into())).await,
            port => Ok(port),
        }
    }

    /// Who won, and after how many milliseconds.
    async fn outcome(ports: &[u16]) -> (Result<u16, Option<io::ErrorKind>>, u128) {
        let addresses = ports.iter().map(|port| SocketAddr::from(([127, 0, 0, 1], *port))).collect();
        let start = bowline_runtime::now();
        let result = race(addresses, connect).await.map_err(|error| error.map(|error| error.kind()));
        (result, (bowline_runtime::now() - start).as_millis())
    }

    #[tokio::test(start_paused = true)]
    async fn an_address_that_never_answers_costs_a_head_start() {
        assert_eq!(outcome(&[3, 4]).await, (Ok(3), 0));
        assert_eq!(outcome(&[1, 4]).await, (Ok(4), 250));
        assert_eq!(outcome(&[1, 1, 5]).await, (Ok(5), 500));
    }

    #[tokio::test(start_paused = true)]
    async fn an_address_that_refuses_costs_nothing() {
        assert_eq!(outcome(&[2, 4]).await, (Ok(4), 0));
        assert_eq!(outcome(&[2, 2]).await, (Err(Some(io::ErrorKind::ConnectionRefused)), 0));
        assert_eq!(outcome(&[]).await, (Err(None), 0));
    }
}
