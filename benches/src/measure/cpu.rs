use std::time::Duration;

use nix::sys::resource::{Usage, UsageWho, getrusage};
use nix::sys::time::TimeValLike;

use crate::Result;

/// Processor time that was used up to one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cpu {
    /// In the program itself.
    pub user: Duration,
    /// In the kernel, on the program's behalf.
    pub system: Duration,
}

impl Cpu {
    /// Of this whole process: client and server together.
    ///
    /// # Errors
    ///
    /// The system call's.
    pub fn of_process() -> Result<Self> {
        Ok(Self::from(getrusage(UsageWho::RUSAGE_SELF)?))
    }

    /// Of the calling thread; on a runtime of one worker, of all its tasks.
    ///
    /// # Errors
    ///
    /// The system call's.
    pub fn of_thread() -> Result<Self> {
        Ok(Self::from(getrusage(UsageWho::RUSAGE_THREAD)?))
    }

    /// User and system time since `earlier`.
    pub fn since(self, earlier: Self) -> Duration {
        (self.user + self.system).saturating_sub(earlier.user + earlier.system)
    }
}

impl From<Usage> for Cpu {
    fn from(usage: Usage) -> Self {
        let micros = |micros: i64| Duration::from_micros(u64::try_from(micros).unwrap_or(0));
        Self {
            user: micros(usage.user_time().num_microseconds()),
            system: micros(usage.system_time().num_microseconds()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_is_seen_and_rest_is_not() {
        let before = Cpu::of_thread().unwrap();
        let mut sum = 0_u64;
        while Cpu::of_thread().unwrap().since(before) < Duration::from_millis(2) {
            sum = std::hint::black_box(sum.wrapping_add(1));
        }
        assert!(Cpu::of_process().unwrap().since(before) >= Duration::from_millis(2));
        assert_eq!(before.since(before), Duration::ZERO);
    }
}
