use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bowline_protocol::codec::Arguments;
use bowline_protocol::schema::{MethodDescriptor, MethodKind, Retry, ServiceDescriptor};
use bowline_protocol::session::{Failure, Queued, Request};
use bowline_protocol::status::{Code, Delivery, Status};
use bowline_runtime::{Moment, Sleep, Task, random_u128};

use super::prepared::Prepared;
use super::retry::{Again, Parts};
use crate::call::{Content, Patience};
use crate::channel::{Lease, Passing, Target};
use crate::peer::{Handle, Peer};
use crate::reply::Outcome;
use crate::stream::Hooks;
use crate::{Call, Channel, Reply};

/// The caller's side of one call, from its description to its reply. `Unpin`, and `Send` on every target.
pub(crate) struct Exchange {
    // Before the channel: a call that is dropped is withdrawn while its session is still held.
    stage: Stage,
    /// Held from the first poll until the reply is there, and with it the lease.
    channel: Option<Channel>,
}

enum Stage {
    Prepared(Prepared),
    /// On the session.
    Sent(Sent),
    /// Answered before it was sent.
    Answered(Box<Reply>),
    /// In the caller's layers.
    Layered(Passing),
    Done,
}

impl Exchange {
    pub(crate) fn new(prepared: Prepared) -> Self {
        Self { stage: Stage::Prepared(prepared), channel: None }
    }

    /// A call that ended before it began.
    pub(crate) fn answered(status: Status) -> Self {
        Self { stage: Stage::answered(status), channel: None }
    }

    /// The description, until the first poll.
    pub(crate) fn prepared(&self) -> Option<&Prepared> {
        match &self.stage {
            // Without a channel it was polled, and a layer panicked.
            Stage::Prepared(prepared) if prepared.channel().is_some() => Some(prepared),
            _ => None,
        }
    }

    /// Changes the description; after the first poll nothing.
    pub(crate) fn edit(&mut self, edit: impl FnOnce(&mut Prepared)) {
        if let Stage::Prepared(prepared) = &mut self.stage {
            edit(prepared);
        }
    }

    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Reply> {
        // The call's deadline, its layers and its session depend on the time.
        let _moment = Moment::begin();
        loop {
            let mut polled = match &mut self.stage {
                // Parts of it are moved out, not the whole: it is large.
                Stage::Prepared(prepared) => {
                    let channel = prepared.take_channel();
                    self.stage = Stage::start(prepared, &channel, cx);
                    self.channel = Some(channel);
                    continue;
                }
                Stage::Sent(sent) => sent.poll(cx),
                Stage::Layered(passing) => passing.poll(cx),
                Stage::Answered(_) => {
                    let Stage::Answered(reply) = std::mem::replace(&mut self.stage, Stage::Done) else {
                        continue;
                    };
                    Poll::Ready(*reply)
                }
                Stage::Done => panic!("a call was polled after it had ended"),
            };
            // Changed where it lies: it is large.
            if let Poll::Ready(reply) = &mut polled {
                self.stage = Stage::Done;
                let channel = self.channel.take();
                if let Outcome::Opened(opened) = &mut reply.0 {
                    opened.lease = channel.and_then(|channel| channel.lease());
                }
            }
            return polled;
        }
    }
}

impl Stage {
    fn answered(status: Status) -> Self {
        Self::Answered(Box::new(status.into()))
    }

    fn start(prepared: &mut Prepared, channel: &Channel, cx: &mut Context<'_>) -> Self {
        let target = channel.target();
        let peer = target.peer();
        // Lent from here on, as it is large.
        let mut call = match prepared.take_call(channel, &peer, Moment::recent()) {
            Ok(call) => call,
            Err(status) => return Self::answered(status),
        };
        let Some(stack) = channel.stack() else {
            return Sent::start(target, peer, &mut call, cx).map_or_else(Self::Answered, Self::Sent);
        };
        // Who waits in a layer may be somebody else when its turn has come.
        call.ask_as(target, peer);
        stack.pass(call, cx).map_or_else(Self::Answered, Self::Layered)
    }
}

/// A call on the session, asked again there where that may be done.
pub(crate) struct Sent {
    step: Step,
    /// `None` for a call that is made only once.
    again: Option<Box<Again>>,
}

enum Step {
    Asked(Attempt),
    /// Before the next try.
    Pausing(Sleep),
}

impl Sent {
    /// Makes the call on `peer`, the session of `target`, and takes out of it what that needs. One-way calls, and those that can't be made, have their reply at once.
    #[inline]
    pub(crate) fn start(
        target: &Target,
        peer: Peer,
        call: &mut Call,
        cx: &Context<'_>,
    ) -> Result<Self, Box<Reply>> {
        let again = Again::of(target, &peer, call);
        Ok(Self { step: Step::Asked(Attempt::start(target, peer, call, cx)?), again })
    }

    /// The reply; polled no more once it was given.
    #[inline]
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Reply> {
        loop {
            self.step = match &mut self.step {
                Step::Asked(attempt) => {
                    let Some(again) = &mut self.again else { return attempt.poll(cx) };
                    let reply = ready!(attempt.poll(cx));
                    match again.after(&reply) {
                        None => return Poll::Ready(reply),
                        Some(pause) => Step::Pausing(pause),
                    }
                }
                Step::Pausing(pause) => {
                    ready!(Pin::new(pause).poll(cx));
                    let parts = self.again.as_mut().and_then(|again| again.parts());
                    let Parts { target, peer, mut call } =
                        parts.expect("only a call that can be made again pauses");
                    match Attempt::start(target, peer, &mut call, cx) {
                        Ok(attempt) => Step::Asked(attempt),
                        Err(reply) => return Poll::Ready(*reply),
                    }
                }
            };
        }
    }
}

/// One try of a call.
struct Attempt {
    /// `None` once the stream that it opened has it.
    handle: Option<Handle>,
    upload: Option<Task>,
    /// Nobody but its task has looked since it was opened, which left its waker: there is no answer before that wakes it.
    is_new: bool,
    method: &'static MethodDescriptor,
}

impl Attempt {
    /// Opens the call on `peer`, a session of `target`, and starts what streams with it.
    #[inline]
    fn start(target: &Target, peer: Peer, call: &mut Call, cx: &Context<'_>) -> Result<Self, Box<Reply>> {
        let method = call.descriptor();
        let (service, index, depth, deadline) =
            (call.service, call.method_index(), call.depth, call.deadline);
        let Content::Outgoing { arguments, patience, extra, asker } = &mut call.content else {
            // A layer of a callee that puts a received call on another session.
            let status = Status::new(Code::Internal, "a received call can't be sent on");
            return Err(Box::new(status.into()));
        };
        let (patience, extra) = (*patience, extra.take());
        let changes = match asker.as_ref().map(|asker| asker.expected_on(target, &peer)) {
            None => None,
            Some(Some(changes)) => Some(changes),
            Some(None) => {
                let failure = Failure::Disconnected(Delivery::NotSent);
                return Err(Box::new(failed(&peer, failure)));
            }
        };
        let queued = match (patience, deadline) {
            (Patience::Queued, Some(until)) => {
                // Layers may have changed it: whatever it is, it holds by both clocks.
                let until_wall =
                    peer.wall_clock().checked_add(until.saturating_duration_since(Moment::recent()));
                let timeout = extra.as_ref().and_then(|extra| extra.timeout);
                Some(Box::new(Queued { until, until_wall, timeout }))
            }
            _ => None,
        };
        let request = Request {
            service,
            method: index,
            arguments: Arguments { rkyv: std::mem::take(&mut arguments.rkyv), recode: arguments.recode },
            deadline,
            metadata: std::mem::take(&mut call.metadata).into_wire(),
            depth,
            once: (method.retry == Retry::Once).then(random_u128),
            queued,
        };
        if method.kind == MethodKind::Notify {
            let sent = peer.notify(request, changes);
            let reply = sent.map_or_else(|failure| failed(&peer, failure), |()| Reply(Outcome::Done));
            return Err(Box::new(reply));
        }
        let opened = peer.open(request, patience, changes, cx);
        let handle = match opened {
            Ok(call) => Handle::new(peer, call),
            Err(failure) => return Err(Box::new(failed(&peer, failure))),
        };
        let is_new = matches!(method.kind, MethodKind::Unary | MethodKind::ClientStream);
        let upload = extra
            .and_then(|extra| extra.upload)
            .map(|upload| upload.spawn(handle.peer().clone(), handle.call(), name(service, method)));
        Ok(Self { handle: Some(handle), upload, is_new, method })
    }

    fn poll(&mut self, cx: &Context<'_>) -> Poll<Reply> {
        if std::mem::take(&mut self.is_new) {
            return Poll::Pending;
        }
        let Some(handle) = &mut self.handle else { return Poll::Pending };
        Poll::Ready(match self.method.kind {
            MethodKind::Unary | MethodKind::ClientStream | MethodKind::Notify => {
                match ready!(handle.poll_response(cx)) {
                    Ok((codec, buffer)) => Reply(Outcome::Value(codec, buffer)),
                    Err(failure) => failed(handle.peer(), failure),
                }
            }
            MethodKind::ServerStream | MethodKind::Bidirectional | MethodKind::Watch => {
                match (ready!(handle.poll_accepted(cx)), self.handle.take()) {
                    (Ok(()), Some(handle)) => {
                        let (hooks, _upload) = (Hooks::default(), self.upload.take());
                        Reply(Outcome::Opened(Box::new(Opened { handle, hooks, _upload, lease: None })))
                    }
                    (Err(failure), Some(handle)) => failed(handle.peer(), failure),
                    (_, None) => return Poll::Pending,
                }
            }
        })
    }
}

/// Layers want to know whether the service failed or the way to it.
fn failed(peer: &Peer, failure: Failure) -> Reply {
    let reply = Reply::failed(failure);
    if peer.is_live() { reply } else { reply.without_link() }
}

/// An open stream at its caller. Dropping it withdraws the call.
pub(crate) struct Opened {
    pub(crate) handle: Handle,
    pub(crate) hooks: Hooks,
    /// What streams the other way; it ends with the call.
    _upload: Option<Task>,
    lease: Option<Lease>,
}

fn name(service: &'static ServiceDescriptor, method: &'static MethodDescriptor) -> String {
    crate::error::name(service, method)
}
