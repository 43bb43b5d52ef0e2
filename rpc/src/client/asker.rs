use crate::channel::{Line, LineId, Target};
use crate::peer::Peer;

/// Who this end was when something was asked: if it is asked again, or only now goes to its session, then as that one.
#[derive(Debug, Clone)]
pub(crate) struct Asker {
    /// What the peer is a session of; `None` if it was meant itself.
    line: Option<LineId>,
    peer: Peer,
    /// How often it had become somebody else there.
    changes: u64,
}

impl Asker {
    /// This end as it is on `peer`, the session of `target`.
    pub(crate) fn of(target: &Target, peer: Peer) -> Self {
        let changes = peer.changes();
        Self { line: target.line().map(Line::id), peer, changes }
    }

    /// The same asker on `peer`, a session of `target`; `None` where this end is somebody else there, or became somebody
    /// else meanwhile.
    ///
    /// A call that an application's own layer puts on other sessions than those of its channel is asked as whoever it is
    /// there.
    pub(crate) fn on(&self, target: &Target, peer: &Peer) -> Option<Self> {
        let changes = self.changes_on(target, peer)?;
        Some(Self { line: target.line().map(Line::id), peer: peer.clone(), changes })
    }

    /// The session of `target` if that is the one on which it was asked, and known without a look at the line.
    pub(crate) fn session_of(&self, target: &Target) -> Option<&Peer> {
        (self.is_of(target) && !self.peer.has_successor()).then_some(&self.peer)
    }

    /// How often this end had become somebody else on `peer` when it was the same asker there. For calls, which ask nothing where
    /// it is more by now: whoever is told so need not look at the session first.
    pub(crate) fn expected_on(&self, target: &Target, peer: &Peer) -> Option<u64> {
        if self.is_at(peer) && self.is_of(target) {
            return Some(self.changes);
        }
        self.changes_on(target, peer)
    }

    /// The same, `None` also where it is more by now.
    fn changes_on(&self, target: &Target, peer: &Peer) -> Option<u64> {
        let who = peer.who();
        let is_same = !self.is_of(target)
            || if self.peer.is_same(peer) {
                self.changes == who.changes
            } else {
                let before = self.peer.who();
                self.changes == before.changes && before.identity == who.identity
            };
        is_same.then_some(who.changes)
    }

    fn is_of(&self, target: &Target) -> bool {
        match (&self.line, target) {
            (None, Target::Session(peer)) => self.is_at(peer),
            (Some(line), Target::Line(other)) => *line == other.id(),
            _ => false,
        }
    }

    /// Whether that was on `peer`.
    pub(crate) fn is_at(&self, peer: &Peer) -> bool {
        self.peer.is_same(peer)
    }
}
