use std::fmt;
use std::str::FromStr;
use std::time::{Duration, Instant};

use super::Cpu;
use crate::Result;

/// What work in this process took.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Took {
    /// Of the processor, user and system, of all threads.
    pub cpu: Duration,
    /// By the clock on the wall.
    pub wall: Duration,
}

impl Took {
    /// Does the work, and says what it took.
    ///
    /// # Errors
    ///
    /// The work's.
    pub fn by(work: impl FnOnce() -> Result<()>) -> Result<Self> {
        let (cpu, start) = (Cpu::of_process()?, Instant::now());
        work()?;
        let wall = start.elapsed();
        Ok(Self { cpu: Cpu::of_process()?.since(cpu), wall })
    }
}

/// As a line for another process: both in ns.
impl fmt::Display for Took {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.cpu.as_nanos(), self.wall.as_nanos())
    }
}

impl FromStr for Took {
    type Err = crate::Error;

    fn from_str(line: &str) -> Result<Self> {
        let (cpu, wall) = line.split_once(' ').ok_or_else(|| format!("`{line}` are not two times"))?;
        Ok(Self { cpu: Duration::from_nanos(cpu.parse()?), wall: Duration::from_nanos(wall.parse()?) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_is_seen_and_its_error_handed_on() {
        let two = Duration::from_millis(2);
        let took = Took::by(|| {
            let start = Cpu::of_thread()?;
            while Cpu::of_thread()?.since(start) < two {}
            Ok(())
        });
        let took = took.unwrap();
        assert!(took.cpu >= two && took.wall > Duration::ZERO, "{took:?}");
        assert_eq!(Took::by(|| Err("no".into())).unwrap_err().to_string(), "no");
    }

    #[test]
    fn lines_for_other_processes_are_read_back() {
        let took = Took { cpu: Duration::from_nanos(1_500), wall: Duration::from_secs(2) };
        assert_eq!(took.to_string().parse::<Took>().unwrap(), took);
        assert!("1500".parse::<Took>().is_err() && "a b".parse::<Took>().is_err());
    }
}
