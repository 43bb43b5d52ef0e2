//! What happens to each link, drawn from the seed.

use std::time::Duration;

use crate::random::Random;

/// How the network ends a link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cut {
    /// Both sockets are closed in order (FIN); the bytes before arrive.
    Close,
    /// Both sockets are reset (`SO_LINGER` 0); what the kernels still hold is lost.
    Reset,
    /// Nothing is ended; every byte from then on vanishes, both ways.
    BlackHole,
    /// The same, in the direction of the cut only.
    OneWay,
}

/// Which way bytes go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Direction {
    /// From client to server.
    Up,
    /// From server to client.
    Down,
}

/// One stop of the flow in one direction, after which it goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stall {
    pub(crate) direction: Direction,
    /// Behind so many bytes of that direction.
    pub(crate) at: u64,
    pub(crate) lasts: Duration,
}

/// What one link goes through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Plan {
    /// So many bytes of each direction are written one by one.
    pub(crate) sliced: u64,
    pub(crate) stall: Option<Stall>,
    /// How it ends, when so many bytes have gone that way; `None`: the network does nothing to it.
    pub(crate) end: Option<(Cut, Direction, u64)>,
    /// A link that does not come so far is cut after this time.
    pub(crate) patience: Duration,
}

impl Plan {
    /// A link that nothing happens to.
    pub(crate) const CLEAN: Self = Self { sliced: 0, stall: None, end: None, patience: Duration::MAX };

    /// Draws what happens to a link that is to be cut, within `reach` bytes.
    pub(crate) fn draw(random: &mut Random, reach: u64) -> Self {
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
        Self { sliced, stall, end: Some((cut, direction(random), at)), patience }
    }

    /// How many of the next `available` bytes of a direction may go in one write, `gone` having gone before.
    /// 0 is never an answer: what happens at this very byte has happened before it is asked.
    pub(crate) fn step(&self, direction: Direction, gone: u64, available: usize) -> usize {
        let mut step = available as u64;
        if gone < self.sliced {
            step = 1;
        }
        let marks = [
            self.stall.filter(|stall| stall.direction == direction).map(|stall| stall.at),
            self.end.filter(|end| end.1 == direction).map(|end| end.2),
        ];
        for mark in marks.into_iter().flatten().filter(|&mark| mark > gone) {
            step = step.min(mark - gone);
        }
        usize::try_from(step).unwrap_or(available)
    }

    /// The cut that is due in a direction behind `gone` bytes.
    pub(crate) fn cut_at(&self, direction: Direction, gone: u64) -> Option<Cut> {
        self.end.filter(|&(_, way, at)| way == direction && at <= gone).map(|(cut, ..)| cut)
    }

    /// How long the flow stops behind `gone` bytes.
    pub(crate) fn stall_at(&self, direction: Direction, gone: u64) -> Option<Duration> {
        self.stall.filter(|stall| stall.direction == direction && stall.at == gone).map(|stall| stall.lasts)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_seed_draws_the_same_plans() {
        let draw = || {
            let mut random = Random::new(5, 1);
            (0..50).map(|_| Plan::draw(&mut random, 4000)).collect::<Vec<_>>()
        };
        assert_eq!(draw(), draw());
    }

    #[test]
    fn every_kind_of_fault_is_drawn() {
        let mut random = Random::new(1, 1);
        let plans: Vec<_> = (0..500).map(|_| Plan::draw(&mut random, 4000)).collect();
        for cut in [Cut::Close, Cut::Reset, Cut::BlackHole, Cut::OneWay] {
            assert!(plans.iter().any(|plan| plan.end.is_some_and(|end| end.0 == cut)), "{cut:?}");
        }
        assert!(plans.iter().any(|plan| plan.sliced > 0) && plans.iter().any(|plan| plan.stall.is_some()));
        assert!(plans.iter().any(|plan| plan.end.is_some_and(|end| end.2 < 600)), "some in the upgrade");
    }

    #[test]
    fn a_write_stops_at_the_next_mark() {
        let stall = Stall { direction: Direction::Up, at: 10, lasts: Duration::from_secs(1) };
        let plan = Plan {
            sliced: 2,
            stall: Some(stall),
            end: Some((Cut::Reset, Direction::Up, 25)),
            patience: Duration::MAX,
        };
        assert_eq!(plan.step(Direction::Up, 0, 100), 1, "sliced");
        assert_eq!(plan.step(Direction::Up, 2, 100), 8, "up to the stall");
        assert_eq!(plan.step(Direction::Up, 10, 100), 15, "up to the cut");
        assert_eq!(plan.step(Direction::Down, 2, 100), 100, "the other way is free");
        assert_eq!(plan.stall_at(Direction::Up, 10), Some(Duration::from_secs(1)));
        assert_eq!(plan.cut_at(Direction::Up, 24), None);
        assert_eq!(plan.cut_at(Direction::Up, 25), Some(Cut::Reset));
        assert_eq!(plan.cut_at(Direction::Down, 99), None);
    }
}
