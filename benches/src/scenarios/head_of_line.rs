//! How long small calls wait while 50 MB go up on the same connection, and without that.
//!
//! The 50 MB are arguments of 1 MiB one after the other, as a program sends them that has no other reason: whoever shares
//! one connection between the two sees what this measures. The small calls follow each other, one in flight.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use tokio::sync::watch;

use super::calls::TEXT;
use super::upload::samples;
use crate::Result;
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
    let stage = Stage::new(Cores::Any)?;
    let mut contenders = Vec::new();
    for peer in peers::uploaders().into_iter().filter(|peer| setting.wants(peer.name())) {
        let contender = Contender::new(&stage, peer.as_ref(), setting.pick(2, PARTS, PARTS));
        contenders.push((contender.map_err(|error| named(peer.name(), error))?, Vec::new()));
    }
    for round in 1..=setting.rounds() {
        for (contender, measured) in &mut contenders {
            setting.progress.doing(format!("{}, round {round} of {}", contender.name, setting.rounds()));
            let waits = contender.round(&stage, setting.length());
            measured.push(waits.map_err(|error| named(contender.name, error))?);
        }
    }
    let lines = contenders.into_iter().map(|(contender, measured)| {
        let of = |value: fn(&Waits) -> f64| Spread::of(measured.iter().map(value));
        Line::new(contender.name)
            .with(&metrics::P99, of(|waits| waits.beside))
            .with(&metrics::P99_ALONE, of(|waits| waits.alone))
            .with(&metrics::SLOWER, of(|waits| waits.beside / waits.alone))
    });
    Ok(lines.collect())
}

fn named(peer: &str, error: crate::Error) -> crate::Error {
    format!("{peer}: {error}").into()
}

struct Contender {
    name: &'static str,
    caller: Arc<dyn Caller>,
    parts: u64,
}

/// The p99 of a small call, in µs.
#[derive(Debug)]
struct Waits {
    alone: f64,
    beside: f64,
}

impl Contender {
    fn new(stage: &Stage, peer: &dyn Peer, parts: u64) -> Result<Self> {
        let server: SocketAddr = stage.on_server(peer.serve())?;
        let contender = Self { name: peer.name(), caller: stage.on_client(peer.connect(server))?, parts };
        // Buffers get as large as they will be.
        let caller = Arc::clone(&contender.caller);
        stage.on_client(async move { caller.uploads(samples(), 2).await })?;
        Ok(contender)
    }

    fn round(&self, stage: &Stage, length: Duration) -> Result<Waits> {
        let (caller, parts) = (Arc::clone(&self.caller), self.parts);
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
                caller.uploads(samples(), parts).await?;
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
