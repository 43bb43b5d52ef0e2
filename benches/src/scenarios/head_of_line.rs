//! How long small calls wait while 50 MB go up on the same connection, and without that.
//!
//! The 50 MB are arguments of 1 MiB one after the other, as a program sends them that has no other reason: whoever shares
//! one connection between the two sees what this measures. The small calls follow each other, one in flight.

use std::fmt;
use std::net::SocketAddr;
use std::str::FromStr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use tokio::sync::watch;

use super::calls::TEXT;
use super::upload::samples;
use crate::Result;
use crate::apart::{self, Child};
use crate::measure::{Cores, Setting, Spread, Stage};
use crate::peers::{self, Caller, Peer};
use crate::report::{Line, metrics};

/// Arguments of 1 MiB in one upload: the least that is more than 50 MB.
const PARTS: u64 = 48;

/// The longest wait that is told apart from longer ones, in ns.
const LONGEST: u64 = 60_000_000_000;

/// Measures all peers that take arguments of this size.
///
/// # Errors
///
/// The first of a peer.
pub fn run(setting: &Setting) -> Result<Vec<Line>> {
    let parts = setting.pick(2, PARTS, PARTS).to_string();
    let mut contenders = Vec::new();
    for peer in peers::uploaders().into_iter().filter(|peer| setting.wants(peer.name())) {
        let mut child = Child::start(&["head-of-line", peer.name(), &parts])?;
        child.line()?;
        contenders.push((peer.name(), child, Vec::<Waits>::new()));
    }
    let length = setting.length().as_millis().to_string();
    for round in 1..=setting.rounds() {
        for (name, child, measured) in &mut contenders {
            setting.progress.doing(format!("{name}, round {round} of {}", setting.rounds()));
            measured.push(child.ask(&length)?.parse()?);
        }
    }
    let lines = contenders.into_iter().map(|(name, _, measured)| {
        let of = |value: fn(&Waits) -> f64| Spread::of(measured.iter().map(value));
        Line::new(name)
            .with(&metrics::P99, of(|waits| waits.beside))
            .with(&metrics::P99_ALONE, of(|waits| waits.alone))
            .with(&metrics::SLOWER, of(|waits| waits.beside / waits.alone))
    });
    Ok(lines.collect())
}

/// The other process: a peer's client and server. It reads how many ms to call, and says how long calls waited.
///
/// # Errors
///
/// The peer's.
pub fn play(peer: &dyn Peer, parts: u64) -> Result<()> {
    let stage = Stage::new(Cores::Any)?;
    let contender = Contender::new(&stage, peer, parts)?;
    apart::say("ready");
    apart::answer(|length| Ok(contender.round(&stage, Duration::from_millis(length.parse()?))?.to_string()))
}

/// The p99 of a small call, in µs.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Waits {
    alone: f64,
    beside: f64,
}

/// As a line for another process.
impl fmt::Display for Waits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.alone, self.beside)
    }
}

impl FromStr for Waits {
    type Err = crate::Error;

    fn from_str(line: &str) -> Result<Self> {
        let (alone, beside) = line.split_once(' ').ok_or_else(|| format!("`{line}` are not two waits"))?;
        Ok(Self { alone: alone.parse()?, beside: beside.parse()? })
    }
}

struct Contender {
    caller: Arc<dyn Caller>,
    samples: Arc<[f32]>,
    parts: u64,
}

impl Contender {
    fn new(stage: &Stage, peer: &dyn Peer, parts: u64) -> Result<Self> {
        let server: SocketAddr = stage.on_server(peer.serve())?;
        let contender = Self { caller: stage.on_client(peer.connect(server))?, samples: samples(), parts };
        // Buffers get as large as they will be.
        let (caller, samples) = (Arc::clone(&contender.caller), Arc::clone(&contender.samples));
        stage.on_client(async move { caller.uploads(samples, 2).await })?;
        Ok(contender)
    }

    fn round(&self, stage: &Stage, length: Duration) -> Result<Waits> {
        let (caller, samples, parts) = (Arc::clone(&self.caller), Arc::clone(&self.samples), self.parts);
        stage.on_client(async move {
            let alone = {
                let (until, wait) = watch::channel(false);
                let calling = tokio::spawn(call(Arc::clone(&caller), wait));
                tokio::time::sleep(length).await;
                until.send_replace(true);
                calling.await??
            };
            let (until, wait) = watch::channel(false);
            let calling = tokio::spawn(call(Arc::clone(&caller), wait));
            let start = Instant::now();
            while start.elapsed() < length {
                caller.uploads(Arc::clone(&samples), parts).await?;
            }
            until.send_replace(true);
            Ok(Waits { alone, beside: calling.await?? })
        })
    }
}

/// Calls until it is told to stop, at least once; the p99 in µs.
async fn call(caller: Arc<dyn Caller>, until: watch::Receiver<bool>) -> Result<f64> {
    let mut waits = Histogram::<u64>::new_with_bounds(100, LONGEST, 3)?;
    loop {
        let start = Instant::now();
        caller.calls(TEXT.into(), 1, 1).await?;
        waits.saturating_record(u64::try_from(start.elapsed().as_nanos())?);
        if *until.borrow() {
            return Ok(waits.value_at_quantile(0.99) as f64 / 1e3);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_for_other_processes_are_read_back() {
        let waits = Waits { alone: 120.5, beside: 250.0 };
        assert_eq!(waits.to_string().parse::<Waits>().unwrap(), waits);
        assert!("120.5".parse::<Waits>().is_err() && "a b".parse::<Waits>().is_err());
    }
}
