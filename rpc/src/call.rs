use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bowline_protocol::codec::{Arguments, Buffer, Codec};
use bowline_protocol::schema::{MethodDescriptor, MethodKind, ServiceDescriptor};
use bowline_runtime::Instant;

use crate::Metadata;
use crate::channel::Target;
use crate::client::Asker;
use crate::context::Incoming;
use crate::once::Claim;
use crate::peer::Peer;
use crate::stream::Upload;

/// One call on its way to its handler: what tower layers see, at the caller and at the callee alike.
///
/// Arguments stay encoded. What a layer changes in [`metadata_mut`](Self::metadata_mut) or
/// [`set_deadline`](Self::set_deadline) travels when it runs at the caller, and reaches the handler's
/// [`Context`](crate::Context) when it runs at the callee.
pub struct Call {
    pub(crate) service: &'static ServiceDescriptor,
    /// The method's place in it.
    pub(crate) method: u32,
    pub(crate) content: Content,
    pub(crate) metadata: Metadata,
    pub(crate) extensions: http::Extensions,
    pub(crate) deadline: Option<Instant>,
    pub(crate) depth: u8,
}

/// What the two ends hold.
pub(crate) enum Content {
    /// At the caller: arguments that can still become either codec, and the stream that goes with them.
    Outgoing {
        arguments: Arguments,
        patience: Patience,
        /// Apart, as most calls have none, and all are moved.
        extra: Option<Box<Extra>>,
        /// Who asks, of a call that does not go to its session at once.
        asker: Option<Asker>,
    },
    /// At the callee: the received payload.
    Incoming {
        buffer: Buffer,
        incoming: Arc<Incoming>,
        /// For a `once` call: the right to run it.
        once: Option<Box<Claim>>,
    },
}

/// What some calls of this end have beside their arguments.
#[derive(Default)]
pub(crate) struct Extra {
    /// What is streamed with it.
    pub(crate) upload: Option<Upload>,
    /// Of a call that is queued: what it may take, from when it was written.
    pub(crate) timeout: Option<Duration>,
}

/// How long a call of this end waits for a live session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Patience {
    /// As long as its deadline lets it.
    Deadline,
    /// Until the call's deadline. What it may take counts from when it was written.
    Queued,
    /// Not at all.
    None,
}

impl Call {
    /// The service.
    pub fn service(&self) -> &'static ServiceDescriptor {
        self.service
    }

    /// The method.
    pub fn descriptor(&self) -> &'static MethodDescriptor {
        &self.service.methods[self.method_index()]
    }

    /// The method's place in the service.
    pub fn method_index(&self) -> usize {
        self.method as usize
    }

    /// The name of the trait.
    pub fn service_name(&self) -> &'static str {
        self.service.name
    }

    /// The name of the method.
    pub fn method_name(&self) -> &'static str {
        self.descriptor().name
    }

    /// What kind of call it is.
    pub fn kind(&self) -> MethodKind {
        self.descriptor().kind
    }

    /// Names and values beside the arguments.
    pub fn metadata(&self) -> &Metadata {
        &self.metadata
    }

    /// The same, to change.
    pub fn metadata_mut(&mut self) -> &mut Metadata {
        &mut self.metadata
    }

    /// Values that layers hang on this one call; empty at first. They don't travel.
    pub fn extensions(&self) -> &http::Extensions {
        &self.extensions
    }

    /// The same, to change.
    pub fn extensions_mut(&mut self) -> &mut http::Extensions {
        &mut self.extensions
    }

    /// When the call is given up; for a stream, unless it was accepted by then, and for a call that is queued, unless it was
    /// written by then.
    pub fn deadline(&self) -> Option<Instant> {
        self.deadline
    }

    /// Sets when the call is given up.
    ///
    /// At the caller this is what travels. At the callee it is only what the handler reads: the session stops the
    /// handler by the deadline that came in.
    pub fn set_deadline(&mut self, deadline: Option<Instant>) {
        self.deadline = deadline;
    }

    /// How many handlers of this session deep the call was made; 0 outside of one.
    pub fn depth(&self) -> u8 {
        self.depth
    }

    /// The length of the encoded arguments in bytes.
    pub fn payload_len(&self) -> usize {
        match &self.content {
            Content::Outgoing { arguments, .. } => arguments.rkyv.len(),
            Content::Incoming { buffer, .. } => buffer.len(),
        }
    }

    /// How the arguments are encoded; `None` at the caller, where that is not settled yet.
    pub fn codec(&self) -> Option<Codec> {
        match &self.content {
            Content::Outgoing { .. } => None,
            Content::Incoming { incoming, .. } => Some(incoming.codec),
        }
    }

    /// Returns what the session knows of type `T`, such as the identity of the caller; `None` at the caller.
    pub fn session<T: Send + Sync + 'static>(&self) -> Option<&T> {
        match &self.content {
            Content::Outgoing { .. } => None,
            Content::Incoming { incoming, .. } => incoming.home.session.extensions.get(),
        }
    }

    /// The session's id, which logs may show; `None` at the caller.
    pub fn session_id(&self) -> Option<u128> {
        match &self.content {
            Content::Outgoing { .. } => None,
            Content::Incoming { incoming, .. } => Some(incoming.session_id()),
        }
    }

    /// From now on the call is asked for as who this end is now on `peer`, the session of `target`, unless that is settled
    /// already.
    pub(crate) fn ask_as(&mut self, target: &Target, peer: Peer) {
        if let Content::Outgoing { asker, .. } = &mut self.content {
            asker.get_or_insert_with(|| Asker::of(target, peer));
        }
    }

    /// The session of `target`, to which the call goes.
    pub(crate) fn session_of(&self, target: &Target) -> Peer {
        let asked_on = match &self.content {
            Content::Outgoing { asker, .. } => asker.as_ref().and_then(|asker| asker.session_of(target)),
            Content::Incoming { .. } => None,
        };
        asked_on.cloned().unwrap_or_else(|| target.peer())
    }

    /// Takes the right to run a `once` call out.
    pub(crate) fn take_claim(&mut self) -> Option<Box<Claim>> {
        match &mut self.content {
            Content::Outgoing { .. } => None,
            Content::Incoming { once, .. } => once.take(),
        }
    }

    /// Makes the same call again, for a layer that retries; `None` at the callee and for a call with an upload.
    ///
    /// Extensions are cloned with it.
    pub fn try_clone(&self) -> Option<Self> {
        let Content::Outgoing { arguments, patience, extra, asker } = &self.content else {
            return None;
        };
        let extra = match extra.as_deref() {
            None => None,
            Some(Extra { upload: Some(_), .. }) => return None,
            Some(Extra { upload: None, timeout }) => {
                Some(Box::new(Extra { upload: None, timeout: *timeout }))
            }
        };
        let (arguments, patience, asker) = (arguments.clone(), *patience, asker.clone());
        Some(Self {
            service: self.service,
            method: self.method,
            content: Content::Outgoing { arguments, patience, extra, asker },
            metadata: self.metadata.clone(),
            extensions: self.extensions.clone(),
            deadline: self.deadline,
            depth: self.depth,
        })
    }
}

impl fmt::Debug for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Call")
            .field("service", &self.service.name)
            .field("method", &self.method_name())
            .field("metadata", &self.metadata)
            .field("deadline", &self.deadline)
            .field("depth", &self.depth)
            .finish_non_exhaustive()
    }
}

#[cfg(all(test, target_pointer_width = "64"))]
mod tests {
    use super::*;

    /// Layers move it, and their futures, which it lies in. What is longer than this is moved by a call of `memcpy`.
    #[test]
    fn a_call_is_small() {
        assert!(size_of::<Call>() <= 128, "{}", size_of::<Call>());
    }
}
