//! Clients, a node and a bad network between them, in simulated time: the same seed is the same run, byte for byte.
//!
//! `cargo xtask sim --seeds N --from S` runs many seeds, and one of them again.

mod app;
mod client;
mod course;
mod net;
mod oracle;
mod peer;
mod profile;
mod server;
mod service;
mod trace;
mod trouble;
mod world;

use std::panic::{AssertUnwindSafe, catch_unwind};

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
        let report = catch_unwind(AssertUnwindSafe(|| world::run(seed)));
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
        let (one, two) = (world::run(seed), world::run(seed));
        assert!(one.trace.text() == two.trace.text(), "seed {seed}");
        assert!(one.trace.text() != world::run(seed + 1).trace.text());
    }
}
