//! Messages out: control first, then data in the order it came, and one chunk of a large payload beside it.

use std::collections::VecDeque;

use bytes::Bytes;

use super::Session;
use super::callee::{Acceptance, Answer, Handling, Incoming};
use super::caller::{Ask, Class, Stage, WireId, earlier, too_large};
use super::closing::Phase;
use super::notify::Outgoing;
use super::payloads::{WHOLE, Writing};
use super::services::declaration;
use super::stream::{Outbound, cost};
use super::types::{CallId, Failure, Origin, Role, WireFailure};
use super::unsequenced::What;
use crate::Instant;
use crate::codec::Codec;
use crate::envelope::{
    CallOpen, CallRef, Chunk, Control, Credit, Encoder, Envelope, OnceKey, Opener, Payload, Refusal,
    Sequenced, WatchValue, WireError,
};
use crate::schema::Retry;
use crate::status::{CloseCode, Code, Status};

/// A piece of a large payload beside other traffic.
const CHUNK: usize = 32 * 1024;
/// What one envelope may add to a message that is nearly full.
const ONE_MORE: usize = WHOLE + 16 * 1024;

/// A place in the queue of data.
#[derive(Debug)]
pub(super) enum Turn {
    /// Whatever is next of this call, of either end.
    Call(CallId),
    /// The cancel of the call with this id on the wire.
    Cancel(u32),
    Notify(Box<Outgoing>),
    Declare(u16),
    Data(Box<Sequenced>),
}

/// Data to be written, first come first served.
#[derive(Debug, Default)]
pub(super) struct Queue {
    turns: VecDeque<Turn>,
    /// Places that belong to nobody any more.
    forgotten: usize,
}

impl Queue {
    pub(super) fn push(&mut self, turn: Turn) {
        self.turns.push_back(turn);
    }

    /// Places that will be used.
    pub(super) fn len(&self) -> usize {
        self.turns.len().saturating_sub(self.forgotten)
    }

    /// A call went whose place is still here.
    pub(super) fn forget_one(&mut self) {
        self.forgotten += 1;
    }

    /// One-way calls don't wait for another link.
    pub(super) fn drop_notifies(&mut self) {
        self.turns.retain(|turn| !matches!(turn, Turn::Notify(_)));
    }

    fn is_mostly_forgotten(&self) -> bool {
        self.forgotten > 1024 && self.forgotten > self.turns.len() / 2
    }
}

impl Session {
    /// The next whole message to hand to the socket, made of all that is ready.
    pub fn poll_transmit(&mut self, now: Instant) -> Option<Bytes> {
        // Most messages grow once or not at all.
        let mut out = Vec::with_capacity((self.state.queue.turns.len() * 64).min(32 * 1024));
        let mut encoder = Encoder::new(&mut out);
        match &self.link.phase {
            Phase::Live => {
                let before = self.written();
                self.write_control(now, &mut encoder);
                self.write_data(now, &mut encoder);
                self.write_late_control(now, &mut encoder);
                let len = encoder.len();
                self.pace_sent(now, before, len);
            }
            Phase::HelloDue => self.write_hello(now, &mut encoder),
            Phase::Closing { .. } => self.write_closing(&mut encoder),
            Phase::Idle | Phase::Waiting | Phase::Greeted(_) | Phase::Closed | Phase::Over => {}
        }
        if out.is_empty() {
            return None;
        }
        let message = Bytes::from(out);
        self.state.sent.finish_message(now, &message);
        self.counted.messages_out += 1;
        self.counted.bytes_out += message.len() as u64;
        Some(message)
    }

    /// Control that does not depend on the data of this message.
    fn write_control(&mut self, now: Instant, encoder: &mut Encoder<'_>) {
        self.write_welcome(encoder);
        if let Some(nonce) = self.link.pong.take() {
            let ack = self.state.received.restate();
            let once_tick =
                self.state.once.filter(|_| self.role == Role::Server).map_or(0, |table| table.tick);
            encoder.push(&Envelope::Control(Control::Pong { nonce, ack, once_tick }));
        }
        if let Some(nonce) = self.link.heartbeat.take_ping(now, self.extra()) {
            encoder.push(&Envelope::Control(Control::Ping { nonce }));
        }
        if let Some(spread_ms) = self.link.go_away.take() {
            encoder.push(&Envelope::Control(Control::GoAway { spread_ms }));
        }
        if std::mem::take(&mut self.link.auth_answer_due) {
            let reason = "credentials can't be renewed on a living link".to_owned();
            let refusal = Some(Refusal { code: CloseCode::BAD_CREDENTIALS, reason });
            encoder.push(&Envelope::Control(Control::AuthAnswer { refusal }));
        }
        let has_company = !encoder.is_empty() || !self.state.queue.turns.is_empty();
        if !self.state.taken.is_empty()
            && !self.state.sent.replays()
            && (has_company || self.state.taken_due.is_some_and(|due| due <= now))
        {
            self.write_taken(encoder);
        }
    }

    /// Control that data of this message may have made due.
    fn write_late_control(&mut self, now: Instant, encoder: &mut Encoder<'_>) {
        // Credit never overtakes a replay: a place is free for the other end once it has read the terminal that freed it.
        if !self.state.sent.replays() {
            self.write_grants(encoder);
        }
        if std::mem::take(&mut self.link.ack_due) {
            let ack = self.state.received.restate();
            return encoder.push(&Envelope::Control(Control::Ack(ack)));
        }
        let is_due = self.state.received.due().is_some_and(|due| due <= now);
        if (is_due || !encoder.is_empty())
            && let Some(ack) = self.state.received.take()
        {
            encoder.push(&Envelope::Control(Control::Ack(ack)));
        }
    }

    fn write_grants(&mut self, encoder: &mut Encoder<'_>) {
        for class in [Class::Call, Class::Stream] {
            if let Some(total) = self.state.granted[class as usize].announce() {
                let credit = match class {
                    Class::Call => Credit::Calls { total },
                    Class::Stream => Credit::Streams { total },
                };
                encoder.push(&Envelope::Control(Control::Credit(credit)));
            }
        }
        if let Some(total) = self.state.assembly_granted.announce() {
            encoder.push(&Envelope::Control(Control::Credit(Credit::Assembly { total })));
        }
    }

    fn write_taken(&mut self, encoder: &mut Encoder<'_>) {
        self.state.taken_due = None;
        for call in std::mem::take(&mut self.state.taken) {
            let reference = match call.origin {
                Origin::Remote => CallRef { id: call.id, opener: Opener::Reader },
                Origin::Local => match self.own.get(call).and_then(|own| own.wire()) {
                    Some(id) => CallRef { id, opener: Opener::Writer },
                    None => continue,
                },
            };
            let Some(stream) = self.stream_mut(call) else { continue };
            stream.is_taken_listed = false;
            if stream.receive.has_news() {
                let (taken, total) = stream.receive.announce();
                let credit = Credit::Items { call: reference, taken, total };
                encoder.push(&Envelope::Control(Control::Credit(credit)));
            }
        }
    }

    fn write_data(&mut self, now: Instant, encoder: &mut Encoder<'_>) {
        let peer_message = usize::try_from(self.state.peer.message).unwrap_or(usize::MAX);
        let budget = self.gathers().min(peer_message.saturating_sub(ONE_MORE));
        let start = encoder.len();
        if self.state.sent.replays() && !std::mem::replace(&mut self.link.values_came_first, true) {
            self.write_first_values(budget, encoder);
        }
        // What was written before comes again first, and nothing new before all of it.
        while encoder.len() < budget
            && self.link_has_room(encoder.len())
            && let Some((seq, sequenced)) = self.state.sent.next_replayed()
        {
            self.write_again(now, seq, sequenced, encoder);
        }
        if self.state.sent.replays() {
            return;
        }
        // A large payload gets its chunk in every message, however much else there is.
        let small = if self.state.transfers.len() > 0 { budget / 2 } else { budget };
        if encoder.len() > start && encoder.len() >= small {
            // Full of what came again, without room for a chunk.
            return;
        }
        while encoder.len() < small && self.new_has_room(encoder.len()) {
            let Some(turn) = self.state.queue.turns.pop_front() else { break };
            self.write_turn(now, turn, encoder);
        }
        if self.state.queue.is_mostly_forgotten() {
            self.tidy_queue();
        }
        if small == budget && encoder.len() >= budget {
            // What began to travel in chunks with this very message begins with the next.
            return;
        }
        let chunk = if encoder.len() == start { budget } else { CHUNK.min(budget / 2) };
        if self.state.transfers.len() > 0 && self.chunk_has_room(encoder.len()) {
            self.write_chunk(chunk.max(1), encoder);
        }
    }

    fn write_chunk(&mut self, max: usize, encoder: &mut Encoder<'_>) {
        let limits = &self.config.limits;
        let unsequenced =
            self.link.unsequenced.has_room(1, max, limits.unsequenced_envelopes, limits.unsequenced_bytes);
        let Some(piece) = self.state.transfers.next_piece(max, unsequenced) else { return };
        let len = piece.bytes.len();
        let chunk = Chunk { transfer: piece.transfer, bytes: piece.bytes };
        if piece.unsequenced {
            let what = self.chunk_of_value(piece.done);
            self.write_unsequenced(encoder, len, what, &Envelope::WatchChunk(chunk));
        } else {
            self.write_sequenced(encoder, Sequenced::Chunk(chunk));
        }
        if let Some(call) = piece.done {
            self.finish_payload(call);
        }
    }

    /// Of a watch's value; its last chunk, where `done` names the watch.
    fn chunk_of_value(&mut self, done: Option<CallId>) -> What {
        let Some(call) = done else { return What::Chunk };
        let Some(incoming) = self.incoming.get_mut(call) else { return What::Chunk };
        let codec = incoming.codec;
        match incoming.stream.as_mut().and_then(|stream| stream.sending.take()) {
            Some(value) => What::Value { call, codec, value },
            None => What::Chunk,
        }
    }

    /// Writes an envelope under the number that it was given on an earlier link.
    fn write_again(&mut self, now: Instant, seq: u64, mut sequenced: Sequenced, encoder: &mut Encoder<'_>) {
        if let Sequenced::Call(open) = &mut sequenced {
            match self.state.wire.get(open.id) {
                // Time went on.
                WireId::Call(call) => {
                    let deadline = self.own.get(call).and_then(|own| own.deadline);
                    open.time_left_ms = deadline.map(|deadline| time_left(now, deadline));
                }
                // Withdrawn since the replay began: without time left, it is refused before it runs.
                _ => open.time_left_ms = Some(0),
            }
        }
        self.counted.envelopes_out += 1;
        encoder.push(&Envelope::Sequenced(seq, sequenced));
    }

    /// The last chunk of a call's payload is written.
    fn finish_payload(&mut self, call: CallId) {
        let last = self.state.sent.head();
        match call.origin {
            Origin::Local => {
                if let Some(own) = self.own.get_mut(call) {
                    own.transfer = Writing::Nothing;
                    if let Stage::Opening { wire, ask } = &mut own.stage {
                        own.stage = Stage::Open { wire: *wire, ask: ask.take(), last };
                    }
                }
                self.give_turn(call);
            }
            Origin::Remote => {
                let Some(incoming) = self.incoming.get_mut(call) else { return };
                incoming.transfer = Writing::Nothing;
                if matches!(incoming.handling, Handling::Finishing) {
                    self.finish_incoming(call);
                } else {
                    self.give_turn(call);
                }
            }
        }
        self.grant_large();
    }

    #[inline]
    fn write_sequenced(&mut self, encoder: &mut Encoder<'_>, sequenced: Sequenced) {
        let seq = self.state.sent.next();
        self.counted.envelopes_out += 1;
        encoder.push(&Envelope::Sequenced(seq, sequenced));
    }

    fn write_unsequenced(&mut self, encoder: &mut Encoder<'_>, len: usize, what: What, envelope: &Envelope) {
        self.link.unsequenced.write(len, what);
        self.counted.envelopes_out += 1;
        encoder.push(envelope);
    }

    #[inline]
    fn write_turn(&mut self, now: Instant, turn: Turn, encoder: &mut Encoder<'_>) {
        match turn {
            Turn::Call(call) => {
                let had_turn = match call.origin {
                    Origin::Local => {
                        self.own.get_mut(call).is_some_and(|own| std::mem::take(&mut own.has_turn))
                    }
                    Origin::Remote => self
                        .incoming
                        .get_mut(call)
                        .is_some_and(|incoming| std::mem::take(&mut incoming.has_turn)),
                };
                if !had_turn {
                    self.state.queue.forgotten = self.state.queue.forgotten.saturating_sub(1);
                    return;
                }
                match call.origin {
                    Origin::Local => self.write_own(now, call, encoder),
                    Origin::Remote => self.write_incoming(call, encoder),
                }
                self.give_turn(call);
            }
            Turn::Cancel(wire) => self.write_cancel(wire, encoder),
            Turn::Notify(notify) => self.write_notify(*notify, encoder),
            Turn::Declare(number) => {
                let declaration = declaration(self.services[usize::from(number)]);
                let service = u32::from(number);
                self.write_sequenced(encoder, Sequenced::Declare { service, declaration });
            }
            Turn::Data(sequenced) => self.write_sequenced(encoder, *sequenced),
        }
    }

    fn write_cancel(&mut self, wire: u32, encoder: &mut Encoder<'_>) {
        let (transfer, next) = match self.state.wire.get(wire) {
            WireId::Cancelling { transfer, class } => (transfer, WireId::Cancelled { class }),
            WireId::Ended { transfer } => (transfer, WireId::Free),
            WireId::Free | WireId::Call(_) | WireId::Cancelled { .. } => return,
        };
        self.state.wire.set(wire, next);
        if transfer.is_some() || matches!(next, WireId::Cancelled { .. }) {
            let call = CallRef { id: wire, opener: Opener::Writer };
            self.write_sequenced(encoder, Sequenced::Cancel { call });
        }
        if let Some(transfer) = transfer {
            self.state.transfers.release(transfer);
            self.grant_large();
        }
    }

    fn write_own(&mut self, now: Instant, call: CallId, encoder: &mut Encoder<'_>) {
        let Some(own) = self.own.get_mut(call) else { return };
        match own.stage {
            Stage::Queued(_) => self.write_opening(now, call, encoder),
            Stage::Open { wire, .. } => {
                let Some((_, codec)) = own.agreed else { return };
                let reference = CallRef { id: wire, opener: Opener::Writer };
                self.write_items(call, reference, codec, encoder);
            }
            Stage::Waiting(_) | Stage::Opening { .. } | Stage::Over(_) => {}
        }
    }

    fn write_opening(&mut self, now: Instant, call: CallId, encoder: &mut Encoder<'_>) {
        let max = self.state.peer_payload();
        let bound = u64::from(self.state.peer.calls) + u64::from(self.state.peer.streams);
        let Some(own) = self.own.get_mut(call) else { return };
        let Some((method, codec)) = own.agreed else { return };
        let Stage::Queued(ask) = &mut own.stage else { return };
        let bytes = match codec {
            Codec::Rkyv => ask.arguments.rkyv.clone(),
            Codec::Json => match &ask.encoded {
                Some(bytes) => bytes.clone(),
                None => match (ask.arguments.recode)(&ask.arguments.rkyv) {
                    Ok(json) => ask.encoded.insert(Bytes::from(json)).clone(),
                    Err(error) => {
                        let message = format!("the arguments can't become JSON: {error}");
                        let status = Status::new(Code::InvalidArgument, message);
                        return self.fail(call, Failure::Status(status));
                    }
                },
            },
        };
        if bytes.len() > max {
            let status = too_large("the arguments", bytes.len(), max);
            return self.fail(call, Failure::Status(status));
        }
        if own.deadline.is_some_and(|deadline| deadline <= now) {
            let delivery = own.delivery();
            return self.fail(call, Failure::DeadlineExceeded(delivery));
        }
        if !self.has_room(call, bytes.len()) {
            return;
        }
        let Some(wire) = self.state.wire.assign(call, bound) else {
            // The other end states fewer ids than credit for calls; nothing of ours can repair that.
            let status = Status::new(Code::ResourceExhausted, "the other end has no place for a call");
            return self.fail(call, Failure::Status(status));
        };
        let payload = self.begin_payload(call, bytes, false);
        let is_whole = matches!(payload, Payload::Whole(_));
        let Some(own) = self.own.get_mut(call) else { return };
        let Stage::Queued(ask) = std::mem::replace(&mut own.stage, Stage::Over(Ok(()))) else { return };
        let metadata = ask.metadata.clone();
        let mut ask = Ask { encoded: None, ..ask };
        let once = self.state.once.and_then(|table| {
            let once = ask.once.as_mut().filter(|_| own.retry == Retry::Once)?;
            Some(OnceKey { key: once.key, table: *once.table.get_or_insert(table) })
        });
        // Calls from inside a handler are never asked again, and a server asks nothing again.
        let ask = (self.role == Role::Client && own.depth == 0).then_some(ask);
        let last = self.state.sent.head() + 1;
        own.stage = if is_whole { Stage::Open { wire, ask, last } } else { Stage::Opening { wire, ask } };
        if let Some(queued) = own.queued.take() {
            own.deadline = queued.timeout.and_then(|timeout| now.checked_add(timeout));
            self.own_deadline = earlier(self.own_deadline, own.deadline);
        }
        let time_left_ms = own.deadline.map(|deadline| time_left(now, deadline));
        let open = CallOpen {
            id: wire,
            service: own.service_number(),
            method,
            codec,
            time_left_ms,
            depth: own.depth,
            once,
            metadata,
            payload,
        };
        self.write_sequenced(encoder, Sequenced::Call(open));
    }

    /// Writes the next of what waits in a stream's outbox. Returns whether there was something.
    fn write_items(
        &mut self,
        call: CallId,
        reference: CallRef,
        codec: Codec,
        encoder: &mut Encoder<'_>,
    ) -> bool {
        let Some(stream) = self.stream_mut(call) else { return false };
        let len = match stream.outbox.front() {
            None => return false,
            Some(_) if !stream.may_write() => return true,
            Some(Outbound::Item(bytes)) => bytes.len(),
            Some(Outbound::Gap(_) | Outbound::End) => 0,
        };
        if !self.has_room(call, len) {
            return true;
        }
        let Some(stream) = self.stream_mut(call) else { return false };
        match stream.outbox.pop_front() {
            Some(Outbound::Item(bytes)) => {
                let cost = cost(bytes.len());
                stream.queued -= cost;
                stream.send.write(cost);
                let payload = self.begin_payload(call, bytes, false);
                self.write_sequenced(encoder, Sequenced::Item { call: reference, codec, payload });
                self.update_writable(call);
            }
            Some(Outbound::Gap(missed)) => {
                self.write_sequenced(encoder, Sequenced::Gap { call: reference, missed });
            }
            Some(Outbound::End) => {
                self.write_sequenced(encoder, Sequenced::End { call: reference, last: None });
            }
            None => {}
        }
        true
    }

    fn write_incoming(&mut self, call: CallId, encoder: &mut Encoder<'_>) {
        let reference = CallRef { id: call.id, opener: Opener::Reader };
        let Some(incoming) = self.incoming.get_mut(call) else { return };
        if matches!(incoming.transfer, Writing::Chunks(_)) {
            return;
        }
        let codec = incoming.codec;
        if incoming.acceptance == Acceptance::Due {
            incoming.acceptance = Acceptance::Done;
            return self.write_sequenced(encoder, Sequenced::Accepted { call: reference });
        }
        if incoming.stream.is_some() && self.write_items(call, reference, codec, encoder) {
            return;
        }
        let Some(incoming) = self.incoming.get_mut(call) else { return };
        if matches!(incoming.handling, Handling::Answered(_)) {
            self.write_terminal(call, reference, codec, encoder);
        } else {
            self.write_value(call, reference, codec, encoder);
        }
    }

    /// Writes a watch's value as it is now.
    fn write_value(&mut self, call: CallId, reference: CallRef, codec: Codec, encoder: &mut Encoder<'_>) {
        let limits = &self.config.limits;
        let (max_envelopes, max_bytes) = (limits.unsequenced_envelopes, limits.unsequenced_bytes);
        let Some(incoming) = self.incoming.get_mut(call) else { return };
        let Some(len) = incoming.stream.as_ref().and_then(|it| it.latest.as_ref()).map(Bytes::len) else {
            return;
        };
        // Of a value that travels in chunks, each chunk asks for itself.
        let whole = if len <= WHOLE { len } else { 0 };
        if !self.link.unsequenced.has_room(1, whole, max_envelopes, max_bytes) {
            return self.park(call);
        }
        if !self.has_room(call, len) {
            return;
        }
        let Some(value) = self.stream_mut(call).and_then(|stream| stream.latest.take()) else { return };
        let what = if len <= WHOLE {
            What::Value { call, codec, value: value.clone() }
        } else {
            if let Some(stream) = self.stream_mut(call) {
                stream.sending = Some(value.clone());
            }
            What::Announcement(len as u64)
        };
        let payload = self.begin_payload(call, value, true);
        let value = WatchValue { call: reference, codec, payload };
        self.write_unsequenced(encoder, whole, what, &Envelope::Watch(value));
    }

    /// Writes the newest values of watches before a replay that may be long: those that need no chunks, and as many as fit
    /// into one message. The others keep their place behind it.
    fn write_first_values(&mut self, budget: usize, encoder: &mut Encoder<'_>) {
        let is_first = |incoming: &Incoming| {
            let latest = incoming.stream.as_ref().and_then(|stream| stream.latest.as_ref());
            incoming.is_running()
                && incoming.acceptance == Acceptance::Done
                && latest.is_some_and(|value| value.len() <= WHOLE)
        };
        let watches = self.incoming.iter().filter(|(_, incoming)| is_first(incoming));
        let watches: Vec<_> = watches.map(|(call, incoming)| (call, incoming.codec)).collect();
        for (call, codec) in watches {
            if encoder.len() >= budget {
                return;
            }
            let reference = CallRef { id: call.id, opener: Opener::Reader };
            self.write_value(call, reference, codec, encoder);
        }
    }

    /// A watch waits until something that has no numbers is acknowledged.
    fn park(&mut self, call: CallId) {
        let Self { state, incoming, .. } = self;
        if let Some(incoming) = incoming.get_mut(call) {
            incoming.is_parked = true;
        }
        if state.parked.len() > 64 && state.parked.len() > 2 * incoming.len() {
            state.parked.retain(|&it| incoming.get(it).is_some());
        }
        state.parked.push_back(call);
    }

    /// There is room again in what is unsequenced.
    pub(super) fn unpark(&mut self) {
        for call in std::mem::take(&mut self.state.parked) {
            if let Some(incoming) = self.incoming.get_mut(call) {
                incoming.is_parked = false;
            }
            self.give_turn(call);
        }
    }

    fn write_terminal(&mut self, call: CallId, reference: CallRef, codec: Codec, encoder: &mut Encoder<'_>) {
        let Some(incoming) = self.incoming.get_mut(call) else { return };
        let Handling::Answered(answer) = &incoming.handling else { return };
        let last = match (&incoming.stream, answer) {
            (Some(stream), Answer::End) => stream.latest.clone(),
            _ => None,
        };
        let waits = matches!(answer, Answer::End) && last.is_none() && !incoming.is_unwanted;
        if waits && self.link.unsequenced.holds_large_of(call) {
            // What travels without numbers is not replayed: the end waits until the value before it has arrived, and
            // takes its place if the link is lost before.
            return self.park(call);
        }
        let len = match answer {
            Answer::Response(bytes) | Answer::Failed(WireFailure::Application(bytes)) => bytes.len(),
            Answer::Failed(WireFailure::Status(_)) => 0,
            Answer::End => last.as_ref().map_or(0, Bytes::len),
        };
        if !self.has_room(call, len) {
            return;
        }
        let Some(incoming) = self.incoming.get_mut(call) else { return };
        let Handling::Answered(answer) = std::mem::replace(&mut incoming.handling, Handling::Finishing)
        else {
            return;
        };
        let sequenced = match answer {
            Answer::Response(bytes) => {
                let payload = self.begin_payload(call, bytes, false);
                Sequenced::Response { call: reference, codec, payload }
            }
            Answer::Failed(WireFailure::Application(bytes)) => {
                let payload = self.begin_payload(call, bytes, false);
                Sequenced::Error { call: reference, error: WireError::Application { codec, payload } }
            }
            Answer::Failed(WireFailure::Status(status)) => {
                let Status { code, message, detail } = status;
                Sequenced::Error { call: reference, error: WireError::Status { code, message, detail } }
            }
            Answer::End => {
                let last = last.map(|value| (codec, self.begin_payload(call, value, false)));
                Sequenced::End { call: reference, last }
            }
        };
        self.write_sequenced(encoder, sequenced);
        if len <= WHOLE {
            self.finish_incoming(call);
        }
    }

    /// Gives a call a place in the queue of data, if it has something to write there.
    #[inline]
    pub(super) fn give_turn(&mut self, call: CallId) {
        let wants = match call.origin {
            Origin::Local => self.own.get_mut(call).is_some_and(|own| {
                let wants = own.wants_turn();
                own.has_turn |= wants;
                wants
            }),
            Origin::Remote => self.incoming.get_mut(call).is_some_and(|incoming| {
                let wants = incoming.wants_turn();
                incoming.has_turn |= wants;
                wants
            }),
        };
        if wants {
            self.state.queue.push(Turn::Call(call));
        }
    }

    /// Clears the queue of places that belong to nobody.
    fn tidy_queue(&mut self) {
        let Self { state, own, incoming, .. } = self;
        state.queue.turns.retain(|turn| match turn {
            Turn::Call(call) if call.origin == Origin::Local => own.get(*call).is_some_and(|it| it.has_turn),
            Turn::Call(call) => incoming.get(*call).is_some_and(|it| it.has_turn),
            _ => true,
        });
        state.queue.forgotten = 0;
    }
}

/// What is left until a deadline, in milliseconds. Rounded up: a call is never shorter at the callee than its caller
/// meant.
fn time_left(now: Instant, deadline: Instant) -> u64 {
    let left = deadline.saturating_duration_since(now);
    u64::try_from(left.as_nanos().div_ceil(1_000_000)).unwrap_or(u64::MAX)
}
