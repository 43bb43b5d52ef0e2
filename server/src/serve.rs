use std::any::Any;
use std::convert::Infallible;
use std::fmt;
use std::future::{Future, IntoFuture};
use std::net::SocketAddr;
use std::pin::pin;
use std::time::Duration;

use axum::extract::ConnectInfo;
use axum::serve::Listener;
use bowline_runtime::{BoxFuture, timeout};
use futures_util::future::{Either, select};
use http::header::CONNECTION;
use http::{HeaderValue, Request, StatusCode};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::task::JoinSet;

use crate::server::Server;

/// Serves `server` on `listener`, at every path, without a web framework around it.
///
/// It differs from `axum::serve` in its time limit for requests: a connection that has not sent the whole headers of
/// a request within 10 s is closed. (Further stages, such as an upgrade without a hello, have the limits of
/// [`Timing`](bowline_protocol::limits::Timing) however the server is mounted.)
///
/// The future never ends by itself; dropping it stops accepting and ends requests under way, while sessions live as
/// long as `server` and its clones. [`with_graceful_shutdown`](Serve::with_graceful_shutdown) ends it in order.
///
/// # Examples
///
/// ```
/// # async fn example() -> std::io::Result<()> {
/// use bowline_server::{Server, serve};
///
/// let server = Server::builder().build();
/// let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
/// serve(listener, server).with_graceful_shutdown(async { /* wait for a signal */ }).await;
/// # Ok(())
/// # }
/// # tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(example())?;
/// # Ok::<(), std::io::Error>(())
/// ```
pub fn serve<L: Listener>(listener: L, server: Server) -> Serve<L> {
    Serve { listener, server, signal: None }
}

/// What [`serve`] returns: await it.
#[must_use = "nothing is served until it is awaited"]
pub struct Serve<L> {
    listener: L,
    server: Server,
    signal: Option<BoxFuture<'static, ()>>,
}

impl<L: Listener> Serve<L> {
    /// Ends some time after `signal` does, in order: the server [drains](Server::drain), still taking connections that go
    /// on with a session, then the port is closed, and what is left is [shut down](Server::shutdown).
    pub fn with_graceful_shutdown(mut self, signal: impl Future<Output = ()> + Send + 'static) -> Self {
        self.signal = Some(Box::pin(signal));
        self
    }

    async fn run(self) {
        let Self { mut listener, server, signal } = self;
        let mut signal: BoxFuture<'static, ()> = match signal {
            Some(signal) => {
                let server = server.clone();
                Box::pin(async move {
                    signal.await;
                    server.drain().await;
                })
            }
            None => Box::pin(std::future::pending()),
        };
        // Dropped with this future, and with it every request under way.
        let mut requests = JoinSet::new();
        loop {
            while requests.try_join_next().is_some() {}
            // A full house accepts no more until a request ends: the kernel's queue is bounded too.
            if requests.len() >= REQUESTS {
                if let Either::Right(_) = select(pin!(requests.join_next()), &mut signal).await {
                    break;
                }
                continue;
            }
            match select(pin!(listener.accept()), &mut signal).await {
                Either::Left(((io, address), _)) => {
                    let address = (&address as &dyn Any).downcast_ref().copied();
                    drop(requests.spawn(request(io, address, server.clone())));
                }
                Either::Right(_) => break,
            }
        }
        drop(listener);
        server.shutdown().await;
    }
}

impl<L: Listener> IntoFuture for Serve<L> {
    type Output = ();
    type IntoFuture = BoxFuture<'static, ()>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.run())
    }
}

impl<L: fmt::Debug> fmt::Debug for Serve<L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Serve")
            .field("listener", &self.listener)
            .field("server", &self.server)
            .finish_non_exhaustive()
    }
}

/// Connections that have not become links yet. Source: our choice; what a port can collect in 10 s of silence at 400
/// connections per second.
const REQUESTS: usize = 4096;

/// Time for the headers of a request. Source: other servers give 10 to 15 s.
const HEADERS: Duration = Duration::from_secs(10);

/// Time for the whole of it: headers, telling who is calling (10 s at most), and some for the answer to leave.
const WHOLE: Duration = Duration::from_secs(22);

/// Reads requests from one connection until it becomes a link or ends.
async fn request<I>(io: I, address: Option<SocketAddr>, server: Server)
where
    I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let answer = service_fn(move |mut request: Request<Incoming>| {
        let server = server.clone();
        async move {
            if let Some(address) = address {
                request.extensions_mut().insert(ConnectInfo(address));
            }
            let mut response = server.answer(request).await;
            // Who is not upgraded has nothing more to ask here. (hyper's own setting would also change the upgrade.)
            if response.status() != StatusCode::SWITCHING_PROTOCOLS {
                response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
            }
            Ok::<_, Infallible>(response)
        }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADERS)
        .serve_connection(TokioIo::new(io), answer)
        .with_upgrades();
    match timeout(WHOLE, connection).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::debug!(%error, "connection failed before it became a link"),
        Err(_) => tracing::debug!("connection took too long to become a link"),
    }
}
