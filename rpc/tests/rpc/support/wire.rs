use std::convert::Infallible;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bowline_protocol::envelope::{GapReason, Outcome};
use bowline_protocol::session::{Config, Welcoming};
use bowline_protocol::status::CloseCode;
use bowline_rpc::{BoxError, Call, Channel, Dispatcher, Peer, Reply, Router, SessionInfo, status_of};
use bowline_runtime::{Sleep, random_bytes, random_u128, sleep_until};
use tokio::task::JoinHandle;
use tower::Service;

use super::service::Served;
use super::{Handlers, Stub};

/// A server's layers around its router.
pub trait Stack:
    Service<Call, Response = Reply, Error: Into<BoxError> + 'static, Future: Send + 'static> + Send + 'static
{
}

impl<S> Stack for S where
    S: Service<Call, Response = Reply, Error: Into<BoxError> + 'static, Future: Send + 'static>
        + Send
        + 'static
{
}

type Background = Box<dyn FnMut(&mut Context<'_>) -> Poll<Infallible> + Send>;

/// Two peers, what runs their calls, and the link between them.
pub struct Ends {
    pub client: Peer,
    pub server: Peer,
    /// The server's handlers.
    pub handlers: Arc<Handlers>,
    link: JoinHandle<()>,
}

impl Ends {
    /// Without layers, with the default configuration.
    pub async fn new() -> Self {
        Self::with(Config::default(), Config::default(), |router| router).await
    }

    /// With `layer` around the server's router.
    pub async fn layered<S: Stack>(layer: impl FnOnce(Router) -> S) -> Self {
        Self::with(Config::default(), Config::default(), layer).await
    }

    /// With another service at the server.
    pub async fn serving(service: impl bowline_rpc::Service) -> Self {
        let router = Router::new().add(service);
        Self::start(Config::default(), Config::default(), Handlers::new(), router, |router| router).await
    }

    pub async fn with<S: Stack>(client: Config, server: Config, layer: impl FnOnce(Router) -> S) -> Self {
        let handlers = Handlers::new();
        let router = Router::new().add(Served(handlers.clone()));
        Self::start(client, server, handlers, router, layer).await
    }

    async fn start<S: Stack>(
        client: Config,
        server: Config,
        handlers: Arc<Handlers>,
        router: Router,
        layer: impl FnOnce(Router) -> S,
    ) -> Self {
        super::log::start();
        // The client serves too, for calls that come back.
        let routers = [router, Router::new().add(Served(Handlers::new()))];
        let [client, server] = [(client, &routers[1]), (server, &routers[0])]
            .map(|(config, router)| Config { services: router.descriptors(), ..config });
        let (client, server) = (Peer::client(client), Peer::server(server));
        let [router, back_router] = routers;
        let background = vec![background(&server, layer(router)), background(&client, back_router)];
        let link = tokio::spawn(Wire::new(&client, &server, background));
        poll_fn(|cx| client.poll_live(cx)).await;
        Self { client, server, handlers, link }
    }

    pub fn stub(&self) -> Stub {
        Stub::new(&self.client.channel())
    }

    pub fn channel(&self) -> Channel {
        self.client.channel()
    }

    /// The task that runs the sessions of both ends, as drivers would.
    pub fn task(&self) -> String {
        self.link.id().to_string()
    }

    /// Loses the link, and the session with it.
    pub async fn cut(&mut self) {
        self.link.abort();
        let _ = (&mut self.link).await;
        self.client.handle_disconnect(Some(CloseCode::NORMAL));
        self.server.handle_disconnect(Some(CloseCode::NORMAL));
    }

    /// Loses the link; the client expects to go on with the session.
    pub async fn lose_link(&mut self) {
        self.link.abort();
        let _ = (&mut self.link).await;
        self.client.handle_disconnect(None);
    }

    /// Connects the client to a new server with the same handlers.
    pub async fn reconnect(&mut self) {
        self.reconnect_with(Outcome::New, None).await;
    }

    /// As [`reconnect`](Self::reconnect), to a server that says why the session that was asked for can't go on.
    pub async fn reconnect_after(&mut self, reason: GapReason) {
        self.reconnect_with(Outcome::Gap { reason, lost_from: 1, lost_to: None }, None).await;
    }

    /// As [`reconnect`](Self::reconnect), to a server that knows nothing of an older session and takes the client for
    /// this caller.
    pub async fn reconnect_as(&mut self, identity: u128) {
        let outcome = Outcome::Gap { reason: GapReason::Unknown, lost_from: 1, lost_to: None };
        self.reconnect_with(outcome, Some(identity)).await;
    }

    /// As [`reconnect_as`](Self::reconnect_as), where the server serves something else.
    pub async fn reconnect_serving_as(&mut self, service: impl bowline_rpc::Service, identity: u128) {
        self.reconnect_to(Router::new().add(service), Outcome::New, Some(identity)).await;
    }

    async fn reconnect_with(&mut self, outcome: Outcome, identity: Option<u128>) {
        let router = Router::new().add(Served(self.handlers.clone()));
        self.reconnect_to(router, outcome, identity).await;
    }

    async fn reconnect_to(&mut self, router: Router, outcome: Outcome, identity: Option<u128>) {
        self.server = Peer::server(Config { services: router.descriptors(), ..Config::default() });
        let background = vec![background(&self.server, router)];
        let wire = Wire { outcome, identity, ..Wire::new(&self.client, &self.server, background) };
        self.link = tokio::spawn(wire);
        poll_fn(|cx| self.client.poll_live(cx)).await;
    }
}

fn background(peer: &Peer, stack: impl Stack) -> Background {
    let mut dispatcher = Dispatcher::new(peer, stack, SessionInfo::default(), status_of);
    Box::new(move |cx: &mut Context<'_>| dispatcher.poll(cx))
}

/// Carries messages between two peers, at once and unharmed.
pub struct Wire {
    peers: [Peer; 2],
    background: Vec<Background>,
    timer: Option<Sleep>,
    /// What the welcome says of the session before, and of the client.
    outcome: Outcome,
    identity: Option<u128>,
}

impl Wire {
    pub fn new(client: &Peer, server: &Peer, background: Vec<Background>) -> Self {
        client.handle_connected();
        server.handle_connected();
        Self {
            peers: [client.clone(), server.clone()],
            background,
            timer: None,
            outcome: Outcome::New,
            identity: None,
        }
    }

    fn carry(&mut self, cx: &mut Context<'_>) -> bool {
        let mut carried = false;
        for (from, to) in [(0, 1), (1, 0)] {
            // Handlers first, so that their answers leave with what else is to be said.
            for run in &mut self.background {
                let _ = run(cx);
            }
            while let Poll::Ready(message) = self.peers[from].poll_transmit(cx) {
                self.peers[to].handle_message(message);
                carried = true;
            }
        }
        if self.peers[1].poll_hello(cx).is_ready() {
            let welcoming = Welcoming::new(random_u128(), random_bytes(), random_u128());
            self.peers[1].welcome(Welcoming { outcome: self.outcome, identity: self.identity, ..welcoming });
            carried = true;
        }
        carried
    }
}

impl Future for Wire {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = &mut *self;
        loop {
            if this.carry(cx) {
                continue;
            }
            for peer in &this.peers {
                if let Some(refusal) = peer.poll_close() {
                    panic!("the link was closed: {refusal:?}");
                }
            }
            let Some(next) = this.peers.iter().filter_map(Peer::poll_timeout).min() else {
                return Poll::Pending;
            };
            let timer = this.timer.get_or_insert_with(|| sleep_until(next));
            if timer.deadline() != next {
                timer.reset(next);
            }
            if Pin::new(timer).poll(cx).is_pending() {
                return Poll::Pending;
            }
            this.timer = None;
            this.peers.iter().for_each(Peer::handle_timeout);
        }
    }
}
