//! What calls of the other end have written for them: acceptance, items, a watch's values, the terminal.

use bytes::Bytes;

use crate::codec::Codec;
use crate::envelope::{CallRef, Encoder, Envelope, Opener, Sequenced, WatchValue, WireError};
use crate::session::Session;
use crate::session::callee::{Acceptance, Answer, Handling, Incoming};
use crate::session::outgoing::Turn;
use crate::session::payloads::{Room, WHOLE, Writing};
use crate::session::types::{CallId, WireFailure};
use crate::session::unsequenced::What;
use crate::status::Status;

impl Session {
    /// Writes the newest values of watches before a replay that may be long: those that need no chunks, and as many as fit
    /// into one message. The others keep their place behind it.
    pub(super) fn write_first_values(&mut self, budget: usize, encoder: &mut Encoder<'_>) {
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

    /// Writes what is next of a received call that has its turn, and says whether it had.
    pub(super) fn write_incoming(&mut self, call: CallId, full: usize, encoder: &mut Encoder<'_>) -> bool {
        let reference = CallRef { id: call.id, opener: Opener::Reader };
        let Some(incoming) = self.incoming.get_mut(call) else { return false };
        if !std::mem::take(&mut incoming.has_turn) {
            return false;
        }
        let codec = incoming.codec;
        if matches!(incoming.transfer, Writing::Chunks(_)) {
            // It goes on behind its last chunk.
        } else if incoming.acceptance == Acceptance::Due {
            incoming.acceptance = Acceptance::Done;
            self.write_sequenced(encoder, Sequenced::Accepted { call: reference });
        } else if incoming.stream.is_none() || !self.write_items(call, reference, codec, full, encoder) {
            let is_answered =
                self.incoming.get(call).is_some_and(|it| matches!(it.handling, Handling::Answered(_)));
            if is_answered {
                self.write_terminal(call, reference, codec, encoder);
            } else {
                self.write_value(call, reference, codec, encoder);
            }
        }
        true
    }

    /// Writes a watch's value as it is now, unless it has to wait, first come first served: else the larger ones would never
    /// have room beside smaller ones.
    fn write_value(&mut self, call: CallId, reference: CallRef, codec: Codec, encoder: &mut Encoder<'_>) {
        let Some(incoming) = self.incoming.get(call) else { return };
        if incoming.stream.as_ref().is_none_or(|stream| stream.latest.is_none()) {
            return;
        }
        if self.state.values_wait || !self.write_value_now(call, reference, codec, encoder) {
            self.state.values_wait = true;
            self.park(call);
        }
    }

    /// Whether there was room for the value in what is unsequenced.
    fn write_value_now(
        &mut self,
        call: CallId,
        reference: CallRef,
        codec: Codec,
        encoder: &mut Encoder<'_>,
    ) -> bool {
        let latest = self.incoming.get(call).and_then(|it| it.stream.as_ref()?.latest.as_ref());
        let Some(len) = latest.map(Bytes::len) else { return true };
        // Of a value that travels in chunks, each chunk asks for itself.
        let whole = if len <= WHOLE { len } else { 0 };
        if !self.has_room_for_value(whole) {
            return false;
        }
        if !self.has_room(call, len) {
            return true;
        }
        let Some(value) = self.stream_mut(call).and_then(|stream| stream.latest.take()) else { return true };
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
        true
    }

    /// Whether there is room in what is unsequenced, which the chunk of an earlier value does not wait for.
    fn has_room_for_value(&self, len: usize) -> bool {
        let (limits, sent) = (&self.config.limits, &self.link.unsequenced);
        // Without anything to be acknowledged it would wait for ever.
        let goes_first = self.link.chunk_waits && !sent.is_empty() && self.state.transfers.has_unsequenced();
        !goes_first && sent.has_room(1, len, limits.unsequenced_envelopes, limits.unsequenced_bytes)
    }

    /// Writes values that waited, as many as there is room for.
    pub(super) fn write_parked(&mut self, full: usize, encoder: &mut Encoder<'_>) {
        self.state.parked_have_turn = false;
        while let Some(&call) = self.state.parked.front() {
            if encoder.len() >= full {
                return self.unpark();
            }
            if let Some(incoming) = self.incoming.get(call).filter(|incoming| incoming.is_parked) {
                let codec = incoming.codec;
                let reference = CallRef { id: call.id, opener: Opener::Reader };
                // Else its end carries the value, or has done so.
                let has_value = matches!(incoming.handling, Handling::Running | Handling::Stopped(_))
                    && !matches!(incoming.transfer, Writing::Chunks(_));
                if has_value && !self.write_value_now(call, reference, codec, encoder) {
                    // There is something to be acknowledged, and then its turn comes again.
                    return;
                }
            }
            self.state.parked.pop_front();
            if let Some(incoming) = self.incoming.get_mut(call) {
                incoming.is_parked = false;
            }
            self.give_turn(call);
        }
        self.state.values_wait = false;
    }

    fn write_terminal(&mut self, call: CallId, reference: CallRef, codec: Codec, encoder: &mut Encoder<'_>) {
        let Some(incoming) = self.incoming.get_mut(call) else { return };
        let Handling::Answered(answer) = &incoming.handling else { return };
        if let Answer::Response(bytes) = answer
            && bytes.len() <= WHOLE
            && incoming.room == Room::Unneeded
        {
            // The common case: what it wrote before is written, and it needs no room.
            encoder.push_response(self.state.sent.next(), reference, codec, bytes);
            self.counted.envelopes_out += 1;
            return self.finish_incoming(call);
        }
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

    /// A watch waits until something that has no numbers is acknowledged.
    fn park(&mut self, call: CallId) {
        let Self { state, incoming, .. } = self;
        if let Some(incoming) = incoming.get_mut(call)
            && std::mem::replace(&mut incoming.is_parked, true)
        {
            return;
        }
        if state.parked.len() > 64 && state.parked.len() > 2 * incoming.len() {
            state.parked.retain(|&it| incoming.get(it).is_some());
        }
        state.parked.push_back(call);
    }

    /// There may be room again in what is unsequenced.
    pub(in crate::session) fn unpark(&mut self) {
        if !self.state.parked.is_empty() && !std::mem::replace(&mut self.state.parked_have_turn, true) {
            self.state.queue.push(Turn::Parked);
        }
    }
}
