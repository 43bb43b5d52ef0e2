//! The oracle: reads what both ends wrote down and says what is missing, twice there, out of order or without an end.
//!
//! It runs in a process of its own after both ends are gone, and knows nothing of sessions.

mod calls;
mod sequence;
mod streams;
#[cfg(test)]
mod tests;

use std::io;
use std::path::Path;

use serde::Serialize;

use crate::journal::{self, End, Lane, Record};
use crate::swarm::Work;

/// Sentences that are kept of each lane; what is beyond is counted all the same.
const SENTENCES: usize = 12;

/// What the two ends wrote.
#[derive(Debug, Default)]
pub(crate) struct Journals {
    /// Of each life of the server, in their order.
    pub(crate) servers: Vec<Vec<Record>>,
    pub(crate) swarm: Vec<Record>,
}

impl Journals {
    /// Reads `swarm` and `server-1` to `server-<lives>` in `folder`.
    pub(crate) fn read(folder: &Path, lives: u64) -> io::Result<Self> {
        let servers = (1..=lives).map(|life| journal::read(&folder.join(format!("server-{life}"))));
        Ok(Self {
            servers: servers.collect::<io::Result<_>>()?,
            swarm: journal::read(&folder.join("swarm"))?,
        })
    }
}

/// What must hold.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Rules {
    /// Sessions are never lost: everything ends well, and each of so many clients did all of its work.
    Whole { clients: u64, work: Work },
    /// The server loses its memory: what is missing must be covered by an end or a gap.
    Honest,
}

impl Rules {
    fn is_whole(self) -> bool {
        matches!(self, Self::Whole { .. })
    }
}

/// One kind of traffic, counted.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Count {
    pub(crate) lane: &'static str,
    /// Messages that were to be sent, and those that arrived.
    pub(crate) intended: u64,
    pub(crate) delivered: u64,
    /// How calls and streams ended.
    pub(crate) done: u64,
    pub(crate) not_sent: u64,
    pub(crate) not_executed: u64,
    pub(crate) unknown: u64,
    pub(crate) stopped: u64,
    /// Gaps that streams showed.
    pub(crate) gaps: u64,
    /// Broken rules: missing without a word, or ended badly where nothing may.
    pub(crate) lost: u64,
    pub(crate) doubled: u64,
    pub(crate) reordered: u64,
    /// Never ended.
    pub(crate) hanging: u64,
    /// Told something that is not so: a wrong answer, damaged content, `NotExecuted` of what ran, an error nobody can explain.
    pub(crate) untrue: u64,
}

impl Count {
    pub(crate) fn broken(&self) -> u64 {
        self.lost + self.doubled + self.reordered + self.hanging + self.untrue
    }
}

/// What the oracle found.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Verdict {
    pub(crate) lanes: Vec<Count>,
    /// The first broken rules, in words.
    pub(crate) sentences: Vec<String>,
}

impl Verdict {
    /// Judges both directions of everything.
    pub(crate) fn of(journals: &Journals, rules: Rules) -> Self {
        let mut verdict = Self { lanes: Lane::ALL.map(Self::empty).to_vec(), sentences: Vec::new() };
        for lane in [Lane::Call, Lane::Once] {
            calls::judge(&mut verdict.bench(lane), journals, rules);
        }
        calls::judge_uploads(&mut verdict.bench(Lane::Upload), journals, rules);
        for lane in [Lane::Numbers, Lane::Log] {
            streams::judge(&mut verdict.bench(lane), journals, rules);
        }
        verdict
    }

    /// How many rules were broken.
    pub(crate) fn broken(&self) -> u64 {
        self.lanes.iter().map(Count::broken).sum()
    }

    fn empty(lane: Lane) -> Count {
        let lane = match lane {
            Lane::Call => "calls",
            Lane::Once => "once calls",
            Lane::Numbers => "stream items",
            Lane::Log => "log items (cursor)",
            Lane::Upload => "uploaded items",
        };
        Count { lane, ..Count::default() }
    }

    fn bench(&mut self, lane: Lane) -> Bench<'_> {
        Bench { lane, count: &mut self.lanes[lane as usize], sentences: &mut self.sentences, said: 0 }
    }
}

/// Where one lane is judged.
struct Bench<'a> {
    lane: Lane,
    count: &'a mut Count,
    sentences: &'a mut Vec<String>,
    said: usize,
}

impl Bench<'_> {
    fn lost(&mut self, number: u64, sentence: impl FnOnce() -> String) {
        self.count.lost += number;
        self.say(number, sentence);
    }

    fn doubled(&mut self, number: u64, sentence: impl FnOnce() -> String) {
        self.count.doubled += number;
        self.say(number, sentence);
    }

    fn reordered(&mut self, number: u64, sentence: impl FnOnce() -> String) {
        self.count.reordered += number;
        self.say(number, sentence);
    }

    fn hanging(&mut self, sentence: impl FnOnce() -> String) {
        self.count.hanging += 1;
        self.say(1, sentence);
    }

    fn untrue(&mut self, sentence: impl FnOnce() -> String) {
        self.count.untrue += 1;
        self.say(1, sentence);
    }

    fn say(&mut self, number: u64, sentence: impl FnOnce() -> String) {
        if number > 0 && self.said < SENTENCES {
            self.said += 1;
            self.sentences.push(format!("{}: {}", self.count.lane, sentence()));
        }
    }

    /// Counts an end, and judges those that are wrong whatever else is known.
    fn end(&mut self, end: End, rules: Rules, who: &dyn Fn() -> String) {
        let counter = match end {
            End::Done => &mut self.count.done,
            End::NotSent => &mut self.count.not_sent,
            End::NotExecuted => &mut self.count.not_executed,
            End::Unknown => &mut self.count.unknown,
            End::Stopped => &mut self.count.stopped,
            End::Hanging => return self.hanging(|| format!("{} has not ended", who())),
            End::Wrong => return self.untrue(|| format!("{} gave something else than was asked", who())),
            End::Failed => {
                return self.untrue(|| format!("{} ended with an error that nothing explains", who()));
            }
        };
        *counter += 1;
        if rules.is_whole() && end != End::Done {
            self.lost(1, || format!("{} ended with {end:?}, although no session may be lost", who()));
        }
    }

    /// Deliveries of this lane, life by life.
    fn delivered<'j>(&self, journals: &'j Journals) -> impl Iterator<Item = (u64, Record)> + 'j {
        let lane = self.lane;
        (1..).zip(&journals.servers).flat_map(move |(life, records)| {
            records
                .iter()
                .filter(move |r| r.lane == lane && r.what == journal::What::Delivered)
                .map(move |&r| (life, r))
        })
    }
}
