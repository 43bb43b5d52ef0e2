//! The caller's side of what a callee sends: acceptance, items, values and the one terminal.

use super::Session;
use super::assembly::{Assembly, Purpose};
use super::caller::WireId;
use super::outgoing::Turn;
use super::payloads::PINNED_BY_ITEM;
use super::stream::Inbound;
use super::types::{CallId, Event, Failure, Origin};
use crate::Instant;
use crate::codec::{Buffer, Codec};
use crate::envelope::{CallRef, Opener, Payload, WireError};
use crate::schema::MethodKind;
use crate::status::{CloseCode, Status};

impl Session {
    /// The call of this end that `wire` names, if its application still wants it. What comes for another is late.
    fn own_call(&mut self, wire: u32) -> Option<CallId> {
        match self.state.wire.get(wire) {
            WireId::Call(call) => Some(call),
            WireId::Free | WireId::Cancelling { .. } | WireId::Cancelled { .. } | WireId::Ended { .. } => {
                self.counted.late += 1;
                None
            }
        }
    }

    fn own_kind(&self, call: CallId) -> Option<MethodKind> {
        self.own.get(call).map(|own| own.kind)
    }

    /// Closes the link: the callee sent what the kind of the call has no place for.
    fn refuse_answer(&mut self, now: Instant) {
        self.close(now, CloseCode::MALFORMED, "an answer that does not fit the kind of its call");
    }

    #[inline]
    pub(super) fn handle_response(&mut self, now: Instant, call: CallRef, codec: Codec, payload: Payload) {
        if call.opener == Opener::Writer {
            return self.close(now, CloseCode::MALFORMED, "a response from the caller");
        }
        let wire = call.id;
        let Some(call) = self.own_call(wire) else {
            return self.skip_answer(now, wire, payload, Terminal::Yes);
        };
        if self.own_kind(call).is_some_and(MethodKind::is_stream) {
            return self.refuse_answer(now);
        }
        match payload {
            Payload::Whole(bytes) => self.finish_response(call, codec, Buffer::Small(bytes)),
            Payload::Chunked { transfer, len } => {
                let purpose = Purpose::Response(call, codec);
                self.begin_assembly(now, (Origin::Local, wire), transfer, len, purpose);
            }
        }
    }

    #[inline]
    pub(super) fn finish_response(&mut self, call: CallId, codec: Codec, buffer: Buffer) {
        self.end_on_wire(call);
        if self.own.forget(call) {
            self.events.push_back(Event::Response { call, result: Ok((codec, buffer)) });
        }
    }

    pub(super) fn handle_error(&mut self, now: Instant, wire: u32, error: WireError) {
        let Some(call) = self.own_call(wire) else {
            let payload = match error {
                WireError::Application { payload, .. } => Some(payload),
                WireError::Status { .. } => None,
            };
            let payload = payload.unwrap_or(Payload::Whole(bytes::Bytes::new()));
            return self.skip_answer(now, wire, payload, Terminal::Yes);
        };
        // Whatever else of the call was under way is given up by the callee.
        let reserved = self.state.assemblies.forget((Origin::Local, wire));
        self.state.granted.give_back_assembly(reserved);
        let failure = match error {
            WireError::Status { code, message, detail } => Failure::Status(Status { code, message, detail }),
            WireError::Application { codec, payload: Payload::Whole(bytes) } => {
                Failure::Application(codec, Buffer::Small(bytes))
            }
            WireError::Application { codec, payload: Payload::Chunked { transfer, len } } => {
                let purpose = Purpose::Failure(call, codec);
                return self.begin_assembly(now, (Origin::Local, wire), transfer, len, purpose);
            }
        };
        self.finish_failure(call, failure);
    }

    pub(super) fn finish_failure(&mut self, call: CallId, failure: Failure) {
        self.end_on_wire(call);
        let Some(own) = self.own.get_mut(call) else { return };
        if own.kind.is_stream() {
            own.end(Err(failure));
            self.notify_reader(call);
        } else {
            self.own.forget(call);
            self.events.push_back(Event::Response { call, result: Err(failure) });
        }
    }

    pub(super) fn handle_accepted(&mut self, now: Instant, wire: u32) {
        let Some(call) = self.own_call(wire) else { return };
        if !self.own_kind(call).is_some_and(MethodKind::is_stream) {
            return self.refuse_answer(now);
        }
        self.accepted(call);
    }

    /// The stream is open: by word, or by its first item.
    fn accepted(&mut self, call: CallId) {
        if let Some(own) = self.own.get_mut(call)
            && !own.is_accepted
        {
            own.is_accepted = true;
            own.deadline = None;
            self.events.push_back(Event::Accepted { call });
        }
    }

    /// An item of the callee.
    pub(super) fn handle_own_item(&mut self, now: Instant, wire: u32, codec: Codec, payload: Payload) {
        let Some(call) = self.own_call(wire) else {
            return self.skip_answer(now, wire, payload, Terminal::No);
        };
        if !self.own_kind(call).is_some_and(MethodKind::has_items) {
            return self.refuse_answer(now);
        }
        self.accepted(call);
        self.receive_item(now, call, (Origin::Local, wire), codec, payload);
    }

    pub(super) fn handle_own_gap(&mut self, now: Instant, wire: u32, missed: u64) {
        let Some(call) = self.own_call(wire) else { return };
        if !self.own_kind(call).is_some_and(MethodKind::has_items) {
            return self.refuse_answer(now);
        }
        self.accepted(call);
        self.receive_gap(call, missed);
    }

    /// A watch's value.
    pub(super) fn handle_value(&mut self, now: Instant, wire: u32, codec: Codec, payload: Payload) {
        let Some(call) = self.own_call(wire) else {
            return self.skip_answer(now, wire, payload, Terminal::Value);
        };
        if self.own_kind(call) != Some(MethodKind::Watch) {
            return self.refuse_answer(now);
        }
        match payload {
            Payload::Whole(bytes) => self.finish_value(call, codec, self.keep(bytes, PINNED_BY_ITEM)),
            Payload::Chunked { transfer, len } => {
                let purpose = Purpose::Value(call, codec);
                self.begin_assembly(now, (Origin::Local, wire), transfer, len, purpose);
            }
        }
    }

    pub(super) fn finish_value(&mut self, call: CallId, codec: Codec, buffer: Buffer) {
        self.accepted(call);
        let reserved = reserved_by(&buffer);
        let Some(own) = self.own.get_mut(call) else {
            self.state.granted.give_back_assembly(reserved);
            return;
        };
        own.is_stale = false;
        if let Some(stream) = &mut own.stream {
            // Only the newest value matters.
            let older = stream.clear_inbox();
            stream.inbox.push_back(Inbound::Item { codec, buffer, reserved });
            self.state.granted.give_back_assembly(older);
        }
        self.notify_reader(call);
    }

    /// The callee's items are over.
    pub(super) fn handle_own_end(&mut self, now: Instant, wire: u32, last: Option<(Codec, Payload)>) {
        let Some(call) = self.own_call(wire) else {
            let payload = last.map_or(Payload::Whole(bytes::Bytes::new()), |(_, payload)| payload);
            return self.skip_answer(now, wire, payload, Terminal::Yes);
        };
        let kind = self.own_kind(call);
        if !kind.is_some_and(MethodKind::is_stream) || (last.is_some() && kind != Some(MethodKind::Watch)) {
            return self.refuse_answer(now);
        }
        match last {
            Some((codec, Payload::Chunked { transfer, len })) => {
                let purpose = Purpose::LastValue(call, codec);
                return self.begin_assembly(now, (Origin::Local, wire), transfer, len, purpose);
            }
            Some((codec, Payload::Whole(bytes))) => {
                self.finish_value(call, codec, self.keep(bytes, PINNED_BY_ITEM))
            }
            None => {}
        }
        self.finish_end(call);
    }

    pub(super) fn finish_end(&mut self, call: CallId) {
        self.accepted(call);
        self.end_on_wire(call);
        if let Some(own) = self.own.get_mut(call) {
            own.end(Ok(()));
        }
        self.notify_reader(call);
    }

    /// The terminal of a call came: nothing more is written for it, and its id on the wire is free.
    #[inline]
    fn end_on_wire(&mut self, call: CallId) {
        let Some(own) = self.own.get_mut(call) else { return };
        let Some(wire) = own.wire() else { return };
        let transfer = std::mem::take(&mut own.transfer).chunks();
        let room = std::mem::take(&mut own.room);
        if std::mem::take(&mut own.has_turn) {
            self.state.queue.forget_one();
        }
        if let Some(stream) = &mut own.stream {
            stream.clear_outbox();
            stream.writable = false;
        }
        self.return_room(room);
        self.free_wire(wire, transfer);
        let reserved = self.state.assemblies.forget((Origin::Local, wire));
        self.state.granted.give_back_assembly(reserved);
    }

    /// The terminal of the call with this id came.
    fn free_wire(&mut self, wire: u32, transfer: Option<u32>) {
        match transfer {
            Some(transfer) => {
                // The callee throws the rest away; a cancel for the ended id tells it where that stops.
                self.state.transfers.give_up(transfer);
                self.state.wire.set(wire, WireId::Ended { transfer: Some(transfer) });
                self.state.queue.push(Turn::Cancel(wire));
            }
            None => self.state.wire.set(wire, WireId::Free),
        }
    }

    /// Drops what comes for a call that nobody waits for, and keeps the books.
    fn skip_answer(&mut self, now: Instant, wire: u32, payload: Payload, terminal: Terminal) {
        if terminal == Terminal::Yes {
            let reserved = self.state.assemblies.forget((Origin::Local, wire));
            self.state.granted.give_back_assembly(reserved);
        }
        if let Payload::Chunked { transfer, len } = payload {
            // The id stays in use until the last chunk of a terminal came.
            let (unsequenced, ends) = (terminal == Terminal::Value, terminal == Terminal::Yes);
            let len = len.min(usize::MAX as u64) as usize;
            let assembly = Assembly::discarded(now, (Origin::Local, wire), len, unsequenced, ends);
            self.begin_discard(now, transfer, assembly);
        } else if terminal == Terminal::Yes {
            self.end_orphan(wire);
        }
    }

    /// The terminal of a call that was cancelled at this end came.
    pub(super) fn end_orphan(&mut self, wire: u32) {
        match self.state.wire.get(wire) {
            WireId::Cancelled { .. } => self.state.wire.set(wire, WireId::Free),
            WireId::Cancelling { transfer, .. } => self.state.wire.set(wire, WireId::Ended { transfer }),
            WireId::Free | WireId::Call(_) | WireId::Ended { .. } => {}
        }
    }
}

/// Whether an envelope that is dropped ends its call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Terminal {
    Yes,
    No,
    /// A watch value: not terminal, and its chunks carry no numbers.
    Value,
}

/// What of the assembly window a payload holds until it is taken.
pub(super) fn reserved_by(buffer: &Buffer) -> u64 {
    match buffer {
        Buffer::Small(_) => 0,
        Buffer::Assembled(bytes) => bytes.len() as u64,
    }
}
