//! How long to wait before the next attempt to connect.

use std::fmt;
use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};

/// Delays between attempts to connect: doubling from 0.5 s to 30 s with full jitter, for ever.
///
/// Attempt *n* waits a time drawn evenly between nothing and `min(30 s, 0.5 s × 2^n)`, so that a thousand clients
/// that lost one server do not come back at once.
///
/// ```
/// use bowline_transport::Backoff;
/// use std::time::Duration;
///
/// let mut backoff = Backoff::default();
/// assert!(backoff.next_delay() <= Duration::from_millis(500));
/// assert!(backoff.next_delay() <= Duration::from_secs(1));
/// backoff.reset(); // the connection has lived long enough
/// assert!(backoff.next_delay() <= Duration::from_millis(500));
/// ```
pub struct Backoff {
    base: Duration,
    ceiling: Duration,
    ceilings: ExponentialBackoff,
    jitter: fn() -> u64,
}

impl Backoff {
    /// Delays whose upper end doubles from `base` to `ceiling` and stays there.
    pub fn new(base: Duration, ceiling: Duration) -> Self {
        Self { base, ceiling, ceilings: ceilings(base, ceiling), jitter: random }
    }

    /// The next delay. The upper end of the one after it is twice as long.
    pub fn next_delay(&mut self) -> Duration {
        let longest = self.next_ceiling();
        self.draw(longest)
    }

    /// As [`next_delay`](Self::next_delay), drawn from the upper half of the span: for those who must not come back
    /// at once.
    pub fn next_long_delay(&mut self) -> Duration {
        let half = self.next_ceiling() / 2;
        half + self.draw(half)
    }

    fn next_ceiling(&mut self) -> Duration {
        self.ceilings.next().unwrap_or(self.ceiling).min(self.ceiling)
    }

    fn draw(&self, longest: Duration) -> Duration {
        // The upper 32 bits are random enough for a delay, and the product fits.
        let fraction = (self.jitter)() >> 32;
        let nanos = longest.as_nanos() * u128::from(fraction) / u128::from(u32::MAX);
        Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }

    /// Starts over with the shortest delay. For the caller to decide when a connection has proved itself.
    pub fn reset(&mut self) {
        self.ceilings = ceilings(self.base, self.ceiling);
    }
}

impl Default for Backoff {
    fn default() -> Self {
        Self::new(Duration::from_millis(500), Duration::from_secs(30))
    }
}

impl Clone for Backoff {
    /// The same delays from the start.
    fn clone(&self) -> Self {
        Self { jitter: self.jitter, ..Self::new(self.base, self.ceiling) }
    }
}

impl fmt::Debug for Backoff {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Backoff").field("base", &self.base).field("ceiling", &self.ceiling).finish()
    }
}

// backon's own jitter adds to the delay; full jitter draws below it, so only the doubling is taken from there.
fn ceilings(base: Duration, ceiling: Duration) -> ExponentialBackoff {
    ExponentialBuilder::new().with_min_delay(base).with_max_delay(ceiling).without_max_times().build()
}

fn random() -> u64 {
    u64::from_le_bytes(bowline_runtime::random_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_upper_end_doubles_to_its_ceiling_and_stays_there() {
        let mut backoff = Backoff { jitter: || u64::MAX, ..Backoff::default() };
        let seconds: Vec<f64> = (0..9).map(|_| backoff.next_delay().as_secs_f64()).collect();
        assert_eq!(seconds, [0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0, 30.0]);
        assert!((0..10_000).all(|_| backoff.next_delay() == Duration::from_secs(30)), "it never gives up");
    }

    #[test]
    fn jitter_is_full() {
        let mut backoff = Backoff { jitter: || 0, ..Backoff::default() };
        assert_eq!(backoff.next_delay(), Duration::ZERO);
        let mut backoff = Backoff { jitter: || u64::MAX / 2, ..Backoff::default() };
        let delay = backoff.next_delay();
        assert!(delay > Duration::from_millis(249) && delay < Duration::from_millis(251), "{delay:?}");
    }

    #[test]
    fn a_long_delay_is_of_the_upper_half_and_counts_as_one() {
        for (jitter, expected) in [((|| 0) as fn() -> u64, [0.25, 0.5]), (|| u64::MAX, [0.5, 1.0])] {
            let mut backoff = Backoff { jitter, ..Backoff::default() };
            let drawn = [backoff.next_long_delay(), backoff.next_long_delay()];
            assert_eq!(drawn.map(|delay| delay.as_secs_f64()), expected);
        }
    }

    #[test]
    fn a_reset_starts_over() {
        let mut backoff = Backoff { jitter: || u64::MAX, ..Backoff::default() };
        let first = backoff.next_delay();
        backoff.next_delay();
        backoff.reset();
        assert_eq!(backoff.next_delay(), first);
    }
}
