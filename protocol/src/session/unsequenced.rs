//! What has no numbers: counted per link, so that a later link knows what of it arrived.

use std::collections::VecDeque;

use bytes::Bytes;

use super::payloads::WHOLE;
use super::sent::NeverSent;
use super::types::CallId;
use crate::codec::Codec;

/// The writer's half: watch values, their chunks and notifies that the other end has not yet counted.
// In this order: how many there were is asked for at each message.
#[repr(C)]
#[derive(Debug, Default)]
pub(super) struct SentUnsequenced {
    head: u64,
    acked: u64,
    entries: VecDeque<Entry>,
    bytes: usize,
}

/// One envelope without a number.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) len: usize,
    pub(super) what: What,
}

#[derive(Debug)]
pub(super) enum What {
    Notify,
    /// The announcement of a large value, which takes so much of the assembly window.
    Announcement(u64),
    /// A chunk that is not the last of its value.
    Chunk,
    /// A whole value, or the last chunk of one.
    Value {
        call: CallId,
        codec: Codec,
        value: Bytes,
    },
}

impl SentUnsequenced {
    /// How many the other end has counted.
    pub(super) fn acked(&self) -> u64 {
        self.acked
    }

    /// Whether so many more envelopes and bytes stay within the bounds. One of any size goes alone.
    pub(super) fn has_room(
        &self,
        envelopes: usize,
        bytes: usize,
        max_envelopes: usize,
        max_bytes: usize,
    ) -> bool {
        self.entries.is_empty()
            || (self.entries.len() + envelopes <= max_envelopes && self.bytes + bytes <= max_bytes)
    }

    /// Whether the other end has counted all of them.
    pub(super) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// How many were written.
    pub(super) fn head(&self) -> u64 {
        self.head
    }

    pub(super) fn write(&mut self, len: usize, what: What) {
        self.head += 1;
        self.entries.push_back(Entry { len, what });
        self.bytes += len;
    }

    /// Whether the acknowledgement was news.
    pub(super) fn handle_ack(&mut self, count: u64) -> Result<bool, NeverSent> {
        if count > self.head {
            return Err(NeverSent);
        }
        let news = count > self.acked;
        while self.acked < count {
            self.acked += 1;
            self.bytes -= self.entries.pop_front().map_or(0, |entry| entry.len);
        }
        Ok(news)
    }

    /// Whether there is a value of `call` that travelled in chunks.
    pub(super) fn holds_large_of(&self, call: CallId) -> bool {
        let is_large = |entry: &Entry| match &entry.what {
            What::Value { call: of, value, .. } => *of == call && value.len() > WHOLE,
            What::Notify | What::Announcement(_) | What::Chunk => false,
        };
        self.entries.iter().any(is_large)
    }

    /// How many notifies are under way: written, and not counted by the other end.
    pub(super) fn notifies(&self) -> u64 {
        self.entries.iter().filter(|entry| matches!(entry.what, What::Notify)).count() as u64
    }

    /// The link is gone, and the other end counted so many: the rest, which did not arrive.
    pub(super) fn lost(mut self, count: u64) -> impl Iterator<Item = Entry> {
        // More than was sent is as good as all.
        let _ = self.handle_ack(count.min(self.head));
        self.entries.into_iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::Origin;

    const CALL: CallId = CallId { id: 0, generation: 0, origin: Origin::Remote };

    #[test]
    fn acknowledging_what_was_not_sent_is_out_of_step() {
        let mut unsequenced = SentUnsequenced::default();
        assert_eq!(unsequenced.handle_ack(1), Err(NeverSent));
        unsequenced.write(5, What::Notify);
        assert_eq!(unsequenced.handle_ack(1), Ok(true));
        assert_eq!(unsequenced.handle_ack(1), Ok(false));
    }

    #[test]
    fn unsequenced_data_is_bounded_but_one_of_any_size_goes() {
        let mut unsequenced = SentUnsequenced::default();
        assert!(unsequenced.has_room(1, 1000, 2, 100));
        unsequenced.write(60, What::Chunk);
        assert!(unsequenced.has_room(1, 40, 2, 100));
        assert!(!unsequenced.has_room(1, 41, 2, 100));
        assert!(!unsequenced.has_room(2, 0, 2, 100));
    }

    #[test]
    fn what_the_other_end_did_not_count_is_lost() {
        let mut unsequenced = SentUnsequenced::default();
        unsequenced.write(1, What::Notify);
        unsequenced
            .write(2, What::Value { call: CALL, codec: Codec::Rkyv, value: Bytes::from_static(b"old") });
        unsequenced
            .write(3, What::Value { call: CALL, codec: Codec::Rkyv, value: Bytes::from_static(b"new") });
        unsequenced.handle_ack(1).unwrap();
        let lost: Vec<_> = unsequenced.lost(2).map(|entry| entry.len).collect();
        assert_eq!(lost, [3]);
    }
}
