use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use bowline_runtime::Instant;

use super::BreakerConfig;
use super::window::Window;

/// What a circuit breaker does with calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BreakerState {
    /// Lets them pass, and looks how they end.
    Closed,
    /// Refuses them. The first call after `until` is let through as a probe, and only then is the state another one.
    Open {
        /// When the next call is let through.
        until: Instant,
    },
    /// Lets a few of them pass to see whether the service is back, and refuses the others.
    HalfOpen,
}

impl BreakerState {
    /// Its name in metrics: `closed`, `open` or `half_open`.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Open { .. } => "open",
            Self::HalfOpen => "half_open",
        }
    }
}

/// How long those should wait who come while probes run: 1 s. Source: our choice; probes mostly end at once, and
/// whoever asks too early is only told again.
const WHILE_PROBING: Duration = Duration::from_secs(1);

/// The breaker of one service, without clock, lock or tasks. After each step, take what
/// [`poll_transition`](Self::poll_transition) has.
#[derive(Debug)]
pub(super) struct Machine {
    config: Arc<BreakerConfig>,
    state: State,
    /// Raised by every transition: what began before says nothing about the service today.
    epoch: u64,
    /// How often it has opened since it was closed.
    openings: u32,
    random: u64,
    transitions: VecDeque<(BreakerState, BreakerState)>,
}

#[derive(Debug)]
enum State {
    Closed(Box<Window>),
    Open {
        until: Instant,
    },
    HalfOpen {
        running: u32,
        succeeded: u32,
        /// From the first probe on.
        until: Option<Instant>,
    },
}

/// An admitted call. Give it back with its outcome.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use = "a permit that is not given back keeps the place of a probe"]
pub(super) struct Permit {
    epoch: u64,
}

/// How an admitted call ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    Success,
    /// It succeeded, too late to be good.
    Slow,
    Failure,
    /// It says nothing about the service, or was dropped.
    Nothing,
}

impl Machine {
    pub(super) fn new(now: Instant, config: Arc<BreakerConfig>, seed: u64) -> Self {
        let state = State::closed(now, &config);
        Self { config, state, epoch: 0, openings: 0, random: seed, transitions: VecDeque::new() }
    }

    /// Admits a call, or says how long to wait before the next try.
    pub(super) fn admit(&mut self, now: Instant) -> Result<Permit, Duration> {
        self.advance(now);
        if let State::Open { until } = self.state
            && now >= until
        {
            self.enter(State::HalfOpen { running: 0, succeeded: 0, until: None });
        }
        let config = &self.config;
        match &mut self.state {
            State::Closed(_) => {}
            State::Open { until } => return Err(*until - now),
            State::HalfOpen { running, succeeded, until } => {
                let end = *until.get_or_insert(now + config.probing);
                // A recovering service gets a few probes, not the whole backlog.
                if *running + *succeeded >= config.probes {
                    return Err(end.saturating_duration_since(now).min(WHILE_PROBING));
                }
                *running += 1;
            }
        }
        Ok(Permit { epoch: self.epoch })
    }

    /// Takes in how an admitted call ended.
    pub(super) fn handle_outcome(&mut self, now: Instant, permit: Permit, outcome: Outcome) {
        self.advance(now);
        if permit.epoch != self.epoch {
            return;
        }
        let config = &self.config;
        let bad = matches!(outcome, Outcome::Slow | Outcome::Failure);
        match &mut self.state {
            State::Closed(window) if outcome != Outcome::Nothing => {
                window.record(now, bad);
                let enough = window.calls() >= u64::from(config.min_calls);
                // Only a bad outcome opens: one that was good is no reason to.
                if bad && enough && window.bad() as f64 >= config.failure_ratio * window.calls() as f64 {
                    self.open(now);
                }
            }
            State::HalfOpen { running, .. } => {
                *running -= 1;
                match outcome {
                    // Its place is free: probing must not stick because somebody lost interest.
                    Outcome::Nothing => {}
                    Outcome::Success => self.probe_succeeded(now),
                    Outcome::Slow | Outcome::Failure => self.open(now),
                }
            }
            State::Closed(_) | State::Open { .. } => {}
        }
    }

    /// Forgets everything and closes.
    pub(super) fn reset(&mut self, now: Instant) {
        match &mut self.state {
            State::Closed(window) => **window = Window::new(now, self.config.window),
            _ => self.close(now),
        }
    }

    pub(super) fn state(&mut self, now: Instant) -> BreakerState {
        self.advance(now);
        self.shown()
    }

    /// The next transition that was not yet told: from which state, and to which.
    pub(super) fn poll_transition(&mut self) -> Option<(BreakerState, BreakerState)> {
        self.transitions.pop_front()
    }

    /// Ends probing whose time is over.
    fn advance(&mut self, now: Instant) {
        let State::HalfOpen { running, succeeded, until: Some(end) } = self.state else { return };
        if now < end {
            return;
        }
        match (running, succeeded) {
            // Whatever came was withdrawn: still nothing is known, and the next call begins anew.
            (0, 0) => self.state = State::HalfOpen { running: 0, succeeded: 0, until: None },
            (0, _) => self.close(now),
            // One that hangs is a failure, at the time when it became one.
            _ => self.open(end),
        }
    }

    fn probe_succeeded(&mut self, now: Instant) {
        let State::HalfOpen { succeeded, .. } = &mut self.state else { return };
        *succeeded += 1;
        if *succeeded >= self.config.probes {
            self.close(now);
        }
    }

    fn close(&mut self, now: Instant) {
        self.openings = 0;
        self.enter(State::closed(now, &self.config));
    }

    fn open(&mut self, from: Instant) {
        let doubled = self.config.open.saturating_mul(1u32.checked_shl(self.openings).unwrap_or(u32::MAX));
        let wait = doubled.min(self.config.open_max);
        let shortened = wait.mul_f64(1.0 - self.config.jitter * self.fraction());
        self.openings = self.openings.saturating_add(1);
        self.enter(State::Open { until: from + shortened });
    }

    fn enter(&mut self, state: State) {
        let from = self.shown();
        self.epoch += 1;
        self.state = state;
        self.transitions.push_back((from, self.shown()));
    }

    /// The state as it was left by the last step.
    pub(super) fn shown(&self) -> BreakerState {
        match self.state {
            State::Closed(_) => BreakerState::Closed,
            State::Open { until } => BreakerState::Open { until },
            State::HalfOpen { .. } => BreakerState::HalfOpen,
        }
    }

    /// A number from 0 to below 1. Source: SplitMix64.
    fn fraction(&mut self) -> f64 {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.random;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        // 53 bits are what a double holds.
        ((mixed ^ (mixed >> 31)) >> 11) as f64 / (1u64 << 53) as f64
    }
}

impl State {
    fn closed(now: Instant, config: &BreakerConfig) -> Self {
        Self::Closed(Box::new(Window::new(now, config.window)))
    }
}
