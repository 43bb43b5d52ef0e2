use std::collections::VecDeque;
use std::time::Duration;

use bowline_runtime::Instant;

use super::Shared;

/// How many items a topic keeps for readers that continue: 1,024. Source of all three: section 5 of the protocol.
const ITEMS: usize = 1024;
/// How many bytes of them: 1 MiB.
const BYTES: usize = 1024 * 1024;
/// For how long: 60 s.
const AGE: Duration = Duration::from_secs(60);

/// The items of a topic that a reader may still continue from. Old ones go when the topic is next used.
pub(super) struct Retained<T> {
    items: VecDeque<Kept<T>>,
    bytes: usize,
    /// The offset of the next item.
    next: u64,
}

struct Kept<T> {
    at: Instant,
    item: Shared<T>,
    size: usize,
}

impl<T> Default for Retained<T> {
    fn default() -> Self {
        Self { items: VecDeque::new(), bytes: 0, next: 0 }
    }
}

impl<T> Retained<T> {
    pub(super) fn next(&self) -> u64 {
        self.next
    }

    /// Keeps an item and returns its offset.
    pub(super) fn push(&mut self, now: Instant, item: Shared<T>, size: usize) -> u64 {
        self.items.push_back(Kept { at: now, item, size });
        self.bytes += size;
        self.evict(now);
        self.next += 1;
        self.next - 1
    }

    /// The offset of the oldest item that is kept, or of the next one.
    pub(super) fn first(&mut self, now: Instant) -> u64 {
        self.evict(now);
        self.next - self.items.len() as u64
    }

    /// How many items from `offset` on are gone, and the first that is not.
    pub(super) fn at(&mut self, now: Instant, offset: u64) -> (u64, Option<Shared<T>>) {
        let first = self.first(now);
        let place = usize::try_from(offset.saturating_sub(first)).unwrap_or(usize::MAX);
        (first.saturating_sub(offset), self.items.get(place).map(|kept| kept.item.clone()))
    }

    fn evict(&mut self, now: Instant) {
        while let Some(oldest) = self.items.front() {
            let aged = now.saturating_duration_since(oldest.at) >= AGE;
            if !aged && self.items.len() <= ITEMS && self.bytes <= BYTES {
                break;
            }
            self.bytes -= oldest.size;
            self.items.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn continued(retained: &mut Retained<u64>, now: Instant, offset: u64) -> (u64, Vec<u64>) {
        let (missed, _) = retained.at(now, offset);
        let items = (offset + missed..).map_while(|offset| retained.at(now, offset).1);
        (missed, items.map(|item| *item).collect())
    }

    #[test]
    fn a_reader_continues_where_it_was_and_learns_what_is_gone() {
        let start = bowline_runtime::now();
        let mut retained = Retained::default();
        for number in 0..3 {
            assert_eq!(retained.push(start, Shared::new(number), 1), number);
        }
        assert_eq!(continued(&mut retained, start, 1), (0, vec![1, 2]));
        assert_eq!(continued(&mut retained, start, 3), (0, vec![]));
        assert_eq!(continued(&mut retained, start, 99), (0, vec![]));

        let later = start + AGE;
        retained.push(later, Shared::new(3), 1);
        assert_eq!(continued(&mut retained, later, 1), (2, vec![3]));
    }

    #[test]
    fn items_and_bytes_are_bounded() {
        let start = bowline_runtime::now();
        let mut retained = Retained::default();
        for number in 0..2000 {
            retained.push(start, Shared::new(number), 1);
        }
        assert_eq!(continued(&mut retained, start, 0).0, 2000 - ITEMS as u64);
        retained.push(start, Shared::new(2000), BYTES);
        assert_eq!(continued(&mut retained, start, 0), (2000, vec![2000]));
    }
}
