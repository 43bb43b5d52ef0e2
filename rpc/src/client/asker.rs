use crate::channel::Target;
use crate::peer::{Peer, Who};

/// Who this end was when something was asked: if it is asked again, or only now goes to its session, then as that one.
#[derive(Debug, Clone)]
pub(crate) struct Asker {
    target: Target,
    peer: Peer,
    who: Who,
}

impl Asker {
    pub(crate) fn of(target: &Target) -> Self {
        let peer = target.peer();
        let who = peer.who();
        Self { target: target.clone(), peer, who }
    }

    /// The same asker on `peer`, a session of `target`; `None` where this end is somebody else there, or became somebody
    /// else meanwhile.
    ///
    /// A call that an application's own layer puts on other sessions than those of its channel is asked as whoever it is
    /// there.
    pub(crate) fn on(&self, target: &Target, peer: &Peer) -> Option<Self> {
        let who = self.who_on(target, peer)?;
        Some(Self { target: target.clone(), peer: peer.clone(), who })
    }

    /// Who that is.
    pub(crate) fn who_on(&self, target: &Target, peer: &Peer) -> Option<Who> {
        let who = peer.who();
        let is_same = !self.target.is_same(target)
            || if self.peer.is_same(peer) {
                self.who.changes == who.changes
            } else {
                let before = self.peer.who();
                self.who.changes == before.changes && before.identity == who.identity
            };
        is_same.then_some(who)
    }

    /// Whether that was on `peer`.
    pub(crate) fn is_at(&self, peer: &Peer) -> bool {
        self.peer.is_same(peer)
    }
}
