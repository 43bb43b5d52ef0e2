//! A stream whose reader stops while its handler makes items as fast as it can: what the server holds because of that,
//! whether an item is lost, and what is left of the rate of other calls.
//!
//! The server is a process of its own, so that its memory is nobody else's.

mod service;

use std::time::Instant;

use bowline::prelude::*;
use tokio::runtime::Runtime;

use crate::Result;
use crate::apart::{Child, anonymous, standing_still};
use crate::measure::{Setting, Spread};
use crate::peers::bowline::connect;
use crate::peers::{in_tasks, same};
use crate::report::{Line, metrics};
use crate::scenarios::calls::TEXT;
use service::{SlowClient, text};

pub use service::serve;

const IN_FLIGHT: usize = 64;

/// What is read before the reader stops.
const READ_FIRST: u64 = 100;

/// How much is done.
#[derive(Debug, Clone, Copy)]
struct Amount {
    /// Items of the stream, 64 bytes and a number each: far more than anybody may hold.
    items: u64,
    /// Calls for each rate.
    calls: u64,
    /// How often each rate is taken with and without a stream, in turn.
    slices: usize,
}

/// One round's result.
#[derive(Debug)]
struct Round {
    grown: f64,
    lost: f64,
    /// Rates with a stream that nobody reads, as parts of those without.
    kept: Vec<Rates>,
}

/// Of calls on the session that has the stream, and on another.
#[derive(Debug, Clone, Copy)]
struct Rates {
    same: f64,
    other: f64,
}

/// Measures Bowline; each round is a new server.
///
/// # Errors
///
/// When an item or an answer is wrong, or the server holds everything that the handler makes.
pub fn run(setting: &Setting) -> Result<Vec<Line>> {
    let amount = setting.pick(
        Amount { items: 50_000, calls: 64, slices: 1 },
        Amount { items: 400_000, calls: 20_000, slices: 4 },
        Amount { items: 1_000_000, calls: 50_000, slices: 8 },
    );
    let client = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    let mut rounds = Vec::new();
    for round in 1..=setting.rounds() {
        setting.progress.doing(format!("bowline, round {round} of {}", setting.rounds()));
        rounds.push(measure(&client, amount)?);
    }
    let kept = |of: fn(&Rates) -> f64| Spread::of(rounds.iter().flat_map(|round| round.kept.iter().map(of)));
    Ok(vec![
        Line::new("bowline")
            .with(&metrics::GROWN, Spread::of(rounds.iter().map(|round| round.grown)))
            .with(&metrics::LOST, Spread::of(rounds.iter().map(|round| round.lost)))
            .with(&metrics::KEPT, kept(|kept| kept.same)),
        Line::new("bowline, calls of another session").with(&metrics::KEPT, kept(|kept| kept.other)),
    ])
}

fn measure(runtime: &Runtime, amount: Amount) -> Result<Round> {
    let mut server = Child::start(&["slow-reader"])?;
    let (process, address) = (server.id(), server.line()?.parse()?);
    let ends = runtime.block_on(runtime.spawn(async move {
        let ends = Ends { slow: connect(address).await?, other: connect(address).await? };
        // What calls and a stream that is read need is there before the memory is looked at.
        ends.rates(amount.calls).await?;
        read(ends.slow.flood(READ_FIRST).await?, 0).await?;
        Ok::<_, crate::Error>(ends)
    }))??;
    let (before, _) = standing_still(|| anonymous(process))?;

    let (ends, stream) = runtime.block_on(runtime.spawn(ends.stall(amount.items)))??;
    let (_, most) = standing_still(|| anonymous(process))?;
    let (ends, made) = runtime.block_on(runtime.spawn(async move {
        ends.rates(amount.calls).await?;
        let made = ends.other.made().await?;
        Ok::<_, crate::Error>((ends, made))
    }))??;
    let most = most.max(anonymous(process)?);
    if made >= READ_FIRST + amount.items {
        return Err("the handler made all items although nobody read them".into());
    }
    let got = READ_FIRST + runtime.block_on(runtime.spawn(read(stream, READ_FIRST)))??;

    let kept = runtime.block_on(runtime.spawn(ends.kept(amount)))??;
    server.finish()?;
    Ok(Round { grown: most.saturating_sub(before) as f64, lost: amount.items as f64 - got as f64, kept })
}

/// Two sessions of two clients.
struct Ends {
    slow: SlowClient,
    other: SlowClient,
}

impl Ends {
    /// Opens a stream and stops reading after its first items.
    async fn stall(self, items: u64) -> Result<(Self, Items)> {
        let mut stream = self.slow.flood(items).await?;
        for number in 0..READ_FIRST {
            expect(stream.next().await, number)?;
        }
        Ok((self, stream))
    }

    /// Of both, one after the other.
    async fn rates(&self, calls: u64) -> Result<Rates> {
        Ok(Rates { same: rate(&self.slow, calls).await?, other: rate(&self.other, calls).await? })
    }

    /// The rates with a stream that nobody reads, divided by those without, in turn.
    async fn kept(mut self, amount: Amount) -> Result<Vec<Rates>> {
        let mut kept = Vec::new();
        for _ in 0..amount.slices {
            let without = self.rates(amount.calls).await?;
            let stream;
            (self, stream) = self.stall(amount.items).await?;
            let with = self.rates(amount.calls).await?;
            drop(stream);
            kept.push(Rates { same: with.same / without.same, other: with.other / without.other });
        }
        Ok(kept)
    }
}

/// Calls in a second.
async fn rate(service: &SlowClient, n: u64) -> Result<f64> {
    let start = Instant::now();
    in_tasks(IN_FLIGHT, n, move |share| {
        let service = service.clone();
        async move {
            for _ in 0..share {
                same(TEXT, &*service.echo(TEXT.to_owned()).await?)?;
            }
            Ok(())
        }
    })
    .await?;
    Ok(n as f64 / start.elapsed().as_secs_f64())
}

type Items = Streaming<service::Item>;

/// Reads to the end; how many came. Each must be the next one.
async fn read(mut stream: Items, first: u64) -> Result<u64> {
    let mut next = first;
    while let Some(item) = stream.next().await {
        expect(Some(item), next)?;
        next += 1;
    }
    Ok(next - first)
}

fn expect(
    item: Option<Result<service::Item, StreamError<std::convert::Infallible>>>,
    number: u64,
) -> Result<()> {
    let item = item.ok_or_else(|| format!("the stream ended before item {number}"))??;
    if item.number != number || item.text != text() {
        return Err(format!("item {} came instead of {number}", item.number).into());
    }
    Ok(())
}
