//! Clients, a node and a bad network between them, in simulated time: the same seed is the same run, byte for byte.
//!
//! `cargo xtask sim --seeds N --from S` runs many seeds, and one of them again.

mod app;
mod cases_calls;
mod cases_resume;
mod cases_slow;
mod client;
mod course;
mod faults;
mod net;
mod once;
mod oracle;
mod peer;
mod profile;
mod scene;
mod server;
mod service;
mod trace;
mod trouble;
mod workload;
mod world;

use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::faults::Broken;
use crate::oracle::{Invariant, Violation};

/// How many lines of a failed run are shown.
const SHOWN: usize = 60;

/// A number from the environment, where `cargo xtask sim` puts it.
fn setting(name: &str, default: u64) -> u64 {
    match std::env::var(name) {
        Ok(value) => value.parse().unwrap_or_else(|_| panic!("{name} is not a number: {value}")),
        Err(_) => default,
    }
}

#[test]
fn seeds_hold_every_invariant() {
    let from = setting("BOWLINE_SIM_FROM", 0);
    let seeds = setting("BOWLINE_SIM_SEEDS", 300);
    let mut counts = oracle::Counts::default();
    for seed in from..from + seeds {
        let report = catch_unwind(AssertUnwindSafe(|| world::run(seed, None)));
        let Ok(report) = report else {
            panic!("seed {seed} panics; once more: cargo xtask sim --seeds 1 --from {seed}");
        };
        if seeds == 1 {
            println!("{}", report.trace.text());
        }
        if let Some(violation) = &report.violation {
            println!("{}", report.trace.end(SHOWN));
            panic!(
                "seed {seed} breaks {:?}: {}\nonce more: cargo xtask sim --seeds 1 --from {seed}",
                violation.invariant, violation.what
            );
        }
        counts.add(&report.counts);
        if (seed + 1 - from).is_multiple_of(100) {
            println!("{} of {seeds} seeds: {counts:?}", seed + 1 - from);
        }
    }
}

#[test]
fn the_same_seed_is_the_same_run() {
    for seed in 0..20 {
        let (one, two) = (world::run(seed, None), world::run(seed, None));
        assert!(one.trace.text() == two.trace.text(), "seed {seed}");
        assert!(one.trace.text() != world::run(seed + 1, None).trace.text());
    }
}

/// A rule is broken: some seed shows it, and by which invariant.
fn caught(broken: Broken) -> (u64, Violation) {
    for seed in 0..2000 {
        if let Some(violation) = world::run(seed, Some(broken)).violation {
            println!("{broken:?}: seed {seed}, {violation:?}");
            return (seed, violation);
        }
    }
    panic!("nobody notices {broken:?}");
}

/// The rule is noticed, and by one of these.
fn assert_noticed(broken: Broken, by: &[Invariant]) {
    let (seed, violation) = caught(broken);
    assert!(by.contains(&violation.invariant), "{broken:?}, seed {seed}: {violation:?}");
}

#[test]
fn an_ack_on_read_is_noticed() {
    assert_noticed(Broken::AckOnRead, &[Invariant::I1]);
}

#[test]
fn credit_as_a_delta_is_noticed() {
    // The places that are lost are missed when somebody waits for one.
    assert_noticed(Broken::DeltaCredit, &[Invariant::I10]);
}

#[test]
fn a_replay_buffer_that_forgets_is_noticed() {
    assert_noticed(Broken::DiscardAtTheBound, &[Invariant::I1]);
}

#[test]
fn a_session_with_two_links_is_noticed() {
    assert_noticed(Broken::NoFencing, &[Invariant::I6]);
}

#[test]
fn a_token_that_is_forgotten_too_early_is_noticed() {
    assert_noticed(Broken::PreviousIsCurrent, &[Invariant::I1]);
}

#[test]
fn a_once_call_that_forgets_its_table_is_noticed() {
    assert_noticed(Broken::OnceWithoutTable, &[Invariant::I2]);
}

/// What is noticed is the rule and not the rewriter: while no link is lost, nobody can tell.
#[test]
fn a_broken_rule_shows_only_when_something_goes_wrong() {
    let rules = [
        Broken::AckOnRead,
        Broken::DeltaCredit,
        Broken::DiscardAtTheBound,
        Broken::NoFencing,
        Broken::PreviousIsCurrent,
        Broken::OnceWithoutTable,
    ];
    for broken in rules {
        for seed in 0..30 {
            let violation = world::run_calm(seed, Some(broken)).violation;
            assert_eq!(violation, None, "{broken:?}, seed {seed}");
        }
    }
}
