use std::collections::HashMap;
use std::task::Waker;

use bowline_protocol::codec::{Buffer, Codec};
use bowline_protocol::session::{CallId, Failure, Read};

use super::callee::StopReason;

/// What this end keeps for one call beside the session's own state.
#[derive(Default)]
pub(super) struct Slot {
    /// The call's future at the caller, or its handler's task at the callee.
    pub(super) owner: Option<Waker>,
    /// Whoever reads items.
    pub(super) reader: Option<Waker>,
    /// Whoever writes items.
    pub(super) writer: Option<Waker>,
    /// Caller: the answer, until its future takes it.
    pub(super) response: Option<Result<(Codec, Buffer), Failure>>,
    /// Caller: the stream is open.
    pub(super) accepted: bool,
    /// Caller: what was read while the stream was being opened.
    pub(super) peeked: Option<Read>,
    /// Callee: the handler is to be dropped.
    pub(super) stopped: Option<StopReason>,
}

/// Slots by call. Ids carry a generation, so a call that is over never meets its successor's slot.
pub(super) type Slots = HashMap<CallId, Slot>;
