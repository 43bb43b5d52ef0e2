//! Connections that do nothing: what they cost, and whether they are still there at the end.

use std::time::Duration;

use serde::Serialize;
use tokio::time::{Instant, sleep};

use super::stage::{Clients, Stage};
use crate::Outcome;
use crate::arguments::Options;
use crate::machine::Usage;
use crate::orders::{Asked, Roll, Seen};
use crate::progress::Progress;
use crate::report::{Row, row};

/// What came of it.
#[derive(Debug, Default, Clone, PartialEq, Serialize)]
pub(crate) struct Idle {
    pub(crate) connections: u64,
    pub(crate) held_s: f64,
    /// Memory of the server before the first connection, and KiB of each connection after all were made, in the middle and at
    /// the end.
    pub(crate) before_kib: u64,
    pub(crate) start_kib: f64,
    pub(crate) middle_kib: f64,
    pub(crate) end_kib: f64,
    /// Processor time of the server for each connection and second, in microseconds.
    pub(crate) server_cpu_us: f64,
    /// The same, and memory of each connection at the end, of the clients.
    pub(crate) client_cpu_us: f64,
    pub(crate) client_kib: f64,
    /// Calls of the last roll call: at the clients, and at the server.
    pub(crate) asked: Asked,
    pub(crate) roll: Roll,
    pub(crate) seen: Seen,
}

pub(super) async fn run(options: &Options) -> Outcome<Idle> {
    let (connections, hold) = (options.many(), options.hold());
    let mut stage = Stage::start(connections, options, Clients::Plain).await?;
    let (before, clients_before) = (stage.look().await?.usage, stage.clients().await?);
    stage.connect_gently().await?;
    // Everybody calls once, as everybody does who connects for a reason; what that leaves behind counts as well.
    stage.roll_call().await?;
    let (start, clients_start) = (stage.look().await?.usage, stage.clients().await?);
    let begin = Instant::now();
    let mut progress = Progress::new(format!("holding {connections} connections"), hold.as_secs().max(1));
    wait(begin, hold / 2, &mut progress).await;
    let middle = stage.look().await?.usage;
    wait(begin, hold, &mut progress).await;
    drop(progress);
    let (end, held_s) = (stage.look().await?.usage, begin.elapsed().as_secs_f64());
    let clients_end = stage.clients().await?;
    let (asked, roll) = stage.roll_call().await?;
    let each = |from: Usage, to: Usage| to.rss_since(from) / connections as f64;
    let cpu = |from: Usage, to: Usage| to.cpu_since(from) as f64 / (connections as f64 * held_s);
    Ok(Idle {
        connections,
        held_s,
        before_kib: before.rss_kib,
        start_kib: each(before, start),
        middle_kib: each(before, middle),
        end_kib: each(before, end),
        server_cpu_us: cpu(start, end),
        client_cpu_us: cpu(clients_start, clients_end),
        client_kib: each(clients_before, clients_end),
        asked,
        roll,
        seen: stage.look().await?,
    })
}

/// Waits until so long after the beginning.
async fn wait(begin: Instant, length: Duration, progress: &mut Progress) {
    while begin.elapsed() < length {
        sleep((length - begin.elapsed()).min(Duration::from_secs(1))).await;
        progress.at(begin.elapsed().as_secs());
    }
}

impl Idle {
    pub(crate) fn rows(&self) -> Vec<Row> {
        let scene = format!("idle, {}", self.connections);
        let row = |what, value| row(&scene, what, value);
        vec![
            row("held", format!("{:.1} s", self.held_s)),
            row("server memory per connection, start", format!("{:.2} KiB", self.start_kib)),
            row("server memory per connection, middle", format!("{:.2} KiB", self.middle_kib)),
            row("server memory per connection, end", format!("{:.2} KiB", self.end_kib)),
            row("server memory without connections", format!("{} KiB", self.before_kib)),
            row("server CPU per connection and second", format!("{:.2} µs", self.server_cpu_us)),
            row("client memory per connection, end", format!("{:.2} KiB", self.client_kib)),
            row("client CPU per connection and second", format!("{:.2} µs", self.client_cpu_us)),
            row("sessions that called at the end, at the server", self.roll.sessions.to_string()),
            row("links that were made again", self.seen.resumed.to_string()),
        ]
    }

    /// What was promised and is not so.
    pub(crate) fn broken(&self) -> Vec<String> {
        let Self { connections, asked, roll, seen, .. } = self;
        let mut broken = Vec::new();
        if asked.answered != *connections || asked.same != *connections {
            broken.push(format!(
                "of {connections} connections {} answered at the end, {} in the session they began with; {}",
                asked.answered,
                asked.same,
                asked.problem.as_deref().unwrap_or("no call failed")
            ));
        }
        if (roll.calls, roll.sessions) != (*connections, *connections) {
            broken.push(format!(
                "the server saw {} calls of {} sessions at the end, and there are {connections}",
                roll.calls, roll.sessions
            ));
        }
        if (seen.attached, seen.begun, seen.detached) != (*connections, *connections, 0) {
            broken.push(format!(
                "{} sessions began for {connections} connections; {} have a link and {} none",
                seen.begun, seen.attached, seen.detached
            ));
        }
        if seen.resumed + seen.ended + seen.refused > 0 {
            broken.push(format!(
                "idle links fell: {} sessions went on over another link, {} were given up, {} were refused",
                seen.resumed, seen.ended, seen.refused
            ));
        }
        broken.into_iter().map(|sentence| format!("idle: {sentence}")).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn good() -> Idle {
        Idle {
            connections: 10,
            asked: Asked { answered: 10, same: 10, problem: None },
            roll: Roll { calls: 10, sessions: 10 },
            seen: Seen { attached: 10, begun: 10, ..Seen::default() },
            ..Idle::default()
        }
    }

    #[test]
    fn each_promise_can_be_broken() {
        assert!(good().broken().is_empty());
        let spoil: [fn(&mut Idle); 9] = [
            |idle| idle.asked.answered = 9,
            |idle| idle.asked.same = 9,
            |idle| idle.roll.calls = 11,
            |idle| idle.roll.sessions = 9,
            |idle| idle.seen.attached = 9,
            |idle| idle.seen.begun = 11,
            |idle| idle.seen.detached = 1,
            |idle| idle.seen.resumed = 1,
            |idle| idle.seen.refused = 1,
        ];
        for (place, spoil) in spoil.into_iter().enumerate() {
            let mut idle = good();
            spoil(&mut idle);
            assert_eq!(idle.broken().len(), 1, "{place}");
        }
    }
}
