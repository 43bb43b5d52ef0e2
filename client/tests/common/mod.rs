//! A server in memory whose network can be broken, and a service with a method of each kind that the tests need.
#![allow(
    clippy::unwrap_used,
    missing_docs,
    dead_code,
    unreachable_pub,
    reason = "shared by test programs that each use a part of it"
)]

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use bowline::{
    Client, ClientBuilder, Server, State, Timing,
    prelude::*,
    transport::{
        BoxLink, Connect, ConnectError,
        memory::{Faults, MemoryConnector, network},
    },
};
use bowline_protocol::registry::NodeLimits;
use bowline_runtime::BoxFuture;
use tokio::{
    sync::{Notify, watch},
    time::Instant,
};

#[bowline::rpc]
pub trait Office {
    /// Fails while the server is `ill`.
    async fn echo(&self, text: String) -> String;

    /// Ends when `release` is notified.
    async fn wait(&self) -> u64;

    #[rpc(watch)]
    fn level(&self, of: String) -> impl Stream<Item = u64>;

    fn count(&self, to: u64) -> impl Stream<Item = u64>;

    /// As many entries as `level` says.
    #[rpc(resume = "after: number")]
    fn journal(&self, after: Option<u64>) -> impl Stream<Item = Entry>;

    /// Items until `items` is closed.
    async fn news(&self, cx: &Context, topic: String)
    -> Result<impl Stream<Item = Shared<u64>>, NoSuchTopic>;

    /// Asks the caller, and passes its answer on.
    async fn ask_back(&self, cx: &Context, question: String) -> String;

    #[rpc(notify)]
    async fn note(&self, text: String);
}

#[bowline::message]
#[derive(Debug, Clone, PartialEq)]
pub struct NoSuchTopic;

#[bowline::message]
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    pub number: u64,
}

/// What a client serves.
#[bowline::rpc]
pub trait Visitor {
    /// Begins with the id of the session.
    async fn answer(&self, cx: &Context, question: String) -> String;
}

/// A level that `level` does not show.
pub const UNKNOWN: u64 = u64::MAX;

pub struct Ada;

impl Visitor for Ada {
    async fn answer(&self, cx: &Context, question: String) -> String {
        format!("{:x}: {question} 42.", cx.session_id())
    }
}

/// What the server's handlers share with the test.
#[derive(Clone, Default)]
pub struct World {
    pub release: Arc<Notify>,
    pub level: watch::Sender<u64>,
    pub news: Topic<u64>,
    pub notes: Arc<Mutex<Vec<String>>>,
    /// Handlers of `wait` and streams that run just now.
    pub running: Arc<AtomicU64>,
    pub calls: Arc<AtomicU64>,
    pub ill: Arc<AtomicBool>,
}

/// Counts a handler for as long as it lives.
struct Running(Arc<AtomicU64>);

impl Running {
    fn new(world: &World) -> Self {
        world.running.fetch_add(1, Ordering::SeqCst);
        Self(world.running.clone())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Office for World {
    async fn echo(&self, text: String) -> String {
        self.calls.fetch_add(1, Ordering::SeqCst);
        assert!(!self.ill.load(Ordering::SeqCst), "ill");
        text
    }

    async fn wait(&self) -> u64 {
        self.calls.fetch_add(1, Ordering::SeqCst);
        let _running = Running::new(self);
        self.release.notified().await;
        7
    }

    fn level(&self, of: String) -> impl Stream<Item = u64> {
        self.calls.fetch_add(1, Ordering::SeqCst);
        let running = Running::new(self);
        let offset = of.len() as u64 * 1000;
        tokio_stream::wrappers::WatchStream::new(self.level.subscribe()).filter_map(move |level| {
            let _ = &running;
            std::future::ready((level != UNKNOWN).then(|| level + offset))
        })
    }

    fn count(&self, to: u64) -> impl Stream<Item = u64> {
        let running = Running::new(self);
        futures_util::stream::iter(0..to).map(move |number| {
            let _ = &running;
            number
        })
    }

    fn journal(&self, after: Option<u64>) -> impl Stream<Item = Entry> {
        let state = (Running::new(self), self.level.subscribe(), after.unwrap_or(0));
        futures_util::stream::unfold(state, |(running, mut level, before)| async move {
            level.wait_for(|level| *level > before).await.ok()?;
            let number = before + 1;
            Some((Entry { number }, (running, level, number)))
        })
    }

    async fn news(
        &self,
        cx: &Context,
        topic: String,
    ) -> Result<impl Stream<Item = Shared<u64>>, NoSuchTopic> {
        if topic.is_empty() {
            return Err(NoSuchTopic);
        }
        let running = Running::new(self);
        Ok(self.news.subscribe(cx).map(move |item| {
            let _ = &running;
            item
        }))
    }

    async fn ask_back(&self, cx: &Context, question: String) -> String {
        match cx.client::<VisitorClient>().answer(question).await {
            Ok(answer) => answer,
            Err(error) => error.to_string(),
        }
    }

    async fn note(&self, text: String) {
        self.notes.lock().unwrap().push(text);
    }
}

/// A server, and the network to it.
pub struct Place {
    pub world: World,
    pub server: Server,
    pub connector: MemoryConnector,
    pub faults: Faults,
    _accepting: tokio::task::JoinHandle<()>,
}

impl Place {
    pub fn new() -> Self {
        Self::keeping(Duration::from_secs(120), Timing::default())
    }

    /// One whose server never pings. (A client asks with each ping how far away the server is, at a moment that differs from one
    /// session to the next.)
    pub fn quiet() -> Self {
        Self::keeping(Duration::from_secs(120), Timing { ping: Duration::ZERO, ..Timing::default() })
    }

    /// One whose server forgets a session as soon as its link is lost: every lost link is a gap.
    pub fn forgetful() -> Self {
        Self::keeping(Duration::ZERO, Timing::default())
    }

    fn keeping(resume_window: Duration, timing: Timing) -> Self {
        let world = World::default();
        let limits = NodeLimits { resume_window, ..NodeLimits::default() };
        let office = OfficeServer::new(world.clone());
        let server = Server::builder().service(office).node_limits(limits).timing(timing).build();
        let (mut listener, connector) = network();
        let faults = connector.faults().clone();
        let accepting = tokio::spawn({
            let server = server.clone();
            async move {
                while let Some(link) = listener.accept().await {
                    server.accept(link);
                }
            }
        });
        Self { world, server, connector, faults, _accepting: accepting }
    }

    pub fn builder(&self) -> ClientBuilder {
        Client::builder("memory").connector(self.connector.clone())
    }

    pub async fn client(&self) -> Client {
        self.builder().connect().await.unwrap()
    }

    pub fn running(&self) -> u64 {
        self.world.running.load(Ordering::SeqCst)
    }

    pub fn calls(&self) -> u64 {
        self.world.calls.load(Ordering::SeqCst)
    }
}

/// Several places, each under its name as an endpoint.
#[derive(Clone, Default)]
pub struct Map(pub Arc<Mutex<Vec<(String, MemoryConnector)>>>, pub Arc<Mutex<Vec<String>>>);

impl Map {
    pub fn new(places: &[(&str, &Place)]) -> Self {
        let known = places.iter().map(|(name, place)| ((*name).to_owned(), place.connector.clone()));
        Self(Arc::new(Mutex::new(known.collect())), Arc::default())
    }

    /// Where links were asked for, in order.
    pub fn tried(&self) -> String {
        self.1.lock().unwrap().concat()
    }
}

impl Connect for Map {
    fn connect(&self, endpoint: &str) -> BoxFuture<'static, Result<BoxLink, ConnectError>> {
        self.1.lock().unwrap().push(endpoint.to_owned());
        let known = self.0.lock().unwrap();
        let (_, connector) = known.iter().find(|(name, _)| name == endpoint).unwrap();
        connector.connect(endpoint)
    }
}

/// Two servers, `a` and `b`.
pub struct Two {
    pub a: Place,
    pub b: Place,
    pub map: Map,
}

impl Two {
    pub fn new() -> Self {
        let (a, b) = (Place::new(), Place::new());
        let map = Map::new(&[("a", &a), ("b", &b)]);
        Self { a, b, map }
    }

    pub fn builder(&self) -> ClientBuilder {
        Client::builder("a").endpoint("b").connector(self.map.clone())
    }
}

/// Waits, at most a minute, until `holds`. Under a paused clock this takes no time.
pub async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let end = Instant::now() + Duration::from_secs(60);
    while !holds() {
        assert!(Instant::now() < end, "never: {what}");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

/// Waits until `client` is in a state that `wanted` likes.
pub async fn reaches(client: &Client, wanted: impl Fn(&State) -> bool) -> State {
    let mut states = client.states();
    loop {
        let state = states.next().await.expect("the client goes on");
        if wanted(&state) {
            return state;
        }
    }
}
