//! Items of one stream that are made and sent together.

use super::credit::SendWindow;
use super::stream::{cost, may_queue};
use crate::codec::Codec;

/// Items of one stream, encoded one behind the other, for [`Session::send_run`](super::Session::send_run).
///
/// [`Session::begin_run`](super::Session::begin_run) makes an empty one. It knows the credit of its stream at that moment:
/// a source is asked for another item only while [`has_room`](Self::has_room).
#[derive(Debug)]
pub struct Run {
    codec: Codec,
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
    pub(super) fn new(codec: Codec, queued: u64, window: SendWindow, bound: u64) -> Self {
        Self { codec, bytes: Vec::new(), ends: Vec::new(), items: 0, queued, window, bound }
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
        self.bytes.len()
    }

    /// Adds what `encode` appends, if it says that this is an item; else what it appended is removed. It leaves what it was
    /// given as it was.
    pub fn push(&mut self, encode: impl FnOnce(&mut Vec<u8>) -> bool) {
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

    pub(super) fn into_parts(self) -> (usize, Vec<u8>, Vec<usize>) {
        (self.items, self.bytes, self.ends)
    }
}
