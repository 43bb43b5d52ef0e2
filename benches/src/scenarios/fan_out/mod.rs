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
use crate::measure::{Cores, Setting, Spread, Stage, order};
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
    /// Bursts in front that are not counted.
    first: u64,
    /// How often it is each source's turn in one round.
    turns: u64,
    /// How often it publishes in one turn.
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
    let amount = Amount::new(setting, pace);
    // Two ends of each connection; processes that are started have the limit, too.
    files::reserve(2 * amount.readers)?;
    // Readers are elsewhere, in practice, and leave a server's caches alone.
    let cores = match (setting.cores(), pace) {
        (Cores::One, Pace::Paced | Pace::Burst) => Cores::Own,
        (cores, _) => cores,
    };
    // What a process costs depends on where its memory lies, by more than the ways of pacing differ.
    let rounds = if pace == Pace::Burst { setting.rounds() } else { setting.pick(1, 8, 16) };
    let sources: Vec<_> = sources().into_iter().filter(|source| setting.wants(source.name())).collect();
    let mut measured = vec![Vec::new(); sources.len()];
    for round in 0..rounds {
        let doing = |name: &str, what: &str| {
            setting.progress.doing(format!("{name}, round {} of {rounds}{what}", round + 1));
        };
        for (place, cost) in amount.measure(&sources, order(round, sources.len()), cores, doing)? {
            measured[place].push(cost);
        }
    }
    let lines = sources
        .iter()
        .zip(measured)
        .map(|(source, measured)| Line::new(source.name()).with(&metrics::SERVER_CPU, Spread::of(measured)));
    Ok(lines.collect())
}

impl Amount {
    fn new(setting: &Setting, pace: Pace) -> Self {
        let readers = setting.pick(20, 1000, 1000);
        match pace {
            // Until about the twentieth a delivery costs more, up to a sixth with axum, less with Bowline.
            Pace::Paced | Pace::PacedOnOneCore => Self {
                readers,
                first: setting.pick(1, 24, 24),
                turns: setting.pick(1, 3, 6),
                bursts: setting.pick(5, 8, 8),
                burst: 1,
            },
            Pace::Burst => Self { readers, first: 1, turns: setting.pick(2, 2, 5), bursts: 1, burst: 100 },
        }
    }

    /// One round: what a delivery costs each source's server, in µs. They are started and asked in this order.
    fn measure(
        self,
        sources: &[Box<dyn Source>],
        order: Vec<usize>,
        cores: Cores,
        doing: impl Fn(&str, &str),
    ) -> Result<Vec<(usize, f64)>> {
        let [readers, burst, first, bursts] =
            [self.readers as u64, self.burst, self.first, self.bursts].map(|it| it.to_string());
        let cores = cores.to_string();
        let mut children = Vec::new();
        for place in order {
            let name = sources[place].name();
            doing(name, ", connecting");
            // A process of its own for each round: what a delivery costs hangs on where the memory of a thousand sessions lies,
            // which differs from process to process and stays as it is in each.
            let mut child = Child::start(&["fan-out", name, &readers, &burst, &cores])?;
            child.line()?;
            child.ask(&first)?;
            children.push((place, child, 0.0));
        }
        // Short turns: what else goes on in a shared machine lasts for a second or two, and everybody has a part of it then.
        for _ in 0..self.turns {
            for (place, child, sum) in &mut children {
                doing(sources[*place].name(), "");
                *sum += child.ask(&bursts)?.parse::<f64>()?;
            }
        }
        Ok(children.into_iter().map(|(place, _, sum)| (place, sum / self.turns as f64)).collect())
    }
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
