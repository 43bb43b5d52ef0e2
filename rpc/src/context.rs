use std::fmt;
use std::sync::{Arc, LazyLock, OnceLock};
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
pub struct Context {
    incoming: Arc<Incoming>,
    deadline: Option<Instant>,
    /// `None` for most calls, which have nothing of the kind.
    attached: Option<Arc<Attached>>,
}

/// What came with a call beside its arguments, and what layers hung on it. The handler's alone: it is given back with that.
#[derive(Default)]
struct Attached {
    metadata: Metadata,
    extensions: http::Extensions,
}

static NOTHING: LazyLock<Attached> = LazyLock::new(Attached::default);

/// What all received calls of a session share.
pub(crate) struct Home {
    pub(crate) peer: Peer,
    pub(crate) session: SessionInfo,
}

/// What ties a received call to its session: shared by whoever answers it, its layers and its handler.
pub(crate) struct Incoming {
    pub(crate) home: Arc<Home>,
    /// `None` for a one-way call, which nobody can stop or answer.
    pub(crate) call: Option<CallId>,
    pub(crate) service: &'static ServiceDescriptor,
    pub(crate) method: usize,
    pub(crate) codec: Codec,
    pub(crate) depth: u8,
    /// A `once` call, which is never told to stop.
    pub(crate) is_once: bool,
    /// Made when somebody asks for it, or when the call is stopped.
    cancellation: OnceLock<Cancellation>,
    /// What a topic tells the call's stream.
    pub(crate) notices: Notices,
}

impl Incoming {
    pub(crate) fn new(
        home: Arc<Home>,
        call: Option<CallId>,
        (service, method): (&'static ServiceDescriptor, usize),
        (codec, depth): (Codec, u8),
        is_once: bool,
    ) -> Self {
        let (cancellation, notices) = (OnceLock::new(), Notices::default());
        Self { home, call, service, method, codec, depth, is_once, cancellation, notices }
    }

    /// The call's stream shows a gap before its next item, or before its end.
    pub(crate) fn miss(&self, missed: u64) {
        if missed > 0 {
            self.notices.miss(missed);
            self.home.peer.note_gap();
        }
    }

    fn cancellation(&self) -> &Cancellation {
        self.cancellation.get_or_init(Cancellation::default)
    }

    /// Tells what the handler started elsewhere that the call was stopped.
    pub(crate) fn cancel(&self) {
        if !self.is_once {
            self.cancellation().cancel();
        }
    }

    /// Whether somebody beside the holder of `self` knows, or may still ask, whether the call was stopped.
    pub(crate) fn is_shared(self: &Arc<Self>) -> bool {
        Arc::strong_count(self) > 1 || self.cancellation.get().is_some()
    }

    /// A client's dispatcher outlives its sessions: it knows no id of its own.
    pub(crate) fn session_id(&self) -> u128 {
        let Home { peer, session } = &*self.home;
        if session.id == 0 { peer.session_id().unwrap_or(0) } else { session.id }
    }
}

impl Context {
    pub(crate) fn new(
        incoming: Arc<Incoming>,
        deadline: Option<Instant>,
        metadata: Metadata,
        extensions: http::Extensions,
    ) -> Self {
        let is_bare = metadata.is_empty() && extensions.is_empty();
        let attached = (!is_bare).then(|| Arc::new(Attached { metadata, extensions }));
        Self { incoming, deadline, attached }
    }

    fn attached(&self) -> &Attached {
        self.attached.as_deref().unwrap_or_else(|| &NOTHING)
    }

    /// The identity of the caller, or anything else of this type that a layer hung on the call or the server on the
    /// session; the call's comes first.
    pub fn identity<T: Send + Sync + 'static>(&self) -> Option<&T> {
        self.extensions().get().or_else(|| self.incoming.home.session.extensions.get())
    }

    /// What layers hung on this call.
    pub fn extensions(&self) -> &http::Extensions {
        &self.attached().extensions
    }

    /// Names and values that came beside the arguments.
    pub fn metadata(&self) -> &Metadata {
        &self.attached().metadata
    }

    /// When the call is given up; for a stream, unless it was accepted by then.
    pub fn deadline(&self) -> Option<Instant> {
        self.deadline
    }

    /// How much time is left until then; zero when it has passed.
    pub fn remaining(&self) -> Option<Duration> {
        self.deadline().map(|deadline| deadline.saturating_duration_since(now()))
    }

    /// Tells work that this handler starts elsewhere when the call was stopped.
    pub fn cancellation(&self) -> Cancellation {
        self.incoming.cancellation().clone()
    }

    /// The session's id, which logs may show.
    pub fn session_id(&self) -> u128 {
        self.incoming.session_id()
    }

    /// The service that was called.
    pub fn service(&self) -> &'static ServiceDescriptor {
        self.incoming.service
    }

    /// The method that was called.
    pub fn method(&self) -> &'static MethodDescriptor {
        &self.incoming.service.methods[self.incoming.method]
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
        self.incoming.home.peer.nested_channel(self.incoming.depth.saturating_add(1))
    }

    pub(crate) fn method_index(&self) -> usize {
        self.incoming.method
    }

    pub(crate) fn codec(&self) -> Codec {
        self.incoming.codec
    }

    pub(crate) fn incoming(&self) -> &Arc<Incoming> {
        &self.incoming
    }
}

impl fmt::Debug for Context {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Context")
            .field("service", &self.service().name)
            .field("method", &self.method().name)
            .field("session", &self.incoming.home.session.id)
            .finish_non_exhaustive()
    }
}
