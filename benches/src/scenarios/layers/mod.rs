//! 64 calls in flight, with and without the layers that trace and count, at both ends.
//!
//! The span around a call is of level `DEBUG`. A subscriber that takes only `INFO`, as they do by default, leaves it out;
//! with one that takes it, two spans are recorded for each call and each is written as a line, to nowhere.
//!
//! A subscriber and a recorder are a process's own and can't be taken away again, so each way is a process of its own,
//! with client and server in it as everywhere; the rounds go from one process to the next.

mod recorder;

use std::fmt;
use std::net::SocketAddr;
use std::str::FromStr;
use std::time::{Duration, Instant};

use ::bowline::Client;
use ::bowline::middleware::{MetricsLayer, TraceLayer};
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::fmt::format::FmtSpan;

use super::calls::TEXT;
use crate::Result;
use crate::apart::{self, Child};
use crate::measure::{Cores, Cpu, Setting, Spread, Stage};
use crate::peers::{bowline, in_tasks, same};
use crate::report::{Line, metrics};

const IN_FLIGHT: usize = 64;

/// What is switched on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// No layers, no subscriber, no recorder.
    Plain,
    /// Both layers at both ends; a subscriber that writes what is of level `INFO` and above, which is its default, and
    /// a recorder that keeps everything.
    Layers,
    /// The same, and the subscriber takes `DEBUG`, the level of the span around a call: each end's is recorded, and
    /// formatted as a line when it closes.
    Spans,
}

impl Way {
    const ALL: [Self; 3] = [Self::Plain, Self::Layers, Self::Spans];

    fn name(self) -> &'static str {
        match self {
            Self::Plain => "bowline",
            Self::Layers => "bowline, tracing + metrics",
            Self::Spans => "bowline, tracing at DEBUG + metrics",
        }
    }
}

impl fmt::Display for Way {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Plain => "plain",
            Self::Layers => "layers",
            Self::Spans => "spans",
        })
    }
}

impl FromStr for Way {
    type Err = crate::Error;

    fn from_str(word: &str) -> Result<Self> {
        Self::ALL
            .into_iter()
            .find(|way| way.to_string() == word)
            .ok_or_else(|| format!("no way `{word}`").into())
    }
}

/// Measures all three.
///
/// # Errors
///
/// When a process can't be started, or a call fails in it.
pub fn run(setting: &Setting) -> Result<Vec<Line>> {
    let mut contenders = Vec::new();
    for way in Way::ALL {
        setting.progress.doing(format!("{}, warming up", way.name()));
        let mut child = Child::start(&["layers", &way.to_string(), &setting.cores().to_string()])?;
        child.line()?;
        let n = calibrate(&mut child, setting.length())?;
        contenders.push((way, child, n, Vec::new()));
    }
    for round in 1..=setting.rounds() {
        for (way, child, n, measured) in &mut contenders {
            setting.progress.doing(format!("{}, round {round} of {}", way.name(), setting.rounds()));
            measured.push(calls(child, *n)?);
        }
    }
    let mut lines = Vec::new();
    for (way, child, n, measured) in contenders {
        child.finish()?;
        let each = measured.iter().map(|(cpu, _)| cpu.as_secs_f64() * 1e6 / n as f64);
        let rate = measured.iter().map(|(_, wall)| n as f64 / wall.as_secs_f64());
        lines.push(
            Line::new(way.name())
                .with(&metrics::CPU, Spread::of(each))
                .with(&metrics::RATE, Spread::of(rate)),
        );
    }
    Ok(lines)
}

/// How many calls fill so long a time; this also warms up.
fn calibrate(child: &mut Child, length: Duration) -> Result<u64> {
    let mut n = 256;
    loop {
        let (_, wall) = calls(child, n)?;
        if wall * 4 >= length {
            return Ok(((n as f64 * length.as_secs_f64() / wall.as_secs_f64()) as u64).max(1));
        }
        n *= 2;
    }
}

/// Lets a process make so many calls; its processor time and how long it took.
fn calls(child: &mut Child, n: u64) -> Result<(Duration, Duration)> {
    let answer = child.ask(&n.to_string())?;
    let (cpu, wall) = answer.split_once(' ').ok_or_else(|| format!("`{answer}` are not two times"))?;
    Ok((Duration::from_nanos(cpu.parse()?), Duration::from_nanos(wall.parse()?)))
}

/// What is called.
#[::bowline::rpc]
pub trait Echo {
    /// Answers what it was asked.
    async fn echo(&self, text: String) -> String;
}

struct Service;

impl Echo for Service {
    async fn echo(&self, text: String) -> String {
        text
    }
}

/// The other process: reads how many calls to make, and says what they cost.
///
/// # Errors
///
/// When a call fails.
pub fn play(way: Way, cores: Cores) -> Result<()> {
    install(way)?;
    let stage = Stage::new(cores)?;
    let address = stage.on_server(serve(way))?;
    let client = stage.on_client(connect(way, address))?;
    apart::say("ready");
    apart::answer(|n| {
        let (n, echo) = (n.parse()?, client.clone());
        let (cpu, start) = (Cpu::of_process()?, Instant::now());
        stage.on_client(in_tasks(IN_FLIGHT, n, move |share| {
            let echo = echo.clone();
            async move {
                for _ in 0..share {
                    same(TEXT, &*echo.echo(TEXT.to_owned()).await?)?;
                }
                Ok(())
            }
        }))?;
        let (wall, cpu) = (start.elapsed(), Cpu::of_process()?.since(cpu));
        Ok(format!("{} {}", cpu.as_nanos(), wall.as_nanos()))
    })
}

fn install(way: Way) -> Result<()> {
    let (level, spans) = match way {
        Way::Plain => return Ok(()),
        Way::Layers => (LevelFilter::INFO, FmtSpan::NONE),
        Way::Spans => (LevelFilter::DEBUG, FmtSpan::CLOSE),
    };
    let subscriber =
        tracing_subscriber::fmt().with_max_level(level).with_span_events(spans).with_writer(std::io::sink);
    tracing::subscriber::set_global_default(subscriber.finish())?;
    recorder::install()
}

async fn serve(way: Way) -> Result<SocketAddr> {
    let builder = bowline::server().service(EchoServer::new(Service));
    bowline::serve(match way {
        Way::Plain => builder.build(),
        Way::Layers | Way::Spans => builder.layer(MetricsLayer::server()).layer(TraceLayer::server()).build(),
    })
    .await
}

async fn connect(way: Way, server: SocketAddr) -> Result<EchoClient> {
    if way == Way::Plain {
        return bowline::connect(server).await;
    }
    let builder = Client::builder(format!("ws://{server}/"));
    let layered = builder.layer(MetricsLayer::client()).layer(TraceLayer::client());
    Ok(layered.connect().await?.client())
}
