//! Messages in: what each envelope does, and what breaks the rules.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::Session;
use super::assembly::{Assembly, Purpose, Sink};
use super::caller::Class;
use super::floods::Flood;
use super::handshake::MIN_MESSAGE;
use super::pool::Share;
use super::received::Arrival;
use super::types::{Event, Failure, Origin, Role};
use crate::Instant;
use crate::codec::{Buffer, Codec};
use crate::envelope::{
    Ack, CallOpen, CallRef, Chunk, Control, Credit, Decoder, Envelope, Hear, Opener, Payload, Sequenced,
};
use crate::status::{CloseCode, Code, Status};

/// What is wrong with an envelope that comes too early.
const EARLY: &str = "nothing is said before hello and welcome";

/// Takes in the next envelope of a message.
struct Hearing<'a> {
    session: &'a mut Session,
    now: Instant,
    /// It was an item: its number, call and codec.
    item: Option<(u64, CallRef, Codec)>,
}

impl Hear for Hearing<'_> {
    #[inline]
    fn call(&mut self, seq: u64, open: CallOpen) {
        if self.session.accepts(self.now, seq) {
            self.session.handle_call(self.now, open);
        }
    }

    #[inline]
    fn response(&mut self, seq: u64, call: CallRef, codec: Codec, payload: Payload) {
        if self.session.accepts(self.now, seq) {
            self.session.handle_response(self.now, call, codec, payload);
        }
    }

    #[inline]
    fn sequenced(&mut self, seq: u64, sequenced: Sequenced) {
        if let Sequenced::Item { call, codec, .. } = &sequenced {
            self.item = Some((seq, *call, *codec));
        }
        if self.session.accepts(self.now, seq) {
            self.session.handle_sequenced(self.now, sequenced);
        }
    }

    fn unnumbered(&mut self, envelope: Envelope) {
        self.session.handle_unnumbered(self.now, envelope);
    }
}

impl Session {
    /// A whole binary message came.
    pub fn handle_message(&mut self, now: Instant, message: Bytes) {
        if !self.link.phase.reads() {
            return;
        }
        self.counted.messages_in += 1;
        let len = message.len();
        self.counted.bytes_in += len as u64;
        if len > self.message_in() {
            let reason = format!("a message of {len} bytes; {} are accepted", self.message_in());
            return self.close(now, CloseCode::TOO_BIG, &reason);
        }
        self.link.message = len;
        self.link.heartbeat.handle_message(now);
        let mut decoder = Decoder::new(message);
        loop {
            let mut hearing = Hearing { session: self, now, item: None };
            let heard = decoder.next_to(&mut hearing);
            let item = hearing.item;
            match heard {
                None => break,
                Some(Ok(())) => {}
                Some(Err(error)) => self.close(now, error.close_code(), &error.to_string()),
            }
            if !self.link.phase.reads() {
                return;
            }
            self.counted.envelopes_in += 1;
            // Behind a duplicate there may be more.
            if let Some((seq, call, codec)) = item
                && self.state.received.processed().seq == seq
            {
                self.receive_run(now, call, codec, &mut decoder);
                if !self.link.phase.reads() {
                    return;
                }
            }
        }
        self.state.received.finish_message(now, len, self.config.timing.ack_delay);
    }

    /// A text message came where only binary ones are due.
    pub fn handle_text(&mut self, now: Instant) {
        if self.link.phase.reads() {
            self.close(now, CloseCode::UNSUPPORTED, "bowline.v1 speaks in binary messages, this one is text");
        }
    }

    /// Whether what has this number is to be processed: on a live session, as the next one.
    #[inline]
    fn accepts(&mut self, now: Instant, seq: u64) -> bool {
        if !self.is_live() {
            self.close(now, CloseCode::MALFORMED, EARLY);
            return false;
        }
        match self.state.received.accept(seq) {
            Arrival::Next => return true,
            Arrival::Duplicate => self.counted.duplicates += 1,
            Arrival::OutOfStep => self.lose_step(now, seq),
        }
        false
    }

    #[cold]
    fn lose_step(&mut self, now: Instant, seq: u64) {
        let reason = format!("sequence number {seq} is not the next");
        self.close(now, CloseCode::OUT_OF_STEP, &reason);
    }

    fn handle_unnumbered(&mut self, now: Instant, envelope: Envelope) {
        if !self.is_live() {
            return self.handle_early(now, envelope);
        }
        match envelope {
            Envelope::Control(control) => self.handle_control(now, control),
            Envelope::Watch(value) => {
                self.state.received.accept_unsequenced();
                match value.call.opener {
                    Opener::Reader => self.handle_value(now, value.call.id, value.codec, value.payload),
                    Opener::Writer => self.close(now, CloseCode::MALFORMED, "a watch value from the caller"),
                }
            }
            Envelope::Notify(notify) => {
                self.state.received.accept_unsequenced();
                self.handle_notify(notify);
            }
            Envelope::WatchChunk(chunk) => {
                self.state.received.accept_unsequenced();
                self.handle_chunk(now, chunk, true);
            }
            Envelope::Sequenced(seq, sequenced) => {
                if self.accepts(now, seq) {
                    self.handle_sequenced(now, sequenced);
                }
            }
        }
    }

    /// Before the session is live, only the handshake is spoken.
    fn handle_early(&mut self, now: Instant, envelope: Envelope) {
        match envelope {
            Envelope::Control(Control::Hello(hello)) => self.handle_hello(now, hello),
            Envelope::Control(Control::Welcome(welcome)) => self.handle_welcome(now, welcome),
            Envelope::Control(Control::Closing { .. }) => {}
            _ => self.close(now, CloseCode::MALFORMED, EARLY),
        }
    }

    fn handle_sequenced(&mut self, now: Instant, envelope: Sequenced) {
        match envelope {
            Sequenced::Call(open) => self.handle_call(now, open),
            Sequenced::Response { call, codec, payload } => self.handle_response(now, call, codec, payload),
            Sequenced::Error { call, error } => match call.opener {
                Opener::Reader => self.handle_error(now, call.id, error),
                Opener::Writer => self.close(now, CloseCode::MALFORMED, "an error from the caller"),
            },
            Sequenced::Item { call, codec, payload } => match call.opener {
                Opener::Reader => self.handle_own_item(now, call.id, codec, payload),
                Opener::Writer => self.handle_upload_item(now, call.id, codec, payload),
            },
            Sequenced::Gap { call, missed } => match call.opener {
                Opener::Reader => self.handle_own_gap(now, call.id, missed),
                Opener::Writer => self.handle_upload_gap(now, call.id, missed),
            },
            Sequenced::End { call, last } => match (call.opener, last) {
                (Opener::Reader, last) => self.handle_own_end(now, call.id, last),
                (Opener::Writer, None) => self.handle_upload_end(now, call.id),
                (Opener::Writer, Some(_)) => {
                    self.close(now, CloseCode::MALFORMED, "a watch value from the caller");
                }
            },
            Sequenced::Accepted { call } => match call.opener {
                Opener::Reader => self.handle_accepted(now, call.id),
                Opener::Writer => self.close(now, CloseCode::MALFORMED, "an acceptance from the caller"),
            },
            Sequenced::Cancel { call } => match call.opener {
                Opener::Writer => {
                    self.count_flood(now, Flood::Cancel);
                    self.handle_cancel(call.id);
                }
                Opener::Reader => self.close(now, CloseCode::MALFORMED, "a cancel from the callee"),
            },
            // It stands in for a call that was withdrawn before a replay; a call that was never here has nothing to
            // withdraw.
            Sequenced::Void { .. } => self.counted.late += 1,
            Sequenced::Chunk(chunk) => self.handle_chunk(now, chunk, false),
            Sequenced::Declare { service, declaration } => self.handle_declare(now, service, &declaration),
            Sequenced::Declared { service, answer } => self.handle_declared(now, service, answer),
        }
    }

    fn handle_control(&mut self, now: Instant, control: Control) {
        match control {
            Control::Ack(ack) => self.handle_ack(now, ack),
            Control::Credit(credit) => self.handle_credit(now, credit),
            Control::Ping { nonce } => {
                self.count_flood(now, Flood::Ping);
                self.link.pong = Some(nonce);
                self.link.heartbeat.handle_ping(now, &self.config.timing);
            }
            Control::Pong { nonce, ack, once_tick } => {
                self.link.heartbeat.handle_pong(now, nonce);
                if let Some(table) = self.state.once.as_mut().filter(|_| self.role == Role::Client) {
                    table.tick = table.tick.max(once_tick);
                }
                self.handle_ack(now, ack);
            }
            Control::Auth { .. } => {
                self.count_flood(now, Flood::Auth);
                self.link.auth_answer_due = true;
            }
            Control::GoAway { spread_ms } if self.role == Role::Client => {
                // The first word counts: a message has room for half a million.
                if !std::mem::replace(&mut self.link.is_announced, true) {
                    self.events.push_back(Event::GoAway { spread: Duration::from_millis(spread_ms) });
                }
            }
            Control::Closing { code, .. } => self.count_strike(code),
            // Nothing was asked; a server does not move.
            Control::AuthAnswer { .. } | Control::GoAway { .. } => {}
            Control::Hello(_) | Control::Welcome(_) => {
                self.close(now, CloseCode::MALFORMED, "a handshake in a live session");
            }
        }
    }

    fn handle_ack(&mut self, now: Instant, ack: Ack) {
        let sequenced = self.state.sent.handle_ack(ack.seq);
        let unsequenced = self.link.unsequenced.handle_ack(ack.unsequenced);
        let (Ok(is_news), Ok(is_more)) = (sequenced, unsequenced) else {
            return self.close(now, CloseCode::OUT_OF_STEP, "an acknowledgement of what was never sent");
        };
        if self.role == Role::Server && !std::mem::replace(&mut self.link.proved, true) {
            self.events.push_back(Event::Proved);
        }
        if is_news {
            self.state.strikes = 0;
            self.tell_acknowledged();
        }
        if is_more {
            self.unpark();
        }
        if (is_news || is_more)
            && let Some(acked) = self.state.sent.release(self.link.unsequenced.acked())
        {
            self.pace_ack(now, &acked);
        }
        if !is_news && !is_more {
            self.count_flood(now, Flood::Ack);
        }
    }

    fn handle_credit(&mut self, now: Instant, credit: Credit) {
        match credit {
            Credit::Calls { total } => {
                self.state.opening[Class::Call as usize].raise(total);
                self.admit_waiting(Class::Call);
            }
            Credit::Streams { total } => {
                self.state.opening[Class::Stream as usize].raise(total);
                self.admit_waiting(Class::Stream);
            }
            Credit::Assembly { total } => {
                self.state.assembly_opening.raise(total);
                self.grant_large();
            }
            Credit::Items { call, taken, total } => {
                self.handle_item_credit(now, call, taken, total);
            }
        }
    }

    /// A large payload for something that is wanted begins.
    pub(super) fn begin_assembly(
        &mut self,
        now: Instant,
        wire: (Origin, u32),
        transfer: u32,
        len: u64,
        purpose: Purpose,
    ) {
        if !self.reserve_assembly(now, transfer, len) {
            return;
        }
        match self.admit_payload(len) {
            Ok(share) => {
                let assembly = Assembly { share, ..Assembly::new(now, wire, len as usize, purpose) };
                self.state.assemblies.begin(transfer, assembly);
            }
            Err(status) => {
                // The call fails; its bytes are thrown away as they come.
                self.state.granted.give_back_assembly(len);
                let ends =
                    matches!(purpose, Purpose::Response(..) | Purpose::Failure(..) | Purpose::LastValue(..));
                let unsequenced = matches!(purpose, Purpose::Value(..));
                let assembly = Assembly::discarded(now, wire, len as usize, unsequenced, ends);
                self.state.assemblies.begin(transfer, assembly);
                self.fail_either(purpose.call(), status);
            }
        }
    }

    /// Whether a large payload may begin, and what it then has of the node's pool.
    fn admit_payload(&self, len: u64) -> Result<Option<Share>, Status> {
        let max = self.config.limits.payload_in;
        if len > max as u64 {
            let message = format!("a payload of {len} bytes; {max} are accepted");
            return Err(Status::new(Code::ResourceExhausted, message));
        }
        let Some(pool) = &self.pool else { return Ok(None) };
        match pool.take(len as usize) {
            Some(share) => Ok(Some(share)),
            None => {
                let message = "no more large payloads are taken at the moment";
                Err(Status::new(Code::ResourceExhausted, message))
            }
        }
    }

    /// A large payload that nobody waits for begins.
    pub(super) fn begin_discard(&mut self, now: Instant, transfer: u32, assembly: Assembly) {
        let len = assembly.len as u64;
        if self.reserve_assembly(now, transfer, len) {
            self.state.granted.give_back_assembly(len);
            self.state.assemblies.begin(transfer, assembly);
        }
    }

    fn reserve_assembly(&mut self, now: Instant, transfer: u32, len: u64) -> bool {
        if !self.state.assemblies.is_free(transfer) {
            self.close(now, CloseCode::MALFORMED, "the number of a large payload is in use or out of range");
            return false;
        }
        if usize::try_from(len).is_err() || self.state.granted.take_assembly(len).is_err() {
            self.close(now, CloseCode::MALFORMED, "more bytes of large payloads than allowed");
            return false;
        }
        true
    }

    fn handle_chunk(&mut self, now: Instant, chunk: Chunk, unsequenced: bool) {
        let Chunk { transfer, bytes } = chunk;
        match self.state.assemblies.push(now, transfer, &bytes, unsequenced) {
            Ok(None) => {}
            Ok(Some(assembly)) => self.finish_assembly(now, assembly),
            Err(_) => self.close(now, CloseCode::MALFORMED, "a chunk that belongs to no large payload"),
        }
    }

    fn finish_assembly(&mut self, now: Instant, assembly: Assembly) {
        let Assembly { wire, len, sink, ends, .. } = assembly;
        let (purpose, buffer) = match sink {
            Sink::Keep(purpose, buffer) => (purpose, Buffer::Assembled(Arc::new(buffer.into()))),
            Sink::Discard => {
                self.counted.late += 1;
                if ends && wire.0 == Origin::Local {
                    self.end_orphan(wire.1);
                }
                return;
            }
        };
        // Items and values hold their part of the window until they are read.
        if !matches!(purpose, Purpose::Item(..) | Purpose::Value(..) | Purpose::LastValue(..)) {
            self.state.granted.give_back_assembly(len as u64);
        }
        match purpose {
            Purpose::Arguments(incoming) => self.start(now, *incoming, buffer),
            Purpose::Item(call, codec) => self.deliver_item(call, codec, buffer),
            Purpose::Response(call, codec) => self.finish_response(call, codec, buffer),
            Purpose::Failure(call, codec) => {
                self.finish_failure(call, Failure::Application(codec, buffer));
            }
            Purpose::Value(call, codec) => self.finish_value(call, codec, buffer),
            Purpose::LastValue(call, codec) => {
                self.finish_value(call, codec, buffer);
                self.finish_end(call);
            }
        }
    }

    /// The largest message that is read: never below what one envelope may need.
    pub(super) fn message_in(&self) -> usize {
        self.config.limits.message_in.max(MIN_MESSAGE)
    }
}
