use std::fmt;
use std::time::{Duration, Instant};

use super::{Cpu, Spread};
use crate::Result;

/// One of those that do the same work in turn.
pub trait Contender {
    /// Who it is, for the table.
    fn name(&self) -> String;

    /// Does `n` operations and comes back when the last one is done, at the other end too.
    ///
    /// # Errors
    ///
    /// When an operation failed or its result was wrong.
    fn run(&mut self, n: u64) -> Result<()>;
}

/// What one operation costs.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize)]
pub struct Cost {
    /// Processor time of client and server, user and system, in microseconds.
    pub cpu: Spread,
    /// Operations in a second.
    pub rate: Spread,
}

impl fmt::Display for Cost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { cpu, rate } = self;
        write!(
            f,
            "{:>8.2} µs ({:.2} to {:.2})  {:>10.0}/s ({:.0} to {:.0})",
            cpu.median, cpu.min, cpu.max, rate.median, rate.min, rate.max
        )
    }
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

/// Lets all do as many operations as fill about `length`, then measures them in turn, `rounds` times.
///
/// # Errors
///
/// The first error of a contender, with its name.
pub fn interleave(contenders: &mut [Box<dyn Contender + '_>], rounds: usize, length: Duration) -> Result<Vec<Row>> {
    let mut counts = Vec::new();
    for contender in &mut *contenders {
        counts.push(calibrate(contender.as_mut(), length).map_err(|error| format!("{}: {error}", contender.name()))?);
    }
    let mut measured = vec![Vec::new(); contenders.len()];
    for _ in 0..rounds {
        for ((contender, &n), measured) in contenders.iter_mut().zip(&counts).zip(&mut measured) {
            let (cpu, start) = (Cpu::of_process()?, Instant::now());
            contender.run(n).map_err(|error| format!("{}: {error}", contender.name()))?;
            let (wall, cpu) = (start.elapsed(), Cpu::of_process()?.since(cpu));
            measured.push((cpu.as_secs_f64() * 1e6 / n as f64, n as f64 / wall.as_secs_f64()));
        }
    }
    let rows = contenders.iter().zip(counts).zip(measured).map(|((contender, operations), measured)| Row {
        peer: contender.name(),
        operations,
        cost: Cost {
            cpu: Spread::of(measured.iter().map(|(cpu, _)| *cpu)),
            rate: Spread::of(measured.iter().map(|(_, rate)| *rate)),
        },
    });
    Ok(rows.collect())
}

/// Doubles the work until it takes a quarter of `length`; this also warms up.
fn calibrate(contender: &mut dyn Contender, length: Duration) -> Result<u64> {
    let mut n = 64;
    loop {
        let start = Instant::now();
        contender.run(n)?;
        let took = start.elapsed();
        if took * 4 >= length {
            return Ok(((n as f64 * length.as_secs_f64() / took.as_secs_f64()) as u64).max(1));
        }
        n *= 2;
    }
}
