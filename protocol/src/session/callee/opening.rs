//! A call comes in: it is checked, and given to the application or refused.

use std::time::Duration;

use super::{Answer, Handling, Incoming};
use crate::Instant;
use crate::codec::Buffer;
use crate::envelope::{CallOpen, Payload};
use crate::schema::{MethodKind, ServiceDescriptor};
use crate::session::Session;
use crate::session::assembly::{Assembly, Purpose};
use crate::session::caller::{Class, check_metadata, earlier, too_large};
use crate::session::payloads::PINNED_BY_CALL;
use crate::session::stream::Stream;
use crate::session::types::{Event, IncomingCall, Origin, Stop, WireFailure};
use crate::status::{CloseCode, Code, Status};

impl Session {
    pub(in crate::session) fn handle_call(&mut self, now: Instant, open: CallOpen) {
        let limits = &self.config.limits;
        if u64::from(open.id) >= u64::from(limits.calls) + u64::from(limits.streams) {
            return self.close(now, CloseCode::MALFORMED, "a call id out of range");
        }
        if self.incoming.at(open.id).is_some() {
            return self.close(now, CloseCode::MALFORMED, "the id of a call is in use");
        }
        let found = self.find_method(open.service, open.method);
        // A method that does not exist has no kind: it counts as a call.
        let class =
            found.as_ref().map_or(Class::Call, |&(service, method)| Class::of(service.methods[method].kind));
        if self.state.granted.take(class).is_err() {
            return self.close(now, CloseCode::MALFORMED, "more calls than allowed");
        }
        let (service, method) = match found {
            Ok(found) => found,
            Err(status) => return self.refuse_call(now, open, class, status),
        };
        if let Err(status) = self.check_call((service, method), &open) {
            return self.refuse_call(now, open, class, status);
        }
        let kind = service.methods[method].kind;
        let left = open.time_left_ms.map_or(Duration::MAX, Duration::from_millis);
        let deadline = now + left.min(self.config.timing.deadline_max);
        let has_stream = kind.is_stream() || kind.has_upload();
        let stream = has_stream.then(|| Stream::new(&self.config, &self.state.peer));
        let handling = match open.payload {
            Payload::Whole(_) => Handling::Running,
            Payload::Chunked { .. } => Handling::Assembling,
        };
        let (call, place) = self.incoming.vacant_at(open.id);
        *place = Some(Incoming {
            deadline: Some(deadline),
            is_once: open.once.is_some(),
            stream,
            ..Incoming::new(kind, class, open.codec, handling)
        });
        self.incoming_deadline = earlier(self.incoming_deadline, Some(deadline));
        let mut event = IncomingCall {
            call,
            service,
            method,
            codec: open.codec,
            deadline: Some(deadline),
            depth: open.depth,
            once: open.once,
            metadata: open.metadata,
            buffer: Buffer::default(),
        };
        match open.payload {
            Payload::Whole(bytes) => {
                event.buffer = self.keep(bytes, PINNED_BY_CALL);
                self.events.push_back(Event::Call(event));
            }
            Payload::Chunked { transfer, len } => {
                let purpose = Purpose::Arguments(Box::new(event));
                self.begin_assembly(now, (Origin::Remote, open.id), transfer, len, purpose);
            }
        }
    }

    /// The method that a call or notify names by numbers.
    pub(in crate::session) fn find_method(
        &self,
        service: u32,
        method: u32,
    ) -> Result<(&'static ServiceDescriptor, usize), Status> {
        let declared = self.state.served.get(service as usize).copied().flatten();
        let Some(service) = declared else {
            return Err(Status::new(Code::Unimplemented, "there is no such service here"));
        };
        if method as usize >= service.methods.len() {
            let message = format!("`{}` has no method number {method} here", service.name);
            return Err(Status::new(Code::Unimplemented, message));
        }
        Ok((service, method as usize))
    }

    fn check_call(
        &self,
        (service, method): (&'static ServiceDescriptor, usize),
        open: &CallOpen,
    ) -> Result<(), Status> {
        let limits = &self.config.limits;
        let name = service.methods[method].name;
        if service.methods[method].kind == MethodKind::Notify {
            let message = format!("`{}.{name}` is a notify here", service.name);
            return Err(Status::new(Code::SchemaMismatch, message));
        }
        if open.depth > limits.depth {
            let message = format!("calls nest at most {} deep inside handlers", limits.depth);
            return Err(Status::new(Code::ResourceExhausted, message));
        }
        if open.time_left_ms == Some(0) {
            return Err(Status::new(Code::DeadlineExceeded, "the call came after its deadline"));
        }
        if let Payload::Whole(bytes) = &open.payload
            && bytes.len() > limits.payload_in
        {
            return Err(too_large("the arguments", bytes.len(), limits.payload_in));
        }
        check_metadata(&open.metadata, limits)
    }

    /// Answers a call with a failure before any handler hears of it.
    fn refuse_call(&mut self, now: Instant, open: CallOpen, class: Class, status: Status) {
        let answered = Handling::Answered(Answer::Failed(WireFailure::Status(status)));
        let (call, place) = self.incoming.vacant_at(open.id);
        *place = Some(Incoming::new(MethodKind::Unary, class, open.codec, answered));
        if let Payload::Chunked { transfer, len } = open.payload {
            let len = usize::try_from(len).unwrap_or(usize::MAX);
            let assembly = Assembly::discarded(now, (Origin::Remote, open.id), len, false, false);
            self.begin_discard(now, transfer, assembly);
        }
        self.give_turn(call);
    }

    /// The arguments of a call are whole.
    pub(in crate::session) fn start(&mut self, now: Instant, mut event: IncomingCall, buffer: Buffer) {
        let Some(incoming) = self.incoming.get_mut(event.call) else { return };
        if !matches!(incoming.handling, Handling::Assembling) {
            return;
        }
        if event.deadline.is_some_and(|deadline| deadline <= now) {
            return self.stop(event.call, Stop::DeadlineExceeded, None);
        }
        incoming.handling = Handling::Running;
        event.buffer = buffer;
        self.events.push_back(Event::Call(event));
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::session::Config;
    use crate::session::payloads::WHOLE;

    #[test]
    fn small_arguments_hold_no_more_than_large_ones() {
        const { assert!(PINNED_BY_CALL <= WHOLE) };
        let mut session = Session::server(Config::default());
        for (len, copies) in [(PINNED_BY_CALL, false), (PINNED_BY_CALL + 1, true)] {
            let message = Bytes::from(vec![7; len]);
            session.link.message = len;
            let kept = session.keep(message.slice(..64), PINNED_BY_CALL);
            assert_eq!(*kept, message[..64]);
            assert_eq!(kept.as_ptr() != message.as_ptr(), copies, "{len}");
        }
    }
}
