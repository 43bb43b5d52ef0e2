use std::fmt;
use std::future::poll_fn;
use std::pin::Pin;

use bowline_protocol::session::CallId;
use bowline_protocol::status::{Code, Status};
use bowline_runtime::{Task, spawn};
use futures_core::Stream;

use super::Item;
use super::pump::{Gathering, Outgoing, PumpEnd, poll_items};
use crate::peer::Peer;

/// The stream that a caller sends with its call.
pub struct Upload(Pin<Box<dyn Outgoing + Send>>);

impl Upload {
    /// Takes a stream; it is not polled before its call is sent and has credit.
    pub fn new<S>(stream: S) -> Self
    where
        S: Stream + Send + 'static,
        S::Item: Item,
    {
        Self(Box::pin(stream))
    }

    /// Sends it beside its call, which owns the task.
    pub(crate) fn spawn(self, peer: Peer, call: CallId, method: String) -> Task {
        let Self(mut stream) = self;
        spawn(async move {
            let mut gathering = Gathering::default();
            let items = poll_fn(|cx| poll_items(stream.as_mut(), cx, &peer, call, None, &mut gathering));
            let why = match items.await {
                PumpEnd::Over => return peer.send_end(call),
                PumpEnd::Error(_) => "ended with an error".to_owned(),
                PumpEnd::Unencodable(cause) => format!("gave an item that can't be encoded: {cause}"),
            };
            let message = format!("the stream sent with `{method}` {why}");
            peer.fail(call, Status::new(Code::InvalidArgument, message));
        })
    }
}

impl fmt::Debug for Upload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Upload").finish_non_exhaustive()
    }
}
