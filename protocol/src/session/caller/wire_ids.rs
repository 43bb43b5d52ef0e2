//! Ids that calls of this end have on the wire.

use super::Class;
use crate::session::types::CallId;

/// Ids that calls of this end have on the wire.
#[derive(Debug, Default)]
pub(in crate::session) struct WireIds {
    places: Vec<WireId>,
    free: Vec<u32>,
    orphans: usize,
}

/// What one id stands for.
#[derive(Debug, Clone, Copy)]
pub(in crate::session) enum WireId {
    Free,
    Call(CallId),
    /// The application wants no more of it; the cancel is not yet written.
    Cancelling {
        transfer: Option<u32>,
        class: Class,
    },
    /// The cancel is written, the terminal has not come.
    Cancelled {
        class: Class,
    },
    /// The terminal came while a large payload of this end was under way: the cancel that ends that is not yet
    /// written.
    Ended {
        transfer: Option<u32>,
    },
}

impl WireIds {
    /// Ids that are in use without a call.
    pub(in crate::session) fn orphans(&self) -> usize {
        self.orphans
    }

    pub(in crate::session) fn get(&self, wire: u32) -> WireId {
        self.places.get(wire as usize).copied().unwrap_or(WireId::Free)
    }

    /// An id for `call`, if one is free below `bound`.
    pub(in crate::session) fn assign(&mut self, call: CallId, bound: u64) -> Option<u32> {
        let wire = match self.free.pop() {
            Some(wire) => wire,
            None if (self.places.len() as u64) < bound => {
                self.places.push(WireId::Free);
                (self.places.len() - 1) as u32
            }
            None => return None,
        };
        self.places[wire as usize] = WireId::Call(call);
        Some(wire)
    }

    pub(in crate::session) fn set(&mut self, wire: u32, to: WireId) {
        let place = &mut self.places[wire as usize];
        let is_orphan = |it: &WireId| !matches!(it, WireId::Free | WireId::Call(_));
        self.orphans -= usize::from(is_orphan(place));
        self.orphans += usize::from(is_orphan(&to));
        *place = to;
        if matches!(to, WireId::Free) {
            self.free.push(wire);
        }
    }
}
