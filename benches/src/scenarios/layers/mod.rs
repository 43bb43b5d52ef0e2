//! 64 calls in flight, with and without the layers that trace and count, at both ends.
//!
//! The span around a call is of level `DEBUG`. A subscriber that takes only `INFO`, as they do by default, leaves it out;
//! with one that takes it, two spans are recorded for each call and each is written as a line, to nowhere.
//!
//! A subscriber and a recorder are a process's own and can't be taken away again; each way is a process of its own, as
//! each contender is elsewhere.

mod recorder;

use std::fmt;
use std::net::SocketAddr;
use std::str::FromStr;

use ::bowline::Client;
use ::bowline::middleware::{MetricsLayer, TraceLayer};
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::fmt::format::FmtSpan;

use super::calls::TEXT;
use super::contest::{self, Apart};
use crate::Result;
use crate::measure::{Cores, Setting, Stage, interleave};
use crate::peers::{bowline, in_tasks, same};
use crate::report::Line;

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
    let cores = setting.cores().to_string();
    let start = |way: Way| Apart::start(way.name(), &["layers", &way.to_string(), &cores], 256);
    let mut contenders = Way::ALL.into_iter().map(start).collect::<Result<Vec<_>>>()?;
    Ok(interleave(&mut contenders, setting)?.into_iter().map(Line::of_operations).collect())
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
    contest::answer(&stage, |n| {
        let echo = client.clone();
        Box::pin(in_tasks(IN_FLIGHT, n, move |share| {
            let echo = echo.clone();
            async move {
                for _ in 0..share {
                    same(TEXT, &*echo.echo(TEXT.to_owned()).await?)?;
                }
                Ok(())
            }
        }))
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
