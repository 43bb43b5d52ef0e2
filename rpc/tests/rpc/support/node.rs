//! A node with a table of `once` calls, and clients whose keys the tests choose.

use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bowline_protocol::codec::{Arguments, Codec, Payload};
use bowline_protocol::envelope::{GapReason, Outcome};
use bowline_protocol::once::OnceLimits;
use bowline_protocol::session::{CallId, Config, Event, Failure, Request, Session, Welcoming};
use bowline_protocol::status::Status;
use bowline_rpc::{Dispatcher, OnceStore, Peer, Router, SessionInfo, status_of};
use bowline_runtime::{now, random_bytes, random_u128};
use tokio::task::JoinHandle;

use super::bank::{Bank, SERVICE, Served};
use super::{Stack, settle};

/// A server's end of one session, as a node has many.
pub struct Node {
    pub store: OnceStore,
    pub bank: Arc<Bank>,
}

pub struct End {
    pub peer: Peer,
    pub dispatcher: JoinHandle<()>,
}

impl Node {
    pub fn new(limits: OnceLimits) -> Self {
        super::log::start();
        Self { store: OnceStore::new(limits), bank: Arc::default() }
    }

    pub fn serve<S: Stack>(&self, scope: u128, layer: impl FnOnce(Router) -> S) -> End {
        let router = Router::new().add(Served(self.bank.clone()));
        let peer = Peer::server(Config { services: router.descriptors(), ..Config::default() });
        peer.handle_connected();
        let info = SessionInfo { scope, ..SessionInfo::default() };
        let mut dispatcher = Dispatcher::new(&peer, layer(router), info, status_of).once(self.store.clone());
        let dispatcher =
            tokio::spawn(async move { poll_fn(|cx| dispatcher.poll(cx).map(|never| match never {})).await });
        End { peer, dispatcher }
    }

    pub async fn link(&self) -> Link {
        self.link_as(1).await
    }

    pub async fn link_as(&self, scope: u128) -> Link {
        self.link_through(Caller::new(), scope, |router| router).await
    }

    /// A new client's session, with layers around the router.
    pub async fn link_layered<S: Stack>(&self, layer: impl FnOnce(Router) -> S) -> Link {
        self.link_through(Caller::new(), 1, layer).await
    }

    async fn link_through<S: Stack>(
        &self,
        caller: Caller,
        scope: u128,
        layer: impl FnOnce(Router) -> S,
    ) -> Link {
        let mut caller = caller;
        let served = self.serve(scope, layer);
        caller.session.handle_connected(now());
        let mut link = Link { caller, served };
        link.carry().await;
        assert!(link.caller.session.is_live());
        link
    }

    /// The session of `link` is lost, and the same client begins another.
    pub async fn lose(&self, link: Link) -> Link {
        let Link { mut caller, served, .. } = link;
        caller.session.handle_disconnect(now(), None);
        served.peer.handle_disconnect(None);
        served.peer.end();
        served.dispatcher.abort();
        settle().await;
        self.link_through(caller, 1, |router| router).await
    }
}

impl Default for Node {
    fn default() -> Self {
        Self::new(OnceLimits::default())
    }
}

/// A node and a client's session there.
pub async fn linked() -> (Node, Link) {
    let node = Node::default();
    let link = node.link().await;
    (node, link)
}

/// A client without anything around its machine, so that tests choose the keys.
pub struct Caller {
    pub session: Session,
    pub answers: Vec<(CallId, Result<Vec<u8>, Failure>)>,
}

impl Caller {
    pub fn new() -> Self {
        Self { session: Session::client(Config::default(), random_u128()), answers: Vec::new() }
    }

    pub fn ask(&mut self, method: usize, key: u128, amount: u64) -> CallId {
        self.ask_within(method, key, amount, Duration::from_secs(100))
    }

    pub fn ask_within(&mut self, method: usize, key: u128, amount: u64, time: Duration) -> CallId {
        let request = Request {
            service: &SERVICE,
            method,
            arguments: Arguments::new(&amount).unwrap(),
            deadline: Some(now() + time),
            metadata: Vec::new(),
            depth: 0,
            once: Some(key),
            queued: None,
        };
        self.session.call(now(), request).unwrap()
    }

    pub fn answer(&mut self, call: CallId) -> Option<Result<Vec<u8>, Failure>> {
        while let Some(event) = self.session.poll_event() {
            if let Event::Response { call, result } = event {
                self.answers.push((call, result.map(|(_, buffer)| buffer.to_vec())));
            }
        }
        let place = self.answers.iter().position(|answer| answer.0 == call)?;
        Some(self.answers.remove(place).1)
    }

    pub fn number(&mut self, call: CallId) -> u64 {
        let bytes = self.answer(call).expect("the call has ended").unwrap();
        u64::decode(Codec::Rkyv, &bytes::Bytes::from(bytes)).unwrap()
    }

    pub fn status(&mut self, call: CallId) -> Status {
        match self.answer(call).expect("the call has ended") {
            Err(Failure::Status(status)) => status,
            other => panic!("{other:?}"),
        }
    }
}

/// A client and its session at the node.
pub struct Link {
    pub caller: Caller,
    pub served: End,
}

impl Link {
    /// Everything that can arrive arrives.
    pub async fn carry(&mut self) {
        let mut quiet = 0;
        while quiet < 2 {
            let there = self.send();
            settle().await;
            quiet = if there | self.receive() { 0 } else { quiet + 1 };
        }
    }

    pub fn send(&mut self) -> bool {
        let mut carried = false;
        while let Some(message) = self.caller.session.poll_transmit(now()) {
            self.served.peer.handle_message(message);
            carried = true;
        }
        let mut cx = Context::from_waker(Waker::noop());
        if let Poll::Ready(hello) = self.served.peer.poll_hello(&mut cx) {
            let mut welcoming = Welcoming::new(random_u128(), random_bytes(), random_u128());
            if hello.resume.is_some() {
                let reason = GapReason::Unknown;
                welcoming.outcome = Outcome::Gap { reason, lost_from: 0, lost_to: None };
            }
            self.served.peer.welcome(welcoming);
        }
        carried
    }

    pub fn receive(&mut self) -> bool {
        let mut carried = false;
        let mut cx = Context::from_waker(Waker::noop());
        while let Poll::Ready(message) = self.served.peer.poll_transmit(&mut cx) {
            self.caller.session.handle_message(now(), message);
            carried = true;
        }
        carried
    }

    /// Lets the time of both ends pass.
    pub async fn pass(&mut self, time: Duration) {
        tokio::time::sleep(time).await;
        self.caller.session.handle_timeout(now());
        self.served.peer.handle_timeout();
        self.carry().await;
    }
}
