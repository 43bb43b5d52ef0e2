//! Queues that hold one thing most of the time, of sessions that are many.

use std::collections::VecDeque;

/// Adds to the end. The first one takes room for one: left to itself a queue begins with room for four.
#[inline]
pub(super) fn push<T>(queue: &mut VecDeque<T>, value: T) {
    if queue.capacity() == 0 {
        queue.reserve_exact(1);
    }
    queue.push_back(value);
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
        assert!(grown <= 10, "{grown}");
    }
}
