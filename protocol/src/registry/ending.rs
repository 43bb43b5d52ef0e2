//! Sessions go: by themselves, by time, by force, or because too much is held.

use super::accounts::{Measure, Turn};
use super::types::{Owner, Remains};
use super::{Entry, NodeLimits, Place, Registry};
use crate::Instant;
use crate::envelope::GapReason;

impl Registry {
    /// The session holds `held` bytes now.
    pub fn set_held(&mut self, session: u128, held: usize) {
        self.account(session, held);
        self.evict();
    }

    /// The session has ended, and its client may ask what became of it.
    pub fn remove(&mut self, now: Instant, session: u128, reason: GapReason, remains: Remains) {
        if let Some(entry) = self.take(session) {
            let owner = (&entry.tokens, entry.identity);
            self.tombstones.insert(now, session, owner, (reason, remains), self.limits.tombstones);
        }
    }

    /// The session has ended on purpose, and its client won't ask for it again.
    pub fn forget(&mut self, session: u128) {
        self.take(session);
    }

    /// Ends all sessions of an identity, with a link or without, and returns them.
    ///
    /// They can't be resumed from here on; who tries is told that the identity changed, so that nothing of theirs is
    /// sent again as somebody else. Answer each with [`remove`](Self::remove).
    pub fn revoke(&mut self, identity: u128) -> Vec<u128> {
        let sessions = self.accounts.sessions_of(Owner::Identity(identity));
        for session in &sessions {
            self.mark(*session, GapReason::IdentityChanged);
        }
        sessions
    }

    /// The next session that is to be ended, and what its client is told if it asks. It can't be resumed any more.
    ///
    /// One that has a link held most when all held too much: that link is closed with 4002. Answer with
    /// [`remove`](Self::remove).
    pub fn poll_evicted(&mut self) -> Option<(u128, GapReason)> {
        while let Some(session) = self.evicted.pop_front() {
            // It may have ended by itself meanwhile.
            if let Some(Entry { place: Place::Ending(reason), .. }) = self.entries.get(&session) {
                return Some((session, *reason));
            }
        }
        None
    }

    pub(super) fn account(&mut self, session: u128, held: usize) {
        let Some(entry) = self.entries.get_mut(&session) else { return };
        if matches!(entry.place, Place::Ending(_)) || entry.held == held {
            return;
        }
        let before = std::mem::replace(&mut entry.held, held);
        if let Place::Detached { order, .. } = entry.place {
            let (owner, turn) = (entry.owner, Turn { proved: entry.proved, order, session });
            self.accounts.attach(owner, turn, before);
            self.accounts.detach(owner, turn, held);
        }
        self.by_bytes.remove(&(before, session));
        self.by_bytes.insert((held, session));
        self.bytes = self.bytes - before + held;
    }

    /// Ends sessions of one owner until its own bound holds.
    pub(super) fn evict_of(&mut self, owner: Owner) {
        let limit = match owner {
            Owner::Identity(_) => self.limits.detached_per_identity,
            Owner::Address(_) => self.limits.detached_per_address,
            Owner::Nobody => return,
        };
        while self.accounts.detached_of(owner) > limit
            && let Some(session) = self.accounts.first_of(owner)
        {
            self.evict_one(session);
        }
    }

    /// Ends sessions until the bounds of the node hold.
    pub(super) fn evict(&mut self) {
        let NodeLimits { detached, detached_bytes, bytes, .. } = self.limits;
        while self.accounts.detached() > detached
            && let Some(session) = self.accounts.first(Measure::Sessions)
        {
            self.evict_one(session);
        }
        while self.accounts.bytes() > detached_bytes
            && let Some(session) = self.accounts.first(Measure::Bytes)
        {
            self.evict_one(session);
        }
        while self.bytes > bytes
            && let Some((_, session)) = self.by_bytes.last().copied()
        {
            self.evict_one(session);
        }
    }

    fn evict_one(&mut self, session: u128) {
        self.doom(session, GapReason::Evicted);
        self.counted.evicted += 1;
    }

    pub(super) fn doom(&mut self, session: u128, reason: GapReason) {
        self.mark(session, reason);
        self.evicted.push_back(session);
    }

    /// Takes the session off every account; its entry stays until it has ended.
    fn mark(&mut self, session: u128, reason: GapReason) {
        let Some(entry) = self.entries.get_mut(&session) else { return };
        match std::mem::replace(&mut entry.place, Place::Ending(reason)) {
            Place::Ending(_) => return,
            Place::Attached => self.attached -= 1,
            Place::Detached { order, due } => {
                self.windows.remove(&(due, session));
                let turn = Turn { proved: entry.proved, order, session };
                self.accounts.attach(entry.owner, turn, entry.held);
            }
        }
        self.by_bytes.remove(&(entry.held, session));
        self.bytes -= entry.held;
        self.accounts.remove(entry.owner, session);
    }

    fn take(&mut self, session: u128) -> Option<Entry> {
        // The reason is read by nobody: the entry goes with it.
        self.mark(session, GapReason::Unknown);
        self.entries.remove(&session)
    }
}
