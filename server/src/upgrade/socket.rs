use std::time::Duration;

use bowline_protocol::limits::Limits;
use bowline_runtime::timeout;
use bowline_transport::native::{Role, SocketLink, tune};
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use hyper_util::server::conn::auto;
use tokio::net::TcpStream;

/// How long the HTTP server may take to hand the connection over. Source: the limit of every other stage of a connect.
const TIME: Duration = Duration::from_secs(10);

/// The connection under an upgraded request.
pub(crate) enum Socket {
    /// A TCP connection as hyper had it.
    Tcp(SocketLink<TcpStream>),
    /// Anything else, such as TLS.
    Other(SocketLink<TokioIo<Upgraded>>),
}

/// Waits until the answer to the upgrade is written and takes the connection over; `None` when it is gone.
pub(crate) async fn take(upgrading: OnUpgrade, limits: &Limits) -> Option<Socket> {
    let upgraded = match timeout(TIME, upgrading).await {
        Ok(Ok(upgraded)) => upgraded,
        Ok(Err(error)) => {
            tracing::debug!(%error, "upgrade failed");
            return None;
        }
        Err(_) => {
            tracing::debug!("upgrade took too long");
            return None;
        }
    };
    Some(match tcp(upgraded) {
        Ok((stream, read)) => {
            if let Err(error) = tune(&stream) {
                tracing::debug!(%error, "tuning the socket failed");
            }
            Socket::Tcp(SocketLink::from_partly_read(stream, read, Role::Server, limits))
        }
        Err(upgraded) => {
            Socket::Other(SocketLink::from_upgraded(TokioIo::new(upgraded), Role::Server, limits))
        }
    })
}

/// The TCP connection itself and what was read beyond the request: without hyper's boxes around it.
fn tcp(upgraded: Upgraded) -> Result<(TcpStream, Vec<u8>), Upgraded> {
    // hyper-util, and with it `axum::serve`, wraps the connection once more.
    let upgraded = match auto::upgrade::downcast::<TokioIo<TcpStream>>(upgraded) {
        // Copied: a link would keep all of the buffer that the request was read into.
        Ok(parts) => return Ok((parts.io.into_inner(), parts.read_buf.to_vec())),
        Err(upgraded) => upgraded,
    };
    let parts = upgraded.downcast::<TokioIo<TcpStream>>()?;
    Ok((parts.io.into_inner(), parts.read_buf.to_vec()))
}
