//! The reader's half of acknowledging: what was processed, and when the other end is told.

use std::time::Duration;

use super::floods::Bucket;
use crate::Instant;
use crate::envelope::Ack;
use crate::limits::Rate;

/// Envelopes that wait at most for an acknowledgement of their own. Writers that keep few stop at that many, and of those
/// without numbers at twice as many.
const ACK_ENVELOPES: u64 = 32;
/// Bytes that wait at most for it: few enough that a writer with the usual bound never waits, and each acknowledgement of a
/// large payload costs both ends a system call and the writer a wake-up.
const ACK_BYTES: u32 = 256 * 1024;

/// Bytes within [`QUICK`] after which one goes alone at once, as long as there are not too many: what a slow link carries is
/// measured by acknowledgements, and a new one is taken for slow.
const PROMPT_BYTES: u32 = 2048;
/// Source: our choice. What comes more slowly than this is acknowledged often enough without it.
const QUICK: Duration = Duration::from_millis(250);
/// How many of those there are: ten in a second in the long run, and 32 in a row. Source: our choice. A link that carries
/// more gets them for its bytes anyway, and one that is new is known to be fast after 20, if each message is acknowledged
/// before the next one comes. What is beyond waits until it is within the rate, 100 ms.
const PROMPT: Rate = Rate { count: 32, per: Duration::from_millis(3200) };

/// The reader's half: what was processed and what of it was acknowledged.
#[derive(Debug)]
pub(super) struct Received {
    processed: Ack,
    acked: Ack,
    /// Bytes of messages with data since the last acknowledgement.
    bytes: u32,
    max_bytes: u32,
    /// Those of the latest [`QUICK`] since then, and which one that is.
    quick_bytes: u32,
    quick: u32,
    due: Option<Instant>,
    prompt: Bucket,
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
            max_bytes: u32::try_from(replay / 4).unwrap_or(u32::MAX).clamp(1, ACK_BYTES),
            quick_bytes: 0,
            quick: 0,
            due: None,
            prompt: Bucket::default(),
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

    /// Accepts the number that follows the last one.
    #[inline]
    pub(super) fn accept_next(&mut self) {
        self.processed.seq += 1;
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
        let bytes = u32::try_from(bytes).unwrap_or(u32::MAX);
        self.bytes = self.bytes.saturating_add(bytes);
        let due = self.due.unwrap_or(now + delay);
        let since = (now + delay).saturating_duration_since(due);
        // In so few bits: it is done for each message.
        let quick = (since.as_millis() as u64 / const { QUICK.as_millis() as u64 }) as u32;
        if std::mem::replace(&mut self.quick, quick) != quick {
            self.quick_bytes = 0;
        }
        self.quick_bytes = self.quick_bytes.saturating_add(bytes);
        let envelopes =
            self.processed.seq - self.acked.seq + self.processed.unsequenced - self.acked.unsequenced;
        self.due = Some(if envelopes >= ACK_ENVELOPES || self.bytes >= self.max_bytes {
            now
        } else if due > now && self.quick_bytes >= PROMPT_BYTES {
            self.prompt.reserve(now, PROMPT).map_or(due, |at| at.min(due))
        } else {
            due
        });
    }

    /// When an acknowledgement goes alone.
    pub(super) fn due(&self) -> Option<Instant> {
        self.due
    }

    /// The acknowledgement to write, if it is news.
    pub(super) fn take(&mut self) -> Option<Ack> {
        self.due = None;
        (self.bytes, self.quick_bytes) = (0, 0);
        if self.processed == self.acked {
            return None;
        }
        self.acked = self.processed;
        Some(self.processed)
    }

    /// How far everything was processed.
    pub(super) fn processed(&self) -> Ack {
        self.processed
    }

    /// Another link begins: what has no numbers is counted anew, and nothing of the last link is due.
    pub(super) fn begin_link(&mut self) {
        self.take();
        self.processed.unsequenced = 0;
        self.acked.unsequenced = 0;
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
    fn what_comes_slowly_is_acknowledged_after_a_second() {
        let (start, step) = (origin(), Duration::from_millis(25));
        let mut received = Received::new(1 << 20);
        let second = Duration::from_secs(1);
        for seq in 1..=31 {
            let at = start + step * (seq as u32 - 1);
            received.accept(seq);
            received.finish_message(at, 200, second);
            assert_eq!(received.due(), Some(start + second), "{seq}: 2,000 bytes in a quarter of a second");
        }
    }

    #[test]
    fn an_ack_goes_alone_after_256_kib_or_a_quarter_of_the_peers_bound() {
        let start = origin();
        for (replay, enough) in [(16 << 20, 262_144), (1 << 20, 262_144), (4000, 1000), (0, 1)] {
            let mut received = Received::new(replay);
            while received.prompt.admit(start, PROMPT) {}
            received.accept(1);
            received.finish_message(start, enough - 1, Duration::from_secs(1));
            assert!(!received.is_due(start), "{replay}");
            received.accept(2);
            received.finish_message(start, 1, Duration::from_secs(1));
            assert!(received.is_due(start), "{replay}");
        }
    }

    #[test]
    fn an_ack_goes_at_once_after_2_kib_32_times_in_a_row_and_then_ten_times_a_second() {
        let (start, second) = (origin(), Duration::from_secs(1));
        let mut received = Received::new(1 << 20);
        let mut seq = 0;
        let mut arrives = |at, bytes| {
            seq += 1;
            received.accept(seq);
            received.finish_message(at, bytes, second);
            let due = received.due();
            if due.is_some_and(|due| due <= at) {
                received.take();
            }
            due.map(|due| due - at)
        };
        assert_eq!(arrives(start, 2047), Some(second));
        assert!((0..32).all(|_| arrives(start, 2048) == Some(Duration::ZERO)));
        let tenth = Duration::from_millis(100);
        assert_eq!(arrives(start, 2048), Some(tenth), "the next waits until it is within the rate");
        assert_eq!(
            arrives(start + tenth / 2, 2048),
            Some(tenth / 2),
            "and what comes meanwhile waits with it"
        );
        assert_eq!(arrives(start + tenth, 10), Some(Duration::ZERO));
        assert_eq!(arrives(start + tenth, 2048), Some(tenth));
    }

    /// Data carries acknowledgements along all the time: that costs nothing, however late the next prompt one is.
    #[test]
    fn a_prompt_ack_that_was_not_needed_is_there_for_the_next() {
        let (start, second) = (origin(), Duration::from_secs(1));
        let mut received = Received::new(1 << 20);
        for seq in 1..=100 {
            received.accept(seq);
            received.finish_message(start, 2048, second);
            assert!(received.due().is_some_and(|due| due <= start + second / 10), "{seq}");
            received.take();
        }
    }

    /// As those that the other end gives.
    #[test]
    fn numbers_go_on_past_2_32_and_2_53_and_up_to_2_64() {
        for before in [u64::from(u32::MAX) - 1, (1 << 53) - 2, u64::MAX - 5] {
            let mut received = Received::new(1 << 20);
            received.processed.seq = before;
            for seq in before + 1..before + 4 {
                assert_eq!(received.accept(seq), Arrival::Next);
                assert_eq!(received.accept(seq), Arrival::Duplicate);
            }
            assert_eq!(received.accept(before + 5), Arrival::OutOfStep);
        }
    }
}
