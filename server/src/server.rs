use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::routing::{MethodRouter, any};
use bowline_protocol::limits::{Limits, Timing};
use bowline_protocol::schema::ServiceDescriptor;
use bowline_protocol::session::{Config, Failure};
use bowline_rpc::{Channel, Peer};
use bowline_runtime::{spawn, timeout};
use bowline_transport::memory::{Faults, pair};
use bowline_transport::{Link, drive};
use http::request::Parts;
use http::{Extensions, Request, Response};
use tower_layer::Identity as NoLayer;

use crate::builder::ServerBuilder;
use crate::identify::{self, Identifier, Refused};
use crate::layer::UpgradeLayer;
use crate::registry::{NoPlace, Place, Registry};
use crate::session::{Sessions, run};
use crate::upgrade::{self, Origins, Rejected, Socket};

/// Services behind a stack of layers, ready to be mounted in a program. Cheap to clone.
///
/// Mount it in an Axum router with [`handler`](Self::handler), in front of any HTTP service with
/// [`layer`](Self::layer), or alone with [`serve`](crate::serve). Programs call it without a socket through
/// [`channel`](Self::channel).
///
/// All tasks of its sessions belong to the server: they end when their link ends, when
/// [`shutdown`](Self::shutdown) is called, and when the last clone of the server, its handlers and its layers is
/// dropped.
#[derive(Clone)]
pub struct Server {
    shared: Arc<Shared>,
}

struct Shared {
    settings: Settings,
    sessions: Arc<dyn Sessions>,
    registry: Arc<Registry>,
}

/// What the builder was told beside services and layers.
#[derive(Debug)]
pub(crate) struct Settings {
    pub(crate) services: Vec<&'static ServiceDescriptor>,
    pub(crate) identifier: Identifier,
    pub(crate) origins: Origins,
    pub(crate) limits: Limits,
    pub(crate) timing: Timing,
}

/// How long a shutdown takes at most: a close has 5 s to be answered, and a little more to be written.
const SHUTDOWN: Duration = Duration::from_secs(6);

impl Server {
    /// Starts with no services, no layers and the default limits.
    pub fn builder() -> ServerBuilder<NoLayer> {
        ServerBuilder::new()
    }

    pub(crate) fn new(settings: Settings, sessions: Arc<dyn Sessions>, places: usize) -> Self {
        Self { shared: Arc::new(Shared { settings, sessions, registry: Registry::new(places) }) }
    }

    /// The handler for an Axum route: `Router::new().route("/ws", server.handler())`.
    ///
    /// Layers of Axum, tower and tower-http around the route see the upgrade request; what they put into the
    /// request's extensions, handlers find in `Context::extensions`.
    ///
    /// `axum::serve` sets no time limit for the headers of a request, so a program on the open internet has a proxy
    /// in front that does, or uses [`serve`](crate::serve).
    pub fn handler<S: Clone + Send + Sync + 'static>(&self) -> MethodRouter<S> {
        let server = self.clone();
        any(move |request: Request<Body>| async move { server.answer(request).await })
    }

    /// A Tower layer that answers upgrades on exactly this path and passes everything else on.
    pub fn layer(&self, path: impl Into<String>) -> UpgradeLayer {
        UpgradeLayer::new(self.clone(), path.into())
    }

    /// Answers an HTTP request: an upgrade begins a session, anything else is told what is wrong.
    ///
    /// What [`handler`](Self::handler) and [`layer`](Self::layer) call, for programs that route requests in other
    /// ways. The HTTP server must allow upgrades (hyper: `with_upgrades`).
    ///
    /// # Cancel safety
    ///
    /// Dropping the future before it is ready begins no session.
    pub async fn answer<B>(&self, request: Request<B>) -> Response<Body> {
        let (mut parts, _body) = request.into_parts();
        match self.upgrade(&mut parts).await {
            Ok(response) => response,
            Err(rejected) => {
                tracing::debug!(
                    status = rejected.status.as_u16(),
                    reason = rejected.sentence,
                    "upgrade rejected"
                );
                rejected.response()
            }
        }
    }

    async fn upgrade(&self, parts: &mut Parts) -> Result<Response<Body>, Rejected> {
        let Shared { settings, sessions, registry } = &*self.shared;
        let accepted = upgrade::check(parts, &settings.origins)?;
        let place = registry.reserve().map_err(|reason| {
            Rejected::unavailable(match reason {
                NoPlace::Full => "The server has as many connections as it takes. Try again later.",
                NoPlace::Stopping => "The server is being stopped. Try again later.",
            })
        })?;
        let upgrading = parts.extensions.remove().ok_or_else(Rejected::not_upgradable)?;
        let admission = settings.identifier.admit(parts).await;
        let (peer, sessions, stopping) = (self.peer(), sessions.clone(), place.stopping());
        let limits = settings.limits.clone();
        place.spawn(async move {
            match upgrade::take(upgrading, &limits).await {
                Some(Socket::Tcp(link)) => run(link, peer, &*sessions, admission, stopping).await,
                Some(Socket::Other(link)) => run(link, peer, &*sessions, admission, stopping).await,
                None => {}
            }
        });
        Ok(accepted.response())
    }

    /// Begins an anonymous session over a link that is there already, such as one in memory or one of a transport of
    /// your own. A link for which there is no place is dropped.
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime.
    ///
    /// # Examples
    ///
    /// A network with faults, for tests of an application's own screens:
    ///
    /// ```
    /// use bowline_server::Server;
    /// use bowline_transport::memory::network;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// let server = Server::builder().build();
    /// let (mut listener, connector) = network();
    /// tokio::spawn(async move {
    ///     while let Some(link) = listener.accept().await {
    ///         server.accept(link);
    ///     }
    /// });
    /// // Hand `connector` to a client, and pull the plug with `connector.faults()`.
    /// # let _ = connector;
    /// # }
    /// ```
    pub fn accept(&self, link: impl Link) {
        match self.shared.registry.reserve() {
            Ok(place) => self.start(place, link, Extensions::new()),
            Err(reason) => tracing::debug!(?reason, "no place for a link"),
        }
    }

    fn start(&self, place: Place, link: impl Link, extensions: Extensions) {
        let (peer, sessions, stopping) = (self.peer(), self.shared.sessions.clone(), place.stopping());
        place.spawn(async move { run(link, peer, &*sessions, Ok(extensions), stopping).await });
    }

    /// A channel to the services in process: the same clients with no socket, through the same layers.
    ///
    /// It is a session of its own, and anonymous. It ends when the last client and call made from it is dropped.
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime.
    pub fn channel(&self) -> Channel {
        self.connect(Extensions::new())
    }

    /// As [`channel`](Self::channel), as somebody: what handlers get from `Context::identity`.
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime.
    pub fn channel_as<I: Clone + Send + Sync + 'static>(&self, identity: I) -> Channel {
        self.connect(identify::of(identity))
    }

    /// As [`channel`](Self::channel), as whoever sent this request: for a page that is rendered on the server.
    ///
    /// # Errors
    ///
    /// [`Refused`] when the function given to [`identify`](ServerBuilder::identify) refuses.
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime.
    pub async fn channel_for(&self, parts: &Parts) -> Result<Channel, Refused> {
        Ok(self.connect(self.shared.settings.identifier.admit(parts).await?))
    }

    /// How many sessions there are, channels in process and links that have not said hello included.
    pub fn sessions(&self) -> usize {
        self.shared.registry.len()
    }

    /// Closes every session with 4001 and waits until all have ended, at most 6 s; then those that are left are cut.
    /// Further upgrades are refused from the start.
    ///
    /// # Cancel safety
    ///
    /// The sessions go on closing when the future is dropped.
    pub async fn shutdown(&self) {
        let registry = &self.shared.registry;
        if timeout(SHUTDOWN, registry.stop()).await.is_err() {
            registry.abort();
        }
    }

    fn connect(&self, extensions: Extensions) -> Channel {
        let Shared { settings, registry, .. } = &*self.shared;
        let config =
            Config { limits: settings.limits.clone(), timing: settings.timing.clone(), services: Vec::new() };
        let caller = Peer::client(config);
        match registry.enter() {
            Ok(place) => {
                let (near, far) = pair(&Faults::default());
                self.start(place, far, extensions);
                let driven = caller.clone();
                let driver = spawn(async move {
                    let ended = drive(near, &driven, std::future::pending()).await;
                    tracing::debug!(?ended, "channel in process ended");
                    driven.fail_all(Failure::Closed);
                });
                // The driver holds the peer, so it ends with the last handle and not with the peer.
                caller.channel().with_lease(Arc::new(driver))
            }
            Err(_) => {
                caller.fail_all(Failure::Closed);
                caller.channel()
            }
        }
    }

    fn peer(&self) -> Peer {
        let Settings { limits, timing, services, .. } = &self.shared.settings;
        Peer::server(Config { limits: limits.clone(), timing: timing.clone(), services: services.clone() })
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server")
            .field("settings", &self.shared.settings)
            .field("sessions", &self.sessions())
            .finish_non_exhaustive()
    }
}
