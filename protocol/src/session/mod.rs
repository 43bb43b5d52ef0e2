//! The session: what two ends say to each other, without a socket and without a clock.
//!
//! One [`Session`] is one end. Whoever drives it feeds it facts (`handle_*`), passes on what the application wants
//! (plain verbs) and takes output (`poll_*`). Nothing happens by itself, and equal inputs give equal outputs.
//!
//! # Polling order
//!
//! After any input, until all of them have nothing:
//!
//! 1. [`Session::poll_event`]: what the application is to know. Handlers that answer at once put their answer into the
//!    message that is written next.
//! 2. [`Session::poll_transmit`], while the socket takes messages. Each call makes one whole message of all that is
//!    ready, so a message is asked for only when it can be handed over.
//! 3. [`Session::poll_close`]: the link is to be closed, with this code and reason.
//! 4. [`Session::poll_timeout`]: when [`Session::handle_timeout`] is due. It moves with every input.
//!
//! # Life
//!
//! A link begins with [`Session::handle_connected`] and ends with [`Session::handle_disconnect`]. The machine of a
//! server is over with its link. That of a client goes on: what was not yet written stays queued, watches are
//! subscribed again, everything else that was written ends, and the next link carries a new session.

mod acks;
mod answers;
mod assembly;
mod callee;
mod caller;
mod closing;
mod credit;
mod handshake;
mod incoming;
mod items;
mod notify;
mod outgoing;
mod payloads;
mod services;
mod stream;
mod table;
mod timers;
mod transfers;
mod types;

use std::collections::VecDeque;

use crate::Instant;
use crate::envelope::{Welcome, WireLimits};
use crate::schema::ServiceDescriptor;

use acks::{Received, Sent, SentUnsequenced};
use assembly::Assemblies;
use callee::Incoming;
use caller::{Own, Waiting, WireIds};
use closing::Phase;
use credit::{Allowance, Grant};
use outgoing::Queue;
use services::Agreement;
use table::Table;
use transfers::Transfers;

pub use types::{
    CallId, Config, Counted, Event, Failure, Held, IncomingCall, IncomingNotify, NotifyTicket, Origin, Read,
    Request, Role, SessionIds, Stats, Stop, WireFailure,
};

/// One end of a session. See the [module](self) for the order in which it is driven.
#[derive(Debug)]
pub struct Session {
    role: Role,
    config: Config,
    /// Which client this is; random, made by whoever drives it.
    instance: u128,
    /// Links so far.
    attempt: u64,
    link: Link,
    state: State,
    /// Counts the sessions of this machine, so that late commands for an earlier one are told apart.
    sessions: u32,
    /// Calls that this end made, ever.
    calls_made: u64,
    /// Calls of this end; they outlive links.
    own: Table<Own>,
    waiting: Waiting,
    /// Calls of the other end.
    incoming: Table<Incoming>,
    /// Services that this end calls; their places are their numbers in declarations.
    services: Vec<&'static ServiceDescriptor>,
    events: VecDeque<Event>,
    /// No deadline of a call of this end is earlier.
    own_deadline: Option<Instant>,
    /// No deadline of a call of the other end is earlier.
    incoming_deadline: Option<Instant>,
    counted: Counted,
    /// When `handle_timeout` was last called.
    timed_out_at: Option<Instant>,
}

/// What belongs to one link and is never continued on another.
#[derive(Debug, Default)]
struct Link {
    phase: Phase,
    /// When hello or welcome must have come.
    hello_due: Option<Instant>,
    /// Since when the socket accepts nothing.
    blocked_since: Option<Instant>,
    /// The length of the message that is being read.
    message: usize,
    /// The welcome to write.
    welcome: Option<Box<Welcome>>,
    /// The ping to answer.
    pong: Option<u64>,
    /// New credentials to answer.
    auth_answer_due: bool,
    /// Watch values and notifies written.
    unsequenced: SentUnsequenced,
}

/// What belongs to a session: a later link may continue it, or make it anew.
#[derive(Debug)]
struct State {
    /// What the other end accepts.
    peer: WireLimits,
    /// What the welcome said, or will say.
    identity: Option<Identity>,
    sent: Sent,
    received: Received,
    /// About our services, by number.
    agreements: Vec<Agreement>,
    /// What the other end declared, by number; `None` where this end serves no such thing.
    served: Vec<Option<&'static ServiceDescriptor>>,
    /// Calls and streams that this end may open.
    opening: [Allowance; 2],
    /// Calls and streams that the other end may open.
    granted: [Grant; 2],
    /// Bytes of large payloads that this end may begin.
    assembly_opening: Allowance,
    /// Bytes of large payloads that the other end may begin.
    assembly_granted: Grant,
    wire: WireIds,
    /// Data to be written, first come first served.
    queue: Queue,
    /// Calls whose next payload waits for assembly credit.
    large: VecDeque<CallId>,
    transfers: Transfers,
    assemblies: Assemblies,
    /// Streams whose reader took items that the writer does not know of.
    taken: Vec<CallId>,
    taken_due: Option<Instant>,
    /// What the windows of all streams have grown by.
    extra_window: usize,
    /// Notifies queued, and their bytes.
    notifies: (usize, usize),
    /// Handlers of notifies that run here.
    notifies_running: usize,
    /// Watches whose value waits for room in what is unsequenced.
    parked: VecDeque<CallId>,
}

/// How a session is known.
#[derive(Debug)]
struct Identity {
    session: u128,
    /// For the resume that a later link would ask for.
    #[expect(dead_code, reason = "read when sessions outlive their links")]
    token: crate::envelope::Secret,
    #[expect(dead_code, reason = "read when sessions outlive their links")]
    epoch: u128,
    #[expect(dead_code, reason = "read when sessions outlive their links")]
    generation: u64,
}

impl Session {
    /// The machine of a client; `instance` is random.
    pub fn client(config: Config, instance: u128) -> Self {
        Self::new(Role::Client, config, instance)
    }

    /// The machine of one link of a server.
    pub fn server(config: Config) -> Self {
        Self::new(Role::Server, config, 0)
    }

    fn new(role: Role, config: Config, instance: u128) -> Self {
        Self {
            role,
            instance,
            attempt: 0,
            link: Link::default(),
            state: State::new(&config),
            sessions: 0,
            calls_made: 0,
            own: Table::new(Origin::Local),
            waiting: Waiting::default(),
            incoming: Table::new(Origin::Remote),
            services: Vec::new(),
            events: VecDeque::new(),
            own_deadline: None,
            incoming_deadline: None,
            counted: Counted::default(),
            timed_out_at: None,
            config,
        }
    }

    /// Which end of the handshake this is.
    pub fn role(&self) -> Role {
        self.role
    }

    /// Whether calls travel: from the welcome on, until the link closes.
    pub fn is_live(&self) -> bool {
        matches!(self.link.phase, Phase::Live)
    }

    /// The id of the live session; may be logged.
    pub fn session_id(&self) -> Option<u128> {
        self.state.identity.as_ref().map(|identity| identity.session)
    }

    /// Numbers for tests, gauges and metrics.
    pub fn stats(&self) -> Stats {
        let (unacknowledged, unacknowledged_bytes) = self.state.sent.unacknowledged();
        let held = Held {
            calls: self.own.len() + self.state.wire.orphans(),
            waiting_calls: self.waiting.calls,
            waiting_bytes: self.waiting.bytes,
            incoming: self.incoming.len(),
            notifies: self.state.notifies_running,
            queued: self.state.queue.len(),
            sending: self.state.transfers.len(),
            assembling: self.state.assemblies.len(),
            assembly_bytes: self.state.assemblies.bytes(),
            unacknowledged,
            unacknowledged_bytes,
            extra_window: self.state.extra_window,
            events: self.events.len(),
        };
        Stats { held, counted: self.counted }
    }

    /// The next thing that the application is to know.
    #[inline]
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }
}

impl State {
    fn new(config: &Config) -> Self {
        let limits = &config.limits;
        Self {
            peer: WireLimits::default(),
            identity: None,
            sent: Sent::default(),
            received: Received::new(limits.replay_bytes as u64),
            agreements: Vec::new(),
            served: Vec::new(),
            opening: [Allowance::default(); 2],
            granted: [Grant::new(u64::from(limits.calls)), Grant::new(u64::from(limits.streams))],
            assembly_opening: Allowance::default(),
            assembly_granted: Grant::new(limits.assembly.max(limits.payload_in) as u64),
            wire: WireIds::default(),
            queue: Queue::default(),
            large: VecDeque::new(),
            transfers: Transfers::default(),
            assemblies: Assemblies::default(),
            taken: Vec::new(),
            taken_due: None,
            extra_window: 0,
            notifies: (0, 0),
            notifies_running: 0,
            parked: VecDeque::new(),
        }
    }

    /// The largest payload that the other end takes.
    fn peer_payload(&self) -> usize {
        usize::try_from(self.peer.payload.min(self.peer.assembly)).unwrap_or(usize::MAX)
    }
}

/// A start time for unit tests, which only add to it.
#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "an instant can be had no other way")]
fn origin() -> Instant {
    Instant::now()
}
