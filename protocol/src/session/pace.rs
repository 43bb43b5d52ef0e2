//! How fast a link drains: what is on it at one time, so that control and small calls get their turn on a slow one.
//!
//! Measured by acknowledgements, since all that is known of what a socket took is that it lies in some buffer: so many
//! bytes were under way when a message was handed over, and so much later it was acknowledged. A link begins as a slow
//! one, and each half of what it may carry that was faster than this doubles it: in one go, or message by message where
//! each is acknowledged before the next one goes.

use std::collections::VecDeque;
use std::time::Duration;

use super::{Session, lean};
use crate::Instant;
use crate::envelope::Ack;
use crate::limits::{Limits, Timing};

/// What a link is taken to carry in a second at first, and at least. Source: our choice. It fills the slowest links that
/// are meant to work, and a fast one has grown beyond measure after six round trips.
const START: u64 = 2048;
/// See [`START`].
const LEAST: u64 = 1024;

/// The pace of one link, outwards.
#[derive(Debug)]
pub(super) struct Pace {
    /// Bytes per second; `None` once it is fast.
    rate: Option<u64>,
    /// Messages that will be acknowledged, in their order.
    marks: VecDeque<Mark>,
    /// Their bytes.
    in_flight: usize,
    /// What was acknowledged since it last became clear whether the link carries more.
    series: Option<Series>,
}

/// A message that was handed over.
#[derive(Debug)]
struct Mark {
    /// What of this end is acknowledged with it.
    ack: Ack,
    at: Instant,
    len: usize,
    /// What was under way then, with it.
    under_way: usize,
}

/// Messages that were acknowledged, one behind the other.
#[derive(Debug, Clone, Copy)]
struct Series {
    /// When the first was handed over.
    since: Instant,
    bytes: usize,
}

impl Default for Pace {
    fn default() -> Self {
        Self { rate: Some(START), marks: VecDeque::new(), in_flight: 0, series: None }
    }
}

impl Pace {
    /// What may be under way on a slow link; `None` on a fast one.
    fn window(&self, limits: &Limits, timing: &Timing) -> Option<usize> {
        let rate = self.rate.filter(|rate| *rate < fast(limits))?;
        Some(((rate as f64 * timing.flight.as_secs_f64()) as usize).max(1))
    }

    fn handle_sent(&mut self, now: Instant, ack: Ack, len: usize) {
        self.in_flight += len;
        lean::push(&mut self.marks, Mark { ack, at: now, len, under_way: self.in_flight });
    }

    fn handle_ack(&mut self, now: Instant, ack: Ack, limits: &Limits, timing: &Timing) {
        let is_acked = |mark: &Mark| mark.ack.seq <= ack.seq && mark.ack.unsequenced <= ack.unsequenced;
        let (mut first, mut last, mut bytes) = (None, None, 0);
        while self.marks.front().is_some_and(is_acked)
            && let Some(mark) = self.marks.pop_front()
        {
            bytes += mark.len;
            first.get_or_insert(mark.at);
            last = Some(mark);
        }
        self.in_flight -= bytes;
        let (Some(since), Some(last)) = (first, last) else { return };
        let took = now.saturating_duration_since(last.at);
        if took > timing.flight {
            self.series = None;
            let measured = per_second(last.under_way, took);
            if measured < self.rate.unwrap_or(limits.slow_link as u64) {
                self.rate = Some(measured.max(LEAST));
            }
        } else if let (Some(rate), Some(window)) = (self.rate, self.window(limits, timing)) {
            self.grow(now, Series { since, bytes }, rate, window, limits);
        }
    }

    /// Lets the link carry more once it has carried half of what it may, faster than that. Who does not fill a link learns
    /// nothing of what it could carry.
    fn grow(&mut self, now: Instant, latest: Series, rate: u64, window: usize, limits: &Limits) {
        let mut series = latest;
        if let Some(earlier) = self.series.take().filter(|_| latest.bytes < window / 2) {
            series = Series { since: earlier.since, bytes: earlier.bytes + latest.bytes };
        }
        if series.bytes < window / 2 {
            self.series = Some(series);
            return;
        }
        let measured = per_second(series.bytes, now.saturating_duration_since(series.since));
        if measured > rate {
            let rate = measured.min(rate.saturating_mul(2));
            self.rate = (rate < fast(limits)).then_some(rate);
        }
    }

    /// How much longer than usual an answer may take, because of what had to be handed over at once.
    fn extra(&self, limits: &Limits, timing: &Timing) -> Duration {
        match (self.rate, self.window(limits, timing)) {
            (Some(rate), Some(window)) if self.in_flight > window => {
                Duration::from_secs_f64((self.in_flight - window) as f64 / rate as f64)
            }
            _ => Duration::ZERO,
        }
    }

    /// Gives back what was allocated ahead.
    pub(super) fn trim(&mut self) {
        self.marks.shrink_to_fit();
    }

    /// What is under way was handed over now, as far as its age counts.
    pub(super) fn restart(&mut self, now: Instant) {
        self.series = None;
        for mark in &mut self.marks {
            mark.at = now;
        }
    }
}

/// So many bytes took so long.
fn per_second(bytes: usize, took: Duration) -> u64 {
    (bytes as f64 / took.as_secs_f64().max(1e-9)) as u64
}

/// From which rate on a link is no slow one any more.
fn fast(limits: &Limits) -> u64 {
    (limits.slow_link as u64).saturating_mul(2)
}

impl Session {
    fn window(&self) -> Option<usize> {
        self.link.pace.window(&self.config.limits, &self.config.timing)
    }

    /// What a message gathers before it is written, as this link is.
    pub(super) fn gathers(&self) -> usize {
        let limits = &self.config.limits;
        match self.window() {
            // Some are to be under way, so that the link is never idle and nothing waits long for the end of one.
            Some(window) => limits.message_out.min(limits.message_out_slow).min(window / 4).max(1),
            None => limits.message_out,
        }
    }

    /// Whether the link takes more than these bytes of the message under way.
    pub(super) fn link_has_room(&self, pending: usize) -> bool {
        pending < self.link_room()
    }

    /// How many bytes of the message under way the link takes, before it takes no more of it.
    pub(super) fn link_room(&self) -> usize {
        self.window().map_or(usize::MAX, |window| window.saturating_sub(self.link.pace.in_flight))
    }

    /// The same for a piece of a large payload: a quarter is left to what is small, which does not wait then.
    pub(super) fn chunk_has_room(&self, pending: usize) -> bool {
        self.new_has_room(pending)
            && self.window().is_none_or(|window| self.link.pace.in_flight + pending < (window - window / 4))
    }

    /// The same for what was not written before, and is kept.
    pub(super) fn new_has_room(&self, pending: usize) -> bool {
        let limits = &self.config.limits;
        self.state.sent.has_room(pending, limits.replay_bytes, limits.replay_envelopes)
            && self.link_has_room(pending)
    }

    /// How much longer than usual an answer may take.
    pub(super) fn extra(&self) -> Duration {
        self.link.pace.extra(&self.config.limits, &self.config.timing)
    }

    /// What the other end will acknowledge once it has all that was written.
    pub(super) fn written(&self) -> Ack {
        Ack { seq: self.state.sent.written(), unsequenced: self.link.unsequenced.head() }
    }

    /// A message was handed over; `before` is what was written before it.
    pub(super) fn pace_sent(&mut self, now: Instant, before: Ack, len: usize) {
        let written = self.written();
        if written != before {
            self.link.pace.handle_sent(now, written, len);
        }
    }

    pub(super) fn pace_ack(&mut self, now: Instant, ack: Ack) {
        let Self { link, config, .. } = self;
        link.pace.handle_ack(now, ack, &config.limits, &config.timing);
    }
}
