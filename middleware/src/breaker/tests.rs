use std::sync::Arc;
use std::time::Duration;

use bowline_runtime::{Instant, now};

use super::state::{Machine, Outcome, Permit};
use super::{BreakerConfig, BreakerState};

const SECOND: Duration = Duration::from_secs(1);

/// A machine and its time, which is told in seconds from its start.
struct Breaker {
    start: Instant,
    machine: Machine,
}

/// No jitter, so that times are literal.
fn plain() -> BreakerConfig {
    BreakerConfig { jitter: 0.0, ..BreakerConfig::default() }
}

fn breaker(config: BreakerConfig) -> Breaker {
    config.check().unwrap();
    let start = now();
    Breaker { start, machine: Machine::new(start, Arc::new(config), 7) }
}

impl Breaker {
    fn at(&self, seconds: f64) -> Instant {
        self.start + Duration::from_secs_f64(seconds)
    }

    fn admit(&mut self, seconds: f64) -> Result<Permit, Duration> {
        self.machine.admit(self.at(seconds))
    }

    fn end(&mut self, seconds: f64, permit: Permit, outcome: Outcome) {
        self.machine.handle_outcome(self.at(seconds), permit, outcome);
    }

    /// So many calls that begin and end at one time.
    fn calls(&mut self, seconds: f64, count: u32, outcome: Outcome) {
        for _ in 0..count {
            let permit = self.admit(seconds).unwrap();
            self.end(seconds, permit, outcome);
        }
    }

    fn state(&mut self, seconds: f64) -> &'static str {
        self.machine.state(self.at(seconds)).as_str()
    }

    /// Until when it is open.
    fn until(&mut self) -> f64 {
        let BreakerState::Open { until } = self.machine.shown() else { panic!("{:?}", self.machine) };
        (until - self.start).as_secs_f64()
    }
}

#[test]
fn it_opens_at_half_of_twenty_and_not_before() {
    let mut breaker = breaker(plain());
    breaker.calls(0.0, 10, Outcome::Success);
    breaker.calls(1.0, 9, Outcome::Failure);
    assert_eq!(breaker.state(1.0), "closed");
    breaker.calls(1.0, 1, Outcome::Failure);
    assert_eq!(breaker.state(1.0), "open");
    assert_eq!(breaker.until(), 6.0);
    assert_eq!(breaker.admit(2.0), Err(4 * SECOND));
}

#[test]
fn less_than_half_is_borne_for_ever() {
    let mut breaker = breaker(plain());
    for second in 0..100 {
        breaker.calls(f64::from(second), 11, Outcome::Success);
        breaker.calls(f64::from(second), 9, Outcome::Failure);
    }
    assert_eq!(breaker.state(100.0), "closed");
}

#[test]
fn slow_calls_count_as_failed_ones_and_those_that_say_nothing_do_not_count() {
    let mut breaker = breaker(plain());
    breaker.calls(0.0, 1_000, Outcome::Nothing);
    breaker.calls(0.0, 10, Outcome::Success);
    breaker.calls(0.0, 9, Outcome::Slow);
    assert_eq!(breaker.state(0.0), "closed");
    breaker.calls(0.0, 1, Outcome::Slow);
    assert_eq!(breaker.state(0.0), "open");
}

#[test]
fn a_good_call_does_not_open_although_it_makes_the_number_full() {
    let mut breaker = breaker(plain());
    breaker.calls(0.0, 19, Outcome::Failure);
    breaker.calls(0.0, 1, Outcome::Success);
    assert_eq!(breaker.state(0.0), "closed");
    breaker.calls(0.0, 1, Outcome::Failure);
    assert_eq!(breaker.state(0.0), "open");
}

#[test]
fn min_calls_and_failure_ratio_are_what_is_configured() {
    let mut few = breaker(BreakerConfig { min_calls: 2, ..plain() });
    few.calls(0.0, 2, Outcome::Failure);
    assert_eq!(few.state(0.0), "open");

    let mut strict = breaker(BreakerConfig { failure_ratio: 0.1, ..plain() });
    strict.calls(0.0, 18, Outcome::Success);
    strict.calls(0.0, 2, Outcome::Failure);
    assert_eq!(strict.state(0.0), "open");
}

#[test]
fn outcomes_older_than_the_window_are_forgotten() {
    for (window, state) in [(30, "open"), (10, "closed")] {
        let mut breaker = breaker(BreakerConfig { window: window * SECOND, ..plain() });
        breaker.calls(0.0, 19, Outcome::Failure);
        breaker.calls(20.0, 1, Outcome::Failure);
        assert_eq!(breaker.state(20.0), state, "{window} s");
    }
    let mut breaker = breaker(plain());
    breaker.calls(0.0, 19, Outcome::Failure);
    breaker.calls(30.0, 1, Outcome::Failure);
    assert_eq!(breaker.state(30.0), "closed");
    // Much longer than the window is remembered, and long after.
    breaker.calls(100_000.0, 19, Outcome::Failure);
    assert_eq!(breaker.state(100_000.0), "closed");
}

#[test]
fn three_probes_that_succeed_close_it() {
    let mut breaker = breaker(plain());
    breaker.calls(0.0, 20, Outcome::Failure);
    let probes: Vec<_> = (0..3).map(|_| breaker.admit(5.0).unwrap()).collect();
    assert_eq!(breaker.state(5.0), "half_open");
    // Others are told to come back soon, and at the latest when probing is over.
    assert_eq!(breaker.admit(5.0), Err(SECOND));
    assert_eq!(breaker.admit(14.5), Err(SECOND / 2));
    for probe in probes {
        assert_eq!(breaker.state(6.0), "half_open");
        breaker.end(6.0, probe, Outcome::Success);
        assert!(breaker.machine.shown() == BreakerState::Closed || breaker.admit(6.0).is_err());
    }
    assert_eq!(breaker.state(6.0), "closed");
    // What it knew before is forgotten.
    breaker.calls(6.0, 19, Outcome::Failure);
    assert_eq!(breaker.state(6.0), "closed");
}

#[test]
fn a_probe_that_fails_or_is_slow_opens_it_for_twice_as_long() {
    let mut breaker = breaker(plain());
    breaker.calls(0.0, 20, Outcome::Failure);
    let mut at = 5.0;
    for (waits, outcome) in
        [10.0, 20.0, 40.0, 60.0, 60.0].into_iter().zip([Outcome::Failure, Outcome::Slow].into_iter().cycle())
    {
        let probe = breaker.admit(at).unwrap();
        breaker.end(at, probe, outcome);
        assert_eq!(breaker.until(), at + waits);
        at += waits;
    }
    // Once closed, the wait is short again.
    breaker.calls(at, 3, Outcome::Success);
    breaker.calls(at, 20, Outcome::Failure);
    assert_eq!(breaker.until(), at + 5.0);
}

#[test]
fn open_and_open_max_and_probes_are_what_is_configured() {
    let mut breaker = breaker(BreakerConfig { open: SECOND, open_max: 3 * SECOND, probes: 1, ..plain() });
    breaker.calls(0.0, 20, Outcome::Failure);
    assert_eq!(breaker.until(), 1.0);
    let probe = breaker.admit(1.0).unwrap();
    assert!(breaker.admit(1.0).is_err());
    breaker.end(1.0, probe, Outcome::Failure);
    assert_eq!(breaker.until(), 3.0);
    let probe = breaker.admit(3.0).unwrap();
    breaker.end(3.0, probe, Outcome::Failure);
    assert_eq!(breaker.until(), 6.0);
    breaker.calls(6.0, 1, Outcome::Success);
    assert_eq!(breaker.state(6.0), "closed");
}

#[test]
fn waits_are_shortened_at_random_by_the_configured_part() {
    let waits = |jitter: f64| -> Vec<f64> {
        let config = Arc::new(BreakerConfig { jitter, ..BreakerConfig::default() });
        let start = now();
        let wait = |seed| {
            let mut breaker = Breaker { start, machine: Machine::new(start, config.clone(), seed) };
            breaker.calls(0.0, 20, Outcome::Failure);
            breaker.until()
        };
        (0..100).map(wait).collect()
    };
    assert!(waits(0.0).iter().all(|wait| *wait == 5.0));
    for jitter in [0.2, 0.8] {
        let waits = waits(jitter);
        let (least, most) = (5.0 * (1.0 - jitter), 5.0);
        assert!(waits.iter().all(|wait| (least..=most).contains(wait)), "{waits:?}");
        let spread = waits.iter().copied().fold(0.0, f64::max) - waits.iter().copied().fold(most, f64::min);
        assert!(spread > 0.9 * (most - least), "{waits:?}");
    }
}

/// A hung probe once kept a breaker half-open for ever.
#[test]
fn half_open_ends_although_a_probe_hangs() {
    for (probing, ends) in [(10.0, 15.0), (2.0, 7.0)] {
        let mut breaker = breaker(BreakerConfig { probing: Duration::from_secs_f64(probing), ..plain() });
        breaker.calls(0.0, 20, Outcome::Failure);
        let hangs = breaker.admit(5.0).unwrap();
        breaker.calls(5.0, 1, Outcome::Success);
        assert_eq!(breaker.state(ends - 0.001), "half_open");
        assert_eq!(breaker.state(ends), "open");
        assert_eq!(breaker.until(), ends + 10.0);
        // Its late success says nothing to the next probing.
        let probe = breaker.admit(ends + 10.0).unwrap();
        breaker.end(ends + 10.0, hangs, Outcome::Success);
        breaker.end(ends + 10.0, probe, Outcome::Success);
        assert_eq!(breaker.state(ends + 10.0), "half_open");
    }
}

#[test]
fn a_hung_probe_that_nobody_looked_at_delays_the_next_call_no_longer_than_it_must() {
    let mut breaker = breaker(plain());
    breaker.calls(0.0, 20, Outcome::Failure);
    let _hangs = breaker.admit(5.0).unwrap();
    // Half-open ended at 15 s and the wait after it at 25 s, both unseen.
    assert!(breaker.admit(25.0).is_ok());
    assert_eq!(breaker.state(25.0), "half_open");
}

#[test]
fn few_probes_that_all_succeeded_close_it_when_the_time_is_over() {
    let mut breaker = breaker(plain());
    breaker.calls(0.0, 20, Outcome::Failure);
    breaker.calls(5.0, 1, Outcome::Success);
    assert_eq!(breaker.state(14.9), "half_open");
    assert_eq!(breaker.state(15.0), "closed");
}

#[test]
fn a_probe_that_is_dropped_gives_its_place_to_another() {
    let mut breaker = breaker(BreakerConfig { probes: 1, ..plain() });
    breaker.calls(0.0, 20, Outcome::Failure);
    for _ in 0..10 {
        let dropped = breaker.admit(5.0).unwrap();
        assert!(breaker.admit(5.0).is_err());
        breaker.end(5.0, dropped, Outcome::Nothing);
    }
    // Nothing is known when the time is over, so there is another time, as long as the first.
    let dropped = breaker.admit(14.0).unwrap();
    breaker.end(14.0, dropped, Outcome::Nothing);
    let probe = breaker.admit(20.0).unwrap();
    assert_eq!(breaker.state(29.0), "half_open");
    breaker.end(29.0, probe, Outcome::Success);
    assert_eq!(breaker.state(29.0), "closed");
}

#[test]
fn late_outcomes_of_an_earlier_epoch_are_ignored() {
    let mut breaker = breaker(BreakerConfig { probes: 1, ..plain() });
    let late: Vec<_> = (0..100).map(|_| breaker.admit(0.0).unwrap()).collect();
    breaker.calls(0.0, 20, Outcome::Failure);
    let probe = breaker.admit(5.0).unwrap();
    let (first, rest) = late.split_at(50);
    for permit in first {
        breaker.end(6.0, *permit, Outcome::Failure);
    }
    assert_eq!(breaker.state(6.0), "half_open");
    breaker.end(7.0, probe, Outcome::Success);
    for permit in rest {
        breaker.end(8.0, *permit, Outcome::Failure);
    }
    assert_eq!(breaker.state(8.0), "closed");
}

#[test]
fn a_reset_closes_and_forgets() {
    let mut breaker = breaker(plain());
    breaker.calls(0.0, 19, Outcome::Failure);
    breaker.machine.reset(breaker.at(1.0));
    breaker.calls(1.0, 19, Outcome::Failure);
    assert_eq!(breaker.state(1.0), "closed");
    breaker.calls(1.0, 1, Outcome::Failure);
    breaker.machine.reset(breaker.at(2.0));
    assert_eq!(breaker.state(2.0), "closed");
    let told: Vec<_> = std::iter::from_fn(|| breaker.machine.poll_transition())
        .map(|(from, to)| (from.as_str(), to.as_str()))
        .collect();
    assert_eq!(told, [("closed", "open"), ("open", "closed")]);
}

#[test]
fn time_that_runs_backwards_stands_still() {
    let mut breaker = breaker(plain());
    breaker.calls(20.0, 10, Outcome::Failure);
    breaker.calls(3.0, 9, Outcome::Failure);
    assert_eq!(breaker.state(3.0), "closed");
    breaker.calls(21.0, 1, Outcome::Failure);
    assert_eq!(breaker.state(21.0), "open");
}
