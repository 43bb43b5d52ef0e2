//! The server: it writes down what reaches its handlers, and is killed without warning.

use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bowline::prelude::*;
use bowline::{NodeLimits, Refused, Server};
use futures_util::stream;
use http::request::Parts;
use tokio::net::TcpListener;
use tokio::time::sleep;

use crate::Outcome;
use crate::journal::{Journal, Lane, Record, What};
use crate::service::{Chaos, ChaosServer, Item, Who, filling, timing};

/// What the orchestrator tells a server.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Options {
    pub(crate) journal: PathBuf,
    /// Counts from 1.
    pub(crate) life: u64,
}

/// Serves until the process is ended; says on its standard output where.
pub(crate) async fn run(options: Options) -> Outcome<()> {
    let journal = Journal::create(&options.journal).map_err(|error| format!("the journal: {error}"))?;
    let witness = Witness { journal, life: options.life, runs: AtomicU64::new(0) };
    let server = Server::builder()
        .service(ChaosServer::new(witness))
        .identify(by_query)
        .timing(timing())
        .node_limits(NodeLimits { resumes: 10_000, ..NodeLimits::default() })
        .build();
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.map_err(|error| error.to_string())?;
    println!("{}", listener.local_addr().map_err(|error| error.to_string())?);
    bowline::serve(listener, server).await;
    Ok(())
}

async fn by_query(parts: &Parts) -> Result<Who, Refused> {
    let query = parts.uri.query().unwrap_or_default();
    let client = query.strip_prefix("client=").and_then(|number| number.parse().ok());
    client.map(Who).ok_or_else(|| Refused::unauthenticated("`?client=` and a number"))
}

struct Witness {
    journal: Journal,
    life: u64,
    runs: AtomicU64,
}

impl Witness {
    fn saw(&self, lane: Lane, cx: &Context, part: u64, number: u64) {
        self.journal.write(Record::new(What::Delivered, lane, client(cx), part, number));
    }

    /// A number that no other run has, in this life or another.
    fn run(&self) -> u64 {
        (self.life << 40) | self.runs.fetch_add(1, Ordering::Relaxed)
    }

    /// Items of one run; each is written down before it is handed over.
    fn items(
        &self,
        lane: Lane,
        cx: &Context,
        from: u64,
        count: u64,
        pace: u64,
    ) -> impl Stream<Item = Item> + Send {
        let (client, run) = (client(cx), self.run());
        stream::unfold(from, move |number| async move {
            if number >= count {
                return None;
            }
            if pace > 0 {
                sleep(Duration::from_micros(pace)).await;
            }
            self.journal.write(Record::new(What::Intent, lane, client, run, number));
            Some((Item::new(run, number), number + 1))
        })
    }
}

fn client(cx: &Context) -> u32 {
    cx.identity::<Who>().map_or(u32::MAX, |who| who.0)
}

impl Chaos for Witness {
    async fn call(&self, cx: &Context, number: u64, content: String) -> u64 {
        // Before anything is awaited: handlers start in the order of their calls.
        self.saw(Lane::Call, cx, self.life, number);
        if number.is_multiple_of(4) {
            sleep(Duration::from_millis(number % 7)).await;
        }
        if content == filling(number) { number } else { u64::MAX }
    }

    async fn effect(&self, cx: &Context, number: u64) -> u64 {
        self.saw(Lane::Once, cx, self.life, number);
        // Long enough for a cut between the effect and its answer.
        sleep(Duration::from_millis(number % 13)).await;
        number
    }

    fn numbers(&self, cx: &Context, count: u64, pace: u64) -> impl Stream<Item = Item> {
        self.items(Lane::Numbers, cx, 0, count, pace)
    }

    fn log(&self, cx: &Context, after: Option<u64>, count: u64, pace: u64) -> impl Stream<Item = Item> {
        self.items(Lane::Log, cx, after.map_or(0, |after| after + 1), count, pace)
    }

    async fn collect(&self, cx: &Context, upload: u64, mut items: Streaming<Item>) -> u64 {
        let mut count = 0;
        while let Some(Ok(item)) = items.next().await {
            // An item that is not what was sent counts as one that was never sent.
            let number = if item.is_whole() { item.number } else { u64::MAX };
            self.saw(Lane::Upload, cx, upload, number);
            count += 1;
        }
        count
    }

    async fn life(&self) -> u64 {
        self.life
    }
}
