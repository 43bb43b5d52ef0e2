use std::time::Duration;

/// What a node keeps of `once` calls. Counts and bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OnceLimits {
    /// Bytes of all entries: 64 MiB. An entry costs 512 and what it ended with.
    /// Without room, and nothing that may be forgotten, further `once` calls are `ResourceExhausted`; the answer of one
    /// that runs already is given and not kept, so that a repeat of it is told `OutcomeUnknown`.
    pub bytes: usize,
    /// Bytes of the entries of one identity: 16 MiB, one answer of the largest size that a client takes.
    /// As `bytes`, for this identity alone: one caller with large answers takes the room of nobody else.
    pub identity_bytes: usize,
    /// Entries of one identity, running calls included: 1,024. A caller without identity counts by its address.
    /// As `bytes`, for this identity alone.
    pub identity_entries: usize,
    /// How long an answer that nobody acknowledged is kept at the least: 300 s, two and a half times what a session is
    /// resumable for. What was acknowledged may go at any time. Nothing goes before its room is needed.
    pub keep: Duration,
}

impl Default for OnceLimits {
    fn default() -> Self {
        const MIB: usize = 1024 * 1024;
        Self {
            bytes: 64 * MIB,
            identity_bytes: 16 * MIB,
            identity_entries: 1024,
            keep: Duration::from_secs(300),
        }
    }
}
