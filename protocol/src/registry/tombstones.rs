use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use super::token::{Digest, Tokens, admit_half};
use super::types::Remains;
use crate::Instant;
use crate::envelope::GapReason;

/// What is remembered of sessions that ended.
#[derive(Debug, Default)]
pub(super) struct Tombstones {
    stones: HashMap<u128, Tombstone>,
    /// Oldest first; all are kept equally long.
    order: VecDeque<(Instant, u128)>,
}

/// 64 bytes, beside its places in the map and the queue.
#[derive(Debug)]
struct Tombstone {
    tokens: [[u8; 16]; 2],
    /// Half of the identity's digest; 0 for nobody.
    identity: u64,
    remains: Remains,
    reason: GapReason,
}

/// What a tombstone says to whoever asks.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Epitaph {
    /// There is none, or the token is wrong: these must look alike.
    Unknown,
    /// It is somebody else's.
    Foreign,
    Of(GapReason, Remains),
}

impl Tombstones {
    pub(super) fn len(&self) -> usize {
        self.stones.len()
    }

    /// Remembers a session, and forgets the oldest beyond `limit`.
    pub(super) fn insert(
        &mut self,
        now: Instant,
        session: u128,
        (tokens, identity): (&Tokens, Option<u128>),
        (reason, remains): (GapReason, Remains),
        limit: usize,
    ) {
        let stone = Tombstone { tokens: tokens.halves(), identity: short(identity), remains, reason };
        self.stones.insert(session, stone);
        self.order.push_back((now, session));
        while self.order.len() > limit {
            self.pop();
        }
    }

    pub(super) fn read(&self, session: u128, identity: Option<u128>, presented: &Digest) -> Epitaph {
        match self.stones.get(&session) {
            Some(stone) if admit_half(&stone.tokens, presented) => {
                if stone.identity == short(identity) {
                    Epitaph::Of(stone.reason, stone.remains)
                } else {
                    Epitaph::Foreign
                }
            }
            _ => Epitaph::Unknown,
        }
    }

    /// When the oldest is due to be forgotten.
    pub(super) fn due(&self, age: Duration) -> Option<Instant> {
        self.order.front().map(|(born, _)| *born + age)
    }

    /// Forgets those that are `age` old.
    pub(super) fn forget(&mut self, now: Instant, age: Duration) {
        while self.due(age).is_some_and(|due| due <= now) {
            self.pop();
        }
    }

    fn pop(&mut self) {
        if let Some((_, session)) = self.order.pop_front() {
            self.stones.remove(&session);
        }
    }
}

/// An identity in 64 bits: it only has to differ from who else presents a token that is right.
fn short(identity: Option<u128>) -> u64 {
    identity.map_or(0, |identity| (identity as u64).max(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tombstone_takes_64_bytes() {
        assert_eq!(size_of::<Tombstone>(), 64);
    }
}
