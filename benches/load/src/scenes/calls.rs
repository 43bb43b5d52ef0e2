//! Connections that all call at once.

use std::time::Duration;

use serde::Serialize;

use super::stage::{Clients, Stage};
use crate::Outcome;
use crate::arguments::Options;
use crate::latencies::{Latencies, Spread};
use crate::orders::{Called, ClientsOrder};
use crate::report::{Row, row};

/// What came of one round.
#[derive(Debug, Default, Clone, PartialEq, Serialize)]
pub(crate) struct Calls {
    pub(crate) connections: u64,
    /// Calls under way at each connection.
    pub(crate) in_flight: u64,
    pub(crate) per_second: f64,
    /// Processor time for each call, in microseconds.
    pub(crate) server_cpu_us: f64,
    pub(crate) client_cpu_us: f64,
    pub(crate) latency: Spread,
    pub(crate) answered: u64,
    pub(crate) errors: u64,
    pub(crate) problem: Option<String>,
    /// Calls that the server has counted.
    pub(crate) seen: u64,
}

/// How long the calls of a round may take to end, once no more are made.
const TAIL: Duration = Duration::from_secs(30);

pub(super) async fn run(options: &Options) -> Outcome<Vec<Calls>> {
    let mut stage = Stage::start(options.callers(), options, Clients::Plain).await?;
    stage.connect_gently().await?;
    let mut rounds = Vec::new();
    for in_flight in [1, 16] {
        rounds.push(round(&mut stage, in_flight, options.round()).await?);
    }
    Ok(rounds)
}

async fn round(stage: &mut Stage, in_flight: u64, length: Duration) -> Outcome<Calls> {
    let (before, clients_before) = (stage.look().await?, stage.clients().await?);
    let millis = u64::try_from(length.as_millis()).unwrap_or(u64::MAX);
    let what = format!("calls, {in_flight} in flight each");
    let order = |_| ClientsOrder::Call { in_flight, millis };
    let called: Vec<Called> = stage.everybody(order, length + TAIL, Some(&what)).await?;
    let (after, clients_after) = (stage.look().await?, stage.clients().await?);
    let answered = called.iter().map(|part| part.answered).sum::<u64>();
    let took = called.iter().map(|part| part.took_us).max().unwrap_or(0) as f64 / 1e6;
    let each = |micros: u64| micros as f64 / answered.max(1) as f64;
    Ok(Calls {
        connections: stage.connections,
        in_flight,
        per_second: answered as f64 / took,
        server_cpu_us: each(after.usage.cpu_since(before.usage)),
        client_cpu_us: each(clients_after.cpu_since(clients_before)),
        latency: Latencies::merge(called.iter().map(|part| &part.latencies)),
        answered,
        errors: called.iter().map(|part| part.errors).sum(),
        problem: called.into_iter().find_map(|part| part.problem),
        seen: after.calls - before.calls,
    })
}

impl Calls {
    pub(crate) fn rows(&self) -> Vec<Row> {
        let scene = format!("calls, {} x {}", self.connections, self.in_flight);
        let row = |what, value| row(&scene, what, value);
        let Spread { p50_ms, p99_ms, .. } = self.latency;
        vec![
            row("calls per second", format!("{:.0}", self.per_second)),
            row("server CPU per call", format!("{:.2} µs", self.server_cpu_us)),
            row("client CPU per call", format!("{:.2} µs", self.client_cpu_us)),
            row("p50 / p99", format!("{p50_ms:.2} / {p99_ms:.2} ms")),
            row("answered, each looked at / errors", format!("{} / {}", self.answered, self.errors)),
        ]
    }

    /// What was promised and is not so.
    pub(crate) fn broken(&self) -> Vec<String> {
        let Self { connections, in_flight, answered, errors, seen, .. } = self;
        let mut broken = Vec::new();
        if *errors > 0 {
            let problem = self.problem.as_deref().unwrap_or_default();
            broken.push(format!("{errors} calls failed or were answered wrongly; {problem}"));
        }
        if answered + errors < connections * in_flight {
            broken.push(format!("only {answered} calls ended at {connections} connections"));
        }
        if *seen != *answered && *errors == 0 {
            broken.push(format!("{answered} calls were answered, and {seen} ran at the server"));
        }
        broken.into_iter().map(|sentence| format!("calls, {in_flight} in flight: {sentence}")).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_promise_can_be_broken() {
        let good = Calls { connections: 10, in_flight: 2, answered: 100, seen: 100, ..Calls::default() };
        assert!(good.broken().is_empty());
        assert_eq!(Calls { errors: 1, ..good.clone() }.broken().len(), 1);
        assert_eq!(Calls { seen: 101, ..good.clone() }.broken().len(), 1, "one ran twice");
        assert_eq!(Calls { seen: 19, answered: 19, ..good }.broken().len(), 1, "one never ended");
    }
}
