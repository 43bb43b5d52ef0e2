use std::pin::Pin;
use std::task::{Context, Poll};

use bowline_protocol::codec::{Codec, EncodeError};
use bowline_protocol::session::CallId;
use bytes::Bytes;
use futures_core::Stream;

use super::{Encoded, Item};
use crate::peer::Peer;
use crate::topic::Notices;

/// What one poll of a stream may encode before others get their turn: 32 KiB, half a message.
const SHARE: usize = 32 * 1024;

/// What one poll of a watch may take from its source before it sends the newest: 64 values, as inline handlers.
const VALUES: usize = 64;

/// How a stream ended that was being sent.
#[derive(Debug)]
pub(crate) enum PumpEnd {
    /// It gave its last item.
    Over,
    /// It gave the method's own error as its last item.
    Error(Bytes),
    /// An item can't be encoded.
    Unencodable(EncodeError),
}

/// A stream whose items are asked for in a codec.
pub(crate) trait Outgoing {
    fn poll_encoded(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        codec: Codec,
    ) -> Poll<Option<Result<Encoded, EncodeError>>>;
}

impl<S: Stream> Outgoing for S
where
    S::Item: Item,
{
    fn poll_encoded(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        codec: Codec,
    ) -> Poll<Option<Result<Encoded, EncodeError>>> {
        self.poll_next(cx).map(|item| item.map(|item| item.encode(codec)))
    }
}

/// Sends items while there are some and credit lasts; the stream is not polled without.
pub(crate) fn poll_items<S: Outgoing + ?Sized>(
    mut stream: Pin<&mut S>,
    cx: &mut Context<'_>,
    peer: &Peer,
    call: CallId,
    notices: Option<&Notices>,
) -> Poll<PumpEnd> {
    let mut sent = 0;
    while sent < SHARE {
        let codec = std::task::ready!(peer.poll_capacity(cx, call));
        let item = std::task::ready!(stream.as_mut().poll_encoded(cx, codec));
        if let Some(missed) = notices.and_then(Notices::take_gap) {
            peer.send_gap(call, missed);
        }
        match item {
            None => return Poll::Ready(PumpEnd::Over),
            Some(Ok(Encoded::Value(bytes))) => {
                sent += bytes.len() + 1;
                peer.send_item(call, bytes);
            }
            Some(Ok(Encoded::Error(bytes))) => return Poll::Ready(PumpEnd::Error(bytes)),
            Some(Err(error)) => return Poll::Ready(PumpEnd::Unencodable(error)),
        }
    }
    cx.waker().wake_by_ref();
    Poll::Pending
}

/// Keeps a watch at the newest value that its source has; values in between are never encoded.
pub(crate) fn poll_values<S>(
    mut stream: Pin<&mut S>,
    cx: &mut Context<'_>,
    peer: &Peer,
    call: CallId,
    codec: Codec,
) -> Poll<PumpEnd>
where
    S: Stream,
    S::Item: Item,
{
    let mut newest = None;
    let mut over = None;
    for taken in 0..=VALUES {
        if taken == VALUES {
            cx.waker().wake_by_ref();
            break;
        }
        match stream.as_mut().poll_next(cx) {
            Poll::Ready(Some(value)) => newest = Some(value),
            Poll::Ready(None) => {
                over = Some(PumpEnd::Over);
                break;
            }
            Poll::Pending => break,
        }
    }
    match newest.map(|value| value.encode(codec)) {
        None => {}
        Some(Ok(Encoded::Value(bytes))) => peer.set_watch(call, bytes),
        Some(Ok(Encoded::Error(bytes))) => over = Some(PumpEnd::Error(bytes)),
        Some(Err(error)) => over = Some(PumpEnd::Unencodable(error)),
    }
    over.map_or(Poll::Pending, Poll::Ready)
}
