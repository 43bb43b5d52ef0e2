//! A server's book of sessions: who may continue which, for how long, and who goes when there are too many.
//!
//! The registry decides and remembers; it holds no session. Whoever drives it keeps the sessions themselves, asks it
//! about every hello ([`Registry::look`]), tells it what became of them, and ends those that
//! [`Registry::poll_evicted`] names. It reads no clock and makes no random numbers; equal inputs give equal outputs.
//!
//! # A resume
//!
//! 1. Authentication says [`Who`] it is, as for any other link.
//! 2. [`Registry::look`] checks token, owner and attempt. Whoever presents a wrong token learns nothing and changes
//!    nothing, so that knowing a session's id, which logs may show, is no power over it.
//! 3. The session's own state is asked whether it can go on from there.
//! 4. [`Registry::attach`] checks once more, in one step with fencing the older link, and rotates the token. Between
//!    2 and 4 another link may have been quicker.

mod accounts;
mod ending;
mod limits;
mod links;
mod token;
mod tombstones;
mod types;
mod verdict;

#[cfg(test)]
mod tests;

use std::collections::{BTreeSet, HashMap, VecDeque};

use crate::Instant;
use crate::envelope::GapReason;

use accounts::Accounts;
use token::Tokens;
use tombstones::Tombstones;
use types::Owner;

pub use limits::NodeLimits;
pub use types::{Attached, Gap, New, RegistryCounted, RegistryHeld, RegistryStats, Remains, Verdict, Who};

/// The sessions of one server. See the [module](self) for the order of a resume.
#[derive(Debug)]
pub struct Registry {
    limits: NodeLimits,
    entries: HashMap<u128, Entry>,
    accounts: Accounts,
    /// All sessions that have not ended, by what they hold.
    by_bytes: BTreeSet<(usize, u128)>,
    bytes: usize,
    attached: usize,
    /// Sessions without a link, by the end of their window.
    windows: BTreeSet<(Instant, u128)>,
    /// Sessions to end, until they are asked for.
    evicted: VecDeque<u128>,
    tombstones: Tombstones,
    /// Counts detachments: two at the same instant still have an order.
    detachments: u64,
    is_draining: bool,
    counted: RegistryCounted,
}

#[derive(Debug)]
struct Entry {
    tokens: Tokens,
    /// Whether the client ever showed that it has a token.
    proved: bool,
    epoch: u128,
    identity: Option<u128>,
    owner: Owner,
    instance: u128,
    attempt: u64,
    generation: u64,
    held: usize,
    /// When it was resumed within the last period; at most as many as are allowed.
    resumes: VecDeque<Instant>,
    place: Place,
}

#[derive(Debug, Clone, Copy)]
enum Place {
    Attached,
    Detached {
        order: u64,
        due: Instant,
    },
    /// Told to end: no resume is possible any more.
    Ending(GapReason),
}

impl Registry {
    /// Makes one without sessions.
    pub fn new(limits: NodeLimits) -> Self {
        Self {
            limits,
            entries: HashMap::new(),
            accounts: Accounts::default(),
            by_bytes: BTreeSet::new(),
            bytes: 0,
            attached: 0,
            windows: BTreeSet::new(),
            evicted: VecDeque::new(),
            tombstones: Tombstones::default(),
            detachments: 0,
            is_draining: false,
            counted: RegistryCounted::default(),
        }
    }

    /// When [`handle_timeout`](Self::handle_timeout) is due: a window or a memory ends. May change with every input.
    pub fn poll_timeout(&self) -> Option<Instant> {
        let window = self.windows.first().map(|(due, _)| *due);
        let tombstone = self.tombstones.due(self.limits.tombstone_age);
        window.into_iter().chain(tombstone).min()
    }

    /// Time has passed. A session is resumable up to the end of its window and not at it.
    pub fn handle_timeout(&mut self, now: Instant) {
        while let Some((due, session)) = self.windows.first().copied()
            && due <= now
        {
            self.doom(session, GapReason::Expired);
            self.counted.expired += 1;
        }
        self.tombstones.forget(now, self.limits.tombstone_age);
    }

    /// The server is being stopped: from now on resumes are taken and new sessions are refused with 1013.
    pub fn drain(&mut self) {
        self.is_draining = true;
    }

    /// Numbers for tests, gauges and metrics.
    pub fn stats(&self) -> RegistryStats {
        let detached = self.accounts.detached();
        let held = RegistryHeld {
            attached: self.attached,
            detached,
            ending: self.entries.len() - self.attached - detached,
            detached_bytes: self.accounts.bytes(),
            bytes: self.bytes,
            owners: self.accounts.owners(),
            tombstones: self.tombstones.len(),
        };
        RegistryStats { held, counted: self.counted }
    }
}
