use std::time::Duration;

use bowline_protocol::codec::{Arguments, EncodeError, Payload};
use bowline_protocol::schema::{MethodDescriptor, ServiceDescriptor};
use bowline_protocol::status::{Code, Status};
use bowline_runtime::Instant;
use bytes::Bytes;

use super::exchange::Exchange;
use super::{Asker, CallKey};
use crate::call::{Content, Extra, Patience};
use crate::channel::Target;
use crate::peer::Peer;
use crate::stream::Upload;
use crate::{Call, Channel, Metadata, error};

/// A call that was described and not yet polled: nothing of it was sent.
pub(crate) struct Prepared {
    /// `None` once it was polled.
    channel: Option<Channel>,
    service: &'static ServiceDescriptor,
    method: usize,
    arguments: Result<Arguments, EncodeError>,
    /// Apart, so that a call with nothing of it is not moved together with room for it.
    special: Option<Box<Special>>,
}

/// What most calls have nothing of.
#[derive(Default)]
struct Special {
    upload: Option<Upload>,
    timeout: Timeout,
    waiting: Waiting,
    metadata: Metadata,
    asker: Option<Asker>,
}

/// How long a call is queued that does not say how long.
pub(super) const EXPIRY: Duration = Duration::from_secs(24 * 60 * 60);

/// The longest that a call is queued: no clock holds everything that a `Duration` can.
const LONGEST: Duration = Duration::from_secs(10 * 365 * 24 * 60 * 60);

/// How long the call waits for a session.
#[derive(Debug, Clone, Copy, Default)]
enum Waiting {
    /// Within its deadline.
    #[default]
    Deadline,
    /// So long, and its deadline begins afterwards.
    Queued(Duration),
    /// Not at all.
    None,
}

/// How long the call may take.
#[derive(Debug, Clone, Copy, Default)]
enum Timeout {
    /// As the method's attribute or the session's configuration says.
    #[default]
    Default,
    After(Duration),
    Never,
}

impl Prepared {
    pub(crate) fn new<A: Payload>(
        channel: &Channel,
        service: &'static ServiceDescriptor,
        method: usize,
        arguments: &A,
        upload: Option<Upload>,
    ) -> Self {
        Self {
            channel: Some(channel.clone()),
            service,
            method,
            arguments: Arguments::new(arguments),
            special: upload.map(|upload| Box::new(Special { upload: Some(upload), ..Special::default() })),
        }
    }

    fn special(&mut self) -> &mut Special {
        self.special.get_or_insert_default()
    }

    pub(crate) fn deadline(&mut self, timeout: Duration) {
        self.special().timeout = Timeout::After(timeout);
    }

    pub(crate) fn no_deadline(&mut self) {
        self.special().timeout = Timeout::Never;
    }

    pub(crate) fn fail_fast(&mut self) {
        self.special().waiting = Waiting::None;
    }

    pub(crate) fn queued(&mut self, expiry: Duration) {
        self.special().waiting = Waiting::Queued(expiry);
    }

    pub(crate) fn metadata(&mut self, name: String, value: String) {
        self.special().metadata.insert(name, value);
    }

    pub(crate) fn key(&self) -> CallKey {
        let arguments = self.arguments.as_ref().map_or_else(|_| Bytes::new(), |known| known.rkyv.clone());
        CallKey::new(self.service, self.method, arguments)
    }

    pub(crate) fn channel(&self) -> Option<&Channel> {
        self.channel.as_ref()
    }

    /// Takes what the call goes to out. Only once: from then on it is being made.
    pub(crate) fn take_channel(&mut self) -> Channel {
        self.channel.take().expect("a call was polled after it had panicked")
    }

    pub(crate) fn descriptor(&self) -> &'static MethodDescriptor {
        &self.service.methods[self.method]
    }

    pub(crate) fn method(&self) -> usize {
        self.method
    }

    pub(crate) fn service(&self) -> &'static ServiceDescriptor {
        self.service
    }

    /// How to make the same call again; `None` where that is not for the caller to do.
    ///
    /// That are calls whose stream went with them, calls of a server, whose session ends for good, and those of
    /// handlers, which end with it.
    pub(crate) fn recipe(&self) -> Option<Recipe> {
        let channel = self.channel.as_ref()?;
        let may_repeat = self.special.as_ref().is_none_or(|special| special.upload.is_none())
            && channel.peer().is_client()
            && channel.depth() == 0;
        let arguments = self.arguments.as_ref().ok().filter(|_| may_repeat)?;
        Some(Recipe {
            channel: channel.clone(),
            service: self.service,
            method: self.method,
            arguments: arguments.clone(),
            metadata: self.special.as_ref().map_or_else(Metadata::new, |special| special.metadata.clone()),
        })
    }

    /// Makes the call of it, which begins `now` on `peer`, the session of `channel`, which was its own. Only once: nothing is
    /// left.
    pub(crate) fn take_call(&mut self, channel: &Channel, peer: &Peer, now: Instant) -> Result<Call, Status> {
        let (timeout, waiting) =
            self.special.as_ref().map_or_else(Default::default, |it| (it.timeout, it.waiting));
        let timeout = self.timeout(timeout, peer);
        let (patience, until, timeout) = match waiting {
            Waiting::Deadline => (Patience::Deadline, timeout, None),
            Waiting::Queued(expiry) => (Patience::Queued, Some(expiry.min(LONGEST)), timeout),
            Waiting::None => (Patience::None, timeout, None),
        };
        // A deadline beyond what the clock can hold is none.
        let deadline = until.and_then(|until| now.checked_add(until));
        let method = self.descriptor();
        let arguments = match &mut self.arguments {
            Ok(known) => Arguments { rkyv: std::mem::take(&mut known.rkyv), recode: known.recode },
            Err(cause) => {
                let name = error::name(self.service, method);
                let message = format!("the arguments of `{name}` can't be encoded: {cause}");
                return Err(Status::new(Code::InvalidArgument, message));
            }
        };
        let (upload, metadata, asker) = match self.special.take() {
            Some(special) => (special.upload, special.metadata, special.asker),
            None => (None, Metadata::new(), None),
        };
        let is_plain = upload.is_none() && timeout.is_none();
        let extra = (!is_plain).then(|| Box::new(Extra { upload, timeout }));
        Ok(Call {
            service: self.service,
            method: self.method as u32,
            content: Content::Outgoing { arguments, patience, extra, asker },
            metadata,
            extensions: http::Extensions::new(),
            deadline,
            depth: channel.depth(),
        })
    }

    fn timeout(&self, timeout: Timeout, peer: &Peer) -> Option<Duration> {
        match timeout {
            Timeout::Never => None,
            Timeout::After(timeout) => Some(timeout),
            Timeout::Default => {
                let of_method = self.descriptor().deadline;
                Some(of_method.unwrap_or_else(|| peer.default_deadline()))
            }
        }
    }
}

/// What it takes to make a call once more.
pub(crate) struct Recipe {
    channel: Channel,
    service: &'static ServiceDescriptor,
    method: usize,
    arguments: Arguments,
    metadata: Metadata,
}

impl Recipe {
    /// Where the call goes.
    pub(crate) fn target(&self) -> &Target {
        self.channel.target()
    }

    /// Makes the call as `asker`, with other `arguments` if there are some, through the channel's layers, without a
    /// deadline.
    pub(crate) fn exchange(&self, asker: Asker, arguments: Option<Arguments>) -> Exchange {
        let metadata = self.metadata.clone();
        let special = Special { timeout: Timeout::Never, metadata, asker: Some(asker), ..Special::default() };
        Exchange::new(Prepared {
            channel: Some(self.channel.clone()),
            service: self.service,
            method: self.method,
            arguments: Ok(arguments.unwrap_or_else(|| self.arguments.clone())),
            special: Some(Box::new(special)),
        })
    }
}
