use std::fmt;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bowline_protocol::codec::Codec;
use bowline_protocol::schema::{MethodDescriptor, ServiceDescriptor};
use bowline_protocol::session::CallId;
use bowline_runtime::{Instant, now};

use crate::peer::Peer;
use crate::topic::Notices;
use crate::{Cancellation, Channel, Metadata, ServiceClient};

/// What the callee's end knows about a session, shared by all its calls.
#[derive(Clone, Default)]
pub struct SessionInfo {
    /// The session's id, which logs may show. 0 where it changes under the dispatcher, as at a client: then the
    /// session that is live is asked.
    pub id: u128,
    /// Values of any type, such as the identity of the caller.
    pub extensions: http::Extensions,
    /// A digest of who calls, or of the network address where nobody knows: whose keys of `once` calls are compared.
    pub scope: u128,
}

impl fmt::Debug for SessionInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionInfo").field("id", &self.id).finish_non_exhaustive()
    }
}

/// What a handler knows about the call that it answers: the optional first argument of a method. Cheap to clone.
#[derive(Clone)]
pub struct Context(Arc<Received>);

/// A received call without its arguments.
pub(crate) struct Received {
    pub(crate) service: &'static ServiceDescriptor,
    pub(crate) method: usize,
    pub(crate) codec: Codec,
    pub(crate) metadata: Metadata,
    pub(crate) extensions: http::Extensions,
    pub(crate) deadline: Option<Instant>,
    pub(crate) depth: u8,
    pub(crate) incoming: Incoming,
}

/// What ties a received call to its session.
#[derive(Clone)]
pub(crate) struct Incoming {
    pub(crate) peer: Peer,
    /// `None` for a one-way call, which nobody can stop or answer.
    pub(crate) call: Option<CallId>,
    pub(crate) session: Arc<SessionInfo>,
    pub(crate) cancellation: Cancellation,
    /// Made when a topic or a stream asks for it.
    notices: OnceLock<Arc<Notices>>,
}

impl Incoming {
    pub(crate) fn new(
        peer: Peer,
        call: Option<CallId>,
        session: Arc<SessionInfo>,
        cancellation: Cancellation,
    ) -> Self {
        Self { peer, call, session, cancellation, notices: OnceLock::new() }
    }

    pub(crate) fn notices(&self) -> &Arc<Notices> {
        self.notices.get_or_init(Arc::default)
    }

    /// A client's dispatcher outlives its sessions: it knows no id of its own.
    pub(crate) fn session_id(&self) -> u128 {
        if self.session.id == 0 { self.peer.session_id().unwrap_or(0) } else { self.session.id }
    }
}

impl Context {
    pub(crate) fn new(received: Received) -> Self {
        Self(Arc::new(received))
    }

    /// The identity of the caller, or anything else of this type that a layer hung on the call or the server on the
    /// session; the call's comes first.
    pub fn identity<T: Send + Sync + 'static>(&self) -> Option<&T> {
        self.0.extensions.get().or_else(|| self.0.incoming.session.extensions.get())
    }

    /// What layers hung on this call.
    pub fn extensions(&self) -> &http::Extensions {
        &self.0.extensions
    }

    /// Names and values that came beside the arguments.
    pub fn metadata(&self) -> &Metadata {
        &self.0.metadata
    }

    /// When the call is given up; for a stream, unless it was accepted by then.
    pub fn deadline(&self) -> Option<Instant> {
        self.0.deadline
    }

    /// How much time is left until then; zero when it has passed.
    pub fn remaining(&self) -> Option<Duration> {
        self.deadline().map(|deadline| deadline.saturating_duration_since(now()))
    }

    /// Tells work that this handler starts elsewhere when the call was stopped.
    pub fn cancellation(&self) -> Cancellation {
        self.0.incoming.cancellation.clone()
    }

    /// The session's id, which logs may show.
    pub fn session_id(&self) -> u128 {
        self.0.incoming.session_id()
    }

    /// The service that was called.
    pub fn service(&self) -> &'static ServiceDescriptor {
        self.0.service
    }

    /// The method that was called.
    pub fn method(&self) -> &'static MethodDescriptor {
        &self.0.service.methods[self.0.method]
    }

    /// Calls the other end back over the same session.
    ///
    /// Such calls never wait for the other end's credit (handlers could wait for each other): without it they fail
    /// with `ResourceExhausted`, and so do calls nested deeper than the session allows.
    pub fn client<C: ServiceClient>(&self) -> C {
        C::from_channel(self.channel())
    }

    /// The channel that [`client`](Self::client) puts its calls on.
    pub fn channel(&self) -> Channel {
        self.0.incoming.peer.nested_channel(self.0.depth.saturating_add(1))
    }

    pub(crate) fn method_index(&self) -> usize {
        self.0.method
    }

    pub(crate) fn codec(&self) -> Codec {
        self.0.codec
    }

    pub(crate) fn incoming(&self) -> &Incoming {
        &self.0.incoming
    }
}

impl fmt::Debug for Context {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Context")
            .field("service", &self.0.service.name)
            .field("method", &self.method().name)
            .field("session", &self.0.incoming.session.id)
            .finish_non_exhaustive()
    }
}
