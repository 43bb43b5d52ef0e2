use std::ops::Range;
use std::ptr::from_ref;

use branches::prefetch_read_data;

/// How many bytes a processor brings at one time. Source: x86-64 and most of ARM; a wrong one makes this do less or more than it
/// should, and harms nobody.
const LINE: usize = 64;

/// Memory that somebody is going to ask for, and that no cache may have any more.
///
/// Where thousands take turns, each finds its memory thrown out by the others, and waiting for it is most of what a turn
/// costs. Whoever knows who is next can have it brought while something else is done.
///
/// It is an address and no reference: the memory may be somebody else's by then, or nobody's, which harms nobody. Where
/// a target has no such instruction nothing happens.
///
/// # Examples
///
/// ```
/// let next = Box::new([7_u64; 32]);
/// let lines = bowline_runtime::Lines::of(&*next);
/// lines.prefetch();
/// // .. something that takes a few hundred nanoseconds ..
/// assert_eq!(next.iter().sum::<u64>(), 7 * 32);
/// ```
// The address of the first line, whose lowest bits are the number of lines.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Lines(usize);

impl Lines {
    /// Where `value` lies.
    pub fn of<T: ?Sized>(value: &T) -> Self {
        let start = from_ref(value).addr();
        Self::new(start..start.saturating_add(size_of_val(value)))
    }

    /// These addresses, but at most 63 lines of 64 bytes.
    pub fn new(addresses: Range<usize>) -> Self {
        let first = addresses.start & !(LINE - 1);
        let lines = addresses.end.saturating_sub(first).div_ceil(LINE).min(LINE - 1);
        Self(if addresses.is_empty() { 0 } else { first | lines })
    }

    /// The first of them, at most so many.
    #[must_use]
    pub fn first(self, most: usize) -> Self {
        let lines = self.0 & (LINE - 1);
        Self(self.0 - lines + lines.min(most))
    }

    /// The same with so many lines before it, and so many behind it.
    #[must_use]
    pub fn with_around(self, before: usize, behind: usize) -> Self {
        let (first, known) = (self.0 & !(LINE - 1), self.0 & (LINE - 1));
        if known == 0 {
            self
        } else {
            Self(first.saturating_sub(before * LINE) | (before + known + behind).min(LINE - 1))
        }
    }

    /// Has them brought, and does not wait for it.
    #[inline]
    pub fn prefetch(self) {
        let (first, lines) = (self.0 & !(LINE - 1), self.0 & (LINE - 1));
        for line in 0..lines {
            // Into the second level: the first is too small for what comes in between.
            prefetch_read_data::<u8, 1>(std::ptr::without_provenance(first.wrapping_add(line * LINE)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_lines_are_asked_for_and_no_more_than_a_place_can_hold() {
        for (addresses, first, count) in [
            (0..0, 0, 0),
            (70..70, 0, 0),
            (64..65, 64, 1),
            (127..129, 64, 2),
            (100..200, 64, 3),
            (128..1 << 40, 128, 63),
            (usize::MAX - 1..usize::MAX, usize::MAX - 63, 1),
        ] {
            let lines = Lines::new(addresses.clone());
            assert_eq!((lines.0 & !63, lines.0 & 63), (first, count), "{addresses:?}");
            // Whatever is there.
            lines.prefetch();
        }
        let three = Lines::new(128..320);
        assert_eq!([0, 2, 3, 9].map(|most| three.first(most).0), [128, 130, 131, 131]);
        assert_eq!((three.with_around(1, 2).0, three.with_around(90, 90).0), (64 + 6, 63));
        assert_eq!(Lines::default().with_around(1, 1), Lines::default());
        let value = [0_u8; 200];
        let start = value.as_ptr().addr();
        assert_eq!(Lines::of(&value), Lines::new(start..start + 200));
    }
}
