//! Resumes by those who may not: what they are told, and that the owner, a real client, goes on as if nothing had been.
#![allow(clippy::unwrap_used, reason = "helpers of tests are tests")]

mod support;

use std::convert::Infallible;
use std::sync::{Arc, Mutex};
use std::task::{Context as Cx, Poll};
use std::time::Duration;

use bowline::prelude::*;
use bowline::transport::{
    BoxLink, CloseFrame, Connect, ConnectError, Link, LinkError, Received, memory::MemoryConnector,
};
use bowline::{Arrival, Client, State};
use bowline_protocol::envelope::{
    Ack, Control, Decoder, Envelope, GapReason, Hello, Outcome, Resume, Secret, Sequenced, Welcome,
};
use bowline_protocol::registry::NodeLimits;
use bowline_protocol::schema::ServiceDescriptor;
use bowline_runtime::{BoxFuture, random_bytes};
use bowline_server::{Credentials, Refused, Server};
use bytes::Bytes;
use http::request::Parts;
use support::probe::{ProbeClient, ProbeServer, Service, User, method};
use support::wire::{Place, Wire, reason, until};
use tokio::task::JoinHandle;
use tokio::time::sleep;

const PROBE: &[&ServiceDescriptor] = &[ProbeClient::SERVICE];

async fn by_name(parts: &Parts) -> Result<User, Refused> {
    let credentials = parts.extensions.get::<Credentials>();
    let name = credentials.and_then(Credentials::expose_str);
    name.map(|name| User(name.to_owned())).ok_or_else(|| Refused::unauthenticated("who?"))
}

/// What somebody who reads along knows of a client.
#[derive(Debug, Clone, Default)]
struct Overheard {
    hello: Option<Hello>,
    welcomes: Vec<Welcome>,
}

impl Overheard {
    /// What the client would ask for next.
    fn hello(&self) -> Hello {
        let (hello, welcome) = (self.hello.clone().unwrap(), self.welcomes.last().unwrap());
        let resume = Resume {
            session: welcome.session,
            token: welcome.token.clone(),
            epoch: welcome.epoch,
            last_processed: 0,
            declarations: 0,
            generation: welcome.generation,
            unsequenced: 0,
        };
        Hello { attempt: hello.attempt + 1000, resume: Some(resume), ..hello }
    }
}

/// A network whose links are read along.
struct Tapped(MemoryConnector, Arc<Mutex<Overheard>>);

struct Tap(BoxLink, Arc<Mutex<Overheard>>);

impl Tap {
    fn overhear(&self, message: &Bytes) {
        for envelope in Decoder::new(message.clone()) {
            let mut overheard = self.1.lock().unwrap();
            match envelope {
                Ok(Envelope::Control(Control::Hello(hello))) => overheard.hello = Some(*hello),
                Ok(Envelope::Control(Control::Welcome(welcome))) => overheard.welcomes.push(*welcome),
                _ => {}
            }
        }
    }
}

impl Connect for Tapped {
    fn connect(&self, endpoint: &str) -> BoxFuture<'static, Result<BoxLink, ConnectError>> {
        let (link, overheard) = (self.0.connect(endpoint), self.1.clone());
        Box::pin(async move { Ok(Box::new(Tap(link.await?, overheard)) as BoxLink) })
    }
}

impl Link for Tap {
    fn poll_ready(&mut self, cx: &mut Cx<'_>) -> Poll<Result<(), LinkError>> {
        self.0.poll_ready(cx)
    }

    fn start_send(&mut self, message: Bytes) -> Result<(), LinkError> {
        self.overhear(&message);
        self.0.start_send(message)
    }

    fn poll_flush(&mut self, cx: &mut Cx<'_>) -> Poll<Result<(), LinkError>> {
        self.0.poll_flush(cx)
    }

    fn poll_receive(&mut self, cx: &mut Cx<'_>) -> Poll<Result<Received, LinkError>> {
        let received = self.0.poll_receive(cx);
        if let Poll::Ready(Ok(Received::Binary(message))) = &received {
            self.overhear(message);
        }
        received
    }

    fn poll_close(&mut self, cx: &mut Cx<'_>, frame: &CloseFrame) -> Poll<()> {
        self.0.poll_close(cx, frame)
    }

    fn written(&self) -> u64 {
        self.0.written()
    }
}

/// Ada's client with a call that runs, and another way to her server.
struct Town {
    service: Service,
    hers: Place,
    theirs: Place,
    client: Client,
    overheard: Arc<Mutex<Overheard>>,
    call: JoinHandle<Result<u32, CallError<Infallible>>>,
}

impl Town {
    async fn new() -> Self {
        let service = Service::default();
        let limits = NodeLimits { tombstone_age: Duration::from_secs(60), ..NodeLimits::default() };
        let probe = ProbeServer::new(service.clone());
        let server = Server::builder().service(probe).identify(by_name).node_limits(limits).build();
        let (hers, theirs) = (Place::new(server.clone()), Place::new(server));
        let overheard = Arc::default();
        let client = Client::builder("memory")
            .connector(Tapped(hers.connector.clone(), Arc::clone(&overheard)))
            .credentials(|| async { Ok::<_, Infallible>("ada") })
            .connect()
            .await
            .unwrap();
        let call = tokio::spawn(client.client::<ProbeClient>().gate().deadline(Duration::from_secs(3600)));
        service.running.wait_for(1).await;
        Self { service, hers, theirs, client, overheard, call }
    }

    fn overheard(&self) -> Overheard {
        self.overheard.lock().unwrap().clone()
    }

    /// Her link is cut, and she comes back and is heard of.
    async fn cut(&self) {
        let resumed = self.hers.server.stats().counted.resumed;
        self.hers.faults.cut();
        until(60, "she is back", || self.hers.server.stats().counted.resumed > resumed).await;
        self.goes_on().await;
        sleep(Duration::from_secs(2)).await;
    }

    /// She asks and is answered.
    async fn goes_on(&self) {
        assert_eq!(self.client.client::<ProbeClient>().add(2, 3).await.unwrap(), 5);
    }

    /// Somebody says this, and is told of another session, why, and nothing else.
    async fn refuses(&self, hello: Hello, expected: GapReason) {
        let hers = self.overheard().welcomes.last().unwrap().session;
        let (thief, welcome) = self.theirs.resume(hello).await;
        let welcome = welcome.unwrap();
        assert_eq!((reason(&welcome), welcome.peer_last_processed), (expected, None));
        assert_ne!(welcome.session, hers);
        thief.close().await;
    }

    /// The call that began before everything else has its answer on the session that she had from the first.
    async fn ends_well(self, resumes: u64) {
        self.goes_on().await;
        self.service.gate.notify_one();
        assert_eq!(self.call.await.unwrap(), Ok(7));
        let outcomes: Vec<_> = self.overheard.lock().unwrap().welcomes.iter().map(|it| it.outcome).collect();
        assert_eq!(outcomes[0], Outcome::New);
        assert!(outcomes[1..].iter().all(|it| *it == Outcome::Resumed), "{outcomes:?}");
        assert_eq!(outcomes.len() as u64, 1 + resumes);
        assert!(matches!(self.client.state(), State::Live(Arrival::New | Arrival::Resumed)));
    }
}

/// Says what `spoil` makes of her next hello, thirty times as `who`, while she has a link and while she has none.
async fn abuse(who: &'static str, spoil: impl Fn(&mut Hello), expected: GapReason) {
    for away in [false, true] {
        let town = Town::new().await;
        if away {
            town.hers.faults.unplug();
            town.hers.parked(1).await;
        }
        for _ in 0..30 {
            let mut hello = Hello { credentials: Secret::from(who), ..town.overheard().hello() };
            spoil(&mut hello);
            town.refuses(hello, expected).await;
        }
        town.hers.faults.plug();
        town.client.reconnect();
        until(60, "she is back", || town.overheard().welcomes.len() == 2).await;
        town.ends_well(1).await;
    }
}

fn resume(hello: &mut Hello) -> &mut Resume {
    hello.resume.as_mut().unwrap()
}

#[tokio::test(start_paused = true)]
async fn random_tokens_are_refused() {
    for who in ["ada", "eve"] {
        let random = |hello: &mut Hello| resume(hello).token = Secret::from(random_bytes::<32>().to_vec());
        abuse(who, random, GapReason::Unknown).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_right_token_is_of_no_use_to_anybody_else() {
    abuse("eve", |_| {}, GapReason::IdentityChanged).await;
}

/// Whatever is said about what arrived is not looked at before the token and its bearer.
#[tokio::test(start_paused = true)]
async fn forged_numbers_are_refused() {
    let forged = |hello: &mut Hello| {
        let resume = resume(hello);
        (resume.last_processed, resume.unsequenced, resume.generation) = (u64::MAX, u64::MAX, u64::MAX);
        resume.epoch = 0;
        hello.attempt = u64::MAX;
    };
    abuse("eve", forged, GapReason::IdentityChanged).await;
    let guessed = |hello: &mut Hello| {
        forged(hello);
        resume(hello).token = Secret::from(vec![7; 32]);
    };
    abuse("ada", guessed, GapReason::Unknown).await;
}

#[tokio::test(start_paused = true)]
async fn tokens_that_were_used_are_refused() {
    let town = Town::new().await;
    for _ in 0..3 {
        town.cut().await;
    }
    let overheard = town.overheard();
    for who in ["ada", "eve"] {
        for old in &overheard.welcomes[..3] {
            let mut hello = Hello { credentials: Secret::from(who), ..overheard.hello() };
            resume(&mut hello).token = old.token.clone();
            town.refuses(hello, GapReason::Unknown).await;
            town.goes_on().await;
        }
    }
    town.ends_well(3).await;
}

#[tokio::test(start_paused = true)]
async fn tokens_of_other_sessions_are_refused() {
    let town = Town::new().await;
    for owner in ["eve", "ada"] {
        let (mut wire, ticket) = town.theirs.begin(owner, PROBE).await;
        for who in ["eve", "ada"] {
            let mut hello = Hello { credentials: Secret::from(who), ..town.overheard().hello() };
            resume(&mut hello).token = Secret::from(ticket.token.clone());
            town.refuses(hello, GapReason::Unknown).await;
        }
        wire.adds(1, 0).await;
    }
    town.ends_well(0).await;
}

#[tokio::test(start_paused = true)]
async fn tokens_of_sessions_that_expired_are_refused() {
    let town = Town::new().await;
    let (wire, mut ticket) = town.theirs.begin("ada", PROBE).await;
    drop(wire);
    town.hers.parked(1).await;
    sleep(Duration::from_secs(121)).await;
    // To others nothing is said of when it was; its owner is told, and nothing goes on.
    let eves = Hello { credentials: Secret::from("eve"), ..ticket.again() };
    town.refuses(eves, GapReason::IdentityChanged).await;
    let (_wire, welcome) = town.theirs.resume(ticket.again()).await;
    assert_eq!(reason(&welcome.unwrap()), GapReason::Expired);
    // For her session it is no token either.
    let mut hello = town.overheard().hello();
    resume(&mut hello).token = Secret::from(ticket.token.clone());
    town.refuses(hello, GapReason::Unknown).await;
    sleep(Duration::from_secs(61)).await;
    town.refuses(ticket.again(), GapReason::Unknown).await;
    town.ends_well(0).await;
}

/// On a link of one's own nothing can be said about another's session, and nonsense ends that link alone.
#[tokio::test(start_paused = true)]
async fn forged_acks_and_numbers_on_a_link_end_that_link() {
    let town = Town::new().await;
    let ack = |seq, unsequenced| Envelope::Control(Control::Ack(Ack { seq, unsequenced }));
    let cancel = |seq| {
        let call =
            bowline_protocol::envelope::CallRef { id: 0, opener: bowline_protocol::envelope::Opener::Writer };
        Envelope::Sequenced(seq, Sequenced::Cancel { call })
    };
    for forged in [ack(1000, 0), ack(u64::MAX, 0), ack(0, 1), ack(0, u64::MAX), cancel(5), cancel(u64::MAX)] {
        let (mut wire, _): (Wire, _) = town.theirs.begin("eve", PROBE).await;
        wire.open(1, 0, method::HANG, "{}").await;
        wire.send(std::slice::from_ref(&forged)).await;
        assert_eq!(wire.closed().await.0, 4008, "{forged:?}");
        town.goes_on().await;
    }
    town.ends_well(0).await;
}
