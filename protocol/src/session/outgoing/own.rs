//! What calls of this end write: the opening, items, the cancel.

use crate::Instant;
use crate::envelope::{CallRef, Carried, Encoder, OnceKey, Opener, Opening, Payload, Sequenced};
use crate::schema::Retry;
use crate::session::Session;
use crate::session::caller::{Stage, WireId, earlier, too_large};
use crate::session::payloads::{Room, WHOLE};
use crate::session::types::{CallId, Failure, Role};
use crate::status::{Code, Status};

impl Session {
    /// Writes what is next of a call of this end that has its turn, and says whether it had.
    // Apart: else what it asks for is asked for before a loop in which it does not come up.
    #[inline(never)]
    pub(super) fn write_own(
        &mut self,
        now: Instant,
        call: CallId,
        full: usize,
        encoder: &mut Encoder<'_>,
    ) -> bool {
        let Some(own) = self.own.get_mut(call) else { return false };
        if !std::mem::take(&mut own.has_turn) {
            return false;
        }
        match (&own.stage, own.agreed) {
            (Stage::Queued, _) => self.write_opening(now, call, encoder),
            (&Stage::Open { wire, .. }, Some((_, codec))) => {
                let reference = CallRef { id: wire, opener: Opener::Writer };
                self.write_items(call, reference, codec, full, encoder);
            }
            _ => {}
        }
        true
    }

    fn write_opening(&mut self, now: Instant, call: CallId, encoder: &mut Encoder<'_>) {
        let max = self.state.peer_payload();
        let bound = u64::from(self.state.peer.calls) + u64::from(self.state.peer.streams);
        let Some(own) = self.own.get_mut(call) else { return };
        let (Some((method, codec)), Some(ask)) = (own.agreed, &mut own.ask) else { return };
        if let Err(error) = ask.encode(codec) {
            let message = format!("the arguments can't become JSON: {error}");
            let status = Status::new(Code::InvalidArgument, message);
            return self.fail(call, Failure::Status(status));
        }
        let len = ask.bytes().len();
        if len > max {
            let status = too_large("the arguments", len, max);
            return self.fail(call, Failure::Status(status));
        }
        if own.deadline.is_some_and(|deadline| deadline <= now) {
            let delivery = own.delivery();
            return self.fail(call, Failure::DeadlineExceeded(delivery));
        }
        let is_large = len > WHOLE;
        if (is_large || own.room != Room::Unneeded) && !self.has_room(call, len) {
            return;
        }
        let Some(wire) = self.state.wire.assign(call, bound) else {
            // The other end states fewer ids than credit for calls; nothing of ours can repair that.
            let status = Status::new(Code::ResourceExhausted, "the other end has no place for a call");
            return self.fail(call, Failure::Status(status));
        };
        let announced = is_large.then(|| self.begin_large(call)).flatten();
        let Self { own: calls, state, counted, role, own_deadline, .. } = self;
        let Some(own) = calls.get_mut(call) else { return };
        let Some(ask) = &mut own.ask else { return };
        if let Some(queued) = own.queued.take() {
            own.deadline = queued.timeout.and_then(|timeout| now.checked_add(timeout));
            *own_deadline = earlier(*own_deadline, own.deadline);
        }
        let once = ask.once.as_mut().filter(|_| own.retry == Retry::Once).and_then(|once| {
            let known = state.once?;
            Some(OnceKey { key: once.key, table: *once.table.get_or_insert(known) })
        });
        let seq = state.sent.next();
        counted.envelopes_out += 1;
        encoder.push_call(
            seq,
            &Opening {
                id: wire,
                service: u32::from(own.service_number),
                method,
                codec,
                time_left_ms: own.deadline.map(|deadline| time_left(now, deadline)),
                depth: own.depth,
                once,
                metadata: &ask.metadata,
                payload: announced.as_ref().map_or(Carried::Whole(ask.bytes()), Carried::from),
            },
        );
        own.stage = if is_large { Stage::Opening { wire } } else { Stage::Open { wire, last: seq } };
        // Calls from inside a handler are never asked again, and a server asks nothing again.
        if *role == Role::Client && own.depth == 0 {
            ask.encoded = None;
        } else {
            own.ask = None;
        }
    }

    /// Begins to send the arguments of a call in chunks.
    fn begin_large(&mut self, call: CallId) -> Option<Payload> {
        let bytes = self.own.get(call)?.ask.as_ref()?.bytes().clone();
        Some(self.begin_payload(call, bytes, false))
    }

    #[inline(never)]
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
    left.as_secs().saturating_mul(1000).saturating_add(left.subsec_nanos().div_ceil(1_000_000).into())
}
