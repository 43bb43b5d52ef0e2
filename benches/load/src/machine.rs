//! What the operating system says: memory, processor time, a clock for several processes, and the listener's queue.

use std::time::Duration;

use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeValLike;
use nix::time::{ClockId, clock_gettime};
use serde::{Deserialize, Serialize};

use crate::Outcome;

/// What a process holds and has used.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Usage {
    /// Resident memory in KiB; 0 where the system does not tell (it does on Linux).
    pub(crate) rss_kib: u64,
    /// Processor time in microseconds, user and system.
    pub(crate) cpu_us: u64,
}

impl Usage {
    /// Of this process, now.
    pub(crate) fn now() -> Outcome<Self> {
        let usage = getrusage(UsageWho::RUSAGE_SELF).map_err(|error| format!("getrusage: {error}"))?;
        let cpu = usage.user_time().num_microseconds() + usage.system_time().num_microseconds();
        let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
        Ok(Self { rss_kib: resident(&status).unwrap_or(0), cpu_us: u64::try_from(cpu).unwrap_or(0) })
    }

    /// Microseconds of processor time since `earlier`.
    pub(crate) fn cpu_since(self, earlier: Self) -> u64 {
        self.cpu_us.saturating_sub(earlier.cpu_us)
    }

    /// KiB of memory that came since `earlier`; less than zero where it went.
    pub(crate) fn rss_since(self, earlier: Self) -> f64 {
        self.rss_kib as f64 - earlier.rss_kib as f64
    }
}

fn resident(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.split_whitespace().next()?.parse().ok()
}

/// Nanoseconds on a clock that all processes of one machine share: `CLOCK_MONOTONIC`.
pub(crate) fn clock() -> u64 {
    let now = clock_gettime(ClockId::CLOCK_MONOTONIC).map(Duration::from).unwrap_or_default();
    u64::try_from(now.as_nanos()).unwrap_or(u64::MAX)
}

/// What the kernel has counted, for the whole machine since its start. All zero where it does not tell.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Serialize)]
pub(crate) struct Queue {
    /// Handshakes that found the queue of a listener full: the client's next attempt comes a second later.
    pub(crate) overflows: u64,
    /// Connection requests that were sent again.
    pub(crate) syn_repeats: u64,
}

impl Queue {
    pub(crate) fn now() -> Self {
        Self::read(&std::fs::read_to_string("/proc/net/netstat").unwrap_or_default())
    }

    fn read(netstat: &str) -> Self {
        let mut lines = netstat.lines().filter_map(|line| line.strip_prefix("TcpExt: "));
        let (names, values) = (lines.next().unwrap_or_default(), lines.next().unwrap_or_default());
        let count = |wanted| {
            let mut pairs = names.split_whitespace().zip(values.split_whitespace());
            pairs.find(|(name, _)| *name == wanted).and_then(|(_, value)| value.parse().ok()).unwrap_or(0)
        };
        Self { overflows: count("ListenOverflows"), syn_repeats: count("TCPSynRetrans") }
    }

    pub(crate) fn since(self, earlier: Self) -> Self {
        Self {
            overflows: self.overflows.saturating_sub(earlier.overflows),
            syn_repeats: self.syn_repeats.saturating_sub(earlier.syn_repeats),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_and_memory_of_this_process_are_seen() {
        let before = Usage::now().unwrap();
        let mut sum = 0_u64;
        let mut held = Vec::new();
        while Usage::now().unwrap().cpu_since(before) < 2000 {
            sum = std::hint::black_box(sum.wrapping_add(1));
            held.push(vec![1_u8; 4096]);
        }
        let after = Usage::now().unwrap();
        assert_eq!(before.cpu_since(after), 0);
        assert!(!cfg!(target_os = "linux") || after.rss_kib > 0);
        assert!(clock() < clock() + 1 && clock() > 0);
        drop(held);
    }

    #[test]
    fn the_lines_of_the_kernel_are_read() {
        assert_eq!(resident("VmPeak:\t 9 kB\nVmRSS:\t    1234 kB\nVmData: 5 kB\n"), Some(1234));
        assert_eq!(resident("nothing of the kind"), None);
        let text =
            "TcpExt: SyncookiesSent ListenOverflows TCPSynRetrans\nTcpExt: 1 22 333\nIpExt: A\nIpExt: 4\n";
        assert_eq!(Queue::read(text), Queue { overflows: 22, syn_repeats: 333 });
        assert_eq!(Queue::read("").since(Queue::read(text)), Queue::default());
    }
}
