use std::collections::HashMap;
use std::task::Waker;

use bowline_protocol::codec::{Buffer, Codec};
use bowline_protocol::session::{CallId, Failure, Origin, Read};

use super::callee::StopReason;

/// How many places the calls of each end have: 1,024. Those with higher numbers, which the other end may choose within its
/// credit, are looked up.
const PLACES: usize = 1024;

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
///
/// A call's number is its place. Calls of this end have two places for each number, which successive calls take in turn: a number
/// is free again when its answer came, and a task that runs before others of its batch gets it before the answer was taken.
/// Where the place is taken, the slot is among the others.
// In this order: how many there are is asked for at each turn.
#[repr(C)]
#[derive(Default)]
pub(super) struct Slots {
    len: usize,
    local: Vec<Place>,
    remote: Vec<Place>,
    others: HashMap<CallId, Slot>,
}

/// Empty where there is no call.
#[derive(Default)]
struct Place {
    call: Option<CallId>,
    slot: Slot,
}

impl Slots {
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// Makes an empty slot for a call that has none.
    #[inline]
    pub(super) fn insert(&mut self, call: CallId) -> &mut Slot {
        self.len += 1;
        let (index, places) = (index(call), places(&mut self.local, &mut self.remote, call));
        if index < PLACES && places.len() <= index {
            if places.capacity() == 0 {
                // Of an idle session there is the first place alone.
                places.reserve_exact(index + 1);
            }
            places.resize_with(index + 1, Place::default);
        }
        match places.get_mut(index) {
            Some(place) if place.call.is_none() => {
                place.call = Some(call);
                &mut place.slot
            }
            _ => self.others.entry(call).or_default(),
        }
    }

    #[inline]
    pub(super) fn get(&self, call: CallId) -> Option<&Slot> {
        let places = match call.origin {
            Origin::Local => &self.local,
            Origin::Remote => &self.remote,
        };
        match places.get(index(call)) {
            Some(place) if place.call == Some(call) => Some(&place.slot),
            _ => self.others.get(&call),
        }
    }

    #[inline]
    pub(super) fn get_mut(&mut self, call: CallId) -> Option<&mut Slot> {
        match places(&mut self.local, &mut self.remote, call).get_mut(index(call)) {
            Some(place) if place.call == Some(call) => Some(&mut place.slot),
            _ => self.others.get_mut(&call),
        }
    }

    /// Removes a slot; `retire` gets its wakers, which may not be dropped here.
    #[inline]
    pub(super) fn remove(&mut self, call: CallId, mut retire: impl FnMut(Option<Waker>)) {
        let mut wakers = |slot: &mut Slot| {
            retire(slot.owner.take());
            retire(slot.reader.take());
            retire(slot.writer.take());
        };
        match places(&mut self.local, &mut self.remote, call).get_mut(index(call)) {
            Some(place) if place.call == Some(call) => {
                place.call = None;
                wakers(&mut place.slot);
                // Whatever is left is dropped where it lies.
                place.slot.response = None;
                place.slot.accepted = false;
                place.slot.peeked = None;
                place.slot.stopped = None;
            }
            _ => match self.others.remove(&call) {
                Some(mut slot) => wakers(&mut slot),
                None => return,
            },
        }
        self.len -= 1;
    }

    /// The slots of calls of this end.
    pub(super) fn local(&mut self) -> impl Iterator<Item = &mut Slot> {
        let placed = self.local.iter_mut().filter(|place| place.call.is_some()).map(|place| &mut place.slot);
        let others = self.others.iter_mut().filter(|(call, _)| call.origin == Origin::Local);
        placed.chain(others.map(|(_, slot)| slot))
    }

    pub(super) fn shrink_to_fit(&mut self) {
        for places in [&mut self.local, &mut self.remote] {
            let used = places.iter().rposition(|place| place.call.is_some()).map_or(0, |last| last + 1);
            places.truncate(used);
            places.shrink_to_fit();
        }
        self.others.shrink_to_fit();
    }
}

fn index(call: CallId) -> usize {
    match call.origin {
        Origin::Local => (call.id as usize).saturating_mul(2) + (call.generation % 2) as usize,
        Origin::Remote => call.id as usize,
    }
}

fn places<'a>(local: &'a mut Vec<Place>, remote: &'a mut Vec<Place>, call: CallId) -> &'a mut Vec<Place> {
    match call.origin {
        Origin::Local => local,
        Origin::Remote => remote,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(id: u32, generation: u32, origin: Origin) -> CallId {
        CallId { id, generation, origin }
    }

    fn mark(slots: &mut Slots, call: CallId) {
        slots.insert(call).accepted = true;
    }

    #[test]
    fn calls_of_one_number_keep_their_own_slots() {
        let mut slots = Slots::default();
        let (first, second) = (call(3, 0, Origin::Local), call(3, 1, Origin::Local));
        let remote = call(3, 1, Origin::Remote);
        mark(&mut slots, first);
        slots.insert(second);
        assert!(slots.get(first).is_some_and(|slot| slot.accepted));
        assert!(slots.get_mut(second).is_some_and(|slot| !slot.accepted));
        assert!(slots.get(remote).is_none());
        mark(&mut slots, remote);
        assert_eq!((slots.len(), slots.local().count()), (3, 2));
        slots.remove(first, |_| {});
        assert!(slots.get(first).is_none());
        assert!(slots.get(second).is_some_and(|slot| !slot.accepted));
        // Nothing of the call before is left in its place.
        let third = call(3, 2, Origin::Local);
        assert!(!slots.insert(third).accepted);
        slots.remove(second, |_| {});
        slots.remove(second, |_| {});
        assert_eq!((slots.len(), slots.local().count()), (2, 1));
        assert!(slots.get(remote).is_some_and(|slot| slot.accepted));
    }

    #[test]
    fn the_next_call_of_a_number_finds_a_place_beside_the_one_whose_answer_was_not_taken() {
        let mut slots = Slots::default();
        for id in 0..4 {
            slots.insert(call(id, 0, Origin::Local));
        }
        for id in 0..4 {
            mark(&mut slots, call(id, 1, Origin::Local));
        }
        assert_eq!((slots.others.len(), slots.len()), (0, 8));
        slots.remove(call(2, 0, Origin::Local), |_| {});
        assert!(slots.get(call(2, 1, Origin::Local)).is_some_and(|slot| slot.accepted));
        // A third one of a number is kept all the same.
        mark(&mut slots, call(1, 2, Origin::Local));
        assert_eq!(slots.others.len(), 1);
        assert!(slots.get(call(1, 2, Origin::Local)).is_some_and(|slot| slot.accepted));
        assert!(slots.get(call(1, 0, Origin::Local)).is_some_and(|slot| !slot.accepted));
    }

    /// Calls of this end have two places each.
    #[test]
    fn high_numbers_of_this_end_take_no_places() {
        let mut slots = Slots::default();
        let numbers = [PLACES as u32 / 2 - 1, PLACES as u32 / 2, 100_000, u32::MAX];
        let calls =
            || numbers.iter().flat_map(|id| [0, 1].map(|generation| call(*id, generation, Origin::Local)));
        for call in calls() {
            slots.insert(call).peeked = Some(Box::new(Read::End));
        }
        assert_eq!((slots.local.len(), slots.others.len(), slots.len()), (PLACES, 6, 8));
        assert!(slots.local.capacity() <= 2 * PLACES);
        assert_eq!(slots.local().count(), 8);
        for call in calls() {
            assert!(slots.get(call).is_some_and(|slot| slot.peeked.is_some()));
            assert!(slots.get_mut(call).is_some_and(|slot| slot.peeked.take().is_some()));
            slots.remove(call, |_| {});
            assert!(slots.get(call).is_none());
        }
        assert_eq!((slots.others.len(), slots.len()), (0, 0));
    }

    #[test]
    fn high_numbers_take_no_places() {
        let mut slots = Slots::default();
        let far = call(u32::MAX, 0, Origin::Remote);
        mark(&mut slots, far);
        mark(&mut slots, call(PLACES as u32 - 1, 0, Origin::Remote));
        assert_eq!((slots.remote.len(), slots.len()), (PLACES, 2));
        assert!(slots.get(far).is_some_and(|slot| slot.accepted));
        slots.remove(far, |_| {});
        assert!(slots.get(far).is_none());
        slots.shrink_to_fit();
        assert_eq!(slots.remote.len(), PLACES);
        slots.remove(call(PLACES as u32 - 1, 0, Origin::Remote), |_| {});
        slots.shrink_to_fit();
        assert_eq!((slots.remote.capacity(), slots.others.capacity(), slots.len()), (0, 0, 0));
    }
}
