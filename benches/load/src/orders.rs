//! What the conductor asks of the other processes, and what they answer.

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

use crate::latencies::Latencies;
use crate::machine::Usage;

/// What a server is told.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) enum ServerOrder {
    /// Answered with `Vec<SocketAddr>`.
    Listen,
    /// Answered with [`Seen`].
    Look,
    /// Answered with [`Roll`], which begins anew.
    RollCall,
    /// Publishes `bursts` times `burst` items, one burst every `every_us`. Answered with nothing, when all are published.
    Publish { bursts: u64, burst: u64, every_us: u64 },
}

/// What a server sees.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Seen {
    pub(crate) usage: Usage,
    /// Sessions that have a link, and those that have none.
    pub(crate) attached: u64,
    pub(crate) detached: u64,
    /// Sessions that began, went on over another link, and were given up, since the start.
    pub(crate) begun: u64,
    pub(crate) resumed: u64,
    pub(crate) ended: u64,
    /// New sessions and resumes that were refused.
    pub(crate) refused: u64,
    /// Calls of `echo`.
    pub(crate) calls: u64,
    /// Streams of `items`.
    pub(crate) subscribers: u64,
}

/// Who called `here` since the last roll call.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Roll {
    pub(crate) calls: u64,
    /// Different sessions among them.
    pub(crate) sessions: u64,
}

/// What a process with clients is told.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) enum ClientsOrder {
    /// Connects all of them to this address, so many at a time. Answered with [`Arrivals`].
    Connect { to: SocketAddr, at_once: u64, within_s: u64 },
    /// Cuts all links, waits until all clients are live again. Answered with [`Arrivals`].
    Cut { within_s: u64 },
    /// Answered with [`Usage`].
    Look,
    /// Each calls `here` once. Answered with [`Asked`].
    Ask,
    /// Calls, so many in flight at each client, for so long. Answered with [`Called`].
    Call { in_flight: u64, millis: u64 },
    /// Each opens the stream of items. Answered with the number of streams.
    Subscribe,
    /// Each reads until it has item `until - 1` or knows that it is missing. Answered with [`Delivered`].
    Read { until: u64, within_s: u64 },
}

/// How clients became live.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Arrivals {
    /// Clients that are live, of all that there are.
    pub(crate) live: u64,
    pub(crate) of: u64,
    /// Among them: those whose session is new, went on, or took the place of one that was lost.
    pub(crate) new: u64,
    pub(crate) resumed: u64,
    pub(crate) replaced: u64,
    /// From the beginning to the last one, in microseconds.
    pub(crate) took_us: u64,
    pub(crate) latencies: Latencies,
    pub(crate) dials: Dials,
}

/// Attempts to make a link, since the beginning of the order.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Dials {
    pub(crate) tried: u64,
    /// Links that were made.
    pub(crate) made: u64,
    /// Why the others were not: answered with an HTTP error, took longer than 10 s, or anything else.
    pub(crate) turned_away: u64,
    pub(crate) timed_out: u64,
    pub(crate) failed: u64,
}

/// What came of a roll call.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Asked {
    /// Calls that were answered rightly.
    pub(crate) answered: u64,
    /// Among them: those whose session is the one of the roll call before, or that are asked for the first time.
    pub(crate) same: u64,
    /// Of the first call that was not.
    pub(crate) problem: Option<String>,
}

/// What came of a round of calls.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Called {
    /// Calls that were answered rightly.
    pub(crate) answered: u64,
    /// Calls that failed or were answered wrongly.
    pub(crate) errors: u64,
    /// Of the first one of these.
    pub(crate) problem: Option<String>,
    pub(crate) took_us: u64,
    pub(crate) latencies: Latencies,
}

/// What subscribers got.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Delivered {
    /// Subscribers that read to the end of the round.
    pub(crate) complete: u64,
    /// Items that came, each in its place.
    pub(crate) items: u64,
    /// Gaps, and items that they say are missing.
    pub(crate) gaps: u64,
    pub(crate) skipped: u64,
    /// Of the first thing that was not as promised.
    pub(crate) problem: Option<String>,
    pub(crate) latencies: Latencies,
}
