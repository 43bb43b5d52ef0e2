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
//! A link begins with [`Session::handle_connected`] and ends with [`Session::handle_disconnect`]. The session outlives
//! it: what is under way stays under way, what was written and not acknowledged is kept, and deadlines run on.
//!
//! - A client says hello on the next link and asks for its session. It goes on, or the welcome tells of a gap: then
//!   what is known never to have run is asked again in the new session, and so is what may be asked twice; the rest
//!   ends with what is known about it.
//! - A server makes a machine for each link. Whoever drives it looks at the [`Hello`](Event::Hello) and either begins a
//!   session with [`Session::welcome`], or gives the link to the machine of an older session with
//!   [`Session::attach`] and forgets the new machine. A session that nobody comes back for is ended with
//!   [`Session::end`].

mod answers;
mod arriving;
mod assembly;
mod batch;
mod callee;
mod caller;
mod closing;
mod credit;
mod floods;
mod gap;
mod handshake;
mod heartbeat;
mod incoming;
mod items;
mod lean;
mod notify;
mod outgoing;
mod pace;
mod payloads;
mod pool;
mod received;
mod resume;
mod run;
mod sent;
mod services;
mod stream;
mod table;
mod timers;
mod transfers;
mod types;
mod unsequenced;

use std::collections::VecDeque;
use std::ops::Range;
use std::ptr::from_ref;
use std::sync::Arc;
use std::time::Duration;

use crate::Instant;
use crate::envelope::{OnceTable, Secret, Welcome, WireLimits};
use crate::schema::ServiceDescriptor;

use arriving::Progress;
use assembly::Assemblies;
use callee::Incoming;
use caller::{Own, Waiting, WireIds};
use closing::Phase;
use credit::{Allowance, Granted};
use floods::Floods;
use heartbeat::Heartbeat;
use outgoing::Queue;
use pace::Pace;
use received::Received;
use sent::Sent;
use services::Agreement;
use table::Table;
use transfers::Transfers;
use unsequenced::SentUnsequenced;

pub use arriving::Arriving;
pub use batch::Batch;
pub use pool::AssemblyPool;
pub use run::Run;
pub use types::{
    CallId, Config, Counted, Event, Failure, Held, IncomingCall, IncomingNotify, NotifyTicket, Origin,
    Queued, Read, Request, Role, Stats, Stop, Welcoming, WireFailure,
};

/// One end of a session. See the [module](self) for the order in which it is driven.
// In this order: what each message asks for lies together.
#[repr(C)]
#[derive(Debug)]
pub struct Session {
    state: State,
    link: Link,
    role: Role,
    /// Counts the sessions of this machine, so that late commands for an earlier one are told apart.
    sessions: u32,
    config: Arc<Config>,
    events: VecDeque<Event>,
    /// Calls of the other end.
    incoming: Table<Incoming>,
    /// No deadline of a call of this end is earlier.
    own_deadline: Option<Instant>,
    /// No deadline of a call of the other end is earlier.
    incoming_deadline: Option<Instant>,
    /// The earliest end by the wall clock of a call that is or was queued.
    own_wall: Option<Duration>,
    /// When `handle_timeout` was last called.
    timed_out_at: Option<Instant>,
    counted: Counted,
    /// Which client this is; random, made by whoever drives it.
    instance: u128,
    /// Client: who it was to the server at its last welcome. It outlives the session: what waits for the next one was
    /// asked as that caller.
    caller: Option<Option<u128>>,
    /// Links so far.
    attempt: u64,
    /// What all sessions of a node may have under assembly.
    pool: Option<AssemblyPool>,
    /// What a client shows in its hello.
    credentials: Secret,
    /// Calls that this end made, ever.
    calls_made: u64,
    /// Calls of this end; they outlive links.
    own: Table<Own>,
    waiting: Waiting,
    /// Services that this end calls; their places are their numbers in declarations.
    services: Vec<&'static ServiceDescriptor>,
}

/// What belongs to one link and is never continued on another.
// In this order: what each message asks for lies together.
#[repr(C)]
#[derive(Debug)]
struct Link {
    /// An acknowledgement is to be written, news or not.
    ack_due: bool,
    /// New credentials to answer.
    auth_answer_due: bool,
    asked: bool,
    /// Whether the session was live on it.
    has_lived: bool,
    /// Server: whether the client showed that it has the newest token.
    proved: bool,
    /// Whether watches had their turn before the replay.
    values_came_first: bool,
    /// Client: the server said that it will close.
    is_announced: bool,
    /// There was no room for the chunk of a watch's value, if there is one to write.
    chunk_waits: bool,
    phase: Phase,
    /// The welcome to write.
    welcome: Option<Box<Welcome>>,
    /// The ping to answer.
    pong: Option<u64>,
    /// The go-away to write, in milliseconds.
    go_away: Option<u64>,
    /// How fast it drains.
    pace: Pace,
    /// Watch values and notifies written.
    unsequenced: SentUnsequenced,
    heartbeat: Heartbeat,
    /// Since when the socket accepts nothing.
    blocked_since: Option<Instant>,
    /// When hello or welcome must have come.
    hello_due: Option<Instant>,
    /// What comes, and does not become a message.
    progress: Progress,
    /// Client: how many services the hello declared, and whether it asked for the session.
    declared: usize,
    floods: Floods,
    /// The length of the message that is being read.
    message: usize,
}

/// What belongs to a session: a later link may continue it, or make it anew.
// In this order: what each message asks for lies together.
#[repr(C)]
#[derive(Debug)]
struct State {
    /// What the other end may open and begin.
    granted: Granted,
    taken_due: Option<Instant>,
    /// Streams whose reader took items that the writer does not know of.
    taken: Vec<CallId>,
    received: Received,
    sent: Sent,
    /// Data to be written, first come first served.
    queue: Queue,
    /// What the other end accepts.
    peer: WireLimits,
    transfers: Transfers,
    assemblies: Assemblies,
    /// What the windows of all streams have grown by.
    extra_window: usize,
    /// What the welcome said, or will say.
    identity: Option<Identity>,
    /// The server's table of `once` calls.
    once: Option<OnceTable>,
    /// Answered `once` calls, by the last number of their terminals.
    answered: VecDeque<(u64, CallId)>,
    /// What was written without numbers on the link of that generation, before the other end said what arrived.
    unresolved: Option<(u64, SentUnsequenced)>,
    /// How much without numbers arrived on the link of that generation.
    counted: (u64, u64),
    /// About our services, by number.
    agreements: Vec<Agreement>,
    /// What the other end declared, by number; `None` where this end serves no such thing.
    served: Vec<Option<&'static ServiceDescriptor>>,
    /// Calls and streams that this end may open.
    opening: [Allowance; 2],
    /// Bytes of large payloads that this end may begin.
    assembly_opening: Allowance,
    wire: WireIds,
    /// Calls whose next payload waits for assembly credit.
    large: VecDeque<CallId>,
    /// Notifies queued, and their bytes.
    notifies: (usize, usize),
    /// Handlers of notifies that run here.
    notifies_running: u32,
    /// Links that were closed for cause since the last acknowledgement that was news.
    strikes: u8,
    /// Whether values wait for room in what is unsequenced: then no later one goes before them.
    values_wait: bool,
    /// Whether those that are parked have a place in the queue.
    parked_have_turn: bool,
    /// Watches that wait for an acknowledgement of what is unsequenced: for room, or to end.
    parked: VecDeque<CallId>,
}

/// How a session is known.
#[derive(Debug)]
struct Identity {
    session: u128,
    /// Client: what proves the right to continue the session.
    token: Secret,
    epoch: u128,
    /// Of the last welcome; raised by each attach.
    generation: u64,
    /// Over the declarations of the hello that began the session.
    declarations: u128,
    /// Of whom the session is.
    caller: Option<u128>,
}

impl Session {
    /// The machine of a client; `instance` is random. What is configured may be shared with others.
    pub fn client(config: impl Into<Arc<Config>>, instance: u128) -> Self {
        Self::new(Role::Client, config.into(), instance)
    }

    /// The machine of a server, for one link and the session that may come of it. What is configured may be shared with
    /// others, as there are many.
    pub fn server(config: impl Into<Arc<Config>>) -> Self {
        Self::new(Role::Server, config.into(), 0)
    }

    fn new(role: Role, config: Arc<Config>, instance: u128) -> Self {
        Self {
            role,
            instance,
            attempt: 0,
            pool: None,
            credentials: Secret::default(),
            link: Link::new(&config),
            state: State::new(&config),
            caller: None,
            sessions: 0,
            calls_made: 0,
            own: Table::new(Origin::Local),
            waiting: Waiting::default(),
            incoming: Table::new(Origin::Remote),
            services: Vec::new(),
            // Each has had one, and most have one at a time.
            events: VecDeque::with_capacity(1),
            own_deadline: None,
            own_wall: None,
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

    /// Whether there is a session without a link: it can be continued.
    pub fn is_detached(&self) -> bool {
        matches!(self.link.phase, Phase::Idle) && self.state.identity.is_some()
    }

    /// Whether nothing comes of this machine any more: the session of a server has ended.
    pub fn is_over(&self) -> bool {
        matches!(self.link.phase, Phase::Over)
    }

    /// The last sequence number of the other end that was processed.
    pub fn last_processed(&self) -> u64 {
        self.state.received.processed().seq
    }

    /// The last sequence number that this end gave.
    pub fn head(&self) -> u64 {
        self.state.sent.head()
    }

    /// Bytes that the session holds: what is kept for a replay, what is being assembled, and items nobody read yet.
    pub fn held_bytes(&self) -> usize {
        let unread = |stream: &Option<Box<stream::Stream>>| stream.as_ref().map_or(0, |it| it.unread_bytes());
        let (_, kept) = self.state.sent.unacknowledged();
        let own: usize = self.own.iter().map(|(_, own)| unread(&own.stream)).sum();
        let incoming: usize = self.incoming.iter().map(|(_, incoming)| unread(&incoming.stream)).sum();
        kept + self.state.assemblies.bytes() + own + incoming
    }

    /// Client: what the next hello shows to say who is calling; opaque here, at most 8 KiB.
    pub fn set_credentials(&mut self, credentials: Secret) {
        self.credentials = credentials;
    }

    /// Server: which table of `once` calls there is and how old it is, for welcomes and pongs.
    pub fn set_once_table(&mut self, table: OnceTable) {
        self.state.once = Some(table);
        if let Some(welcome) = &mut self.link.welcome {
            // Decided on and not yet written.
            welcome.once = Some(table);
        }
    }

    /// Bounds the large payloads that this end takes in together with other sessions: what the pool has no room for fails
    /// its call with `ResourceExhausted`. Counts for payloads that begin from now on.
    pub fn share_assembly(&mut self, pool: AssemblyPool) {
        self.pool = Some(pool);
    }

    /// The id of the session; may be logged.
    pub fn session_id(&self) -> Option<u128> {
        self.state.identity.as_ref().map(|identity| identity.session)
    }

    /// Client: the digest of who it was to the server at the last welcome; `None` before the first, and where the
    /// server knew nobody.
    pub fn identity(&self) -> Option<u128> {
        self.caller.flatten()
    }

    /// Numbers for tests, gauges and metrics.
    pub fn stats(&self) -> Stats {
        let (unacknowledged, unacknowledged_bytes) = self.state.sent.unacknowledged();
        let held = Held {
            calls: self.own.len() + self.state.wire.orphans(),
            waiting_calls: self.waiting.calls,
            waiting_bytes: self.waiting.bytes,
            incoming: self.incoming.len(),
            notifies: self.state.notifies_running as usize,
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

    /// Gives back memory that was needed for more than there is now.
    pub fn trim(&mut self) {
        self.events.shrink_to(1);
        self.own.trim();
        self.incoming.trim();
        self.state.queue.trim();
        self.state.sent.trim();
    }

    /// Has the memory brought that a turn asks for, as far as no cache has it any more, and does not wait for it. For drivers of
    /// many sessions, at the beginning of a turn: what is needed one behind the other comes at the same time then.
    #[inline]
    pub fn prefetch(&self) {
        let Self { state, link, .. } = self;
        prefetch(&state.granted.has_news);
        prefetch(&state.received);
        state.sent.prefetch();
        prefetch(&state.queue);
        prefetch(&state.peer);
        prefetch(&state.transfers);
        prefetch(link);
        prefetch(&link.pace);
        prefetch(&link.heartbeat);
        prefetch(&self.events);
        prefetch(&self.incoming);
        prefetch(&self.counted);
        if let Some(stream) = self.incoming.first().and_then(|first| first.stream.as_deref()) {
            prefetch(stream);
            prefetch(&stream.outbox);
        }
    }

    /// The addresses of what a turn asks for that writes items of `call`: whoever knows when that turn comes can have them
    /// brought before. They change when calls come and go.
    pub fn addresses(&self, call: CallId) -> [Range<usize>; 5] {
        fn between<A, B>(start: &A, end: &B) -> Range<usize> {
            from_ref(start).addr()..from_ref(end).addr()
        }
        fn whole<T>(value: Option<&T>) -> Range<usize> {
            value.map_or(0..0, |value| from_ref(value).addr()..from_ref(value).addr() + size_of::<T>())
        }
        let Self { state, link, .. } = self;
        let incoming = self.incoming.get(call);
        [
            between(&state.granted.has_news, &state.assemblies),
            between(link, &link.heartbeat),
            between(&self.role, &self.instance),
            whole(incoming),
            whole(incoming.and_then(|incoming| incoming.stream.as_deref())),
        ]
    }

    /// Whether [`poll_event`](Self::poll_event) has something.
    #[inline]
    pub fn has_events(&self) -> bool {
        !self.events.is_empty()
    }

    /// The next thing that the application is to know.
    #[inline]
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }
}

impl Link {
    fn new(config: &Config) -> Self {
        Self {
            ack_due: false,
            auth_answer_due: false,
            asked: false,
            has_lived: false,
            proved: false,
            values_came_first: false,
            is_announced: false,
            chunk_waits: false,
            phase: Phase::default(),
            welcome: None,
            pong: None,
            go_away: None,
            blocked_since: None,
            hello_due: None,
            unsequenced: SentUnsequenced::default(),
            pace: Pace::new(&config.limits, &config.timing),
            heartbeat: Heartbeat::default(),
            progress: Progress::default(),
            declared: 0,
            floods: Floods::default(),
            message: 0,
        }
    }
}

impl State {
    fn new(config: &Config) -> Self {
        let limits = &config.limits;
        Self {
            peer: WireLimits::default(),
            identity: None,
            once: None,
            answered: VecDeque::new(),
            unresolved: None,
            counted: (0, 0),
            strikes: 0,
            sent: Sent::default(),
            received: Received::new(limits.replay_bytes as u64),
            agreements: Vec::new(),
            served: Vec::new(),
            opening: [Allowance::default(); 2],
            granted: Granted::new(limits),
            assembly_opening: Allowance::default(),
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
            values_wait: false,
            parked_have_turn: false,
            parked: VecDeque::new(),
        }
    }

    /// The largest payload that the other end takes.
    fn peer_payload(&self) -> usize {
        usize::try_from(self.peer.payload.min(self.peer.assembly)).unwrap_or(usize::MAX)
    }
}

/// Has the first line of `value` brought.
#[inline]
fn prefetch<T>(value: *const T) {
    branches::prefetch_read_data::<T, 0>(value);
}

/// A start time for unit tests, which only add to it.
#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "an instant can be had no other way")]
fn origin() -> Instant {
    Instant::now()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// They are moved several times for each call: a handshake, a key and an outbox lie in boxes.
    #[test]
    fn what_is_rare_makes_nothing_larger_that_each_call_moves() {
        let sizes = [size_of::<crate::envelope::Envelope>(), size_of::<Event>(), size_of::<caller::Own>()];
        let most = [112, 112, 248];
        assert!(sizes.iter().zip(most).all(|(size, most)| *size <= most), "{sizes:?}");
    }

    /// Of each idle connection a server has one of these.
    #[test]
    fn a_session_that_was_busy_gives_back_what_it_has_no_use_for() {
        assert!(size_of::<Session>() <= 2304, "{}", size_of::<Session>());
        let mut session = Session::server(Config::default());
        assert_eq!(session.events.capacity(), 1);
        for _ in 0..100 {
            session.events.push_back(Event::Disconnected);
        }
        while session.poll_event().is_some() {}
        assert!(session.events.capacity() >= 100);
        session.trim();
        assert_eq!(session.events.capacity(), 1);
    }
}
