//! Numbers that are to come each once and in order.

use std::collections::BTreeSet;

/// A number this far ahead is no gap but nonsense.
const AHEAD: u64 = 1 << 24;

/// What the next number of a sequence says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    Next,
    /// Some before it are missing so far.
    Ahead,
    /// Behind one that should have come later.
    Late,
    Again,
    Nonsense,
}

#[derive(Debug, Clone, Default)]
pub(super) struct Sequence {
    next: u64,
    missing: BTreeSet<u64>,
}

impl Sequence {
    pub(super) fn starting(next: u64) -> Self {
        Self { next, missing: BTreeSet::new() }
    }

    pub(super) fn step(&mut self, number: u64) -> Step {
        if number == self.next {
            self.next += 1;
            Step::Next
        } else if number > self.next {
            if number - self.next > AHEAD {
                return Step::Nonsense;
            }
            self.missing.extend(self.next..number);
            self.next = number + 1;
            Step::Ahead
        } else if self.missing.remove(&number) {
            Step::Late
        } else {
            Step::Again
        }
    }

    /// What would come now.
    pub(super) fn next(&self) -> u64 {
        self.next
    }

    /// How many of those before that have not come.
    pub(super) fn missing(&self) -> u64 {
        self.missing.len() as u64
    }
}
