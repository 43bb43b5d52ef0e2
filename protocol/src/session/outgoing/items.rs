//! Items of streams, in both directions.

use crate::codec::Codec;
use crate::envelope::{CallRef, Encoder, Sequenced};
use crate::session::Session;
use crate::session::items::stream_of;
use crate::session::payloads::WHOLE;
use crate::session::stream::{Outbound, cost};
use crate::session::types::CallId;

/// Bytes of items of one stream before another call gets its turn: some small ones, or one.
const TURN: usize = 1024;

impl Session {
    /// Writes the next of what waits in a stream's outbox: items until the message holds `full` bytes, or a gap, or the
    /// end. Returns whether there was something.
    pub(super) fn write_items(
        &mut self,
        call: CallId,
        reference: CallRef,
        codec: Codec,
        full: usize,
        encoder: &mut Encoder<'_>,
    ) -> bool {
        let Some(stream) = self.stream_mut(call) else { return false };
        let len = match stream.outbox.front() {
            None => return false,
            Some(_) if !stream.may_write() => return true,
            Some(Outbound::Items(items)) => items.next_len(),
            Some(Outbound::Gap(_) | Outbound::End) => 0,
        };
        if !self.has_room(call, len) {
            return true;
        }
        let Some(stream) = self.stream_mut(call) else { return false };
        match stream.outbox.front() {
            Some(Outbound::Items(_)) if len <= WHOLE => {
                let was_writable = stream.writable;
                self.write_run(call, reference, codec, full.min(encoder.len() + TURN), encoder);
                // An item counts the same before and after it was written: who may send another still may.
                if !was_writable {
                    self.update_writable(call);
                }
            }
            Some(Outbound::Items(_)) => {
                self.write_large(call, reference, codec, encoder);
                self.update_writable(call);
            }
            Some(&Outbound::Gap(missed)) => {
                stream.outbox.pop_front();
                self.write_sequenced(encoder, Sequenced::Gap { call: reference, missed });
            }
            Some(Outbound::End) => {
                stream.outbox.pop_front();
                self.write_sequenced(encoder, Sequenced::End { call: reference, last: None });
            }
            None => {}
        }
        true
    }

    /// Writes one item for which there is room, and those behind it that need no chunks until the message holds `full` bytes.
    fn write_run(
        &mut self,
        call: CallId,
        reference: CallRef,
        codec: Codec,
        full: usize,
        encoder: &mut Encoder<'_>,
    ) {
        let Self { own, incoming, state, counted, config, .. } = self;
        let Some(stream) = stream_of(own, incoming, call) else { return };
        loop {
            let Some(Outbound::Items(items)) = stream.outbox.front_mut() else { return };
            let item = items.next();
            let cost = cost(item.len());
            if item.len() > WHOLE || !stream.send.admits(cost) {
                return;
            }
            counted.envelopes_out += 1;
            encoder.push_item(state.sent.next(), reference, codec, item);
            stream.queued -= cost;
            stream.send.write(cost);
            if items.skip() {
                stream.outbox.pop_front();
                if stream.outbox.is_empty() {
                    return;
                }
            }
            if encoder.len() >= full || !state.sent.has_numbers(config.limits.replay_envelopes) {
                return;
            }
        }
    }

    /// Begins to write an item that travels in chunks.
    fn write_large(&mut self, call: CallId, reference: CallRef, codec: Codec, encoder: &mut Encoder<'_>) {
        let Some(stream) = self.stream_mut(call) else { return };
        let Some(Outbound::Items(items)) = stream.outbox.front_mut() else { return };
        let (item, was_last) = items.pop();
        if was_last {
            stream.outbox.pop_front();
        }
        let cost = cost(item.len());
        stream.queued -= cost;
        stream.send.write(cost);
        let payload = self.begin_payload(call, item, false);
        self.write_sequenced(encoder, Sequenced::Item { call: reference, codec, payload });
    }
}
