//! Clients: a machine that lives across links, and a simple policy for making new ones.

use std::time::Duration;

use bowline_protocol::Instant;
use bowline_protocol::envelope::{GapReason, Refusal, Secret};
use bowline_protocol::session::Session;
use bowline_protocol::status::CloseCode;

use crate::net::{End, LinkId, Net, Weather};
use crate::note;
use crate::oracle::{Invariant, Party};
use crate::peer::{Peer, Pumped};
use crate::world::{Ctx, Happening, Place};

/// One client.
#[derive(Debug)]
pub(crate) struct Client {
    pub(crate) index: usize,
    pub(crate) peer: Peer,
    /// The link that is being made.
    opening: Option<LinkId>,
    /// Attempts without a welcome since the last one.
    failures: u32,
    live_since: Option<Instant>,
    /// Until then no link can be made.
    pub(crate) offline_until: Instant,
    /// Who it is from its next hello on.
    pub(crate) next_identity: Option<u128>,
    /// Until then the machine that it runs on sleeps.
    pub(crate) asleep_until: Instant,
    /// What would have happened meanwhile.
    pub(crate) missed: Vec<Happening>,
    /// Which plan to connect counts.
    plan: u32,
    pub(crate) is_closed: bool,
}

impl Client {
    pub(crate) fn new(cx: &mut Ctx, index: usize) -> Self {
        let instance = u128::from(cx.random.number()) << 64 | u128::from(cx.random.number());
        let machine = Session::client(cx.profile.config(), instance);
        let peer = Peer::new(cx, Place::Client(index), machine);
        let mut client = Self {
            index,
            peer,
            opening: None,
            failures: 0,
            live_since: None,
            offline_until: cx.now,
            next_identity: None,
            asleep_until: cx.now,
            missed: Vec::new(),
            plan: 0,
            is_closed: false,
        };
        client.be(1000 + index as u128);
        client
    }

    /// Who is calling, from the next hello on.
    fn be(&mut self, identity: u128) {
        self.peer.app.identity = identity;
        self.peer.machine.set_credentials(Secret::from(identity.to_le_bytes().to_vec()));
    }

    /// Plans the next attempt.
    pub(crate) fn plan(&mut self, cx: &mut Ctx, after: Duration) {
        if !self.is_closed {
            self.plan += 1;
            cx.queue.at(cx.now + after, Happening::Connect(self.index, self.plan));
        }
    }

    /// An attempt begins.
    pub(crate) fn connect(&mut self, cx: &mut Ctx, net: &mut Net, plan: u32) {
        if plan != self.plan || self.is_closed || self.peer.link.is_some() || self.opening.is_some() {
            return;
        }
        if cx.now < self.offline_until {
            self.failures += 1;
            let fails = Duration::from_millis(cx.random.below(10_000));
            let after = fails + self.backoff(cx);
            note!(cx, "c{} finds no network", self.index);
            return self.plan(cx, after.min(Duration::from_secs(30)));
        }
        let weather = match &cx.profile.weather {
            Some(weather) => weather.clone(),
            None if cx.is_healed => Weather::fair(),
            None => Weather::random(&mut cx.random),
        };
        let opens = weather.delay * 4;
        let link = net.make(cx.now, self.index, weather);
        note!(cx, "c{} opens l{link}: {:?}", self.index, net.get(link).map(|it| &it.weather));
        if !cx.is_healed && !cx.profile.is_calm && cx.random.below(6) == 0 {
            // In the middle of the handshake, or of what is written again.
            let end = if cx.random.below(2) == 0 { End::Client } else { End::Server };
            net.lose_after(link, end, cx.random.below(6000));
        }
        self.opening = Some(link);
        cx.queue.at(cx.now + opens, Happening::Opened(link));
    }

    /// The link is there.
    pub(crate) fn opened(&mut self, cx: &mut Ctx, net: &mut Net, link: LinkId) -> bool {
        if self.opening != Some(link) {
            return false;
        }
        self.opening = None;
        if self.is_closed || !net.is_open(link, End::Client) {
            return false;
        }
        self.peer.link = Some(link);
        if let Some(identity) = self.next_identity.take() {
            if let Some(session) = self.peer.machine.session_id() {
                cx.oracle.session_gone(session, GapReason::IdentityChanged);
            }
            note!(cx, "c{} is {identity} now", self.index);
            self.be(identity);
        }
        self.peer.machine.handle_connected(cx.now);
        true
    }

    /// Does all that can be done now.
    pub(crate) fn pump(&mut self, cx: &mut Ctx, net: &mut Net) {
        loop {
            match self.peer.pump(cx, net) {
                Pumped::Idle => break,
                Pumped::Hello(_) | Pumped::Proved => {
                    cx.oracle.violate(Invariant::I3, "a client is told of a hello".into());
                    break;
                }
                Pumped::Close(refusal) => {
                    note!(cx, "c{} closes: {} {}", self.index, refusal.code, refusal.reason);
                    let session = self.peer.machine.session_id();
                    cx.judge_close(self.peer.place, session, refusal.code, &refusal.reason);
                    if let Some(link) = self.peer.unlink(cx) {
                        net.close(cx, link, End::Client, &refusal);
                    }
                    self.disconnected(cx, Some(refusal.code), Duration::ZERO);
                }
            }
        }
        if self.peer.machine.is_live() {
            if self.live_since.is_none() {
                self.live_since = Some(cx.now);
                self.failures = 0;
            }
        } else {
            self.live_since = None;
        }
    }

    /// The link is gone, or this end wants no more of it.
    pub(crate) fn lost(&mut self, cx: &mut Ctx, net: &mut Net, link: LinkId, closed: Option<&Refusal>) {
        if self.opening == Some(link) {
            self.opening = None;
            net.forget(link, End::Client);
            self.failures += 1;
            let after = self.backoff(cx);
            return self.plan(cx, after);
        }
        if self.peer.link != Some(link) {
            return net.forget(link, End::Client);
        }
        note!(cx, "c{} loses l{link}", self.index);
        self.peer.unlink(cx);
        net.forget(link, End::Client);
        let wait = closed.map_or(Duration::ZERO, wait_of);
        self.disconnected(cx, closed.map(|refusal| refusal.code), wait);
    }

    fn disconnected(&mut self, cx: &mut Ctx, code: Option<CloseCode>, wait: Duration) {
        if code.is_some_and(CloseCode::stops) {
            if self.peer.machine.session_id().is_some() {
                cx.oracle.session_lost(self.index, Party::Client);
                self.peer.app.forget_stopped(cx);
            }
            if !self.is_closed {
                cx.oracle.violate(Invariant::I7, format!("c{} is turned away with {code:?}", self.index));
            }
        }
        self.peer.machine.handle_disconnect(cx.now, code);
        let lived = self.live_since.take().is_some_and(|since| cx.now - since > Duration::from_secs(60));
        let after = if lived { Duration::from_millis(cx.random.below(1000)) } else { self.backoff(cx) };
        self.failures += 1;
        self.plan(cx, after.max(wait));
    }

    fn backoff(&self, cx: &mut Ctx) -> Duration {
        let most = 500_u64 << self.failures.min(6);
        Duration::from_millis(cx.random.below(most.min(30_000)))
    }
}

/// The patience that a refusal asks for.
fn wait_of(refusal: &Refusal) -> Duration {
    let words = refusal.reason.rsplit_once("retry after ").and_then(|(_, rest)| rest.split_once(" s"));
    Duration::from_secs(words.and_then(|(seconds, _)| seconds.parse().ok()).unwrap_or(0))
}
