use std::time::Duration;

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

    /// Where it begins when it looks for how many operations fill a turn; at [tiny](super::Effort::Tiny) effort this
    /// many are all.
    fn smallest(&self) -> u64;

    /// Begins anew, in another process.
    ///
    /// # Errors
    ///
    /// When it can't.
    fn renew(&mut self) -> Result<()>;
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

/// Lets all do as many operations as fill a turn, then measures them in turn, round after round.
///
/// In each round each is a new process, as costs hang on where its memory lies. A round is cut into short turns: what else goes
/// on in a shared machine lasts longer, and everybody has a part of it.
///
/// # Errors
///
/// The first error of a contender, with its name.
pub fn interleave<C: Contender>(contenders: &mut [C], setting: &Setting) -> Result<Vec<Row>> {
    let named = |contender: &C, error| format!("{}: {error}", contender.name());
    let mut counts = Vec::new();
    for contender in &mut *contenders {
        setting.progress.doing(format!("{}, warming up", contender.name()));
        counts.push(calibrate(contender, setting).map_err(|error| named(contender, error))?);
    }
    let (rounds, turns) = (setting.rounds(), setting.turns());
    let mut measured = vec![Vec::new(); contenders.len()];
    for round in 0..rounds {
        let order = order(round, contenders.len());
        for &place in order.iter().filter(|_| round > 0) {
            let contender = &mut contenders[place];
            let renewed = contender.renew().and_then(|()| contender.run(counts[place].div_ceil(2)));
            renewed.map_err(|error| named(contender, error))?;
        }
        let mut sums = vec![(Duration::ZERO, Duration::ZERO); contenders.len()];
        for _ in 0..turns {
            for &place in &order {
                let contender = &mut contenders[place];
                setting.progress.doing(format!("{}, round {} of {rounds}", contender.name(), round + 1));
                let took = contender.run(counts[place]).map_err(|error| named(contender, error))?;
                sums[place].0 += took.cpu;
                sums[place].1 += took.wall;
            }
        }
        for ((measured, (cpu, wall)), n) in measured.iter_mut().zip(sums).zip(&counts) {
            let n = (n * u64::from(turns)) as f64;
            measured.push((cpu.as_secs_f64() * 1e6 / n, n / wall.as_secs_f64()));
        }
    }
    let rows = contenders.iter().zip(counts).zip(measured).map(|((contender, n), measured)| Row {
        peer: contender.name().to_owned(),
        operations: n * u64::from(turns),
        cost: Cost {
            cpu: Spread::of(measured.iter().map(|(cpu, _)| *cpu)),
            rate: Spread::of(measured.iter().map(|(_, rate)| *rate)),
        },
    });
    Ok(rows.collect())
}

/// Who comes when in this round, of so many: who is started first finds memory in better order. In twice as many rounds each has each
/// place twice, and comes before any other as often as behind.
pub fn order(round: usize, count: usize) -> Vec<usize> {
    let mut places: Vec<_> = (0..count).collect();
    places.rotate_left(round / 2 % count);
    if round % 2 == 1 {
        places.reverse();
    }
    places
}

/// Doubles the work until it takes a quarter of a turn, twice in a row: what held it up only once would make all its
/// turns short. This also warms up.
fn calibrate(contender: &mut impl Contender, setting: &Setting) -> Result<u64> {
    let length = setting.length() / setting.turns();
    let mut n = contender.smallest();
    loop {
        let mut took = contender.run(n)?.wall;
        if setting.effort == Effort::Tiny {
            return Ok(n);
        }
        if took * 4 >= length {
            took = took.min(contender.run(n)?.wall);
        }
        if took * 4 >= length {
            let fills = n as f64 * length.as_secs_f64() / took.as_secs_f64();
            return Ok((fills as u64).max(1));
        }
        n *= 2;
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::rc::Rc;

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

        fn renew(&mut self) -> Result<()> {
            Ok(())
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

        fn renew(&mut self) -> Result<()> {
            Ok(())
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

    /// Notes when it is its turn, and when it begins anew.
    struct Anew(char, Rc<RefCell<String>>);

    impl Contender for Anew {
        fn name(&self) -> &str {
            "anew"
        }

        fn run(&mut self, n: u64) -> Result<Took> {
            self.1.borrow_mut().push(self.0);
            Ok(Took { cpu: Duration::from_millis(n), wall: Duration::from_millis(n) })
        }

        fn smallest(&self) -> u64 {
            50
        }

        fn renew(&mut self) -> Result<()> {
            self.1.borrow_mut().push('+');
            Ok(())
        }
    }

    #[test]
    fn each_round_has_new_processes_in_another_order_and_several_turns() {
        let did = Rc::new(RefCell::new(String::new()));
        let mut both = [Anew('a', did.clone()), Anew('b', did.clone())];
        let rows = interleave(&mut both, &Setting::new(Effort::Quick)).unwrap();
        let cost = rows[0].cost;
        assert_eq!((cost.cpu.median, cost.rate.median.round()), (1000.0, 1000.0));
        let [ab, ba] = ["abababab", "babababa"];
        let wanted = ["aabb", ab, "+b+a", ba, "+b+a", ba, "+a+b", ab, "+a+b", ab];
        assert_eq!(*did.borrow(), wanted.concat());
    }

    #[test]
    fn everybody_has_each_place_and_comes_before_any_other_as_often_as_behind() {
        for count in 1..5 {
            let mut places = vec![vec![0; count]; count];
            let mut before = vec![vec![0; count]; count];
            for round in 0..2 * count {
                let order = order(round, count);
                for (place, &who) in order.iter().enumerate() {
                    places[who][place] += 1;
                    order[place + 1..].iter().for_each(|&other| before[who][other] += 1);
                }
            }
            for (who, places) in places.into_iter().enumerate() {
                assert_eq!(places, vec![2; count]);
                let others = (0..count).filter(|&other| other != who);
                others
                    .for_each(|other| assert_eq!(before[who][other], count, "{who} and {other} of {count}"));
            }
        }
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
