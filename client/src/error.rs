use bowline_protocol::status::CloseCode;
use bowline_rpc::BoxError;
use bowline_transport::ConnectError;

/// Why [`Builder::connect`](crate::Builder::connect) gave no client.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectFailed {
    /// Whoever was asked for credentials had none.
    #[error("no credentials")]
    NoCredentials(#[source] BoxError),
    /// No link could be made: nobody listens there, the name is not known, no WebSocket was spoken.
    #[error("no link could be made")]
    NoLink(#[source] ConnectError),
    /// The other end closed the link before it said welcome.
    #[error("the connection was refused: {code} {reason}")]
    Refused {
        /// The close code.
        code: CloseCode,
        /// What the other end said about it; may be empty.
        reason: String,
    },
    /// The link was lost before the other end said welcome.
    #[error("the link was lost before the session was live")]
    Lost,
    /// The credentials, the link, or the welcome on it took too long: each has 10 s, the welcome what `Timing::hello` says.
    #[error("no live session in time")]
    TimedOut,
    /// The client was closed in the meantime.
    #[error("the client was closed")]
    Closed,
}
