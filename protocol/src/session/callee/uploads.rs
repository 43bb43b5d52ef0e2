//! What a caller sends behind its call: items, gaps and their end.

use super::Handling;
use crate::Instant;
use crate::codec::Codec;
use crate::envelope::Payload;
use crate::session::Session;
use crate::session::assembly::Assembly;
use crate::session::types::{CallId, Origin, Stop};
use crate::status::{CloseCode, Code, Status};

impl Session {
    pub(in crate::session) fn handle_upload_item(
        &mut self,
        now: Instant,
        wire: u32,
        codec: Codec,
        payload: Payload,
    ) {
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

    pub(in crate::session) fn handle_upload_gap(&mut self, now: Instant, wire: u32, missed: u64) {
        if let Some(call) = self.uploading(now, wire) {
            self.receive_gap(call, missed);
        }
    }

    pub(in crate::session) fn handle_upload_end(&mut self, now: Instant, wire: u32) {
        if let Some(call) = self.uploading(now, wire) {
            if let Some(stream) = self.stream_mut(call) {
                stream.received_end = true;
            }
            self.notify_reader(call);
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
}
