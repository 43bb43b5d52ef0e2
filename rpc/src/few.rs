use std::iter::Chain;
use std::{option, slice};

/// What a list has room for at first: where there is a second one there are often many.
const LIST: usize = 16;

/// What mostly is one thing at most, which takes no list.
#[derive(Debug)]
pub(crate) struct Few<T> {
    /// `None` if there is nothing at all.
    first: Option<T>,
    rest: Vec<T>,
}

impl<T> Few<T> {
    /// Whether there is nothing to be dropped, not even room.
    pub(crate) fn is_bare(&self) -> bool {
        self.first.is_none() && self.rest.capacity() == 0
    }

    #[inline]
    pub(crate) fn push(&mut self, one: T) {
        if self.first.is_none() {
            self.first = Some(one);
        } else {
            self.push_further(one);
        }
    }

    #[inline(never)]
    fn push_further(&mut self, one: T) {
        if self.rest.capacity() == 0 {
            self.rest.reserve_exact(LIST);
        }
        self.rest.push(one);
    }

    /// Makes room for `all`.
    pub(crate) fn reserve(&mut self, all: usize) {
        self.rest.reserve_exact(all.saturating_sub(1));
    }

    pub(crate) fn iter_mut(&mut self) -> Chain<option::IterMut<'_, T>, slice::IterMut<'_, T>> {
        self.first.iter_mut().chain(&mut self.rest)
    }

    /// Takes all of it out and calls `each` with it, in order.
    #[inline]
    pub(crate) fn drain(&mut self, mut each: impl FnMut(T)) {
        if let Some(first) = self.first.take() {
            each(first);
            self.rest.drain(..).for_each(each);
        }
    }
}

impl<T> Default for Few<T> {
    fn default() -> Self {
        Self { first: None, rest: Vec::new() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_is_kept_and_one_takes_no_list() {
        let mut few = Few::default();
        assert!(few.is_bare());
        few.push(1);
        assert_eq!((few.is_bare(), few.rest.capacity()), (false, 0));
        few.push(2);
        few.push(3);
        few.iter_mut().for_each(|one| *one *= 10);
        let mut all = Vec::new();
        few.drain(|one| all.push(one));
        assert!(few.first.is_none() && !few.is_bare(), "the list stays");
        assert_eq!(all, [10, 20, 30]);
    }
}
