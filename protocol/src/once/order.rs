use std::collections::BTreeSet;
use std::time::Duration;

use crate::Instant;

/// Entries that have ended, in the order in which they may be forgotten.
#[derive(Debug, Default)]
pub(super) struct Order {
    /// Their callers have the answer and never ask again.
    acknowledged: BTreeSet<(Instant, u64)>,
    unacknowledged: BTreeSet<(Instant, u64)>,
}

impl Order {
    pub(super) fn insert(&mut self, ended: Instant, ticket: u64) {
        self.unacknowledged.insert((ended, ticket));
    }

    pub(super) fn acknowledge(&mut self, ended: Instant, ticket: u64) {
        if self.unacknowledged.remove(&(ended, ticket)) {
            self.acknowledged.insert((ended, ticket));
        }
    }

    pub(super) fn remove(&mut self, ended: Instant, ticket: u64) {
        self.unacknowledged.remove(&(ended, ticket));
        self.acknowledged.remove(&(ended, ticket));
    }

    /// What goes first, if anything may go.
    pub(super) fn first(&self, now: Instant, keep: Duration) -> Option<u64> {
        let old = |&&(ended, _): &&(Instant, u64)| now.saturating_duration_since(ended) > keep;
        let first = self.acknowledged.first().or_else(|| self.unacknowledged.first().filter(old));
        first.map(|&(_, ticket)| ticket)
    }
}
