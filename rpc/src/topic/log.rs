use std::collections::VecDeque;
use std::time::Duration;

use bowline_runtime::Instant;

use super::Shared;
use super::follower::Room;
use crate::few::Few;

/// How many items a topic keeps: 1,024. Source of all three: section 5 of the protocol.
const ITEMS: usize = 1024;
/// How many bytes of them: 1 MiB.
const BYTES: u64 = 1024 * 1024;
/// For how long a reader may continue from one: 60 s.
const AGE: Duration = Duration::from_secs(60);

/// The items of a topic, once for all who read them. Whoever is within a [`Room`] finds all of it here.
pub(super) struct Log<T> {
    items: VecDeque<Kept<T>>,
    /// The number of the next item.
    next: u64,
    /// How many bytes all items had so far.
    bytes: u64,
}

struct Kept<T> {
    at: Instant,
    item: Shared<T>,
    /// How many bytes there were before it.
    before: u64,
}

impl<T> Default for Log<T> {
    fn default() -> Self {
        Self { items: VecDeque::new(), next: 0, bytes: 0 }
    }
}

impl<T> Log<T> {
    pub(super) fn next(&self) -> u64 {
        self.next
    }

    /// Keeps an item and returns those that are kept no longer, whose drop may run foreign code. The newest always has room;
    /// those that are too old go unless they are `unread`, the number of the first item that somebody has not read, or come
    /// behind it.
    pub(super) fn push(&mut self, now: Instant, item: Shared<T>, size: usize, unread: u64) -> Few<Shared<T>> {
        let mut retired = Few::default();
        self.items.push_back(Kept { at: now, item, before: self.bytes });
        self.bytes += size as u64;
        self.next += 1;
        while let Some(oldest) = self.items.front() {
            let are_many = self.items.len() > ITEMS || self.bytes - oldest.before > BYTES;
            let is_done = is_aged(oldest, now) && self.start() < unread;
            if !(is_done || are_many && self.items.len() > 1) {
                break;
            }
            self.items.pop_front().into_iter().for_each(|kept| retired.push(kept.item));
        }
        retired
    }

    /// The first item that a reader may continue from, or the next one.
    pub(super) fn first(&self, now: Instant) -> u64 {
        self.start() + self.items.partition_point(|kept| is_aged(kept, now)) as u64
    }

    /// The first item from `from` on such that what follows fits into `room`. At least the newest always does.
    pub(super) fn fitting(&self, from: u64, room: Room) -> u64 {
        if from + 1 == self.next && !self.items.is_empty() {
            return from;
        }
        let is_too_much = |kept: &Kept<T>| self.bytes - kept.before > room.bytes;
        let first = from.max(self.start()).max(self.next.saturating_sub(room.items));
        match self.kept(first) {
            Some(kept) if is_too_much(kept) => {
                let fits = self.start() + self.items.partition_point(is_too_much) as u64;
                fits.clamp(first, self.next - 1)
            }
            _ => first,
        }
    }

    /// An item that is kept, and how many bytes it has.
    pub(super) fn get(&self, number: u64) -> Option<(&Shared<T>, u64)> {
        let kept = self.kept(number)?;
        let end = self.kept(number + 1).map_or(self.bytes, |next| next.before);
        Some((&kept.item, end - kept.before))
    }

    fn kept(&self, number: u64) -> Option<&Kept<T>> {
        self.items.get(usize::try_from(number.checked_sub(self.start())?).ok()?)
    }

    /// The first item that is kept, or the next one.
    pub(super) fn start(&self) -> u64 {
        self.next - self.items.len() as u64
    }
}

fn is_aged<T>(kept: &Kept<T>, now: Instant) -> bool {
    now.saturating_duration_since(kept.at) >= AGE
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Numbers from 0, of so many bytes each, that everybody has read.
    fn log(now: Instant, sizes: &[usize]) -> Log<u64> {
        let mut log = Log::default();
        for (size, number) in sizes.iter().zip(0..) {
            assert_eq!(log.next(), number);
            log.push(now, Shared::new(number), *size, u64::MAX);
        }
        log
    }

    fn kept(log: &Log<u64>) -> Vec<(u64, u64)> {
        (0..log.next()).filter_map(|number| log.get(number)).map(|(item, size)| (**item, size)).collect()
    }

    const fn room(items: u64, bytes: u64) -> Room {
        Room { items, bytes }
    }

    #[test]
    fn items_are_found_by_their_numbers() {
        let log = log(bowline_runtime::now(), &[3, 0, 5]);
        assert_eq!(kept(&log), [(0, 3), (1, 0), (2, 5)]);
        assert!(log.get(3).is_none());
    }

    #[test]
    fn items_and_bytes_are_bounded_and_the_newest_stays() {
        let start = bowline_runtime::now();
        let mut log = log(start, &[1; 2000]);
        assert_eq!((kept(&log).len(), kept(&log)[0].0), (ITEMS, 2000 - ITEMS as u64));
        log.push(start, Shared::new(2000), BYTES as usize, 0);
        assert_eq!(kept(&log), [(2000, BYTES)]);
        log.push(start, Shared::new(2001), 2 * BYTES as usize, 0);
        assert_eq!(kept(&log), [(2001, 2 * BYTES)]);
    }

    #[test]
    fn what_is_too_old_is_not_continued_from_and_goes_when_it_was_read() {
        let start = bowline_runtime::now();
        let mut log = log(start, &[1; 3]);
        let later = start + AGE;
        assert_eq!((log.first(start), log.first(later)), (0, 3));
        log.push(later, Shared::new(3), 1, 1);
        assert_eq!(kept(&log), [(1, 1), (2, 1), (3, 1)], "somebody has yet to read 1");
        assert_eq!(log.first(later), 3);
        log.push(later, Shared::new(4), 1, u64::MAX);
        assert_eq!(kept(&log), [(3, 1), (4, 1)]);
    }

    #[test]
    fn what_fits_is_the_end_of_what_was_published() {
        let log = log(bowline_runtime::now(), &[10, 10, 10, 10]);
        for (from, items, bytes, first) in [
            (0, 4, 40, 0),
            (0, 3, 40, 1),
            (2, 1, 40, 3),
            (0, 4, 39, 1),
            (0, 4, 20, 2),
            (3, 4, 20, 3),
            // One always fits, and nothing is nothing.
            (0, 4, 9, 3),
            (0, 1, 0, 3),
            (4, 1, 0, 4),
        ] {
            assert_eq!(log.fitting(from, room(items, bytes)), first, "{from} {items} {bytes}");
        }
    }
}
