use std::collections::BTreeMap;

use serde::Serialize;

use super::{Facts, Measured};
use crate::goals::{Level, Verdict};
use crate::measure::{Effort, Setting};

/// Everything of one run, for machines.
#[derive(Debug, Serialize)]
pub struct Report<'a> {
    #[serde(flatten)]
    facts: Facts,
    quick: bool,
    rounds: usize,
    /// Whether client and server were on any core in all scenarios.
    spread: bool,
    scenarios: &'a [Measured],
    /// What the names of values mean.
    metrics: BTreeMap<&'static str, &'static str>,
    goals: Vec<Judged>,
}

#[derive(Debug, Serialize)]
struct Judged {
    goal: u8,
    level: Level,
    bound: String,
    figure: Option<f64>,
    by_cpu: Option<f64>,
    holds: bool,
}

impl<'a> Report<'a> {
    /// Puts it together.
    pub fn new(facts: Facts, setting: &Setting, scenarios: &'a [Measured], verdicts: &[Verdict]) -> Self {
        let values = scenarios.iter().flat_map(|scenario| &scenario.lines).flat_map(|line| &line.values);
        let judged = |verdict: &Verdict| Judged {
            goal: verdict.goal.number,
            level: verdict.goal.level,
            bound: verdict.goal.to_string(),
            figure: verdict.figure,
            by_cpu: verdict.by_cpu,
            holds: verdict.holds(),
        };
        Self {
            facts,
            quick: setting.effort != Effort::Full,
            rounds: setting.rounds(),
            spread: setting.spread,
            scenarios,
            metrics: values.map(|value| (value.metric.id, value.metric.meaning)).collect(),
            goals: verdicts.iter().map(judged).collect(),
        }
    }

    /// As text that ends with a line feed.
    ///
    /// # Errors
    ///
    /// None that are known: numbers that JSON has no word for become `null`.
    pub fn to_json(&self) -> serde_json::Result<String> {
        Ok(serde_json::to_string_pretty(self)? + "\n")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::goals;
    use crate::measure::Spread;
    use crate::report::{Line, metrics};

    #[test]
    fn a_program_finds_its_way_through_the_results() {
        let line = |peer, rate| {
            Line::new(peer)
                .with(&metrics::CPU, Spread::of([1.0, 2.0, 3.0]))
                .with(&metrics::RATE, Spread::of([rate]))
        };
        let lines = vec![line("bowline", 200.0), line("jsonrpsee", 10.0)];
        let measured = [Measured { scenario: "calls-64", title: "echo", lines }];
        let verdicts = goals::judge(goals::ALL, &measured, |peer| peer == "jsonrpsee");
        let setting = Setting::new(Effort::Quick);
        let text = Report::new(Facts::gather(), &setting, &measured, &verdicts).to_json().unwrap();
        let json: serde_json::Value = serde_json::from_str(&text).unwrap();
        let bowline = &json["scenarios"][0]["lines"][0];
        assert_eq!(json["scenarios"][0]["scenario"], "calls-64");
        assert_eq!(bowline["peer"], "bowline");
        assert_eq!(bowline["values"]["cpu_us"]["median"], 2.0);
        assert_eq!(bowline["values"]["cpu_us"]["max"], 3.0);
        assert_eq!(bowline["values"]["rate"]["median"], 200.0);
        assert_eq!((&json["rounds"], &json["quick"]), (&setting.rounds().into(), &true.into()));
        assert!(json["metrics"]["cpu_us"].as_str().unwrap().contains("processor time"));
        assert!(json["versions"]["tarpc"].is_string() && json["machine"]["cores"].is_u64());
        assert!(json["command"].as_str().unwrap().starts_with("cargo xtask bench"));
        let goals = json["goals"].as_array().unwrap();
        assert_eq!(goals.len(), 2, "those against jsonrpsee");
        assert_eq!((&goals[0]["level"], &goals[0]["holds"]), (&"must".into(), &true.into()));
        assert_eq!((&goals[1]["level"], &goals[1]["holds"]), (&"aim".into(), &false.into()));
        assert_eq!(goals[0]["figure"], 20.0);
    }
}
