//! Calls of this end, from the question to the end.

mod asking;
mod ending;
mod waiting;
mod wire_ids;

use bytes::Bytes;

use super::payloads::{Room, Writing};
use super::stream::Stream;
use super::types::{Failure, Queued};
use crate::Instant;
use crate::codec::{Arguments, Codec, EncodeError};
use crate::envelope::OnceTable;
use crate::schema::{MethodKind, Retry, ServiceDescriptor};
use crate::status::Delivery;

pub(super) use asking::{check_metadata, too_large};
pub(super) use waiting::Waiting;
pub(super) use wire_ids::{WireId, WireIds};

/// A call of this end, until its application has heard the last of it.
#[derive(Debug)]
pub(super) struct Own {
    /// Counts the calls of this end.
    pub(super) order: u64,
    pub(super) service: &'static ServiceDescriptor,
    pub(super) service_number: u16,
    method: u16,
    pub(super) kind: MethodKind,
    /// As both ends say, in the session that it was last admitted in.
    pub(super) retry: Retry,
    pub(super) depth: u8,
    /// It has a place in the queue of data.
    pub(super) has_turn: bool,
    pub(super) stage: Stage,
    /// What it is opened with: until that is written, and then as long as it may have to be asked again.
    pub(super) ask: Option<Ask>,
    /// The method's number at the callee and the codec of the call, once they are agreed.
    pub(super) agreed: Option<(u32, Codec)>,
    pub(super) deadline: Option<Instant>,
    /// Of a call that waits in the outbox: what its deadline becomes when it is written.
    pub(super) queued: Option<Box<Queued>>,
    pub(super) is_accepted: bool,
    /// It was asked in an earlier session, and nobody knows what became of that.
    pub(super) may_have_run: bool,
    /// The value of a watch is from an earlier session.
    pub(super) is_stale: bool,
    pub(super) transfer: Writing,
    pub(super) room: Room,
    pub(super) stream: Option<Box<Stream>>,
}

/// How far a call of this end is.
#[derive(Debug)]
pub(super) enum Stage {
    /// Not admitted: waits for a live session, a declaration or credit.
    Waiting,
    /// Admitted: credit is taken, its place in the queue comes.
    Queued,
    /// The opening is written, its arguments not to the end.
    Opening { wire: u32 },
    /// Written, up to the number `last`.
    Open { wire: u32, last: u64 },
    /// A stream that ended; its application has not read that far.
    Over(Result<(), Failure>),
}

/// What a call is opened with.
#[derive(Debug, Clone)]
pub(super) struct Ask {
    pub(super) arguments: Arguments,
    pub(super) metadata: Vec<(String, String)>,
    /// The arguments as they are written, where they had to be made into another codec.
    pub(super) encoded: Option<Bytes>,
    pub(super) once: Option<Box<Once>>,
}

/// What tells a repeat of a `once` call from another call.
#[derive(Debug, Clone, Copy)]
pub(super) struct Once {
    pub(super) key: u128,
    /// The table that was known when the call was first written; the same in every repeat.
    pub(super) table: Option<OnceTable>,
}

/// Which credit a call takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Class {
    Call = 0,
    Stream = 1,
}

impl Class {
    pub(super) fn of(kind: MethodKind) -> Self {
        match kind {
            MethodKind::Unary | MethodKind::ClientStream | MethodKind::Notify => Self::Call,
            MethodKind::ServerStream | MethodKind::Bidirectional | MethodKind::Watch => Self::Stream,
        }
    }
}

impl Ask {
    /// Makes the arguments into the codec that they are to be written in.
    pub(super) fn encode(&mut self, codec: Codec) -> Result<(), EncodeError> {
        if codec == Codec::Json && self.encoded.is_none() {
            self.encoded = Some((self.arguments.recode)(&self.arguments.rkyv)?.into());
        }
        Ok(())
    }

    /// The arguments as they are written.
    pub(super) fn bytes(&self) -> &Bytes {
        self.encoded.as_ref().unwrap_or(&self.arguments.rkyv)
    }
}

impl Own {
    pub(super) fn method(&self) -> usize {
        usize::from(self.method)
    }

    /// The id on the wire, from the opening to the end.
    pub(super) fn wire(&self) -> Option<u32> {
        match self.stage {
            Stage::Opening { wire, .. } | Stage::Open { wire, .. } => Some(wire),
            Stage::Waiting | Stage::Queued | Stage::Over(_) => None,
        }
    }

    /// The codec of its items, while they may be sent.
    #[inline]
    pub(super) fn sends_items(&self) -> Option<Codec> {
        let (_, codec) = self.agreed?;
        let writes = matches!(self.stage, Stage::Queued | Stage::Opening { .. } | Stage::Open { .. });
        (writes && self.kind.has_upload()).then_some(codec)
    }

    /// Whether it should get a place in the queue that it does not have.
    pub(super) fn wants_turn(&self) -> bool {
        if self.has_turn || matches!(self.room, Room::Waiting(_)) || self.transfer != Writing::Nothing {
            return false;
        }
        match self.stage {
            Stage::Queued => true,
            Stage::Open { .. } => self.stream.as_ref().is_some_and(|stream| stream.may_write()),
            Stage::Waiting | Stage::Opening { .. } | Stage::Over(_) => false,
        }
    }

    /// Whether a call that may have run can be asked again, as `retry` says: a `once` call only under the key that it was
    /// written with, and what its callee keeps no record of is read anew.
    pub(super) fn may_repeat(&self, retry: Retry) -> bool {
        let is_read =
            self.kind == MethodKind::Watch || (self.kind == MethodKind::ServerStream && !self.is_accepted);
        is_read
            || match retry {
                Retry::Idempotent => true,
                Retry::Once => {
                    let once = self.ask.as_ref().and_then(|ask| ask.once.as_ref());
                    once.is_some_and(|once| once.table.is_some())
                }
                Retry::Never => false,
            }
    }

    /// How long its arguments are, as far as it still has them.
    pub(super) fn arguments_len(&self) -> usize {
        self.ask.as_ref().map_or(0, |ask| ask.arguments.rkyv.len())
    }

    /// It ended, and its application has yet to read that far.
    pub(super) fn end(&mut self, result: Result<(), Failure>) {
        self.stage = Stage::Over(result);
        self.ask = None;
    }

    fn class(&self) -> Class {
        Class::of(self.kind)
    }

    /// What is known when the call ends now without an answer.
    pub(super) fn delivery(&self) -> Delivery {
        match self.stage {
            _ if self.may_have_run => Delivery::OutcomeUnknown,
            Stage::Waiting | Stage::Queued => Delivery::NotSent,
            Stage::Opening { .. } => Delivery::NotExecuted,
            Stage::Open { .. } | Stage::Over(_) => Delivery::OutcomeUnknown,
        }
    }
}

/// The earlier of two moments, either of which may be never.
pub(super) fn earlier<T: Ord>(a: Option<T>, b: Option<T>) -> Option<T> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, b) => a.or(b),
    }
}
