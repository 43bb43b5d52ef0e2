use std::{fmt, future::Future, sync::Arc, time::Duration};

use bowline_rpc::{Channel, Line, ServiceClient};
use bowline_runtime::MaybeSend;
use futures_core::Stream;
use tokio::sync::watch;

use crate::{Builder, ConnectFailed, State, desk::Lease};

/// A connection to one service that outlives its sockets.
///
/// A handle: clones are cheap and name the same connection. Stubs, calls and streams made from it are handles too;
/// the connection is closed when the last of them is gone, or by [`close`](Self::close).
///
/// # When the network fails
///
/// A lost link is made again, for ever, with growing delays ([`Builder::backoff`]); [`State`] shows how that goes. A server
/// keeps the session in the meantime (for two minutes by default): if the client is back by then, calls, streams and
/// watches go on as if nothing had been, [`Arrival::Resumed`](crate::Arrival::Resumed). If not, that is a
/// [`Gap`](crate::Arrival::Gap): what may be asked again is asked again, and what may have run and must not run twice ends
/// with `Disconnected`, which says what is known about it.
///
/// Calls made without a session wait for one within their deadline, in order; `.queued()` lets a call wait for a day,
/// `.queued_for(expiry)` for as long as it says, `.fail_fast()` not at all.
///
/// [`disconnect`](Self::disconnect) does what a network that fails does, and stays away.
///
/// The pauses between tries end early when there is a sign that the network is back or that the device slept: the page's
/// events `online`, `pageshow` and `visibilitychange` in a browser, clocks that jumped everywhere,
/// [`wake`](Self::wake) and [`reconnect`](Self::reconnect) by hand. The same signs make a client ask at once whether a link
/// that seems to live still does.
///
/// # Several endpoints, and servers that stop
///
/// With more than one [`endpoint`](Builder::endpoint) the others are tried when one fails. A server that announces
/// that it will stop is left within the time it gives, and not before a session has been live for a second, at a
/// moment drawn at random: a new session is opened beside the old one, at another endpoint if there is one, and takes
/// the calls made from then on. Those under way end on the old session, which is closed after 30 s at the latest. The
/// state stays live throughout.
///
/// # Examples
///
/// See the crate `bowline`.
#[derive(Clone)]
pub struct Client {
    pub(crate) channel: Channel,
    pub(crate) line: Line,
    pub(crate) states: watch::Receiver<State>,
    pub(crate) lease: Arc<Lease>,
}

impl Client {
    /// Starts to describe a connection to `endpoint`: `ws://host:port/path`, or `wss://..` for TLS.
    pub fn builder(endpoint: impl Into<String>) -> Builder {
        Builder::new(endpoint.into())
    }

    /// A stub for the service that `C` was generated for.
    ///
    /// Costs nothing: whether the server has the service shows with the first call.
    pub fn client<C: ServiceClient>(&self) -> C {
        C::from_channel(self.channel.clone())
    }

    /// What stubs talk to.
    pub fn channel(&self) -> Channel {
        self.channel.clone()
    }

    /// What the connection is doing.
    pub fn state(&self) -> State {
        self.states.borrow().clone()
    }

    /// The state now, and then each change of it.
    ///
    /// A reader that is slow skips states and sees the newest. The stream ends after [`State::Closed`]. It is no
    /// handle: it does not keep the connection.
    pub fn states(&self) -> impl Stream<Item = State> + Send + Unpin + use<> {
        let mut states = self.states.clone();
        states.mark_changed();
        Box::pin(futures_util::stream::unfold(states, async |mut states| {
            states.changed().await.ok()?;
            let state = states.borrow_and_update().clone();
            Some((state, states))
        }))
    }

    /// How long the server took to answer the last ping; `None` without a link, and until the first was answered.
    ///
    /// The client pings when it has heard nothing for a while, so this is the age of that pause at the worst: a figure for
    /// people, not for measuring.
    pub fn round_trip(&self) -> Option<Duration> {
        self.line.peer().round_trip()
    }

    /// Whether both are handles of one connection.
    pub fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.lease, &other.lease)
    }

    /// Connects now: ends a wait between two tries, tries again after a refusal and after
    /// [`disconnect`](Self::disconnect), and drops a link that is there.
    ///
    /// Nothing once the client is closed.
    pub fn reconnect(&self) {
        self.lease.reconnect();
    }

    /// Says that the network may be back or that the device slept: ends a wait between two tries, unless the server asked
    /// for it, and on a link that is there asks the server for a sign of life, which has 5 s to come.
    ///
    /// In a browser the client listens for such events itself, and it notices everywhere when its clock jumps. This is
    /// for programs that hear more of their system.
    pub fn wake(&self) {
        self.lease.wake();
    }

    /// Closes the connection for good, for every handle, and waits until nothing of it is left.
    ///
    /// Calls and streams under way end with `Disconnected`, which says whether they may have run; what still waited, and
    /// every later call, ends with `Closed`. The goodbye to the server takes at most a second.
    ///
    /// # Cancel safety
    ///
    /// The connection is closed as soon as the future was polled once; dropping it only stops the waiting.
    pub async fn close(&self) {
        self.lease.close();
        let mut states = self.states.clone();
        // Ends with an error when the driver is gone, which is what is waited for.
        while states.changed().await.is_ok() {}
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("state", &*self.states.borrow()).finish_non_exhaustive()
    }
}

/// `connect` for every generated client.
///
/// A trait and no inherent method, so that a service may have a method of that name.
pub trait Connect: ServiceClient {
    /// Connects to `endpoint` with the defaults of [`Client::builder`] and waits until calls go through.
    ///
    /// The connection lives as long as the stub, its clones, calls and streams.
    ///
    /// # Errors
    ///
    /// [`ConnectFailed`] with the first failure; nothing is tried again then. Once connected, a lost link is made
    /// again for ever.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future gives the attempt up.
    fn connect(endpoint: impl Into<String>) -> impl Future<Output = Result<Self, ConnectFailed>> + MaybeSend {
        let builder = Client::builder(endpoint);
        async move { Ok(builder.connect().await?.client()) }
    }
}

impl<C: ServiceClient> Connect for C {}
