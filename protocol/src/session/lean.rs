//! Queues that hold one thing most of the time, of sessions that are many.

use std::collections::VecDeque;

/// What a queue has room for that outgrows one. Source: our choice; what waits to be acknowledged comes to 32.
const SOME: usize = 16;

/// Adds to the end. The first one takes room for one: left to itself a queue begins with room for four. The second one takes
/// room for some: where there are two there are more, and growing by a few each time is a copy each time.
#[inline]
pub(super) fn push<T>(queue: &mut VecDeque<T>, value: T) {
    let room = queue.capacity();
    if queue.len() == room && room < SOME {
        queue.reserve_exact(if room == 0 { 1 } else { SOME - room });
    }
    queue.push_back(value);
}

/// A queue whose first has its place here: what comes and goes one at a time touches no other memory.
#[derive(Debug)]
pub(super) struct Lean<T> {
    /// `None` if there is nothing at all.
    first: Option<T>,
    rest: VecDeque<T>,
}

impl<T> Default for Lean<T> {
    fn default() -> Self {
        Self { first: None, rest: VecDeque::new() }
    }
}

impl<T> Lean<T> {
    pub(super) fn is_empty(&self) -> bool {
        self.first.is_none()
    }

    pub(super) fn len(&self) -> usize {
        usize::from(self.first.is_some()) + self.rest.len()
    }

    pub(super) fn front(&self) -> Option<&T> {
        self.first.as_ref()
    }

    pub(super) fn front_mut(&mut self) -> Option<&mut T> {
        self.first.as_mut()
    }

    pub(super) fn back_mut(&mut self) -> Option<&mut T> {
        self.rest.back_mut().or(self.first.as_mut())
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &T> {
        self.first.iter().chain(&self.rest)
    }

    #[inline]
    pub(super) fn push_back(&mut self, value: T) {
        if self.first.is_none() {
            self.first = Some(value);
        } else {
            self.rest.push_back(value);
        }
    }

    #[inline]
    pub(super) fn pop_front(&mut self) -> Option<T> {
        std::mem::replace(&mut self.first, self.rest.pop_front())
    }

    pub(super) fn retain(&mut self, mut keep: impl FnMut(&T) -> bool) {
        self.rest.retain(&mut keep);
        if !self.first.as_ref().is_some_and(keep) {
            self.pop_front();
        }
    }

    pub(super) fn clear(&mut self) {
        self.first = None;
        self.rest.clear();
    }

    /// Gives back what was allocated ahead.
    pub(super) fn trim(&mut self) {
        self.rest.shrink_to_fit();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_takes_room_for_one_and_many_grow_as_ever() {
        let mut queue = VecDeque::new();
        push(&mut queue, [0_u64; 8]);
        assert_eq!(queue.capacity(), 1);
        let mut grown = 0;
        for _ in 0..1000 {
            let before = queue.capacity();
            push(&mut queue, [0; 8]);
            grown += usize::from(queue.capacity() != before);
        }
        assert!(grown <= 8, "{grown}");
    }

    #[test]
    fn one_at_a_time_takes_no_memory_elsewhere() {
        let mut queue = Lean::default();
        for number in 0..100 {
            queue.push_back(number);
            assert_eq!((queue.pop_front(), queue.len()), (Some(number), 0));
        }
        assert_eq!(queue.rest.capacity(), 0);
    }

    #[test]
    fn order_is_kept_whatever_goes() {
        let mut queue = Lean::default();
        assert!(queue.is_empty() && queue.pop_front().is_none() && queue.back_mut().is_none());
        (0..6).for_each(|number| queue.push_back(number));
        queue.retain(|number| number % 2 == 1);
        assert_eq!(queue.iter().copied().collect::<Vec<_>>(), [1, 3, 5]);
        *queue.back_mut().unwrap() += 1;
        *queue.front_mut().unwrap() -= 1;
        assert_eq!((queue.front(), queue.len()), (Some(&0), 3));
        queue.push_back(7);
        let all: Vec<_> = std::iter::from_fn(|| queue.pop_front()).collect();
        assert_eq!(all, [0, 3, 6, 7]);
        queue.push_back(8);
        assert_eq!(queue.back_mut(), Some(&mut 8));
        queue.push_back(9);
        queue.clear();
        queue.trim();
        assert_eq!((queue.is_empty(), queue.rest.capacity()), (true, 0));
    }
}
