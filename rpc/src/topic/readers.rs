use std::task::Waker;

use bowline_runtime::Lines;

use super::Nearby;

/// The readers of a topic, in the order in which they came: what belongs to readers that came together lies together too, and
/// an item is given to all of them in the order of memory.
///
/// Who goes leaves a vacant place, and those behind move up when most places are vacant. So there are never many more places
/// than readers, and their ids stay in order, by which whoever was moved is found.
#[derive(Default)]
pub(super) struct Readers {
    places: Vec<Reader>,
    vacant: usize,
    /// How many there ever were.
    came: u64,
}

/// Which task is to be woken: where the parts of its waker are, as long as somebody keeps that.
pub(super) type Task = [usize; 2];

pub(super) fn task_of(waker: &Waker) -> Task {
    [waker.data().addr(), std::ptr::from_ref(waker.vtable()).addr()]
}

/// What publishing has to know of a subscriber.
pub(super) struct Reader {
    id: u64,
    /// The number of the item that it reads next.
    pub(super) next: u64,
    pub(super) waker: Option<Waker>,
    pub(super) nearby: Nearby,
}

impl Reader {
    /// The task of `waker` waits for the next item, in a subscription that lies there. Returns which task that is, and whom it
    /// waited with before, whose drop may run foreign code.
    #[inline]
    pub(super) fn wait(&mut self, waker: &Waker, subscription: Lines) -> (Task, Option<Waker>) {
        self.nearby.note(waker, subscription);
        let kept = waker.clone();
        (task_of(&kept), self.waker.replace(kept))
    }
}

/// The `next` of a vacant place, as if there were no item that it had not read.
const VACANT: u64 = u64::MAX;

/// Which reader it is.
#[derive(Debug)]
pub(super) struct ReaderId {
    id: u64,
    /// Where it was found last.
    place: usize,
}

impl Readers {
    pub(super) fn len(&self) -> usize {
        self.places.len() - self.vacant
    }

    pub(super) fn insert(&mut self, next: u64, nearby: Nearby) -> ReaderId {
        let id = ReaderId { id: self.came, place: self.places.len() };
        self.came += 1;
        self.places.push(Reader { id: id.id, next, waker: None, nearby });
        id
    }

    /// Returns its waker, whose drop may run foreign code.
    pub(super) fn remove(&mut self, id: &mut ReaderId) -> Option<Waker> {
        let reader = self.get_mut(id);
        let waker = reader.waker.take();
        (reader.next, reader.nearby) = (VACANT, Nearby::default());
        self.vacant += 1;
        if self.vacant > self.len() {
            self.places.retain(|reader| reader.next != VACANT);
            self.places.shrink_to(2 * self.places.len());
            self.vacant = 0;
        }
        waker
    }

    #[inline]
    pub(super) fn get_mut(&mut self, id: &mut ReaderId) -> &mut Reader {
        if self.places.get(id.place).is_none_or(|reader| reader.id != id.id) {
            id.place = self.search(id.id);
        }
        &mut self.places[id.place]
    }

    /// Where a reader is that has moved up since it was found last.
    #[cold]
    fn search(&self, id: u64) -> usize {
        self.places.partition_point(|reader| reader.id < id)
    }

    /// The one behind a reader that was just found. The place behind that is asked for: it is the neighbour's.
    #[inline]
    pub(super) fn neighbour(&self, id: &ReaderId) -> Option<&Reader> {
        if let Some(next) = self.places.get(id.place + 2) {
            Lines::of(next).prefetch();
        }
        self.places.get(id.place + 1..)?.iter().find(|reader| reader.next != VACANT)
    }

    /// All of them, and places that are vacant.
    #[inline]
    pub(super) fn iter_mut(&mut self) -> std::slice::IterMut<'_, Reader> {
        self.places.iter_mut()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As many readers as there are numbers.
    fn readers(numbers: std::ops::Range<u64>) -> (Readers, Vec<ReaderId>) {
        let mut readers = Readers::default();
        let ids = numbers.map(|number| readers.insert(number, Nearby::default())).collect();
        (readers, ids)
    }

    /// Each publish went past a place for every reader that there ever was at one time.
    #[test]
    fn a_crowd_that_has_gone_leaves_no_places_while_one_reader_stays() {
        let (mut readers, mut ids) = readers(0..100_000);
        let mut stays = ids.swap_remove(50_000);
        for mut id in ids {
            readers.remove(&mut id);
            assert!(readers.iter_mut().len() <= 2 * readers.len());
        }
        assert_eq!((readers.len(), readers.get_mut(&mut stays).next), (1, 50_000));
        assert!(readers.places.capacity() < 10);
        readers.remove(&mut stays);
        assert_eq!((readers.len(), readers.places.capacity()), (0, 0));
    }

    #[test]
    fn whoever_moves_up_is_found_in_the_order_of_coming() {
        let (mut readers, ids) = readers(0..100);
        let (mut stay, mut go): (Vec<_>, Vec<_>) = ids.into_iter().partition(|id| id.id % 7 == 0);
        for mut id in go.drain(..) {
            readers.remove(&mut id);
        }
        stay.push(readers.insert(100, Nearby::default()));
        let numbers: Vec<_> = stay.iter_mut().map(|id| readers.get_mut(id).next).collect();
        let behind: Vec<_> = stay.iter().filter_map(|id| readers.neighbour(id)).map(|it| it.next).collect();
        assert_eq!(numbers, (0..100).step_by(7).chain([100]).collect::<Vec<_>>());
        assert_eq!(behind, numbers[1..]);
    }
}
