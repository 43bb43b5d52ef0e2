//! What comes down: server streams.

use std::collections::{HashMap, HashSet};

use super::sequence::{Sequence, Step};
use super::{Bench, Journals, Rules};
use crate::journal::{End, Lane, Record, What};

/// What one client reads of one lane.
#[derive(Default)]
struct Reader {
    /// The run of items that come now.
    run: Option<u64>,
    runs: HashSet<u64>,
    arrived: Sequence,
    /// Whether what may be missing behind the last item was said: by an end or a gap.
    covered: bool,
    over: bool,
    delivered: u64,
}

/// Judges server streams: within one run each item once and in order; between two runs an end or a gap. A log goes on
/// behind its last item over all of that.
pub(super) fn judge(bench: &mut Bench<'_>, journals: &Journals, rules: Rules) {
    // Behind the last item that a run gave out.
    let mut given: HashMap<(u32, u64), u64> = HashMap::new();
    for record in journals.servers.iter().flatten() {
        if record.lane == bench.lane && record.what == What::Intent {
            bench.count.intended += 1;
            given.insert((record.client, record.part), record.number + 1);
        }
    }
    let mut readers: HashMap<u32, Reader> = HashMap::new();
    let lane = bench.lane;
    for record in journals.swarm.iter().filter(|record| record.lane == lane) {
        let reader =
            readers.entry(record.client).or_insert_with(|| Reader { covered: true, ..Reader::default() });
        reader.over = record.what == What::Ended;
        let client = record.client;
        match record.what {
            What::Delivered => reader.take(bench, *record, &given),
            What::Gap => {
                bench.count.gaps += 1;
                reader.covered = true;
                if rules.is_whole() {
                    bench.lost(1, || format!("client {client}: a gap, although no session may be lost"));
                }
            }
            What::Ended => {
                bench.end(record.end, rules, &|| format!("client {client}: its stream"));
                reader.covered = true;
                if record.end == End::Done {
                    reader.complete(bench, client, &given);
                }
            }
            What::Intent => {}
        }
    }
    let mut readers: Vec<_> = readers.into_iter().collect();
    readers.sort_by_key(|&(client, _)| client);
    for (client, reader) in &mut readers {
        reader.missing(bench, *client);
        if !reader.over {
            bench.hanging(|| format!("client {client}: its stream has not ended"));
        }
    }
    if let Rules::Whole { clients, work } = rules {
        let wanted = clients * if bench.lane == Lane::Numbers { work.numbers } else { work.log };
        let got: u64 = readers.iter().map(|(_, reader)| reader.delivered).sum();
        bench.lost(wanted.saturating_sub(got), || format!("{got} of {wanted} arrived"));
    }
}

impl Reader {
    fn take(&mut self, bench: &mut Bench<'_>, record: Record, given: &HashMap<(u32, u64), u64>) {
        let Record { client, part: run, number, .. } = record;
        let who = || format!("client {client}: item {number} of run {run:x}");
        bench.count.delivered += 1;
        self.delivered += 1;
        if given.get(&(client, run)).is_none_or(|&given| number >= given) {
            bench.untrue(|| format!("{} was never given out", who()));
        }
        if self.run != Some(run) {
            // A log that goes on without a hole has nothing to say.
            if !self.covered && bench.lane == Lane::Numbers {
                bench.lost(1, || format!("{} begins another run without a word", who()));
            }
            if !self.runs.insert(run) {
                bench.doubled(1, || format!("{} belongs to a run that was over", who()));
            }
            self.run = Some(run);
            if bench.lane == Lane::Numbers {
                self.missing(bench, client);
                self.arrived = Sequence::default();
            }
        }
        self.covered = false;
        match self.arrived.step(number) {
            Step::Next | Step::Ahead => {}
            Step::Late => bench.reordered(1, || format!("{} came late", who())),
            Step::Again => bench.doubled(1, || format!("{} came again", who())),
            Step::Nonsense => bench.untrue(|| format!("{} has no such number", who())),
        }
    }

    /// Looks back on a sequence that is over.
    fn missing(&mut self, bench: &mut Bench<'_>, client: u32) {
        let missing = self.arrived.missing();
        bench.lost(missing, || format!("client {client}: {missing} items are missing between others"));
        self.arrived = Sequence::starting(self.arrived.next());
    }

    /// A stream that ended well gave all it had.
    fn complete(&self, bench: &mut Bench<'_>, client: u32, given: &HashMap<(u32, u64), u64>) {
        let Some(run) = self.run else { return };
        let given = given.get(&(client, run)).copied().unwrap_or(0);
        let missing = given.saturating_sub(self.arrived.next());
        bench.lost(missing, || {
            format!("client {client}: the last {missing} items of run {run:x} did not come")
        });
    }
}
