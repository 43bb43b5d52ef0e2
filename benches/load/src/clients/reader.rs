//! Subscribers: every item in its place, or a gap that says how many are missing.

use std::sync::Arc;
use std::time::Duration;

use bowline::prelude::*;
use tokio::task::JoinSet;
use tokio::time::{Instant as Deadline, timeout_at};

use super::One;
use crate::child::Counter;
use crate::latencies::Recorder;
use crate::machine::clock;
use crate::orders::Delivered;
use crate::service::{Item, filling};

/// What the subscribers of one round expect.
struct Round {
    /// The fillings of the items to come, made once for all.
    fillings: Vec<String>,
    first: u64,
    until: u64,
    latencies: Recorder,
}

/// What one subscriber got.
#[derive(Debug, Default, PartialEq, Eq)]
struct Tally {
    items: u64,
    gaps: u64,
    skipped: u64,
    problem: Option<String>,
}

/// Lets everybody read until item `until - 1`.
pub(super) async fn run(all: &mut [One], seed: u64, until: u64, deadline: Deadline) -> Delivered {
    let first = all.iter().map(|one| one.next).min().unwrap_or(until);
    let fillings = (first..until).map(|number| filling(seed, number)).collect();
    let round = Arc::new(Round { fillings, first, until, latencies: Recorder::new() });
    let mut reading = JoinSet::new();
    for (place, one) in all.iter_mut().enumerate() {
        let Some(mut items) = one.items.take() else { continue };
        let (round, mut next) = (round.clone(), one.next);
        reading.spawn(async move {
            let mut tally = Tally::default();
            let read = read(&mut items, &round, place, &mut next, &mut tally);
            if timeout_at(deadline, read).await.is_err() {
                tally
                    .problem
                    .get_or_insert(format!("item {next} did not come in time, nor a gap in its place"));
            }
            (place, items, next, tally)
        });
    }
    let mut counter = Counter::begin(all.len() as u64);
    let mut delivered = Delivered::default();
    while let Some(ended) = reading.join_next().await {
        let (place, items, next, tally) = match ended {
            Ok(ended) => ended,
            Err(error) => {
                delivered.problem.get_or_insert(error.to_string());
                continue;
            }
        };
        delivered.complete += u64::from(next >= until && tally.problem.is_none());
        delivered.items += tally.items;
        delivered.gaps += tally.gaps;
        delivered.skipped += tally.skipped;
        if let Some(problem) = tally.problem {
            delivered.problem.get_or_insert(format!("client {}: {problem}", all[place].number));
        }
        (all[place].items, all[place].next) = (Some(items), next);
        counter.count();
    }
    Delivered { latencies: round.latencies.finish(), ..delivered }
}

async fn read<E: std::fmt::Debug>(
    items: &mut (impl Stream<Item = Result<Item, StreamError<E>>> + Unpin),
    round: &Round,
    place: usize,
    next: &mut u64,
    tally: &mut Tally,
) {
    while *next < round.until {
        match items.next().await {
            Some(Ok(item)) => {
                let took = clock().saturating_sub(item.at);
                let wanted = (*next).checked_sub(round.first).and_then(|at| round.fillings.get(at as usize));
                if item.number != *next || Some(&item.filling) != wanted {
                    tally.problem = Some(format!("item {next} was to come, and what came was {item:?}"));
                    return;
                }
                round.latencies.record(place, Duration::from_nanos(took));
                tally.items += 1;
                *next += 1;
            }
            Some(Err(StreamError::Gap { missed: Some(missed) })) => {
                tally.gaps += 1;
                tally.skipped += missed;
                *next += missed;
            }
            other => {
                tally.problem = Some(format!("item {next} was to come, and what came was {other:?}"));
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::stream;

    use super::*;

    fn item(number: u64) -> Result<Item, StreamError<()>> {
        Ok(Item { number, at: 0, filling: filling(1, number) })
    }

    async fn tally(items: Vec<Result<Item, StreamError<()>>>) -> (u64, Tally) {
        let fillings = (0..5).map(|number| filling(1, number)).collect();
        let round = Round { fillings, first: 0, until: 5, latencies: Recorder::new() };
        let (mut next, mut tally) = (0, Tally::default());
        read(&mut stream::iter(items), &round, 0, &mut next, &mut tally).await;
        (next, tally)
    }

    #[tokio::test]
    async fn items_in_their_places_and_gaps_that_count_are_as_promised() {
        let whole = tally((0..6).map(item).collect()).await;
        assert_eq!(whole, (5, Tally { items: 5, ..Tally::default() }), "what follows is for the next round");
        let gap = Err(StreamError::Gap { missed: Some(3) });
        let behind = tally(vec![item(0), gap, item(4)]).await;
        assert_eq!(behind, (5, Tally { items: 2, gaps: 1, skipped: 3, problem: None }));
    }

    #[tokio::test]
    async fn what_is_missing_doubled_changed_or_cut_off_is_a_problem() {
        let changed = Ok(Item { number: 1, at: 0, filling: filling(2, 1) });
        let lost = Err(StreamError::Gap { missed: None });
        for (what, items) in [
            ("missing", vec![item(0), item(2)]),
            ("doubled", vec![item(0), item(0)]),
            ("changed", vec![item(0), changed]),
            ("begun anew", vec![item(0), lost, item(1)]),
            ("cut off", vec![item(0)]),
        ] {
            let (next, tally) = tally(items).await;
            assert_eq!((next, tally.items), (1, 1), "{what}");
            assert!(tally.problem.unwrap().starts_with("item 1 was to come"), "{what}");
        }
    }
}
