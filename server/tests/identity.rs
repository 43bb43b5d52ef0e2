//! What was asked as one caller is never sent as another, whatever the server still knows: real sockets, a server that
//! really goes away, and its handlers' own log.
#![allow(clippy::unwrap_used, reason = "helpers of tests are tests")]

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::routing::any;
use bowline::prelude::*;
use bowline::{Arrival, Client, GapReason, State};
use bowline_server::{Credentials, Refused, Server};
use futures_util::stream;
use http::request::Parts;
use http::{Request, Response};
use tokio::net::TcpListener;
use tokio::sync::watch;

#[bowline::rpc]
trait Diary {
    async fn write(&self, cx: &Context, what: String) -> u32;
    #[rpc(idempotent)]
    async fn look(&self, cx: &Context, what: String) -> u32;
    #[rpc(once)]
    async fn pay(&self, cx: &Context, what: String) -> u32;
    fn pages(&self, cx: &Context, what: String) -> impl Stream<Item = u32>;
    #[rpc(watch)]
    fn page(&self, cx: &Context, what: String) -> impl Stream<Item = u32>;
}

#[derive(Debug, Clone, Hash)]
struct User(String);

/// Notes who asks for what.
#[derive(Clone)]
struct Clerk {
    log: Arc<watch::Sender<Vec<String>>>,
    /// Calls end; before that they only run.
    answers: bool,
}

impl Clerk {
    async fn note(&self, cx: &Context, method: &str, what: &str) -> u32 {
        self.enter(cx, method, what);
        if !self.answers {
            std::future::pending::<()>().await;
        }
        1
    }

    fn enter(&self, cx: &Context, method: &str, what: &str) {
        let who = &cx.identity::<User>().unwrap().0;
        self.log.send_modify(|log| log.push(format!("{who}: {method} {what}")));
    }
}

impl Diary for Clerk {
    async fn write(&self, cx: &Context, what: String) -> u32 {
        self.note(cx, "write", &what).await
    }

    async fn look(&self, cx: &Context, what: String) -> u32 {
        self.note(cx, "look", &what).await
    }

    async fn pay(&self, cx: &Context, what: String) -> u32 {
        self.note(cx, "pay", &what).await
    }

    fn pages(&self, cx: &Context, what: String) -> impl Stream<Item = u32> {
        self.enter(cx, "pages", &what);
        stream::iter([1]).chain(stream::pending())
    }

    fn page(&self, cx: &Context, what: String) -> impl Stream<Item = u32> {
        self.enter(cx, "page", &what);
        stream::iter([1]).chain(stream::pending())
    }
}

/// An address behind which servers come and go.
struct Town {
    address: SocketAddr,
    server: Arc<Mutex<Option<Server>>>,
    log: Arc<watch::Sender<Vec<String>>>,
    /// Whose credentials the client shows.
    who: Arc<Mutex<&'static str>>,
    /// Bob is known, and can't be let in now.
    keeps_bob_out: Arc<AtomicBool>,
    bobs: Arc<watch::Sender<u32>>,
}

impl Town {
    async fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let server: Arc<Mutex<Option<Server>>> = Arc::default();
        let here = server.clone();
        let answer = move |request: Request<Body>| {
            let server = here.lock().unwrap().clone();
            async move {
                match server {
                    Some(server) => server.answer(request).await,
                    None => Response::builder().status(502).body(Body::empty()).unwrap(),
                }
            }
        };
        let app = Router::new().route("/ws", any(answer));
        tokio::spawn(async move { axum::serve(listener, app).await });
        Self {
            address,
            server,
            log: Arc::new(watch::Sender::default()),
            who: Arc::new(Mutex::new("ada")),
            keeps_bob_out: Arc::default(),
            bobs: Arc::default(),
        }
    }

    /// A server begins, and knows nothing of an earlier one.
    fn begin(&self, answers: bool) {
        let (keeps_out, bobs) = (self.keeps_bob_out.clone(), self.bobs.clone());
        let by_name = move |parts: &Parts| {
            let name = parts.extensions.get::<Credentials>().unwrap().expose_str().unwrap().to_owned();
            let keeps_out = keeps_out.load(Ordering::SeqCst);
            let bobs = bobs.clone();
            async move {
                if name == "bob" {
                    bobs.send_modify(|bobs| *bobs += 1);
                    if keeps_out {
                        return Err(Refused::unavailable("not now"));
                    }
                }
                Ok(User(name))
            }
        };
        let clerk = Clerk { log: self.log.clone(), answers };
        let server = Server::builder().service(DiaryServer::new(clerk)).identify(by_name).build();
        *self.server.lock().unwrap() = Some(server);
    }

    /// The server is gone without a word, with all that it knew.
    fn kill(&self) {
        let server = self.server.lock().unwrap().take();
        drop(server);
    }

    fn be(&self, who: &'static str) {
        *self.who.lock().unwrap() = who;
    }

    async fn client(&self) -> Client {
        let who = self.who.clone();
        let credentials = move || {
            let who = *who.lock().unwrap();
            async move { Ok::<_, std::io::Error>(who) }
        };
        let address = format!("ws://{}/ws", self.address);
        Client::builder(address).credentials(credentials).connect().await.unwrap()
    }

    /// Waits until so much is in the log, and takes it.
    async fn logged(&self, count: usize) -> Vec<String> {
        self.log.subscribe().wait_for(|log| log.len() >= count).await.unwrap();
        let mut log = self.log.send_replace(Vec::new());
        log.sort();
        log
    }
}

async fn reaches(client: &Client, wanted: impl Fn(&State) -> bool) -> State {
    let mut states = client.states();
    while let Some(state) = states.next().await {
        if wanted(&state) {
            return state;
        }
    }
    panic!("the client ended");
}

const RAN: [&str; 5] = ["ada: look 1", "ada: page 1", "ada: pages 1", "ada: pay 1", "ada: write 1"];

type Called = tokio::task::JoinHandle<Result<u32, CallError<std::convert::Infallible>>>;

/// Ada's calls of every kind: some run when the server goes, others are made after that.
struct Asked {
    ran: [Called; 3],
    waits: [Called; 3],
    pages: Streaming<u32>,
    page: Streaming<u32>,
}

async fn ask(town: &Town, client: &Client) -> Asked {
    let diary = client.client::<DiaryClient>();
    let long = Duration::from_secs(3600);
    let asked = |what: &str| {
        [
            tokio::spawn(diary.write(what.into()).queued_for(long)),
            tokio::spawn(diary.look(what.into()).queued_for(long)),
            tokio::spawn(diary.pay(what.into()).queued_for(long)),
        ]
    };
    let ran = asked("1");
    let mut pages = diary.pages("1".into()).await.unwrap();
    let mut page = diary.page("1".into()).await.unwrap();
    assert_eq!(pages.next().await, Some(Ok(1)));
    assert_eq!(page.next().await, Some(Ok(1)));
    assert_eq!(town.logged(5).await, RAN);
    town.kill();
    reaches(client, |state| !state.is_live()).await;
    let waits = asked("2");
    // They are in the outbox once they were polled.
    for _ in 0..10 {
        tokio::task::yield_now().await;
    }
    Asked { ran, waits, pages, page }
}

#[tokio::test]
async fn a_restarted_server_is_sent_nothing_of_who_the_client_was() {
    let town = Town::new().await;
    town.begin(false);
    let client = town.client().await;
    let mut asked = ask(&town, &client).await;
    town.be("bob");
    town.begin(true);
    client.reconnect();
    let state = reaches(&client, State::is_live).await;
    assert_eq!(state, State::Live(Arrival::Gap(GapReason::IdentityChanged)));
    for called in asked.ran.into_iter().chain(asked.waits) {
        let ended = called.await.unwrap();
        assert!(matches!(ended, Err(CallError::Disconnected(_))), "{ended:?}");
    }
    for stream in [&mut asked.pages, &mut asked.page] {
        let ended = stream.next().await;
        assert!(matches!(ended, Some(Err(StreamError::Failed(CallError::Disconnected(_))))), "{ended:?}");
        assert_eq!(stream.next().await, None);
    }
    let diary = client.client::<DiaryClient>();
    assert_eq!(diary.write("his own".into()).await, Ok(1));
    assert_eq!(town.logged(1).await, ["bob: write his own"]);
}

#[tokio::test]
async fn a_restarted_server_knows_the_same_caller_again() {
    let town = Town::new().await;
    town.begin(false);
    let client = town.client().await;
    let mut asked = ask(&town, &client).await;
    town.begin(true);
    client.reconnect();
    let state = reaches(&client, State::is_live).await;
    assert_eq!(state, State::Live(Arrival::Gap(GapReason::Unknown)));
    goes_on_as_ada(&town, &mut asked).await;
}

/// Offline the client is somebody else and itself again: what waits is hers.
#[tokio::test]
async fn what_was_queued_before_two_changes_of_credentials_is_sent_as_who_queued_it() {
    let town = Town::new().await;
    town.begin(false);
    let client = town.client().await;
    let mut asked = ask(&town, &client).await;
    // Bob is seen by a server, which does not let him in.
    town.be("bob");
    town.keeps_bob_out.store(true, Ordering::SeqCst);
    town.begin(true);
    client.reconnect();
    town.bobs.subscribe().wait_for(|bobs| *bobs > 0).await.unwrap();
    reaches(&client, |state| matches!(state, State::Reconnecting { next_in, .. } if !next_in.is_zero()))
        .await;
    assert_eq!(town.log.borrow().len(), 0);
    town.be("ada");
    client.reconnect();
    let state = reaches(&client, State::is_live).await;
    assert_eq!(state, State::Live(Arrival::Gap(GapReason::Unknown)));
    goes_on_as_ada(&town, &mut asked).await;
}

/// Of what ran, only what may run twice is asked again; what waited is sent; streams are subscribed again.
async fn goes_on_as_ada(town: &Town, asked: &mut Asked) {
    for called in &mut asked.waits {
        assert_eq!(called.await.unwrap(), Ok(1));
    }
    let [write, look, pay] = &mut asked.ran;
    assert!(matches!(write.await.unwrap(), Err(CallError::Disconnected(_))));
    assert_eq!(look.await.unwrap(), Ok(1));
    assert!(matches!(pay.await.unwrap(), Err(CallError::Disconnected(_))));
    assert_eq!(asked.pages.next().await, Some(Err(StreamError::Gap { missed: None })));
    assert_eq!(asked.pages.next().await, Some(Ok(1)));
    assert_eq!(asked.page.next().await, Some(Ok(1)));
    let log = ["look 1", "look 2", "page 1", "pages 1", "pay 2", "write 2"].map(|it| format!("ada: {it}"));
    assert_eq!(town.logged(6).await, log);
}
