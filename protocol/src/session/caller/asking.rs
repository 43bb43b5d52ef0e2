//! What an application asks: its call is taken in or refused at once.

use super::waiting::Counting;
use super::{Ask, Once, Own, Stage, earlier};
use crate::Instant;
use crate::codec::Codec;
use crate::envelope::bounds::{MAX_METADATA, MAX_METADATA_ENTRIES};
use crate::limits::Limits;
use crate::schema::{MethodKind, Retry};
use crate::session::Session;
use crate::session::payloads::{Room, Writing};
use crate::session::stream::Stream;
use crate::session::types::{CallId, Origin, Request};
use crate::status::{Code, Status};

impl Session {
    /// Makes a call of any kind but notify.
    ///
    /// Before the session is live the call waits, first in, first out, within its deadline.
    ///
    /// # Errors
    ///
    /// `ResourceExhausted` when too much waits already, when the call nests too deep, and when a call made inside a
    /// handler would have to wait. `Unimplemented` and `SchemaMismatch` where the other end is known not to serve the
    /// method. `InvalidArgument` when the metadata or the arguments are larger than what may be sent. Later failures
    /// come as [`Event::Response`](crate::session::Event::Response) or through [`read`](Self::read).
    #[inline]
    pub fn call(&mut self, _now: Instant, request: Request) -> Result<CallId, Status> {
        if self.is_over() {
            return Err(Status::new(Code::Unavailable, "the session has ended"));
        }
        let limits = &self.config.limits;
        let Some(method) = request.service.methods.get(request.method) else {
            return Err(Status::new(Code::Unimplemented, "the service has no such method"));
        };
        if method.kind == MethodKind::Notify {
            return Err(Status::new(Code::InvalidArgument, "a notify is not a call"));
        }
        if request.depth > limits.depth {
            let message = format!("calls nest at most {} deep inside handlers", limits.depth);
            return Err(Status::new(Code::ResourceExhausted, message));
        }
        check_metadata(&request.metadata, limits)?;
        let Some(service_number) = self.service_number(request.service) else {
            return Err(Status::new(Code::ResourceExhausted, "a session calls at most 64 services"));
        };
        let (kind, depth, queued) = (method.kind, request.depth, request.queued);
        let deadline = queued.as_ref().map_or(request.deadline, |queued| Some(queued.until));
        let wall = queued.as_ref().and_then(|queued| queued.until_wall);
        let has_stream = kind.is_stream() || kind.has_upload();
        let stream = has_stream.then(|| Stream::new(&self.config, &self.state.peer));
        let once = request
            .once
            .filter(|_| method.retry == Retry::Once)
            .map(|key| Box::new(Once { key, table: None }));
        let ask = Ask { arguments: request.arguments, metadata: request.metadata, encoded: None, once };
        self.calls_made += 1;
        let (call, place) = self.own.vacant();
        *place = Some(Own {
            order: self.calls_made,
            service: request.service,
            service_number,
            method: request.method as u16,
            kind,
            retry: method.retry,
            depth,
            has_turn: false,
            stage: Stage::Waiting,
            ask: Some(ask),
            agreed: None,
            deadline,
            queued,
            is_accepted: false,
            may_have_run: false,
            is_stale: false,
            transfer: Writing::Nothing,
            room: Room::Unneeded,
            stream,
        });
        // Counted as waiting until it is admitted, which may be at once.
        match self.place(call, Counting::New) {
            Ok(()) => {
                self.own_deadline = earlier(self.own_deadline, deadline);
                self.own_wall = earlier(self.own_wall, wall);
                Ok(call)
            }
            Err(status) => {
                self.own.forget(call);
                Err(status)
            }
        }
    }

    /// The codec of a call, once it is agreed.
    pub fn codec(&self, call: CallId) -> Option<Codec> {
        match call.origin {
            Origin::Local => self.own.get(call)?.agreed.map(|(_, codec)| codec),
            Origin::Remote => self.incoming.get(call).map(|it| it.codec),
        }
    }

    /// Whether what a stream of this end gave last may be out of date: its link is lost, or it was asked for again in
    /// another session and nothing has come yet.
    pub fn is_stale(&self, call: CallId) -> bool {
        call.origin == Origin::Local && self.own.get(call).is_some_and(|it| it.is_stale)
    }
}

pub(in crate::session) fn too_large(what: &str, len: usize, bound: usize) -> Status {
    let message = format!("{what} of {len} bytes: the other end accepts at most {bound}");
    Status::new(Code::ResourceExhausted, message)
}

pub(in crate::session) fn check_metadata(
    metadata: &[(String, String)],
    limits: &Limits,
) -> Result<(), Status> {
    if metadata.is_empty() {
        return Ok(());
    }
    let bytes: usize = metadata.iter().map(|(name, value)| name.len() + value.len()).sum();
    let (max_entries, max_bytes) =
        (limits.metadata_entries.min(MAX_METADATA_ENTRIES), limits.metadata_bytes.min(MAX_METADATA));
    if metadata.len() > max_entries || bytes > max_bytes {
        let message = format!("metadata is at most {max_entries} entries and {max_bytes} bytes");
        return Err(Status::new(Code::InvalidArgument, message));
    }
    Ok(())
}
