use std::collections::BTreeMap;

use bytes::Bytes;

use super::OnceLimits;
use super::order::Order;
use crate::Instant;
use crate::envelope::{OnceKey, OnceTable};
use crate::session::WireFailure;

/// What an entry costs beside its answer: itself and its places in maps, rounded up.
const ENTRY: usize = 512;

/// What a `once` call ended with: its encoded value, or why there is none.
pub type Record = Result<Bytes, WireFailure>;

/// Whose key it is, and for what. The answer to a key is given to its own identity alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Scope {
    /// A digest of who calls; of the network address where nobody knows who that is.
    pub identity: u128,
    /// The name of the service.
    pub service: &'static str,
    /// The name of the method.
    pub method: &'static str,
}

/// Names one entry of a [`Table`]. Commands for an entry that is gone do nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ticket(u64);

/// What is to be done with a `once` call.
#[derive(Debug, Clone)]
pub enum Begin {
    /// Run it, then [`finish`](Table::finish); or [`abandon`](Table::abandon) it before its handler starts.
    Start(Ticket),
    /// It runs: wait for its end, and begin again if it is abandoned.
    Wait(Ticket),
    /// It has ended, with this.
    Done(Ticket, Record),
    /// It may have run, and what it ended with is not known here, or is not this caller's to know: run nothing, answer
    /// `OutcomeUnknown`.
    Unknown,
    /// The key came with other arguments before: run nothing, answer `InvalidArgument`.
    Mismatch,
    /// There is no room to remember it: run nothing, answer `ResourceExhausted`.
    Full,
}

/// The `once` calls of a node that run or have ended, each under its key.
///
/// Ask [`begin`](Self::begin) with every `once` call that comes in, before anything of it runs. An entry is made then.
/// It ends by [`finish`](Self::finish), or by [`abandon`](Self::abandon) if the call is refused before its handler
/// starts, which leaves nothing behind. [`acknowledged`](Self::acknowledged) says that the caller has the answer.
///
/// Entries that have ended stay until their room is needed (see [`OnceLimits`]). Then those go whose answer was
/// acknowledged, the oldest first; then those that ended longer ago than [`OnceLimits::keep`]. A caller whose answer was
/// acknowledged has no reason to ask again, so only the others leave a hole in what the table knows: each raises the
/// tick. A caller states the tick that it had seen when it first wrote its call. An unknown key with an older tick than
/// the table's may be one that was forgotten; with the same it can't be.
#[derive(Debug)]
pub struct Table {
    table: OnceTable,
    limits: OnceLimits,
    next: u64,
    keys: BTreeMap<Key, u64>,
    entries: BTreeMap<u64, Entry>,
    identities: BTreeMap<u128, Share>,
    order: Order,
    bytes: usize,
    running: usize,
}

/// Ordered so that all identities of a key stand together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Key {
    key: u128,
    service: &'static str,
    method: &'static str,
    identity: u128,
}

#[derive(Debug)]
struct Entry {
    key: Key,
    arguments: u128,
    bytes: usize,
    state: State,
}

#[derive(Debug)]
enum State {
    Running {
        /// Its caller has given it up, and never asks again.
        is_acknowledged: bool,
    },
    Ended {
        at: Instant,
        /// `None` when there was no room for it.
        record: Option<Record>,
        is_acknowledged: bool,
    },
}

/// What one identity holds.
#[derive(Debug, Default)]
struct Share {
    entries: usize,
    bytes: usize,
    order: Order,
}

/// What a [`Table`] holds at a moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct OnceStats {
    /// Calls that run or have ended.
    pub entries: usize,
    /// Of these, calls that run.
    pub running: usize,
    /// What the entries cost.
    pub bytes: usize,
    /// Identities that have an entry.
    pub identities: usize,
}

impl Table {
    /// Makes an empty table. `id` is 128 random bits: what was known before, by an earlier process or another node, is
    /// not known to this table.
    pub fn new(id: u128, limits: OnceLimits) -> Self {
        Self {
            table: OnceTable { id, tick: 1 },
            limits,
            next: 0,
            keys: BTreeMap::new(),
            entries: BTreeMap::new(),
            identities: BTreeMap::new(),
            order: Order::default(),
            bytes: 0,
            running: 0,
        }
    }

    /// The table's id, and its tick now: what a welcome and a pong tell the caller.
    pub fn table(&self) -> OnceTable {
        self.table
    }

    /// What the table holds.
    pub fn stats(&self) -> OnceStats {
        OnceStats {
            entries: self.entries.len(),
            running: self.running,
            bytes: self.bytes,
            identities: self.identities.len(),
        }
    }

    /// A call came in. `arguments` is a digest of them and of their codec, which the answer will have too.
    pub fn begin(&mut self, now: Instant, key: &OnceKey, scope: Scope, arguments: u128) -> Begin {
        let OnceKey { key, table } = *key;
        let Scope { identity, service, method } = scope;
        let key = Key { key, service, method, identity };
        if let Some(&ticket) = self.keys.get(&key) {
            let entry = self.entries.get(&ticket).expect("a key leads to an entry");
            return match &entry.state {
                _ if entry.arguments != arguments => Begin::Mismatch,
                State::Running { .. } => Begin::Wait(Ticket(ticket)),
                State::Ended { record: Some(record), .. } => Begin::Done(Ticket(ticket), record.clone()),
                State::Ended { record: None, .. } => Begin::Unknown,
            };
        }
        if table.id != self.table.id || self.table.tick > table.tick || self.is_of_another(&key) {
            return Begin::Unknown;
        }
        if !self.make_room(now, identity, 1, ENTRY) {
            return Begin::Full;
        }
        let ticket = self.next;
        self.next += 1;
        self.keys.insert(key, ticket);
        self.entries.insert(
            ticket,
            Entry { key, arguments, bytes: ENTRY, state: State::Running { is_acknowledged: false } },
        );
        let share = self.identities.entry(identity).or_default();
        share.entries += 1;
        share.bytes += ENTRY;
        self.bytes += ENTRY;
        self.running += 1;
        Begin::Start(Ticket(ticket))
    }

    /// The handler has ended. What it ended with is kept for repeats, if there is room.
    pub fn finish(&mut self, now: Instant, ticket: Ticket, record: Record) {
        let Some(entry) = self.entries.get(&ticket.0) else { return };
        let State::Running { is_acknowledged } = entry.state else { return };
        let (identity, bytes) = (entry.key.identity, size(&record));
        let kept = self.make_room(now, identity, 0, bytes);
        let bytes = if kept { bytes } else { 0 };
        let share = self.identities.get_mut(&identity).expect("an identity with an entry has a share");
        share.bytes += bytes;
        share.order.insert(now, ticket.0);
        self.bytes += bytes;
        self.running -= 1;
        self.order.insert(now, ticket.0);
        let entry = self.entries.get_mut(&ticket.0).expect("a running entry is never forgotten");
        entry.bytes += bytes;
        entry.state = State::Ended { at: now, record: kept.then_some(record), is_acknowledged: false };
        if is_acknowledged {
            self.acknowledged(ticket);
        }
    }

    /// The call was refused before its handler started: a repeat may run.
    pub fn abandon(&mut self, ticket: Ticket) {
        if let Some(Entry { state: State::Running { .. }, .. }) = self.entries.get(&ticket.0) {
            self.remove(ticket.0);
        }
    }

    /// The caller has the answer, or gave the call up while it runs: it won't ask again.
    pub fn acknowledged(&mut self, ticket: Ticket) {
        let Some(entry) = self.entries.get_mut(&ticket.0) else { return };
        let at = match &mut entry.state {
            State::Running { is_acknowledged } => return *is_acknowledged = true,
            State::Ended { at, is_acknowledged, .. } => {
                *is_acknowledged = true;
                at
            }
        };
        self.order.acknowledge(*at, ticket.0);
        let share = self.identities.get_mut(&entry.key.identity);
        share.expect("an identity with an entry has a share").order.acknowledge(*at, ticket.0);
    }

    /// Whether the key came from another identity before. Nobody draws a number of 128 bits twice: its caller has logged
    /// in since, or its address has changed.
    fn is_of_another(&self, key: &Key) -> bool {
        let (first, last) = (Key { identity: 0, ..*key }, Key { identity: u128::MAX, ..*key });
        self.keys.range(first..=last).next().is_some()
    }

    /// Forgets what may be forgotten until so much more fits.
    fn make_room(&mut self, now: Instant, identity: u128, entries: usize, bytes: usize) -> bool {
        let OnceLimits { bytes: all, identity_bytes, identity_entries, keep } = self.limits;
        // What fits into no empty table makes nobody else go.
        if bytes > all || bytes > identity_bytes {
            return false;
        }
        while let Some(share) = self.identities.get(&identity)
            && (share.entries + entries > identity_entries || share.bytes + bytes > identity_bytes)
        {
            let Some(first) = share.order.first(now, keep) else { return false };
            self.forget(first);
        }
        while self.bytes + bytes > all {
            let Some(first) = self.order.first(now, keep) else { return false };
            self.forget(first);
        }
        entries <= identity_entries
    }

    /// Drops an entry that has ended.
    fn forget(&mut self, ticket: u64) {
        let Some(entry) = self.entries.get(&ticket) else { return };
        if let State::Ended { is_acknowledged: false, .. } = entry.state {
            self.table.tick += 1;
        }
        self.remove(ticket);
    }

    fn remove(&mut self, ticket: u64) {
        let Some(Entry { key, bytes, state, .. }) = self.entries.remove(&ticket) else { return };
        self.keys.remove(&key);
        self.bytes -= bytes;
        let identity = key.identity;
        let share = self.identities.get_mut(&identity).expect("an identity with an entry has a share");
        share.bytes -= bytes;
        share.entries -= 1;
        match state {
            State::Running { .. } => self.running -= 1,
            State::Ended { at, .. } => {
                self.order.remove(at, ticket);
                share.order.remove(at, ticket);
            }
        }
        if share.entries == 0 {
            self.identities.remove(&identity);
        }
    }
}

fn size(record: &Record) -> usize {
    match record {
        Ok(bytes) | Err(WireFailure::Application(bytes)) => bytes.len(),
        Err(WireFailure::Status(status)) => status.message.len(),
    }
}

#[cfg(test)]
mod tests;
