//! A server says that it will go away: the client opens a session beside the one it has, and lets that one's calls end.
#![allow(clippy::unwrap_used, reason = "a helper of tests that fails them")]

mod common;

use std::{
    future::poll_fn,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use bowline::{
    Client, ClientBuilder, Delivery, State,
    middleware::status_from_error,
    prelude::*,
    transport::{
        BoxLink, Connect, ConnectError, drive,
        memory::{Faults, MemoryConnector, network},
    },
};
use bowline_protocol::session::{Config, Welcoming};
use bowline_rpc::{Dispatcher, Peer, Router, SessionInfo};
use bowline_runtime::{BoxFuture, random_bytes, random_u128};
use common::{Ada, OfficeClient, OfficeServer, UNKNOWN, VisitorServer, World, reaches, until};
use tokio::time::Instant;

/// A server whose sessions a test can speak for.
struct Node {
    world: World,
    sessions: Arc<Mutex<Vec<Peer>>>,
    connector: MemoryConnector,
    faults: Faults,
    /// How often a link to it was asked for.
    tried: AtomicU64,
}

impl Node {
    fn new() -> Self {
        let (mut listener, connector) = network();
        let faults = connector.faults().clone();
        let (world, sessions) = (World::default(), Arc::<Mutex<Vec<Peer>>>::default());
        let (served, known) = (world.clone(), sessions.clone());
        tokio::spawn(async move {
            while let Some(link) = listener.accept().await {
                tokio::spawn(serve(link, served.clone(), known.clone()));
            }
        });
        Self { world, sessions, connector, faults, tried: AtomicU64::new(0) }
    }

    fn sessions(&self) -> usize {
        self.sessions.lock().unwrap().len()
    }

    /// The id of the session that was made last.
    fn newest(&self) -> Option<u128> {
        self.sessions.lock().unwrap().last().and_then(Peer::session_id)
    }

    /// Says to everybody that this node goes away.
    fn go_away(&self, spread: Duration) {
        self.sessions.lock().unwrap().iter().for_each(|peer| peer.go_away(spread));
    }

    fn calls(&self) -> u64 {
        self.world.calls.load(Ordering::SeqCst)
    }

    fn running(&self) -> u64 {
        self.world.running.load(Ordering::SeqCst)
    }

    fn tried(&self) -> u64 {
        self.tried.load(Ordering::SeqCst)
    }
}

/// One session, for as long as its link.
async fn serve(link: impl bowline::transport::Link, world: World, sessions: Arc<Mutex<Vec<Peer>>>) {
    let router = Router::new().add(OfficeServer::new(world));
    let peer = Peer::server(Config { services: router.descriptors(), ..Config::default() });
    sessions.lock().unwrap().push(peer.clone());
    let greeted = peer.clone();
    let background = async move {
        poll_fn(|cx| greeted.poll_hello(cx)).await;
        let id = random_u128();
        greeted.welcome(Welcoming::new(id, random_bytes(), random_u128()));
        let info = SessionInfo { id, ..Default::default() };
        let mut dispatcher = Dispatcher::new(&greeted, router, info, status_from_error);
        poll_fn(|cx| dispatcher.poll(cx)).await
    };
    drive(link, &peer, background).await;
    let mut sessions = sessions.lock().unwrap();
    let session = peer.session_id();
    sessions.retain(|known| known.session_id() != session);
}

/// Two nodes, `a` and `b`.
#[derive(Clone)]
struct Nodes(Arc<[Node; 2]>);

impl Nodes {
    fn new() -> Self {
        Self(Arc::new([Node::new(), Node::new()]))
    }

    fn a(&self) -> &Node {
        &self.0[0]
    }

    fn b(&self) -> &Node {
        &self.0[1]
    }

    fn builder(&self) -> ClientBuilder {
        Client::builder("a").endpoint("b").connector(self.clone())
    }
}

impl Connect for Nodes {
    fn connect(&self, endpoint: &str) -> BoxFuture<'static, Result<BoxLink, ConnectError>> {
        let node = if endpoint == "a" { self.a() } else { self.b() };
        node.tried.fetch_add(1, Ordering::SeqCst);
        node.connector.connect(endpoint)
    }
}

/// Fails the test if the client is ever shown as anything but live.
fn stays_live(client: &Client) -> tokio::task::JoinHandle<()> {
    let mut states = client.states();
    tokio::spawn(async move {
        while let Some(state) = states.next().await {
            assert!(state.is_live() || state == State::Closed, "{state}");
        }
    })
}

#[tokio::test(start_paused = true)]
async fn new_calls_go_to_another_session_and_those_under_way_end_where_they_are() {
    let nodes = Nodes::new();
    let client = nodes.builder().connect().await.unwrap();
    let office = client.client::<OfficeClient>();
    let watching = stays_live(&client);
    let under_way = tokio::spawn(office.wait().deadline(Duration::from_secs(100)));
    until("it runs", || nodes.a().running() == 1).await;

    let begin = Instant::now();
    nodes.a().go_away(Duration::from_secs(30));
    until("there is another session", || nodes.b().sessions() == 1).await;
    assert!(begin.elapsed() <= Duration::from_secs(31));
    until("new calls go there", || client.channel().is_same_session(office.as_channel())).await;
    tokio::time::sleep(Duration::from_millis(10)).await;
    assert_eq!(office.echo("there".into()).await.unwrap(), "there");
    assert_eq!((nodes.a().calls(), nodes.b().calls()), (1, 1));
    assert_eq!(nodes.a().sessions(), 1, "its call has not ended");

    tokio::time::sleep(Duration::from_secs(10)).await;
    nodes.a().world.release.notify_one();
    assert_eq!(under_way.await.unwrap().unwrap(), 7);
    until("the old session ends with its calls", || nodes.a().sessions() == 0).await;
    assert!(client.state().is_live());
    client.close().await;
    watching.await.unwrap();
    until("nothing is left", || nodes.b().sessions() == 0 && nodes.b().faults.links() == 0).await;
}

#[tokio::test(start_paused = true)]
async fn the_moment_lies_anywhere_in_the_spread() {
    let mut moments = Vec::new();
    for _ in 0..60 {
        let nodes = Nodes::new();
        let client = nodes.builder().connect().await.unwrap();
        let begin = Instant::now();
        nodes.a().go_away(Duration::from_secs(30));
        while nodes.b().sessions() == 0 {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        moments.push(begin.elapsed().as_secs_f64());
        drop(client);
    }
    let (least, most) = moments.iter().fold((f64::MAX, 0.0_f64), |(a, b), m| (a.min(*m), b.max(*m)));
    assert!(least < 5.0 && most > 25.0 && most < 30.1, "{least} to {most}");
}

#[tokio::test(start_paused = true)]
async fn what_does_not_end_is_ended_after_thirty_seconds() {
    let nodes = Nodes::new();
    let client = nodes.builder().connect().await.unwrap();
    let office = client.client::<OfficeClient>();
    let endless = tokio::spawn(office.wait().no_deadline());
    let mut news = office.news("all".into()).await.unwrap();
    until("they run", || nodes.a().running() == 2).await;
    nodes.a().go_away(Duration::ZERO);
    until("there is another session", || nodes.b().sessions() == 1).await;
    let begin = Instant::now();
    nodes.a().world.news.publish(1);
    assert_eq!(news.next().await.unwrap().unwrap(), 1, "until then it goes on");
    let unknown = CallError::Disconnected(Delivery::OutcomeUnknown);
    assert_eq!(endless.await.unwrap().unwrap_err(), unknown);
    let seconds = begin.elapsed().as_secs_f64();
    assert!((29.9..30.1).contains(&seconds), "{seconds}");
    until("the old session is gone", || nodes.a().sessions() == 0 && nodes.a().running() == 0).await;
    assert!(client.state().is_live());
    assert_eq!(news.next().await, Some(Err(StreamError::Gap { missed: None })), "it goes on elsewhere");
    nodes.b().world.news.publish(2);
    assert_eq!(news.next().await.unwrap().unwrap(), 2);
    assert_eq!(office.echo("there".into()).await.unwrap(), "there");
}

#[tokio::test(start_paused = true)]
async fn an_only_endpoint_is_asked_for_another_session() {
    let node = Node::new();
    let client = Client::builder("a").connector(node.connector.clone()).connect().await.unwrap();
    let before = client.client::<OfficeClient>();
    let first = node.newest();
    node.go_away(Duration::ZERO);
    until("there is another", || node.newest() != first && node.sessions() == 1).await;
    assert_eq!(before.echo("hi".into()).await.unwrap(), "hi");
    assert!(client.state().is_live());
}

/// Makes links while it is open.
struct Gate(MemoryConnector, Arc<AtomicBool>);

impl Connect for Gate {
    fn connect(&self, endpoint: &str) -> BoxFuture<'static, Result<BoxLink, ConnectError>> {
        if self.1.load(Ordering::SeqCst) {
            return self.0.connect(endpoint);
        }
        Box::pin(async { Err(ConnectError::Timeout) })
    }
}

#[tokio::test(start_paused = true)]
async fn while_no_other_session_can_be_had_the_old_one_goes_on() {
    let (node, open) = (Node::new(), Arc::new(AtomicBool::new(true)));
    let gate = Gate(node.connector.clone(), open.clone());
    let client = Client::builder("a").connector(gate).connect().await.unwrap();
    let office = client.client::<OfficeClient>();
    let first = node.newest();
    let watching = stays_live(&client);
    open.store(false, Ordering::SeqCst);
    node.go_away(Duration::from_secs(1));
    for _ in 0..100 {
        assert_eq!(office.echo("still".into()).await.unwrap(), "still");
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    assert_eq!(node.newest(), first);
    open.store(true, Ordering::SeqCst);
    until("there is another", || node.newest() != first && node.sessions() == 1).await;
    assert_eq!(office.echo("still".into()).await.unwrap(), "still");
    watching.abort();
}

#[tokio::test(start_paused = true)]
async fn a_server_that_is_gone_before_another_session_was_had_is_a_lost_link() {
    let nodes = Nodes::new();
    let client = nodes.builder().connect().await.unwrap();
    tokio::time::sleep(Duration::from_secs(90)).await;
    nodes.a().go_away(Duration::from_secs(3600));
    tokio::time::sleep(Duration::from_secs(1)).await;
    let begin = Instant::now();
    nodes.a().faults.unplug();
    reaches(&client, |state| !state.is_live()).await;
    let state = reaches(&client, State::is_live).await;
    assert!((1..=2).contains(&begin.elapsed().as_secs()), "{:?}: {state}", begin.elapsed());
    assert_eq!((nodes.a().sessions(), nodes.b().sessions()), (0, 1), "elsewhere first");
}

#[tokio::test(start_paused = true)]
async fn closing_the_client_ends_the_sessions_that_are_being_left_too() {
    let nodes = Nodes::new();
    let client = nodes.builder().connect().await.unwrap();
    let office = client.client::<OfficeClient>();
    let endless = tokio::spawn(office.wait().no_deadline());
    until("it runs", || nodes.a().running() == 1).await;
    nodes.a().go_away(Duration::ZERO);
    until("there is another session", || nodes.b().sessions() == 1).await;
    let begin = Instant::now();
    client.close().await;
    assert!(begin.elapsed() < Duration::from_secs(1), "{:?}", begin.elapsed());
    assert!(endless.await.unwrap().is_err());
    until("nothing is left", || nodes.a().faults.links() + nodes.b().faults.links() == 0).await;
}

#[tokio::test(start_paused = true)]
async fn the_session_that_follows_serves_too() {
    let nodes = Nodes::new();
    let client = nodes.builder().serve(VisitorServer::new(Ada)).connect().await.unwrap();
    let office = client.client::<OfficeClient>();
    let first = office.ask_back("Why?".into()).await.unwrap();
    nodes.a().go_away(Duration::ZERO);
    until("there is another session", || nodes.b().sessions() == 1 && nodes.a().sessions() == 0).await;
    let second = office.ask_back("Why?".into()).await.unwrap();
    let session = |answer: &str| answer.split(':').next().unwrap().to_owned();
    assert!(second.ends_with(": Why? 42."), "{second}");
    assert_ne!(session(&first), session(&second));
}

type Given<T, E> = Arc<Mutex<Vec<Result<T, StreamError<E>>>>>;

/// What a reader that always waits was given.
fn read<T, E>(mut stream: Streaming<T, E>) -> Given<T, E>
where
    T: Send + 'static,
    E: Send + 'static,
{
    let given = Given::default();
    let shared = given.clone();
    tokio::spawn(async move {
        while let Some(item) = stream.next().await {
            shared.lock().unwrap().push(item);
        }
    });
    given
}

/// Watches once failed when the session that they were on ended, half a minute after the switch.
#[tokio::test(start_paused = true)]
async fn a_watch_goes_over_to_the_session_that_follows_and_shows_the_newest_value() {
    let nodes = Nodes::new();
    let client = nodes.builder().connect().await.unwrap();
    let office = client.client::<OfficeClient>();
    let watching = stays_live(&client);
    let shown = read(office.level("x".into()).await.unwrap());
    until("it is shown", || *shown.lock().unwrap() == [Ok(1000)]).await;
    nodes.b().world.level.send_replace(5);
    nodes.a().go_away(Duration::ZERO);
    until("there is another session", || nodes.b().sessions() == 1).await;
    let begin = Instant::now();
    until("it is subscribed there", || nodes.b().running() == 1).await;
    until("the newest is shown", || shown.lock().unwrap().len() == 2).await;
    until("nothing holds the old session", || nodes.a().sessions() == 0 && nodes.a().running() == 0).await;
    assert!(begin.elapsed() < Duration::from_secs(1), "{:?}", begin.elapsed());
    tokio::time::sleep(Duration::from_secs(60)).await;
    nodes.b().world.level.send_replace(6);
    until("it goes on", || shown.lock().unwrap().len() == 3).await;
    assert_eq!(*shown.lock().unwrap(), [Ok(1000), Ok(1005), Ok(1006)]);
    assert_eq!((nodes.a().calls(), nodes.b().calls()), (1, 1), "once at each");
    drop(client);
    watching.abort();
}

#[tokio::test(start_paused = true)]
async fn a_watch_that_nobody_read_meanwhile_is_subscribed_again_when_it_is_read() {
    let nodes = Nodes::new();
    let client = nodes.builder().connect().await.unwrap();
    let mut level = client.client::<OfficeClient>().level("x".into()).await.unwrap();
    assert_eq!(level.next().await.unwrap().unwrap(), 1000);
    nodes.a().go_away(Duration::ZERO);
    until("there is another session", || nodes.b().sessions() == 1).await;
    tokio::time::sleep(Duration::from_secs(31)).await;
    until("the old session is gone", || nodes.a().sessions() == 0).await;
    nodes.b().world.level.send_replace(UNKNOWN);
    assert!(level.stale_changed().await, "its value is of a session that is gone");
    let accepted = tokio::time::timeout(Duration::from_secs(1), level.stale_changed()).await;
    assert!(accepted.is_err() && level.is_stale(), "until there is another");
    nodes.b().world.level.send_replace(5);
    assert_eq!(level.next().await.unwrap().unwrap(), 1005);
    assert!(!level.stale_changed().await);
    assert_eq!(nodes.b().running(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_stream_with_a_place_goes_over_at_once_and_loses_nothing() {
    let nodes = Nodes::new();
    let client = nodes.builder().connect().await.unwrap();
    let office = client.client::<OfficeClient>();
    for node in [nodes.a(), nodes.b()] {
        node.world.level.send_replace(3);
    }
    let read = read(office.journal(None).await.unwrap());
    until("all is read", || read.lock().unwrap().len() == 3).await;
    nodes.a().go_away(Duration::ZERO);
    until("there is another session", || nodes.b().sessions() == 1).await;
    let begin = Instant::now();
    until("it is subscribed there", || nodes.b().running() == 1).await;
    until("and not here any more", || nodes.a().running() == 0 && nodes.a().sessions() == 0).await;
    assert!(begin.elapsed() < Duration::from_secs(1), "{:?}", begin.elapsed());
    nodes.b().world.level.send_replace(5);
    until("it goes on", || read.lock().unwrap().len() == 5).await;
    let numbers = read.lock().unwrap().iter().map(|item| item.as_ref().unwrap().number).collect::<Vec<_>>();
    assert_eq!(numbers, [1, 2, 3, 4, 5]);
}

/// The session that was left once looked for its server until its half minute was over, and streams waited for that.
#[tokio::test(start_paused = true)]
async fn when_the_server_that_is_left_is_gone_its_calls_end_and_its_streams_go_on_at_once() {
    let nodes = Nodes::new();
    let client = nodes.builder().connect().await.unwrap();
    let office = client.client::<OfficeClient>();
    let watching = stays_live(&client);
    let endless = tokio::spawn(office.wait().no_deadline());
    let news = read(office.news("all".into()).await.unwrap());
    until("they run", || nodes.a().running() == 2).await;
    nodes.a().go_away(Duration::ZERO);
    until("there is another session", || nodes.b().sessions() == 1).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(nodes.b().running(), 0, "without a place it stays where it is");

    let (begin, tried) = (Instant::now(), nodes.a().tried());
    client.wake();
    nodes.a().faults.unplug();
    let unknown = CallError::Disconnected(Delivery::OutcomeUnknown);
    assert_eq!(endless.await.unwrap().unwrap_err(), unknown);
    until("it is subscribed elsewhere", || nodes.b().running() == 1).await;
    nodes.b().world.news.publish(1);
    until("it goes on", || news.lock().unwrap().len() == 2).await;
    assert!(begin.elapsed() < Duration::from_secs(1), "{:?}", begin.elapsed());
    assert_eq!(news.lock().unwrap()[0], Err(StreamError::Gap { missed: None }));
    assert_eq!(*news.lock().unwrap()[1].as_ref().unwrap(), 1);
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!(nodes.a().tried(), tried, "nothing is looked for there");
    watching.abort();
}
