//! Items of streams, in both directions.

use crate::codec::Codec;
use crate::envelope::{CallRef, Encoder, Sequenced};
use crate::session::Session;
use crate::session::stream::{Outbound, cost};
use crate::session::types::CallId;

impl Session {
    /// Writes the next of what waits in a stream's outbox. Returns whether there was something.
    pub(super) fn write_items(
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
}
