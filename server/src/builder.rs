use std::fmt;
use std::hash::Hash;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use bowline_protocol::limits::{Limits, Timing};
use bowline_protocol::once::OnceLimits;
use bowline_protocol::registry::NodeLimits;
use bowline_protocol::session::{AssemblyPool, Config};
use bowline_rpc::{BoxError, Call, OnceStore, Reply, Router};
use http::request::Parts;
use tower_layer::{Identity as NoLayer, Layer, Stack};
use tower_service::Service;

use crate::identify::{Identifier, Identify};
use crate::server::{Server, Settings};
use crate::session::Stacked;
use crate::upgrade::{Origin, Origins};

/// Within which time clients are to move when the server drains. Source: our choice; those of 20,000 sessions then come
/// to the others at 700 per second.
const SPREAD: Duration = Duration::from_secs(30);

/// Builds a [`Server`]: services, layers, who may connect, limits.
///
/// `L` is the stack of layers added so far; a program never writes it.
pub struct ServerBuilder<L = NoLayer> {
    router: Router,
    layers: L,
    identifier: Identifier,
    origins: Origins,
    limits: Limits,
    timing: Timing,
    node: NodeLimits,
    spread: Duration,
    once: OnceLimits,
}

impl ServerBuilder {
    pub(crate) fn new() -> Self {
        Self {
            router: Router::new(),
            layers: NoLayer::new(),
            identifier: Identifier::default(),
            origins: Origins::default(),
            limits: Limits::default(),
            timing: Timing::default(),
            node: NodeLimits::default(),
            spread: SPREAD,
            once: OnceLimits::default(),
        }
    }
}

impl<L> ServerBuilder<L> {
    /// Serves `service`, such as a `ChatServer::new(..)` made by `#[bowline::rpc]`, beside those added before.
    ///
    /// One connection carries calls to all services. Where two have one name, the one added last is served.
    #[must_use]
    pub fn service(mut self, service: impl bowline_rpc::Service) -> Self {
        self.router = self.router.add(service);
        self
    }

    /// Wraps every call in `layer`; the layer added first sees a call first.
    ///
    /// The stack of layers is instantiated once for each session, so `ConcurrencyLimitLayer::new(10)` means ten
    /// calls per session, and tower's `GlobalConcurrencyLimitLayer` ten for the whole server. For a stream a layer's
    /// future ends when the stream is accepted: `TimeoutLayer` bounds the handler's time until
    /// that, and a concurrency limit counts the opening. Time spent waiting for a layer to be ready, say for a permit, is
    /// bounded by the call's deadline alone: tower's timer starts with the call. A method's own error is a reply and no error of the service; a layer's error becomes a
    /// status as [`status_from_error`](bowline_middleware::status_from_error) says.
    ///
    /// A layer's `poll_ready` is asked only with a call in hand; while it is not ready, calls of that session wait in
    /// their order, and nothing else does. tower's concurrency limits take their permit there: a session whose
    /// waiting call was cancelled, or shed by a `LoadShedLayer` in front, may be handed one and keep it until its next
    /// call. For `ConcurrencyLimitLayer` that is harmless; behind `GlobalConcurrencyLimitLayer` other sessions wait.
    ///
    /// # Examples
    ///
    /// ```
    /// use bowline_server::Server;
    /// use std::time::Duration;
    /// use tower::limit::RateLimitLayer;
    ///
    /// let server = Server::builder().layer(RateLimitLayer::new(50, Duration::from_secs(1))).build();
    /// # let _ = server;
    /// ```
    #[must_use]
    pub fn layer<T>(self, layer: T) -> ServerBuilder<Stack<T, L>> {
        let Self { router, layers, identifier, origins, limits, timing, node, spread, once } = self;
        // `Stack`'s outer layer is the second one: what was added before stays outside.
        let layers = Stack::new(layer, layers);
        ServerBuilder { router, layers, identifier, origins, limits, timing, node, spread, once }
    }

    /// Tells from the request's parts who is calling: for a connection, once its client has said hello, and for
    /// [`Server::channel_for`] alike.
    ///
    /// What the client showed in its hello is among the request's extensions, as [`Credentials`](crate::Credentials).
    /// The type of what the function returns is the application's own; handlers get it from `Context::identity`. It
    /// says whose a session is: one is resumed only by an equal identity, and what waits at a client is sent only as the
    /// identity that it was asked as, which the client knows by a digest (half of a SHA-256) over what the identity's
    /// `Hash` writes. So the type holds what names the caller, not what changes from one connection to the next, and
    /// equal identities hash equal in every process: no addresses in memory, no time, nothing random. Across a restart
    /// with another digest a client takes itself for somebody else, and what it waits for ends. A client could test a
    /// guess about what is hashed: leave out what the caller must not find out about itself. The function may take up
    /// to 10 s. A refusal
    /// closes the link with the code of [`Refused`](crate::Refused) and its sentence. Without this, callers are
    /// anonymous.
    ///
    /// # Examples
    ///
    /// ```
    /// use bowline_server::{Refused, Server};
    /// use http::request::Parts;
    ///
    /// #[derive(Clone, Hash)]
    /// struct User(String);
    ///
    /// async fn by_header(parts: &Parts) -> Result<User, Refused> {
    ///     let name = parts.headers.get("x-user").and_then(|name| name.to_str().ok());
    ///     name.map(|name| User(name.to_owned())).ok_or_else(|| Refused::unauthenticated("log in first"))
    /// }
    ///
    /// let server = Server::builder().identify(by_header).build();
    /// # let _ = server;
    /// ```
    #[must_use]
    pub fn identify<F, I>(mut self, function: F) -> Self
    where
        F: for<'a> Identify<'a, I> + 'static,
        I: Clone + Hash + Send + Sync + 'static,
    {
        self.identifier.identify(function);
        self
    }

    /// Tells from the request's parts which network address a client has: on its account are the sessions of those who
    /// are anonymous ([`NodeLimits::detached_per_address`]), and what is remembered of their `once` calls.
    ///
    /// The default is the address of the connection, where the HTTP server says it: [`serve`](crate::serve) does, and
    /// `axum::serve` with `into_make_service_with_connect_info::<SocketAddr>()`. Behind a proxy that is the proxy's, and
    /// everybody shares it: then say [`forwarded_for`](crate::forwarded_for) with the proxy's address, or read what
    /// your proxy writes. Any header may be written by the client itself: believe one only in requests that come from a
    /// proxy which writes it anew, or an attacker chooses whose account he uses up. `None` stands for no address; those
    /// clients share one account, which only the bounds of the node limit.
    ///
    /// It is asked once for each link, after its hello.
    #[must_use]
    pub fn client_address(
        mut self,
        function: impl Fn(&Parts) -> Option<IpAddr> + Send + Sync + 'static,
    ) -> Self {
        self.identifier.locate(Box::new(function));
        self
    }

    /// Lets pages of `origin` connect. The first one named replaces the default, which is the server's own host.
    ///
    /// Browsers state the origin of the page in every upgrade, and a strange page would otherwise use the cookies
    /// of whoever looks at it. Compared are scheme, host and port, exactly; `null` is refused always. A program that
    /// is no browser states no origin and is let in. By default the page's host and port must be those of the
    /// request's `Host` header; its scheme can't be compared then, because a proxy may end TLS: name the origin
    /// where that matters.
    #[must_use]
    pub fn allow_origin(mut self, origin: Origin) -> Self {
        match &mut self.origins {
            Origins::Listed(origins) => origins.push(origin),
            origins => *origins = Origins::Listed(vec![origin]),
        }
        self
    }

    /// Lets pages of every origin connect. Only for servers that know nobody by cookie or network address.
    #[must_use]
    pub fn any_origin(mut self) -> Self {
        self.origins = Origins::Any;
        self
    }

    /// What each session accepts and holds; see [`Limits`].
    #[must_use]
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// How long things take in each session; see [`Timing`].
    #[must_use]
    pub fn timing(mut self, timing: Timing) -> Self {
        self.timing = timing;
        self
    }

    /// How many sessions may have a link at one time: 20,000; the same as [`NodeLimits::attached`].
    ///
    /// A further link is told to come back later and closed with 1013, once its client has said hello: one that goes on with
    /// a session is taken, even if there are more sessions then. For links that have not said hello, and those that are
    /// being closed, there is room for an eighth of this number, 16 at the least, besides what sessions leave; when that is
    /// taken, upgrades are answered 503. Channels in process are counted and not refused.
    #[must_use]
    pub fn max_sessions(mut self, sessions: usize) -> Self {
        self.node.attached = sessions;
        self
    }

    /// What all sessions hold together, and how long they wait for another link; see [`NodeLimits`].
    ///
    /// What counts as the address of an anonymous caller, [`client_address`](Self::client_address) says; behind a proxy
    /// everybody has the proxy's without it.
    #[must_use]
    pub fn node_limits(mut self, limits: NodeLimits) -> Self {
        self.node = limits;
        self
    }

    /// Within which time clients move when the server [drains](Server::drain): 30 s. Each picks a moment in it, so that
    /// they don't all come to the other servers at once. The drain takes at most twice as long.
    #[must_use]
    pub fn drain_spread(mut self, spread: Duration) -> Self {
        self.spread = spread;
        self
    }

    /// How much the server remembers of calls whose methods are declared `once`; see [`OnceLimits`].
    ///
    /// All its sessions share that: a call that is asked again, on whatever session of the same caller, runs once. Memory
    /// alone holds it. After a restart, and on another server, a call that may have run is answered that its outcome is
    /// unknown.
    #[must_use]
    pub fn once_limits(mut self, limits: OnceLimits) -> Self {
        self.once = limits;
        self
    }

    /// The server, ready to be mounted.
    pub fn build(self) -> Server
    where
        L: Layer<Router> + Send + Sync + 'static,
        L::Service: Service<Call, Response = Reply> + Send + 'static,
        <L::Service as Service<Call>>::Error: Into<BoxError> + 'static,
        <L::Service as Service<Call>>::Future: Send + 'static,
    {
        let Self { router, layers, identifier, origins, limits, timing, node, spread, once } = self;
        if matches!(origins, Origins::Any) {
            tracing::warn!("the origin check is switched off: pages of every origin may connect");
        }
        let services = router.descriptors();
        let once = OnceStore::new(once);
        let stacked = Arc::new(Stacked { layers, router, once: once.clone() });
        let pool = AssemblyPool::new(node.assembly);
        let config = Arc::new(Config { limits, timing, services });
        let settings = Settings { config, identifier, origins, spread, once, pool };
        Server::new(settings, stacked, node)
    }
}

impl<L> fmt::Debug for ServerBuilder<L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerBuilder")
            .field(
                "services",
                &self.router.descriptors().iter().map(|service| service.name).collect::<Vec<_>>(),
            )
            .field("origins", &self.origins)
            .field("node", &self.node)
            .finish_non_exhaustive()
    }
}
