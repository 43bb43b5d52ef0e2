//! Server streams, as a program reads them: what comes is written down, and a stream that failed is opened again.

use std::sync::atomic::Ordering;

use bowline::prelude::*;
use tokio::time::{sleep, timeout};

use super::One;
use super::lanes::{REST, end_of, unless_stopped};
use crate::journal::{End, Lane, Record, What};
use crate::service::Item;

/// More than any run reads.
const ENDLESS: u64 = u64::MAX >> 1;

/// Streams without a cursor: each time the rest of what is wanted.
pub(super) async fn numbers(one: &One, count: u64) {
    let mut received = 0;
    while one.goes_on(received, count) {
        let rest = if one.swarm.options.endless { ENDLESS } else { count - received };
        let opening = one.stub.numbers(rest, pace(one)).deadline(one.deadline());
        let end = match timeout(one.swarm.guard(), unless_stopped(one, opening)).await {
            Ok(Some(Ok(stream))) => follow(one, Lane::Numbers, stream, |_| received += 1).await,
            Ok(Some(Err(error))) => end_of(&error),
            Ok(None) => End::Stopped,
            Err(_) => End::Hanging,
        };
        over(one, Lane::Numbers, end).await;
    }
}

/// The log: where the stream does not go on by itself, it is opened behind the last item.
pub(super) async fn log(one: &One, count: u64) {
    let mut last = None;
    while one.goes_on(last.map_or(0, |last| last + 1), count) {
        let count = if one.swarm.options.endless { ENDLESS } else { count };
        let opening = one.stub.log(last, count, pace(one)).deadline(one.deadline());
        let end = match timeout(one.swarm.guard(), unless_stopped(one, opening)).await {
            Ok(Some(Ok(stream))) => follow(one, Lane::Log, stream, |number| last = Some(number)).await,
            Ok(Some(Err(error))) => end_of(&error),
            Ok(None) => End::Stopped,
            Err(_) => End::Hanging,
        };
        over(one, Lane::Log, end).await;
    }
}

fn pace(one: &One) -> u64 {
    if one.swarm.options.endless { one.swarm.pace().as_micros() as u64 } else { 0 }
}

async fn over(one: &One, lane: Lane, end: End) {
    one.ended(lane, 0, 0, end);
    if end != End::Done {
        sleep(REST).await;
    }
}

/// Reads a stream to its end.
async fn follow<E>(one: &One, lane: Lane, mut stream: Streaming<Item, E>, mut took: impl FnMut(u64)) -> End
where
    Streaming<Item, E>: Stream<Item = Result<Item, StreamError<E>>>,
{
    loop {
        let item = match timeout(one.swarm.guard(), unless_stopped(one, stream.next())).await {
            Ok(Some(Some(item))) => item,
            Ok(Some(None)) => return End::Done,
            Ok(None) => return End::Stopped,
            Err(_) => return End::Hanging,
        };
        match item {
            Ok(item) if item.is_whole() => {
                one.swarm.write(Record::new(What::Delivered, lane, one.number, item.run, item.number));
                one.swarm.received.fetch_add(1, Ordering::Relaxed);
                took(item.number);
            }
            Ok(item) => {
                let Item { run, number, filling } = item;
                let start: String = filling.chars().take(40).collect();
                eprintln!("wrong item: run {run:#x}, number {number:#x}, {} bytes: {start:?}", filling.len());
                return End::Wrong;
            }
            Err(StreamError::Gap { .. }) => {
                one.swarm.write(Record::new(What::Gap, lane, one.number, 0, 0));
            }
            Err(StreamError::Failed(error)) => return end_of(&error),
            Err(_) => return End::Failed,
        }
    }
}
