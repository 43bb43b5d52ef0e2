//! Large payloads going out: room in the other end's assembly window, first come first served.

use bytes::Bytes;

use super::Session;
use super::types::{CallId, Origin};
use crate::codec::Buffer;
use crate::envelope::Payload;

/// Larger payloads travel in chunks.
pub(super) const WHOLE: usize = 64 * 1024;

/// A waiting item may keep a message of this length alive, however short it is itself.
pub(super) const PINNED_BY_ITEM: usize = 512;

/// The same for the arguments of a call: no more than arguments themselves may take that travel [whole](WHOLE), so that small
/// ones let nobody hold more.
pub(super) const PINNED_BY_CALL: usize = 32 * 1024;

/// Whether a call's next payload has room in the assembly window.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Room {
    /// Nothing was asked.
    #[default]
    Unneeded,
    /// So many bytes are waited for.
    Waiting(u64),
    /// So many bytes are set aside.
    Granted(u64),
}

/// The large payload of a call that is being written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Writing {
    #[default]
    Nothing,
    /// The transfer with this number. What follows it in the same call waits.
    Chunks(u32),
    /// It was given up; its number is free once the terminal is written.
    GivenUp(u32),
}

impl Writing {
    pub(super) fn chunks(self) -> Option<u32> {
        match self {
            Self::Chunks(transfer) => Some(transfer),
            Self::Nothing | Self::GivenUp(_) => None,
        }
    }
}

impl Session {
    fn room_mut(&mut self, call: CallId) -> Option<&mut Room> {
        match call.origin {
            Origin::Local => self.own.get_mut(call).map(|own| &mut own.room),
            Origin::Remote => self.incoming.get_mut(call).map(|incoming| &mut incoming.room),
        }
    }

    /// A payload that arrived whole, as it is kept until somebody reads it.
    ///
    /// It is a slice of its message. One that is small beside a message of more than `pinned` bytes is copied: else a peer
    /// could have a whole message held by a single byte of credit.
    pub(super) fn keep(&self, bytes: Bytes, pinned: usize) -> Buffer {
        let message = self.link.message;
        let pins = message > pinned && bytes.len() < message / 4;
        Buffer::Small(if pins { Bytes::copy_from_slice(&bytes) } else { bytes })
    }

    /// Whether a payload of `len` bytes may begin now. If not, the call gets its turn when it may.
    pub(super) fn has_room(&mut self, call: CallId, len: usize) -> bool {
        // What was asked for another payload of this call is given back.
        let needed = if len <= WHOLE { 0 } else { len as u64 };
        if let Some(room) = self.room_mut(call)
            && let Room::Waiting(asked) | Room::Granted(asked) = *room
            && asked != needed
        {
            let room = std::mem::take(room);
            self.return_room(room);
        }
        if needed == 0 {
            return true;
        }
        let len = needed;
        let is_first = self.state.large.is_empty();
        let left = self.state.assembly_opening.left();
        let is_full = self.state.transfers.is_full();
        let Some(room) = self.room_mut(call) else { return false };
        match *room {
            Room::Granted(_) => return true,
            Room::Waiting(_) => return false,
            Room::Unneeded => {}
        }
        if is_first && left >= len && !is_full {
            *room = Room::Granted(len);
            self.state.assembly_opening.used += len;
            self.state.transfers.set_aside();
            return true;
        }
        *room = Room::Waiting(len);
        let Self { state, own, incoming, .. } = self;
        if state.large.len() > 64 && state.large.len() > 2 * (own.len() + incoming.len()) {
            state.large.retain(|&it| match it.origin {
                Origin::Local => own.get(it).is_some(),
                Origin::Remote => incoming.get(it).is_some(),
            });
        }
        self.state.large.push_back(call);
        false
    }

    /// A payload for which [`has_room`](Self::has_room) was true, as its envelope carries it.
    pub(super) fn begin_payload(&mut self, call: CallId, bytes: Bytes, unsequenced: bool) -> Payload {
        if bytes.len() <= WHOLE {
            return Payload::Whole(bytes);
        }
        let len = bytes.len() as u64;
        let transfer = self.state.transfers.begin(call, bytes, unsequenced);
        match call.origin {
            Origin::Local => {
                if let Some(own) = self.own.get_mut(call) {
                    own.room = Room::Unneeded;
                    own.transfer = Writing::Chunks(transfer);
                }
            }
            Origin::Remote => {
                if let Some(incoming) = self.incoming.get_mut(call) {
                    incoming.room = Room::Unneeded;
                    if let Writing::GivenUp(earlier) = incoming.transfer {
                        // Two at once only where a terminal follows what it gives up; its announcement says so.
                        self.state.transfers.release(earlier);
                    }
                    incoming.transfer = Writing::Chunks(transfer);
                }
            }
        }
        Payload::Chunked { transfer, len }
    }

    /// Gives back what was set aside for a payload that won't be written.
    pub(super) fn return_room(&mut self, room: Room) {
        match room {
            Room::Granted(len) => {
                self.state.assembly_opening.used -= len;
                self.state.transfers.put_back();
                self.grant_large();
            }
            // Its name in the line is passed over.
            Room::Waiting(_) => self.grant_large(),
            Room::Unneeded => {}
        }
    }

    /// Hands room to the payloads that wait for it, in order.
    pub(super) fn grant_large(&mut self) {
        while let Some(&call) = self.state.large.front() {
            let left = self.state.assembly_opening.left();
            let is_full = self.state.transfers.is_full();
            match self.room_mut(call) {
                Some(room @ Room::Waiting(_)) => {
                    let Room::Waiting(len) = *room else { return };
                    if len > left || is_full {
                        return;
                    }
                    *room = Room::Granted(len);
                    self.state.assembly_opening.used += len;
                    self.state.transfers.set_aside();
                    self.state.large.pop_front();
                    self.give_turn(call);
                }
                _ => {
                    self.state.large.pop_front();
                }
            }
        }
    }
}
