use std::sync::Arc;

use bowline_rpc::{BoxError, Call, Reply, StreamEnd};
use bowline_runtime::{Instant, Moment, now};

use super::series::Series;
use crate::error::known_status;

/// One call from its begin to its end, which is counted whatever becomes of it.
pub(super) struct Record {
    series: Arc<Series>,
    started: Instant,
    deadline: Option<Instant>,
    /// A poll that does not return leaves this behind.
    pub(super) polling: bool,
    ended: bool,
}

const PANICKED: &str = "internal";
const DROPPED: &str = "cancelled";
const LATE: &str = "deadline_exceeded";

impl Record {
    pub(super) fn new(series: Arc<Series>, call: &Call) -> Self {
        series.begin();
        Self { series, started: Moment::recent(), deadline: call.deadline(), polling: false, ended: false }
    }

    /// The call has ended with `answer`, which is no stream. Counts once, also where a layer asks for the answer again.
    pub(super) fn answered(&mut self, answer: &Result<Reply, BoxError>) {
        if self.ended {
            return;
        }
        self.finish(Moment::after(self.started), error_of(answer));
    }

    /// Follows a stream to its end.
    #[inline(never)]
    pub(super) fn follow(mut self, stream: Reply) -> Reply {
        // From here on it has no deadline.
        self.deadline = None;
        stream.on_end(move |end| match end {
            StreamEnd::Over => self.end(None),
            StreamEnd::Application => self.end(Some("application")),
            StreamEnd::Status(status) => self.end(Some(status.code.as_str())),
            // The reader lost interest: counted as such when it is dropped.
            _ => {}
        })
    }

    fn end(mut self, error: Option<&'static str>) {
        self.finish(now(), error);
    }

    fn finish(&mut self, now: Instant, error: Option<&'static str>) {
        self.ended = true;
        self.series.end(now.saturating_duration_since(self.started), error);
    }
}

/// What a call that is no stream ended with.
fn error_of(answer: &Result<Reply, BoxError>) -> Option<&'static str> {
    match answer {
        Ok(reply) if reply.is_application_error() => Some("application"),
        Ok(reply) => reply.status().map(|status| status.code.as_str()),
        Err(error) => Some(known_status(error).map_or(PANICKED, |status| status.code.as_str())),
    }
}

impl Drop for Record {
    fn drop(&mut self) {
        if self.ended {
            return;
        }
        // Whoever drops it may have been at it for long.
        let now = now();
        let late = self.deadline.is_some_and(|deadline| now >= deadline);
        self.finish(
            now,
            Some(match (self.polling, late) {
                (true, _) => PANICKED,
                (false, true) => LATE,
                (false, false) => DROPPED,
            }),
        );
    }
}
