//! Whole calls, streams and deliveries: a real server and real clients with their defaults on one runtime and one thread.
//! Everything is on: errors, deadlines, cancellation, credit, acknowledgements, replay.
//!
//! Unit: per call, per item or per delivery, for both ends and the runtime between them. Over memory links nothing is
//! spent in a kernel; over loopback sockets only what the process itself does is counted.

use bowline::Server;
use bowline::prelude::*;
use futures_util::future::try_join_all;
use tokio::runtime::{Builder, Runtime};

use crate::place::{Client, connect, serve};
use crate::service::{BenchClient, BenchServer, Desk, Frame, small_text};
use crate::{Result, Scenario, Work};

pub(crate) const SCENARIOS: &[Scenario] = &[
    Scenario::counted("call/memory/1_in_flight", "call", (500, 2_000), || calls_in_memory(1)),
    Scenario::counted("call/memory/64_in_flight", "call", (6_400, 12_800), || calls_in_memory(64)),
    Scenario::counted("call/loopback/1_in_flight", "call", (200, 1_000), || calls_over_loopback(1)),
    Scenario::counted("call/loopback/64_in_flight", "call", (6_400, 12_800), || calls_over_loopback(64)),
    Scenario::counted("stream/memory/item", "item", (20_000, 50_000), stream_of_items),
    Scenario::counted("fan_out/100/paced", "delivery", (1_000, 5_000), || fan_out(100, 1)),
    Scenario::counted("fan_out/100/burst_of_100", "delivery", (20_000, 50_000), || fan_out(100, 100)),
    Scenario::counted("upload/memory/1_MiB", "upload", (4, 16), uploads),
];

/// Makes `n` calls with 64 bytes there and back, so many of them in flight.
///
/// # Errors
///
/// When a call fails, or its answer is another than what was sent.
pub async fn calls(client: &Client, in_flight: u64, n: u64) -> Result<()> {
    let lanes = in_flight.min(n);
    let mut tasks = Vec::new();
    for lane in 0..lanes {
        let stub = client.stub.clone();
        let share = n / lanes + u64::from(lane < n % lanes);
        tasks.push(tokio::spawn(one_after_the_other(stub, share)));
    }
    for task in tasks {
        task.await??;
    }
    Ok(())
}

async fn one_after_the_other(stub: BenchClient, n: u64) -> Result<()> {
    let text = small_text();
    for _ in 0..n {
        if stub.echo(text.clone()).await? != text {
            return Err("the server answers something else".into());
        }
    }
    Ok(())
}

/// Reads a stream of `n` numbers to its end.
///
/// # Errors
///
/// When the stream fails, or a number is not the next one.
pub async fn items(client: &Client, n: u64) -> Result<()> {
    let mut numbers = client.stub.numbers(n).await?;
    let mut expected = 0;
    while let Some(number) = numbers.next().await {
        if number? != expected {
            return Err("a number is missing".into());
        }
        expected += 1;
    }
    if expected == n { Ok(()) } else { Err("the stream ended early".into()) }
}

/// Publishes `burst` times and reads all of it from each of `readers`; `n` deliveries in all.
///
/// # Errors
///
/// When a stream ends.
pub async fn deliveries(
    client: &Client,
    readers: &mut [Streaming<String>],
    burst: u64,
    n: u64,
) -> Result<()> {
    let mut left = n;
    while left > 0 {
        for _ in 0..burst {
            client.news.publish(small_text());
        }
        for reader in readers.iter_mut() {
            for _ in 0..burst.min(left) {
                reader.next().await.ok_or("the news are over")??;
                left -= 1;
            }
        }
    }
    Ok(())
}

pub(crate) fn runtime() -> Result<Runtime> {
    Ok(Builder::new_current_thread().enable_all().build()?)
}

fn calls_in_memory(in_flight: u64) -> Result<Work> {
    let runtime = runtime()?;
    let client = runtime.block_on(async { connect(&serve().await).await })?;
    Ok(Box::new(move |n| runtime.block_on(calls(&client, in_flight, n))))
}

fn calls_over_loopback(in_flight: u64) -> Result<Work> {
    let runtime = runtime()?;
    let client = runtime.block_on(connect_over_loopback())?;
    Ok(Box::new(move |n| runtime.block_on(calls(&client, in_flight, n))))
}

async fn connect_over_loopback() -> Result<Client> {
    let desk = Desk::default();
    let news = desk.news.clone();
    let server = Server::builder().service(BenchServer::new(desk)).build();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    tokio::spawn(bowline::serve(listener, server).into_future());
    let stub = BenchClient::connect(format!("ws://{address}/")).await?;
    Ok(Client { stub, news })
}

fn stream_of_items() -> Result<Work> {
    let runtime = runtime()?;
    let client = runtime.block_on(async { connect(&serve().await).await })?;
    Ok(Box::new(move |n| runtime.block_on(items(&client, n))))
}

/// So many sessions that each read what one publishes: `burst` items, then all of them are read.
fn fan_out(subscribers: usize, burst: u64) -> Result<Work> {
    let runtime = runtime()?;
    let (clients, mut readers) = runtime.block_on(subscribe(subscribers))?;
    Ok(Box::new(move |n| runtime.block_on(deliveries(&clients[0], &mut readers, burst, n))))
}

/// Sessions that each read the news.
async fn subscribe(subscribers: usize) -> Result<(Vec<Client>, Vec<Streaming<String>>)> {
    let connector = serve().await;
    let clients = try_join_all((0..subscribers).map(|_| connect(&connector))).await?;
    let readers = try_join_all(clients.iter().map(Client::news)).await?;
    Ok((clients, readers))
}

/// Sends 1 MiB of numbers, of which the server reads one where it lies. The caller gives its frame away, so it makes a
/// copy for each call, which is counted.
fn uploads() -> Result<Work> {
    let runtime = runtime()?;
    let client = runtime.block_on(async { connect(&serve().await).await })?;
    let frame = Frame::large();
    Ok(Box::new(move |n| {
        runtime.block_on(async {
            for _ in 0..n {
                client.stub.upload(frame.clone()).await?;
            }
            Ok(())
        })
    }))
}
