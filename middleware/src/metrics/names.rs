//! Every metric of Bowline: name, kind, unit, labels.
//!
//! Names follow the OpenTelemetry conventions for RPC where one exists, else begin with `bowline.`. Labels come from
//! closed sets: names of services and methods that were compiled in, and the words listed here.
//!
//! | Label | Values |
//! |---|---|
//! | `rpc.system.name` | `bowline` |
//! | `rpc.service` | the name of a trait: `Chat` |
//! | `rpc.method` | trait and method: `Chat/post`; `_OTHER` for those of a service beyond the 64th |
//! | `error.type` | a code: `cancelled`, `invalid_argument`, `deadline_exceeded`, `permission_denied`, `resource_exhausted`, `unimplemented`, `internal`, `unavailable`, `unauthenticated`, `schema_mismatch`, `lagged` and so on; `application` for the method's own error |
//! | `close.code` | the name of a [`CloseCode`](bowline_protocol::status::CloseCode): `slow`, `no pong`; `lost` where there was none, `_OTHER` for numbers without a name |
//! | `outcome` | of a try to connect: `live`, `no_credentials`, `no_link`, `refused`, `lost`, `timed_out`; of a resume: `resumed`, `gap` |
//! | `reason` | of a gap: `unknown`, `expired`, `evicted`, `state_lost`, `identity_changed`, `schema_changed`, `no_progress` |
//! | `direction` | `in`, `out` |
//! | `state` | of a circuit breaker: `closed`, `open`, `half_open` |
//!
//! An up-down counter is a gauge of the `metrics` facade that is only ever added to and taken from.

/// One metric.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Metric {
    /// Its name.
    pub name: &'static str,
    /// How its values add up.
    pub kind: Kind,
    /// Its unit as UCUM writes it: `s`, `By`, `{call}`.
    pub unit: &'static str,
    /// The labels that it may have.
    pub labels: &'static [&'static str],
    /// One sentence for people.
    pub about: &'static str,
}

/// How the values of a metric add up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Kind {
    /// Only grows.
    Counter,
    /// How many there are now.
    UpDownCounter,
    /// Values, to be counted by their size.
    Histogram,
}

macro_rules! metrics {
    ($($id:ident = $name:literal, $kind:ident, $unit:literal, [$($label:literal),*], $about:literal;)*) => {
        $(
            #[doc = concat!($about, "\n\n`", $name, "`, ", stringify!($kind), ", `", $unit, "`")]
            #[doc = concat!("; labels:" $(, " `", $label, "`")*, ".")]
            pub const $id: Metric = Metric {
                name: $name,
                kind: Kind::$kind,
                unit: $unit,
                labels: &[$($label),*],
                about: $about,
            };
        )*

        /// All of them.
        pub const ALL: &[Metric] = &[$($id),*];
    };
}

metrics! {
    CLIENT_CALLS = "bowline.client.calls", Counter, "{call}", ["rpc.method"],
        "Calls begun here.";
    SERVER_CALLS = "bowline.server.calls", Counter, "{call}", ["rpc.method"],
        "Calls begun by the other end.";
    CLIENT_CALLS_IN_FLIGHT = "bowline.client.calls.in_flight", UpDownCounter, "{call}", [],
        "Calls begun here that have not ended, open streams included.";
    SERVER_CALLS_IN_FLIGHT = "bowline.server.calls.in_flight", UpDownCounter, "{call}", [],
        "Calls begun by the other end that have not ended, open streams included.";
    CLIENT_CALL_DURATION = "rpc.client.call.duration", Histogram, "s", ["rpc.system.name", "rpc.method", "error.type"],
        "How long calls begun here took, streams to their end; without `error.type` where they succeeded.";
    SERVER_CALL_DURATION = "rpc.server.call.duration", Histogram, "s", ["rpc.system.name", "rpc.method", "error.type"],
        "How long calls begun by the other end took, streams to their end; without `error.type` where they succeeded.";
    CLIENT_CALL_ERRORS = "bowline.client.call.errors", Counter, "{call}", ["rpc.method", "error.type"],
        "Calls begun here that did not succeed.";
    SERVER_CALL_ERRORS = "bowline.server.call.errors", Counter, "{call}", ["rpc.method", "error.type"],
        "Calls begun by the other end that did not succeed.";
    BREAKER_STATE = "bowline.breaker.state", UpDownCounter, "{breaker}", ["rpc.service", "state"],
        "How many circuit breakers are in the state.";
    BREAKER_TRANSITIONS = "bowline.breaker.transitions", Counter, "{transition}", ["rpc.service", "state"],
        "How often circuit breakers came into the state.";
    BREAKER_REFUSALS = "bowline.breaker.refusals", Counter, "{call}", ["rpc.service"],
        "Calls that circuit breakers refused.";
    CLIENT_LINKS = "bowline.client.links", UpDownCounter, "{link}", [],
        "Links there are at a client.";
    SERVER_LINKS = "bowline.server.links", UpDownCounter, "{link}", [],
        "Links there are at a server.";
    CLIENT_LINKS_OPENED = "bowline.client.links.opened", Counter, "{link}", [],
        "Links that a client began to use.";
    SERVER_LINKS_OPENED = "bowline.server.links.opened", Counter, "{link}", [],
        "Links that a server began to use.";
    CLIENT_LINKS_CLOSED = "bowline.client.links.closed", Counter, "{link}", ["close.code"],
        "Links that ended at a client, by the close code.";
    SERVER_LINKS_CLOSED = "bowline.server.links.closed", Counter, "{link}", ["close.code"],
        "Links that ended at a server, by the close code.";
    CLIENT_SESSIONS = "bowline.client.sessions", UpDownCounter, "{session}", [],
        "Sessions that a client keeps, on a link or waiting for one.";
    SERVER_SESSIONS = "bowline.server.sessions", UpDownCounter, "{session}", [],
        "Sessions that a server keeps, on a link or waiting for one.";
    CLIENT_RESUMES = "bowline.client.resumes", Counter, "{attempt}", ["outcome"],
        "Sessions that were to go on at a client on another link, by what became of that.";
    SERVER_RESUMES = "bowline.server.resumes", Counter, "{attempt}", ["outcome"],
        "Sessions that were to go on at a server on another link, by what became of that.";
    CLIENT_GAPS = "bowline.client.gaps", Counter, "{gap}", ["reason"],
        "Sessions that could not go on at a client, by the reason.";
    SERVER_GAPS = "bowline.server.gaps", Counter, "{gap}", ["reason"],
        "Sessions that could not go on at a server, by the reason.";
    CLIENT_MESSAGES = "bowline.client.messages", Counter, "{message}", ["direction"],
        "WebSocket messages of a client, told once a second.";
    SERVER_MESSAGES = "bowline.server.messages", Counter, "{message}", ["direction"],
        "WebSocket messages of a server, told once a second.";
    CLIENT_BYTES = "bowline.client.bytes", Counter, "By", ["direction"],
        "Bytes of WebSocket messages of a client, without WebSocket's own, told once a second.";
    SERVER_BYTES = "bowline.server.bytes", Counter, "By", ["direction"],
        "Bytes of WebSocket messages of a server, without WebSocket's own, told once a second.";
    CLIENT_REPLAY = "bowline.client.replay", UpDownCounter, "By", [],
        "Bytes that a client has written and that are not acknowledged, told once a second.";
    SERVER_REPLAY = "bowline.server.replay", UpDownCounter, "By", [],
        "Bytes that a server has written and that are not acknowledged, told once a second.";
    CLIENT_OUTBOX = "bowline.client.outbox", UpDownCounter, "{call}", [],
        "Calls of a client that wait for a session, a declaration or credit, told once a second.";
    SERVER_OUTBOX = "bowline.server.outbox", UpDownCounter, "{call}", [],
        "Calls of a server that wait for a session, a declaration or credit, told once a second.";
    CLIENT_ROUND_TRIP = "bowline.client.round_trip", Histogram, "s", [],
        "Time from a ping of a client to its pong.";
    SERVER_ROUND_TRIP = "bowline.server.round_trip", Histogram, "s", [],
        "Time from a ping of a server to its pong.";
    CLIENT_RECONNECTS = "bowline.client.reconnects", Counter, "{attempt}", ["outcome"],
        "Tries of clients to connect, the first one included, by how they ended.";
    SERVER_LINKS_REFUSED = "bowline.server.links.refused", Counter, "{link}", ["close.code"],
        "Links that servers sent away before they had a session, by the close code.";
}

/// Tells the recorder what each metric is. Once, after it was installed.
///
/// # Examples
///
/// ```
/// // After the exporter was installed.
/// bowline_middleware::names::describe();
/// ```
#[cfg(feature = "metrics")]
pub fn describe() {
    use metrics::{Unit, describe_counter, describe_gauge, describe_histogram};

    for metric in ALL {
        let unit = match metric.unit {
            "s" => Unit::Seconds,
            "By" => Unit::Bytes,
            _ => Unit::Count,
        };
        match metric.kind {
            Kind::Counter => describe_counter!(metric.name, unit, metric.about),
            Kind::UpDownCounter => describe_gauge!(metric.name, unit, metric.about),
            Kind::Histogram => describe_histogram!(metric.name, unit, metric.about),
        }
    }
}
