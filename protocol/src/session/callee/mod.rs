//! Calls of the other end: opening, stopping and the one terminal.

mod answering;
mod opening;
mod stopping;
mod uploads;

use bytes::Bytes;

use super::caller::Class;
use super::payloads::{Room, Writing};
use super::stream::Stream;
use super::types::WireFailure;
use crate::Instant;
use crate::codec::Codec;
use crate::schema::MethodKind;
use crate::status::Status;

/// A call of the other end, until its terminal is written to the last byte.
// In this order: what each message asks for lies together.
#[repr(C)]
#[derive(Debug)]
pub(super) struct Incoming {
    /// It has a place in the queue of data.
    pub(super) has_turn: bool,
    pub(super) acceptance: Acceptance,
    pub(super) kind: MethodKind,
    pub(super) codec: Codec,
    class: Class,
    /// A watch that waits until something that has no numbers is acknowledged.
    pub(super) is_parked: bool,
    /// The caller wants no more of it: the end waits for nothing.
    pub(super) is_unwanted: bool,
    /// It is a `once` call: the application wants to know that its terminal arrived.
    is_once: bool,
    pub(super) transfer: Writing,
    pub(super) room: Room,
    pub(super) stream: Option<Box<Stream>>,
    pub(super) handling: Handling,
    pub(super) deadline: Option<Instant>,
}

/// How far the handling of a call of the other end is.
#[derive(Debug)]
pub(super) enum Handling {
    /// Its arguments are under way.
    Assembling,
    /// The application has it.
    Running,
    /// The application was told to stop. What it answers then gives way to the verdict, if there is one.
    Stopped(Option<Status>),
    /// The terminal waits for its place.
    Answered(Answer),
    /// The terminal is being written in chunks.
    Finishing,
}

/// What ends a call.
#[derive(Debug)]
pub(super) enum Answer {
    Response(Bytes),
    Failed(WireFailure),
    End,
}

/// Whether a stream is accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Acceptance {
    No,
    /// To be written.
    Due,
    Done,
}

impl Incoming {
    #[inline]
    fn new(kind: MethodKind, class: Class, codec: Codec, handling: Handling) -> Self {
        Self {
            kind,
            class,
            codec,
            handling,
            deadline: None,
            has_turn: false,
            acceptance: Acceptance::No,
            transfer: Writing::Nothing,
            room: Room::Unneeded,
            is_parked: false,
            is_unwanted: false,
            is_once: false,
            stream: None,
        }
    }

    /// Whether the application has the call and was not told to stop, and has not answered.
    pub(super) fn is_running(&self) -> bool {
        matches!(self.handling, Handling::Running)
    }

    /// The codec of its items, while its handler may send some.
    #[inline]
    pub(super) fn sends_items(&self) -> Option<Codec> {
        (self.is_running() && self.kind.has_items()).then_some(self.codec)
    }

    /// Whether it should get a place in the queue that it does not have.
    pub(super) fn wants_turn(&self) -> bool {
        if self.has_turn
            || matches!(self.room, Room::Waiting(_))
            || matches!(self.transfer, Writing::Chunks(_))
        {
            return false;
        }
        if self.acceptance == Acceptance::Due {
            return true;
        }
        let is_answered = matches!(self.handling, Handling::Answered(_));
        let has_value = self.stream.as_ref().is_some_and(|stream| stream.latest.is_some());
        let waits = match &self.handling {
            // Only behind a value that is under way, and that no newer one replaces.
            Handling::Answered(Answer::End) => !has_value && !self.is_unwanted,
            Handling::Answered(_) => false,
            _ => true,
        };
        if self.is_parked && waits {
            return false;
        }
        match &self.stream {
            Some(stream) if !stream.outbox.is_empty() => stream.may_write(),
            Some(stream) if stream.latest.is_some() && !is_answered => true,
            _ => is_answered,
        }
    }
}
