//! Publishing to a topic, without what follows at its subscribers: the value is encoded once and put into each queue.
//!
//! Unit: per value published, for all subscribers together. They are sessions in memory whose streams keep the newest
//! value only, and they are not polled: each value takes the place of the one before.

use crate::place::{connect, serve};
use crate::service::small_text;
use crate::{Result, Scenario, Work};

use super::whole::runtime;

pub(crate) const SCENARIOS: &[Scenario] = &[
    Scenario::counted("topic/publish/to_1", "value", (10, 1_000), || publish(1)),
    Scenario::counted("topic/publish/to_100", "value", (10, 1_000), || publish(100)),
    Scenario::timed("topic/publish/to_1000", "value", || publish(1_000)),
];

fn publish(subscribers: usize) -> Result<Work> {
    let runtime = runtime()?;
    let (client, readers) = runtime.block_on(subscribe(subscribers))?;
    Ok(Box::new(move |n| {
        let _ = (&runtime, &readers);
        for _ in 0..n {
            client.news.publish(small_text());
        }
        Ok(())
    }))
}

/// All streams are of one client up to what a session may have open, then of another.
async fn subscribe(
    subscribers: usize,
) -> Result<(crate::Client, Vec<(crate::Client, bowline::Streaming<String>)>)> {
    let connector = serve().await;
    let mut client = connect(&connector).await?;
    let mut readers = Vec::new();
    for number in 1..=subscribers {
        if number % 200 == 0 {
            client = connect(&connector).await?;
        }
        let stream = client.stub.newest().await?;
        readers.push((client.clone(), stream));
    }
    if client.news.subscribers() != subscribers {
        return Err("not everybody subscribed".into());
    }
    Ok((client, readers))
}
