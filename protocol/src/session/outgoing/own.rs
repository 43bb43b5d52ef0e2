//! What calls of this end write: the opening, items, the cancel.

use bytes::Bytes;

use crate::Instant;
use crate::codec::Codec;
use crate::envelope::{CallOpen, CallRef, Encoder, OnceKey, Opener, Payload, Sequenced};
use crate::schema::Retry;
use crate::session::Session;
use crate::session::caller::{Stage, WireId, earlier, too_large};
use crate::session::types::{CallId, Failure, Role};
use crate::status::{Code, Status};

impl Session {
    pub(super) fn write_own(&mut self, now: Instant, call: CallId, full: usize, encoder: &mut Encoder<'_>) {
        let Some(own) = self.own.get_mut(call) else { return };
        match own.stage {
            Stage::Queued(_) => self.write_opening(now, call, encoder),
            Stage::Open { wire, .. } => {
                let Some((_, codec)) = own.agreed else { return };
                let reference = CallRef { id: wire, opener: Opener::Writer };
                self.write_items(call, reference, codec, full, encoder);
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
        let Stage::Queued(mut ask) = std::mem::replace(&mut own.stage, Stage::Over(Ok(()))) else { return };
        let metadata = ask.metadata.clone();
        ask.encoded = None;
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

    pub(super) fn write_cancel(&mut self, wire: u32, encoder: &mut Encoder<'_>) {
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
}

/// What is left until a deadline, in milliseconds. Rounded up: a call is never shorter at the callee than its caller
/// meant.
pub(super) fn time_left(now: Instant, deadline: Instant) -> u64 {
    let left = deadline.saturating_duration_since(now);
    u64::try_from(left.as_nanos().div_ceil(1_000_000)).unwrap_or(u64::MAX)
}
