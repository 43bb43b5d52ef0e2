//! What happens to one link.

use std::time::Duration;

/// How the network ends a link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cut {
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
pub enum Direction {
    /// From client to server.
    Up,
    /// From server to client.
    Down,
}

/// One stop of the flow in one direction, after which it goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stall {
    /// Which direction stops.
    pub direction: Direction,
    /// Behind so many bytes of that direction.
    pub at: u64,
    /// For how long.
    pub lasts: Duration,
}

/// What one link goes through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Plan {
    /// So many bytes of each direction are written one by one.
    pub sliced: u64,
    /// A stop of the flow.
    pub stall: Option<Stall>,
    /// How it ends, when so many bytes have gone that way; `None`: the network does nothing to it.
    pub end: Option<(Cut, Direction, u64)>,
    /// A link that does not come so far is cut after this time.
    pub patience: Duration,
}

impl Plan {
    /// A link that nothing happens to.
    pub const CLEAN: Self = Self { sliced: 0, stall: None, end: None, patience: Duration::MAX };

    /// How many of the next `available` bytes of a direction may go in one write, `gone` having gone before.
    /// 0 is never an answer: what happens at this very byte has happened before it is asked.
    pub(super) fn step(&self, direction: Direction, gone: u64, available: usize) -> usize {
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
    pub(super) fn cut_at(&self, direction: Direction, gone: u64) -> Option<Cut> {
        self.end.filter(|&(_, way, at)| way == direction && at <= gone).map(|(cut, ..)| cut)
    }

    /// How long the flow stops behind `gone` bytes.
    pub(super) fn stall_at(&self, direction: Direction, gone: u64) -> Option<Duration> {
        self.stall.filter(|stall| stall.direction == direction && stall.at == gone).map(|stall| stall.lasts)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
