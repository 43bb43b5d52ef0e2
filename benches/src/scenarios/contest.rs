//! What calls, uploads, streams and layers have in common: each contender is a process of its own, with one client and one
//! server in it, and works when it is its turn.
//!
//! So nobody's heap, timers or sleeping connections are another's affair, and a scenario's figures are the same whatever
//! was measured before it.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use super::calls::TEXT;
use super::upload::samples;
use crate::Result;
use crate::apart::{self, Child};
use crate::measure::{Contender, Cores, Row, Setting, Stage, Took, interleave};
use crate::peers::{Caller, Doing, Peer};

/// What the clients of all who take part do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Work {
    /// Echo calls, so many in flight.
    Calls(usize),
    /// Arguments of 1 MiB, one after the other.
    Uploads,
    /// Streams of so many items, one after the other; an operation is an item.
    Items(u64),
}

impl Work {
    /// The least that says something.
    fn smallest(self) -> u64 {
        match self {
            // Enough that each task makes a call, and some a second one.
            Self::Calls(in_flight) => 3 * in_flight as u64 / 2 + 3,
            Self::Uploads => 2,
            Self::Items(length) => length,
        }
    }

    /// What a client does for `n` operations.
    fn of(self, caller: Arc<dyn Caller>) -> impl Fn(u64) -> Doing<'static, ()> {
        // Made once: they are not what is measured.
        let (text, samples): (Arc<str>, Arc<[f32]>) = match self {
            Self::Uploads => (Arc::default(), samples()),
            Self::Calls(_) | Self::Items(_) => (TEXT.into(), Arc::default()),
        };
        move |n| {
            let (caller, text, samples) = (Arc::clone(&caller), Arc::clone(&text), Arc::clone(&samples));
            Box::pin(async move {
                match self {
                    Self::Calls(in_flight) => caller.calls(text, in_flight, n).await,
                    Self::Uploads => caller.uploads(samples, n).await,
                    Self::Items(length) => {
                        let mut left = n;
                        while left > 0 {
                            let items = left.min(length);
                            caller.items(items).await?;
                            left -= items;
                        }
                        Ok(())
                    }
                }
            })
        }
    }
}

impl fmt::Display for Work {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Calls(in_flight) => write!(f, "calls-{in_flight}"),
            Self::Uploads => f.write_str("uploads"),
            Self::Items(length) => write!(f, "items-{length}"),
        }
    }
}

impl FromStr for Work {
    type Err = crate::Error;

    fn from_str(word: &str) -> Result<Self> {
        match word.split_once('-') {
            Some(("calls", in_flight)) => Ok(Self::Calls(in_flight.parse()?)),
            Some(("items", length)) => Ok(Self::Items(length.parse()?)),
            None if word == "uploads" => Ok(Self::Uploads),
            _ => Err(format!("there is no work `{word}`").into()),
        }
    }
}

/// Lets all peers that take part do `work`.
///
/// # Errors
///
/// The first of a peer.
pub(super) fn run(setting: &Setting, peers: &[Box<dyn Peer>], work: Work) -> Result<Vec<Row>> {
    let (work_word, cores) = (work.to_string(), setting.cores().to_string());
    let mut contenders = Vec::new();
    for peer in peers.iter().filter(|peer| setting.wants(peer.name())) {
        let role = ["contest", &work_word, peer.name(), &cores];
        contenders.push(Apart::start(peer.name(), &role, work.smallest())?);
    }
    interleave(&mut contenders, setting)
}

/// The other process: a peer's client and server.
///
/// # Errors
///
/// The peer's.
pub fn play(work: Work, peer: &dyn Peer, cores: Cores) -> Result<()> {
    let stage = Stage::new(cores)?;
    let address = stage.on_server(peer.serve())?;
    let caller = stage.on_client(peer.connect(address))?;
    answer(&stage, work.of(caller))
}

/// Reads how many operations to do, and says what they took, until the input ends.
pub(super) fn answer(stage: &Stage, work: impl Fn(u64) -> Doing<'static, ()>) -> Result<()> {
    apart::say("ready");
    apart::answer(|n| {
        let n = n.parse()?;
        Ok(Took::by(|| stage.on_client(work(n)))?.to_string())
    })
}

/// A process that [`answer`]s. What goes wrong in it, it writes to standard error itself.
pub(super) struct Apart {
    name: &'static str,
    role: Vec<String>,
    child: Child,
    smallest: u64,
}

impl Apart {
    /// Starts it in a role, and comes back when it is ready.
    pub(super) fn start(name: &'static str, role: &[&str], smallest: u64) -> Result<Self> {
        let mut child = Child::start(role)?;
        child.line()?;
        Ok(Self { name, role: role.iter().map(|&word| word.into()).collect(), child, smallest })
    }
}

impl Contender for Apart {
    fn name(&self) -> &str {
        self.name
    }

    fn run(&mut self, n: u64) -> Result<Took> {
        self.child.ask(&n.to_string())?.parse()
    }

    fn smallest(&self) -> u64 {
        self.smallest
    }

    fn renew(&mut self) -> Result<()> {
        let role: Vec<_> = self.role.iter().map(|word| &**word).collect();
        *self = Self::start(self.name, &role, self.smallest)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measure::Effort;
    use crate::peers;

    #[test]
    fn words_for_other_processes_are_read_back() {
        for work in [Work::Calls(64), Work::Uploads, Work::Items(300)] {
            assert_eq!(work.to_string().parse::<Work>().unwrap(), work);
        }
        for wrong in ["calls", "uploads-1", "items-many", ""] {
            assert!(wrong.parse::<Work>().is_err(), "{wrong}");
        }
    }

    /// The process of a peer that does no such work ends.
    #[test]
    fn who_fails_in_another_process_is_named() {
        let error = run(&Setting::new(Effort::Tiny), &peers::json_callers(), Work::Items(3)).unwrap_err();
        assert_eq!(error.to_string(), "bowline, json: `contest items-3 bowline, json one` ended early");
    }
}
