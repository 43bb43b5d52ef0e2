use std::collections::VecDeque;

use bytes::Bytes;

use super::assembly::MAX_TRANSFERS;
use super::types::CallId;

/// Large payloads being written, chunk by chunk and in turn.
// In this order: how many there are is asked for at each message.
#[repr(C)]
#[derive(Debug, Default)]
pub(super) struct Transfers {
    /// Numbers in use, also by transfers that were given up and whose end was not yet written.
    len: u32,
    /// Bytes of other data that were written since the last piece, while there was one to write.
    others: u32,
    places: Vec<Place>,
    free: Vec<u32>,
    turns: VecDeque<u32>,
    /// Numbers set aside for transfers that may begin.
    set_aside: usize,
}

#[derive(Debug)]
enum Place {
    Free,
    Active(Transfer),
    /// Given up; the number is free once the other end will have read so.
    Given,
}

#[derive(Debug)]
struct Transfer {
    bytes: Bytes,
    call: CallId,
    unsequenced: bool,
}

/// The next piece of a large payload.
#[derive(Debug)]
pub(super) struct Piece {
    pub(super) transfer: u32,
    pub(super) bytes: Bytes,
    pub(super) unsequenced: bool,
    /// The call whose payload is written with this.
    pub(super) done: Option<CallId>,
}

impl Transfers {
    pub(super) fn len(&self) -> usize {
        self.len as usize
    }

    pub(super) fn is_full(&self) -> bool {
        self.len() + self.set_aside >= MAX_TRANSFERS
    }

    /// So many bytes of other data were written beside them.
    pub(super) fn count_others(&mut self, bytes: usize) {
        self.others = self.others.saturating_add(u32::try_from(bytes).unwrap_or(u32::MAX));
    }

    /// Whether other data had as much as a piece since the last one: then the next piece goes before it.
    pub(super) fn is_next(&self, piece: usize) -> bool {
        self.len > 0 && self.others as usize >= piece
    }

    /// Keeps a number for a transfer that may begin.
    pub(super) fn set_aside(&mut self) {
        self.set_aside += 1;
    }

    /// The transfer won't begin after all.
    pub(super) fn put_back(&mut self) {
        self.set_aside -= 1;
    }

    /// Begins a transfer for which a number was set aside.
    pub(super) fn begin(&mut self, call: CallId, bytes: Bytes, unsequenced: bool) -> u32 {
        let transfer = self.free.pop().unwrap_or_else(|| {
            self.places.push(Place::Free);
            (self.places.len() - 1) as u32
        });
        self.places[transfer as usize] = Place::Active(Transfer { bytes, call, unsequenced });
        self.turns.push_back(transfer);
        self.len += 1;
        self.set_aside = self.set_aside.saturating_sub(1);
        transfer
    }

    /// At most `max` bytes of the transfer whose turn it is.
    pub(super) fn next_piece(&mut self, max: usize, unsequenced: bool) -> Option<Piece> {
        let turn = self.turns.iter().position(|&transfer| match &self.places[transfer as usize] {
            Place::Active(it) => unsequenced || !it.unsequenced,
            Place::Free | Place::Given => false,
        })?;
        let transfer = self.turns.remove(turn)?;
        self.others = 0;
        let place = &mut self.places[transfer as usize];
        let Place::Active(active) = place else { return None };
        let bytes = active.bytes.split_to(max.min(active.bytes.len()));
        let unsequenced = active.unsequenced;
        let mut done = None;
        if active.bytes.is_empty() {
            done = Some(active.call);
            *place = Place::Free;
            self.free.push(transfer);
            self.len -= 1;
        } else {
            self.turns.push_back(transfer);
        }
        Some(Piece { transfer, bytes, unsequenced, done })
    }

    /// Whether a watch's value is among them.
    pub(super) fn has_unsequenced(&self) -> bool {
        let mut active = self.turns.iter().map(|&transfer| &self.places[transfer as usize]);
        active.any(|place| matches!(place, Place::Active(it) if it.unsequenced))
    }

    /// Writes no more of it. The number stays in use.
    pub(super) fn give_up(&mut self, transfer: u32) {
        self.places[transfer as usize] = Place::Given;
        self.turns.retain(|&it| it != transfer);
    }

    /// The link is gone, and with it what travels without numbers. Returns whose values these were.
    pub(super) fn drop_unsequenced(&mut self) -> Vec<CallId> {
        let mut calls = Vec::new();
        let Self { places, free, turns, len, .. } = self;
        turns.retain(|&transfer| {
            let place = &mut places[transfer as usize];
            let Place::Active(active) = place else { return true };
            if !active.unsequenced {
                return true;
            }
            calls.push(active.call);
            *place = Place::Free;
            free.push(transfer);
            *len -= 1;
            false
        });
        calls
    }

    /// What tells the other end that the transfer was given up is written.
    pub(super) fn release(&mut self, transfer: u32) {
        if matches!(self.places[transfer as usize], Place::Given) {
            self.places[transfer as usize] = Place::Free;
            self.free.push(transfer);
            self.len -= 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::Origin;

    fn call(id: u32) -> CallId {
        CallId { id, generation: 0, origin: Origin::Local }
    }

    #[test]
    fn transfers_take_turns() {
        let mut transfers = Transfers::default();
        transfers.begin(call(0), Bytes::from_static(b"aaaa"), false);
        transfers.begin(call(1), Bytes::from_static(b"bb"), false);
        let pieces: Vec<_> = std::iter::from_fn(|| transfers.next_piece(2, true))
            .map(|piece| (piece.bytes, piece.done.map(|call| call.id)))
            .collect();
        let expected: [(&[u8], _); 3] = [(b"aa", None), (b"bb", Some(1)), (b"aa", Some(0))];
        assert_eq!(pieces.len(), 3);
        assert!(pieces.iter().zip(expected).all(|(piece, it)| piece.0 == it.0 && piece.1 == it.1));
        assert_eq!(transfers.len(), 0);
    }

    #[test]
    fn a_number_is_not_used_again_before_the_other_end_can_know() {
        let mut transfers = Transfers::default();
        let first = transfers.begin(call(0), Bytes::from_static(b"aaaa"), false);
        transfers.give_up(first);
        assert!(transfers.next_piece(2, true).is_none());
        let second = transfers.begin(call(1), Bytes::from_static(b"bb"), false);
        assert_ne!(first, second);
        transfers.release(first);
        assert_eq!(transfers.begin(call(2), Bytes::from_static(b"cc"), false), first);
    }

    #[test]
    fn a_watch_value_that_has_no_room_holds_nothing_else_up() {
        let mut transfers = Transfers::default();
        transfers.begin(call(0), Bytes::from_static(b"aa"), true);
        assert!(transfers.next_piece(2, false).is_none());
        transfers.begin(call(1), Bytes::from_static(b"bb"), false);
        assert_eq!(transfers.next_piece(2, false).unwrap().bytes, "bb");
        assert!(transfers.next_piece(2, false).is_none());
        assert_eq!(transfers.next_piece(2, true).unwrap().bytes, "aa");
    }
}
