//! The node: a session for each link that says hello.

use std::collections::BTreeMap;

use bowline_protocol::session::{Session, Welcoming};
use bowline_protocol::status::CloseCode;

use crate::net::{End, LinkId, Net};
use crate::note;
use crate::oracle::Party;
use crate::peer::{Peer, Pumped};
use crate::world::{Ctx, Place};

/// A server, with all that it holds in memory.
#[derive(Debug, Default)]
pub(crate) struct Node {
    peers: BTreeMap<u32, Peer>,
    by_link: BTreeMap<LinkId, u32>,
    made: u32,
}

impl Node {
    /// A link came in.
    pub(crate) fn opened(&mut self, cx: &mut Ctx, net: &mut Net, link: LinkId, client: usize) {
        self.made += 1;
        let slot = self.made;
        let machine = Session::server(cx.profile.config());
        let mut peer = Peer::new(cx.now, Place::Slot(slot, client), machine, client);
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
        self.peers.is_empty() && self.by_link.is_empty()
    }

    /// Does all that can be done now for one session.
    pub(crate) fn pump(&mut self, cx: &mut Ctx, net: &mut Net, slot: u32) {
        while let Some(peer) = self.peers.get_mut(&slot) {
            match peer.pump(cx, net) {
                Pumped::Idle => return,
                Pumped::Hello => {
                    let session = u128::from(cx.random.number());
                    peer.machine.welcome(cx.now, Welcoming::new(session, [9; 32], session));
                }
                Pumped::Close(refusal) => {
                    note!(cx, "{} closes: {} {}", peer.place, refusal.code, refusal.reason);
                    cx.judge_close(peer.place, refusal.code, &refusal.reason);
                    if let Some(link) = peer.unlink() {
                        net.close(cx, link, End::Server, refusal.code.number());
                        self.by_link.remove(&link);
                    }
                    self.finish(cx, slot);
                }
            }
        }
    }

    /// A link is gone.
    pub(crate) fn lost(&mut self, cx: &mut Ctx, net: &mut Net, link: LinkId) {
        net.forget(link, End::Server);
        let Some(slot) = self.by_link.remove(&link) else { return };
        if let Some(peer) = self.peers.get_mut(&slot) {
            note!(cx, "{} loses l{link}", peer.place);
            peer.unlink();
        }
        self.finish(cx, slot);
    }

    /// A session is over.
    fn finish(&mut self, cx: &mut Ctx, slot: u32) {
        if let Some(mut peer) = self.peers.remove(&slot) {
            cx.oracle.session_lost(peer.place.client(), Party::Server);
            peer.machine.handle_disconnect(cx.now, Some(CloseCode::NORMAL));
            peer.check_over(cx);
            cx.account(&peer.machine);
        }
    }
}
