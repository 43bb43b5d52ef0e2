//! The writer's half of acknowledging: numbers given, and what is kept until the other end says that it has it.

use std::collections::VecDeque;
use std::ptr::from_ref;
use std::time::Duration;

use bytes::Bytes;

use crate::Instant;
use crate::envelope::{Ack, Decoder, Encoder, Envelope, Sequenced};

use super::{lean, prefetch};

/// A message up to this length is copied to be kept: what it lies in is given back as soon as it was written then, which
/// costs less than memory that many sessions give back in any order.
pub(super) const COPIED: usize = 512;

/// Bytes that small messages have room for where there are several. Source: our choice; about as much as is written before
/// the other end acknowledges it unasked.
const SMALL: usize = 2048;

/// The writer's half: numbers given, and the messages that are kept until they are acknowledged.
// In this order: what each message asks for lies together.
#[repr(C)]
#[derive(Debug, Default)]
pub(super) struct Sent {
    /// The last number given.
    head: u64,
    acked: u64,
    /// The last number written on this link, and the last one of a message that was handed over on it.
    written: u64,
    handed_over: u64,
    /// Of those that are kept.
    bytes: usize,
    /// Of all that wait to be acknowledged.
    in_flight: usize,
    /// Messages of this link that will be acknowledged, in their order.
    messages: VecDeque<Written>,
    /// What is kept of the small ones that carried numbers, one behind the other.
    small: VecDeque<u8>,
    /// The same of the others.
    whole: VecDeque<Bytes>,
    /// What the times of messages count from.
    since: Option<Instant>,
    /// What is to be written again, in order, before anything new gets a number.
    replay: VecDeque<Again>,
    replay_bytes: usize,
}

/// A message that was handed over.
// Small: a busy session has some dozens of them, and no cache has the next one.
#[derive(Debug)]
struct Written {
    /// What of this end is acknowledged with it.
    ack: Ack,
    /// When, in nanoseconds since a moment that all of them share.
    at: u64,
    len: usize,
    /// How many bytes waited to be acknowledged then, with it.
    under_way: u32,
    /// It carried numbers, and is kept.
    is_kept: bool,
}

/// Messages that were acknowledged together.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Acked {
    /// When the first and the last of them were handed over.
    pub(super) first: Instant,
    pub(super) last: Instant,
    pub(super) bytes: usize,
    /// How many bytes waited to be acknowledged when the last was handed over, with it.
    pub(super) under_way: usize,
}

/// An envelope to be written again, and how long it is.
#[derive(Debug)]
struct Again {
    seq: u64,
    sequenced: Sequenced,
    len: usize,
}

/// An acknowledgement of something that was never sent.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct NeverSent;

impl Sent {
    /// The next number; it is given when an envelope is written, never earlier.
    #[inline]
    pub(super) fn next(&mut self) -> u64 {
        self.head += 1;
        self.written = self.head;
        self.head
    }

    /// The last number written on this link.
    pub(super) fn written(&self) -> u64 {
        self.written
    }

    /// The last number given.
    pub(super) fn head(&self) -> u64 {
        self.head
    }

    /// Whether one more envelope may follow `pending` bytes of the message under way.
    #[inline]
    pub(super) fn has_room(&self, pending: usize, max_bytes: usize, max_envelopes: usize) -> bool {
        pending < self.room(max_bytes) && self.has_numbers(max_envelopes)
    }

    /// How many bytes of the message under way may be followed by one more envelope.
    #[inline]
    pub(super) fn room(&self, max_bytes: usize) -> usize {
        max_bytes.saturating_sub(self.bytes)
    }

    /// Whether one more number may be given.
    #[inline]
    pub(super) fn has_numbers(&self, max_envelopes: usize) -> bool {
        ((self.head - self.acked) as usize) < max_envelopes
    }

    /// A message was handed over that will be acknowledged: with its numbers, if it carried some, and as the last of so many
    /// envelopes of this link that have none.
    pub(super) fn finish_message(&mut self, now: Instant, message: &Bytes, unsequenced: u64) {
        let (len, is_kept) = (message.len(), self.written > self.handed_over);
        if is_kept {
            self.keep(message);
            self.handed_over = self.written;
        }
        self.in_flight += len;
        let since = *self.since.get_or_insert(now);
        let at = now.saturating_duration_since(since).as_nanos() as u64;
        let ack = Ack { seq: self.handed_over, unsequenced };
        let under_way = u32::try_from(self.in_flight).unwrap_or(u32::MAX);
        lean::push(&mut self.messages, Written { ack, at, len, under_way, is_kept });
    }

    fn keep(&mut self, message: &Bytes) {
        self.bytes += message.len();
        if message.len() > COPIED {
            return self.whole.push_back(message.clone());
        }
        let (room, used) = (self.small.capacity(), self.small.len());
        if used > 0 && room < SMALL && room - used < message.len() {
            // Where there are two there are more, until they are acknowledged.
            self.small.reserve_exact(SMALL.saturating_sub(used));
        }
        self.small.extend(&message[..]);
    }

    /// Whether the acknowledgement was news. What it acknowledges is then to be [released](Self::release).
    pub(super) fn handle_ack(&mut self, seq: u64) -> Result<bool, NeverSent> {
        if seq > self.handed_over {
            return Err(NeverSent);
        }
        let news = seq > self.acked;
        self.acked = self.acked.max(seq);
        Ok(news)
    }

    /// Lets go of the messages that are acknowledged, with so many envelopes that have no numbers. `None` if there are none.
    pub(super) fn release(&mut self, unsequenced: u64) -> Option<Acked> {
        let mut acked: Option<Acked> = None;
        while let Some(front) = self.messages.front()
            && front.ack.seq <= self.acked
            && front.ack.unsequenced <= unsequenced
            && let Some(at) = self.time_of(front)
            && let Some(Written { len, under_way, is_kept, .. }) = self.messages.pop_front()
        {
            self.in_flight -= len;
            if is_kept {
                self.bytes -= len;
                if len > COPIED {
                    self.whole.pop_front();
                } else {
                    self.small.drain(..len);
                }
            }
            let (first, bytes) = acked.map_or((at, 0), |before| (before.first, before.bytes));
            acked = Some(Acked { first, last: at, bytes: bytes + len, under_way: under_way as usize });
        }
        if self.messages.is_empty() {
            self.since = None;
        }
        acked
    }

    fn time_of(&self, written: &Written) -> Option<Instant> {
        Some(self.since? + Duration::from_nanos(written.at))
    }

    /// The last number that the other end acknowledged.
    pub(super) fn acked(&self) -> u64 {
        self.acked
    }

    /// Whether the other end can have processed exactly up to here.
    pub(super) fn could_be_processed(&self, seq: u64) -> bool {
        (self.acked..=self.head).contains(&seq)
    }

    /// A link is gone, and a new one goes on behind number `processed`. What follows it is taken out, in order, to be
    /// given back with [`replay`](Self::replay).
    pub(super) fn rewind(&mut self, processed: u64) -> Vec<(u64, Sequenced)> {
        let mut kept = Vec::new();
        let mut small = Bytes::from(Vec::from(std::mem::take(&mut self.small)));
        let mut whole = std::mem::take(&mut self.whole).into_iter();
        self.since = None;
        for Written { len, .. } in std::mem::take(&mut self.messages).into_iter().filter(|it| it.is_kept) {
            let message = if len > COPIED { whole.next().unwrap_or_default() } else { small.split_to(len) };
            // Our own bytes decode.
            for envelope in Decoder::new(message).flatten() {
                if let Envelope::Sequenced(seq, sequenced) = envelope {
                    kept.push((seq, sequenced));
                }
            }
        }
        kept.extend(std::mem::take(&mut self.replay).into_iter().map(|again| (again.seq, again.sequenced)));
        kept.retain(|(seq, _)| *seq > processed);
        self.acked = self.acked.max(processed);
        (self.written, self.handed_over) = (processed, processed);
        (self.bytes, self.replay_bytes, self.in_flight) = (0, 0, 0);
        kept
    }

    /// Takes what is to be written again.
    pub(super) fn replay(&mut self, kept: Vec<(u64, Sequenced)>) {
        let mut out = Vec::new();
        let mut encoder = Encoder::new(&mut out);
        for (seq, sequenced) in kept {
            let start = encoder.len();
            let envelope = Envelope::Sequenced(seq, sequenced);
            encoder.push(&envelope);
            let len = encoder.len() - start;
            if let Envelope::Sequenced(seq, sequenced) = envelope {
                self.replay.push_back(Again { seq, sequenced, len });
                self.replay_bytes += len;
            }
        }
    }

    /// The next envelope to be written again.
    pub(super) fn next_replayed(&mut self) -> Option<(u64, Sequenced)> {
        let Again { seq, sequenced, len } = self.replay.pop_front()?;
        self.replay_bytes -= len;
        self.written = seq;
        Some((seq, sequenced))
    }

    pub(super) fn replays(&self) -> bool {
        !self.replay.is_empty()
    }

    /// What is kept was written now, as far as its age counts.
    pub(super) fn restart(&mut self, now: Instant) {
        self.since = self.since.map(|_| now);
        for written in &mut self.messages {
            written.at = 0;
        }
    }

    /// Gives back what was allocated ahead.
    pub(super) fn trim(&mut self) {
        self.messages.shrink_to_fit();
        self.small.shrink_to_fit();
        self.whole.shrink_to_fit();
        self.replay.shrink_to_fit();
    }

    /// See [`Session::prefetch`](super::Session::prefetch).
    #[inline]
    pub(super) fn prefetch(&self) {
        prefetch(self);
        prefetch(&self.messages);
        prefetch(&self.replay);
        // Where the next is written.
        if let Some(last) = self.messages.back() {
            prefetch(from_ref(last).wrapping_add(1));
        }
        if let Some(last) = self.small.back() {
            prefetch(from_ref(last).wrapping_add(1));
            prefetch(from_ref(last).wrapping_add(64));
        }
    }

    /// When the first message was handed over of those that are kept.
    pub(super) fn oldest(&self) -> Option<Instant> {
        self.first_kept().and_then(|written| self.time_of(written))
    }

    /// The same, and how many bytes waited to be acknowledged then, with it.
    pub(super) fn oldest_with_ahead(&self) -> Option<(Instant, usize)> {
        let oldest = self.first_kept()?;
        Some((self.time_of(oldest)?, oldest.under_way as usize))
    }

    fn first_kept(&self) -> Option<&Written> {
        self.messages.iter().find(|written| written.is_kept)
    }

    /// Whether messages are kept that were handed over on this link.
    pub(super) fn waits(&self) -> bool {
        self.bytes > 0
    }

    /// How many bytes were handed over on this link and are not acknowledged.
    pub(super) fn in_flight(&self) -> usize {
        self.in_flight
    }

    pub(super) fn unacknowledged(&self) -> (usize, usize) {
        ((self.head - self.acked) as usize, self.bytes + self.replay_bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::super::origin;
    use super::*;

    fn message(len: usize) -> Bytes {
        Bytes::from(vec![0; len])
    }

    /// It says for how long the other end has not acknowledged what it should have.
    #[test]
    fn the_oldest_message_is_the_first_that_was_not_acknowledged() {
        let start = origin();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut sent = Sent::default();
        for second in 0..3 {
            sent.next();
            sent.finish_message(at(second), &message(10), 0);
            assert_eq!(sent.oldest(), Some(at(0)), "a later one makes none younger");
        }
        for (acked, oldest) in [(1, Some(at(1))), (1, Some(at(1))), (2, Some(at(2))), (3, None)] {
            sent.handle_ack(acked).unwrap();
            sent.release(0);
            assert_eq!(sent.oldest(), oldest, "{acked} acknowledged");
        }
        sent.next();
        sent.finish_message(at(9), &message(1000), 0);
        assert_eq!(sent.oldest(), Some(at(9)));
        sent.restart(at(20));
        assert_eq!(sent.oldest(), Some(at(20)));
        sent.rewind(3);
        assert_eq!(sent.oldest(), None, "what is written again is young");
    }

    /// What a link carries is told from that.
    #[test]
    fn what_is_acknowledged_together_is_told_together_with_what_was_under_way() {
        let start = origin();
        let at = |second| start + Duration::from_secs(second);
        let told = |first, last, bytes, under_way| {
            Some(Acked { first: at(first), last: at(last), bytes, under_way })
        };
        let mut sent = Sent::default();
        // Numbers, none but an envelope without, both, and one that is too long to be copied.
        let messages = [(true, 0, 10), (false, 1, 20), (true, 2, 30), (true, 2, 2 * COPIED)];
        for (second, (numbered, unsequenced, len)) in (0..).zip(messages) {
            if numbered {
                sent.next();
            }
            sent.finish_message(at(second), &message(len), unsequenced);
        }
        assert_eq!((sent.unacknowledged(), sent.in_flight()), ((3, 40 + 2 * COPIED), 60 + 2 * COPIED));
        assert_eq!(sent.release(2), None, "no number was acknowledged");
        assert_eq!(sent.handle_ack(1), Ok(true));
        assert_eq!(sent.release(0), told(0, 0, 10, 10));
        assert_eq!((sent.release(0), sent.oldest()), (None, Some(at(2))), "nothing of the second is kept");
        assert_eq!(sent.handle_ack(3), Ok(true));
        assert_eq!(sent.release(0), None, "the second comes first");
        assert_eq!(sent.release(2), told(1, 3, 50 + 2 * COPIED, 60 + 2 * COPIED));
        assert_eq!((sent.unacknowledged(), sent.in_flight(), sent.waits()), ((0, 0), 0, false));
        assert_eq!((sent.small.len(), sent.whole.len(), sent.release(2)), (0, 0, None));
        // Times are counted anew.
        sent.next();
        sent.finish_message(at(9), &message(10), 2);
        assert!(sent.waits());
        assert_eq!(sent.handle_ack(4), Ok(true));
        assert_eq!(sent.release(2), told(9, 9, 10, 10));
    }

    #[test]
    fn what_is_kept_stays_within_its_bound_and_one_message() {
        let start = origin();
        let mut sent = Sent::default();
        assert!(sent.has_room(0, 100, 4));
        sent.next();
        sent.finish_message(start, &message(99), 0);
        assert!(sent.has_room(0, 100, 4));
        assert!(!sent.has_room(1, 100, 4));
        for _ in 0..3 {
            sent.next();
        }
        assert!(!sent.has_room(0, 1000, 4));
        sent.finish_message(start, &message(1), 0);
        assert_eq!(sent.unacknowledged(), (4, 100));
        sent.handle_ack(1).unwrap();
        sent.release(0);
        assert_eq!(sent.unacknowledged(), (3, 1));
        sent.handle_ack(4).unwrap();
        sent.release(0);
        assert_eq!(sent.unacknowledged(), (0, 0));
        assert_eq!(sent.oldest(), None);
    }

    #[test]
    fn acknowledging_what_was_not_sent_is_out_of_step() {
        let mut sent = Sent::default();
        assert_eq!(sent.handle_ack(0), Ok(false));
        assert_eq!(sent.handle_ack(1), Err(NeverSent));
    }

    /// Numbers have 64 bits everywhere, also where they are counted, compared, taken out of messages and written again.
    #[test]
    fn numbers_go_on_past_2_32_and_2_53_and_up_to_2_64() {
        let start = origin();
        for before in [u64::from(u32::MAX) - 1, (1 << 53) - 2, u64::MAX - 5] {
            let mut sent =
                Sent { head: before, acked: before, written: before, handed_over: before, ..Sent::default() };
            let mut out = Vec::new();
            let mut encoder = Encoder::new(&mut out);
            let call = crate::envelope::CallRef { id: 0, opener: crate::envelope::Opener::Writer };
            for _ in 0..3 {
                let seq = sent.next();
                encoder.push(&Envelope::Sequenced(seq, Sequenced::Cancel { call }));
            }
            sent.finish_message(start, &out.into(), 0);
            assert_eq!(sent.unacknowledged().0, 3);
            assert_eq!(sent.handle_ack(before + 1), Ok(true));
            assert_eq!(sent.handle_ack(before + 4), Err(NeverSent));
            assert!(sent.could_be_processed(before + 1) && !sent.could_be_processed(before));
            let kept = sent.rewind(before + 1);
            assert_eq!(kept.iter().map(|it| it.0).collect::<Vec<_>>(), [before + 2, before + 3]);
            sent.replay(kept);
            for seq in [before + 2, before + 3] {
                assert_eq!(sent.next_replayed().map(|it| it.0), Some(seq));
            }
        }
    }

    #[test]
    fn what_is_written_again_is_what_was_kept_whether_copied_or_not() {
        let payload = |len: usize| crate::envelope::Payload::Whole(Bytes::from(vec![7; len]));
        let call = crate::envelope::CallRef { id: 0, opener: crate::envelope::Opener::Writer };
        let codec = crate::codec::Codec::Rkyv;
        // With its head, one of the last is just as long as what is copied.
        let lens: Vec<_> =
            [10, 3 * COPIED, 20, 2 * COPIED, 5].into_iter().chain(COPIED - 40..COPIED).collect();
        let mut longest_copied = 0;
        let mut sent = Sent::default();
        for &len in &lens {
            let mut out = Vec::new();
            let item = Sequenced::Item { call, codec, payload: payload(len) };
            Encoder::new(&mut out).push_sequenced(sent.next(), &item);
            let message = Bytes::from(out);
            sent.finish_message(origin(), &message, 0);
            assert_eq!(message.is_unique(), message.len() <= COPIED);
            longest_copied = longest_copied.max(if message.is_unique() { message.len() } else { 0 });
        }
        assert_eq!(longest_copied, COPIED);
        sent.handle_ack(1).unwrap();
        sent.release(0);
        let len_of = |sequenced: &Sequenced| match sequenced {
            Sequenced::Item { payload: crate::envelope::Payload::Whole(bytes), .. } => bytes.len(),
            other => panic!("{other:?}"),
        };
        let kept = sent.rewind(2);
        let kept: Vec<_> = kept.iter().map(|(seq, sequenced)| (*seq, len_of(sequenced))).collect();
        assert_eq!(kept, (3..).zip(lens[2..].iter().copied()).collect::<Vec<_>>());
        assert_eq!((sent.small.len(), sent.bytes), (0, 0));
    }

    #[test]
    fn one_message_that_is_kept_takes_room_for_one_and_none_after_a_trim() {
        let mut sent = Sent::default();
        sent.next();
        sent.finish_message(origin(), &message(10), 0);
        assert_eq!(sent.messages.capacity(), 1);
        assert!((10..64).contains(&sent.small.capacity()));
        sent.handle_ack(1).unwrap();
        sent.release(0);
        sent.trim();
        assert_eq!((sent.messages.capacity(), sent.small.capacity()), (0, 0));
    }
}
