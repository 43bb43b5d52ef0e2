use std::time::Duration;

use bowline_protocol::schema::MethodKind;
use bowline_protocol::status::{Code, Status};
use bowline_rpc::{BoxError, Call, Reply};
use bowline_runtime::Instant;

use super::BreakerOpen;
use super::state::Outcome;
use crate::error::known_status;

/// What a call's end says about its service.
pub(super) fn of_answer(answer: &Result<Reply, BoxError>) -> Outcome {
    match answer {
        // What this end knows of its own link says nothing about what is behind it.
        Ok(reply) if reply.is_link_failure() => Outcome::Nothing,
        Ok(reply) => reply.status().map_or(Outcome::Success, of_status),
        Err(error) => known_status(error).map_or(Outcome::Failure, |status| of_status(&status)),
    }
}

/// Only three codes blame the service. The others come from what the caller did wrong, mostly before any handler ran,
/// so they don't praise it either.
fn of_status(status: &Status) -> Outcome {
    match status.code {
        // Another breaker on the way has counted what made it speak.
        _ if BreakerOpen::said(status) => Outcome::Nothing,
        Code::DeadlineExceeded | Code::Unavailable | Code::Internal => Outcome::Failure,
        _ => Outcome::Nothing,
    }
}

/// What a call was given.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pace {
    pub(super) started: Instant,
    /// Whoever is not done by then has failed.
    deadline: Option<Instant>,
    /// How long it may take and not be slow.
    patience: Option<Duration>,
}

impl Pace {
    pub(super) fn new(call: &Call, now: Instant, slow: Duration) -> Self {
        let given = call.deadline().map(|deadline| deadline.saturating_duration_since(now));
        let patience = match call.kind() {
            // It takes as long as its caller does.
            MethodKind::ClientStream => None,
            _ => given.map(|given| slow.max(given / 2)),
        };
        // The other end chose how much time there is: a caller who gives none could shut a service for all others.
        let is_incoming = call.codec().is_some();
        let is_fair = !is_incoming || given.is_some_and(|given| given >= slow);
        Self { started: now, deadline: call.deadline().filter(|_| is_fair), patience }
    }

    /// The outcome of a call that was answered.
    pub(super) fn judge(&self, now: Instant, outcome: Outcome) -> Outcome {
        let took = now.saturating_duration_since(self.started);
        let late = self.patience.is_some_and(|patience| took > patience);
        if late && outcome == Outcome::Success { Outcome::Slow } else { outcome }
    }

    /// The outcome of a call that was dropped: by the session because its time was up, or by whoever did not want it.
    pub(super) fn judge_dropped(&self, now: Instant) -> Outcome {
        let over = self.deadline.is_some_and(|deadline| now >= deadline);
        if over { Outcome::Failure } else { Outcome::Nothing }
    }
}
