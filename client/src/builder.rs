use std::{fmt, future::Future, sync::Arc, time::Duration};

use bowline_middleware::{BreakerHandle, BreakerLayer, status_from_error};
use bowline_protocol::{
    limits::{Limits, Timing},
    session::{Config, Failure},
};
use bowline_rpc::{BoxError, Call, Endpoint, Line, Peer, Reply, Service};
use bowline_runtime::{MaybeSend, spawn, wall_clock};
use bowline_transport::{Backoff, Connect, Endpoints, PlatformConnector};
use bytes::Bytes;
use tokio::sync::{oneshot, watch};
use tower_layer::{Identity, Layer, Stack};

use crate::{
    Client, ConnectFailed, State,
    credentials::{Asked, Provider},
    desk::Lease,
    driver::{Driver, Means, Parts},
    liveness::Liveness,
    served::Served,
    state::{Machine, Patience},
};

/// Describes a connection, then makes it. From [`Client::builder`].
#[must_use = "nothing is connected before `connect` or `connect_lazy`"]
pub struct Builder<L = Identity> {
    endpoints: Endpoints,
    credentials: Option<Box<dyn Provider>>,
    limits: Limits,
    timing: Timing,
    connector: Option<Arc<dyn Connect>>,
    backoff: Backoff,
    served: Option<Served>,
    breakers: Vec<BreakerHandle>,
    wall_clock: fn() -> Duration,
    layer: L,
    /// Whether `layer` is more than the identity: calls without layers are not boxed for them.
    layered: bool,
}

impl Builder {
    pub(crate) fn new(endpoint: String) -> Self {
        Self {
            endpoints: Endpoints::new(endpoint),
            credentials: None,
            limits: Limits::default(),
            timing: Timing::default(),
            connector: None,
            backoff: Backoff::default(),
            served: None,
            breakers: Vec::new(),
            wall_clock,
            layer: Identity::new(),
            layered: false,
        }
    }
}

impl<L> Builder<L> {
    /// Adds another endpoint of the same service, for when those named before fail. May be called several times.
    ///
    /// A session is made at the first one that has not failed, in the order in which they were named, and stays there:
    /// after a lost link it is looked for where it was, since only there can it go on, and elsewhere when that fails. See
    /// [`Endpoints`] for the rules. [`connect`](Self::connect) tries each of them once.
    pub fn endpoint(mut self, endpoint: impl Into<String>) -> Self {
        self.endpoints = self.endpoints.with(endpoint);
        self
    }

    /// Asks `provider` for credentials before each attempt to connect; the server's `identify` gets them with the hello.
    ///
    /// They are bytes whose meaning is up to the application, at most 8 KiB: a token, a cookie's value. Asked each time, the
    /// provider can refresh what has expired. It has 10 s; taking longer, or an error, is a failed attempt like that of a
    /// link that can't be made: the next one comes after a pause. Who knows that there will be no more credentials closes
    /// the client. Without a provider the hello carries none.
    ///
    /// ```
    /// # use bowline_client::Client;
    /// # async fn fresh_token() -> Result<String, std::io::Error> { Ok("secret".into()) }
    /// let builder = Client::builder("wss://example.org/ws").credentials(|| async { fresh_token().await });
    /// ```
    pub fn credentials<F, Fut, C, E>(mut self, provider: F) -> Self
    where
        F: FnMut() -> Fut + MaybeSend + 'static,
        Fut: Future<Output = Result<C, E>> + MaybeSend + 'static,
        C: Into<Bytes>,
        E: Into<BoxError>,
    {
        self.credentials = Some(Box::new(Asked(provider)));
        self
    }

    /// What this end accepts and holds.
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// How long this end waits for things.
    pub fn timing(mut self, timing: Timing) -> Self {
        self.timing = timing;
        self
    }

    /// How links are made; the default fits the target: tokio's sockets natively, the page's WebSocket in a browser.
    pub fn connector(mut self, connector: impl Connect) -> Self {
        self.connector = Some(Arc::new(connector));
        self
    }

    /// How long to wait between tries.
    ///
    /// The two shortest spans are left out, and the delay after a first failure is of the upper half of its span (one to
    /// two seconds by default), unless the session had been live for over a minute and the server had not said that it
    /// would end: a server that stops loses everybody at one moment. Ten seconds of being live start the delays anew. A
    /// server that refuses with a wait ("retry after 30 s" in the reason) gets that wait before the delay.
    pub fn backoff(mut self, backoff: Backoff) -> Self {
        self.backoff = backoff;
        self
    }

    /// Serves a trait to the server, which calls it through `Context::client` inside a handler. May be called several
    /// times, once for each service.
    pub fn serve(mut self, service: impl Service) -> Self {
        self.served = Some(Served::add(self.served, service));
        self
    }

    /// Where the client reads the wall clock, as the time since 1970; the system's by default. For tests.
    ///
    /// It decides together with the clock of timers, which may stand still while a device sleeps, when a call that is queued
    /// expires and whether the device slept.
    pub fn wall_clock(mut self, clock: fn() -> Duration) -> Self {
        self.wall_clock = clock;
        self
    }

    /// Adds a tower layer around every call that goes out. The first one added sees a call first.
    ///
    /// The stack is built once and lives as long as the client, whatever happens to its links.
    pub fn layer<M>(self, layer: M) -> Builder<Stack<M, L>> {
        Builder {
            endpoints: self.endpoints,
            credentials: self.credentials,
            limits: self.limits,
            timing: self.timing,
            connector: self.connector,
            backoff: self.backoff,
            served: self.served,
            breakers: self.breakers,
            wall_clock: self.wall_clock,
            layer: Stack::new(layer, self.layer),
            layered: true,
        }
    }

    /// Adds a circuit breaker, as [`layer`](Self::layer) does, and lets it see where calls go: each service has a breaker
    /// of its own at each endpoint.
    ///
    /// Where the client connects, an endpoint at which a breaker is open is tried after those that are well, although its
    /// session could be continued only there. A link that lives is not left for it, and no try is put off: an only endpoint
    /// is tried as it would be without. Keep the layer's handle to see what its breakers do. Without one, calls are never
    /// refused by this end.
    pub fn breaker(mut self, layer: BreakerLayer) -> Builder<Stack<BreakerLayer, L>> {
        self.breakers.push(layer.handle());
        self.layer(layer)
    }

    /// A client that never connects, for places where there is nothing to connect from: its state is
    /// [`State::Idle`], and every call ends with `Closed`.
    pub fn idle(self) -> Client {
        let peer = Peer::client(Config { limits: self.limits, timing: self.timing, services: Vec::new() });
        peer.fail_all(Failure::Closed);
        let (_, states) = watch::channel(State::Idle);
        let lease = Arc::new(Lease::default());
        let line = Line::new(peer);
        Liveness::of(&line.channel()).set(false);
        Client { channel: line.channel(), line, states, lease }
    }
}

impl<L> Builder<L>
where
    L: Layer<Endpoint>,
    L::Service: tower_service::Service<Call, Response = Reply> + Send + 'static,
    <L::Service as tower_service::Service<Call>>::Error: Into<BoxError>,
    <L::Service as tower_service::Service<Call>>::Future: Send + 'static,
{
    /// Connects and waits until calls go through.
    ///
    /// # Errors
    ///
    /// [`ConnectFailed`] with the first failure; nothing is tried again then. Once connected, a lost link is made again
    /// for ever.
    ///
    /// # Panics
    ///
    /// On native targets outside of a tokio runtime.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future gives the attempt up.
    pub async fn connect(self) -> Result<Client, ConnectFailed> {
        let (first, outcome) = oneshot::channel();
        let client = self.start(Some(first));
        // The driver drops the sender only at its end.
        outcome.await.unwrap_or(Err(ConnectFailed::Closed))?;
        Ok(client)
    }

    /// Connects in the background, for ever, and gives the client at once: calls wait for the connection within their
    /// deadline. [`Client::states`] tells how it goes.
    ///
    /// # Panics
    ///
    /// On native targets outside of a tokio runtime.
    pub fn connect_lazy(self) -> Client {
        self.start(None)
    }

    fn start(self, first: Option<oneshot::Sender<Result<(), ConnectFailed>>>) -> Client {
        let services = self.served.as_ref().map(Served::descriptors).unwrap_or_default();
        let config = Config { limits: self.limits, timing: self.timing, services };
        let peer = Peer::client_with_wall_clock(config.clone(), self.wall_clock);
        let line = Line::new(peer.clone());
        let mut channel = line.channel();
        if self.layered {
            let layers = self.layer.layer(line.endpoint());
            channel = channel.with_layers(layers).with_status_of(status_from_error);
        }
        let lease = Arc::new(Lease::default());
        let (shown, states) = watch::channel(State::Idle);
        let connector = self.connector.unwrap_or_else(|| Arc::new(PlatformConnector::default()));
        let machine = Machine::new(self.endpoints, Patience::new(&config.timing), self.backoff)
            .with_breakers(self.breakers.clone());
        let driver = Driver::new(Parts {
            line: line.clone(),
            config,
            breakers: self.breakers,
            wall_clock: self.wall_clock,
            machine: if first.is_some() { machine.fail_fast() } else { machine },
            means: Means { connector, credentials: self.credentials, served: self.served },
            desk: lease.desk(),
            states: shown,
            first,
        });
        // Its owner is the lease: the task ends by itself when the last one is gone.
        spawn(driver).detach();
        Client { channel: channel.with_lease(lease.clone()), line, states, lease }
    }
}

impl<L> fmt::Debug for Builder<L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Builder")
            .field("endpoints", &self.endpoints)
            .field("limits", &self.limits)
            .field("timing", &self.timing)
            .field("backoff", &self.backoff)
            .finish_non_exhaustive()
    }
}
