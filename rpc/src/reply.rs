use std::fmt;

use bowline_protocol::codec::{Buffer, Codec, Output, Payload, encoded_alone};
use bowline_protocol::session::Failure;
use bowline_protocol::status::{Delivery, Status};

use crate::boxed;
use crate::client::Opened;
use crate::error::{Ending, split};
use crate::stream::{Body, StreamEnd};

/// How one call ended, or that its stream is open: what tower layers see coming back.
///
/// The value stays encoded. A layer that answers by itself returns [`Reply::from`] a [`Status`], or its own error.
pub struct Reply(pub(crate) Outcome);

pub(crate) enum Outcome {
    /// The value of a unary call or client stream.
    Value(Codec, Buffer),
    /// The method's own error.
    Application(Codec, Buffer),
    /// Bowline's own word.
    Failed(Status, Ending),
    /// At the callee: the handler accepted the stream, and this gives the items.
    Body(Box<Body>),
    /// At the caller: the stream is open.
    Opened(Box<Opened>),
    /// A one-way call was taken.
    Done,
}

impl Reply {
    /// Bowline's own word on the call, when that is what it ended with.
    pub fn status(&self) -> Option<&Status> {
        match &self.0 {
            Outcome::Failed(status, _) => Some(status),
            _ => None,
        }
    }

    /// Whether the call failed because of this end's own link, which says nothing about the service behind it: it never
    /// left this end, its session was lost, this end was closed, or there was no live session when it failed.
    pub fn is_link_failure(&self) -> bool {
        use Ending::{Closed, DeadlineExceeded, Disconnected, NoLink};
        let Outcome::Failed(_, ending) = &self.0 else { return false };
        matches!(ending, Disconnected(_) | Closed | NoLink(_) | DeadlineExceeded(Delivery::NotSent))
    }

    /// Marks a failure that came while there was no live session.
    pub(crate) fn without_link(mut self) -> Self {
        if let Outcome::Failed(_, ending) = &mut self.0 {
            match *ending {
                Ending::Status => *ending = Ending::NoLink(None),
                Ending::DeadlineExceeded(delivery) => *ending = Ending::NoLink(Some(delivery)),
                Ending::Disconnected(_) | Ending::Closed | Ending::NoLink(_) => {}
            }
        }
        self
    }

    /// Whether the handler returned its own error.
    pub fn is_application_error(&self) -> bool {
        matches!(self.0, Outcome::Application(..))
    }

    /// Whether the call succeeded so far: it gave its value, its stream is open, or it was taken.
    pub fn is_ok(&self) -> bool {
        !matches!(self.0, Outcome::Application(..) | Outcome::Failed(..))
    }

    /// Whether a stream is open; how that ends is not known yet.
    pub fn is_stream(&self) -> bool {
        matches!(self.0, Outcome::Body(_) | Outcome::Opened(_))
    }

    /// The length of the encoded value or error in bytes; 0 where there is none.
    pub fn payload_len(&self) -> usize {
        match &self.0 {
            Outcome::Value(_, buffer) | Outcome::Application(_, buffer) => buffer.len(),
            _ => 0,
        }
    }

    /// Calls `hook` when the call has ended: at once, or, where a stream is open, when that ends or is dropped.
    #[must_use]
    pub fn on_end(mut self, hook: impl FnOnce(&StreamEnd) + Send + 'static) -> Self {
        match &mut self.0 {
            Outcome::Value(..) | Outcome::Done => hook(&StreamEnd::Over),
            Outcome::Application(..) => hook(&StreamEnd::Application),
            Outcome::Failed(status, _) => {
                // Lent, since hooks are called for every call that fails.
                let lent = std::mem::replace(status, Status::new(status.code, ""));
                let end = StreamEnd::Status(lent);
                hook(&end);
                if let StreamEnd::Status(lent) = end {
                    *status = lent;
                }
            }
            Outcome::Body(body) => body.hooks.push(hook),
            Outcome::Opened(opened) => opened.hooks.push(hook),
        }
        self
    }

    /// Runs what is left of the handler, the making of a stream's items, inside `span`. Does nothing at the caller.
    #[must_use]
    pub fn instrument(mut self, span: tracing::Span) -> Self {
        if let Outcome::Body(body) = &mut self.0 {
            body.hooks.instrument(span);
        }
        self
    }

    /// Encodes what a handler returned.
    pub(crate) fn output<R: Output>(codec: Codec, method: &dyn Fn() -> String, output: R) -> Self {
        match output.into_result() {
            Ok(value) => {
                encode(codec, method, &value).map_or_else(Self::from, |b| Self(Outcome::Value(codec, b)))
            }
            Err(error) => Self::application(codec, method, &error),
        }
    }

    pub(crate) fn application<E: Payload>(codec: Codec, method: &dyn Fn() -> String, error: &E) -> Self {
        encode(codec, method, error).map_or_else(Self::from, |b| Self(Outcome::Application(codec, b)))
    }

    pub(crate) fn failed(failure: Failure) -> Self {
        Self(match split(failure) {
            Ok((status, ending)) => Outcome::Failed(status, ending),
            Err((codec, buffer)) => Outcome::Application(codec, buffer),
        })
    }
}

impl From<Status> for Reply {
    fn from(status: Status) -> Self {
        Self(Outcome::Failed(status, Ending::Status))
    }
}

impl fmt::Debug for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Outcome::Value(codec, buffer) => write!(f, "Reply::Value({codec:?}, {} bytes)", buffer.len()),
            Outcome::Application(codec, buffer) => {
                write!(f, "Reply::Application({codec:?}, {} bytes)", buffer.len())
            }
            Outcome::Failed(status, _) => write!(f, "Reply::Failed({status})"),
            Outcome::Body(_) | Outcome::Opened(_) => f.write_str("Reply::Stream"),
            Outcome::Done => f.write_str("Reply::Done"),
        }
    }
}

/// A value that can't be encoded is a bug of this end: its cause goes to the log.
fn encode<T: Payload>(codec: Codec, method: &dyn Fn() -> String, value: &T) -> Result<Buffer, Status> {
    let bytes = encoded_alone(codec, value).map_err(|error| {
        let method = method();
        boxed::internal("an answer can't be encoded", &method, &error)
    })?;
    Ok(Buffer::Small(bytes))
}
