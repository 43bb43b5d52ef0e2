mod line;
mod stack;

use std::any::Any;
use std::fmt;
use std::sync::Arc;

use bowline_protocol::schema::ServiceDescriptor;
use bowline_protocol::status::Status;
use tower_service::Service;

use crate::peer::Peer;
use crate::{BoxError, Call, Reply, status_of};

pub use line::Line;
pub(crate) use line::{Extensions, LineId, Target};
pub(crate) use stack::{Passing, Stack};

/// Keeps something alive for as long as a channel, or a call made on it, is.
pub(crate) type Lease = Arc<dyn Any + Send + Sync>;

/// What a stub talks to: one session, seen from either end, with the layers of its caller. Cheap to clone.
#[derive(Clone)]
pub struct Channel(Arc<Way>);

/// Each call has a reference to it and does not copy it.
#[derive(Clone)]
struct Way {
    target: Target,
    stack: Option<Arc<Stack>>,
    depth: u8,
    lease: Option<Lease>,
}

impl Channel {
    pub(crate) fn new(target: Target, depth: u8) -> Self {
        Self(Arc::new(Way { target, stack: None, depth, lease: None }))
    }

    /// Makes a channel whose calls go through `stack`, whose innermost service is [`Peer::endpoint`].
    ///
    /// The stack is asked for readiness only with a call in hand, and calls get their turn in the order in which they
    /// were first polled. One stack serves all clones of the channel. Calls that handlers make back over their own
    /// session ([`Context::client`](crate::Context::client)) don't pass through it: they must never wait.
    pub fn with_stack<S>(peer: &Peer, stack: S) -> Self
    where
        S: Service<Call, Response = Reply> + Send + 'static,
        S::Error: Into<BoxError>,
        S::Future: Send + 'static,
    {
        peer.channel().with_layers(stack)
    }

    /// As [`with_stack`](Self::with_stack), where the innermost service is that of what the channel was made of: of a
    /// [`Peer`] or of a [`Line`].
    #[must_use]
    pub fn with_layers<S>(self, stack: S) -> Self
    where
        S: Service<Call, Response = Reply> + Send + 'static,
        S::Error: Into<BoxError>,
        S::Future: Send + 'static,
    {
        let stack = Some(Arc::new(Stack::new(stack, status_of)));
        self.with(|way| way.stack = stack)
    }

    /// Sets what makes a status of a layer's error; [`status_of`] at first.
    #[must_use]
    pub fn with_status_of(self, status_of: fn(&BoxError) -> Status) -> Self {
        self.with(|way| way.stack = way.stack.as_ref().map(|stack| Arc::new(stack.with_status_of(status_of))))
    }

    /// Lets every clone of the channel, and every call, stream and upload started on it, keep a clone of `lease`.
    #[must_use]
    pub fn with_lease(self, lease: Arc<dyn Any + Send + Sync>) -> Self {
        self.with(|way| way.lease = Some(lease))
    }

    fn with(mut self, change: impl FnOnce(&mut Way)) -> Self {
        change(Arc::make_mut(&mut self.0));
        self
    }

    /// Returns the value of type `T` that lives beside the session (or beside the [`Line`], for all its sessions), made by `Default` when first asked for.
    ///
    /// All channels of one session share it.
    pub fn extension<T: Default + Send + Sync + 'static>(&self) -> Arc<T> {
        self.0.target.extensions().get()
    }

    /// A stub for a service on this channel.
    pub fn client<C: ServiceClient>(&self) -> C {
        C::from_channel(self.clone())
    }

    /// Whether both are channels of one session.
    pub fn is_same_session(&self, other: &Self) -> bool {
        self.0.target.is_same(&other.0.target)
    }

    pub(crate) fn target(&self) -> &Target {
        &self.0.target
    }

    pub(crate) fn peer(&self) -> Peer {
        self.0.target.peer()
    }

    pub(crate) fn stack(&self) -> Option<&Arc<Stack>> {
        self.0.stack.as_ref()
    }

    pub(crate) fn depth(&self) -> u8 {
        self.0.depth
    }

    pub(crate) fn lease(&self) -> Option<Lease> {
        self.0.lease.clone()
    }
}

impl fmt::Debug for Channel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Channel").field("depth", &self.depth()).finish_non_exhaustive()
    }
}

/// The typed client of one service: what `#[rpc]` generates as `ChatClient`.
pub trait ServiceClient: Clone + Send + Sync + 'static {
    /// The service's name and methods.
    const SERVICE: &'static ServiceDescriptor;

    /// Makes a client on `channel`.
    fn from_channel(channel: Channel) -> Self;

    /// The channel that the client's calls go to.
    fn as_channel(&self) -> &Channel;
}
