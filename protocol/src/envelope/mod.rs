//! Envelopes: our header plus payload, several of which travel in one WebSocket message.
//!
//! `WIRE.md` in this crate's folder is the description for people; the golden files in `tests/golden/` hold
//! one example of each. A [`Decoder`] never panics and checks every bound before it allocates.

pub mod bounds;
mod decode;
mod encode;
mod error;
mod kind;
mod reader;
mod secret;
mod varint;

use bytes::Bytes;

use crate::codec::Codec;
use crate::status::{CloseCode, Code};

pub use decode::Decoder;
pub(crate) use decode::Hear;
pub(crate) use encode::{Carried, Opening};
pub use encode::{Encoder, MAX_HEADER};
pub use error::{DecodeError, DecodeErrorKind};
pub use secret::Secret;

/// The WebSocket subprotocol that these envelopes are spoken in.
pub const SUBPROTOCOL: &str = "bowline.v1";

/// The one version of the envelope format that this crate speaks.
pub const VERSION: u32 = 1;

/// One envelope, as read from or written to a message.
#[derive(Debug, Clone, PartialEq)]
pub enum Envelope {
    /// No sequence number, never kept; may overtake data that the writer still holds.
    Control(Control),
    /// Numbered from 1 per direction without holes; delivered exactly once, in order.
    Sequenced(u64, Sequenced),
    /// The newest value of a watch; unnumbered.
    Watch(WatchValue),
    /// A one-way call; unnumbered, may be dropped.
    Notify(Notify),
    /// Bytes of a watch value that travels in chunks; unnumbered, dies with the link.
    WatchChunk(Chunk),
}

/// Envelopes about the session itself.
#[derive(Debug, Clone, PartialEq)]
pub enum Control {
    /// The client's first envelope on a link.
    Hello(Box<Hello>),
    /// The server's answer: the session is live.
    Welcome(Box<Welcome>),
    /// What has been processed so far.
    Ack(Ack),
    /// What the writer still accepts, as an absolute total.
    Credit(Credit),
    /// Asks for a pong.
    Ping {
        /// Comes back in the pong.
        nonce: u64,
    },
    /// Answers a ping.
    Pong {
        /// The nonce of the ping.
        nonce: u64,
        /// The writer's acknowledgement at that moment.
        ack: Ack,
        /// The tick of the server's `once` table; 0 from a client.
        once_tick: u64,
    },
    /// New credentials on a living link.
    Auth {
        /// The credentials, opaque here; at most 8 KiB.
        credentials: Secret,
    },
    /// The answer to new credentials.
    AuthAnswer {
        /// `None` when they were accepted.
        refusal: Option<Refusal>,
    },
    /// This end will close soon.
    GoAway {
        /// The receiver picks a moment in `0..spread_ms` to move.
        spread_ms: u64,
    },
    /// Why the writer closes the link right after this message, for peers that can't read close reasons in full.
    Closing {
        /// The close code that follows.
        code: CloseCode,
        /// A sentence for people.
        reason: String,
    },
}

/// The client's first envelope on a link. At most 16 KiB.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Hello {
    /// Versions of the envelope format that the client speaks, best first.
    pub versions: Vec<u32>,
    /// A random id of this client instance; a reload makes a new one.
    pub instance: u128,
    /// Counts the attaches of this instance; only a higher one attaches.
    pub attempt: u64,
    /// Opaque credentials; at most 8 KiB, empty when there are none.
    pub credentials: Secret,
    /// The services that the client wants to call. Their index is their place here.
    pub declarations: Vec<Declaration>,
    /// What the client accepts.
    pub limits: WireLimits,
    /// The session to continue, if any.
    pub resume: Option<Resume>,
}

/// The session that a client wants to continue.
#[derive(Debug, Clone, PartialEq)]
pub struct Resume {
    /// The session's id.
    pub session: u128,
    /// The resume token last received.
    pub token: Secret,
    /// The epoch that the session state was made in.
    pub epoch: u128,
    /// The last sequence number of the server that the client processed.
    pub last_processed: u64,
    /// One digest over the declarations of the hello that began the session.
    pub declarations: u128,
    /// The generation of the last welcome that the client saw.
    pub generation: u64,
    /// How many unsequenced envelopes of the server arrived on the link of that welcome.
    pub unsequenced: u64,
}

/// The server's answer to a hello.
#[derive(Debug, Clone, PartialEq)]
pub struct Welcome {
    /// The version of the envelope format that the link uses.
    pub version: u32,
    /// The session's id; may be logged.
    pub session: u128,
    /// The resume token for the next attach; never logged.
    pub token: Secret,
    /// The epoch of the session state.
    pub epoch: u128,
    /// Raised by each attach.
    pub generation: u64,
    /// What became of the session that the hello asked for.
    pub outcome: Outcome,
    /// The last sequence number of the client that the server processed, where it is known.
    pub peer_last_processed: Option<u64>,
    /// How many unsequenced envelopes of the client arrived on the link whose generation its hello named; 0 in a new
    /// session.
    pub peer_unsequenced: u64,
    /// What the server accepts.
    pub limits: WireLimits,
    /// The longest silence to expect from the server, in milliseconds: it pings at least that often.
    pub heartbeat_ms: u64,
    /// Which `once` table the server has, if it has one.
    pub once: Option<OnceTable>,
    /// A digest of who the client is to the server, the same for the same caller at every server of the service and
    /// after a restart; `None` for an anonymous one.
    pub identity: Option<u128>,
}

/// Identity and age of a server's `once` table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OnceTable {
    /// Random id of the table.
    pub id: u128,
    /// Its tick now.
    pub tick: u64,
}

/// What a welcome says about the session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// A new session.
    New,
    /// The session that the hello named goes on.
    Resumed,
    /// The session that the hello named is gone; this is a new one.
    Gap {
        /// Why.
        reason: GapReason,
        /// The first sequence number of the server that was lost.
        lost_from: u64,
        /// The last one, where it is known.
        lost_to: Option<u64>,
    },
}

/// Why a session could not be continued.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum GapReason {
    /// The server knows no such session: it was restarted, or the session ended longer ago than it remembers.
    Unknown,
    /// The resume window had passed.
    Expired,
    /// The server needed the memory.
    Evicted,
    /// The server knows the session, but not the state that the client goes on from: another epoch, or numbers that
    /// do not fit. Or it ended all sessions, since it is being stopped.
    StateLost,
    /// The credentials name somebody else.
    IdentityChanged,
    /// The services changed.
    SchemaChanged,
    /// The session was closed for cause again and again.
    NoProgress,
}

/// What an end accepts, stated in hello and welcome.
///
/// Credit totals start at these values.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct WireLimits {
    /// Calls (unary and client streams) in flight.
    pub calls: u32,
    /// Streams (server streams, bidirectional calls and watches) in flight.
    pub streams: u32,
    /// Bytes of items in flight per stream and direction, at the start of a stream.
    pub stream_window: u64,
    /// The largest WebSocket message, in bytes.
    pub message: u64,
    /// The largest single payload, in bytes.
    pub payload: u64,
    /// Bytes of large payloads under assembly at one time.
    pub assembly: u64,
    /// Bytes of envelopes that the writer keeps for a resume; the reader acknowledges within a quarter of it.
    pub replay: u64,
}

/// Cumulative acknowledgement: everything up to here is processed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Ack {
    /// The last sequence number that was processed; 0 for none.
    pub seq: u64,
    /// How many unsequenced envelopes (watch values, their chunks, notifies) arrived on this link.
    pub unsequenced: u64,
}

/// An absolute total of what the writer accepts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Credit {
    /// Calls ever allowed in this session.
    Calls {
        /// The total.
        total: u64,
    },
    /// Streams ever allowed in this session.
    Streams {
        /// The total.
        total: u64,
    },
    /// Bytes of large payloads ever allowed in this session.
    Assembly {
        /// The total.
        total: u64,
    },
    /// Item bytes ever allowed in one stream and direction.
    Items {
        /// The stream.
        call: CallRef,
        /// Bytes that the reader has taken.
        taken: u64,
        /// Bytes that may be sent, ever; `total - taken` is the window.
        total: u64,
    },
}

/// Names a call on the wire: the opener's id, and which end opened it, seen from who writes the envelope.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CallRef {
    /// The id that the opener gave.
    pub id: u32,
    /// Who opened the call.
    pub opener: Opener,
}

/// Which end opened a call, seen from who writes the envelope.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Opener {
    /// Whoever writes this envelope.
    Writer,
    /// Whoever reads it.
    Reader,
}

/// Envelopes that carry a sequence number.
#[derive(Debug, Clone, PartialEq)]
pub enum Sequenced {
    /// Announces a service that the writer wants to call.
    Declare {
        /// The number that the writer will use for it; counts up from the declarations of the hello.
        service: u32,
        /// Name and digest.
        declaration: Declaration,
    },
    /// Answers a declaration.
    Declared {
        /// The number from the declaration.
        service: u32,
        /// What the writer serves under that name.
        answer: DeclareAnswer,
    },
    /// Opens a call of any kind.
    Call(CallOpen),
    /// The result of a unary call or client stream. Terminal.
    Response {
        /// The call.
        call: CallRef,
        /// How the payload is encoded.
        codec: Codec,
        /// The encoded `Ok` value.
        payload: Payload,
    },
    /// The call failed. Terminal.
    Error {
        /// The call.
        call: CallRef,
        /// Why.
        error: WireError,
    },
    /// The stream is open; its items follow.
    Accepted {
        /// The call.
        call: CallRef,
    },
    /// One value of a stream, from either end.
    Item {
        /// The call.
        call: CallRef,
        /// How the payload is encoded.
        codec: Codec,
        /// The encoded item.
        payload: Payload,
    },
    /// The writer's items are over. From the callee it is terminal.
    End {
        /// The call.
        call: CallRef,
        /// A watch's last value, if it was not sent before.
        last: Option<(Codec, Payload)>,
    },
    /// The caller wants no more of it; the callee still answers with the terminal envelope.
    Cancel {
        /// The call.
        call: CallRef,
    },
    /// Stands in for a call that was withdrawn before it was acknowledged.
    Void {
        /// The call.
        call: CallRef,
    },
    /// Items are missing at this place of a stream.
    Gap {
        /// The stream.
        call: CallRef,
        /// How many.
        missed: u64,
    },
    /// Bytes of a payload that was announced as chunked.
    Chunk(Chunk),
}

impl Sequenced {
    /// The payload, or its announcement, where there is one.
    pub fn payload(&self) -> Option<&Payload> {
        match self {
            Self::Call(open) => Some(&open.payload),
            Self::Response { payload, .. }
            | Self::Item { payload, .. }
            | Self::End { last: Some((_, payload)), .. }
            | Self::Error { error: WireError::Application { payload, .. }, .. } => Some(payload),
            Self::Declare { .. }
            | Self::Declared { .. }
            | Self::Error { .. }
            | Self::Accepted { .. }
            | Self::End { .. }
            | Self::Cancel { .. }
            | Self::Void { .. }
            | Self::Gap { .. }
            | Self::Chunk(_) => None,
        }
    }
}

/// Bytes of a chunked payload, in order.
#[derive(Debug, Clone, PartialEq)]
pub struct Chunk {
    /// The transfer that the announcing envelope named.
    pub transfer: u32,
    /// The next bytes of it; never empty.
    pub bytes: Bytes,
}

/// A payload inside an envelope.
#[derive(Debug, Clone, PartialEq)]
pub enum Payload {
    /// All of it.
    Whole(Bytes),
    /// Its length; the bytes follow as chunks. The envelope counts as complete with the last of them.
    Chunked {
        /// Names the transfer in its chunks; free again once it is complete or cancelled.
        transfer: u32,
        /// The whole length in bytes.
        len: u64,
    },
}

/// A service by name and digest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Declaration {
    /// The name of the trait.
    pub name: String,
    /// One digest over its methods.
    pub digest: u128,
}

/// What the other end serves under a declared name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DeclareAnswer {
    /// The same: methods are numbered by their place in the trait, payloads are rkyv.
    Same,
    /// Something else: numbers are places in this list, the codec is agreed per method.
    Different(Vec<WireMethod>),
    /// Nothing.
    Unknown,
}

/// A method as a callee lists it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WireMethod {
    /// The method's name.
    pub name: String,
    /// Its kind, as [`MethodKind::to_wire`](crate::schema::MethodKind::to_wire) gives it.
    pub kind: u8,
    /// Its retry class, as [`Retry::to_wire`](crate::schema::Retry::to_wire) gives it.
    pub retry: u8,
    /// The hash over the types of its arguments, results and items.
    pub hash: u128,
}

/// Opens a call.
#[derive(Debug, Clone, PartialEq)]
pub struct CallOpen {
    /// The id; its opener is the writer.
    pub id: u32,
    /// The number from the declaration.
    pub service: u32,
    /// The method's number at the callee.
    pub method: u32,
    /// How the payload is encoded; results and items of this call use the same.
    pub codec: Codec,
    /// Time left until the deadline, in milliseconds; `None` for no deadline.
    pub time_left_ms: Option<u64>,
    /// How many calls deep inside handlers of this session this call was made; 0 outside of one.
    pub depth: u8,
    /// Idempotency key and the `once` table seen when the call was first sent.
    pub once: Option<Box<OnceKey>>,
    /// Names and values beside the arguments, such as a trace context.
    pub metadata: Vec<(String, String)>,
    /// The encoded arguments.
    pub payload: Payload,
}

/// What a `once` call carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OnceKey {
    /// 128 random bits.
    pub key: u128,
    /// The table that the caller knew when it first sent the call.
    pub table: OnceTable,
}

/// A one-way call.
#[derive(Debug, Clone, PartialEq)]
pub struct Notify {
    /// The number from the declaration.
    pub service: u32,
    /// The method's number at the callee.
    pub method: u32,
    /// How the payload is encoded.
    pub codec: Codec,
    /// Names and values beside the arguments.
    pub metadata: Vec<(String, String)>,
    /// The encoded arguments; never chunked.
    pub payload: Bytes,
}

/// The newest value of a watch.
#[derive(Debug, Clone, PartialEq)]
pub struct WatchValue {
    /// The watch.
    pub call: CallRef,
    /// How the payload is encoded.
    pub codec: Codec,
    /// The encoded value.
    pub payload: Payload,
}

/// Why a call failed.
#[derive(Debug, Clone, PartialEq)]
pub enum WireError {
    /// The method's own error.
    Application {
        /// How the payload is encoded.
        codec: Codec,
        /// The encoded error.
        payload: Payload,
    },
    /// Bowline's.
    Status {
        /// What kind of failure.
        code: Code,
        /// A sentence for people; never a cause.
        message: String,
        /// A number that belongs to the code: items missed (`Lagged`), milliseconds to wait
        /// (`Unavailable`, `ResourceExhausted`), the id that the log has (`Internal`). 0 for none.
        detail: u64,
    },
}

/// A refusal with a code that stops or a hint to wait.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The close code that this refusal amounts to.
    pub code: CloseCode,
    /// A sentence for people.
    pub reason: String,
}

/// The examples of the crate's front page run.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
mod readme {}
