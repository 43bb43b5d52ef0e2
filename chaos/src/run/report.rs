//! Results, for people and for programs.

use std::fmt::Write;
use std::time::Duration;

use serde::Serialize;

use super::Options;
use crate::judge::Verdict;
use crate::proxy::Done;

/// One restart after `kill -9`.
#[derive(Debug, Clone, Copy, Serialize)]
pub(super) struct Kill {
    /// Clients that talked to the new server, and how long the last of them took from when it listened.
    pub(super) live: u64,
    pub(super) live_after_seconds: f64,
}

/// One part of a run.
#[derive(Debug, Serialize)]
pub(super) struct Phase {
    pub(super) name: &'static str,
    pub(super) seconds: f64,
    /// Messages up and down.
    pub(super) sent: u64,
    pub(super) received: u64,
    /// Sessions that went on over a new link, and those that another one followed.
    pub(super) resumed: u64,
    pub(super) replaced: u64,
    pub(super) network: Done,
    pub(super) kills: Vec<Kill>,
    /// Clients that answered when everything was over.
    pub(super) live: u64,
    pub(super) verdict: Verdict,
}

/// Everything that a run found.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    seed: u64,
    clients: u64,
    cuts_per_client: u64,
    messages_each_way: u64,
    kills: u64,
    seconds: f64,
    broken: u64,
    phases: Vec<Phase>,
    /// What went wrong beside the messages.
    sentences: Vec<String>,
}

impl Report {
    pub(super) fn new(options: &Options) -> Self {
        Self {
            seed: options.seed,
            clients: options.clients,
            cuts_per_client: options.cuts,
            messages_each_way: options.messages,
            kills: options.kills,
            seconds: 0.0,
            broken: 0,
            phases: Vec::new(),
            sentences: Vec::new(),
        }
    }

    pub(super) fn broke(&mut self, sentence: String) {
        self.broken += 1;
        self.sentences.push(sentence);
    }

    pub(super) fn add(&mut self, phase: Phase) {
        if phase.live < self.clients {
            self.broke(format!(
                "{}: {} of {} clients are live at the end",
                phase.name, phase.live, self.clients
            ));
        }
        self.broken += phase.verdict.broken();
        self.phases.push(phase);
    }

    pub(super) fn took(&mut self, time: Duration) {
        self.seconds = time.as_secs_f64();
    }

    pub(super) fn broken(&self) -> u64 {
        self.broken
    }

    pub(super) fn json(&self) -> String {
        serde_json::to_string_pretty(self).expect("numbers and sentences become JSON")
    }

    pub(super) fn table(&self) -> String {
        let mut text = String::new();
        let mut line = |sentence: String| {
            text.push_str(&sentence);
            text.push('\n');
        };
        for phase in &self.phases {
            let done = &phase.network;
            line(format!(
                "\n{}: {:.1} s, {} clients, seed {}, {} messages up and {} down",
                phase.name, phase.seconds, self.clients, self.seed, phase.sent, phase.received
            ));
            line(format!(
                "links {}: {} closed, {} reset, {} black holes, {} dead one way; {} sliced, {} stalled",
                done.links,
                done.closed,
                done.reset,
                done.black_holes,
                done.one_way,
                done.sliced,
                done.stalled
            ));
            line(format!("sessions: {} times resumed, {} times replaced", phase.resumed, phase.replaced));
            for (index, kill) in phase.kills.iter().enumerate() {
                line(format!(
                    "kill -9 number {}: {} live again {:.1} s after the restart",
                    index + 1,
                    kill.live,
                    kill.live_after_seconds
                ));
            }
            line(format!(
                "{:<19}{:>9}{:>10}{:>8}{:>9}{:>9}{:>8}{:>6} |{:>6}{:>9}{:>11}{:>9}{:>8}",
                "",
                "intended",
                "delivered",
                "done",
                "not run",
                "unknown",
                "stopped",
                "gaps",
                "lost",
                "doubled",
                "reordered",
                "hanging",
                "untrue"
            ));
            for lane in &phase.verdict.lanes {
                line(format!(
                    "{:<19}{:>9}{:>10}{:>8}{:>9}{:>9}{:>8}{:>6} |{:>6}{:>9}{:>11}{:>9}{:>8}",
                    lane.lane,
                    lane.intended,
                    lane.delivered,
                    lane.done,
                    lane.not_sent + lane.not_executed,
                    lane.unknown,
                    lane.stopped,
                    lane.gaps,
                    lane.lost,
                    lane.doubled,
                    lane.reordered,
                    lane.hanging,
                    lane.untrue
                ));
            }
        }
        let sentences = self.phases.iter().flat_map(|phase| &phase.verdict.sentences).chain(&self.sentences);
        for sentence in sentences {
            line(format!("broken: {sentence}"));
        }
        let _ = writeln!(text, "\n{} broken rules in {:.1} s", self.broken, self.seconds);
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::{End, Lane, Record, What};
    use crate::judge::{Journals, Rules};

    fn phase(live: u64, end: End) -> Phase {
        let swarm =
            vec![Record::new(What::Intent, Lane::Call, 0, 0, 0), Record::ended(Lane::Call, 0, 0, 0, end)];
        let servers = vec![vec![Record::new(What::Delivered, Lane::Call, 0, 1, 0)]];
        Phase {
            name: "kills",
            seconds: 1.0,
            sent: 1,
            received: 1,
            resumed: 0,
            replaced: 0,
            network: Done::default(),
            kills: vec![Kill { live, live_after_seconds: 0.5 }],
            live,
            verdict: Verdict::of(&Journals { servers, swarm }, Rules::Honest),
        }
    }

    #[test]
    fn what_the_oracle_found_and_who_is_not_live_is_counted() {
        let options = Options { clients: 2, ..Options::quick() };
        let mut report = Report::new(&options);
        report.add(phase(2, End::Done));
        assert_eq!(report.broken(), 0);
        report.add(phase(1, End::NotSent));
        assert_eq!(
            report.broken(),
            2,
            "one client is not live, and one call ran although it was said not to be sent"
        );
        report.broke("the server ended".into());
        assert_eq!(report.broken(), 3);
        let table = report.table();
        for words in ["1 of 2 clients are live", "NotSent", "the server ended", "3 broken rules"] {
            assert!(table.contains(words), "{words} is not in {table}");
        }
        let json: serde_json::Value = serde_json::from_str(&report.json()).unwrap();
        assert_eq!(json["broken"], 3);
        assert_eq!(json["phases"][1]["verdict"]["lanes"][0]["untrue"], 1);
    }
}
