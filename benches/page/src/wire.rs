//! What a socket that is written by hand carries: one enum for each direction, with ids that match answers to requests.

use serde::{Deserialize, Serialize};

/// Something that was published.
#[bowline::message]
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Tick {
    /// Counts up.
    pub number: u64,
    /// When it was published: microseconds of the host's clock.
    pub at: u64,
}

/// From the page.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Request {
    /// Wants the text again.
    Echo {
        /// Of the request; unique on its socket.
        id: u64,
        /// What comes again.
        text: String,
    },
    /// Wants the numbers from 0 up to, and without, `limit`.
    Count {
        /// Of the request.
        id: u64,
        /// How many.
        limit: u64,
    },
    /// Wants what is published from now on.
    Ticks {
        /// Of the request.
        id: u64,
        /// How many.
        limit: u64,
    },
    /// Wants to know what the host's clock says.
    Clock {
        /// Of the request.
        id: u64,
    },
}

/// From the host.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Answer {
    /// To [`Request::Echo`].
    Echo {
        /// Of the request.
        id: u64,
        /// The same.
        text: String,
    },
    /// One of those that [`Request::Count`] wants.
    Item {
        /// Of the request.
        id: u64,
        /// Counts up from 0.
        number: u64,
    },
    /// One of those that [`Request::Ticks`] wants.
    Tick {
        /// Of the request.
        id: u64,
        /// What was published.
        tick: Tick,
    },
    /// No more items.
    End {
        /// Of the request.
        id: u64,
    },
    /// To [`Request::Clock`].
    Clock {
        /// Of the request.
        id: u64,
        /// Microseconds.
        at: u64,
    },
}

impl Answer {
    /// Which request it belongs to.
    pub fn id(&self) -> u64 {
        match self {
            Self::Echo { id, .. }
            | Self::Item { id, .. }
            | Self::Tick { id, .. }
            | Self::End { id }
            | Self::Clock { id, .. } => *id,
        }
    }
}
