//! Everybody calls, and looks at each answer.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::task::JoinSet;

use super::One;
use crate::child::{Said, say};
use crate::latencies::Recorder;
use crate::orders::Called;
use crate::service::{LoadClient, Parcel, filling};

/// What all callers share.
struct Round {
    seed: u64,
    over: AtomicBool,
    answered: AtomicU64,
    errors: AtomicU64,
    problem: Mutex<Option<String>>,
    latencies: Recorder,
}

/// Lets everybody keep `in_flight` calls under way, for so long. Each makes at least one.
pub(super) async fn run(all: &[One], seed: u64, in_flight: u64, length: Duration) -> Called {
    say(&Said::<()>::Progress(0));
    let round = Arc::new(Round {
        seed,
        over: AtomicBool::new(false),
        answered: AtomicU64::new(0),
        errors: AtomicU64::new(0),
        problem: Mutex::default(),
        latencies: Recorder::new(),
    });
    let begin = Instant::now();
    let mut callers = JoinSet::new();
    for one in all {
        for lane in 0..in_flight {
            // No two calls of one process carry the same.
            let first = (one.number * in_flight + lane) << 32;
            callers.spawn(call(round.clone(), one.stub.clone(), first));
        }
    }
    tokio::time::sleep(length).await;
    round.over.store(true, Relaxed);
    while let Some(ended) = callers.join_next().await {
        if let Err(error) = ended {
            round.went_wrong(|| error.to_string());
        }
    }
    Called {
        answered: round.answered.load(Relaxed),
        errors: round.errors.load(Relaxed),
        problem: round.problem.lock().unwrap_or_else(PoisonError::into_inner).take(),
        took_us: u64::try_from(begin.elapsed().as_micros()).unwrap_or(u64::MAX),
        latencies: round.latencies.finish(),
    }
}

async fn call(round: Arc<Round>, stub: LoadClient, first: u64) {
    for number in first.. {
        let parcel = Parcel { number, filling: filling(round.seed, number) };
        let begin = Instant::now();
        let answer = stub.echo(parcel.clone()).await;
        if answer.as_ref() == Ok(&parcel) {
            round.latencies.record((first >> 32) as usize, begin.elapsed());
            round.answered.fetch_add(1, Relaxed);
        } else {
            round.went_wrong(|| format!("asked {parcel:?}, was answered {answer:?}"));
        }
        if round.over.load(Relaxed) {
            return;
        }
    }
}

impl Round {
    fn went_wrong(&self, sentence: impl FnOnce() -> String) {
        self.errors.fetch_add(1, Relaxed);
        self.problem.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert_with(sentence);
    }
}
