//! A client written by hand over a network in memory, where time stands still while bytes move: it loses links and
//! presents tokens as it likes.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::time::Duration;

use bowline::transport::memory::{Faults, MemoryConnector, network};
use bowline::transport::{BoxLink, CloseFrame, Connect, Link, LinkError, Received};
use bowline_protocol::codec::Codec;
use bowline_protocol::envelope::{
    Ack, CallOpen, Control, Decoder, Encoder, Envelope, GapReason, Hello, Outcome, Payload, Resume, Secret,
    Sequenced, Welcome,
};
use bowline_protocol::schema::{Hasher, ServiceDescriptor};
use bowline_protocol::status::CloseCode;
use bowline_server::Server;
use bytes::Bytes;
use http::request::Parts;

use super::hello;
use super::probe::{Service, method};

/// A server, and the network to it.
pub struct Place {
    pub server: Server,
    pub connector: MemoryConnector,
    pub faults: Faults,
}

impl Place {
    /// Every link says in its request that it is of `user`, if there is one.
    pub fn new(server: Server) -> Self {
        let (mut listener, connector) = network();
        let faults = connector.faults().clone();
        let accepting = server.clone();
        tokio::spawn(async move {
            while let Some(link) = listener.accept().await {
                accepting.accept_for(request(), link);
            }
        });
        Self { server, connector, faults }
    }

    /// A link that has said nothing.
    pub async fn link(&self) -> Wire {
        let link = self.connector.connect("memory").await.unwrap();
        Wire { link, inbox: VecDeque::new(), acknowledged: 0, acknowledges: false }
    }

    /// A new session of this user.
    pub async fn begin(&self, user: &str, services: &[&ServiceDescriptor]) -> (Wire, Ticket) {
        let mut wire = self.link().await;
        let hello = Hello { credentials: Secret::from(user.to_owned()), ..hello(services) };
        wire.say(hello.clone()).await;
        let welcome = wire.welcome().await;
        assert_eq!(welcome.outcome, Outcome::New);
        let ticket = Ticket::new(hello, welcome);
        wire.acknowledge(0).await;
        (wire, ticket)
    }

    /// Asks for a session on a new link; returns what the server says.
    pub async fn resume(&self, hello: Hello) -> (Wire, Result<Welcome, (u16, String)>) {
        let mut wire = self.link().await;
        wire.say(hello).await;
        let answer = wire.answer().await;
        (wire, answer)
    }

    /// Goes on with the session on a new link, which the server must allow.
    pub async fn go_on(&self, ticket: &mut Ticket) -> Wire {
        let (wire, welcome) = self.resume(ticket.again()).await;
        ticket.take(&welcome.unwrap());
        wire
    }

    /// Waits until so many sessions are without a link.
    pub async fn parked(&self, sessions: usize) {
        until(1, "the link is gone", || self.server.stats().held.detached == sessions).await;
    }
}

fn request() -> Parts {
    http::Request::builder().uri("/ws").body(()).unwrap().into_parts().0
}

/// What a client keeps of its session.
#[derive(Debug, Clone)]
pub struct Ticket {
    hello: Hello,
    pub session: u128,
    pub token: Bytes,
    pub epoch: u128,
    pub generation: u64,
    /// The last number of the server's that was seen.
    pub seen: u64,
}

impl Ticket {
    pub fn new(hello: Hello, welcome: Welcome) -> Self {
        let Welcome { session, token, epoch, generation, .. } = welcome;
        Self { hello, session, token: token.into_inner(), epoch, generation, seen: 0 }
    }

    /// The hello that goes on with the session, one attempt later.
    pub fn again(&mut self) -> Hello {
        self.hello.attempt += 1;
        let declarations = &self.hello.declarations;
        let digest =
            declarations.iter().fold(Hasher::new("declarations"), |it, one| it.field(&one.name, one.digest));
        let resume = Resume {
            session: self.session,
            token: Secret::from(self.token.clone()),
            epoch: self.epoch,
            last_processed: self.seen,
            declarations: digest.finish(),
            generation: self.generation,
            unsequenced: 0,
        };
        Hello { resume: Some(resume), ..self.hello.clone() }
    }

    /// Takes the token of a welcome that went on.
    pub fn take(&mut self, welcome: &Welcome) {
        assert_eq!((welcome.outcome, welcome.session), (Outcome::Resumed, self.session));
        assert!(welcome.generation > self.generation);
        self.token = welcome.token.expose().clone();
        self.generation = welcome.generation;
    }
}

/// Why the session of this welcome could not go on.
pub fn reason(welcome: &Welcome) -> GapReason {
    match welcome.outcome {
        Outcome::Gap { reason, .. } => reason,
        outcome => panic!("{outcome:?}"),
    }
}

pub struct Wire {
    link: BoxLink,
    inbox: VecDeque<Envelope>,
    /// What pongs acknowledge: nothing that the test did not ask for, so that it knows from where it may go on.
    acknowledged: u64,
    /// Pongs acknowledge everything that came, as those of a real client do.
    pub acknowledges: bool,
}

impl Wire {
    pub async fn send(&mut self, envelopes: &[Envelope]) {
        let mut message = Vec::new();
        let mut encoder = Encoder::new(&mut message);
        for envelope in envelopes {
            encoder.push(envelope);
        }
        poll_fn(|cx| self.link.poll_ready(cx)).await.unwrap();
        self.link.start_send(message.into()).unwrap();
        poll_fn(|cx| self.link.poll_flush(cx)).await.unwrap();
    }

    pub async fn say(&mut self, hello: Hello) {
        self.send(&[Envelope::Control(Control::Hello(Box::new(hello)))]).await;
    }

    /// Says that everything up to `seq` arrived.
    pub async fn acknowledge(&mut self, seq: u64) {
        self.acknowledged = seq;
        self.send(&[Envelope::Control(Control::Ack(Ack { seq, unsequenced: 0 }))]).await;
    }

    /// Opens call `id` of service 0 as number `seq`.
    pub async fn open(&mut self, seq: u64, id: u32, method: u32, arguments: &str) {
        let open = CallOpen {
            id,
            service: 0,
            method,
            codec: Codec::Json,
            time_left_ms: Some(600_000),
            depth: 0,
            once: None,
            metadata: Vec::new(),
            payload: Payload::Whole(arguments.to_owned().into()),
        };
        self.send(&[Envelope::Sequenced(seq, Sequenced::Call(open))]).await;
    }

    /// Makes the first call of a service that nobody else calls, and waits until its handler runs.
    pub async fn start(&mut self, service: &Service, method: u32) {
        self.open(1, 0, method, "{}").await;
        service.running.wait_for(1).await;
    }

    /// Makes call `id` as number `seq`, and has its answer.
    pub async fn adds(&mut self, seq: u64, id: u32) {
        self.open(seq, id, method::ADD, r#"{"a":2,"b":3}"#).await;
        assert_eq!(self.response(id).await.1, "5");
    }

    /// The next envelope, or how the link ended. Pings are answered.
    pub async fn next(&mut self) -> Result<Envelope, (u16, String)> {
        loop {
            if let Some(envelope) = self.inbox.pop_front() {
                if let Envelope::Control(Control::Ping { nonce }) = envelope {
                    let ack = Ack { seq: self.acknowledged, unsequenced: 0 };
                    let pong = Control::Pong { nonce, ack, once_tick: 0 };
                    self.send(&[Envelope::Control(pong)]).await;
                    continue;
                }
                if let Envelope::Sequenced(seq, _) = envelope
                    && self.acknowledges
                {
                    self.acknowledged = seq;
                }
                return Ok(envelope);
            }
            match poll_fn(|cx| self.link.poll_receive(cx)).await {
                Ok(Received::Binary(message)) => {
                    self.inbox.extend(Decoder::new(message).map(|envelope| envelope.unwrap()));
                }
                Ok(Received::Closed(frame)) => return Err((frame.code.number(), frame.reason)),
                Ok(Received::Text) => panic!("text"),
                Err(LinkError::Lost(_)) => return Err((1006, "lost".into())),
                Err(error) => panic!("{error}"),
            }
        }
    }

    /// The welcome, or how the link was closed instead.
    pub async fn answer(&mut self) -> Result<Welcome, (u16, String)> {
        loop {
            if let Envelope::Control(Control::Welcome(welcome)) = self.next().await? {
                return Ok(*welcome);
            }
        }
    }

    pub async fn welcome(&mut self) -> Welcome {
        self.answer().await.unwrap()
    }

    /// Reads until call `id` has its response, and returns that one's number and payload.
    pub async fn response(&mut self, id: u32) -> (u64, Bytes) {
        loop {
            if let Envelope::Sequenced(seq, Sequenced::Response { call, payload: Payload::Whole(bytes), .. }) =
                self.next().await.unwrap()
                && call.id == id
            {
                return (seq, bytes);
            }
        }
    }

    /// Reads until the link ends, which it does within ten minutes.
    pub async fn closed(&mut self) -> (u16, String) {
        let ended = async {
            loop {
                if let Err(closed) = self.next().await {
                    return closed;
                }
            }
        };
        tokio::time::timeout(Duration::from_secs(600), ended).await.expect("the link ends")
    }

    /// Reads what there is for half a second; the link must not end.
    pub async fn stays(&mut self) {
        self.stays_for(Duration::from_millis(500)).await;
    }

    pub async fn stays_for(&mut self, time: Duration) {
        let ended = tokio::time::timeout(time, self.closed()).await;
        assert!(ended.is_err(), "{ended:?}");
    }

    pub async fn close(mut self) {
        let frame = CloseFrame::new(CloseCode::NORMAL, "");
        poll_fn(|cx| self.link.poll_close(cx, &frame)).await;
    }
}

/// Waits, at most `seconds`, until `holds`.
pub async fn until(seconds: u64, what: &str, mut holds: impl FnMut() -> bool) {
    let end = tokio::time::Instant::now() + Duration::from_secs(seconds);
    while !holds() {
        assert!(tokio::time::Instant::now() < end, "never: {what}");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}
