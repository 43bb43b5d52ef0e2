use std::fmt;
use std::hash::Hash;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::routing::{MethodRouter, any};
use bowline_middleware::link_refused;
use bowline_protocol::registry::{NodeLimits, RegistryStats};
use bowline_protocol::session::{AssemblyPool, Config, Failure};
use bowline_protocol::status::CloseCode;
use bowline_rpc::{Channel, OnceStore, Peer, SessionInfo};
use bowline_runtime::{random_u128, spawn, timeout};
use bowline_transport::memory::{Faults, pair};
use bowline_transport::{BoxLink, Link, drive};
use http::request::Parts;
use http::{Request, Response};
use tower_layer::Identity as NoLayer;

use crate::builder::ServerBuilder;
use crate::digest::{Role, digest};
use crate::identify::{self, Admitted, Identifier, Refused};
use crate::layer::UpgradeLayer;
use crate::link::{self, House};
use crate::node::Node;
use crate::places::{NoPlace, Places, Room};
use crate::session::Sessions;
use crate::upgrade::{self, Origins, Rejected, Socket};

/// Services behind a stack of layers, ready to be mounted in a program. Cheap to clone.
///
/// Mount it in an Axum router with [`handler`](Self::handler), in front of any HTTP service with
/// [`layer`](Self::layer), or alone with [`serve`](crate::serve). Programs call it without a socket through
/// [`channel`](Self::channel).
///
/// A session outlives its links: when one is lost its handlers go on, and for the
/// [resume window](NodeLimits::resume_window) its client may continue it on another link. All tasks of links and
/// sessions belong to the server: they end when [`shutdown`](Self::shutdown) is called, and when the last clone of the
/// server, its handlers and its layers is dropped.
#[derive(Clone)]
pub struct Server {
    shared: Arc<Shared>,
}

struct Shared {
    settings: Arc<Settings>,
    sessions: Arc<dyn Sessions>,
    node: Arc<Node>,
    places: Arc<Places>,
}

/// What the builder was told beside services and layers.
#[derive(Debug)]
pub(crate) struct Settings {
    /// Of the sessions, which share it.
    pub(crate) config: Arc<Config>,
    pub(crate) identifier: Identifier,
    pub(crate) origins: Origins,
    /// Within which time clients are to move when the server drains.
    pub(crate) spread: Duration,
    pub(crate) once: OnceStore,
    /// Large payloads under assembly in all sessions.
    pub(crate) pool: AssemblyPool,
}

impl Settings {
    /// A peer for a link that was just made.
    pub(crate) fn peer(&self) -> Peer {
        let peer = Peer::server(self.config.clone());
        peer.share_assembly(self.pool.clone());
        peer
    }

    /// What the handlers of a session are to know.
    pub(crate) fn info(&self, id: u128, admitted: Admitted) -> SessionInfo {
        let Admitted { extensions, who } = admitted;
        let scope = who.identity.unwrap_or_else(|| digest(Role::Address, &who.address));
        SessionInfo { id, extensions, scope }
    }
}

/// The least number of links that may be there beside those of sessions; an eighth of these where that is more. Source:
/// our choice.
const GREETING: usize = 16;

/// How long a shutdown takes at most: a close has 5 s to be answered, and a little more to be written.
const SHUTDOWN: Duration = Duration::from_secs(6);

impl Server {
    /// Starts with no services, no layers and the default limits.
    pub fn builder() -> ServerBuilder<NoLayer> {
        ServerBuilder::new()
    }

    pub(crate) fn new(settings: Settings, sessions: Arc<dyn Sessions>, limits: NodeLimits) -> Self {
        // Who has not said hello yet, and who is told why it may not stay, needs room beside the sessions.
        let reserve = (limits.attached / 8).max(GREETING);
        let places = Places::new(Room { sessions: limits.attached, reserve });
        let (settings, node) = (Arc::new(settings), Node::new(limits));
        Self { shared: Arc::new(Shared { settings, sessions, node, places }) }
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
        let (parts, _body) = request.into_parts();
        match self.upgrade(parts).await {
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

    async fn upgrade(&self, mut parts: Parts) -> Result<Response<Body>, Rejected> {
        let Shared { settings, places, .. } = &*self.shared;
        let accepted = upgrade::check(&parts, &settings.origins)?;
        let place = places.reserve().map_err(|reason| {
            link_refused(CloseCode::TRY_AGAIN);
            Rejected::unavailable(match reason {
                NoPlace::Full => "The server has as many connections as it takes. Try again later.",
                NoPlace::Stopping => "The server is being stopped. Try again later.",
            })
        })?;
        let upgrading = parts.extensions.remove().ok_or_else(Rejected::not_upgradable)?;
        let (house, stopping) = (self.house(), place.stopping());
        let config = settings.config.clone();
        let link = async move {
            Some(match upgrade::take(upgrading, &config.limits).await? {
                Socket::Tcp(link) => Box::new(link) as BoxLink,
                Socket::Other(link) => Box::new(link),
            })
        };
        place.spawn(link::run(house, link, Some(parts), stopping));
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
        self.take(link, None);
    }

    /// As [`accept`](Self::accept), as whoever sent this request: [`identify`](ServerBuilder::identify) is asked once the
    /// client has said hello, as for an upgrade.
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime.
    pub fn accept_for(&self, parts: Parts, link: impl Link) {
        self.take(link, Some(parts));
    }

    fn take(&self, link: impl Link, parts: Option<Parts>) {
        match self.shared.places.reserve() {
            Ok(place) => {
                let (house, stopping) = (self.house(), place.stopping());
                let link = std::future::ready(Some(Box::new(link) as BoxLink));
                place.spawn(link::run(house, link, parts, stopping));
            }
            Err(reason) => tracing::debug!(?reason, "no place for a link"),
        }
    }

    /// A channel to the services in process: the same clients with no socket, through the same layers.
    ///
    /// It is a session of its own, and anonymous. It ends when the last client and call made from it is dropped.
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime.
    pub fn channel(&self) -> Channel {
        self.connect(Admitted::default())
    }

    /// As [`channel`](Self::channel), as somebody: what handlers get from `Context::identity`.
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime.
    pub fn channel_as<I: Clone + Send + Sync + 'static>(&self, identity: I) -> Channel {
        self.connect(Admitted { extensions: identify::of(identity), ..Admitted::default() })
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

    /// How many links there are, channels in process and links that have not said hello included.
    pub fn sessions(&self) -> usize {
        self.shared.places.len()
    }

    /// What the server holds of its sessions, those included that wait for another link, and what it has counted.
    pub fn stats(&self) -> RegistryStats {
        self.shared.node.stats()
    }

    /// Lets clients leave: from now on no session begins, and every client is told to move to another session.
    ///
    /// Clients choose a moment within the [spread](ServerBuilder::drain_spread). Until then their sessions work as
    /// before, and one whose link is lost is resumed here; then calls in flight are finished. New sessions are refused
    /// with 1013 and the time to wait. The future is ready when no session has a link any more, or when twice the
    /// spread has passed; sessions without a link are not waited for. Nothing is closed: follow it with
    /// [`shutdown`](Self::shutdown).
    ///
    /// # Cancel safety
    ///
    /// The server goes on draining when the future is dropped.
    ///
    /// # Examples
    ///
    /// With Axum, which knows nothing of WebSockets: drain while it accepts, then let it stop, then shut down.
    /// ([`serve`](crate::serve) does all of it by itself.)
    ///
    /// ```
    /// use std::future::Future;
    ///
    /// use axum::Router;
    /// use bowline_server::Server;
    /// use tokio::{net::TcpListener, sync::oneshot};
    ///
    /// /// `signal` is ready when the process is to end: `tokio::signal::ctrl_c()`, or SIGTERM.
    /// async fn run(listener: TcpListener, server: Server, signal: impl Future) -> std::io::Result<()> {
    ///     let app = Router::new().route("/ws", server.handler());
    ///     let (stop, stopped) = oneshot::channel::<()>();
    ///     let serving = axum::serve(listener, app).with_graceful_shutdown(async {
    ///         let _ = stopped.await;
    ///     });
    ///     let serving = tokio::spawn(serving.into_future());
    ///     signal.await;
    ///     server.drain().await;
    ///     let _ = stop.send(());
    ///     server.shutdown().await;
    ///     serving.await.map_err(std::io::Error::other)?
    /// }
    /// # async fn example() -> std::io::Result<()> {
    /// #     run(TcpListener::bind("127.0.0.1:0").await?, Server::builder().build(), async {}).await
    /// # }
    /// # tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(example())?;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub async fn drain(&self) {
        let Shared { settings, node, .. } = &*self.shared;
        node.drain(settings.spread);
        if timeout(settings.spread * 2, node.emptied()).await.is_err() {
            tracing::debug!(links = self.sessions(), "clients stayed to the end of the drain");
        }
    }

    /// Ends every session, links or not, closes links with 4001 and waits until all are closed, at most 6 s; then those
    /// that are left are cut. Further upgrades are refused from the start.
    ///
    /// Calls in flight are cut off: [`drain`](Self::drain) first. Handlers of methods declared `once` that have started are
    /// waited for within that time.
    ///
    /// # Cancel safety
    ///
    /// The sessions go on closing when the future is dropped.
    pub async fn shutdown(&self) {
        let Shared { node, places, settings, .. } = &*self.shared;
        node.stop();
        let stopped = async {
            places.stop().await;
            settings.once.finished().await;
        };
        if timeout(SHUTDOWN, stopped).await.is_err() {
            places.abort();
        }
    }

    /// Ends the sessions of somebody who may not go on, say after a logout, and returns how many there were.
    ///
    /// `identity` is what the function given to [`identify`](ServerBuilder::identify) returned. Links are closed with
    /// 4500, and sessions without a link can't be resumed. Nothing keeps the caller from connecting anew: that is for
    /// `identify` to refuse.
    pub fn revoke<I: Hash + 'static>(&self, identity: &I) -> usize {
        self.shared.node.revoke(digest(Role::Identity, identity))
    }

    pub(crate) fn house(&self) -> House {
        let Shared { settings, sessions, node, places } = &*self.shared;
        House {
            settings: settings.clone(),
            sessions: sessions.clone(),
            node: node.clone(),
            places: Arc::downgrade(places),
        }
    }

    fn connect(&self, admitted: Admitted) -> Channel {
        let Shared { settings, sessions, places, .. } = &*self.shared;
        let caller = Peer::client(Config { services: Vec::new(), ..(*settings.config).clone() });
        match places.enter() {
            Ok(place) => {
                let (near, far) = pair(&Faults::default());
                let stopping = place.stopping();
                let is_known = admitted.who.identity.is_some();
                let mut info = settings.info(random_u128(), admitted);
                if !is_known {
                    // Nobody asks again on another channel: each has room of its own for what is to be remembered.
                    info.scope = info.id;
                }
                let carrying = places.carry();
                let served = link::run_local(far, settings.peer(), sessions.clone(), info, stopping);
                place.spawn(async move {
                    let _carrying = carrying;
                    served.await;
                });
                let driven = Driven(caller.clone());
                let driver = spawn(async move {
                    let ended = drive(near, &driven.0, std::future::pending()).await;
                    tracing::debug!(?ended, "channel in process ended");
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
}

/// The near end of a channel in process. Its calls end with whatever drives it, also when that goes with its runtime.
struct Driven(Peer);

impl Drop for Driven {
    fn drop(&mut self) {
        self.0.fail_all(Failure::Closed);
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
