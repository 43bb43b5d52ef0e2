use std::time::Duration;

use bytes::Bytes;

use crate::Instant;
use crate::codec::{Arguments, Buffer, Codec};
use crate::envelope::{Hello, OnceKey, OnceTable, Outcome};
use crate::limits::{Limits, Timing};
use crate::schema::ServiceDescriptor;
use crate::status::{Delivery, Status};

/// What a session is made with.
#[derive(Debug, Clone, Default)]
pub struct Config {
    /// What this end accepts and holds.
    pub limits: Limits,
    /// How long this end waits for what.
    pub timing: Timing,
    /// The services that this end serves; the other end may call them.
    pub services: Vec<&'static ServiceDescriptor>,
}

/// Which end of the handshake this is. After it both ends are the same machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Role {
    /// Says hello; the machine lives across links and sessions.
    Client,
    /// Says welcome; the machine lives across the links of one session.
    Server,
}

/// Which end opened a call, seen from this end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Origin {
    /// This end: it is the caller.
    Local,
    /// The other end: this end is the callee.
    Remote,
}

/// Names a call of one session towards the application.
///
/// Per origin, `id` is a small number that is used again once the call is over, so that an application can keep its own
/// part of a call in a table; `generation` tells apart the calls that had the same one. Commands for a call that is
/// over do nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CallId {
    /// The place in a table of calls of this origin.
    pub id: u32,
    /// Which of the calls that had this place.
    pub generation: u32,
    /// Which end opened it.
    pub origin: Origin,
}

/// A call, as a stub wants it.
#[derive(Debug, Clone)]
pub struct Request {
    /// The service as the caller knows it.
    pub service: &'static ServiceDescriptor,
    /// The method's place in `service`.
    pub method: usize,
    /// The arguments, in a form that can still become either codec.
    pub arguments: Arguments,
    /// When the call is given up; for a stream, unless it was accepted by then. `None` for never.
    pub deadline: Option<Instant>,
    /// Names and values beside the arguments.
    pub metadata: Vec<(String, String)>,
    /// 0, or one more than the depth of the handler of this session that the call is made in.
    pub depth: u8,
    /// 128 random bits, for a method declared `once`: what tells a repeat from another call.
    pub once: Option<u128>,
    /// Lets a unary call wait in the outbox for longer than its deadline, which then starts when it is written;
    /// `deadline` says nothing then. Boxed, since few calls are queued.
    pub queued: Option<Box<Queued>>,
}

/// A call that waits in the outbox for longer than it may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Queued {
    /// Until when it waits to be written; then it ends with `DeadlineExceeded(NotSent)`.
    pub until: Instant,
    /// The same on the wall clock, as the time since 1970; it ends at whichever comes first. The clock of `until` may stand
    /// still while the machine sleeps. `None` if no wall clock matters.
    pub until_wall: Option<Duration>,
    /// Its deadline, which starts when it is written; `None` for never.
    pub timeout: Option<Duration>,
}

/// What a server says in a welcome. The random parts come from whoever drives the session.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Welcoming {
    /// Names the session; may be logged.
    pub session: u128,
    /// Proves the right to continue the session on the next link; never logged.
    pub token: [u8; 32],
    /// Names the making of the session's state.
    pub epoch: u128,
    /// 1 for a new session, raised by each attach.
    pub generation: u64,
    /// What became of the session that the hello asked for, where this is a new one.
    pub outcome: Outcome,
    /// The client's last number that was processed in a session that could not go on, where it is known.
    pub peer_last_processed: Option<u64>,
    /// The server's table of `once` calls, if it has one.
    pub once: Option<OnceTable>,
    /// A digest of who the client is, by which it notices that it has become somebody else; `None` for an anonymous one.
    ///
    /// Equal for the same caller at every server of the service, before and after a restart. The client is told it.
    pub identity: Option<u128>,
}

impl Welcoming {
    /// A new session that nothing came before.
    pub fn new(session: u128, token: [u8; 32], epoch: u128) -> Self {
        Self {
            session,
            token,
            epoch,
            generation: 1,
            outcome: Outcome::New,
            peer_last_processed: None,
            once: None,
            identity: None,
        }
    }
}

impl std::fmt::Debug for Welcoming {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Welcoming")
            .field("session", &self.session)
            .field("generation", &self.generation)
            .field("outcome", &self.outcome)
            .finish_non_exhaustive()
    }
}

/// What the application is told.
#[derive(Debug)]
pub enum Event {
    /// Server: a client says hello. Answer with [`Session::welcome`](super::Session::welcome) or
    /// [`Session::close`](super::Session::close), or go on with the machine of the session that the hello asks for.
    Hello(Box<Hello>),
    /// The session is live: calls travel.
    Live {
        /// What became of the session that the client had.
        outcome: Outcome,
        /// The session's id; may be logged.
        session: u128,
    },
    /// Callee: a call came in, whole.
    Call(IncomingCall),
    /// Callee: a one-way call came in.
    Notify(IncomingNotify),
    /// Callee: the handler is to be dropped. Then [`Session::respond`](super::Session::respond), except after
    /// [`Stop::Disconnected`].
    Stopped {
        /// The call.
        call: CallId,
        /// Why.
        reason: Stop,
    },
    /// Caller: the one end of a unary call or client stream. The id is free again.
    Response {
        /// The call.
        call: CallId,
        /// The encoded result, or why there is none.
        result: Result<(Codec, Buffer), Failure>,
    },
    /// Caller: the stream is open.
    Accepted {
        /// The call.
        call: CallId,
    },
    /// [`Session::read`](super::Session::read) has news: an item, an end or a failure.
    Readable {
        /// The call.
        call: CallId,
    },
    /// [`Session::capacity`](super::Session::capacity) came back.
    Writable {
        /// The call.
        call: CallId,
    },
    /// Callee: the caller of a `once` call has its terminal, and won't ask again.
    Acknowledged {
        /// The call.
        call: CallId,
    },
    /// The link of a session is gone. Whether the session goes on shows with the next [`Live`](Self::Live).
    Disconnected,
    /// Server: the client showed that it has the token of the last welcome.
    Proved,
    /// Client: the other end will close soon. Move to another session within this time. At most once on a link.
    GoAway {
        /// Pick a moment in it by chance, so that not everybody moves at once.
        spread: Duration,
    },
}

/// A call that came in.
#[derive(Debug)]
pub struct IncomingCall {
    /// Its name at this end.
    pub call: CallId,
    /// The service.
    pub service: &'static ServiceDescriptor,
    /// The method's place in it.
    pub method: usize,
    /// How the arguments are encoded; results and items of this call use the same.
    pub codec: Codec,
    /// When the call is stopped; for a stream, unless it was accepted by then.
    pub deadline: Option<Instant>,
    /// How many handlers of this session deep the call was made.
    pub depth: u8,
    /// The key of a `once` call, and the table that its caller knew when it first wrote the call.
    pub once: Option<Box<OnceKey>>,
    /// Names and values beside the arguments.
    pub metadata: Vec<(String, String)>,
    /// The encoded arguments.
    pub buffer: Buffer,
}

/// A one-way call that came in.
#[derive(Debug)]
pub struct IncomingNotify {
    /// Give it back with [`Session::finish_notify`](super::Session::finish_notify) when the handler is done.
    pub ticket: NotifyTicket,
    /// The service.
    pub service: &'static ServiceDescriptor,
    /// The method's place in it.
    pub method: usize,
    /// How the arguments are encoded.
    pub codec: Codec,
    /// Names and values beside the arguments.
    pub metadata: Vec<(String, String)>,
    /// The encoded arguments.
    pub buffer: Buffer,
}

/// Stands for one running handler of a notify.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NotifyTicket {
    pub(super) session: u32,
}

/// Why a handler is to be dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Stop {
    /// The caller wants no more of it, or broke the rules of the call.
    Cancelled,
    /// The time is up.
    DeadlineExceeded,
    /// The session ended; nothing is to be answered.
    Disconnected,
}

/// Why a call of this end failed.
#[derive(Debug, Clone)]
pub enum Failure {
    /// Bowline's own word, from the other end or from this one.
    Status(Status),
    /// The method's own error.
    Application(Codec, Buffer),
    /// The deadline passed at this end.
    DeadlineExceeded(Delivery),
    /// The session ended.
    Disconnected(Delivery),
    /// The client was closed, or gave up.
    Closed,
}

/// Why a call of the other end failed.
#[derive(Debug, Clone)]
pub enum WireFailure {
    /// The method's own error, encoded with the call's codec.
    Application(Bytes),
    /// Bowline's own word.
    Status(Status),
}

/// What [`Session::read`](super::Session::read) found.
#[derive(Debug)]
pub enum Read {
    /// The next item, or the newest value of a watch.
    Item(Codec, Buffer),
    /// So many items are missing here.
    Gap(u64),
    /// The stream is over. To its caller the id is free again.
    End,
    /// The stream failed. To its caller the id is free again.
    Failed(Failure),
    /// Nothing yet; [`Event::Readable`] follows.
    Pending,
}

/// Numbers about a session, for tests, gauges and metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Stats {
    /// What is held now. All of it is 0 after the end of a session whose events were taken.
    pub held: Held,
    /// What happened since the machine was made.
    pub counted: Counted,
}

/// What a session holds at a moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Held {
    /// Calls of this end that are not over.
    pub calls: usize,
    /// Of these, calls that wait for a live session, a declaration or credit.
    pub waiting_calls: usize,
    /// Bytes of the arguments of those.
    pub waiting_bytes: usize,
    /// Calls of the other end that are not over.
    pub incoming: usize,
    /// Handlers of notifies that run.
    pub notifies: usize,
    /// Places in the queue of data to be written.
    pub queued: usize,
    /// Large payloads being written.
    pub sending: usize,
    /// Large payloads being assembled.
    pub assembling: usize,
    /// Memory that these take.
    pub assembly_bytes: usize,
    /// Envelopes written and not yet acknowledged.
    pub unacknowledged: usize,
    /// Their bytes.
    pub unacknowledged_bytes: usize,
    /// What streams' windows have grown by.
    pub extra_window: usize,
    /// Events not yet taken.
    pub events: usize,
}

/// What a session has counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counted {
    /// Sequenced envelopes that came again and were dropped.
    pub duplicates: u64,
    /// Notifies of this end that were dropped. Also those that were under way when their session was lost: of these
    /// nobody knows whether they arrived.
    pub notifies_dropped: u64,
    /// Notifies of the other end that were dropped here.
    pub notifies_refused: u64,
    /// Envelopes for calls that were over; dropped.
    pub late: u64,
    /// Messages written.
    pub messages_out: u64,
    /// Messages read.
    pub messages_in: u64,
    /// Bytes of the messages written.
    pub bytes_out: u64,
    /// Bytes of the messages read.
    pub bytes_in: u64,
    /// Envelopes written.
    pub envelopes_out: u64,
    /// Envelopes read.
    pub envelopes_in: u64,
}
