use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bowline_protocol::envelope::{GapReason, Outcome};
use bowline_protocol::status::CloseCode;
use bowline_rpc::Peer;
use bowline_runtime::{Instant, Sleep, now, sleep};

use super::emit::{Direction, add, count, count_moved, record};
use super::names::{self, Metric};

/// How often a session that moves is looked at. Source: our choice; a look costs one at every call under way, and
/// exporters ask every few seconds.
const EVERY: Duration = Duration::from_secs(1);

/// Counts what one session and its links do; for the drivers of sessions, at either end.
///
/// Its calls are counted by `MetricsLayer`. When it is dropped, what it has added to up-down counters is
/// taken back. Without the feature `metrics` it does nothing.
///
/// # Examples
///
/// ```
/// use bowline_middleware::SessionMetrics;
/// use bowline_protocol::envelope::Outcome;
/// use bowline_protocol::status::CloseCode;
///
/// let mut metrics = SessionMetrics::server();
/// metrics.link_opened();
/// metrics.live(Outcome::New);
/// metrics.link_closed(Some(CloseCode::DRAIN));
/// ```
#[derive(Debug)]
pub struct SessionMetrics {
    names: &'static Names,
    linked: bool,
    connecting: bool,
    /// Whether there is a session.
    live: bool,
    told: Told,
    looked: Option<Instant>,
    timer: Option<Sleep>,
}

/// How a client's try to connect ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Connected {
    /// There is a session.
    Live,
    /// The application had no credentials for it.
    NoCredentials,
    /// No link could be made.
    NoLink,
    /// The other end closed the link with a code before it said welcome.
    Refused,
    /// The link was lost before the welcome.
    Lost,
    /// It took too long.
    TimedOut,
}

impl Connected {
    fn as_str(self) -> &'static str {
        match self {
            Self::Live => "live",
            Self::NoCredentials => "no_credentials",
            Self::NoLink => "no_link",
            Self::Refused => "refused",
            Self::Lost => "lost",
            Self::TimedOut => "timed_out",
        }
    }
}

/// What was told last.
#[derive(Debug, Clone, Copy, Default)]
struct Told {
    messages_in: u64,
    messages_out: u64,
    bytes_in: u64,
    bytes_out: u64,
    replay: i64,
    outbox: i64,
    round_trip: Option<Duration>,
}

#[derive(Debug)]
struct Names {
    links: Metric,
    opened: Metric,
    closed: Metric,
    sessions: Metric,
    resumes: Metric,
    gaps: Metric,
    messages: Metric,
    bytes: Metric,
    replay: Metric,
    outbox: Metric,
    round_trip: Metric,
}

static CLIENT: Names = Names {
    links: names::CLIENT_LINKS,
    opened: names::CLIENT_LINKS_OPENED,
    closed: names::CLIENT_LINKS_CLOSED,
    sessions: names::CLIENT_SESSIONS,
    resumes: names::CLIENT_RESUMES,
    gaps: names::CLIENT_GAPS,
    messages: names::CLIENT_MESSAGES,
    bytes: names::CLIENT_BYTES,
    replay: names::CLIENT_REPLAY,
    outbox: names::CLIENT_OUTBOX,
    round_trip: names::CLIENT_ROUND_TRIP,
};

static SERVER: Names = Names {
    links: names::SERVER_LINKS,
    opened: names::SERVER_LINKS_OPENED,
    closed: names::SERVER_LINKS_CLOSED,
    sessions: names::SERVER_SESSIONS,
    resumes: names::SERVER_RESUMES,
    gaps: names::SERVER_GAPS,
    messages: names::SERVER_MESSAGES,
    bytes: names::SERVER_BYTES,
    replay: names::SERVER_REPLAY,
    outbox: names::SERVER_OUTBOX,
    round_trip: names::SERVER_ROUND_TRIP,
};

/// Counts a link that a server sent away before it had a session, by the code that it was closed with.
pub fn link_refused(code: CloseCode) {
    count(&names::SERVER_LINKS_REFUSED, &[("close.code", code_name(Some(code)))], 1);
}

impl SessionMetrics {
    /// For a client's end.
    pub fn client() -> Self {
        Self::new(&CLIENT)
    }

    /// For a server's end.
    pub fn server() -> Self {
        Self::new(&SERVER)
    }

    fn new(names: &'static Names) -> Self {
        Self {
            names,
            linked: false,
            connecting: false,
            live: false,
            told: Told::default(),
            looked: None,
            timer: None,
        }
    }

    /// A client begins to connect.
    pub fn connecting(&mut self) {
        self.connecting = true;
    }

    /// That has ended. What comes again before the next [`connecting`](Self::connecting) counts nothing.
    pub fn connected(&mut self, how: Connected) {
        if std::mem::take(&mut self.connecting) {
            count(&names::CLIENT_RECONNECTS, &[("outcome", how.as_str())], 1);
        }
    }

    /// There is a link. One that was there before is gone, without a word.
    pub fn link_opened(&mut self) {
        self.link_closed(None);
        self.linked = true;
        count(&self.names.opened, &[], 1);
        add(&self.names.links, &[], 1);
    }

    /// The link is gone; with a code if one end closed it. Nothing where there was none.
    pub fn link_closed(&mut self, code: Option<CloseCode>) {
        if std::mem::take(&mut self.linked) {
            count(&self.names.closed, &[("close.code", code_name(code))], 1);
            add(&self.names.links, &[], -1);
        }
    }

    /// A welcome was sent, or has come.
    pub fn live(&mut self, outcome: Outcome) {
        if !std::mem::replace(&mut self.live, true) {
            add(&self.names.sessions, &[], 1);
        }
        match outcome {
            Outcome::New => {}
            Outcome::Resumed => count(&self.names.resumes, &[("outcome", "resumed")], 1),
            Outcome::Gap { reason, .. } => {
                count(&self.names.resumes, &[("outcome", "gap")], 1);
                count(&self.names.gaps, &[("reason", gap_name(reason))], 1);
            }
        }
    }

    /// Looks at the session from time to time. Call it whenever the session's task runs: what it holds and has
    /// counted is told at most once a second. An idle session has no timer for it.
    pub fn poll(&mut self, cx: &mut Context<'_>, peer: &Peer) {
        if cfg!(not(feature = "metrics")) {
            return;
        }
        if let Some(timer) = &mut self.timer {
            if Pin::new(timer).poll(cx).is_pending() {
                return;
            }
            self.timer = None;
        }
        let now = now();
        if self.looked.is_some_and(|looked| now < looked + EVERY) {
            // What this run of the task did is told later.
            let mut timer = sleep(EVERY);
            if Pin::new(&mut timer).poll(cx) == Poll::Pending {
                self.timer = Some(timer);
            }
            return;
        }
        self.looked = Some(now);
        self.look(peer);
    }

    /// Looks at the session now, for its driver's last act.
    pub fn look(&mut self, peer: &Peer) {
        let stats = peer.stats().session;
        let told = Told {
            messages_in: stats.counted.messages_in,
            messages_out: stats.counted.messages_out,
            bytes_in: stats.counted.bytes_in,
            bytes_out: stats.counted.bytes_out,
            replay: i64::try_from(stats.held.unacknowledged_bytes).unwrap_or(i64::MAX),
            outbox: i64::try_from(stats.held.waiting_calls).unwrap_or(i64::MAX),
            round_trip: peer.round_trip(),
        };
        self.tell(told);
    }

    /// Tells what changed.
    fn tell(&mut self, new: Told) {
        let old = std::mem::replace(&mut self.told, new);
        let counters = [
            (&self.names.messages, Direction::In, new.messages_in, old.messages_in),
            (&self.names.messages, Direction::Out, new.messages_out, old.messages_out),
            (&self.names.bytes, Direction::In, new.bytes_in, old.bytes_in),
            (&self.names.bytes, Direction::Out, new.bytes_out, old.bytes_out),
        ];
        for (metric, direction, new, old) in counters {
            if new != old {
                count_moved(metric, direction, new.saturating_sub(old));
            }
        }
        for (metric, new, old) in
            [(&self.names.replay, new.replay, old.replay), (&self.names.outbox, new.outbox, old.outbox)]
        {
            if new != old {
                add(metric, &[], new - old);
            }
        }
        if let Some(round_trip) = new.round_trip
            && old.round_trip != Some(round_trip)
        {
            record(&self.names.round_trip, &[], round_trip);
        }
    }
}

impl Drop for SessionMetrics {
    fn drop(&mut self) {
        self.link_closed(None);
        self.tell(Told { replay: 0, outbox: 0, ..self.told });
        if self.live {
            add(&self.names.sessions, &[], -1);
        }
    }
}

fn code_name(code: Option<CloseCode>) -> &'static str {
    code.map_or("lost", |code| code.name().unwrap_or("_OTHER"))
}

fn gap_name(reason: GapReason) -> &'static str {
    match reason {
        GapReason::Unknown => "unknown",
        GapReason::Expired => "expired",
        GapReason::Evicted => "evicted",
        GapReason::StateLost => "state_lost",
        GapReason::IdentityChanged => "identity_changed",
        GapReason::SchemaChanged => "schema_changed",
        GapReason::NoProgress => "no_progress",
        _ => "_OTHER",
    }
}
