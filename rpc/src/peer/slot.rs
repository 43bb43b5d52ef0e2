use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
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
    pub(super) peeked: Option<Box<Read>>,
    /// Callee: the handler is to be dropped.
    pub(super) stopped: Option<Box<StopReason>>,
}

/// Slots by call. Ids carry a generation, so a call that is over never meets its successor's slot.
pub(super) type Slots = HashMap<CallId, Slot, BuildHasherDefault<CallHasher>>;

/// Mixes the three small numbers of a call. The other end chooses some of them, within the bounds of its credit: however
/// it chooses, no more than that many slots can meet in one place.
#[derive(Debug, Default)]
pub(super) struct CallHasher(u64);

impl Hasher for CallHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|byte| self.write_u64(u64::from(*byte)));
    }

    fn write_u32(&mut self, number: u32) {
        self.write_u64(u64::from(number));
    }

    fn write_isize(&mut self, number: isize) {
        self.write_u64(number as u64);
    }

    fn write_u64(&mut self, number: u64) {
        // An odd number without a pattern: 2^64 over the golden ratio.
        let mixed = (self.0 ^ number).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        self.0 = mixed ^ (mixed >> 32);
    }
}
