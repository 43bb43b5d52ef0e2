use crate::channel::Target;
use crate::peer::{Peer, Who};

/// Who this end was when something was asked: if it is asked again, or only now goes to its session, then as that one.
#[derive(Debug, Clone)]
pub(crate) struct Asker {
    target: Target,
    peer: Peer,
    /// How often it had become somebody else there.
    changes: u64,
}

impl Asker {
    pub(crate) fn of(target: &Target) -> Self {
        let peer = target.peer();
        let changes = peer.who().changes;
        Self { target: target.clone(), peer, changes }
    }

    /// The same asker on `peer`, a session of `target`; `None` where this end is somebody else there, or became somebody
    /// else meanwhile.
    ///
    /// A call that an application's own layer puts on other sessions than those of its channel is asked as whoever it is
    /// there.
    pub(crate) fn on(&self, target: &Target, peer: &Peer) -> Option<Self> {
        let changes = self.who_on(target, peer)?.changes;
        Some(Self { target: target.clone(), peer: peer.clone(), changes })
    }

    /// Who that is.
    pub(crate) fn who_on(&self, target: &Target, peer: &Peer) -> Option<Who> {
        let who = peer.who();
        let is_same = !self.target.is_same(target)
            || if self.peer.is_same(peer) {
                self.changes == who.changes
            } else {
                let before = self.peer.who();
                self.changes == before.changes && before.identity == who.identity
            };
        is_same.then_some(who)
    }

    /// Whether that was on `peer`.
    pub(crate) fn is_at(&self, peer: &Peer) -> bool {
        self.peer.is_same(peer)
    }
}
