//! What a machine has to allow before so many connections are possible: open files and source ports.

use nix::sys::resource::{Resource, getrlimit, setrlimit};

use crate::Outcome;
use crate::service::PER_ADDRESS;

/// What a process opens beside its connections.
const OTHERS: u64 = 64;

/// How many sessions a server takes by default; the configuration of a run is the default one.
fn attached() -> u64 {
    bowline::NodeLimits::default().attached as u64
}

/// Raises the number of files that this process and those it starts may open, as far as `connections` need.
pub(crate) fn allow(connections: u64) -> Outcome<()> {
    sessions(connections)?;
    ports(connections)?;
    let (soft, hard) =
        getrlimit(Resource::RLIMIT_NOFILE).map_err(|error| format!("the file limit: {error}"))?;
    let Some(wanted) = soft_limit(connections, soft, hard)? else { return Ok(()) };
    setrlimit(Resource::RLIMIT_NOFILE, wanted, hard).map_err(|error| format!("the file limit: {error}"))
}

fn sessions(connections: u64) -> Outcome<()> {
    if connections <= attached() {
        return Ok(());
    }
    Err(format!(
        "a server with the default configuration takes {} sessions; use `--connections {}` or less",
        attached(),
        attached()
    ))
}

/// What to raise the soft limit to, if it has to be.
fn soft_limit(connections: u64, soft: u64, hard: u64) -> Outcome<Option<u64>> {
    let needed = connections + OTHERS;
    if needed <= soft {
        return Ok(None);
    }
    if needed <= hard {
        return Ok(Some(needed));
    }
    Err(format!(
        "{connections} connections need {needed} open files in one process, and the hard limit is {hard}: raise it \
         for this shell with `sudo prlimit --pid $$ --nofile={needed}:{needed}`, or use `--connections {}` or less",
        hard.saturating_sub(OTHERS)
    ))
}

/// Each listening address has the source ports of the machine for itself, and a storm uses each twice: ports of lost
/// links stay taken for a minute.
fn ports(connections: u64) -> Outcome<()> {
    let path = "/proc/sys/net/ipv4/ip_local_port_range";
    // Where there is no such file the system's own error has to do.
    let Ok(text) = std::fs::read_to_string(path) else { return Ok(()) };
    let mut numbers = text.split_whitespace().filter_map(|number| number.parse::<u64>().ok());
    let (Some(first), Some(last)) = (numbers.next(), numbers.next()) else { return Ok(()) };
    enough_ports(connections, last.saturating_sub(first) + 1)
}

fn enough_ports(connections: u64, ports: u64) -> Outcome<()> {
    let needed = 2 * connections.min(PER_ADDRESS);
    if needed <= ports {
        return Ok(());
    }
    Err(format!(
        "there are {ports} source ports, and {needed} are needed: widen them with `sudo sysctl -w \
         net.ipv4.ip_local_port_range=\"20000 60999\"`, or use `--connections {}` or less",
        ports / 2
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_soft_limit_is_raised_as_far_as_needed_and_possible() {
        assert_eq!(soft_limit(100, 1024, 4096), Ok(None));
        assert_eq!(soft_limit(2000, 1024, 4096), Ok(Some(2064)));
        let sentence = soft_limit(10_000, 1024, 4096).unwrap_err();
        assert!(
            sentence.contains("--nofile=10064:10064") && sentence.contains("--connections 4032`"),
            "{sentence}"
        );
        assert_eq!(soft_limit(4032, 1024, 4096), Ok(Some(4096)), "what the sentence says is possible");
    }

    #[test]
    fn what_the_server_or_the_ports_do_not_take_is_said() {
        assert!(sessions(20_000).is_ok());
        assert!(sessions(20_001).unwrap_err().contains("--connections 20000"));
        assert!(enough_ports(20_000, 28_232).is_ok(), "two addresses of 10,000 each");
        assert!(enough_ports(10_000, 15_000).unwrap_err().contains("--connections 7500"));
    }
}
