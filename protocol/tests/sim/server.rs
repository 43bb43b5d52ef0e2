//! The node: its book of sessions, the sessions themselves with their applications, and a fresh machine for each link
//! until it has said whose it is.

use std::collections::BTreeMap;
use std::time::Duration;

use bowline_protocol::Instant;
use bowline_protocol::envelope::{GapReason, Hello, Outcome, Refusal, Resume};
use bowline_protocol::registry::{Gap, New, NodeLimits, Registry, Remains, Verdict, Who};
use bowline_protocol::session::{Session, Welcoming};
use bowline_protocol::status::CloseCode;

use crate::faults::Broken;
use crate::net::{End, LinkId, Net};
use crate::note;
use crate::oracle::Party;
use crate::peer::{Peer, Pumped};
use crate::world::{Ctx, Happening, Place};

/// A server, with all that it holds in memory.
#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) registry: Registry,
    peers: BTreeMap<u32, Peer>,
    by_link: BTreeMap<LinkId, u32>,
    by_session: BTreeMap<u128, u32>,
    made: u32,
    timer: Option<Instant>,
}

impl Node {
    pub(crate) fn new(limits: NodeLimits) -> Self {
        Self {
            registry: Registry::new(limits),
            peers: BTreeMap::new(),
            by_link: BTreeMap::new(),
            by_session: BTreeMap::new(),
            made: 0,
            timer: None,
        }
    }

    /// A link came in.
    pub(crate) fn opened(&mut self, cx: &mut Ctx, net: &mut Net, link: LinkId, client: usize) {
        self.made += 1;
        let slot = self.made;
        let machine = Session::server(cx.profile.config());
        let mut peer = Peer::new(cx, Place::Slot(slot, client), machine);
        peer.link = Some(link);
        peer.machine.handle_connected(cx.now);
        self.peers.insert(slot, peer);
        self.by_link.insert(link, slot);
        self.pump(cx, net, slot);
    }

    pub(crate) fn of_link(&self, link: LinkId) -> Option<u32> {
        self.by_link.get(&link).copied()
    }

    pub(crate) fn slots(&self) -> Vec<u32> {
        self.peers.keys().copied().collect()
    }

    pub(crate) fn peer(&mut self, slot: u32) -> Option<&mut Peer> {
        self.peers.get_mut(&slot)
    }

    pub(crate) fn is_empty(&self) -> bool {
        let held = self.registry.stats().held;
        self.peers.is_empty()
            && self.by_link.is_empty()
            && self.by_session.is_empty()
            && held.attached + held.detached + held.ending + held.bytes + held.owners == 0
    }

    /// What it has, for a report.
    pub(crate) fn held(&self) -> String {
        let held = self.registry.stats().held;
        format!("{held:?}, slots {:?}, {:?}, {:?}", self.peers.keys(), self.by_link, self.by_session)
    }

    /// Does all that can be done now for one session.
    pub(crate) fn pump(&mut self, cx: &mut Ctx, net: &mut Net, mut slot: u32) {
        while let Some(peer) = self.peers.get_mut(&slot) {
            match peer.pump(cx, net) {
                Pumped::Idle => break,
                Pumped::Proved => {
                    if let Some(session) = peer.session {
                        self.registry.prove(session);
                    }
                }
                Pumped::Hello(hello) => slot = self.greet(cx, net, slot, &hello),
                Pumped::Close(refusal) => {
                    note!(cx, "{} closes: {} {}", peer.place, refusal.code, refusal.reason);
                    cx.judge_close(peer.place, peer.session, refusal.code, &refusal.reason);
                    if let Some(link) = peer.unlink(cx) {
                        net.close(cx, link, End::Server, &refusal);
                        self.by_link.remove(&link);
                    }
                    self.disconnected(cx, net, slot, Some(refusal.code));
                }
            }
        }
        if let Some(peer) = self.peers.get(&slot)
            && let Some(session) = peer.session
        {
            self.registry.set_held(session, peer.machine.held_bytes());
        }
        self.evict(cx, net);
    }

    /// A client said hello on the link of this machine. Returns the machine that goes on with it.
    fn greet(&mut self, cx: &mut Ctx, net: &mut Net, slot: u32, hello: &Hello) -> u32 {
        let identity = u128::from_le_bytes(hello.credentials.expose()[..].try_into().unwrap_or_default());
        let who = Who { identity: Some(identity), address: None };
        let mut verdict = self.registry.look(cx.now, hello, &who);
        loop {
            verdict = match verdict {
                Verdict::Refuse(refusal) => {
                    if let Some(peer) = self.peers.get_mut(&slot) {
                        peer.machine.close(cx.now, refusal.code, &refusal.reason);
                    }
                    return slot;
                }
                Verdict::New { gap } => {
                    self.begin(cx, slot, hello, who, gap);
                    return slot;
                }
                Verdict::Resume { session } => {
                    let old = self.by_session[&session];
                    match self.peers[&old]
                        .machine
                        .can_resume(hello.resume.as_ref().expect("it was asked for"))
                    {
                        Ok(()) => {
                            let token = cx.token();
                            match self.registry.attach(cx.now, hello, &who, &token) {
                                Ok(attached) => {
                                    if cx.broken == Some(Broken::PreviousIsCurrent) {
                                        self.registry.prove(session);
                                    }
                                    let code = if attached.superseded {
                                        CloseCode::SUPERSEDED
                                    } else {
                                        CloseCode::FENCED
                                    };
                                    let welcoming = Welcoming {
                                        generation: attached.generation,
                                        once: Some(cx.once.table()),
                                        ..Welcoming::new(session, token, session)
                                    };
                                    self.attach(cx, net, (slot, old), hello, welcoming, code);
                                    return old;
                                }
                                Err(verdict) => verdict,
                            }
                        }
                        Err(reason) => {
                            let remains = self.end(cx, net, old, reason);
                            Verdict::New { gap: Some(Gap { reason, remains }) }
                        }
                    }
                }
            };
        }
    }

    /// A new session.
    fn begin(&mut self, cx: &mut Ctx, slot: u32, hello: &Hello, who: Who, gap: Option<Gap>) {
        let (session, token) = (u128::from(cx.random.number()), cx.token());
        let new = New { session, token: &token, epoch: session, who, hello };
        let inserted = self.registry.insert(cx.now, new);
        let Some(peer) = self.peers.get_mut(&slot) else { return };
        if let Err(refusal) = inserted {
            return peer.machine.close(cx.now, refusal.code, &refusal.reason);
        }
        let lost_from = hello.resume.as_ref().map_or(1, |Resume { last_processed, .. }| last_processed + 1);
        let outcome = gap.map_or(Outcome::New, |gap| Outcome::Gap {
            reason: gap.reason,
            lost_from,
            lost_to: gap.remains.map(|remains| remains.head),
        });
        note!(cx, "{} begins session {session}: {outcome:?}", peer.place);
        let welcoming = Welcoming {
            outcome,
            peer_last_processed: gap.and_then(|gap| gap.remains).map(|remains| remains.last_processed),
            once: Some(cx.once.table()),
            identity: who.identity,
            ..Welcoming::new(session, token, session)
        };
        peer.session = Some(session);
        peer.app.identity = who.identity.unwrap_or_default();
        peer.machine.welcome(cx.now, welcoming);
        self.by_session.insert(session, slot);
        if let Some(link) = peer.link {
            cx.oracle.attached(peer.place.client(), session, link);
        }
    }

    /// An older session goes on, on the link of a machine that is forgotten.
    fn attach(
        &mut self,
        cx: &mut Ctx,
        net: &mut Net,
        (slot, old): (u32, u32),
        hello: &Hello,
        welcoming: Welcoming,
        code: CloseCode,
    ) {
        let Some(mut fresh) = self.peers.remove(&slot) else { return };
        let Some(link) = fresh.unlink(cx) else { return };
        let Some(peer) = self.peers.get_mut(&old) else { return };
        note!(cx, "{} goes on on l{link}, generation {}", peer.place, welcoming.generation);
        if let Some(older) = peer.unlink(cx) {
            if peer.rewriter.is(Broken::NoFencing) {
                // It is read until it ends by itself.
                let ends = Duration::from_millis(cx.random.below(10_000));
                cx.queue.at(cx.now + ends, Happening::Lost(older, End::Server));
            } else {
                let reason = "a newer link has the session".into();
                net.close(cx, older, End::Server, &Refusal { code, reason });
                self.by_link.remove(&older);
            }
        }
        peer.link = Some(link);
        self.by_link.insert(link, old);
        cx.oracle.attached(peer.place.client(), welcoming.session, link);
        peer.machine.attach(cx.now, hello, welcoming);
    }

    /// A link is gone.
    pub(crate) fn lost(&mut self, cx: &mut Ctx, net: &mut Net, link: LinkId, code: Option<CloseCode>) {
        net.forget(link, End::Server);
        let Some(slot) = self.by_link.remove(&link) else { return };
        let Some(peer) = self.peers.get_mut(&slot).filter(|peer| peer.link == Some(link)) else { return };
        note!(cx, "{} loses l{link}", peer.place);
        peer.unlink(cx);
        self.disconnected(cx, net, slot, code);
    }

    fn disconnected(&mut self, cx: &mut Ctx, net: &mut Net, slot: u32, code: Option<CloseCode>) {
        let Some(peer) = self.peers.get_mut(&slot) else { return };
        peer.machine.handle_disconnect(cx.now, code);
        let Some(session) = peer.session else {
            self.peers.remove(&slot);
            return;
        };
        if peer.machine.is_over() {
            self.registry.forget(session);
            self.finish(cx, slot);
        } else {
            self.registry.detach(cx.now, session, peer.machine.held_bytes());
            self.pump(cx, net, slot);
        }
        self.evict(cx, net);
    }

    /// Ends a session from here.
    fn end(&mut self, cx: &mut Ctx, net: &mut Net, slot: u32, reason: GapReason) -> Option<Remains> {
        let peer = self.peers.get_mut(&slot)?;
        let session = peer.session?;
        note!(cx, "{} ends its session: {reason:?}", peer.place);
        if let Some(link) = peer.unlink(cx) {
            let reason = "it held most when all held too much".into();
            net.close(cx, link, End::Server, &Refusal { code: CloseCode::SLOW, reason });
            self.by_link.remove(&link);
        }
        let remains = Remains { last_processed: peer.machine.last_processed(), head: peer.machine.head() };
        peer.machine.end(cx.now);
        self.registry.remove(cx.now, session, reason, remains);
        cx.oracle.session_gone(session, reason);
        if cx.profile.node.tombstones < 10 {
            cx.oracle.session_gone(session, GapReason::Unknown);
        }
        self.finish(cx, slot);
        Some(remains)
    }

    /// A session is over: its application hears of it.
    fn finish(&mut self, cx: &mut Ctx, slot: u32) {
        let Some(mut peer) = self.peers.remove(&slot) else { return };
        if let Some(session) = peer.session {
            self.by_session.remove(&session);
        }
        cx.oracle.session_lost(peer.place.client(), Party::Server);
        peer.check_over(cx);
        cx.once.leave_all(peer.place);
        cx.account(&peer.machine);
    }

    fn evict(&mut self, cx: &mut Ctx, net: &mut Net) {
        while let Some((session, reason)) = self.registry.poll_evicted() {
            if let Some(&slot) = self.by_session.get(&session) {
                self.end(cx, net, slot, reason);
            }
        }
        let due = self.registry.poll_timeout();
        if due != self.timer {
            self.timer = due;
            if let Some(due) = due {
                cx.queue.at(due, Happening::Window);
            }
        }
    }

    /// A window may have passed.
    pub(crate) fn window(&mut self, cx: &mut Ctx, net: &mut Net) {
        self.registry.handle_timeout(cx.now);
        self.evict(cx, net);
    }

    /// The process ends: nobody hears of anything.
    pub(crate) fn vanish(&mut self, cx: &mut Ctx) {
        for (_, mut peer) in std::mem::take(&mut self.peers) {
            if let Some(session) = peer.session {
                cx.oracle.session_gone(session, GapReason::Unknown);
            }
            peer.app.vanish(cx);
            // What waited in it, it can't count itself.
            peer.machine.end(cx.now);
            cx.account(&peer.machine);
        }
        cx.oracle.node_gone();
        *self = Self { made: self.made, ..Self::new(cx.profile.node.clone()) };
    }
}
