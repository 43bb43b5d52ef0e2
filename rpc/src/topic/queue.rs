use std::collections::VecDeque;
use std::task::Waker;

use bowline_protocol::schema::Lag;
use bowline_runtime::Instant;

use super::Shared;
use super::retained::Retained;

/// What one subscriber may have waiting.
#[derive(Debug, Clone, Copy)]
pub(super) struct Room {
    pub(super) items: usize,
    pub(super) bytes: usize,
}

impl Room {
    /// 1,024 items or 256 KiB. Source: section 5 of the protocol.
    pub(super) const DEFAULT: Self = Self { items: 1024, bytes: 256 * 1024 };
    /// One value, of any size.
    pub(super) const NEWEST: Self = Self { items: 1, bytes: 0 };
}

/// What a subscriber takes at one time, so that it does not ask for each item. It stands beside its room.
const AHEAD: Room = Room { items: 32, bytes: 16 * 1024 };

/// The items that wait for one subscriber. At least one always has room.
pub(super) struct Queue<T> {
    room: Room,
    lag: Lag,
    items: VecDeque<(Shared<T>, usize)>,
    bytes: usize,
    /// The offset of the item that this subscriber gets next, while it is behind: until then nothing waits for it here,
    /// and what the topic keeps is not held a second time.
    behind: Option<u64>,
    /// Left out before the first of `items`.
    missed: u64,
    /// The subscriber was too slow for a stream that closes then; everything since is left out.
    lagged: bool,
    pub(super) waker: Option<Waker>,
}

/// What a subscriber gets.
pub(super) enum Taken<T> {
    /// An item, with the number left out before it.
    Item(u64, Shared<T>),
    /// The end, with the number left out.
    Lagged(u64),
    Nothing,
}

impl<T> Queue<T> {
    pub(super) fn new(room: Room, lag: Lag) -> Self {
        let items = VecDeque::new();
        Self { room, lag, items, bytes: 0, behind: None, missed: 0, lagged: false, waker: None }
    }

    /// Starts with what is kept from `offset` on.
    pub(super) fn start_at(&mut self, offset: u64) {
        self.behind = Some(offset);
    }

    /// Adds an item, making room as the policy says. Returns who waits for it.
    pub(super) fn push(&mut self, item: Shared<T>, size: usize) -> Option<Waker> {
        if self.behind.is_some() {
            return None;
        }
        if self.lagged {
            self.missed += 1;
            return None;
        }
        self.items.push_back((item, size));
        self.bytes += size;
        while self.items.len() > 1 && (self.items.len() > self.room.items || self.bytes > self.room.bytes) {
            match self.lag {
                Lag::DropOldest => self.drop_oldest(),
                Lag::Latest => {
                    while self.items.len() > 1 {
                        self.drop_oldest();
                    }
                }
                Lag::Close => {
                    self.missed += self.items.len() as u64;
                    self.items.clear();
                    self.bytes = 0;
                    self.lagged = true;
                }
            }
        }
        self.waker.take()
    }

    /// The next item. A subscriber that is behind goes through what is kept before it gets what is published.
    pub(super) fn take(&mut self, now: impl FnOnce() -> Instant, retained: &mut Retained<T>) -> Taken<T> {
        if let Some(offset) = self.behind {
            let (missed, item) = retained.at(now(), offset);
            self.missed += missed;
            if let Some(item) = item {
                self.behind = Some(offset + missed + 1);
                return Taken::Item(std::mem::take(&mut self.missed), item);
            }
            self.behind = None;
        }
        if let Some((item, size)) = self.items.pop_front() {
            self.bytes -= size;
            return Taken::Item(std::mem::take(&mut self.missed), item);
        }
        if self.lagged { Taken::Lagged(std::mem::take(&mut self.missed)) } else { Taken::Nothing }
    }

    /// Moves some of the items that stand behind one that was just taken.
    pub(super) fn take_more(&mut self, ready: &mut VecDeque<Shared<T>>) {
        let mut bytes = 0;
        while self.behind.is_none()
            && self.missed == 0
            && ready.len() < AHEAD.items
            && self.items.front().is_some_and(|(_, size)| bytes + *size <= AHEAD.bytes)
            && let Some((item, size)) = self.items.pop_front()
        {
            bytes += size;
            self.bytes -= size;
            ready.push_back(item);
        }
    }

    pub(super) fn take_waker(&mut self) -> Option<Waker> {
        self.waker.take()
    }

    fn drop_oldest(&mut self) {
        if let Some((_, size)) = self.items.pop_front() {
            self.bytes -= size;
            self.missed += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is left of the numbers 0, 1, 2, … of one byte each, with the number left out before it.
    fn pushed(lag: Lag, room: Room, numbers: u32) -> Queue<u32> {
        let mut queue = Queue::new(room, lag);
        for number in 0..numbers {
            queue.push(Shared::new(number), 1);
        }
        queue
    }

    fn taken(queue: &mut Queue<u32>) -> (u64, Option<u32>) {
        match next(queue) {
            Taken::Item(missed, item) => (missed, Some(*item)),
            Taken::Lagged(missed) => (missed, None),
            Taken::Nothing => panic!("nothing is waiting"),
        }
    }

    fn next(queue: &mut Queue<u32>) -> Taken<u32> {
        queue.take(bowline_runtime::now, &mut Retained::default())
    }

    const THREE: Room = Room { items: 3, bytes: 1000 };

    #[test]
    fn a_full_room_loses_nothing() {
        for lag in [Lag::Close, Lag::Latest, Lag::DropOldest] {
            let mut queue = pushed(lag, THREE, 3);
            for number in 0..3 {
                assert_eq!(taken(&mut queue), (0, Some(number)));
            }
            assert!(matches!(next(&mut queue), Taken::Nothing));
        }
    }

    #[test]
    fn some_items_are_taken_together_and_none_behind_a_gap() {
        let mut queue = pushed(Lag::Close, Room { items: 100, bytes: 100_000 }, 50);
        let mut ready = VecDeque::new();
        assert_eq!(taken(&mut queue), (0, Some(0)));
        queue.take_more(&mut ready);
        assert_eq!(ready.iter().map(|item| **item).collect::<Vec<_>>(), (1..33).collect::<Vec<_>>());
        assert_eq!((queue.items.len(), queue.bytes), (17, 17));

        let mut queue = pushed(Lag::Close, Room { items: 100, bytes: 100_000 }, 0);
        for number in 0..4 {
            queue.push(Shared::new(number), 10_000);
        }
        ready.clear();
        queue.take_more(&mut ready);
        assert_eq!(ready.len(), 1, "16 KiB at most");
    }

    #[test]
    fn drop_oldest_leaves_out_the_oldest_and_says_how_many() {
        let mut queue = pushed(Lag::DropOldest, THREE, 5);
        assert_eq!(taken(&mut queue), (2, Some(2)));
        assert_eq!(taken(&mut queue), (0, Some(3)));
    }

    #[test]
    fn latest_keeps_the_newest_alone() {
        let mut queue = pushed(Lag::Latest, THREE, 4);
        assert_eq!(taken(&mut queue), (3, Some(3)));
        assert!(matches!(next(&mut queue), Taken::Nothing));
    }

    #[test]
    fn close_ends_and_counts_everything_since() {
        let mut queue = pushed(Lag::Close, THREE, 6);
        assert_eq!(taken(&mut queue), (6, None));
    }

    #[test]
    fn room_is_also_bytes_and_one_item_always_fits() {
        let room = Room { items: 100, bytes: 10 };
        let mut queue = Queue::new(room, Lag::DropOldest);
        queue.push(Shared::new(1_u32), 500);
        assert_eq!(taken(&mut queue), (0, Some(1)));
        queue.push(Shared::new(2), 6);
        queue.push(Shared::new(3), 6);
        assert_eq!(taken(&mut queue), (1, Some(3)));
    }

    /// It had been given all of it at once, so that a reader that had lagged lagged again before its first item.
    #[test]
    fn a_reader_that_is_behind_takes_what_is_kept_without_filling_its_room() {
        let now = bowline_runtime::now();
        let mut retained = Retained::default();
        let mut queue = Queue::new(THREE, Lag::Close);
        queue.start_at(0);
        for number in 0..10 {
            queue.push(Shared::new(number), 1);
            retained.push(now, Shared::new(number), 1);
        }
        let mut take = |queue: &mut Queue<u32>| match queue.take(|| now, &mut retained) {
            Taken::Item(0, item) => Some(*item),
            Taken::Nothing => None,
            _ => panic!("something is missing"),
        };
        for number in 0..10 {
            assert_eq!(take(&mut queue), Some(number));
        }
        assert_eq!(take(&mut queue), None);
        queue.push(Shared::new(10), 1);
        assert_eq!(take(&mut queue), Some(10));
    }

    #[test]
    fn what_is_dropped_while_a_reader_is_behind_is_counted() {
        let now = bowline_runtime::now();
        let mut retained = Retained::default();
        let mut queue: Queue<u32> = Queue::new(THREE, Lag::Close);
        retained.push(now, Shared::new(0), 1);
        queue.start_at(0);
        assert!(matches!(queue.take(|| now, &mut retained), Taken::Item(0, _)));
        for number in 1..=2000 {
            retained.push(now, Shared::new(number), 1);
        }
        let Taken::Item(missed, item) = queue.take(|| now, &mut retained) else { panic!("nothing is kept") };
        assert_eq!(u64::from(*item), missed + 1);
        // All of it is gone: told before the next item.
        let later = now + std::time::Duration::from_secs(61);
        assert!(matches!(queue.take(|| later, &mut retained), Taken::Nothing));
        queue.push(Shared::new(2001), 1);
        assert!(
            matches!(queue.take(|| later, &mut retained), Taken::Item(left, _) if left == 2000 - missed - 1)
        );
    }
}
