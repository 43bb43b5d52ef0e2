use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Bytes of large payloads that many sessions may have under assembly together.
///
/// A clone is the same pool. A session takes the whole declared length of a payload from it when the payload is announced,
/// and gives it back when the payload is whole or won't be: so what has begun can end. It is the one thing that machines
/// share. An atomic counter, since the answer is needed in the middle of a message; machines that run one after another
/// find the same counts each time.
#[derive(Clone)]
pub struct AssemblyPool(Arc<Shared>);

struct Shared {
    limit: usize,
    used: AtomicUsize,
}

impl AssemblyPool {
    /// A pool of so many bytes.
    pub fn new(limit: usize) -> Self {
        Self(Arc::new(Shared { limit, used: AtomicUsize::new(0) }))
    }

    /// Bytes that are taken now.
    pub fn used(&self) -> usize {
        self.0.used.load(Ordering::Relaxed)
    }

    /// Takes so many bytes, if they are left.
    pub(super) fn take(&self, len: usize) -> Option<Share> {
        let add = |used: usize| used.checked_add(len).filter(|used| *used <= self.0.limit);
        // The count is all that is shared: nothing is ordered by it.
        self.0.used.fetch_update(Ordering::Relaxed, Ordering::Relaxed, add).ok()?;
        Some(Share { pool: self.clone(), len })
    }
}

impl fmt::Debug for AssemblyPool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AssemblyPool").field("limit", &self.0.limit).field("used", &self.used()).finish()
    }
}

/// What one payload has of a pool, until it is dropped.
#[derive(Debug)]
pub(super) struct Share {
    pool: AssemblyPool,
    len: usize,
}

impl Drop for Share {
    fn drop(&mut self) {
        self.pool.0.used.fetch_sub(self.len, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_taken_comes_back() {
        let pool = AssemblyPool::new(10);
        let first = pool.take(6).unwrap();
        assert!(pool.take(5).is_none());
        assert!(pool.take(usize::MAX).is_none());
        let second = pool.clone().take(4).unwrap();
        assert_eq!(pool.used(), 10);
        drop(first);
        assert_eq!(pool.used(), 4);
        drop(second);
        assert_eq!(pool.used(), 0);
    }
}
