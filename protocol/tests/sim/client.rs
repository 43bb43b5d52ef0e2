//! Clients: a machine that lives across links, and a simple policy for making new ones.

use std::time::Duration;

use bowline_protocol::Instant;
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
    /// Which plan to connect counts.
    plan: u32,
    pub(crate) is_closed: bool,
}

impl Client {
    pub(crate) fn new(cx: &mut Ctx, index: usize) -> Self {
        let instance = u128::from(cx.random.number()) << 64 | u128::from(cx.random.number());
        let machine = Session::client(cx.profile.config(), instance);
        let peer = Peer::new(cx.now, Place::Client(index), machine, index);
        Self {
            index,
            peer,
            opening: None,
            failures: 0,
            live_since: None,
            offline_until: cx.now,
            plan: 0,
            is_closed: false,
        }
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
        let weather = if cx.is_healed { Weather::fair() } else { Weather::random(&mut cx.random) };
        let opens = weather.delay * 4;
        let link = net.make(cx.now, self.index, weather);
        note!(cx, "c{} opens l{link}: {:?}", self.index, net.get(link).map(|it| &it.weather));
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
        self.peer.machine.handle_connected(cx.now);
        true
    }

    /// Does all that can be done now.
    pub(crate) fn pump(&mut self, cx: &mut Ctx, net: &mut Net) {
        loop {
            match self.peer.pump(cx, net) {
                Pumped::Idle => break,
                Pumped::Hello => {
                    cx.oracle.violate(Invariant::I3, "a client is told of a hello".into());
                    break;
                }
                Pumped::Close(refusal) => {
                    note!(cx, "c{} closes: {} {}", self.index, refusal.code, refusal.reason);
                    cx.judge_close(self.peer.place, refusal.code, &refusal.reason);
                    if let Some(link) = self.peer.unlink() {
                        net.close(cx, link, End::Client, refusal.code.number());
                    }
                    self.disconnected(cx);
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
    pub(crate) fn lost(&mut self, cx: &mut Ctx, net: &mut Net, link: LinkId) {
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
        self.peer.unlink();
        net.forget(link, End::Client);
        self.disconnected(cx);
    }

    fn disconnected(&mut self, cx: &mut Ctx) {
        if self.peer.machine.session_id().is_some() {
            cx.oracle.session_lost(self.index, Party::Client);
        }
        self.peer.machine.handle_disconnect(cx.now, Some(CloseCode::NORMAL));
        self.peer.app.forget_stopped(cx);
        let lived = self.live_since.take().is_some_and(|since| cx.now - since > Duration::from_secs(60));
        let after = if lived { Duration::from_millis(cx.random.below(1000)) } else { self.backoff(cx) };
        self.failures += 1;
        self.plan(cx, after);
    }

    fn backoff(&self, cx: &mut Ctx) -> Duration {
        let most = 500_u64 << self.failures.min(6);
        Duration::from_millis(cx.random.below(most.min(30_000)))
    }
}
