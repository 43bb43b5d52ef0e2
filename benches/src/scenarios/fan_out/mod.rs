//! One publisher, many readers, each with a connection of its own: what a delivery costs the server.
//!
//! Each way of doing it is a process of its own, with the server and all readers in it.
//!
//! Each item is counted where it arrives, and looked at: an item that is missing, doubled or out of its order is an
//! error, so nobody is fast by leaving some out.

mod axum;
mod bowline;
#[cfg(feature = "peers")]
mod jsonrpsee;
mod readers;

use std::fmt;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;

use futures_util::Stream;

use crate::apart::{self, Child};
use crate::measure::{Cores, Setting, Spread, Stage};
use crate::peers::Doing;
use crate::report::{Line, metrics};
use crate::{Result, files};
use readers::Readers;

/// One way of handing the same item to everybody.
pub trait Source: Send + Sync + fmt::Debug {
    /// Its name and what is special about this way.
    fn name(&self) -> &'static str;

    /// Starts its server, which has room for `readers`, on the runtime that polls this.
    fn serve(&self, readers: usize) -> Doing<'static, (SocketAddr, Publish)>;

    /// Makes one reader's connection, and comes back when the server has it among its readers.
    fn subscribe(&self, server: SocketAddr) -> Doing<'static, Items>;
}

/// Publishes the item of this number. Called on the server's runtime; never waits.
pub type Publish = Arc<dyn Fn(u64) + Send + Sync>;

/// What one reader gets: an item's number and how long its text is.
pub type Items = Pin<Box<dyn Stream<Item = Result<(u64, usize)>> + Send>>;

/// The text of each item, beside its number.
const TEXT: &str = "0123456789abcdef0123456789abcdef0123456789abcdef";

/// Items that may wait for one reader, for those who have to say so; a burst fits.
const ROOM: usize = 1024;

/// Everybody who takes part, Bowline first.
pub fn sources() -> Vec<Box<dyn Source>> {
    vec![
        Box::new(bowline::Bowline),
        Box::new(axum::Axum { drained: false }),
        Box::new(axum::Axum { drained: true }),
        #[cfg(feature = "peers")]
        Box::new(jsonrpsee::Jsonrpsee),
    ]
}

/// How items are published.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pace {
    /// One item, and the next when everybody has it.
    Paced,
    /// The same, with the readers on the server's core.
    PacedOnOneCore,
    /// So many items at once, and the next when everybody has them.
    Burst,
}

/// How much is done.
#[derive(Debug, Clone, Copy)]
struct Amount {
    /// Readers, each with a connection.
    readers: usize,
    /// How often each source publishes in one round.
    bursts: u64,
    /// Items in a burst.
    burst: u64,
}

/// Measures all in turn.
///
/// # Errors
///
/// The first of a source, with its name; and when there are not enough files for the connections.
pub fn run(setting: &Setting, pace: Pace) -> Result<Vec<Line>> {
    let readers = setting.pick(20, 1000, 1000);
    let amount = match pace {
        Pace::Paced | Pace::PacedOnOneCore => Amount { readers, bursts: setting.pick(5, 30, 100), burst: 1 },
        Pace::Burst => Amount { readers, bursts: setting.pick(2, 2, 5), burst: 100 },
    };
    // Two ends of each connection; processes that are started have the limit, too.
    files::reserve(2 * amount.readers)?;
    let (readers, burst) = (amount.readers.to_string(), amount.burst.to_string());
    // Readers are elsewhere, in practice, and leave a server's caches alone.
    let cores = match (setting.cores(), pace) {
        (Cores::One, Pace::Paced | Pace::Burst) => Cores::Own,
        (cores, _) => cores,
    };
    let cores = cores.to_string();
    // What a process costs depends on where its memory lies, by more than the ways of pacing differ.
    let rounds = setting.rounds() * if pace == Pace::Burst { 1 } else { 2 };
    let [bursts, first] = [amount.bursts, amount.bursts.div_ceil(4)].map(|it| it.to_string());
    let wanted = sources().into_iter().filter(|source| setting.wants(source.name()));
    let mut contenders: Vec<_> = wanted.map(|source| (source, Vec::new())).collect();
    for round in 1..=rounds {
        for (source, measured) in &mut contenders {
            let name = source.name();
            setting.progress.doing(format!("{name}, round {round} of {rounds}, connecting"));
            // A process of its own for each round: what a delivery costs hangs on where the memory of a thousand sessions lies,
            // which differs from process to process and stays as it is in each.
            let mut child = Child::start(&["fan-out", name, &readers, &burst, &cores])?;
            child.line()?;
            setting.progress.doing(format!("{name}, round {round} of {rounds}"));
            // The first ones fill caches and buffers.
            child.ask(&first)?;
            measured.push(child.ask(&bursts)?.parse()?);
        }
    }
    let lines = contenders
        .into_iter()
        .map(|(source, measured)| Line::new(source.name()).with(&metrics::SERVER_CPU, Spread::of(measured)));
    Ok(lines.collect())
}

/// The other process: a source's server and all of its readers. It reads how many bursts to publish, and says what one
/// delivery cost.
///
/// # Errors
///
/// The source's, and when there is none of this name.
pub fn play(source: &str, readers: usize, burst: u64, cores: Cores) -> Result<()> {
    let named = sources().into_iter().find(|one| one.name() == source);
    let source = named.ok_or_else(|| format!("there is no source `{source}`"))?;
    let stage = Stage::new(cores)?;
    let mut contender = Contender::new(&stage, source.as_ref(), readers, burst)?;
    apart::say("ready");
    apart::answer(|bursts| Ok(contender.publish(&stage, bursts.parse()?)?.to_string()))
}

struct Contender {
    publish: Publish,
    readers: Arc<Readers>,
    burst: u64,
    next: u64,
}

impl Contender {
    fn new(stage: &Stage, source: &dyn Source, readers: usize, burst: u64) -> Result<Self> {
        let (address, publish) = stage.on_server(source.serve(readers))?;
        let subscriptions = (0..readers).map(|_| source.subscribe(address)).collect();
        let readers = stage.on_client(Readers::start(subscriptions, TEXT.len()))?;
        Ok(Self { publish, readers, burst, next: 0 })
    }

    /// Publishes so many bursts, each when everybody has the one before. Returns the server's µs for one delivery.
    fn publish(&mut self, stage: &Stage, bursts: u64) -> Result<f64> {
        let before = stage.server_cpu()?;
        for _ in 0..bursts {
            let (publish, numbers) = (Arc::clone(&self.publish), self.next..self.next + self.burst);
            self.next = numbers.end;
            stage.server.spawn(async move { numbers.for_each(|number| publish(number)) });
            let (readers, goal) = (Arc::clone(&self.readers), self.next);
            stage.on_client(async move { readers.all_have(goal).await })?;
        }
        let used = stage.server_cpu()?.since(before);
        Ok(used.as_secs_f64() * 1e6 / (bursts * self.burst * self.readers.count()) as f64)
    }
}
