//! One-way calls: sent or dropped at once, counted when dropped, bounded where they run.

use bytes::Bytes;

use super::Session;
use super::caller::{check_metadata, too_large};
use super::outgoing::Turn;
use super::payloads::PINNED_BY_CALL;
use super::services::{Agreement, Waiter};
use super::types::{Event, IncomingNotify, NotifyTicket, Request};
use super::unsequenced::What;
use crate::Instant;
use crate::codec::{Arguments, Codec};
use crate::envelope::{Encoder, Envelope, Notify};
use crate::schema::MethodKind;
use crate::status::{Code, Status};

/// A notify that waits for its place.
#[derive(Debug)]
pub(super) struct Outgoing {
    service: u16,
    method: u16,
    arguments: Arguments,
    metadata: Vec<(String, String)>,
}

impl Session {
    /// Makes a one-way call. It may be dropped, and is counted then.
    ///
    /// # Errors
    ///
    /// `Unavailable` when the session is not live; `ResourceExhausted` when too much of the kind is under way, or the
    /// arguments exceed what a notify may carry; `Unimplemented` and `SchemaMismatch` where the other end is known not
    /// to serve the method.
    pub fn notify(&mut self, _now: Instant, request: Request) -> Result<(), Status> {
        let result = self.try_notify(request);
        if result.is_err() {
            self.counted.notifies_dropped += 1;
        }
        result
    }

    fn try_notify(&mut self, request: Request) -> Result<(), Status> {
        if !self.is_live() {
            return Err(Status::new(Code::Unavailable, "the session is not live"));
        }
        let Some(method) = request.service.methods.get(request.method) else {
            return Err(Status::new(Code::Unimplemented, "the service has no such method"));
        };
        if method.kind != MethodKind::Notify {
            return Err(Status::new(Code::InvalidArgument, "a call of this kind is not a notify"));
        }
        let limits = &self.config.limits;
        let len = request.arguments.rkyv.len();
        if len > limits.notify_payload {
            return Err(too_large("the arguments of a notify", len, limits.notify_payload));
        }
        check_metadata(&request.metadata, limits)?;
        let (queued, bytes) = self.state.notifies;
        let has_room = self.link.unsequenced.has_room(
            queued + 1,
            bytes + len,
            limits.unsequenced_envelopes,
            limits.unsequenced_bytes,
        );
        let is_first = queued == 0;
        let fits = queued < limits.unsequenced_envelopes && bytes + len <= limits.unsequenced_bytes;
        if !has_room || !(is_first || fits) {
            return Err(Status::new(Code::ResourceExhausted, "too much one-way data is under way"));
        }
        let Some(service) = self.service_number(request.service) else {
            return Err(Status::new(Code::ResourceExhausted, "a session calls at most 64 services"));
        };
        let notify = Outgoing {
            service,
            method: request.method as u16,
            arguments: request.arguments,
            metadata: request.metadata,
        };
        match self.agreement(service).agree(request.service, request.method) {
            Some(Ok(_)) => self.queue_notify(notify),
            Some(Err(status)) => return Err(status),
            None => {
                self.state.notifies.0 += 1;
                self.state.notifies.1 += len;
                if let Agreement::Pending(waiters) = self.agreement(service) {
                    waiters.push(Waiter::Notify(Box::new(notify)));
                }
            }
        }
        Ok(())
    }

    fn queue_notify(&mut self, notify: Outgoing) {
        self.state.notifies.0 += 1;
        self.state.notifies.1 += notify.arguments.rkyv.len();
        self.state.queue.push(Turn::Notify(Box::new(notify)));
    }

    /// The link is gone: what was not written of this kind is dropped.
    pub(super) fn drop_notifies(&mut self) {
        self.counted.notifies_dropped += self.state.notifies.0 as u64;
        self.state.notifies = (0, 0);
        self.state.queue.drop_notifies();
        for agreement in &mut self.state.agreements {
            if let Agreement::Pending(waiters) = agreement {
                waiters.retain(|waiter| !matches!(waiter, Waiter::Notify(_)));
            }
        }
    }

    /// The session is lost: nobody will say what arrived of what was written, on the link that is there and on the last
    /// one.
    pub(super) fn drop_notifies_under_way(&mut self) {
        let last = self.state.unresolved.take().map_or(0, |(_, unsequenced)| unsequenced.notifies());
        let this = std::mem::take(&mut self.link.unsequenced).notifies();
        self.counted.notifies_dropped += last + this;
    }

    /// The answer to a declaration came for which a notify waited.
    pub(super) fn send_notify(&mut self, notify: Outgoing) {
        self.state.notifies.0 -= 1;
        self.state.notifies.1 -= notify.arguments.rkyv.len();
        let service = self.services[usize::from(notify.service)];
        match self.agreement(notify.service).agree(service, usize::from(notify.method)) {
            Some(Ok(_)) => self.queue_notify(notify),
            Some(Err(_)) | None => self.counted.notifies_dropped += 1,
        }
    }

    /// Writes a notify, or drops it where it has no room any more.
    pub(super) fn write_notify(&mut self, notify: Outgoing, encoder: &mut Encoder<'_>) {
        self.state.notifies.0 -= 1;
        self.state.notifies.1 -= notify.arguments.rkyv.len();
        match self.encode_notify(notify) {
            Some(notify) => {
                self.link.unsequenced.write(notify.payload.len(), What::Notify);
                self.counted.envelopes_out += 1;
                encoder.push(&Envelope::Notify(notify));
            }
            None => self.counted.notifies_dropped += 1,
        }
    }

    fn encode_notify(&mut self, notify: Outgoing) -> Option<Notify> {
        let service = self.services[usize::from(notify.service)];
        let agreed = self.agreement(notify.service).agree(service, usize::from(notify.method));
        let (method, codec) = agreed?.ok()?;
        let payload = match codec {
            Codec::Rkyv => notify.arguments.rkyv,
            Codec::Json => Bytes::from((notify.arguments.recode)(&notify.arguments.rkyv).ok()?),
        };
        let limits = &self.config.limits;
        let fits = payload.len() <= limits.notify_payload.min(self.state.peer_payload())
            && self.link.unsequenced.has_room(
                1,
                payload.len(),
                limits.unsequenced_envelopes,
                limits.unsequenced_bytes,
            );
        let service = u32::from(notify.service);
        fits.then_some(Notify { service, method, codec, metadata: notify.metadata, payload })
    }

    /// A one-way call came.
    pub(super) fn handle_notify(&mut self, notify: Notify) {
        let limits = &self.config.limits;
        let found = self.find_method(notify.service, notify.method).ok();
        let found = found.filter(|&(service, method)| service.methods[method].kind == MethodKind::Notify);
        let runs = (self.state.notifies_running as usize) < limits.notifies_running
            && notify.payload.len() <= limits.notify_payload
            && check_metadata(&notify.metadata, limits).is_ok();
        let Some((service, method)) = found.filter(|_| runs) else {
            self.counted.notifies_refused += 1;
            return;
        };
        self.state.notifies_running += 1;
        self.events.push_back(Event::Notify(IncomingNotify {
            ticket: NotifyTicket { session: self.sessions },
            service,
            method,
            codec: notify.codec,
            metadata: notify.metadata,
            buffer: self.keep(notify.payload, PINNED_BY_CALL),
        }));
    }

    /// The handler of a notify is done, or was never started.
    pub fn finish_notify(&mut self, ticket: NotifyTicket) {
        if ticket.session == self.sessions {
            self.state.notifies_running = self.state.notifies_running.saturating_sub(1);
        }
    }
}
