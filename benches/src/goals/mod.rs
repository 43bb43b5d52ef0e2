//! What Bowline has to reach: the goals as data, and whether they hold.

mod table;

pub use table::ALL;

use serde::Serialize;

use crate::report::{Better, Measured, Metric, metrics};

/// How binding a goal is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// Missing it is a failure.
    Must,
    /// Missing it is said.
    Aim,
}

/// On which side of its limit a figure lies.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Bound {
    /// At most this much.
    AtMost(f64),
    /// At least this much.
    AtLeast(f64),
}

/// What a goal compares with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Against {
    /// The same metric of the line of this peer in the same scenario: the figure is a ratio.
    Peer(&'static str),
    /// Nothing: the figure is the metric itself.
    Nothing,
}

/// One bound of one goal.
#[derive(Debug, Clone, Copy)]
pub struct Goal {
    /// Its number in the list of goals.
    pub number: u8,
    /// How binding it is.
    pub level: Level,
    /// In which scenario it is measured.
    pub scenario: &'static str,
    /// Whose line it is about.
    pub of: &'static str,
    /// Which of its numbers.
    pub metric: &'static Metric,
    /// What that is compared with.
    pub against: Against,
    /// The limit.
    pub bound: Bound,
}

/// Whether a goal holds.
#[derive(Debug, Clone, Copy)]
pub struct Verdict {
    /// Which goal.
    pub goal: &'static Goal,
    /// What was measured, over the medians; `None` where a line or a number is missing.
    pub figure: Option<f64>,
    /// Where rates are compared: how many times less processor time it takes. Rates suffer from whatever else runs on the
    /// machine, this hardly does.
    pub by_cpu: Option<f64>,
}

impl Verdict {
    /// Whether it was measured and lies within its bound.
    pub fn holds(&self) -> bool {
        self.figure.is_some_and(|figure| match self.goal.bound {
            Bound::AtMost(limit) => figure <= limit,
            Bound::AtLeast(limit) => figure >= limit,
        })
    }

    /// Whether this is a failure.
    pub fn is_failure(&self) -> bool {
        self.goal.level == Level::Must && !self.holds()
    }
}

impl std::fmt::Display for Goal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (sign, limit) = match self.bound {
            Bound::AtMost(limit) => ('≤', limit),
            Bound::AtLeast(limit) => ('≥', limit),
        };
        let Self { number, scenario, of, metric, .. } = self;
        let metric = metric.heading;
        match self.against {
            Against::Peer(peer) => {
                write!(f, "goal {number}, {scenario}: {metric} of {of} {sign} {limit} × {peer}")
            }
            Against::Nothing => write!(f, "goal {number}, {scenario}: {metric} of {of} {sign} {limit}"),
        }
    }
}

impl std::fmt::Display for Verdict {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match (self.figure, self.goal.against) {
            (Some(figure), Against::Peer(_)) => {
                write!(f, "{}; it is {figure:.3} ×", self.goal).and_then(|()| {
                    self.by_cpu.map_or(Ok(()), |by_cpu| write!(f, ", by processor time {by_cpu:.3} ×"))
                })
            }
            (Some(figure), Against::Nothing) => write!(f, "{}; it is {figure:.3}", self.goal),
            (None, _) => write!(f, "{}; it was not measured", self.goal),
        }
    }
}

/// Judges every goal whose scenario was measured.
///
/// A goal against a peer that does not take part, because `takes_part` says so, is left out.
pub fn judge(
    goals: &'static [Goal],
    measured: &[Measured],
    takes_part: impl Fn(&str) -> bool,
) -> Vec<Verdict> {
    let mut verdicts = Vec::new();
    for goal in goals {
        let Some(scenario) = measured.iter().find(|measured| measured.scenario == goal.scenario) else {
            continue;
        };
        let median = |peer: &str, metric: &Metric| Some(scenario.line(peer)?.get(metric)?.median);
        // 0 / 0 says nothing.
        let ratio =
            |one: Option<f64>, other: Option<f64>| Some(one? / other?).filter(|ratio| ratio.is_finite());
        let (figure, by_cpu) = match goal.against {
            Against::Nothing => (median(goal.of, goal.metric), None),
            Against::Peer(peer) if !takes_part(peer) => continue,
            Against::Peer(peer) => {
                let by_cpu = ratio(median(peer, &metrics::CPU), median(goal.of, &metrics::CPU));
                let figure = ratio(median(goal.of, goal.metric), median(peer, goal.metric));
                (figure, by_cpu.filter(|_| goal.metric.better == Better::More))
            }
        };
        verdicts.push(Verdict { goal, figure, by_cpu });
    }
    verdicts
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measure::Spread;
    use crate::report::Line;

    const fn goal(level: Level, against: Against, bound: Bound) -> Goal {
        Goal { number: 1, level, scenario: "work", of: "bowline", metric: &metrics::RATE, against, bound }
    }

    static GOALS: [Goal; 4] = [
        goal(Level::Must, Against::Peer("other"), Bound::AtLeast(2.0)),
        goal(Level::Aim, Against::Peer("other"), Bound::AtLeast(3.0)),
        goal(Level::Must, Against::Nothing, Bound::AtMost(50.0)),
        Goal { scenario: "not run", ..goal(Level::Must, Against::Nothing, Bound::AtMost(50.0)) },
    ];

    fn measured(bowline: f64, other: Option<f64>) -> Vec<Measured> {
        let line = |peer, rate| {
            // Wide of the median on purpose: only that one counts.
            Line::new(peer).with(&metrics::RATE, Spread { median: rate, min: 0.0, max: 1e9 })
        };
        let mut lines = vec![line("bowline", bowline)];
        lines.extend(other.map(|rate| line("other", rate)));
        vec![Measured { scenario: "work", title: "", lines }]
    }

    fn holding(measured: &[Measured]) -> Vec<bool> {
        judge(&GOALS, measured, |_| true).iter().map(Verdict::holds).collect()
    }

    #[test]
    fn a_ratio_is_of_medians_and_the_bound_itself_is_good() {
        assert_eq!(holding(&measured(40.0, Some(20.0))), [true, false, true]);
        assert_eq!(holding(&measured(39.9, Some(20.0))), [false, false, true]);
        assert_eq!(holding(&measured(60.0, Some(20.0))), [true, true, false]);
        assert_eq!(holding(&measured(50.0, Some(10.0))), [true, true, true]);
    }

    #[test]
    fn only_a_missed_must_is_a_failure() {
        let failures = |measured: &[Measured]| {
            judge(&GOALS, measured, |_| true).iter().map(Verdict::is_failure).collect::<Vec<_>>()
        };
        assert_eq!(failures(&measured(40.0, Some(20.0))), [false, false, false]);
        assert_eq!(failures(&measured(60.0, Some(40.0))), [true, false, true]);
    }

    #[test]
    fn what_was_not_measured_does_not_hold_unless_it_was_left_out() {
        let missing = judge(&GOALS, &measured(40.0, None), |_| true);
        assert!(missing[0].is_failure() && missing[0].to_string().ends_with("it was not measured"));
        let left_out = judge(&GOALS, &measured(40.0, None), |peer| peer != "other");
        assert_eq!(left_out.len(), 1, "the absolute goal of the scenario that was run");
        assert!(judge(&GOALS, &measured(0.0, Some(0.0)), |_| true)[0].is_failure(), "0 / 0 is no figure");
    }

    #[test]
    fn a_verdict_names_the_figures() {
        let verdicts = judge(&GOALS, &measured(30.0, Some(20.0)), |_| true);
        assert_eq!(
            verdicts[0].to_string(),
            "goal 1, work: each second of bowline ≥ 2 × other; it is 1.500 ×"
        );
        assert_eq!(verdicts[2].to_string(), "goal 1, work: each second of bowline ≤ 50; it is 30.000");
    }

    #[test]
    fn a_ratio_of_rates_is_shown_by_processor_time_too() {
        let mut measured = measured(30.0, Some(20.0));
        for (line, cpu) in measured[0].lines.iter_mut().zip([2.0, 8.0]) {
            *line = line.clone().with(&metrics::CPU, Spread::of([cpu]));
        }
        let verdicts = judge(&GOALS, &measured, |_| true);
        assert!(
            verdicts[0].to_string().ends_with("it is 1.500 ×, by processor time 4.000 ×"),
            "{}",
            verdicts[0]
        );
        assert!(!verdicts[0].holds(), "the goal speaks of rates");
        assert_eq!(verdicts[2].by_cpu, None);
    }
}
