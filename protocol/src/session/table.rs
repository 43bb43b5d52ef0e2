use std::collections::VecDeque;

use super::types::{CallId, Origin};

/// A table by small numbers whose places tell their successive owners apart.
#[derive(Debug)]
pub(super) struct Table<T> {
    places: Vec<Place<T>>,
    /// Free places of a table that chooses its own numbers. The one that was freed first is used first: what others keep
    /// by these numbers has time to be given up.
    free: VecDeque<u32>,
    len: usize,
    origin: Origin,
    /// What new places begin with: behind those of all that were given back.
    generation: u32,
}

#[derive(Debug)]
struct Place<T> {
    generation: u32,
    value: Option<T>,
}

impl<T> Table<T> {
    pub(super) fn new(origin: Origin) -> Self {
        Self { places: Vec::new(), free: VecDeque::new(), len: 0, origin, generation: 0 }
    }

    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// A place of the table's choice for a call, which is to be put there at once: it is large, and made where it stays.
    #[inline]
    pub(super) fn vacant(&mut self) -> (CallId, &mut Option<T>) {
        let id = self.free.pop_front().unwrap_or_else(|| {
            self.places.push(Place { generation: self.generation, value: None });
            (self.places.len() - 1) as u32
        });
        self.take(id)
    }

    /// The same for place `id`, which is free. The caller bounds `id`.
    #[inline]
    pub(super) fn vacant_at(&mut self, id: u32) -> (CallId, &mut Option<T>) {
        if self.places.capacity() == 0 {
            // Of an idle session there is the first place alone.
            self.places.reserve_exact(id as usize + 1);
        }
        while self.places.len() <= id as usize {
            self.places.push(Place { generation: self.generation, value: None });
        }
        self.take(id)
    }

    #[inline]
    fn take(&mut self, id: u32) -> (CallId, &mut Option<T>) {
        let place = &mut self.places[id as usize];
        debug_assert!(place.value.is_none());
        self.len += 1;
        (CallId { id, generation: place.generation, origin: self.origin }, &mut place.value)
    }

    #[inline]
    pub(super) fn get(&self, call: CallId) -> Option<&T> {
        let place = self.places.get(call.id as usize)?;
        if place.generation == call.generation { place.value.as_ref() } else { None }
    }

    #[inline]
    pub(super) fn get_mut(&mut self, call: CallId) -> Option<&mut T> {
        let place = self.places.get_mut(call.id as usize)?;
        if place.generation == call.generation { place.value.as_mut() } else { None }
    }

    /// What has the first place.
    #[inline]
    pub(super) fn first(&self) -> Option<&T> {
        self.places.first()?.value.as_ref()
    }

    /// The call that has place `id` now.
    #[inline]
    pub(super) fn at(&self, id: u32) -> Option<CallId> {
        let place = self.places.get(id as usize)?;
        place.value.as_ref().map(|_| CallId { id, generation: place.generation, origin: self.origin })
    }

    /// Takes a call out and frees its place.
    pub(super) fn remove(&mut self, call: CallId) -> Option<T> {
        let place = self.places.get_mut(call.id as usize)?;
        if place.generation != call.generation {
            return None;
        }
        let value = place.value.take()?;
        self.free_place(call.id);
        Some(value)
    }

    /// As [`remove`](Self::remove), for what nobody needs any more: it is dropped where it lies. Whether it was there.
    pub(super) fn forget(&mut self, call: CallId) -> bool {
        let Some(place) = self.places.get_mut(call.id as usize) else { return false };
        let is_there = place.generation == call.generation && place.value.is_some();
        if is_there {
            place.value = None;
            self.free_place(call.id);
        }
        is_there
    }

    fn free_place(&mut self, id: u32) {
        let place = &mut self.places[id as usize];
        place.generation = place.generation.wrapping_add(1);
        self.len -= 1;
        if self.origin == Origin::Local {
            self.free.push_back(id);
        }
    }

    /// Gives back what was allocated ahead, and the places behind the last one that is taken.
    pub(super) fn trim(&mut self) {
        let used = self.places.iter().rposition(|place| place.value.is_some()).map_or(0, |last| last + 1);
        for place in self.places.drain(used..) {
            self.generation = self.generation.max(place.generation);
        }
        self.free.retain(|id| (*id as usize) < used);
        self.places.shrink_to_fit();
        self.free.shrink_to_fit();
    }

    /// Every call in the table, by place.
    pub(super) fn ids(&self) -> impl Iterator<Item = CallId> + '_ {
        let origin = self.origin;
        let places = self.places.iter().enumerate().filter(|(_, place)| place.value.is_some());
        places.map(move |(id, place)| CallId { id: id as u32, generation: place.generation, origin })
    }

    /// Every call and its value, by place.
    pub(super) fn iter(&self) -> impl Iterator<Item = (CallId, &T)> {
        let origin = self.origin;
        self.places.iter().enumerate().filter_map(move |(id, place)| {
            let call = CallId { id: id as u32, generation: place.generation, origin };
            place.value.as_ref().map(|value| (call, value))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    impl<T> Table<T> {
        fn insert(&mut self, value: T) -> CallId {
            let (call, place) = self.vacant();
            *place = Some(value);
            call
        }

        fn insert_at(&mut self, id: u32, value: T) -> CallId {
            let (call, place) = self.vacant_at(id);
            *place = Some(value);
            call
        }
    }

    #[test]
    fn a_place_is_used_again_under_another_name() {
        let mut table = Table::new(Origin::Local);
        let first = table.insert("first");
        assert_eq!(table.remove(first), Some("first"));
        let second = table.insert("second");
        assert_eq!(second.id, first.id);
        assert_ne!(second, first);
        assert_eq!(table.get(first), None);
        assert_eq!(table.remove(first), None);
        assert_eq!(table.get(second), Some(&"second"));
        assert_eq!(table.len(), 1);
        assert!(!table.forget(first));
        assert!(table.forget(second));
        assert!(!table.forget(second));
        assert_eq!((table.len(), table.get(second)), (0, None));
        assert_eq!(table.insert("third").id, first.id);
    }

    /// A connection kept 40 KiB for the 256 calls of its busiest moment.
    #[test]
    fn a_trim_gives_free_places_back_and_whoever_comes_there_has_another_name() {
        for origin in [Origin::Local, Origin::Remote] {
            let mut table = Table::new(origin);
            let put = |table: &mut Table<u32>, id| match origin {
                Origin::Local => table.insert(id),
                Origin::Remote => table.insert_at(id, id),
            };
            let mut old: Vec<_> = (0..10).map(|id| put(&mut table, id)).collect();
            for round in 0..3 {
                for call in old.iter().rev().filter(|call| call.id != 3) {
                    table.forget(*call);
                }
                table.trim();
                assert_eq!((table.len(), table.places.capacity()), (1, 4));
                let third = old.iter().rposition(|call| call.id == 3).map(|at| old.swap_remove(at));
                let new: Vec<_> = (0..10).filter(|id| *id != 3).map(|id| put(&mut table, id)).collect();
                assert_eq!(table.len(), 10);
                assert!(old.iter().all(|call| table.get(*call).is_none()), "{round}");
                old = new.into_iter().chain(third).collect();
                assert!(old.iter().all(|call| table.get(*call).is_some()));
            }
            old.iter().for_each(|call| assert!(table.forget(*call)));
            table.trim();
            assert_eq!((table.places.capacity(), table.free.capacity()), (0, 0));
        }
    }

    #[test]
    fn a_peers_numbers_may_leave_holes() {
        let mut table = Table::new(Origin::Remote);
        let fifth = table.insert_at(5, 'a');
        assert_eq!(table.at(5), Some(fifth));
        assert_eq!(table.at(4), None);
        assert_eq!(table.at(6), None);
        assert_eq!(table.ids().collect::<Vec<_>>(), [fifth]);
    }

    /// Most sessions have one call at a time; four places of a queue by itself were half a KiB of each idle connection.
    #[test]
    fn the_first_place_of_a_peers_table_takes_room_for_one() {
        let mut table = Table::new(Origin::Remote);
        table.insert_at(0, [0_u64; 8]);
        assert_eq!(table.places.capacity(), 1);
        table.insert_at(100, [0; 8]);
        table.insert_at(1, [0; 8]);
        assert_eq!(table.len(), 3);
    }
}
