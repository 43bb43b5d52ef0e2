//! The kinds of work that are compared.

pub mod calls;
pub mod contest;
pub mod fan_out;
pub mod head_of_line;
pub mod idle;
pub mod items;
pub mod layers;
pub mod sends;
pub mod slow_reader;
pub mod upload;

use crate::Result;
use crate::measure::Setting;
use crate::report::{Line, Measured};

/// One kind of work.
#[derive(Debug)]
pub struct Scenario {
    /// Its stable name, for `--only`, for goals and for JSON.
    pub id: &'static str,
    /// What is done, for people.
    pub title: &'static str,
    /// Does it and says what it cost, Bowline's line first.
    pub run: fn(&Setting) -> Result<Vec<Line>>,
}

impl Scenario {
    /// Does it.
    ///
    /// # Errors
    ///
    /// The first of a peer, with the scenario's id.
    pub fn measure(&self, setting: &Setting) -> Result<Measured> {
        setting.progress.scenario(self.id);
        let lines = (self.run)(setting).map_err(|error| format!("{}: {error}", self.id))?;
        setting.progress.done();
        Ok(Measured { scenario: self.id, title: self.title, lines })
    }
}

/// All of them, in the order of the goals.
pub static ALL: &[Scenario] = &[
    Scenario { id: "calls-64", title: "echo of 64 bytes, 64 in flight", run: |s| calls::run(s, 64) },
    Scenario { id: "calls-256", title: "echo of 64 bytes, 256 in flight", run: |s| calls::run(s, 256) },
    Scenario { id: "calls-16", title: "echo of 64 bytes, 16 in flight", run: |s| calls::run(s, 16) },
    Scenario { id: "calls-1", title: "echo of 64 bytes, 1 in flight", run: |s| calls::run(s, 1) },
    Scenario {
        id: "calls-64-json",
        title: "echo of 64 bytes, 64 in flight, over the JSON codec",
        run: |s| calls::run_json(s, 64),
    },
    Scenario {
        id: "upload",
        title: "upload of 1 MiB, of which the server reads one element",
        run: upload::run,
    },
    Scenario { id: "items", title: "streams of 200,000 items", run: items::run },
    Scenario {
        id: "slow-reader",
        title: "a stream whose reader stops, and calls beside it",
        run: slow_reader::run,
    },
    Scenario {
        id: "fan-out-paced",
        title: "one item to 1,000 readers, the next when all have it",
        run: |s| fan_out::run(s, fan_out::Pace::Paced),
    },
    Scenario {
        id: "fan-out-paced-one-core",
        title: "the same, with the readers on the server's core",
        run: |s| fan_out::run(s, fan_out::Pace::PacedOnOneCore),
    },
    Scenario {
        id: "fan-out-burst",
        title: "bursts of 100 items to 1,000 readers",
        run: |s| fan_out::run(s, fan_out::Pace::Burst),
    },
    Scenario { id: "idle", title: "connections that do nothing", run: idle::run },
    Scenario { id: "sends", title: "system calls of a call, 64 in flight", run: sends::run },
    Scenario {
        id: "head-of-line",
        title: "small calls while 50 MB go up on the same connection",
        run: head_of_line::run,
    },
    Scenario {
        id: "layers",
        title: "echo of 64 bytes, 64 in flight, with tracing and metrics",
        run: layers::run,
    },
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::goals;
    use crate::measure::Effort;

    #[test]
    fn ids_are_unique() {
        let ids: std::collections::BTreeSet<_> = ALL.iter().map(|scenario| scenario.id).collect();
        assert_eq!(ids.len(), ALL.len());
    }

    /// Whether it works at all: each scenario checks its own answers, and fails where one is wrong. And whether the goals
    /// find their figures in what comes out, where the peer is one that is always there.
    #[test]
    fn every_scenario_works_and_the_goals_find_their_figures() {
        let mut all = Vec::new();
        for scenario in ALL {
            let measured = scenario.measure(&Setting::new(Effort::Tiny)).unwrap();
            assert!(measured.lines[0].peer.starts_with("bowline"), "{}", scenario.id);
            assert!(measured.lines.iter().all(|line| !line.values.is_empty()), "{}", scenario.id);
            all.push(measured);
        }
        let always =
            |peer: &str| ["bowline", "tungstenite", "axum"].iter().any(|name| peer.starts_with(name));
        let verdicts = goals::judge(goals::ALL, &all, always);
        for verdict in &verdicts {
            assert!(verdict.figure.is_some(), "{verdict}");
        }
        let judged = |number| verdicts.iter().any(|verdict| verdict.goal.number == number);
        // Goals 2, 5 and 7 compare with peers that are not built for tests, but for an aim of 2.
        let missing: Vec<u8> = (1..=13).filter(|&number| !judged(number)).collect();
        assert_eq!(missing, [5, 7]);
    }

    #[test]
    fn every_goal_names_a_scenario() {
        for goal in goals::ALL {
            assert!(ALL.iter().any(|scenario| scenario.id == goal.scenario), "{goal}");
        }
    }
}
