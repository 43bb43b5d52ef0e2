//! How fast a link drains: what is on it at one time, so that control and small calls get their turn on a slow one.
//!
//! Measured by acknowledgements, since all that is known of what a socket took is that it lies in some buffer: so many
//! bytes were under way when a message was handed over, and so much later it was acknowledged. A link begins as a slow
//! one, and each half of what it may carry that was faster than this doubles it: in one go, or message by message where
//! each is acknowledged before the next one goes.

use std::num::NonZeroU32;
use std::time::Duration;

use super::Session;
use super::sent::Acked;
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
    /// `None` once it is fast.
    slow: Option<Slow>,
    /// What was acknowledged since it last became clear whether the link carries more.
    series: Option<Series>,
}

/// What a slow link carries.
#[derive(Debug, Clone, Copy)]
struct Slow {
    /// Bytes per second.
    rate: NonZeroU32,
    /// What may be under way: asked for several times for each message.
    window: u32,
}

impl Slow {
    /// `None` for a rate at which a link is fast.
    fn new(rate: u64, limits: &Limits, timing: &Timing) -> Option<Self> {
        let rate = rate.max(LEAST);
        let window = (rate as f64 * timing.flight.as_secs_f64()) as u32;
        // A rate that is beyond these numbers is fast whatever is configured.
        let counted = u32::try_from(rate).ok().and_then(NonZeroU32::new);
        counted.filter(|_| rate < fast(limits)).map(|rate| Self { rate, window: window.max(1) })
    }

    fn rate(&self) -> u64 {
        self.rate.get().into()
    }

    fn window(&self) -> usize {
        self.window as usize
    }
}

/// Messages that were acknowledged, one behind the other.
#[derive(Debug, Clone, Copy)]
struct Series {
    /// When the first was handed over.
    since: Instant,
    bytes: usize,
}

impl Pace {
    pub(super) fn new(limits: &Limits, timing: &Timing) -> Self {
        let slow = Slow::new(START, limits, timing);
        Self { slow, series: None }
    }

    fn handle_ack(&mut self, now: Instant, acked: &Acked, limits: &Limits, timing: &Timing) {
        let took = now.saturating_duration_since(acked.last);
        if took > timing.flight {
            let measured = per_second(acked.under_way, took);
            if measured < self.slow.map_or(limits.slow_link as u64, |slow| slow.rate()) {
                self.slow = Slow::new(measured, limits, timing);
            }
        } else if let Some(slow) = self.slow
            && let Some(measured) = self.grown(now, Series { since: acked.first, bytes: acked.bytes }, slow)
        {
            self.slow = Slow::new(measured, limits, timing);
        }
    }

    /// What the link carries more, once it has carried half of what it may, faster than that. Who does not fill a link learns
    /// nothing of what it could carry.
    fn grown(&mut self, now: Instant, latest: Series, slow: Slow) -> Option<u64> {
        let half = slow.window() / 2;
        let mut series = latest;
        if let Some(earlier) = self.series.take().filter(|_| latest.bytes < half) {
            series = Series { since: earlier.since, bytes: earlier.bytes + latest.bytes };
        }
        if series.bytes < half {
            self.series = Some(series);
            return None;
        }
        let measured = per_second(series.bytes, now.saturating_duration_since(series.since));
        (measured > slow.rate()).then(|| measured.min(slow.rate().saturating_mul(2)))
    }

    /// See [`Session::extra`].
    fn extra(&self, ahead: usize) -> Duration {
        match self.slow {
            Some(slow) if ahead > slow.window() => {
                Duration::from_secs_f64((ahead - slow.window()) as f64 / slow.rate() as f64)
            }
            _ => Duration::ZERO,
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
    /// What may be under way on a slow link; `None` on a fast one.
    fn window(&self) -> Option<usize> {
        self.link.pace.slow.map(|slow| slow.window())
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
        self.window().map_or(usize::MAX, |window| window.saturating_sub(self.state.sent.in_flight()))
    }

    /// The same for a piece of a large payload: a quarter is left to what is small, which does not wait then. Where that has so
    /// much that it would leave nothing, they take turns: see [`Transfers::is_next`](super::transfers::Transfers::is_next).
    pub(super) fn chunk_has_room(&self, pending: usize) -> bool {
        self.new_has_room(pending)
            && self
                .window()
                .is_none_or(|window| self.state.sent.in_flight() + pending < (window - window / 4))
    }

    /// The same for what was not written before, and is kept.
    pub(super) fn new_has_room(&self, pending: usize) -> bool {
        let limits = &self.config.limits;
        self.state.sent.has_room(pending, limits.replay_bytes, limits.replay_envelopes)
            && self.link_has_room(pending)
    }

    /// How much longer than usual the answer to a message may take that goes behind so many bytes, or had them ahead of it when
    /// it went: what is acknowledged meanwhile makes its way no shorter.
    pub(super) fn extra(&self, ahead: usize) -> Duration {
        self.link.pace.extra(ahead)
    }

    /// What the other end will acknowledge once it has all that was written.
    pub(super) fn written(&self) -> Ack {
        Ack { seq: self.state.sent.written(), unsequenced: self.link.unsequenced.head() }
    }

    /// What the acknowledged messages tell of the link.
    pub(super) fn pace_ack(&mut self, now: Instant, acked: &Acked) {
        let Self { link, config, .. } = self;
        link.pace.handle_ack(now, acked, &config.limits, &config.timing);
    }
}
