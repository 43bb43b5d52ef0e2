//! Random operations over a simulated link, judged by an oracle that stands outside both ends: it notes what was meant
//! before anything is sent, and what arrived once the application has it.

#![allow(clippy::unwrap_used, reason = "a helper of tests that fails them")]

mod acts;
#[path = "../common/mod.rs"]
mod common;
mod judge;
mod world;

use std::time::Duration;

use bowline_test_support::{Side, Weather};
use proptest::prelude::*;
use world::World;

fn weather() -> impl Strategy<Value = Weather> {
    (0..200_u64, 0..100_u64, any::<u8>(), any::<u8>(), 0..100_u64).prop_map(
        |(delay, jitter, split, merge, late)| Weather {
            delay: Duration::from_millis(delay),
            jitter: Duration::from_millis(jitter),
            split,
            merge,
            lateness: Duration::from_millis(late),
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_call_has_one_terminal_and_every_item_arrives_once_in_order(
        seed in any::<u64>(),
        weather in weather(),
        operations in proptest::collection::vec(any::<u8>(), 0..300),
    ) {
        let mut world = World::new(seed, weather, false);
        for operation in operations {
            world.operate(operation);
        }
        world.settle();
    }

    #[test]
    fn lost_links_leave_no_call_without_an_end_and_no_state_behind(
        seed in any::<u64>(),
        weather in weather(),
        operations in proptest::collection::vec(150..=255_u8, 0..40),
        before in proptest::collection::vec(0..=200_u8, 0..300),
    ) {
        let mut world = World::new(seed, weather, true);
        for (place, operation) in before.into_iter().enumerate() {
            world.operate(operation);
            if place % 10 == 0 && let Some(&operation) = operations.get(place / 10) {
                world.operate(operation);
            }
        }
        world.settle();
    }

    #[test]
    fn equal_inputs_give_equal_outputs(seed in any::<u64>(), operations in proptest::collection::vec(any::<u8>(), 0..100)) {
        let weather = Weather { delay: Duration::from_millis(5), ..Weather::default() };
        let run = || {
            let mut world = World::new(seed, weather.clone(), false);
            world.pair.records = true;
            operations.iter().for_each(|&operation| world.operate(operation));
            (world.pair.sent(Side::Client), world.pair.sent(Side::Server))
        };
        prop_assert!(run() == run());
    }
}
