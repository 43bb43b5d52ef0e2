//! System calls of each end for one call, 64 in flight, counted by strace.
//!
//! Client and server are processes of their own, each under a strace that stops it at the counted system calls only. The
//! few calls of connecting are among those that are counted; they are spread over so many that they don't show.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::Result;
use crate::apart::Child;
use crate::measure::{Setting, Spread};
use crate::peers;
use crate::report::{Line, metrics};

/// What writes to a socket.
const SENDS: [&str; 3] = ["sendto", "sendmsg", "writev"];
/// What reads from one, waits, or wakes another thread: `write` is the runtime's, to its eventfd.
const OTHERS: [&str; 8] =
    ["recvfrom", "recvmsg", "readv", "epoll_wait", "epoll_pwait", "epoll_pwait2", "futex", "write"];

const IN_FLIGHT: usize = 64;

/// Counts for all peers.
///
/// # Errors
///
/// When there is no strace, or it may not trace; and the first of a peer.
pub fn run(setting: &Setting) -> Result<Vec<Line>> {
    present()?;
    let calls = setting.pick(640, 20_000, 50_000);
    let mut lines = Vec::new();
    for peer in peers::callers().into_iter().filter(|peer| setting.wants(peer.name())) {
        let mut measured = Vec::new();
        for round in 1..=setting.pick(1, 1, 3) {
            setting.progress.doing(format!("{}, round {round}", peer.name()));
            measured.push(count(peer.name(), calls).map_err(|error| format!("{}: {error}", peer.name()))?);
        }
        let each = |side: fn(&Both) -> &Counts, names: &[&str]| {
            Spread::of(measured.iter().map(|both| side(both).of(names) as f64 / calls as f64))
        };
        lines.push(
            Line::new(peer.name())
                .with(&metrics::SERVER_SENDS, each(|both| &both.server, &SENDS))
                .with(&metrics::CLIENT_SENDS, each(|both| &both.client, &SENDS))
                .with(&metrics::SERVER_OTHERS, each(|both| &both.server, &OTHERS))
                .with(&metrics::CLIENT_OTHERS, each(|both| &both.client, &OTHERS)),
        );
    }
    Ok(lines)
}

/// An error that says how to get strace, where it is missing.
fn present() -> Result<()> {
    let found = Command::new("strace").arg("-V").stdout(Stdio::null()).stderr(Stdio::null()).status();
    match found {
        Ok(status) if status.success() => Ok(()),
        _ => {
            Err("strace is not there: `cargo xtask bench` installs it, as does `apt-get install strace`"
                .into())
        }
    }
}

/// What both ends did.
#[derive(Debug)]
struct Both {
    server: Counts,
    client: Counts,
}

fn count(peer: &str, calls: u64) -> Result<Both> {
    let folder = tempfile::tempdir()?;
    let [at_server, at_client] = ["server", "client"].map(|side| folder.path().join(side));
    let mut server = Child::start_under(strace(&at_server)?, &["serve", peer])?;
    let address = server.line()?;
    let (in_flight, n) = (IN_FLIGHT.to_string(), calls.to_string());
    let role = ["call", peer, &address, &in_flight, &n];
    let mut client = Child::start_under(strace(&at_client)?, &role)?;
    client.line()?;
    client.finish()?;
    server.finish()?;
    Ok(Both { server: Counts::read(&at_server)?, client: Counts::read(&at_client)? })
}

/// A strace of this program and all its threads, which writes its summary to this file.
fn strace(summary: &Path) -> Result<Command> {
    let mut command = Command::new("strace");
    let traced = [&SENDS[..], &OTHERS].concat().join(",");
    command.args(["-f", "-c", "--seccomp-bpf", "-U", "calls,name", "-e", &format!("trace={traced}"), "-o"]);
    command.arg(summary).arg(std::env::current_exe()?);
    Ok(command)
}

/// How often each system call was made.
#[derive(Debug, Default, PartialEq)]
struct Counts(BTreeMap<String, u64>);

impl Counts {
    fn read(summary: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(summary)?;
        let counts = Self::parse(&text);
        if counts.0.is_empty() {
            return Err(format!("strace counted nothing: {text}").into());
        }
        Ok(counts)
    }

    /// Lines of a count and a name; the sum at the end is named `total`.
    fn parse(summary: &str) -> Self {
        let line = |line: &str| {
            let mut words = line.split_whitespace();
            let (count, name) = (words.next()?.parse().ok()?, words.next()?);
            (name != "total").then(|| (name.to_owned(), count))
        };
        Self(summary.lines().filter_map(line).collect())
    }

    fn of(&self, names: &[&str]) -> u64 {
        names.iter().filter_map(|name| self.0.get(*name)).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_summary_is_read_and_its_total_left_out() {
        let counts = Counts::parse(
            "    calls syscall\n--------- ----------------\n       12 sendto\n        3 writev\n        7 futex\n--------- -----\n       22 total\n",
        );
        assert_eq!((counts.of(&SENDS), counts.of(&OTHERS)), (15, 7));
    }
}
