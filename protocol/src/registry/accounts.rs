use std::collections::{BTreeMap, BTreeSet};

use super::types::Owner;

/// Who holds how much in sessions without a link, and in which order they lose them.
///
/// Every step takes logarithmic time: somebody who detaches many sessions must not be able to make the others wait.
#[derive(Debug, Default)]
pub(super) struct Accounts {
    accounts: BTreeMap<Owner, Account>,
    by_sessions: Ranking,
    by_bytes: Ranking,
    by_unproved: Ranking,
    /// Sums over all accounts.
    detached: usize,
    bytes: usize,
}

/// Owners by how much they hold. Who holds nothing is not in it.
type Ranking = BTreeSet<(usize, Owner)>;

#[derive(Debug, Default)]
struct Account {
    /// All sessions of the owner, those with a link included.
    sessions: BTreeSet<u128>,
    /// Those without a link; the first goes first.
    detached: BTreeSet<Turn>,
    unproved: usize,
    /// What those without a link hold.
    bytes: usize,
}

/// A session's place in the order in which its owner loses them: the unproved first, then by age.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Turn {
    /// Whether its client ever showed that it has a token.
    pub(super) proved: bool,
    /// Counts the detachments of the node.
    pub(super) order: u64,
    pub(super) session: u128,
}

/// What there is too much of.
#[derive(Debug, Clone, Copy)]
pub(super) enum Measure {
    Sessions,
    Bytes,
}

impl Accounts {
    pub(super) fn owners(&self) -> usize {
        self.accounts.len()
    }

    /// Sessions without a link.
    pub(super) fn detached(&self) -> usize {
        self.detached
    }

    /// What they hold.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Sessions without a link of this owner.
    pub(super) fn detached_of(&self, owner: Owner) -> usize {
        self.accounts.get(&owner).map_or(0, |account| account.detached.len())
    }

    /// All sessions of this owner.
    pub(super) fn sessions_of(&self, owner: Owner) -> Vec<u128> {
        self.accounts.get(&owner).map_or_else(Vec::new, |account| account.sessions.iter().copied().collect())
    }

    pub(super) fn insert(&mut self, owner: Owner, session: u128) {
        self.accounts.entry(owner).or_default().sessions.insert(session);
    }

    pub(super) fn remove(&mut self, owner: Owner, session: u128) {
        if let Some(account) = self.accounts.get_mut(&owner) {
            account.sessions.remove(&session);
            if account.sessions.is_empty() {
                self.accounts.remove(&owner);
            }
        }
    }

    pub(super) fn detach(&mut self, owner: Owner, turn: Turn, bytes: usize) {
        self.detached += 1;
        self.bytes += bytes;
        self.change(owner, |account| {
            account.detached.insert(turn);
            account.unproved += usize::from(!turn.proved);
            account.bytes += bytes;
        });
    }

    pub(super) fn attach(&mut self, owner: Owner, turn: Turn, bytes: usize) {
        self.detached -= 1;
        self.bytes -= bytes;
        self.change(owner, |account| {
            account.detached.remove(&turn);
            account.unproved -= usize::from(!turn.proved);
            account.bytes -= bytes;
        });
    }

    /// The session of this owner that goes first.
    pub(super) fn first_of(&self, owner: Owner) -> Option<u128> {
        self.accounts.get(&owner)?.detached.first().map(|turn| turn.session)
    }

    /// The session of the node that goes first: an unproved one of who has most of these, else of who holds most.
    pub(super) fn first(&self, measure: Measure) -> Option<u128> {
        let ranking = match measure {
            Measure::Sessions => &self.by_sessions,
            Measure::Bytes => &self.by_bytes,
        };
        let (_, owner) = self.by_unproved.last().or_else(|| ranking.last())?;
        self.first_of(*owner)
    }

    fn change(&mut self, owner: Owner, change: impl FnOnce(&mut Account)) {
        let Some(account) = self.accounts.get_mut(&owner) else { return };
        let before = account.ranks();
        change(account);
        let after = account.ranks();
        let rankings = [&mut self.by_sessions, &mut self.by_bytes, &mut self.by_unproved];
        for ((ranking, before), after) in rankings.into_iter().zip(before).zip(after) {
            if before != after {
                ranking.remove(&(before, owner));
                if after > 0 {
                    ranking.insert((after, owner));
                }
            }
        }
    }
}

impl Account {
    fn ranks(&self) -> [usize; 3] {
        [self.detached.len(), self.bytes, self.unproved]
    }
}
