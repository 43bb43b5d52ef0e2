use std::time::Duration;

/// What all sessions of one server hold together, and for how long. Counts, bytes and durations.
///
/// `Default` is meant for a public server; each field says why, and what happens at the bound.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeLimits {
    /// How long a session waits for a new link after its last one was lost: 120 s, which is what two large public
    /// systems chose. Then it ends, and its client is told of a gap.
    pub resume_window: Duration,
    /// Sessions that have a link: 20,000. Further new sessions are refused with 1013; resumes are taken.
    pub attached: usize,
    /// Sessions that wait for a link: 20,000. Beyond it some are evicted: those whose client never acknowledged
    /// anything first, then the oldest of the owner that holds most.
    pub detached: usize,
    /// Bytes that sessions without a link hold in replay buffers, assembly and unread queues: 256 MiB. As `detached`.
    pub detached_bytes: usize,
    /// Sessions of one identity that wait for a link: 16. Beyond it that identity's oldest is evicted.
    pub detached_per_identity: usize,
    /// Sessions of anonymous callers from one network address that wait for a link: 128, because many people may share
    /// one address. Beyond it that address's oldest is evicted.
    pub detached_per_address: usize,
    /// Bytes that all sessions hold, with a link or without: 1 GiB. Beyond it the session that holds most is ended; its
    /// link, if it has one, is closed with 4002.
    pub bytes: usize,
    /// Bytes of large payloads that all sessions have under assembly, each counted whole from its announcement on: 512 MiB.
    /// A further one is refused: its call ends with `ResourceExhausted`, and nothing else is touched.
    pub assembly: usize,
    /// What is remembered of sessions that ended, so that their clients learn what arrived: 100,000 of 64 bytes.
    /// Beyond it the oldest is forgotten, and that client learns only that the session is unknown.
    pub tombstones: usize,
    /// How long an ended session is remembered: 10 minutes. As `tombstones`.
    pub tombstone_age: Duration,
    /// Resumes of one session within `resumes_period`: 10. A further one is refused with 4006 and the time to wait.
    pub resumes: usize,
    /// See `resumes`: 60 s.
    pub resumes_period: Duration,
    /// What a client is told to wait when there is no room for it, or when the server is being stopped: 30 s. Rounded
    /// up to whole seconds.
    pub refusal_wait: Duration,
}

impl Default for NodeLimits {
    fn default() -> Self {
        const MIB: usize = 1024 * 1024;
        Self {
            resume_window: Duration::from_secs(120),
            attached: 20_000,
            detached: 20_000,
            detached_bytes: 256 * MIB,
            detached_per_identity: 16,
            detached_per_address: 128,
            bytes: 1024 * MIB,
            assembly: 512 * MIB,
            tombstones: 100_000,
            tombstone_age: Duration::from_secs(600),
            resumes: 10,
            resumes_period: Duration::from_secs(60),
            refusal_wait: Duration::from_secs(30),
        }
    }
}
