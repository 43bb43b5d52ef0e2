use std::time::Duration;

/// When a circuit breaker opens, and how it finds back. `Default` is what the protocol's rules say.
#[derive(Debug, Clone, PartialEq)]
pub struct BreakerConfig {
    /// How long an outcome counts: 30 s. It slides in thirty steps.
    pub window: Duration,
    /// How many calls must have ended inside the window before they mean anything: 20.
    pub min_calls: u32,
    /// The part of these that failed or were slow at which the breaker opens: 0.5.
    pub failure_ratio: f64,
    /// A call that succeeded is slow after this time, and after more than half of the time that it was given: 5 s, half
    /// of what a unary call has. A call without a deadline, and one that uploads a stream, is never slow.
    /// Source: our choice.
    pub slow: Duration,
    /// How long calls are refused at first: 5 s. Doubled each time that probing fails.
    pub open: Duration,
    /// What `open` grows to: 60 s.
    pub open_max: Duration,
    /// By which part of itself, at most, such a wait is shortened at random: 0.2, so that those who were refused
    /// together don't probe together. Source: our choice.
    pub jitter: f64,
    /// How many calls are let through after that wait, and must all succeed for the breaker to close: 3.
    /// Others are refused meanwhile.
    pub probes: u32,
    /// How long probing may take: 10 s from the first probe. If one still runs then, the breaker opens again; if those
    /// that came have all succeeded, it closes, although they may have been fewer.
    pub probing: Duration,
    /// How many breakers there are, one for each service at each endpoint: 256, for as many services as a session may
    /// declare (64) at four endpoints. Calls to further ones pass.
    pub breakers: usize,
}

impl Default for BreakerConfig {
    fn default() -> Self {
        Self {
            window: Duration::from_secs(30),
            min_calls: 20,
            failure_ratio: 0.5,
            slow: Duration::from_secs(5),
            open: Duration::from_secs(5),
            open_max: Duration::from_secs(60),
            jitter: 0.2,
            probes: 3,
            probing: Duration::from_secs(10),
            breakers: 256,
        }
    }
}

impl BreakerConfig {
    pub(super) fn check(&self) -> Result<(), InvalidBreakerConfig> {
        let rules = [
            (self.window >= Duration::from_millis(30), "`window` must be at least 30 ms"),
            (self.min_calls > 0, "`min_calls` must be above 0"),
            (
                self.failure_ratio > 0.0 && self.failure_ratio <= 1.0,
                "`failure_ratio` must be above 0 and at most 1",
            ),
            (!self.open.is_zero(), "`open` must be above 0"),
            (self.open <= self.open_max, "`open` must not be above `open_max`"),
            // A length that is not on the clock any more can't be waited for.
            (self.open_max <= YEAR && self.probing <= YEAR, "`open_max` and `probing` must be below a year"),
            ((0.0..1.0).contains(&self.jitter), "`jitter` must be at least 0 and below 1"),
            (self.probes > 0, "`probes` must be above 0"),
            (!self.probing.is_zero(), "`probing` must be above 0"),
        ];
        rules.iter().find(|(holds, _)| !holds).map_or(Ok(()), |(_, rule)| Err(InvalidBreakerConfig(rule)))
    }
}

const YEAR: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// A [`BreakerConfig`] that makes no sense; says which rule is broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct InvalidBreakerConfig(&'static str);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_make_sense_and_nonsense_is_named() {
        let good = BreakerConfig::default();
        assert_eq!(good.check(), Ok(()));
        let zero = Duration::ZERO;
        let with = |change: &dyn Fn(&mut BreakerConfig)| {
            let mut config = good.clone();
            change(&mut config);
            config.check().unwrap_err().to_string()
        };
        assert!(with(&|c| c.window = zero).contains("`window`"));
        assert!(with(&|c| c.min_calls = 0).contains("`min_calls`"));
        for ratio in [0.0, -1.0, 1.1, f64::NAN] {
            assert!(with(&|c| c.failure_ratio = ratio).contains("`failure_ratio`"));
        }
        assert!(with(&|c| c.open = zero).contains("`open`"));
        assert!(with(&|c| c.open = Duration::from_secs(61)).contains("`open_max`"));
        assert!(with(&|c| c.open_max = Duration::MAX).contains("`open_max`"));
        for jitter in [-0.1, 1.0, f64::NAN] {
            assert!(with(&|c| c.jitter = jitter).contains("`jitter`"));
        }
        assert!(with(&|c| c.probes = 0).contains("`probes`"));
        assert!(with(&|c| c.probing = zero).contains("`probing`"));
    }
}
