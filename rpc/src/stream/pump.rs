use std::pin::Pin;
use std::task::{Context, Poll};

use bowline_protocol::codec::{Codec, EncodeError};
use bowline_protocol::session::{CallId, Run};
use bytes::Bytes;
use futures_core::Stream;

use super::item::COPIED;
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

/// A stream whose items are asked for encoded.
pub(crate) trait Outgoing {
    /// Encodes the next item behind those of `run`, unless it is to stand alone. Says how many are missing in front of it.
    fn poll_encoded(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        run: &mut Run,
        gaps: Option<Gaps<'_>>,
    ) -> Poll<Option<(Option<u64>, Next)>>;
}

/// What a stream is told to be missing.
#[derive(Clone, Copy)]
pub(crate) struct Gaps<'a> {
    peer: &'a Peer,
    notices: &'a Notices,
}

impl Gaps<'_> {
    /// Mostly nothing was ever missing in the whole session, which is known without a look at this call's notices.
    fn take(self) -> Option<u64> {
        if self.peer.has_gaps() { self.notices.take_gap() } else { None }
    }
}

/// What a stream gave.
pub(crate) enum Next {
    /// The item is in the run.
    Added,
    /// Items are missing in front of it, or others share it: it comes behind the run.
    Alone(Bytes),
    /// The method's own error.
    Error(Bytes),
    /// It can't be encoded.
    Unencodable(EncodeError),
}

impl<S: Stream> Outgoing for S
where
    S::Item: Item,
{
    #[inline]
    fn poll_encoded(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        run: &mut Run,
        gaps: Option<Gaps<'_>>,
    ) -> Poll<Option<(Option<u64>, Next)>> {
        let Some(item) = std::task::ready!(self.poll_next(cx)) else { return Poll::Ready(None) };
        let codec = run.codec();
        let missed = gaps.and_then(Gaps::take);
        let mut next = Next::Added;
        let encode = |out: &mut Vec<u8>| {
            next = match item.encode(codec, out) {
                Ok(Encoded::Appended) => return true,
                Ok(Encoded::Shared(item)) => Next::Alone(item),
                Ok(Encoded::Error(bytes)) => Next::Error(bytes),
                Err(error) => Next::Unencodable(error),
            };
            false
        };
        if missed.is_none() {
            run.push(encode);
            next = match next {
                Next::Alone(item) if item.len() <= COPIED => {
                    run.share(item);
                    Next::Added
                }
                next => next,
            };
        } else {
            let mut apart = Vec::new();
            if encode(&mut apart) {
                next = Next::Alone(apart.into());
            }
        }
        Poll::Ready(Some((missed, next)))
    }
}

/// What a stream's items are gathered in, with the credit that is left from one poll to the next.
#[derive(Default)]
pub(crate) struct Gathering {
    run: Run,
    /// The link on which the run has begun.
    link: Option<u32>,
}

impl Gathering {
    /// Looks for credit, unless there is some that still holds.
    fn begin(&mut self, cx: &Context<'_>, peer: &Peer, call: CallId) -> bool {
        let link = Some(peer.link());
        if self.link != link {
            self.link = link.filter(|_| peer.begin_run(cx, call, &mut self.run));
        }
        self.link.is_some()
    }
}

/// Sends items while there are some and credit lasts; the stream is not polled without. What is ready goes together.
pub(crate) fn poll_items<S: Outgoing + ?Sized>(
    mut stream: Pin<&mut S>,
    cx: &mut Context<'_>,
    peer: &Peer,
    call: CallId,
    notices: Option<&Notices>,
    gathering: &mut Gathering,
) -> Poll<PumpEnd> {
    let gaps = notices.map(|notices| Gaps { peer, notices });
    let mut sent = 0;
    while sent < SHARE {
        if !gathering.begin(cx, peer, call) {
            return Poll::Pending;
        }
        let filling = Filling { peer, call, gathering };
        let run = &mut filling.gathering.run;
        let next = loop {
            if !run.has_room() || sent + run.bytes() >= SHARE {
                break Poll::Ready(Some((None, Next::Added)));
            }
            match stream.as_mut().poll_encoded(cx, run, gaps) {
                Poll::Ready(Some((_, Next::Added))) => sent += 1,
                next => break next,
            }
        };
        sent += run.bytes();
        drop(filling);
        let Some((missed, next)) = std::task::ready!(next) else {
            if let Some(missed) = gaps.and_then(Gaps::take) {
                peer.send_gap(call, missed);
            }
            return Poll::Ready(PumpEnd::Over);
        };
        if let Some(missed) = missed {
            peer.send_gap(call, missed);
        }
        match next {
            Next::Added => {}
            Next::Alone(item) => {
                sent += item.len() + 1;
                peer.send_item(call, item);
                gathering.link = None;
            }
            Next::Error(bytes) => return Poll::Ready(PumpEnd::Error(bytes)),
            Next::Unencodable(error) => return Poll::Ready(PumpEnd::Unencodable(error)),
        }
    }
    cx.waker().wake_by_ref();
    Poll::Pending
}

/// A run that is being filled. Dropping it sends it: what a stream gave before it panicked too.
struct Filling<'a> {
    peer: &'a Peer,
    call: CallId,
    gathering: &'a mut Gathering,
}

impl Drop for Filling<'_> {
    fn drop(&mut self) {
        let Gathering { run, link } = &mut *self.gathering;
        if !run.is_empty() && !self.peer.send_run(self.call, run) {
            *link = None;
        }
    }
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
    let mut bytes = Vec::new();
    match newest.map(|value| value.encode(codec, &mut bytes)) {
        None => {}
        Some(Ok(Encoded::Appended)) => peer.set_watch(call, bytes.into()),
        Some(Ok(Encoded::Shared(bytes))) => peer.set_watch(call, bytes),
        Some(Ok(Encoded::Error(bytes))) => over = Some(PumpEnd::Error(bytes)),
        Some(Err(error)) => over = Some(PumpEnd::Unencodable(error)),
    }
    over.map_or(Poll::Pending, Poll::Ready)
}
