//! Items of one stream that are read together.

use rkyv::util::AlignedVec;

use super::stream::cost;
use crate::codec::Codec;

/// A longer item is handed over by itself.
pub(super) const SMALL: usize = 4 * 1024;
/// What the items of one batch cost at most.
pub(super) const BATCH: u64 = 8 * 1024;

/// Where items begin, so that archives can be read in place: what rkyv gives its own buffers.
const ALIGNMENT: usize = 16;

/// Small items that came one behind the other, copied out of their messages into memory of their own.
///
/// [`Session::read_batch`](super::Session::read_batch) fills it. Each item lies aligned.
#[derive(Debug)]
pub struct Batch {
    codec: Codec,
    bytes: AlignedVec<ALIGNMENT>,
    /// Where the items end, but for the last one, which ends with the bytes.
    ends: Vec<u32>,
    /// How many were taken out, and where the next one begins.
    taken: usize,
    start: usize,
    is_over: bool,
    cost: u64,
}

impl Default for Batch {
    fn default() -> Self {
        let bytes = AlignedVec::new();
        Self { codec: Codec::Rkyv, bytes, ends: Vec::new(), taken: 0, start: 0, is_over: true, cost: 0 }
    }
}

impl Batch {
    pub(super) fn new(codec: Codec, item: &[u8]) -> Self {
        let mut bytes = AlignedVec::with_capacity(item.len());
        bytes.extend_from_slice(item);
        Self { codec, bytes, is_over: false, cost: cost(item.len()), ..Self::default() }
    }

    /// Adds an item of `codec`, if it belongs here and what all of them cost stays below `bound`.
    pub(super) fn push(&mut self, codec: Codec, item: &[u8], bound: u64) -> bool {
        let cost = self.cost + cost(item.len());
        if codec != self.codec || cost > bound {
            return false;
        }
        if self.ends.is_empty() {
            // Where there are two there are more; not many times what came, since that alone is paid for by credit.
            self.bytes.reserve(4 * item.len().next_multiple_of(ALIGNMENT));
        }
        self.ends.push(self.bytes.len() as u32);
        let padding = self.bytes.len().next_multiple_of(ALIGNMENT) - self.bytes.len();
        self.bytes.extend_from_slice(&[0; ALIGNMENT][..padding]);
        self.bytes.extend_from_slice(item);
        self.cost = cost;
        true
    }

    /// How the items are encoded.
    pub fn codec(&self) -> Codec {
        self.codec
    }

    /// Whether all were taken out.
    pub fn is_empty(&self) -> bool {
        self.is_over
    }

    /// Takes the next item out.
    pub fn take_next(&mut self) -> Option<&[u8]> {
        if self.is_over {
            return None;
        }
        let (start, end) = (self.start, self.ends.get(self.taken).map(|end| *end as usize));
        self.taken += 1;
        self.is_over = end.is_none();
        let end = end.unwrap_or(self.bytes.len());
        self.start = end.next_multiple_of(ALIGNMENT);
        Some(&self.bytes[start..end])
    }

    /// One that was taken out and cost this much is not the reader's any more.
    pub(super) fn forget(&mut self, cost: u64) {
        self.cost -= cost;
    }

    /// What all of them cost.
    pub(super) fn cost(&self) -> u64 {
        self.cost
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn items_come_out_as_they_went_in_and_aligned() {
        let items: [&[u8]; 5] = [b"first", b"", b"a third one of more than sixteen", b"", b"last"];
        let mut batch = Batch::new(Codec::Json, items[0]);
        assert!(items[1..].iter().all(|item| batch.push(Codec::Json, item, 1000)));
        assert_eq!(batch.codec(), Codec::Json);
        for item in items {
            let taken = batch.take_next().unwrap();
            assert_eq!(taken, item);
            assert!(taken.is_empty() || taken.as_ptr().addr().is_multiple_of(ALIGNMENT));
        }
        assert_eq!(batch.take_next(), None);
        assert!(batch.is_empty());
    }

    #[test]
    fn a_batch_takes_in_what_fits_its_bound_and_is_of_its_codec() {
        let mut batch = Batch::new(Codec::Rkyv, b"one");
        assert!(!batch.push(Codec::Json, b"two", 1000));
        assert!(!batch.push(Codec::Rkyv, b"two", 2 * cost(3) - 1));
        assert!(batch.push(Codec::Rkyv, b"two", 2 * cost(3)));
        assert_eq!(batch.cost(), 2 * cost(3));
    }
}
