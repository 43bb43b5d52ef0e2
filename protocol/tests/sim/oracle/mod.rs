//! The judge, outside both ends: it notes what is meant before anything is sent, and what arrived once an application
//! has it. The invariants are those of the rules' last chapter.

mod calls;
mod items;
mod sessions;

use std::collections::BTreeMap;

use bowline_protocol::envelope::{GapReason, OnceTable};

use crate::net::LinkId;

/// What must always hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Invariant {
    /// Nothing is lost without a gap, and no session without a reason.
    I1,
    /// Nothing reaches an application twice.
    I2,
    /// What is ordered stays in order.
    I3,
    /// What is missing is covered by a gap, and nothing else is: claims of what did not run are true.
    I4,
    /// What is held stays within its bound and one message.
    I5,
    /// A session has one live link.
    I6,
    /// When the network heals, everyone is live within 60 s.
    I7,
    /// Offered is delivered, dropped and counted, or pending.
    I8,
    /// Nothing is left after the close.
    I9,
    /// What was started ends.
    I10,
}

/// The first thing that was wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Violation {
    pub(crate) invariant: Invariant,
    pub(crate) what: String,
}

/// Which end of a session an application is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Party {
    Client,
    Server,
}

/// What an application means to call.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Intent {
    pub(crate) client: usize,
    /// Who the client was then.
    pub(crate) identity: u128,
    /// The node's table of `once` calls.
    pub(crate) table: OnceTable,
    pub(crate) caller: Party,
    pub(crate) method: usize,
    pub(crate) len: usize,
    pub(crate) depth: u8,
    pub(crate) has_deadline: bool,
    /// Sessions that the client had lost by then.
    pub(crate) lost: u32,
}

#[derive(Debug)]
struct Call {
    intent: Intent,
    runs: Vec<Run>,
    /// Items that the caller sent, and whether it sent their end.
    up: u32,
    up_over: bool,
    /// The run whose items the caller reads, and the next of them (a watch: the last value).
    reading: u32,
    next: u32,
    end: Option<Ended>,
    /// Links that the session of its caller had been on when it ended.
    links_at_end: u32,
}

/// One run of a handler.
#[derive(Debug)]
struct Run {
    session: u128,
    /// Items that the caller sent and the handler has.
    up: u32,
    /// Items that the handler sent, gaps included.
    down: u32,
    answer: Option<Answer>,
    is_stopped: bool,
    is_gone: bool,
}

/// How a handler ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Answer {
    Response(usize),
    End,
    Failed,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ended {
    Complete,
    Failed,
    /// Nobody waits for it.
    Cancelled,
    /// Its caller was told that it did not run.
    NotRun,
}

/// Counts for the last line of a run, and so that a simulation that does nothing is noticed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Counts {
    pub(crate) calls: u64,
    pub(crate) completed: u64,
    pub(crate) failed: u64,
    pub(crate) unknown: u64,
    pub(crate) items: u64,
    pub(crate) resumed: u64,
    pub(crate) gaps: u64,
    pub(crate) notifies: u64,
}

impl Counts {
    pub(crate) fn add(&mut self, other: &Self) {
        self.calls += other.calls;
        self.completed += other.completed;
        self.failed += other.failed;
        self.unknown += other.unknown;
        self.items += other.items;
        self.resumed += other.resumed;
        self.gaps += other.gaps;
        self.notifies += other.notifies;
    }
}

#[derive(Debug, Default)]
struct Client {
    session: Option<u128>,
    /// Who it was when it was last live.
    identity: Option<u128>,
    /// Sessions that ended, as each end knows.
    lost: [u32; 2],
    /// Links that sessions went live on, as each end knows.
    links: [u32; 2],
}

/// See the [module](self).
#[derive(Debug, Default)]
pub(crate) struct Oracle {
    calls: Vec<Call>,
    clients: BTreeMap<usize, Client>,
    /// The last call of a line that started: per session, callee and class of credit.
    started: BTreeMap<(u128, Party, bool), u32>,
    /// Why sessions may be gone.
    gone: BTreeMap<u128, Vec<GapReason>>,
    /// The link of each session.
    attached: BTreeMap<u128, LinkId>,
    notifies_offered: u64,
    notifies_arrived: u64,
    pub(crate) counts: Counts,
    violation: Option<Violation>,
}

impl Oracle {
    pub(crate) fn violate(&mut self, invariant: Invariant, what: String) {
        self.violation.get_or_insert(Violation { invariant, what });
    }

    pub(crate) fn violation(&self) -> Option<&Violation> {
        self.violation.as_ref()
    }
}
