//! What a client is doing: [`State`], which people see, and the machine that decides it.

mod fall;
mod machine;
mod patience;
#[cfg(test)]
mod tests;

use std::{fmt, time::Duration};

use bowline_protocol::{
    envelope::{GapReason, Outcome},
    status::CloseCode,
};

pub(crate) use fall::Fall;
pub(crate) use machine::{Action, Machine};
pub(crate) use patience::Patience;

/// What a client is doing, for people to see.
///
/// ```text
/// Idle → Connecting → Live(New) → Reconnecting → Live(Resumed) or Live(Gap)
///                                      ↓              ↑
///                                 Suspended, after two minutes
/// ```
///
/// From each of them a client can become [`Offline`](Self::Offline), [`Refused`](Self::Refused) or
/// [`Closed`](Self::Closed).
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum State {
    /// Nothing was started.
    Idle,
    /// The first connection is being made.
    Connecting,
    /// Calls go through: the other end has said welcome.
    Live(Arrival),
    /// The link was lost or could not be made; tries go on for ever.
    Reconnecting {
        /// The number of the try that comes next or is under way, from 1.
        attempt: u32,
        /// How long the client waits before that try, from when this state began; zero while it is under way.
        next_in: Duration,
    },
    /// The same, and there has been no session for two minutes: the server may have given up what it kept for this
    /// client. Tries go on for ever.
    Suspended {
        /// As in [`Reconnecting`](Self::Reconnecting).
        attempt: u32,
        /// As in [`Reconnecting`](Self::Reconnecting).
        next_in: Duration,
    },
    /// [`Client::disconnect`](crate::Client::disconnect) let go of the link; nothing is tried before
    /// [`Client::reconnect`](crate::Client::reconnect). The session, and what is under way, is kept as for any lost link.
    Offline,
    /// The other end said that trying again is of no use. [`Client::reconnect`](crate::Client::reconnect) tries
    /// all the same.
    Refused {
        /// The close code.
        code: CloseCode,
        /// What the other end said about it; may be empty.
        reason: String,
    },
    /// Closed on purpose, for good.
    Closed,
}

impl State {
    /// Whether calls go through now.
    pub fn is_live(&self) -> bool {
        matches!(self, Self::Live(_))
    }

    /// Whether the client has stopped trying.
    pub fn is_stopped(&self) -> bool {
        matches!(self, Self::Offline | Self::Refused { .. } | Self::Closed)
    }
}

/// How a session became live.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Arrival {
    /// It continues no other: the first one of the client, or one that was opened beside another whose server will stop.
    New,
    /// The one that was there before the link was lost goes on: nothing is missing.
    Resumed,
    /// It replaces one that could not go on. What was under way then and may not be sent again has ended with
    /// `Disconnected`.
    Gap(GapReason),
}

impl From<Outcome> for Arrival {
    fn from(outcome: Outcome) -> Self {
        match outcome {
            Outcome::New => Self::New,
            Outcome::Resumed => Self::Resumed,
            Outcome::Gap { reason, .. } => Self::Gap(reason),
        }
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Idle => f.write_str("idle"),
            Self::Connecting => f.write_str("connecting"),
            Self::Live(_) => f.write_str("live"),
            Self::Reconnecting { attempt, next_in } => write_try(f, "reconnecting", *attempt, *next_in),
            Self::Suspended { attempt, next_in } => {
                write_try(f, "suspended, trying again", *attempt, *next_in)
            }
            Self::Offline => f.write_str("offline"),
            Self::Refused { code, reason } if reason.is_empty() => write!(f, "refused: {code}"),
            Self::Refused { reason, .. } => write!(f, "refused: {reason}"),
            Self::Closed => f.write_str("closed"),
        }
    }
}

fn write_try(f: &mut fmt::Formatter<'_>, what: &str, attempt: u32, next_in: Duration) -> fmt::Result {
    if next_in.is_zero() {
        return write!(f, "{what} (attempt {attempt})");
    }
    let seconds = next_in.as_millis().div_ceil(1000);
    write!(f, "{what} in {seconds} s (attempt {attempt})")
}
