use super::{Effort, Setting, Spread, Took};
use crate::Result;

/// One of those that do the same work in turn.
pub trait Contender {
    /// Who it is, for the table.
    fn name(&self) -> &str;

    /// Does `n` operations and comes back when the last one is done, at the other end too; what they took.
    ///
    /// # Errors
    ///
    /// When an operation failed or its result was wrong.
    fn run(&mut self, n: u64) -> Result<Took>;

    /// Where it begins when it looks for how many operations fill a round; at [tiny](super::Effort::Tiny) effort this
    /// many are all.
    fn smallest(&self) -> u64;
}

/// What one operation costs.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize)]
pub struct Cost {
    /// Processor time of client and server, user and system, in microseconds.
    pub cpu: Spread,
    /// Operations in a second.
    pub rate: Spread,
}

/// A contender and what its operations cost.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct Row {
    /// Who.
    pub peer: String,
    /// Operations per round.
    pub operations: u64,
    /// How much.
    pub cost: Cost,
}

/// Lets all do as many operations as fill a round, then measures them in turn, round after round.
///
/// # Errors
///
/// The first error of a contender, with its name.
pub fn interleave<C: Contender>(contenders: &mut [C], setting: &Setting) -> Result<Vec<Row>> {
    let mut counts = Vec::new();
    for contender in &mut *contenders {
        setting.progress.doing(format!("{}, warming up", contender.name()));
        counts.push(calibrate(contender, setting).map_err(|error| format!("{}: {error}", contender.name()))?);
    }
    let mut measured = vec![Vec::new(); contenders.len()];
    for round in 1..=setting.rounds() {
        for ((contender, &n), measured) in contenders.iter_mut().zip(&counts).zip(&mut measured) {
            setting.progress.doing(format!("{}, round {round} of {}", contender.name(), setting.rounds()));
            let took = contender.run(n).map_err(|error| format!("{}: {error}", contender.name()))?;
            measured.push((took.cpu.as_secs_f64() * 1e6 / n as f64, n as f64 / took.wall.as_secs_f64()));
        }
    }
    let rows = contenders.iter().zip(counts).zip(measured).map(|((contender, operations), measured)| Row {
        peer: contender.name().to_owned(),
        operations,
        cost: Cost {
            cpu: Spread::of(measured.iter().map(|(cpu, _)| *cpu)),
            rate: Spread::of(measured.iter().map(|(_, rate)| *rate)),
        },
    });
    Ok(rows.collect())
}

/// Doubles the work until it takes a quarter of a round, twice in a row: what held it up only once would make all its
/// rounds short. This also warms up.
fn calibrate(contender: &mut impl Contender, setting: &Setting) -> Result<u64> {
    let mut n = contender.smallest();
    loop {
        let mut took = contender.run(n)?.wall;
        if setting.effort == Effort::Tiny {
            return Ok(n);
        }
        if took * 4 >= setting.length() {
            took = took.min(contender.run(n)?.wall);
        }
        if took * 4 >= setting.length() {
            let fills = n as f64 * setting.length().as_secs_f64() / took.as_secs_f64();
            return Ok((fills as u64).max(1));
        }
        n *= 2;
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::rc::Rc;
    use std::time::Duration;

    use super::*;

    struct Noting(&'static str, Rc<RefCell<String>>);

    /// A millisecond for each operation, and a second more the first time.
    struct HeldUp(bool);

    impl Contender for HeldUp {
        fn name(&self) -> &str {
            "held up"
        }

        fn run(&mut self, n: u64) -> Result<Took> {
            let more = if std::mem::replace(&mut self.0, false) { 1000 } else { 0 };
            Ok(Took { cpu: Duration::from_millis(n), wall: Duration::from_millis(n + more) })
        }

        fn smallest(&self) -> u64 {
            2
        }
    }

    impl Contender for Noting {
        fn name(&self) -> &str {
            self.0
        }

        fn run(&mut self, n: u64) -> Result<Took> {
            if self.0 == "!" {
                return Err("wrong answer".into());
            }
            self.1.borrow_mut().extend((0..n).map(|_| self.0));
            Ok(Took { cpu: Duration::from_micros(3 * n), wall: Duration::from_micros(4 * n) })
        }

        fn smallest(&self) -> u64 {
            2
        }
    }

    #[test]
    fn contenders_work_in_turn() {
        let did = Rc::new(RefCell::new(String::new()));
        let mut both = [Noting("a", did.clone()), Noting("b", did.clone())];
        let rows = interleave(&mut both, &Setting::new(Effort::Tiny)).unwrap();
        assert_eq!(*did.borrow(), "aabbaabb", "once to warm up, then one round");
        assert_eq!(
            rows.iter().map(|row| (&*row.peer, row.operations)).collect::<Vec<_>>(),
            [("a", 2), ("b", 2)]
        );
        assert_eq!((rows[0].cost.cpu.median, rows[0].cost.rate.median), (3.0, 250_000.0));
    }

    #[test]
    fn who_is_held_up_once_has_rounds_as_long_as_others() {
        for late in [false, true] {
            let setting = Setting::new(Effort::Quick);
            let rows = interleave(&mut [HeldUp(late)], &setting).unwrap();
            assert_eq!(u128::from(rows[0].operations), setting.length().as_millis(), "{late}");
        }
    }

    #[test]
    fn who_fails_is_named() {
        let error = interleave(&mut [Noting("!", Rc::default())], &Setting::new(Effort::Tiny)).unwrap_err();
        assert_eq!(error.to_string(), "!: wrong answer");
    }
}
