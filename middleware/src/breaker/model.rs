//! The breaker's rules a second time, as naively as they can be written, and a million random steps to compare.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use bowline_runtime::{Instant, now};

use super::state::{Machine, Outcome, Permit};
use super::window::SLOTS;
use super::{BreakerConfig, BreakerState};

/// Keeps every outcome with its time, every probe by name, and works all else out anew each time it is asked.
struct Model {
    config: BreakerConfig,
    phase: Phase,
    /// How many phases there were: outcomes of calls that began in another one count nothing.
    number: usize,
    failures_in_a_row: u32,
}

enum Phase {
    Closed { since: Instant, outcomes: Vec<(Instant, bool)> },
    Open { until: Instant },
    HalfOpen { first: Option<Instant>, probes: HashMap<usize, Option<bool>> },
}

impl Model {
    fn new(now: Instant, config: &BreakerConfig) -> Self {
        let phase = Phase::Closed { since: now, outcomes: Vec::new() };
        Self { config: config.clone(), phase, number: 0, failures_in_a_row: 0 }
    }

    /// `until` is what the machine says of a wait that has a random part; the model checks its bounds.
    fn settle(&mut self, now: Instant, until: Option<Instant>) {
        let Phase::HalfOpen { first: Some(first), probes } = &self.phase else { return };
        let end = *first + self.config.probing;
        if now < end {
            return;
        }
        if probes.values().any(Option::is_none) {
            self.open(end, until);
        } else if probes.is_empty() {
            self.phase = Phase::HalfOpen { first: None, probes: HashMap::new() };
        } else {
            self.close(now);
        }
    }

    fn admit(&mut self, now: Instant, call: usize, until: Option<Instant>) -> bool {
        self.settle(now, until);
        if let Phase::Open { until } = self.phase
            && until <= now
        {
            self.number += 1;
            self.phase = Phase::HalfOpen { first: None, probes: HashMap::new() };
        }
        match &mut self.phase {
            Phase::Closed { .. } => true,
            Phase::Open { .. } => false,
            Phase::HalfOpen { first, probes } => {
                let free = probes.len() < self.config.probes as usize;
                if free {
                    first.get_or_insert(now);
                    probes.insert(call, None);
                }
                free
            }
        }
    }

    fn end(&mut self, now: Instant, call: usize, began_in: usize, outcome: Outcome, until: Option<Instant>) {
        self.settle(now, until);
        if began_in != self.number {
            return;
        }
        let good = match outcome {
            Outcome::Success => Some(true),
            Outcome::Slow | Outcome::Failure => Some(false),
            Outcome::Nothing => None,
        };
        match (&mut self.phase, good) {
            (Phase::Closed { since, outcomes }, Some(good)) => {
                outcomes.push((now, good));
                let slot = self.config.window.as_nanos() / SLOTS as u128;
                let number = |at: Instant| (at - *since).as_nanos() / slot;
                outcomes.retain(|(at, _)| number(*at) + SLOTS as u128 > number(now));
                let bad = outcomes.iter().filter(|(_, good)| !good).count();
                let ratio = bad as f64 / outcomes.len() as f64;
                if !good
                    && outcomes.len() >= self.config.min_calls as usize
                    && ratio >= self.config.failure_ratio
                {
                    self.open(now, until);
                }
            }
            (Phase::HalfOpen { probes, .. }, None) => {
                probes.remove(&call);
            }
            (Phase::HalfOpen { probes, .. }, Some(true)) => {
                probes.insert(call, Some(true));
                if probes.values().filter(|end| **end == Some(true)).count() == self.config.probes as usize {
                    self.close(now);
                }
            }
            (Phase::HalfOpen { .. }, Some(false)) => self.open(now, until),
            (Phase::Closed { .. }, None) | (Phase::Open { .. }, _) => {}
        }
    }

    fn reset(&mut self, now: Instant) {
        match self.phase {
            Phase::Closed { .. } => self.phase = Phase::Closed { since: now, outcomes: Vec::new() },
            _ => self.close(now),
        }
    }

    fn close(&mut self, now: Instant) {
        self.number += 1;
        self.failures_in_a_row = 0;
        self.phase = Phase::Closed { since: now, outcomes: Vec::new() };
    }

    fn open(&mut self, from: Instant, until: Option<Instant>) {
        let mut wait = self.config.open;
        for _ in 0..self.failures_in_a_row {
            wait = (wait * 2).min(self.config.open_max);
        }
        let until = until.expect("the machine is open too");
        assert!(until <= from + wait, "{:?} instead of {wait:?}", until - from);
        let least = wait.mul_f64(1.0 - self.config.jitter).saturating_sub(Duration::from_nanos(2));
        assert!(until >= from + least, "{:?} instead of {least:?} at least", until - from);
        self.failures_in_a_row += 1;
        self.number += 1;
        self.phase = Phase::Open { until };
    }

    fn state(&self) -> BreakerState {
        match self.phase {
            Phase::Closed { .. } => BreakerState::Closed,
            Phase::Open { until } => BreakerState::Open { until },
            Phase::HalfOpen { .. } => BreakerState::HalfOpen,
        }
    }
}

/// xorshift64*: another generator than the machine's own.
struct Random(u64);

impl Random {
    fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) % end
    }
}

fn config(random: &mut Random) -> BreakerConfig {
    BreakerConfig {
        window: Duration::from_secs(1 + random.below(40)),
        min_calls: 1 + random.below(25) as u32,
        failure_ratio: [0.2, 0.5, 1.0][random.below(3) as usize],
        open: Duration::from_millis(1 + random.below(8_000)),
        open_max: Duration::from_millis(8_000 + random.below(60_000)),
        jitter: [0.0, 0.2, 0.9][random.below(3) as usize],
        probes: 1 + random.below(5) as u32,
        probing: Duration::from_millis(1 + random.below(15_000)),
        ..BreakerConfig::default()
    }
}

/// What both say of themselves after each of a million steps is the same: whether a call passes, and the state.
#[test]
fn a_million_random_steps_agree_with_the_model() {
    let mut random = Random(0x5eed_0b0e);
    let mut met = HashMap::<&str, usize>::new();
    for round in 0..100 {
        let config = if round == 0 { BreakerConfig::default() } else { config(&mut random) };
        let start = now();
        let mut clock = start;
        let mut machine = Machine::new(start, Arc::new(config.clone()), random.below(u64::MAX));
        let mut model = Model::new(start, &config);
        let mut calls: Vec<(usize, Permit, usize)> = Vec::new();
        let mut mood = 0;
        for step in 0..10_000 {
            // Good times and bad ones, or nothing would ever stay open or closed.
            if step % 500 == 0 {
                mood = random.below(4);
            }
            clock += match random.below(100) {
                0..60 => Duration::ZERO,
                60..90 => Duration::from_millis(random.below(300)),
                90..99 => Duration::from_millis(random.below(4_000)),
                _ => Duration::from_millis(random.below(90_000)),
            };
            let until = |machine: &Machine| match machine.shown() {
                BreakerState::Open { until } => Some(until),
                _ => None,
            };
            match random.below(1_000) {
                0 => {
                    machine.reset(clock);
                    model.reset(clock);
                }
                1..100 => {
                    machine.state(clock);
                    model.settle(clock, until(&machine));
                }
                100..500 if calls.len() < 40 => {
                    // The wait of an opening that this step finds out about, before it may be over again.
                    machine.state(clock);
                    model.settle(clock, until(&machine));
                    let admitted = machine.admit(clock);
                    assert_eq!(
                        admitted.is_ok(),
                        model.admit(clock, step, None),
                        "round {round}, step {step}"
                    );
                    if let Ok(permit) = admitted {
                        calls.push((step, permit, model.number));
                    }
                }
                _ if !calls.is_empty() => {
                    let (call, permit, began) = calls.swap_remove(random.below(calls.len() as u64) as usize);
                    let outcome = match (random.below(10), mood) {
                        (0, _) => Outcome::Nothing,
                        (1, _) | (2..8, 0) => Outcome::Failure,
                        (2..6, 1) => Outcome::Slow,
                        _ => Outcome::Success,
                    };
                    machine.handle_outcome(clock, permit, outcome);
                    model.end(clock, call, began, outcome, until(&machine));
                }
                _ => {}
            }
            assert_eq!(machine.shown(), model.state(), "round {round}, step {step}");
            while let Some((from, to)) = machine.poll_transition() {
                assert_ne!(from.as_str(), to.as_str());
                *met.entry(to.as_str()).or_default() += 1;
            }
        }
    }
    // The walk came everywhere, and often.
    for state in ["closed", "open", "half_open"] {
        assert!(met[state] > 1_000, "{met:?}");
    }
}
