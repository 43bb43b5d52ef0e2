use std::time::Duration;

use bowline_protocol::limits::Timing;

/// How long a client waits for things.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Patience {
    /// For credentials, from whoever provides them.
    pub(crate) credentials: Duration,
    /// For a link: TCP, TLS and the upgrade.
    pub(crate) connect: Duration,
    /// For the welcome, once there is a link: what the application says.
    pub(crate) welcome: Duration,
    /// For a goodbye to be written.
    pub(crate) close: Duration,
    /// How long a session must have been live for its failures to be forgotten.
    pub(crate) settled: Duration,
    /// How long a link must have lived for its loss to be seen as an accident, after which the next try comes soon.
    pub(crate) accident: Duration,
    /// How long a session is stayed with at the least before another one is opened beside it, whatever the server says.
    pub(crate) stay: Duration,
    /// How soon after a wake-up a link must fall to have been dead before it: the probe has 5 s, and a little to be noticed.
    pub(crate) woken: Duration,
    /// How long there may be no session before the client is suspended: the resume window of servers.
    pub(crate) suspended: Duration,
}

impl Patience {
    pub(crate) fn new(timing: &Timing) -> Self {
        Self {
            credentials: Duration::from_secs(10),
            connect: Duration::from_secs(10),
            welcome: timing.hello,
            close: Duration::from_secs(1),
            settled: Duration::from_secs(10),
            accident: Duration::from_secs(60),
            stay: Duration::from_secs(1),
            woken: Duration::from_secs(6),
            suspended: Duration::from_secs(120),
        }
    }
}
