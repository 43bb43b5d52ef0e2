use std::time::Duration;

use bowline_protocol::codec::{Codec, DecodePayloadError};
use bowline_protocol::schema::{MethodDescriptor, ServiceDescriptor};
use bowline_protocol::session::Failure;
use bowline_protocol::status::{Code, Delivery, Status};

/// Why a call did not give its value. `E` is the method's own error.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CallError<E> {
    /// The handler ran and returned its own error.
    #[error("the method returned an error")]
    Application(#[source] E),
    /// The time was up.
    #[error("deadline exceeded: {0}")]
    DeadlineExceeded(Delivery),
    /// The call was withdrawn at the other end.
    #[error("the call was cancelled")]
    Cancelled,
    /// The arguments, or an item sent, could not be encoded, or the other end refused them.
    #[error("invalid argument: {0}")]
    InvalidArgument(String),
    /// The caller is not known.
    #[error("not authenticated: {0}")]
    Unauthenticated(String),
    /// The caller is known and may not do this.
    #[error("permission denied: {0}")]
    PermissionDenied(String),
    /// A limit was reached, here or at the other end.
    #[error("a limit was reached: {message}")]
    ResourceExhausted {
        /// Which one.
        message: String,
        /// How long to wait before another try, where that is known.
        retry_after: Option<Duration>,
    },
    /// There is no such service or method at the other end.
    #[error("not implemented at the other end: {0}")]
    Unimplemented(String),
    /// Not now; another try may succeed.
    #[error("not available: {message}")]
    Unavailable {
        /// Why.
        message: String,
        /// How long to wait before another try, where that is known.
        retry_after: Option<Duration>,
    },
    /// A bug at the other end.
    #[error("internal error at the other end, logged there as {id:016x}")]
    Internal {
        /// Leads to the entry in the other end's log.
        id: u64,
    },
    /// The two ends were built with incompatible versions of the method.
    #[error("the two ends have incompatible versions: {0}")]
    SchemaMismatch(String),
    /// The answer's bytes are not a value of the method's type.
    #[error("the answer could not be decoded: {0}")]
    InvalidResponse(String),
    /// The session was lost before the answer arrived; or the other end lost what it knew of an earlier try.
    #[error("the session was lost: {0}")]
    Disconnected(Delivery),
    /// This end was closed, or gave up connecting.
    #[error("the connection is closed")]
    Closed,
}

impl<E> CallError<E> {
    /// The kind of failure; `None` for the method's own error.
    pub fn code(&self) -> Option<Code> {
        Some(match self {
            Self::Application(_) => return None,
            Self::DeadlineExceeded(_) => Code::DeadlineExceeded,
            Self::Cancelled => Code::Cancelled,
            Self::InvalidArgument(_) => Code::InvalidArgument,
            Self::Unauthenticated(_) => Code::Unauthenticated,
            Self::PermissionDenied(_) => Code::PermissionDenied,
            Self::ResourceExhausted { .. } => Code::ResourceExhausted,
            Self::Unimplemented(_) => Code::Unimplemented,
            Self::Unavailable { .. } | Self::Disconnected(_) | Self::Closed => Code::Unavailable,
            Self::Internal { .. } | Self::InvalidResponse(_) => Code::Internal,
            Self::SchemaMismatch(_) => Code::SchemaMismatch,
        })
    }

    /// Whether the same call may be made again without running twice: it is certain that no handler ran.
    ///
    /// Only errors that carry a [`Delivery`] can be certain. `Unavailable` and `ResourceExhausted` can also be what a
    /// handler or a layer answered after the work was done.
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::DeadlineExceeded(delivery) | Self::Disconnected(delivery) => {
                *delivery != Delivery::OutcomeUnknown
            }
            _ => false,
        }
    }

    /// The method's own error, if that is what it is.
    pub fn application(self) -> Option<E> {
        match self {
            Self::Application(error) => Some(error),
            _ => None,
        }
    }

    pub(crate) fn from_ending(status: Status, ending: Ending) -> Self {
        match ending {
            Ending::Status => Self::from(status),
            Ending::DeadlineExceeded(delivery) => Self::DeadlineExceeded(delivery),
            Ending::Disconnected(delivery) => Self::Disconnected(delivery),
            Ending::Closed => Self::Closed,
            Ending::NoLink(Some(delivery)) => Self::DeadlineExceeded(delivery),
            Ending::NoLink(None) => Self::from(status),
        }
    }
}

impl<E> From<Status> for CallError<E> {
    fn from(status: Status) -> Self {
        let Status { code, message, detail } = status;
        let retry_after = (detail != 0).then(|| Duration::from_millis(detail));
        match code {
            Code::Cancelled => Self::Cancelled,
            Code::InvalidArgument => Self::InvalidArgument(message),
            // A status of this code comes from the other end or from a layer, which know no more than that.
            Code::DeadlineExceeded => Self::DeadlineExceeded(Delivery::OutcomeUnknown),
            Code::PermissionDenied => Self::PermissionDenied(message),
            Code::Unauthenticated => Self::Unauthenticated(message),
            Code::ResourceExhausted => Self::ResourceExhausted { message, retry_after },
            Code::Lagged => Self::ResourceExhausted { message, retry_after: None },
            Code::Unimplemented => Self::Unimplemented(message),
            Code::Unavailable => Self::Unavailable { message, retry_after },
            Code::SchemaMismatch => Self::SchemaMismatch(message),
            Code::OutcomeUnknown => Self::Disconnected(Delivery::OutcomeUnknown),
            _ => Self::Internal { id: detail },
        }
    }
}

/// What a stream gives instead of an item.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StreamError<E> {
    /// Items are missing at this place; the stream goes on behind them.
    #[error("{}", missing(*.missed))]
    Gap {
        /// How many. `None` where nobody knows, perhaps none at all: the stream was lost, with its session or because
        /// its reader was too slow, and starts anew here.
        missed: Option<u64>,
    },
    /// This reader was too slow for a source that can't wait; the stream is over. A client's stream is then subscribed
    /// again by itself and shows this only where that would change nothing.
    #[error("the reader was too slow and missed {missed} items")]
    Lagged {
        /// How many items were left out at the end.
        missed: u64,
    },
    /// The stream failed and is over.
    #[error("the stream failed")]
    Failed(#[source] CallError<E>),
}

impl<E> StreamError<E> {
    pub(crate) fn from_ending(status: Status, ending: Ending) -> Self {
        match (ending, status.code) {
            (Ending::Status, Code::Lagged) => Self::Lagged { missed: status.detail },
            (ending, _) => Self::Failed(CallError::from_ending(status, ending)),
        }
    }
}

fn missing(missed: Option<u64>) -> String {
    match missed {
        Some(missed) => format!("{missed} items are missing"),
        None => "items may be missing".to_owned(),
    }
}

/// What is known about a failure beyond its status.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ending {
    Status,
    DeadlineExceeded(Delivery),
    Disconnected(Delivery),
    Closed,
    /// A status, or a deadline with what is known of the delivery, while there was no live session.
    NoLink(Option<Delivery>),
}

/// Splits what the session says; `Err` is the method's own error, still encoded.
pub(crate) fn split(failure: Failure) -> Result<(Status, Ending), (Codec, bowline_protocol::codec::Buffer)> {
    Ok(match failure {
        Failure::Application(codec, buffer) => return Err((codec, buffer)),
        Failure::Status(status) => (status, Ending::Status),
        Failure::DeadlineExceeded(delivery) => (
            Status::new(Code::DeadlineExceeded, "the deadline has passed"),
            Ending::DeadlineExceeded(delivery),
        ),
        Failure::Disconnected(delivery) => {
            (Status::new(Code::Unavailable, "the session was lost"), Ending::Disconnected(delivery))
        }
        Failure::Closed => (Status::new(Code::Unavailable, "the connection is closed"), Ending::Closed),
    })
}

/// Names a method, in messages for people and as metrics and spans do.
pub(crate) fn name(service: &ServiceDescriptor, method: &MethodDescriptor) -> String {
    format!("{}/{}", service.name, method.name)
}

/// The status for bytes from a caller that are not what the method takes. JSON is spoken only where the ends differ.
pub(crate) fn undecodable(codec: Codec, what: &str, method: &str, error: &DecodePayloadError) -> Status {
    tracing::debug!(rpc.method = method, error = error as &dyn std::error::Error, "payload refused");
    match codec {
        Codec::Rkyv => {
            Status::new(Code::InvalidArgument, format!("the {what} of `{method}` could not be decoded"))
        }
        Codec::Json => Status::new(
            Code::SchemaMismatch,
            format!("the two ends differ too much: the {what} of `{method}` can't be read"),
        ),
    }
}

/// The error for bytes from a callee that are not what the method gives.
pub(crate) fn unreadable<E>(
    codec: Codec,
    what: &str,
    method: &str,
    error: &DecodePayloadError,
) -> CallError<E> {
    tracing::warn!(rpc.method = method, error = error as &dyn std::error::Error, "answer can't be decoded");
    match codec {
        Codec::Rkyv => CallError::InvalidResponse(format!("the {what} of `{method}`")),
        Codec::Json => CallError::SchemaMismatch(format!(
            "the two ends differ too much: the {what} of `{method}` can't be read"
        )),
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use super::*;

    /// `Unavailable` once counted too, although a layer may say so after the handler ran.
    #[test]
    fn only_a_call_that_certainly_did_not_run_is_retryable() {
        let retryable = |error: CallError<Infallible>| error.is_retryable();
        for delivery in [Delivery::NotSent, Delivery::NotExecuted] {
            assert!(retryable(CallError::Disconnected(delivery)));
            assert!(retryable(CallError::DeadlineExceeded(delivery)));
        }
        assert!(!retryable(CallError::Disconnected(Delivery::OutcomeUnknown)));
        assert!(!retryable(CallError::DeadlineExceeded(Delivery::OutcomeUnknown)));
        for code in
            [Code::Unavailable, Code::ResourceExhausted, Code::Lagged, Code::Internal, Code::Cancelled]
        {
            assert!(!retryable(Status::new(code, "said by somebody").into()), "{code}");
        }
    }

    #[test]
    fn the_methods_own_error_is_the_source_and_is_not_said_twice() {
        use std::error::Error as _;
        let own = "x".parse::<u8>().unwrap_err();
        let error = CallError::Application(own.clone());
        assert!(!error.to_string().contains(&own.to_string()), "{error}");
        assert_eq!(error.source().unwrap().to_string(), own.to_string());
        let failed = StreamError::Failed(error);
        assert_eq!(failed.source().unwrap().source().unwrap().to_string(), own.to_string());
    }

    #[test]
    fn a_callee_that_cannot_know_what_became_of_a_call_reads_as_a_lost_session() {
        let error: CallError<Infallible> = Status::new(Code::OutcomeUnknown, "restarted").into();
        assert_eq!(error, CallError::Disconnected(Delivery::OutcomeUnknown));
    }
}
