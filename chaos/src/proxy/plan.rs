//! What happens to each link, drawn from the seed.

use std::time::Duration;

use bowline_test_support::relay::{Cut, Direction, Plan, Stall};

use crate::random::Random;

/// Draws what happens to a link that is to be cut, within `reach` bytes.
pub(crate) fn draw(random: &mut Random, reach: u64) -> Plan {
    let direction = |random: &mut Random| [Direction::Up, Direction::Down][random.below(2) as usize];
    let cut = match random.below(100) {
        0..45 => Cut::Close,
        45..88 => Cut::Reset,
        88..94 => Cut::BlackHole,
        _ => Cut::OneWay,
    };
    // One in ten falls into the upgrade and the hello.
    let at = if random.chance(10) { random.below(600) } else { 600 + random.below(reach) };
    let stall = random.chance(20).then(|| Stall {
        direction: direction(random),
        at: random.below(600 + reach),
        lasts: Duration::from_millis(20 + random.below(400)),
    });
    let sliced = if random.chance(20) { 1 + random.below(1500) } else { 0 };
    let patience = Duration::from_millis(2000 + random.below(3000));
    Plan { sliced, stall, end: Some((cut, direction(random), at)), patience }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_seed_draws_the_same_plans() {
        let drawn = || {
            let mut random = Random::new(5, 1);
            (0..50).map(|_| draw(&mut random, 4000)).collect::<Vec<_>>()
        };
        assert_eq!(drawn(), drawn());
    }

    #[test]
    fn every_kind_of_fault_is_drawn() {
        let mut random = Random::new(1, 1);
        let plans: Vec<_> = (0..500).map(|_| draw(&mut random, 4000)).collect();
        for cut in [Cut::Close, Cut::Reset, Cut::BlackHole, Cut::OneWay] {
            assert!(plans.iter().any(|plan| plan.end.is_some_and(|end| end.0 == cut)), "{cut:?}");
        }
        assert!(plans.iter().any(|plan| plan.sliced > 0) && plans.iter().any(|plan| plan.stall.is_some()));
        assert!(plans.iter().any(|plan| plan.end.is_some_and(|end| end.2 < 600)), "some in the upgrade");
    }
}
