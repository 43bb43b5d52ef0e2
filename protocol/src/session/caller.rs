use std::collections::VecDeque;
use std::time::Duration;

use bytes::Bytes;

use super::Session;
use super::outgoing::Turn;
use super::payloads::{Room, Writing};
use super::services::{Agreement, Waiter};
use super::stream::Stream;
use super::table::Table;
use super::types::{CallId, Event, Failure, Origin, Queued, Request};
use crate::Instant;
use crate::codec::{Arguments, Codec};
use crate::envelope::OnceTable;
use crate::envelope::bounds::{MAX_METADATA, MAX_METADATA_ENTRIES};
use crate::limits::Limits;
use crate::schema::{MethodKind, Retry, ServiceDescriptor};
use crate::status::{Code, Delivery, Status};

/// A call of this end, until its application has heard the last of it.
#[derive(Debug)]
pub(super) struct Own {
    /// Counts the calls of this end.
    pub(super) order: u64,
    pub(super) service: &'static ServiceDescriptor,
    service_number: u16,
    method: u16,
    pub(super) kind: MethodKind,
    /// The weaker of what both ends say.
    pub(super) retry: Retry,
    pub(super) depth: u8,
    /// It has a place in the queue of data.
    pub(super) has_turn: bool,
    pub(super) stage: Stage,
    /// The method's number at the callee and the codec of the call, once they are agreed.
    pub(super) agreed: Option<(u32, Codec)>,
    pub(super) deadline: Option<Instant>,
    /// Of a call that waits in the outbox: what its deadline becomes when it is written.
    pub(super) queued: Option<Queued>,
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
    Waiting(Ask),
    /// Admitted: credit is taken, its place in the queue comes.
    Queued(Ask),
    /// The opening is written, its arguments not to the end. A client keeps what it may have to ask again.
    Opening { wire: u32, ask: Option<Ask> },
    /// Written, up to the number `last`.
    Open { wire: u32, ask: Option<Ask>, last: u64 },
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
    pub(super) once: Option<Once>,
}

/// What tells a repeat of a `once` call from another call.
#[derive(Debug, Clone, Copy)]
pub(super) struct Once {
    pub(super) key: u128,
    /// The table that was known when the call was first written; the same in every repeat.
    pub(super) table: Option<OnceTable>,
}

/// Calls that wait before they are admitted.
#[derive(Debug, Default)]
pub(super) struct Waiting {
    pub(super) calls: usize,
    pub(super) bytes: usize,
    /// For a live session.
    pub(super) offline: VecDeque<CallId>,
    /// For credit, per class.
    pub(super) credit: [VecDeque<CallId>; 2],
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

/// Ids that calls of this end have on the wire.
#[derive(Debug, Default)]
pub(super) struct WireIds {
    places: Vec<WireId>,
    free: Vec<u32>,
    orphans: usize,
}

/// What one id stands for.
#[derive(Debug, Clone, Copy)]
pub(super) enum WireId {
    Free,
    Call(CallId),
    /// The application wants no more of it; the cancel is not yet written.
    Cancelling {
        transfer: Option<u32>,
        class: Class,
    },
    /// The cancel is written, the terminal has not come.
    Cancelled {
        class: Class,
    },
    /// The terminal came while a large payload of this end was under way: the cancel that ends that is not yet
    /// written.
    Ended {
        transfer: Option<u32>,
    },
}

impl WireIds {
    /// Ids that are in use without a call.
    pub(super) fn orphans(&self) -> usize {
        self.orphans
    }

    pub(super) fn get(&self, wire: u32) -> WireId {
        self.places.get(wire as usize).copied().unwrap_or(WireId::Free)
    }

    /// An id for `call`, if one is free below `bound`.
    pub(super) fn assign(&mut self, call: CallId, bound: u64) -> Option<u32> {
        let wire = match self.free.pop() {
            Some(wire) => wire,
            None if (self.places.len() as u64) < bound => {
                self.places.push(WireId::Free);
                (self.places.len() - 1) as u32
            }
            None => return None,
        };
        self.places[wire as usize] = WireId::Call(call);
        Some(wire)
    }

    pub(super) fn set(&mut self, wire: u32, to: WireId) {
        let place = &mut self.places[wire as usize];
        let is_orphan = |it: &WireId| !matches!(it, WireId::Free | WireId::Call(_));
        self.orphans -= usize::from(is_orphan(place));
        self.orphans += usize::from(is_orphan(&to));
        *place = to;
        if matches!(to, WireId::Free) {
            self.free.push(wire);
        }
    }
}

impl Own {
    pub(super) fn method(&self) -> usize {
        usize::from(self.method)
    }

    pub(super) fn service_number(&self) -> u32 {
        u32::from(self.service_number)
    }

    /// The id on the wire, from the opening to the end.
    pub(super) fn wire(&self) -> Option<u32> {
        match self.stage {
            Stage::Opening { wire, .. } | Stage::Open { wire, .. } => Some(wire),
            Stage::Waiting(_) | Stage::Queued(_) | Stage::Over(_) => None,
        }
    }

    /// Whether it should get a place in the queue that it does not have.
    pub(super) fn wants_turn(&self) -> bool {
        if self.has_turn || matches!(self.room, Room::Waiting(_)) || self.transfer != Writing::Nothing {
            return false;
        }
        match self.stage {
            Stage::Queued(_) => true,
            Stage::Open { .. } => self.stream.as_ref().is_some_and(|stream| stream.may_write()),
            Stage::Waiting(_) | Stage::Opening { .. } | Stage::Over(_) => false,
        }
    }

    fn class(&self) -> Class {
        Class::of(self.kind)
    }

    /// What is known when the call ends now without an answer.
    pub(super) fn delivery(&self) -> Delivery {
        match self.stage {
            _ if self.may_have_run => Delivery::OutcomeUnknown,
            Stage::Waiting(_) | Stage::Queued(_) => Delivery::NotSent,
            Stage::Opening { .. } => Delivery::NotExecuted,
            Stage::Open { .. } | Stage::Over(_) => Delivery::OutcomeUnknown,
        }
    }
}

impl Session {
    /// Makes a call of any kind but notify.
    ///
    /// Before the session is live the call waits, first in, first out, within its deadline.
    ///
    /// # Errors
    ///
    /// `ResourceExhausted` when too much waits already, when the call nests too deep, and when a call made inside a
    /// handler would have to wait. `Unimplemented` and `SchemaMismatch` where the other end is known not to serve the
    /// method. `InvalidArgument` when the metadata or the arguments are larger than what may be sent. Later failures
    /// come as [`Event::Response`] or through [`read`](Self::read).
    pub fn call(&mut self, _now: Instant, request: Request) -> Result<CallId, Status> {
        if self.is_over() {
            return Err(Status::new(Code::Unavailable, "the session has ended"));
        }
        let limits = &self.config.limits;
        let Some(method) = request.service.methods.get(request.method) else {
            return Err(Status::new(Code::Unimplemented, "the service has no such method"));
        };
        if method.kind == MethodKind::Notify {
            return Err(Status::new(Code::InvalidArgument, "a notify is not a call"));
        }
        if request.depth > limits.depth {
            let message = format!("calls nest at most {} deep inside handlers", limits.depth);
            return Err(Status::new(Code::ResourceExhausted, message));
        }
        check_metadata(&request.metadata, limits)?;
        let Some(service_number) = self.service_number(request.service) else {
            return Err(Status::new(Code::ResourceExhausted, "a session calls at most 64 services"));
        };
        let (kind, depth, queued) = (method.kind, request.depth, request.queued);
        let deadline = queued.map_or(request.deadline, |queued| Some(queued.until));
        let has_stream = kind.is_stream() || kind.has_upload();
        let stream = has_stream.then(|| Stream::new(&self.config, &self.state.peer));
        let once = request.once.filter(|_| method.retry == Retry::Once).map(|key| Once { key, table: None });
        let ask = Ask { arguments: request.arguments, metadata: request.metadata, encoded: None, once };
        self.calls_made += 1;
        let call = self.own.insert(Own {
            order: self.calls_made,
            service: request.service,
            service_number,
            method: request.method as u16,
            kind,
            retry: method.retry,
            depth,
            has_turn: false,
            stage: Stage::Waiting(ask),
            agreed: None,
            deadline,
            queued,
            is_accepted: false,
            may_have_run: false,
            is_stale: false,
            transfer: Writing::Nothing,
            room: Room::Unneeded,
            stream,
        });
        // Counted as waiting until it is admitted, which may be at once.
        match self.place(call, Counting::New) {
            Ok(()) => {
                self.own_deadline = earlier(self.own_deadline, deadline);
                self.own_wall = earlier(self.own_wall, queued.and_then(|queued| queued.until_wall));
                Ok(call)
            }
            Err(status) => {
                self.own.remove(call);
                Err(status)
            }
        }
    }

    /// When [`handle_wall_clock`](Self::handle_wall_clock) has something to do, at the earliest, by the wall clock: the time
    /// since 1970. `None` while no call is queued.
    pub fn poll_wall_clock(&self) -> Option<Duration> {
        self.own_wall
    }

    /// The wall clock says `wall`: calls that were to be queued until then end with `DeadlineExceeded(NotSent)`.
    ///
    /// To be called before [`poll_transmit`](Self::poll_transmit), so that what expired in a sleep that no other clock
    /// has noticed is not sent, and now and then, so that its caller is told. A wall clock that was set back puts off nothing:
    /// [`Queued::until`] holds as well. One that was set forward takes so much of the time that is left.
    pub fn handle_wall_clock(&mut self, _now: Instant, wall: Duration) {
        if self.own_wall.is_none_or(|due| due > wall) {
            return;
        }
        let mut next = None;
        let mut over = Vec::new();
        for (call, own) in self.own.iter() {
            let until = own.queued.and_then(|queued| queued.until_wall);
            match until.filter(|_| !matches!(own.stage, Stage::Over(_))) {
                Some(until) if until <= wall => over.push((call, own.delivery())),
                until => next = earlier(next, until),
            }
        }
        self.own_wall = next;
        for (call, delivery) in over {
            self.fail(call, Failure::DeadlineExceeded(delivery));
        }
    }

    /// The caller lost interest: nothing more is heard of the call.
    pub fn cancel(&mut self, _now: Instant, call: CallId) {
        if call.origin == Origin::Local {
            self.withdraw(call);
        }
    }

    /// Ends every call of this end, because the client gives up.
    pub fn fail_all(&mut self, _now: Instant, failure: Failure) {
        let calls: Vec<_> = self.own.ids().collect();
        for call in calls {
            self.fail(call, failure.clone());
        }
    }

    /// The codec of a call, once it is agreed.
    pub fn codec(&self, call: CallId) -> Option<Codec> {
        match call.origin {
            Origin::Local => self.own.get(call)?.agreed.map(|(_, codec)| codec),
            Origin::Remote => self.incoming.get(call).map(|it| it.codec),
        }
    }

    /// Whether what a stream of this end gave last may be out of date: its link is lost, or it was asked for again in
    /// another session and nothing has come yet.
    pub fn is_stale(&self, call: CallId) -> bool {
        call.origin == Origin::Local && self.own.get(call).is_some_and(|it| it.is_stale)
    }

    /// Sends a waiting call on as far as it can go.
    pub(super) fn route(&mut self, call: CallId) {
        if let Err(status) = self.place(call, Counting::Counted) {
            self.fail(call, Failure::Status(status));
        }
    }

    /// Finds the place for a waiting call: with those that wait, or in the queue.
    fn place(&mut self, call: CallId, counting: Counting) -> Result<(), Status> {
        let Some(own) = self.own.get(call) else { return Ok(()) };
        let Stage::Waiting(ask) = &own.stage else { return Ok(()) };
        let (len, depth, class) = (ask.arguments.rkyv.len(), own.depth, own.class());
        let (service, number, method) = (own.service, own.service_number, own.method());
        if !self.is_live() {
            if depth > 0 {
                return Err(Status::new(Code::Unavailable, "the session of the handler has no link"));
            }
            self.count_waiting(counting, len)?;
            let Self { waiting, own, .. } = self;
            push_waiting(&mut waiting.offline, call, own);
            return Ok(());
        }
        let Some(agreed) = self.agreement(number).agree(service, method) else {
            self.count_waiting(counting, len)?;
            if let Agreement::Pending(waiters) = &mut self.state.agreements[usize::from(number)] {
                // A call that is withdrawn leaves its name behind; the line is short-lived, and bounded here.
                let own = &self.own;
                if waiters.len() > 64 && waiters.len() > 2 * own.len() {
                    waiters.retain(|it| !matches!(it, Waiter::Call(call) if own.get(*call).is_none()));
                }
                waiters.push(Waiter::Call(call));
            }
            return Ok(());
        };
        let agreed = agreed?;
        if len > self.state.peer_payload() {
            return Err(too_large("the arguments", len, self.state.peer_payload()));
        }
        let reserve = if depth > 0 { 0 } else { self.reserve(class) };
        let waits = depth == 0 && !self.waiting.credit[class as usize].is_empty();
        if self.state.opening[class as usize].left() <= reserve || waits {
            if depth > 0 {
                let message =
                    "a call made inside a handler can't wait, and the other end accepts no more calls";
                return Err(Status::new(Code::ResourceExhausted, message));
            }
            self.count_waiting(counting, len)?;
            let Self { waiting, own, .. } = self;
            push_waiting(&mut waiting.credit[class as usize], call, own);
            return Ok(());
        }
        if counting == Counting::Counted {
            self.waiting.calls -= 1;
            self.waiting.bytes -= len;
        }
        self.admit(call, agreed);
        Ok(())
    }

    /// Takes credit for a call and queues it.
    fn admit(&mut self, call: CallId, agreed: (u32, Codec)) {
        let Some(own) = self.own.get(call) else { return };
        let retry = self.retry_class(own.service, own.method());
        let Some(own) = self.own.get_mut(call) else { return };
        let class = own.class();
        self.state.opening[class as usize].used += 1;
        own.agreed = Some(agreed);
        own.retry = retry;
        if let Stage::Waiting(ask) = &mut own.stage {
            let ask = Ask {
                arguments: ask.arguments.clone(),
                metadata: std::mem::take(&mut ask.metadata),
                encoded: ask.encoded.take(),
                once: ask.once,
            };
            own.stage = Stage::Queued(ask);
        }
        if let Some(stream) = &mut own.stream {
            // The welcome may have come after the call was made.
            stream.send = super::credit::SendWindow::new(self.state.peer.stream_window);
        }
        self.give_turn(call);
        self.update_writable(call);
    }

    /// Places kept for calls made inside handlers, as far as there are enough.
    fn reserve(&self, class: Class) -> u64 {
        let all = match class {
            Class::Call => self.state.peer.calls,
            Class::Stream => self.state.peer.streams,
        };
        u64::from(self.config.limits.nested.min(all / 8))
    }

    fn count_waiting(&mut self, counting: Counting, len: usize) -> Result<(), Status> {
        if counting == Counting::Counted {
            return Ok(());
        }
        let limits = &self.config.limits;
        let is_full = self.waiting.calls >= limits.waiting_calls
            || (self.waiting.calls > 0 && self.waiting.bytes.saturating_add(len) > limits.waiting_bytes);
        if is_full {
            return Err(Status::new(Code::ResourceExhausted, "too many calls wait to be sent"));
        }
        self.waiting.calls += 1;
        self.waiting.bytes += len;
        Ok(())
    }

    /// The other end raised what it allows, or a call gave its place back.
    pub(super) fn admit_waiting(&mut self, class: Class) {
        loop {
            if self.state.opening[class as usize].left() <= self.reserve(class) {
                return;
            }
            let Some(call) = self.waiting.credit[class as usize].pop_front() else { return };
            let Some(own) = self.own.get(call) else { continue };
            let Stage::Waiting(ask) = &own.stage else { continue };
            let len = ask.arguments.rkyv.len();
            let Some(Ok(agreed)) = self
                .state
                .agreements
                .get(own.service_number as usize)
                .and_then(|it| it.agree(own.service, own.method()))
            else {
                continue;
            };
            self.waiting.calls -= 1;
            self.waiting.bytes -= len;
            self.admit(call, agreed);
        }
    }

    /// The session is live: what waited for that goes on, in order.
    pub(super) fn route_offline(&mut self) {
        for call in std::mem::take(&mut self.waiting.offline) {
            self.route(call);
        }
    }

    /// Forgets a call: its application hears nothing more.
    pub(super) fn withdraw(&mut self, call: CallId) {
        self.take_off(call);
        if let Some(mut own) = self.own.remove(call)
            && let Some(stream) = &mut own.stream
        {
            self.drop_stream(stream);
        }
    }

    /// Ends a call of this end from this end.
    pub(super) fn fail(&mut self, call: CallId, failure: Failure) {
        let Some(own) = self.own.get(call) else { return };
        if matches!(own.stage, Stage::Over(_)) {
            return;
        }
        if own.kind.is_stream() {
            // What came before the failure can still be read, so the stream keeps its place.
            self.take_off(call);
            if let Some(own) = self.own.get_mut(call) {
                own.stage = Stage::Over(Err(failure));
            }
            self.notify_reader(call);
        } else {
            self.withdraw(call);
            self.events.push_back(Event::Response { call, result: Err(failure) });
        }
    }

    /// Takes a call off everything that would write for it, and cancels it at the other end if that knows of it.
    fn take_off(&mut self, call: CallId) {
        let Some(own) = self.own.get_mut(call) else { return };
        let class = own.class();
        let has_turn = std::mem::take(&mut own.has_turn);
        let room = std::mem::take(&mut own.room);
        let transfer = std::mem::take(&mut own.transfer).chunks();
        if let Some(stream) = &mut own.stream {
            stream.clear_outbox();
            stream.writable = false;
        }
        let stage = std::mem::replace(&mut own.stage, Stage::Over(Ok(())));
        if has_turn {
            self.state.queue.forget_one();
        }
        self.return_room(room);
        match stage {
            Stage::Waiting(ask) => {
                self.waiting.calls -= 1;
                self.waiting.bytes -= ask.arguments.rkyv.len();
            }
            Stage::Queued(_) => {
                // Nothing was written: the place is free for the next call.
                self.state.opening[class as usize].used -= 1;
                self.admit_waiting(class);
            }
            Stage::Opening { wire, .. } | Stage::Open { wire, .. } => {
                if let Some(transfer) = transfer {
                    self.state.transfers.give_up(transfer);
                }
                self.state.wire.set(wire, WireId::Cancelling { transfer, class });
                self.state.queue.push(Turn::Cancel(wire));
                let reserved = self.state.assemblies.discard((Origin::Local, wire));
                self.state.assembly_granted.give_back(reserved);
            }
            Stage::Over(_) => {}
        }
    }
}

/// Whether a call is already counted among those that wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Counting {
    New,
    Counted,
}

/// Adds a call to a line, and now and then clears the line of calls that left it.
fn push_waiting(line: &mut VecDeque<CallId>, call: CallId, own: &Table<Own>) {
    if line.len() > 64 && line.len() > 2 * own.len() {
        line.retain(|&it| own.get(it).is_some_and(|own| matches!(own.stage, Stage::Waiting(_))));
    }
    line.push_back(call);
}

/// The earlier of two moments, either of which may be never.
pub(super) fn earlier<T: Ord>(a: Option<T>, b: Option<T>) -> Option<T> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, b) => a.or(b),
    }
}

pub(super) fn too_large(what: &str, len: usize, bound: usize) -> Status {
    let message = format!("{what} of {len} bytes: the other end accepts at most {bound}");
    Status::new(Code::ResourceExhausted, message)
}

pub(super) fn check_metadata(metadata: &[(String, String)], limits: &Limits) -> Result<(), Status> {
    if metadata.is_empty() {
        return Ok(());
    }
    let bytes: usize = metadata.iter().map(|(name, value)| name.len() + value.len()).sum();
    let (max_entries, max_bytes) =
        (limits.metadata_entries.min(MAX_METADATA_ENTRIES), limits.metadata_bytes.min(MAX_METADATA));
    if metadata.len() > max_entries || bytes > max_bytes {
        let message = format!("metadata is at most {max_entries} entries and {max_bytes} bytes");
        return Err(Status::new(Code::InvalidArgument, message));
    }
    Ok(())
}
