//! Calls of the other end: opening, stopping and the one terminal.

use std::time::Duration;

use bytes::Bytes;

use super::Session;
use super::assembly::{Assembly, Purpose};
use super::caller::{Class, check_metadata, earlier, too_large};
use super::payloads::{PINNED_BY_CALL, Room, Writing};
use super::stream::Stream;
use super::types::{CallId, Event, IncomingCall, Origin, Stop, WireFailure};
use crate::Instant;
use crate::codec::{Buffer, Codec};
use crate::envelope::{CallOpen, Payload};
use crate::schema::{MethodKind, ServiceDescriptor};
use crate::status::{CloseCode, Code, Status};

/// A call of the other end, until its terminal is written to the last byte.
#[derive(Debug)]
pub(super) struct Incoming {
    pub(super) kind: MethodKind,
    class: Class,
    pub(super) codec: Codec,
    pub(super) handling: Handling,
    pub(super) deadline: Option<Instant>,
    /// It has a place in the queue of data.
    pub(super) has_turn: bool,
    pub(super) acceptance: Acceptance,
    pub(super) transfer: Writing,
    pub(super) room: Room,
    /// A watch that waits until something that has no numbers is acknowledged.
    pub(super) is_parked: bool,
    /// The caller wants no more of it: the end waits for nothing.
    pub(super) is_unwanted: bool,
    /// It is a `once` call: the application wants to know that its terminal arrived.
    is_once: bool,
    pub(super) stream: Option<Box<Stream>>,
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

impl Session {
    pub(super) fn handle_call(&mut self, now: Instant, open: CallOpen) {
        let limits = &self.config.limits;
        if u64::from(open.id) >= u64::from(limits.calls) + u64::from(limits.streams) {
            return self.close(now, CloseCode::MALFORMED, "a call id out of range");
        }
        if self.incoming.at(open.id).is_some() {
            return self.close(now, CloseCode::MALFORMED, "the id of a call is in use");
        }
        let found = self.find_method(open.service, open.method);
        // A method that does not exist has no kind: it counts as a call.
        let class =
            found.as_ref().map_or(Class::Call, |&(service, method)| Class::of(service.methods[method].kind));
        if self.state.granted[class as usize].take(1).is_err() {
            return self.close(now, CloseCode::MALFORMED, "more calls than allowed");
        }
        let (service, method) = match found.and_then(|it| self.check_call(it, &open)) {
            Ok(found) => found,
            Err(status) => return self.refuse_call(now, open, class, status),
        };
        let kind = service.methods[method].kind;
        let left = open.time_left_ms.map_or(Duration::MAX, Duration::from_millis);
        let deadline = now + left.min(self.config.timing.deadline_max);
        let has_stream = kind.is_stream() || kind.has_upload();
        let stream = has_stream.then(|| Stream::new(&self.config, &self.state.peer));
        let is_whole = matches!(open.payload, Payload::Whole(_));
        let call = self.incoming.insert_at(
            open.id,
            Incoming {
                kind,
                class,
                codec: open.codec,
                handling: if is_whole { Handling::Running } else { Handling::Assembling },
                deadline: Some(deadline),
                has_turn: false,
                acceptance: Acceptance::No,
                transfer: Writing::Nothing,
                room: Room::Unneeded,
                is_parked: false,
                is_unwanted: false,
                is_once: open.once.is_some(),
                stream,
            },
        );
        self.incoming_deadline = earlier(self.incoming_deadline, Some(deadline));
        let mut event = IncomingCall {
            call,
            service,
            method,
            codec: open.codec,
            deadline: Some(deadline),
            depth: open.depth,
            once: open.once,
            metadata: open.metadata,
            buffer: Buffer::default(),
        };
        match open.payload {
            Payload::Whole(bytes) => {
                event.buffer = self.keep(bytes, PINNED_BY_CALL);
                self.events.push_back(Event::Call(event));
            }
            Payload::Chunked { transfer, len } => {
                let purpose = Purpose::Arguments(Box::new(event));
                self.begin_assembly(now, (Origin::Remote, open.id), transfer, len, purpose);
            }
        }
    }

    /// The method that a call or notify names by numbers.
    pub(super) fn find_method(
        &self,
        service: u32,
        method: u32,
    ) -> Result<(&'static ServiceDescriptor, usize), Status> {
        let declared = self.state.served.get(service as usize).copied().flatten();
        let Some(service) = declared else {
            return Err(Status::new(Code::Unimplemented, "there is no such service here"));
        };
        if method as usize >= service.methods.len() {
            let message = format!("`{}` has no method number {method} here", service.name);
            return Err(Status::new(Code::Unimplemented, message));
        }
        Ok((service, method as usize))
    }

    fn check_call(
        &self,
        found: (&'static ServiceDescriptor, usize),
        open: &CallOpen,
    ) -> Result<(&'static ServiceDescriptor, usize), Status> {
        let limits = &self.config.limits;
        let (service, method) = found;
        let name = service.methods[method].name;
        if service.methods[method].kind == MethodKind::Notify {
            let message = format!("`{}.{name}` is a notify here", service.name);
            return Err(Status::new(Code::SchemaMismatch, message));
        }
        if open.depth > limits.depth {
            let message = format!("calls nest at most {} deep inside handlers", limits.depth);
            return Err(Status::new(Code::ResourceExhausted, message));
        }
        if open.time_left_ms == Some(0) {
            return Err(Status::new(Code::DeadlineExceeded, "the call came after its deadline"));
        }
        if let Payload::Whole(bytes) = &open.payload
            && bytes.len() > limits.payload_in
        {
            return Err(too_large("the arguments", bytes.len(), limits.payload_in));
        }
        check_metadata(&open.metadata, limits)?;
        Ok(found)
    }

    /// Answers a call with a failure before any handler hears of it.
    fn refuse_call(&mut self, now: Instant, open: CallOpen, class: Class, status: Status) {
        let call = self.incoming.insert_at(
            open.id,
            Incoming {
                kind: MethodKind::Unary,
                class,
                codec: open.codec,
                handling: Handling::Answered(Answer::Failed(WireFailure::Status(status))),
                deadline: None,
                has_turn: false,
                acceptance: Acceptance::No,
                transfer: Writing::Nothing,
                room: Room::Unneeded,
                is_parked: false,
                is_unwanted: false,
                is_once: false,
                stream: None,
            },
        );
        if let Payload::Chunked { transfer, len } = open.payload {
            let len = usize::try_from(len).unwrap_or(usize::MAX);
            let assembly = Assembly::discarded(now, (Origin::Remote, open.id), len, false, false);
            self.begin_discard(now, transfer, assembly);
        }
        self.give_turn(call);
    }

    /// The arguments of a call are whole.
    pub(super) fn start(&mut self, now: Instant, mut event: IncomingCall, buffer: Buffer) {
        let Some(incoming) = self.incoming.get_mut(event.call) else { return };
        if !matches!(incoming.handling, Handling::Assembling) {
            return;
        }
        if event.deadline.is_some_and(|deadline| deadline <= now) {
            return self.stop(event.call, Stop::DeadlineExceeded, None);
        }
        incoming.handling = Handling::Running;
        event.buffer = buffer;
        self.events.push_back(Event::Call(event));
    }

    /// A payload that is larger than what this end takes was announced: its call fails, and nothing else.
    pub(super) fn refuse_payload(&mut self, purpose: &Purpose, len: u64) {
        let message = format!("a payload of {len} bytes; {} are accepted", self.config.limits.payload_in);
        let status = Status::new(Code::ResourceExhausted, message);
        self.fail_either(purpose.call(), status);
    }

    /// Fails a call of either end from this end.
    pub(super) fn fail_either(&mut self, call: CallId, status: Status) {
        match call.origin {
            Origin::Local => self.fail(call, super::Failure::Status(status)),
            Origin::Remote => self.stop(call, Stop::Cancelled, Some(status)),
        }
    }

    /// Ends a call for something that the application sent: behind all that it sent before, which is not lost.
    pub(super) fn end_behind(&mut self, now: Instant, call: CallId, status: Status) {
        match call.origin {
            Origin::Local => self.fail(call, super::Failure::Status(status)),
            Origin::Remote => {
                self.respond(now, call, Err(WireFailure::Status(status)));
                self.events.push_back(Event::Stopped { call, reason: Stop::Cancelled });
            }
        }
    }

    /// Stops a call of the other end. With a `verdict`, that is its terminal whatever the application answers.
    pub(super) fn stop(&mut self, call: CallId, reason: Stop, verdict: Option<Status>) {
        let Some(incoming) = self.incoming.get_mut(call) else { return };
        incoming.deadline = None;
        let default = match reason {
            Stop::DeadlineExceeded => Status::new(Code::DeadlineExceeded, "the time of the call is up"),
            Stop::Cancelled | Stop::Disconnected => {
                Status::new(Code::Cancelled, "the caller withdrew the call")
            }
        };
        match &incoming.handling {
            Handling::Assembling => {
                self.answer(call, Answer::Failed(WireFailure::Status(verdict.unwrap_or(default))));
            }
            Handling::Running => {
                incoming.handling = Handling::Stopped(verdict);
                self.silence(call);
                self.events.push_back(Event::Stopped { call, reason });
            }
            Handling::Stopped(_) => {}
            Handling::Answered(_) | Handling::Finishing => {
                // Whoever asked wants the answer no more: a short one ends it, and frees what the long one waits for.
                self.answer(call, Answer::Failed(WireFailure::Status(verdict.unwrap_or(default))));
            }
        }
    }

    /// Takes a call off everything that would write items for it, and throws away what it has not read.
    fn silence(&mut self, call: CallId) {
        let Some(incoming) = self.incoming.get_mut(call) else { return };
        incoming.is_unwanted = true;
        let room = std::mem::take(&mut incoming.room);
        if let Writing::Chunks(transfer) = incoming.transfer {
            // The number stays with the call: the terminal tells the other end that the rest won't come.
            self.state.transfers.give_up(transfer);
            incoming.transfer = Writing::GivenUp(transfer);
        }
        let mut unread = 0;
        if let Some(stream) = &mut incoming.stream {
            unread = stream.clear_inbox();
            stream.clear_outbox();
            stream.writable = false;
        }
        self.return_room(room);
        let discarded = self.state.assemblies.discard((Origin::Remote, call.id));
        self.state.assembly_granted.give_back(unread + discarded);
    }

    /// The stream is open. Its first item says so too.
    pub fn accept(&mut self, _now: Instant, call: CallId) {
        if call.origin != Origin::Remote {
            return;
        }
        let Some(incoming) = self.incoming.get_mut(call) else { return };
        let runs = matches!(incoming.handling, Handling::Running);
        if runs && incoming.kind.is_stream() && incoming.acceptance == Acceptance::No {
            incoming.acceptance = Acceptance::Due;
            incoming.deadline = None;
            self.give_turn(call);
        }
    }

    /// Ends a call: with its result, encoded with the call's codec, or with why there is none.
    ///
    /// Of a stream, what was sent before comes first, except after a stop.
    pub fn respond(&mut self, _now: Instant, call: CallId, result: Result<Bytes, WireFailure>) {
        let Some(incoming) = self.running(call) else { return };
        let is_stream = incoming.kind.is_stream();
        let max = self.state.peer_payload();
        let answer = match result {
            Ok(_) if is_stream => Answer::End,
            Ok(bytes) if bytes.len() > max => {
                Answer::Failed(WireFailure::Status(too_large("the result", bytes.len(), max)))
            }
            Ok(bytes) => Answer::Response(bytes),
            Err(WireFailure::Application(bytes)) if bytes.len() > max => {
                Answer::Failed(WireFailure::Status(too_large("the error", bytes.len(), max)))
            }
            Err(failure) => Answer::Failed(failure),
        };
        self.answer_running(call, answer);
    }

    /// The callee's stream is over.
    pub(super) fn finish_stream(&mut self, call: CallId) {
        let Some(incoming) = self.running(call) else { return };
        if incoming.kind.is_stream() {
            self.answer_running(call, Answer::End);
        }
    }

    /// Sets a watch's value; it replaces one that still waits.
    pub fn set_watch(&mut self, now: Instant, call: CallId, value: Bytes) {
        let max = self.state.peer_payload();
        let Some(incoming) = self.incoming.get_mut(call).filter(|_| call.origin == Origin::Remote) else {
            return;
        };
        if incoming.kind != MethodKind::Watch || !matches!(incoming.handling, Handling::Running) {
            return;
        }
        if value.len() > max {
            return self.end_behind(now, call, too_large("a value", value.len(), max));
        }
        let len = value.len();
        if let Some(stream) = &mut incoming.stream {
            stream.latest = Some(value);
        }
        // What is waited for is room for this value, not for the one that it replaces.
        if matches!(incoming.room, Room::Waiting(_)) {
            incoming.room =
                if len > super::payloads::WHOLE { Room::Waiting(len as u64) } else { Room::Unneeded };
            self.grant_large();
        }
        self.accept(now, call);
        self.give_turn(call);
    }

    /// A call of the other end that the application may still answer.
    fn running(&mut self, call: CallId) -> Option<&mut Incoming> {
        if call.origin != Origin::Remote {
            return None;
        }
        let incoming = self.incoming.get_mut(call)?;
        matches!(incoming.handling, Handling::Running | Handling::Stopped(_)).then_some(incoming)
    }

    fn answer_running(&mut self, call: CallId, answer: Answer) {
        let Some(incoming) = self.incoming.get_mut(call) else { return };
        let answer = match &mut incoming.handling {
            Handling::Stopped(verdict) => match verdict.take() {
                Some(status) => Answer::Failed(WireFailure::Status(status)),
                None => answer,
            },
            _ => answer,
        };
        if !incoming.kind.has_upload() && incoming.stream.is_none() {
            // The common case: nothing of the call is under way.
            incoming.handling = Handling::Answered(answer);
            return self.give_turn(call);
        }
        // A watch that fails has no last value, and wants no room for one.
        let unwanted = match (&answer, incoming.kind) {
            (Answer::Failed(_), MethodKind::Watch) => {
                if let Some(stream) = &mut incoming.stream {
                    stream.latest = None;
                }
                std::mem::take(&mut incoming.room)
            }
            _ => Room::Unneeded,
        };
        // Nobody reads the caller's items any more.
        let reserved = incoming.stream.as_mut().map_or(0, |stream| stream.clear_inbox());
        incoming.handling = Handling::Answered(answer);
        let discarded = self.state.assemblies.discard((Origin::Remote, call.id));
        self.state.assembly_granted.give_back(reserved + discarded);
        self.return_room(unwanted);
        self.give_turn(call);
    }

    /// Ends a call without the application, throwing away what it had still to write.
    fn answer(&mut self, call: CallId, answer: Answer) {
        self.silence(call);
        if let Some(incoming) = self.incoming.get_mut(call) {
            incoming.handling = Handling::Answered(answer);
        }
        self.give_turn(call);
    }

    /// Tells of the terminals of `once` calls that arrived.
    pub(super) fn tell_acknowledged(&mut self) {
        while let Some(&(last, call)) = self.state.answered.front()
            && last <= self.state.sent.acked()
        {
            self.state.answered.pop_front();
            self.events.push_back(Event::Acknowledged { call });
        }
    }

    /// The terminal of a call is written: its id and its credit are free.
    pub(super) fn finish_incoming(&mut self, call: CallId) {
        let Some(mut incoming) = self.incoming.remove(call) else { return };
        if incoming.is_once {
            self.state.answered.push_back((self.state.sent.head(), call));
        }
        if incoming.has_turn {
            self.state.queue.forget_one();
        }
        if let Writing::GivenUp(transfer) = incoming.transfer {
            self.state.transfers.release(transfer);
        }
        if let Some(stream) = &mut incoming.stream {
            self.drop_stream(stream);
        }
        self.return_room(incoming.room);
        self.grant_large();
        self.state.granted[incoming.class as usize].give_back(1);
    }

    /// The caller wants no more of a call.
    pub(super) fn handle_cancel(&mut self, wire: u32) {
        // The caller writes nothing more for the call, so its transfers end here.
        let reserved = self.state.assemblies.forget((Origin::Remote, wire));
        self.state.assembly_granted.give_back(reserved);
        match self.incoming.at(wire) {
            Some(call) => self.stop(call, Stop::Cancelled, None),
            None => self.counted.late += 1,
        }
    }

    /// The call that an upload belongs to, if its handler reads; what comes otherwise is dropped.
    fn uploading(&mut self, now: Instant, wire: u32) -> Option<CallId> {
        let Some(call) = self.incoming.at(wire) else {
            self.counted.late += 1;
            return None;
        };
        let incoming = self.incoming.get(call)?;
        match incoming.handling {
            Handling::Running if !incoming.kind.has_upload() => {
                self.close(now, CloseCode::MALFORMED, "items for a kind of call that takes none");
                None
            }
            Handling::Running if incoming.stream.as_ref().is_some_and(|stream| stream.received_end) => {
                let status =
                    Status::new(Code::InvalidArgument, "an item after the end of the caller's items");
                self.stop(call, Stop::Cancelled, Some(status));
                None
            }
            Handling::Running => Some(call),
            Handling::Assembling => {
                self.close(now, CloseCode::MALFORMED, "items before the call's arguments");
                None
            }
            Handling::Stopped(_) | Handling::Answered(_) | Handling::Finishing => {
                self.counted.late += 1;
                None
            }
        }
    }

    pub(super) fn handle_upload_item(&mut self, now: Instant, wire: u32, codec: Codec, payload: Payload) {
        match self.uploading(now, wire) {
            Some(call) => self.receive_item(now, call, (Origin::Remote, wire), codec, payload),
            None => {
                if let Payload::Chunked { transfer, len } = payload
                    && self.is_live()
                {
                    let len = usize::try_from(len).unwrap_or(usize::MAX);
                    let assembly = Assembly::discarded(now, (Origin::Remote, wire), len, false, false);
                    self.begin_discard(now, transfer, assembly);
                }
            }
        }
    }

    pub(super) fn handle_upload_gap(&mut self, now: Instant, wire: u32, missed: u64) {
        if let Some(call) = self.uploading(now, wire) {
            self.receive_gap(call, missed);
        }
    }

    pub(super) fn handle_upload_end(&mut self, now: Instant, wire: u32) {
        if let Some(call) = self.uploading(now, wire) {
            if let Some(stream) = self.stream_mut(call) {
                stream.received_end = true;
            }
            self.notify_reader(call);
        }
    }
}

impl Incoming {
    /// Whether the application has the call and was not told to stop, and has not answered.
    pub(super) fn is_running(&self) -> bool {
        matches!(self.handling, Handling::Running)
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
