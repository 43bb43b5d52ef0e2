use std::collections::VecDeque;
use std::time::Duration;

use crate::Instant;
use crate::envelope::Ack;

/// Envelopes that wait at most for an acknowledgement of their own.
const ACK_ENVELOPES: u64 = 32;
/// Bytes that wait at most for it.
const ACK_BYTES: u64 = 64 * 1024;

/// The writer's half: numbers given, and what is not yet acknowledged.
#[derive(Debug, Default)]
pub(super) struct Sent {
    /// The last number given.
    head: u64,
    acked: u64,
    /// One entry per message that carried numbers.
    messages: VecDeque<Written>,
    bytes: usize,
    /// Where in the numbers the message being written began.
    message_start: u64,
}

#[derive(Debug)]
struct Written {
    last: u64,
    bytes: usize,
    at: Instant,
}

/// An acknowledgement of something that was never sent.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct NeverSent;

impl Sent {
    /// The next number; it is given when an envelope is written, never earlier.
    #[inline]
    pub(super) fn next(&mut self) -> u64 {
        self.head += 1;
        self.head
    }

    /// Whether one more envelope may follow `pending` bytes of the message under way.
    #[inline]
    pub(super) fn has_room(&self, pending: usize, max_bytes: usize, max_envelopes: usize) -> bool {
        self.bytes + pending < max_bytes && ((self.head - self.acked) as usize) < max_envelopes
    }

    /// A message of `bytes` was handed over.
    pub(super) fn finish_message(&mut self, now: Instant, bytes: usize) {
        if self.head > self.message_start {
            self.messages.push_back(Written { last: self.head, bytes, at: now });
            self.bytes += bytes;
            self.message_start = self.head;
        }
    }

    pub(super) fn handle_ack(&mut self, seq: u64) -> Result<(), NeverSent> {
        if seq > self.message_start {
            return Err(NeverSent);
        }
        self.acked = self.acked.max(seq);
        while let Some(first) = self.messages.front()
            && first.last <= self.acked
        {
            self.bytes -= first.bytes;
            self.messages.pop_front();
        }
        Ok(())
    }

    pub(super) fn oldest(&self) -> Option<Instant> {
        self.messages.front().map(|written| written.at)
    }

    pub(super) fn unacknowledged(&self) -> (usize, usize) {
        ((self.head - self.acked) as usize, self.bytes)
    }
}

/// The writer's half for what has no numbers.
#[derive(Debug, Default)]
pub(super) struct SentUnsequenced {
    head: u64,
    acked: u64,
    sizes: VecDeque<u32>,
    bytes: usize,
}

impl SentUnsequenced {
    /// Whether so many more envelopes and bytes stay within the bounds. One of any size goes alone.
    pub(super) fn has_room(
        &self,
        envelopes: usize,
        bytes: usize,
        max_envelopes: usize,
        max_bytes: usize,
    ) -> bool {
        self.sizes.is_empty()
            || (self.sizes.len() + envelopes <= max_envelopes && self.bytes + bytes <= max_bytes)
    }

    pub(super) fn write(&mut self, bytes: usize) {
        self.head += 1;
        self.sizes.push_back(bytes as u32);
        self.bytes += bytes;
    }

    /// Whether the acknowledgement was news.
    pub(super) fn handle_ack(&mut self, count: u64) -> Result<bool, NeverSent> {
        if count > self.head {
            return Err(NeverSent);
        }
        let news = count > self.acked;
        while self.acked < count {
            self.acked += 1;
            self.bytes -= self.sizes.pop_front().unwrap_or(0) as usize;
        }
        Ok(news)
    }
}

/// The reader's half: what was processed and what of it was acknowledged.
#[derive(Debug)]
pub(super) struct Received {
    processed: Ack,
    acked: Ack,
    /// Bytes of messages with data since the last acknowledgement.
    bytes: u64,
    max_bytes: u64,
    due: Option<Instant>,
}

/// What a sequence number turned out to be.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Arrival {
    Next,
    Duplicate,
    OutOfStep,
}

impl Received {
    /// `replay` is the bound of what the other end keeps.
    pub(super) fn new(replay: u64) -> Self {
        Self {
            processed: Ack::default(),
            acked: Ack::default(),
            bytes: 0,
            max_bytes: ACK_BYTES.min(replay / 4).max(1),
            due: None,
        }
    }

    #[inline]
    pub(super) fn accept(&mut self, seq: u64) -> Arrival {
        if seq <= self.processed.seq {
            Arrival::Duplicate
        } else if seq == self.processed.seq + 1 {
            self.processed.seq = seq;
            Arrival::Next
        } else {
            Arrival::OutOfStep
        }
    }

    #[inline]
    pub(super) fn accept_unsequenced(&mut self) {
        self.processed.unsequenced += 1;
    }

    /// A message of `bytes` was processed.
    pub(super) fn finish_message(&mut self, now: Instant, bytes: usize, delay: Duration) {
        if self.processed == self.acked {
            return;
        }
        self.bytes += bytes as u64;
        if self.due.is_none() {
            self.due = Some(now + delay);
        }
        let envelopes =
            self.processed.seq - self.acked.seq + self.processed.unsequenced - self.acked.unsequenced;
        if envelopes >= ACK_ENVELOPES || self.bytes >= self.max_bytes {
            self.due = Some(now);
        }
    }

    /// When an acknowledgement goes alone.
    pub(super) fn due(&self) -> Option<Instant> {
        self.due
    }

    /// The acknowledgement to write, if it is news.
    pub(super) fn take(&mut self) -> Option<Ack> {
        self.due = None;
        self.bytes = 0;
        if self.processed == self.acked {
            return None;
        }
        self.acked = self.processed;
        Some(self.processed)
    }

    /// The acknowledgement at this moment, news or not.
    pub(super) fn restate(&mut self) -> Ack {
        self.take();
        self.processed
    }

    #[cfg(test)]
    pub(super) fn is_due(&self, now: Instant) -> bool {
        self.due.is_some_and(|due| due <= now)
    }
}

#[cfg(test)]
mod tests {
    use super::super::origin;
    use super::*;

    #[test]
    fn only_the_next_number_is_accepted() {
        let mut received = Received::new(1 << 20);
        assert_eq!(received.accept(1), Arrival::Next);
        assert_eq!(received.accept(1), Arrival::Duplicate);
        assert_eq!(received.accept(3), Arrival::OutOfStep);
        assert_eq!(received.accept(2), Arrival::Next);
    }

    #[test]
    fn an_ack_goes_alone_after_a_second() {
        let start = origin();
        let mut received = Received::new(1 << 20);
        received.accept(1);
        received.finish_message(start, 10, Duration::from_secs(1));
        assert!(!received.is_due(start + Duration::from_millis(999)));
        assert!(received.is_due(start + Duration::from_secs(1)));
        assert_eq!(received.take(), Some(Ack { seq: 1, unsequenced: 0 }));
        assert_eq!(received.take(), None);
        assert_eq!(received.due(), None);
    }

    #[test]
    fn an_ack_goes_alone_after_32_envelopes() {
        let start = origin();
        let mut received = Received::new(1 << 20);
        for seq in 1..=31 {
            received.accept(seq);
        }
        received.finish_message(start, 10, Duration::from_secs(1));
        assert!(!received.is_due(start));
        received.accept_unsequenced();
        received.finish_message(start, 10, Duration::from_secs(1));
        assert!(received.is_due(start));
    }

    #[test]
    fn an_ack_goes_alone_after_64_kib_or_a_quarter_of_the_peers_bound() {
        let start = origin();
        for (replay, enough) in [(1 << 20, 65_536), (4000, 1000), (0, 1)] {
            let mut received = Received::new(replay);
            received.accept(1);
            received.finish_message(start, enough - 1, Duration::from_secs(1));
            assert!(!received.is_due(start), "{replay}");
            received.accept(2);
            received.finish_message(start, 1, Duration::from_secs(1));
            assert!(received.is_due(start), "{replay}");
        }
    }

    #[test]
    fn what_is_kept_stays_within_its_bound_and_one_message() {
        let start = origin();
        let mut sent = Sent::default();
        assert!(sent.has_room(0, 100, 4));
        sent.next();
        sent.finish_message(start, 99);
        assert!(sent.has_room(0, 100, 4));
        assert!(!sent.has_room(1, 100, 4));
        for _ in 0..3 {
            sent.next();
        }
        assert!(!sent.has_room(0, 1000, 4));
        sent.finish_message(start, 1);
        assert_eq!(sent.unacknowledged(), (4, 100));
        sent.handle_ack(1).unwrap();
        assert_eq!(sent.unacknowledged(), (3, 1));
        sent.handle_ack(4).unwrap();
        assert_eq!(sent.unacknowledged(), (0, 0));
        assert_eq!(sent.oldest(), None);
    }

    #[test]
    fn acknowledging_what_was_not_sent_is_out_of_step() {
        let mut sent = Sent::default();
        assert_eq!(sent.handle_ack(0), Ok(()));
        assert_eq!(sent.handle_ack(1), Err(NeverSent));
        let mut unsequenced = SentUnsequenced::default();
        assert_eq!(unsequenced.handle_ack(1), Err(NeverSent));
        unsequenced.write(5);
        assert_eq!(unsequenced.handle_ack(1), Ok(true));
        assert_eq!(unsequenced.handle_ack(1), Ok(false));
    }

    #[test]
    fn unsequenced_data_is_bounded_but_one_of_any_size_goes() {
        let mut unsequenced = SentUnsequenced::default();
        assert!(unsequenced.has_room(1, 1000, 2, 100));
        unsequenced.write(60);
        assert!(unsequenced.has_room(1, 40, 2, 100));
        assert!(!unsequenced.has_room(1, 41, 2, 100));
        assert!(!unsequenced.has_room(2, 0, 2, 100));
    }
}
