use std::collections::VecDeque;

use bowline_protocol::schema::Lag;

use super::Shared;
use super::log::Log;

/// What one subscriber may have waiting.
#[derive(Debug, Clone, Copy)]
pub(super) struct Room {
    pub(super) items: u64,
    pub(super) bytes: u64,
}

impl Room {
    /// 1,024 items or 256 KiB. Source: section 5 of the protocol.
    pub(super) const DEFAULT: Self = Self { items: 1024, bytes: 256 * 1024 };
    /// One value, of any size.
    pub(super) const NEWEST: Self = Self { items: 1, bytes: 0 };
}

/// What a subscriber takes at one time, so that it does not ask for each item. It stands beside its room.
const AHEAD: Room = Room { items: 32, bytes: 16 * 1024 };

/// How one subscriber goes through the log: nothing waits for it anywhere else, and whether it is too slow is found out when
/// it reads.
#[derive(Debug)]
pub(super) struct Follower {
    room: Room,
    lag: Lag,
    /// It goes through what was there before it came, which takes no room of its own.
    is_behind: bool,
    /// Left out before the next item.
    missed: u64,
    /// The subscriber was too slow for a stream that closes then.
    has_lagged: bool,
}

/// What a subscriber gets.
pub(super) enum Taken<T> {
    /// An item, with the number left out before it.
    Item(u64, Shared<T>),
    /// The end, with the number left out.
    Lagged(u64),
    Nothing,
}

impl Follower {
    pub(super) fn new(room: Room, lag: Lag) -> Self {
        Self { room, lag, is_behind: false, missed: 0, has_lagged: false }
    }

    /// Starts with the item `from`, or with `first` if that comes later: the first that a reader may continue from. Returns
    /// which one it is. Age counts here alone: what becomes too old while it is read stays for as long as the log has it.
    pub(super) fn start_behind(&mut self, from: u64, first: u64) -> u64 {
        self.is_behind = true;
        self.missed = first.saturating_sub(from);
        from.max(first)
    }

    /// Whether it has not had everything yet that was there before it came.
    pub(super) fn is_behind(&self) -> bool {
        self.is_behind
    }

    /// The item with the number `next`, or the first behind it that this subscriber still gets. Moves `next` on.
    pub(super) fn take<T>(&mut self, next: &mut u64, log: &Log<T>) -> Taken<T> {
        if self.has_lagged {
            return Taken::Lagged(0);
        }
        let end = log.next();
        if *next == end {
            self.is_behind = false;
            return Taken::Nothing;
        }
        let mut first = if self.is_behind { log.start().max(*next) } else { log.fitting(*next, self.room) };
        if first > *next && !self.is_behind {
            match self.lag {
                Lag::DropOldest => {}
                Lag::Latest => first = end - 1,
                Lag::Close => {
                    self.has_lagged = true;
                    return Taken::Lagged(self.take_missed() + end - std::mem::replace(next, end));
                }
            }
        }
        self.missed += first - *next;
        *next = first;
        match log.get(first) {
            Some((item, _)) => {
                *next += 1;
                Taken::Item(self.take_missed(), item.clone())
            }
            None => Taken::Nothing,
        }
    }

    /// What was left out since the last item, for whoever tells it.
    pub(super) fn take_missed(&mut self) -> u64 {
        std::mem::take(&mut self.missed)
    }

    /// Takes some of the items that stand behind one that was just taken.
    pub(super) fn take_more<T>(&self, next: &mut u64, log: &Log<T>, ready: &mut VecDeque<Shared<T>>) {
        let mut bytes = 0;
        while *next < log.next()
            && !self.is_behind
            && (ready.len() as u64) < AHEAD.items
            && let Some((item, size)) = log.get(*next).filter(|(_, size)| bytes + size <= AHEAD.bytes)
        {
            bytes += size;
            *next += 1;
            ready.push_back(item.clone());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A subscriber and the log that it reads.
    struct Reading {
        log: Log<u64>,
        follower: Follower,
        next: u64,
        now: bowline_runtime::Instant,
    }

    impl Reading {
        fn new(lag: Lag, room: Room) -> Self {
            let follower = Follower::new(room, lag);
            Self { log: Log::default(), follower, next: 0, now: bowline_runtime::now() }
        }

        /// The same after the numbers 0, 1, 2, … of one byte each.
        fn published(lag: Lag, room: Room, numbers: u64) -> Self {
            let mut reading = Self::new(lag, room);
            (0..numbers).for_each(|_| reading.publish(1));
            reading
        }

        fn publish(&mut self, size: usize) {
            let number = Shared::new(self.log.next());
            self.log.push(self.now, number, size, self.next);
        }

        fn next(&mut self) -> Taken<u64> {
            self.follower.take(&mut self.next, &self.log)
        }

        /// What is left, with the number left out before it.
        fn taken(&mut self) -> (u64, Option<u64>) {
            match self.next() {
                Taken::Item(missed, item) => (missed, Some(*item)),
                Taken::Lagged(missed) => (missed, None),
                Taken::Nothing => panic!("nothing is waiting"),
            }
        }

        fn is_over(&mut self) -> bool {
            matches!(self.next(), Taken::Nothing)
        }
    }

    const THREE: Room = Room { items: 3, bytes: 1000 };

    #[test]
    fn a_full_room_loses_nothing() {
        for lag in [Lag::Close, Lag::Latest, Lag::DropOldest] {
            let mut reading = Reading::published(lag, THREE, 3);
            for number in 0..3 {
                assert_eq!(reading.taken(), (0, Some(number)));
            }
            assert!(reading.is_over());
        }
    }

    #[test]
    fn some_items_are_taken_together() {
        let mut reading = Reading::published(Lag::Close, Room { items: 100, bytes: 100_000 }, 50);
        let mut ready = VecDeque::new();
        assert_eq!(reading.taken(), (0, Some(0)));
        reading.follower.take_more(&mut reading.next, &reading.log, &mut ready);
        assert_eq!(ready.iter().map(|item| **item).collect::<Vec<_>>(), (1..33).collect::<Vec<_>>());
        assert_eq!(reading.taken(), (0, Some(33)));

        let mut reading = Reading::new(Lag::Close, Room { items: 100, bytes: 100_000 });
        (0..4).for_each(|_| reading.publish(10_000));
        ready.clear();
        reading.follower.take_more(&mut reading.next, &reading.log, &mut ready);
        assert_eq!(ready.len(), 1, "16 KiB at most");
    }

    #[test]
    fn drop_oldest_leaves_out_the_oldest_and_says_how_many() {
        let mut reading = Reading::published(Lag::DropOldest, THREE, 5);
        assert_eq!(reading.taken(), (2, Some(2)));
        assert_eq!(reading.taken(), (0, Some(3)));
    }

    #[test]
    fn latest_keeps_the_newest_alone() {
        let mut reading = Reading::published(Lag::Latest, THREE, 5);
        assert_eq!(reading.taken(), (4, Some(4)));
        assert!(reading.is_over());
    }

    #[test]
    fn close_ends_and_counts_everything_since() {
        let mut reading = Reading::published(Lag::Close, THREE, 6);
        assert_eq!(reading.taken(), (6, None));
        reading.publish(1);
        assert_eq!(reading.taken(), (0, None), "the end stays the end");
    }

    /// Only what it had skipped itself was counted.
    #[test]
    fn close_also_counts_what_was_too_old_when_the_reader_came() {
        let mut reading = Reading::published(Lag::Close, THREE, 10);
        reading.next = reading.follower.start_behind(0, 10);
        assert!(reading.is_over());
        (0..6).for_each(|_| reading.publish(1));
        assert_eq!(reading.taken(), (16, None));
    }

    #[test]
    fn room_is_also_bytes_and_one_item_always_fits() {
        let mut reading = Reading::new(Lag::DropOldest, Room { items: 100, bytes: 10 });
        reading.publish(500);
        assert_eq!(reading.taken(), (0, Some(0)));
        reading.publish(6);
        reading.publish(6);
        assert_eq!(reading.taken(), (1, Some(2)));
    }

    #[test]
    fn a_slow_reader_gets_all_that_its_room_held_however_old_it_is() {
        let mut reading = Reading::published(Lag::Close, Room::DEFAULT, 10);
        reading.now += std::time::Duration::from_secs(100);
        reading.publish(1);
        for number in 0..11 {
            assert_eq!(reading.taken(), (0, Some(number)));
        }
    }

    /// It had been given all of it at once, so that a reader that had lagged lagged again before its first item.
    #[test]
    fn a_reader_that_is_behind_takes_what_is_kept_without_filling_its_room() {
        let mut reading = Reading::published(Lag::Close, THREE, 10);
        reading.follower.start_behind(0, 0);
        for number in 0..10 {
            assert_eq!(reading.taken(), (0, Some(number)));
        }
        assert!(reading.is_over());
        reading.publish(1);
        assert_eq!(reading.taken(), (0, Some(10)));
        (0..4).for_each(|_| reading.publish(1));
        assert_eq!(reading.taken(), (4, None), "from there on it has its room");
    }

    #[test]
    fn what_is_dropped_while_a_reader_is_behind_is_counted() {
        let mut reading = Reading::published(Lag::Close, THREE, 1);
        reading.follower.start_behind(0, 0);
        assert_eq!(reading.taken(), (0, Some(0)));
        (0..2000).for_each(|_| reading.publish(1));
        let (missed, Some(item)) = reading.taken() else { panic!("nothing is kept") };
        assert_eq!((missed, item), (2000 - 1024, missed + 1));
    }

    /// What had become too old was left out, although the log keeps exactly that for who has not read it.
    #[test]
    fn a_reader_that_is_behind_gets_what_becomes_too_old_while_it_reads() {
        let mut reading = Reading::published(Lag::Close, THREE, 10);
        reading.next = reading.follower.start_behind(2, 4);
        assert_eq!(reading.taken(), (2, Some(4)), "too old when it came");
        reading.now += std::time::Duration::from_secs(61);
        reading.publish(1);
        for number in 5..11 {
            assert_eq!(reading.taken(), (0, Some(number)));
        }
        assert!(reading.is_over());
    }
}
