//! Large payloads, a piece in each message.

use crate::envelope::{Chunk, Encoder, Envelope, Sequenced};
use crate::session::Session;
use crate::session::callee::Handling;
use crate::session::caller::Stage;
use crate::session::payloads::Writing;
use crate::session::types::{CallId, Origin};
use crate::session::unsequenced::What;

impl Session {
    pub(super) fn write_chunk(&mut self, max: usize, encoder: &mut Encoder<'_>) {
        let limits = &self.config.limits;
        let unsequenced =
            self.link.unsequenced.has_room(1, max, limits.unsequenced_envelopes, limits.unsequenced_bytes);
        self.link.chunk_waits = !unsequenced;
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

    /// The last chunk of a call's payload is written.
    fn finish_payload(&mut self, call: CallId) {
        let last = self.state.sent.head();
        match call.origin {
            Origin::Local => {
                if let Some(own) = self.own.get_mut(call) {
                    own.transfer = Writing::Nothing;
                    if let Stage::Opening { wire } = own.stage {
                        own.stage = Stage::Open { wire, last };
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
}
