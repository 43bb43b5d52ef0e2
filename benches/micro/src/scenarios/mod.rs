mod envelopes;
mod layers;
mod payloads;
mod sessions;
mod topics;
mod whole;

use crate::Scenario;

pub use whole::{calls, deliveries, items};

/// Everything that is measured here, in the order of reports.
pub fn all() -> Vec<Scenario> {
    [
        envelopes::COUNTED,
        envelopes::KINDS,
        payloads::SCENARIOS,
        sessions::SCENARIOS,
        topics::SCENARIOS,
        layers::SCENARIOS,
        whole::SCENARIOS,
    ]
    .concat()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// What checks its own answers says so when they are wrong; here it is run, so that it does not rot.
    #[test]
    fn every_scenario_runs_and_does_any_number_of_operations() {
        for scenario in all() {
            let mut work = (scenario.make)().unwrap_or_else(|error| panic!("{}: {error}", scenario.name));
            for operations in [1, 3] {
                work(operations).unwrap_or_else(|error| panic!("{}: {error}", scenario.name));
            }
        }
    }

    #[test]
    fn names_are_told_apart_and_can_be_lines_of_the_baseline() {
        let names: BTreeSet<_> = all().iter().map(|scenario| scenario.name).collect();
        assert_eq!(names.len(), all().len());
        assert!(names.iter().all(|name| !name.contains([' ', '\t', ':'])), "{names:?}");
    }
}
