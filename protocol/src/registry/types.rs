use std::net::IpAddr;

use crate::envelope::{GapReason, Hello, Refusal};

/// Who a link belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Who {
    /// A digest of the identity that authentication found; `None` for anonymous callers.
    pub identity: Option<u128>,
    /// The network address that the link comes from, where it is known. Of one of IPv6 the first 64 bits count.
    pub address: Option<IpAddr>,
}

/// Whose account a session is on: the identity's, or the address's of an anonymous caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Owner {
    Identity(u128),
    Address(IpAddr),
    /// Links in memory and such; they share one account, which only the bounds of the node limit.
    Nobody,
}

impl Who {
    pub(super) fn owner(&self) -> Owner {
        match (self.identity, self.address) {
            (Some(identity), _) => Owner::Identity(identity),
            (None, Some(address)) => Owner::Address(network(address)),
            (None, None) => Owner::Nobody,
        }
    }
}

/// What one subscriber has: an address of IPv4, 64 bits of an address of IPv6, of which he may use every one.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            IpAddr::from([a, b, c, d, 0, 0, 0, 0])
        }
        address => address,
    }
}

/// What to do with a hello.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Begin a new session: [`Session::welcome`](crate::session::Session::welcome), then
    /// [`Registry::insert`](super::Registry::insert).
    New {
        /// Why the session that the hello named can't go on; `None` when it named none.
        gap: Option<Gap>,
    },
    /// The client may continue this session, if the session's own state allows it.
    Resume {
        /// The session.
        session: u128,
    },
    /// Close the link with this.
    Refuse(Refusal),
}

/// Why a session can't go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Gap {
    /// What the client is told.
    pub reason: GapReason,
    /// What is still known of the session; only for who it belonged to.
    pub remains: Option<Remains>,
}

/// What is known of a session after its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Remains {
    /// The last sequence number of the client that was processed.
    pub last_processed: u64,
    /// The last sequence number that was written to the client.
    pub head: u64,
}

/// A session that begins. `Debug` leaves its token out.
#[derive(Clone, Copy)]
pub struct New<'a> {
    /// Its id.
    pub session: u128,
    /// The token that its welcome carries; from the operating system's random source.
    pub token: &'a [u8; 32],
    /// The epoch that its welcome states.
    pub epoch: u128,
    /// Whose it is.
    pub who: Who,
    /// The hello that asked for it.
    pub hello: &'a Hello,
}

impl std::fmt::Debug for New<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("New").field("session", &self.session).field("who", &self.who).finish_non_exhaustive()
    }
}

/// A session that goes on, on another link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Attached {
    /// What the welcome states.
    pub generation: u64,
    /// Whether another instance of the client took the session: a link that is still there is closed with 4504 then, so
    /// that it stops, and with 4005 otherwise.
    pub superseded: bool,
}

/// Numbers for tests, gauges and metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RegistryStats {
    /// What there is now.
    pub held: RegistryHeld,
    /// What happened so far.
    pub counted: RegistryCounted,
}

/// What a registry holds. All zero when nothing is left.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RegistryHeld {
    /// Sessions with a link.
    pub attached: usize,
    /// Sessions without one that may be resumed.
    pub detached: usize,
    /// Sessions that were told to end and have not yet.
    pub ending: usize,
    /// Bytes that sessions without a link hold.
    pub detached_bytes: usize,
    /// Bytes that all sessions hold.
    pub bytes: usize,
    /// Identities and addresses that have sessions.
    pub owners: usize,
    /// Sessions that are remembered after their end.
    pub tombstones: usize,
}

/// What a registry has counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RegistryCounted {
    /// Sessions that began.
    pub begun: u64,
    /// Attaches of sessions that went on.
    pub resumed: u64,
    /// Sessions whose window passed.
    pub expired: u64,
    /// Sessions that were ended because somebody held too much.
    pub evicted: u64,
    /// Resumes with a token that was not valid, or was no longer.
    pub tokens_refused: u64,
    /// Resumes as somebody else.
    pub identities_refused: u64,
    /// Resumes that a newer attach had overtaken.
    pub fenced: u64,
    /// Resumes that came too often.
    pub floods: u64,
    /// New sessions for which there was no room, or that came while the server was being stopped.
    pub turned_away: u64,
}
