//! Buffers of large payloads, kept for the next ones.
//!
//! An allocator may give memory of this size back to the system as soon as it is free, as the heap around it happens to lie, and
//! the system hands it out again page by page: a MiB costs more that way than everything else that is done with it. What is kept
//! belongs to the process, not to a session: an idle one holds nothing. It is shared behind a lock that is held for a few instructions per large payload.
//! What a session does never depends on it, only where its bytes lie.

use std::collections::VecDeque;
use std::mem;
use std::ops::{Deref, DerefMut};
use std::sync::{Mutex, MutexGuard, PoisonError};

use rkyv::util::AlignedVec;

/// Shorter buffers come from the allocator and go back to it.
pub(crate) const LEAST: usize = 32 * 1024;
/// So do longer ones: they are rare.
const LARGEST: usize = 2 * 1024 * 1024;
/// What a process keeps at most of each kind. What is kept longest goes first. Source: our choice; some payloads of a MiB
/// under way at once.
const KEPT: usize = 4 * 1024 * 1024;

static BYTES: Shelf<Vec<u8>> = Shelf::new();
static ALIGNED: Shelf<AlignedVec> = Shelf::new();

/// A kind of buffer that is kept.
pub(crate) trait Memory: Default + 'static {
    fn with_capacity(capacity: usize) -> Self;
    fn capacity(&self) -> usize;
    fn clear(&mut self);
    fn shelf() -> &'static Shelf<Self>;
}

macro_rules! memory {
    ($kind:ty, $shelf:ident) => {
        impl Memory for $kind {
            fn with_capacity(capacity: usize) -> Self {
                Self::with_capacity(capacity)
            }

            fn capacity(&self) -> usize {
                self.capacity()
            }

            fn clear(&mut self) {
                self.clear();
            }

            fn shelf() -> &'static Shelf<Self> {
                &$shelf
            }
        }
    };
}

memory!(Vec<u8>, BYTES);
memory!(AlignedVec, ALIGNED);

/// A buffer that is kept for the next payload when it is dropped.
#[derive(Debug, Default)]
pub(crate) struct Spare<M: Memory> {
    buffer: M,
    /// Room that was not asked for. It counts among what the process keeps.
    beyond: usize,
}

impl<M: Memory> Spare<M> {
    /// An empty buffer with room for `len` bytes: one that was kept and has at most twice as much, or a new one.
    pub(crate) fn with_room(len: usize) -> Self {
        M::shelf().lend(len).unwrap_or_else(|| M::with_capacity(len).into())
    }

    /// The memory it takes beside what the process keeps.
    pub(crate) fn memory(&self) -> usize {
        self.buffer.capacity().saturating_sub(self.beyond)
    }
}

impl<M: Memory> From<M> for Spare<M> {
    fn from(buffer: M) -> Self {
        Self { buffer, beyond: 0 }
    }
}

impl<M: Memory> Deref for Spare<M> {
    type Target = M;

    fn deref(&self) -> &M {
        &self.buffer
    }
}

impl<M: Memory> DerefMut for Spare<M> {
    fn deref_mut(&mut self) -> &mut M {
        &mut self.buffer
    }
}

impl<M: Memory + AsRef<[u8]>> AsRef<[u8]> for Spare<M> {
    fn as_ref(&self) -> &[u8] {
        self.buffer.as_ref()
    }
}

impl<M: Memory> Drop for Spare<M> {
    fn drop(&mut self) {
        M::shelf().put(mem::take(&mut self.buffer), self.beyond);
    }
}

/// Makes room for `additional` bytes behind what a vector holds, in a buffer that was kept if there is one.
pub(crate) fn reserve(bytes: &mut Vec<u8>, additional: usize) {
    let Some(mut roomy) = BYTES.take(bytes.len() + additional) else {
        return bytes.reserve_exact(additional);
    };
    roomy.extend_from_slice(bytes);
    BYTES.put(mem::replace(bytes, roomy), 0);
}

/// Buffers that wait for the next payload.
#[derive(Debug)]
pub(crate) struct Shelf<M>(Mutex<Kept<M>>);

#[derive(Debug)]
struct Kept<M> {
    /// The one that was used last is at the end.
    buffers: VecDeque<M>,
    /// What they take, and the room beyond what was asked for in those that are lent.
    bytes: usize,
}

impl<M: Memory> Shelf<M> {
    const fn new() -> Self {
        Self(Mutex::new(Kept { buffers: VecDeque::new(), bytes: 0 }))
    }

    fn kept(&self) -> MutexGuard<'_, Kept<M>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A buffer for good.
    fn take(&self, len: usize) -> Option<M> {
        if len < LEAST { None } else { self.kept().take(len) }
    }

    /// A buffer that comes back.
    fn lend(&self, len: usize) -> Option<Spare<M>> {
        if len < LEAST {
            return None;
        }
        let mut kept = self.kept();
        let buffer = kept.take(len)?;
        let beyond = buffer.capacity() - len;
        kept.bytes += beyond;
        Some(Spare { buffer, beyond })
    }

    fn put(&self, mut buffer: M, beyond: usize) {
        let is_kept = (LEAST..=LARGEST).contains(&buffer.capacity());
        if !is_kept && beyond == 0 {
            return;
        }
        let mut kept = self.kept();
        kept.bytes -= beyond;
        if !is_kept {
            return;
        }
        buffer.clear();
        kept.bytes += buffer.capacity();
        kept.buffers.push_back(buffer);
        let mut oldest = Vec::new();
        while kept.bytes > KEPT
            && let Some(buffer) = kept.buffers.pop_front()
        {
            kept.bytes -= buffer.capacity();
            oldest.push(buffer);
        }
        drop(kept);
        // Freed when nobody waits for the lock any more.
        drop(oldest);
    }
}

impl<M: Memory> Kept<M> {
    /// The one that was used last of those that have room for `len` bytes and at most twice as much.
    fn take(&mut self, len: usize) -> Option<M> {
        let at = self.buffers.iter().rposition(|it| (len..=2 * len).contains(&it.capacity()))?;
        let buffer = self.buffers.remove(at)?;
        self.bytes -= buffer.capacity();
        Some(buffer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: usize = 1024 * 1024;

    fn capacities(shelf: &Shelf<Vec<u8>>) -> Vec<usize> {
        shelf.kept().buffers.iter().map(Vec::capacity).collect()
    }

    fn filled(capacity: usize) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(capacity);
        bytes.push(7);
        bytes
    }

    #[test]
    fn a_buffer_is_used_again_and_empty() {
        let shelf = Shelf::new();
        let bytes = filled(MIB);
        let place = bytes.as_ptr();
        shelf.put(bytes, 0);
        let again = shelf.take(MIB - 5).unwrap();
        assert_eq!((again.as_ptr(), again.len()), (place, 0));
        assert_eq!(shelf.take(MIB - 5), None);
        assert_eq!(shelf.kept().bytes, 0);
    }

    #[test]
    fn nothing_is_held_by_much_less_than_fits_into_it() {
        let shelf = Shelf::new();
        shelf.put(filled(MIB), 0);
        assert_eq!(shelf.take(MIB + 1), None);
        assert_eq!(shelf.take(MIB / 2 - 1), None);
        assert_eq!(shelf.take(MIB / 2).unwrap().capacity(), MIB);
    }

    #[test]
    fn the_one_used_last_is_taken_first() {
        let shelf = Shelf::new();
        for capacity in [MIB, MIB + 1, LEAST] {
            shelf.put(filled(capacity), 0);
        }
        assert_eq!(shelf.take(MIB).unwrap().capacity(), MIB + 1);
        assert_eq!(shelf.take(MIB).unwrap().capacity(), MIB);
        assert_eq!(capacities(&shelf), [LEAST]);
    }

    #[test]
    fn what_is_kept_is_bounded() {
        let shelf = Shelf::new();
        shelf.put(filled(LARGEST + 1), 0);
        shelf.put(filled(LEAST - 1), 0);
        assert!(capacities(&shelf).is_empty());
        for _ in 0..100 {
            shelf.put(filled(MIB), 0);
        }
        assert_eq!(capacities(&shelf), [MIB; 4]);
        shelf.put(filled(LEAST), 0);
        assert_eq!(capacities(&shelf), [MIB, MIB, MIB, LEAST], "the oldest goes");
        shelf.put(filled(LARGEST), 0);
        assert_eq!(capacities(&shelf), [MIB, LEAST, LARGEST]);
    }

    #[test]
    fn what_is_lent_beyond_what_was_asked_for_counts_as_kept() {
        let shelf = Shelf::new();
        shelf.put(filled(LARGEST), 0);
        let mut lent = shelf.lend(MIB).unwrap();
        assert_eq!((lent.memory(), shelf.kept().bytes), (MIB, LARGEST - MIB));
        for _ in 0..100 {
            shelf.put(filled(MIB), 0);
        }
        assert_eq!(capacities(&shelf), [MIB; 3]);
        // It became too large to be kept.
        lent.reserve_exact(2 * LARGEST);
        let beyond = mem::take(&mut lent.beyond);
        shelf.put(mem::take(&mut lent.buffer), beyond);
        assert_eq!((capacities(&shelf).len(), shelf.kept().bytes), (3, 3 * MIB));
    }

    #[test]
    fn a_vector_that_grows_keeps_what_it_holds() {
        let mut bytes = vec![1, 2, 3];
        reserve(&mut bytes, LEAST);
        assert!(bytes.capacity() >= LEAST + 3);
        assert_eq!(bytes, [1, 2, 3]);
        drop(Spare::from(bytes));
        let mut bytes = vec![4, 5];
        reserve(&mut bytes, LEAST);
        assert_eq!(bytes, [4, 5]);
    }
}
