//! `cargo xtask sim`: many simulated runs of clients, a node and a bad network.

use std::process::Command;

use crate::Outcome;
use crate::step::{cargo, execute_reading, step};

/// What the command line asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Options {
    /// How many seeds.
    pub(crate) seeds: u64,
    /// The first of them.
    pub(crate) from: u64,
}

impl Default for Options {
    /// Two thousand: what a rule that is broken on purpose must be noticed within.
    fn default() -> Self {
        Self { seeds: 2000, from: 0 }
    }
}

/// The test program that runs these seeds. A single seed shows its whole trace.
pub(crate) fn command(options: Options) -> Command {
    let mut command = cargo();
    command
        .args(["test", "--locked", "--quiet", "--package", "bowline-protocol", "--test", "sim"])
        .args(["--", "--exact", "seeds_hold_every_invariant", "--nocapture"])
        .env("BOWLINE_SIM_SEEDS", options.seeds.to_string())
        .env("BOWLINE_SIM_FROM", options.from.to_string());
    command
}

/// `cargo xtask sim`.
pub(crate) fn run(options: Options) -> Outcome<()> {
    let last = options.from.saturating_add(options.seeds).saturating_sub(1);
    step(&format!("seeds {} to {last}", options.from), || execute_reading(&mut command(options), |_| ()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_seeds_reach_the_test_program() {
        let command = command(Options { seeds: 7, from: 40 });
        let set: Vec<_> =
            command.get_envs().filter_map(|(name, value)| Some((name.to_str()?, value?.to_str()?))).collect();
        assert!(set.contains(&("BOWLINE_SIM_SEEDS", "7")) && set.contains(&("BOWLINE_SIM_FROM", "40")));
    }
}
