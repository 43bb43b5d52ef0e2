//! One publisher, many subscribers.

use std::time::Duration;

use serde::Serialize;

use super::stage::{Clients, Stage};
use crate::Outcome;
use crate::arguments::Options;
use crate::latencies::{Latencies, Spread};
use crate::orders::ServerOrder;
use crate::report::{Row, row};

/// What came of one round.
#[derive(Debug, Default, Clone, PartialEq, Serialize)]
pub(crate) struct FanOut {
    pub(crate) subscribers: u64,
    /// Items that are published at one moment.
    pub(crate) burst: u64,
    pub(crate) published: u64,
    /// Processor time of the server, and of the clients, for each item at each subscriber, in microseconds.
    pub(crate) server_cpu_us: f64,
    pub(crate) client_cpu_us: f64,
    /// From publish to arrival.
    pub(crate) latency: Spread,
    /// Items that arrived, in their places; gaps, and the items that these say are missing.
    pub(crate) delivered: u64,
    pub(crate) gaps: u64,
    pub(crate) skipped: u64,
    /// Subscribers that read to the end.
    pub(crate) complete: u64,
    pub(crate) problem: Option<String>,
}

/// Deliveries per second that a round is paced to, so that it waits for nobody: of single items, and of bursts.
const PACED: u64 = 10_000;
const BURST: u64 = 200_000;

pub(super) async fn run(subscribers: u64, options: &Options) -> Outcome<Vec<FanOut>> {
    let mut stage = Stage::start(subscribers, options, Clients::Plain).await?;
    stage.connect_gently().await?;
    stage.subscribe().await?;
    let (singles, bursts) = if options.quick { (10, 2) } else { (20, 5) };
    let paced = round(&mut stage, 0, Plan { bursts: singles, burst: 1, per_second: PACED }).await?;
    let burst = round(&mut stage, singles, Plan { bursts, burst: 100, per_second: BURST }).await?;
    Ok(vec![paced, burst])
}

/// What one round publishes.
struct Plan {
    bursts: u64,
    burst: u64,
    per_second: u64,
}

async fn round(stage: &mut Stage, first: u64, plan: Plan) -> Outcome<FanOut> {
    let Plan { bursts, burst, per_second } = plan;
    let subscribers = stage.connections;
    let every_us = subscribers * burst * 1_000_000 / per_second;
    let published = bursts * burst;
    let what = match burst {
        1 => format!("one item at a time to {subscribers}"),
        _ => format!("{burst} items at a time to {subscribers}"),
    };
    let within = Duration::from_secs(60) + 3 * Duration::from_micros(every_us * bursts);
    let (before, clients_before) = (stage.look().await?.usage, stage.clients().await?);
    let publish = ServerOrder::Publish { bursts, burst, every_us };
    let parts = stage.deliver(publish, first + published, within, &what).await?;
    let (after, clients_after) = (stage.look().await?.usage, stage.clients().await?);
    let each = |micros: u64| micros as f64 / (published * subscribers) as f64;
    Ok(FanOut {
        subscribers,
        burst,
        published,
        server_cpu_us: each(after.cpu_since(before)),
        client_cpu_us: each(clients_after.cpu_since(clients_before)),
        latency: Latencies::merge(parts.iter().map(|part| &part.latencies)),
        delivered: parts.iter().map(|part| part.items).sum(),
        gaps: parts.iter().map(|part| part.gaps).sum(),
        skipped: parts.iter().map(|part| part.skipped).sum(),
        complete: parts.iter().map(|part| part.complete).sum(),
        problem: parts.into_iter().find_map(|part| part.problem),
    })
}

impl FanOut {
    fn name(&self) -> String {
        match self.burst {
            1 => format!("fan-out, {}, paced", self.subscribers),
            burst => format!("fan-out, {}, {burst} at once", self.subscribers),
        }
    }

    pub(crate) fn rows(&self) -> Vec<Row> {
        let scene = self.name();
        let row = |what, value| row(&scene, what, value);
        let Spread { p50_ms, p99_ms, .. } = self.latency;
        vec![
            row("server CPU per delivery", format!("{:.2} µs", self.server_cpu_us)),
            row("client CPU per delivery", format!("{:.2} µs", self.client_cpu_us)),
            row("from publish to arrival, p50 / p99", format!("{p50_ms:.2} / {p99_ms:.2} ms")),
            row("delivered, each looked at", self.delivered.to_string()),
            row("gaps / items they skip", format!("{} / {}", self.gaps, self.skipped)),
        ]
    }

    /// What was promised and is not so.
    pub(crate) fn broken(&self) -> Vec<String> {
        let Self { subscribers, published, delivered, skipped, complete, .. } = self;
        let mut broken = Vec::new();
        if complete != subscribers {
            let problem = self.problem.as_deref().unwrap_or_default();
            broken.push(format!("{complete} of {subscribers} subscribers read to the end; {problem}"));
        } else if delivered + skipped != published * subscribers {
            broken.push(format!(
                "{delivered} items arrived and gaps told of {skipped}: not {published} for each of {subscribers}"
            ));
        }
        broken.into_iter().map(|sentence| format!("{}: {sentence}", self.name())).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_promise_can_be_broken() {
        let good = FanOut {
            subscribers: 10,
            burst: 1,
            published: 5,
            delivered: 48,
            gaps: 1,
            skipped: 2,
            complete: 10,
            ..FanOut::default()
        };
        assert!(good.broken().is_empty(), "a gap that says what it skips is no broken promise");
        assert_eq!(FanOut { complete: 9, ..good.clone() }.broken().len(), 1);
        assert_eq!(FanOut { skipped: 1, ..good.clone() }.broken().len(), 1, "missing without a gap");
        assert_eq!(FanOut { delivered: 49, ..good }.broken().len(), 1, "one twice");
    }
}
