//! Items of one stream that are made and sent together.

use bytes::Bytes;

use super::credit::SendWindow;
use super::stream::{cost, may_queue};
use crate::codec::Codec;

/// Items of one stream, encoded one behind the other, for [`Session::send_run`](super::Session::send_run).
///
/// [`Session::begin_run`](super::Session::begin_run) begins one. It knows the credit of its stream at that moment: a source is
/// asked for another item only while [`has_room`](Self::has_room).
#[derive(Debug)]
pub struct Run {
    codec: Codec,
    /// The first item, while it is the only one and others share it.
    first: Option<Bytes>,
    bytes: Vec<u8>,
    /// Where the items end, but for the last one, which ends with the bytes.
    ends: Vec<usize>,
    items: usize,
    /// What the items cost, with those that were queued before.
    queued: u64,
    window: SendWindow,
    bound: u64,
}

impl Run {
    /// Where it is filled: it is too large to be handed on.
    pub(super) fn begin(&mut self, codec: Codec, queued: u64, window: SendWindow, bound: u64) {
        (self.codec, self.queued, self.window, self.bound) = (codec, queued, window, bound);
    }

    /// How items are to be encoded.
    pub fn codec(&self) -> Codec {
        self.codec
    }

    /// Whether there is credit for another item.
    pub fn has_room(&self) -> bool {
        may_queue(&self.window, self.queued, self.bound)
    }

    /// Whether nothing was added.
    pub fn is_empty(&self) -> bool {
        self.items == 0
    }

    /// How many bytes the items take.
    pub fn bytes(&self) -> usize {
        self.first.as_ref().map_or(self.bytes.len(), Bytes::len)
    }

    /// Adds an item that others share. It is copied only if it does not stay alone.
    pub fn share(&mut self, item: Bytes) {
        if self.items > 0 {
            self.push(|out| {
                out.extend_from_slice(&item);
                true
            });
            return;
        }
        self.items = 1;
        self.queued += cost(item.len());
        self.first = Some(item);
    }

    /// Adds what `encode` appends, if it says that this is an item; else what it appended is removed. It leaves what it was
    /// given as it was.
    #[inline]
    pub fn push(&mut self, encode: impl FnOnce(&mut Vec<u8>) -> bool) {
        if let Some(first) = self.first.take() {
            // Where there are two there are more.
            self.bytes.reserve(8 * first.len());
            self.bytes.extend_from_slice(&first);
        }
        let start = self.bytes.len();
        if !encode(&mut self.bytes) {
            return self.bytes.truncate(start);
        }
        if self.items > 0 {
            self.ends.push(start);
        }
        self.items += 1;
        self.queued += cost(self.bytes.len() - start);
    }

    /// Takes out how many items there are, their bytes, and where they end but for the last one.
    pub(super) fn take_parts(&mut self) -> (usize, Bytes, Vec<usize>) {
        let bytes = self.first.take().unwrap_or_else(|| std::mem::take(&mut self.bytes).into());
        (std::mem::take(&mut self.items), bytes, std::mem::take(&mut self.ends))
    }
}

impl Default for Run {
    /// An empty one that has not begun.
    #[inline]
    fn default() -> Self {
        let (codec, window) = (Codec::Rkyv, SendWindow::new(0));
        let (bytes, ends) = (Vec::new(), Vec::new());
        Self { codec, first: None, bytes, ends, items: 0, queued: 0, window, bound: 0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run() -> Run {
        let mut run = Run::default();
        run.begin(Codec::Rkyv, 0, SendWindow::new(1 << 20), 1 << 20);
        run
    }

    #[test]
    fn an_item_that_others_share_is_not_copied_while_it_is_alone() {
        let item = Bytes::from(vec![7; 40]);
        let mut alone = run();
        alone.share(item.clone());
        assert_eq!((alone.bytes(), alone.is_empty()), (40, false));
        let (items, bytes, ends) = alone.take_parts();
        assert_eq!((items, bytes.as_ptr(), bytes.len(), ends), (1, item.as_ptr(), 40, vec![]));
    }

    #[test]
    fn shared_items_and_others_stand_behind_each_other() {
        let (first, second) = (Bytes::from_static(b"first"), Bytes::from_static(b"second"));
        let mut several = run();
        several.share(first);
        several.push(|_| false);
        several.share(second);
        several.push(|out| {
            out.extend_from_slice(b"third");
            true
        });
        assert_eq!(several.bytes(), 16);
        let mut one_by_one = run();
        for item in [&b"first"[..], b"second", b"third"] {
            one_by_one.push(|out| {
                out.extend_from_slice(item);
                true
            });
        }
        assert_eq!(several.queued, one_by_one.queued);
        let (items, bytes, ends) = several.take_parts();
        assert_eq!((items, &bytes[..], ends), (3, &b"firstsecondthird"[..], vec![5, 11]));
    }
}
