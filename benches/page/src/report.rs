//! What was measured, as JSON and as a table.

use std::fmt;

use serde::Serialize;

/// The middle of several values, and the ends.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct Spread {
    /// The middle one; of an even count the mean of the middle two.
    pub median: f64,
    /// The least.
    pub min: f64,
    /// The greatest.
    pub max: f64,
}

impl Spread {
    /// Of at least one value.
    ///
    /// # Panics
    ///
    /// Of none.
    pub fn of(mut values: Vec<f64>) -> Self {
        values.sort_by(f64::total_cmp);
        let (&min, &max) = values.first().zip(values.last()).expect("something was measured");
        let count = values.len();
        Self { median: f64::midpoint(values[(count - 1) / 2], values[count / 2]), min, max }
    }
}

/// What one contender can do in a second.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Row {
    /// `calls at N` in flight, or `items`.
    pub what: String,
    /// Who.
    pub who: String,
    /// Operations of each round.
    pub per_round: u64,
    /// Operations in a second.
    pub rate: Spread,
}

/// What one operation puts on the wire: frames of WebSocket with their headers, without those of TCP.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Wire {
    /// `call at N` in flight, or `item`.
    pub what: String,
    /// Who.
    pub who: String,
    /// How many were counted.
    pub operations: u64,
    /// From the page, for each.
    pub bytes_up: f64,
    /// From the page, for each.
    pub messages_up: f64,
    /// To the page, for each.
    pub bytes_down: f64,
    /// To the page, for each.
    pub messages_down: f64,
}

/// Microseconds from a publish at the host to the effect in the page.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Ticks {
    /// By which way.
    pub who: String,
    /// How many effects ran.
    pub effects: usize,
    /// Half of them are not later.
    pub p50: f64,
    /// 99 of 100 are not later.
    pub p99: f64,
    /// The latest.
    pub max: f64,
}

impl Ticks {
    /// Of at least one effect.
    ///
    /// # Panics
    ///
    /// Of none.
    pub fn of(who: &str, mut late: Vec<f64>) -> Self {
        late.sort_by(f64::total_cmp);
        let max = *late.last().expect("an effect ran");
        // The nearest rank.
        let at = |share: f64| late[((late.len() as f64 * share).ceil() as usize).max(1) - 1];
        Self { who: who.to_owned(), effects: late.len(), p50: at(0.5), p99: at(0.99), max }
    }
}

/// All of it.
#[derive(Debug, Default, Serialize)]
pub struct Report {
    /// What the browser calls itself.
    pub browser: String,
    /// Whether the page's clock has its fine resolution.
    pub isolated: bool,
    /// Calls.
    pub calls: Vec<Row>,
    /// Items of a stream.
    pub items: Vec<Row>,
    /// Bytes and messages.
    pub wire: Vec<Wire>,
    /// From a publish to an effect.
    pub ticks: Vec<Ticks>,
    /// By how many microseconds all of `ticks` may be off together, in the same direction: half of the shortest round trip.
    pub clock: Spread,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.browser)?;
        writeln!(f, "\n{:<16}{:<16}{:>10}{:>10}{:>10}", "per second", "", "median", "min", "max")?;
        for Row { what, who, rate, .. } in self.calls.iter().chain(&self.items) {
            writeln!(f, "{what:<16}{who:<16}{:>10.0}{:>10.0}{:>10.0}", rate.median, rate.min, rate.max)?;
        }
        writeln!(
            f,
            "\n{:<16}{:<16}{:>10}{:>10}{:>12}{:>12}",
            "on the wire", "", "bytes up", "down", "messages up", "down"
        )?;
        for wire in &self.wire {
            let Wire { what, who, bytes_up, bytes_down, messages_up, messages_down, .. } = wire;
            writeln!(
                f,
                "{what:<16}{who:<16}{bytes_up:>10.1}{bytes_down:>10.1}{messages_up:>12.4}{messages_down:>12.4}"
            )?;
        }
        writeln!(
            f,
            "\n{:<32}{:>10}{:>10}{:>10}{:>10}",
            "publish to effect, µs", "p50", "p99", "max", "effects"
        )?;
        for Ticks { who, effects, p50, p99, max } in &self.ticks {
            writeln!(f, "{who:<32}{p50:>10.0}{p99:>10.0}{max:>10.0}{effects:>10}")?;
        }
        writeln!(f, "(all of them may be off together by {:.0} µs)", self.clock.median)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_middle_and_both_ends() {
        assert_eq!(Spread::of(vec![3.0, 1.0, 2.0]), Spread { median: 2.0, min: 1.0, max: 3.0 });
        assert_eq!(Spread::of(vec![4.0, 1.0, 2.0, 3.0]).median, 2.5);
    }

    #[test]
    fn percentiles_are_values_that_were_measured() {
        let ticks = Ticks::of("one", (1..=200).rev().map(f64::from).collect());
        assert_eq!((ticks.p50, ticks.p99, ticks.max, ticks.effects), (100.0, 198.0, 200.0, 200));
        assert_eq!(Ticks::of("one", vec![7.0]).p99, 7.0);
    }
}
