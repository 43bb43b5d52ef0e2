//! Everybody connects at once; then everybody loses the link at once.

use serde::Serialize;

use super::stage::{Clients, Stage};
use crate::Outcome;
use crate::arguments::Options;
use crate::latencies::{Latencies, Spread};
use crate::machine::{Queue, Usage};
use crate::orders::{Arrivals, Asked, Dials, Roll, Seen};
use crate::report::{Row, row};

/// What came of it.
#[derive(Debug, Default, Clone, PartialEq, Serialize)]
pub(crate) struct Storm {
    pub(crate) connections: u64,
    pub(crate) connect: Wave,
    pub(crate) reconnect: Wave,
    /// Calls of the last roll call: at the clients, and at the server.
    pub(crate) asked: Asked,
    pub(crate) roll: Roll,
    pub(crate) seen: Seen,
}

/// How everybody became live.
#[derive(Debug, Default, Clone, PartialEq, Serialize)]
pub(crate) struct Wave {
    pub(crate) live: u64,
    pub(crate) new: u64,
    pub(crate) resumed: u64,
    pub(crate) replaced: u64,
    /// Until the last one was live.
    pub(crate) took_s: f64,
    /// From the beginning until a client was live.
    pub(crate) latency: Spread,
    pub(crate) dials: Dials,
    /// Processor time for each connection, in microseconds.
    pub(crate) server_cpu_us: f64,
    pub(crate) client_cpu_us: f64,
    /// Memory of the server afterwards, for each connection.
    pub(crate) server_kib: f64,
    /// What the kernel counted.
    pub(crate) queue: Queue,
}

impl Arrivals {
    /// Two processes together.
    pub(super) fn and(self, other: Self) -> Self {
        Self {
            live: self.live + other.live,
            of: self.of + other.of,
            new: self.new + other.new,
            resumed: self.resumed + other.resumed,
            replaced: self.replaced + other.replaced,
            took_us: self.took_us.max(other.took_us),
            latencies: self.latencies.and(other.latencies),
            dials: Dials {
                tried: self.dials.tried + other.dials.tried,
                made: self.dials.made + other.dials.made,
                turned_away: self.dials.turned_away + other.dials.turned_away,
                timed_out: self.dials.timed_out + other.dials.timed_out,
                failed: self.dials.failed + other.dials.failed,
            },
        }
    }
}

/// What was used up to one moment.
struct Mark {
    server: Usage,
    clients: Usage,
    queue: Queue,
}

impl Mark {
    async fn now(stage: &mut Stage) -> Outcome<Self> {
        let (server, clients) = (stage.look().await?.usage, stage.clients().await?);
        Ok(Self { server, clients, queue: Queue::now() })
    }

    /// `empty` is before the first connection.
    fn wave(&self, earlier: &Self, empty: Usage, arrivals: &Arrivals) -> Wave {
        let each = |micros: u64| micros as f64 / arrivals.of as f64;
        Wave {
            live: arrivals.live,
            new: arrivals.new,
            resumed: arrivals.resumed,
            replaced: arrivals.replaced,
            took_s: arrivals.took_us as f64 / 1e6,
            latency: Latencies::merge([&arrivals.latencies]),
            dials: arrivals.dials,
            server_cpu_us: each(self.server.cpu_since(earlier.server)),
            client_cpu_us: each(self.clients.cpu_since(earlier.clients)),
            server_kib: self.server.rss_since(empty) / arrivals.of as f64,
            queue: self.queue.since(earlier.queue),
        }
    }
}

pub(super) async fn run(options: &Options) -> Outcome<Storm> {
    let connections = options.many();
    let mut stage = Stage::start(connections, options, Clients::Cuttable).await?;
    let start = Mark::now(&mut stage).await?;
    let arrivals = stage.connect(connections).await?;
    let connected = Mark::now(&mut stage).await?;
    let connect = connected.wave(&start, start.server, &arrivals);
    // Who is whom; a session that does not go on shows at the second roll call.
    stage.roll_call().await?;
    let before = Mark::now(&mut stage).await?;
    let arrivals = stage.cut().await?;
    let reconnect = Mark::now(&mut stage).await?.wave(&before, start.server, &arrivals);
    let (asked, roll) = stage.roll_call().await?;
    Ok(Storm { connections, connect, reconnect, asked, roll, seen: stage.look().await? })
}

impl Storm {
    pub(crate) fn rows(&self) -> Vec<Row> {
        let wave = |name: &str, wave: &Wave| {
            let scene = format!("{name}, {}", self.connections);
            let row = |what, value| row(&scene, what, value);
            let Wave { dials, latency, queue, .. } = wave;
            let vain = dials.tried.saturating_sub(wave.live);
            vec![
                row("until all were live", format!("{:.2} s", wave.took_s)),
                row(
                    "until one was live, p50 / p99",
                    format!("{:.0} / {:.0} ms", latency.p50_ms, latency.p99_ms),
                ),
                row(
                    "new / resumed / replaced",
                    format!("{} / {} / {}", wave.new, wave.resumed, wave.replaced),
                ),
                row("attempts in vain, tried again by backoff", vain.to_string()),
                row(
                    "of these HTTP errors / timeouts / other",
                    format!("{} / {} / {}", dials.turned_away, dials.timed_out, dials.failed),
                ),
                row("full listener queue (kernel, whole machine)", queue.overflows.to_string()),
                row("connection requests sent again (kernel)", queue.syn_repeats.to_string()),
                row("server CPU per connection", format!("{:.0} µs", wave.server_cpu_us)),
                row("client CPU per connection", format!("{:.0} µs", wave.client_cpu_us)),
                row("server memory per connection afterwards", format!("{:.2} KiB", wave.server_kib)),
            ]
        };
        let mut rows = wave("connect storm", &self.connect);
        rows.extend(wave("reconnect storm", &self.reconnect));
        rows.push(row(
            &format!("reconnect storm, {}", self.connections),
            "sessions that called at the end, at the server",
            self.roll.sessions.to_string(),
        ));
        rows
    }

    /// What was promised and is not so.
    pub(crate) fn broken(&self) -> Vec<String> {
        let Self { connections, connect, reconnect, asked, roll, seen } = self;
        let mut broken = Vec::new();
        for (name, wave) in [("connect", connect), ("reconnect", reconnect)] {
            if wave.live != *connections {
                broken.push(format!("{name}: {} of {connections} clients became live", wave.live));
            }
        }
        if connect.new != connect.live {
            broken.push(format!("{} first sessions were none", connect.live - connect.new));
        }
        if reconnect.resumed != *connections || seen.resumed < *connections {
            broken.push(format!(
                "of {connections} sessions {} went on as clients saw it, and {} as the server did",
                reconnect.resumed, seen.resumed
            ));
        }
        if asked.answered != *connections || asked.same != *connections {
            broken.push(format!(
                "of {connections} clients {} were answered at the end, {} in the session of before; {}",
                asked.answered,
                asked.same,
                asked.problem.as_deref().unwrap_or("no call failed")
            ));
        }
        if (roll.sessions, seen.attached) != (*connections, *connections) {
            broken.push(format!(
                "the server saw {} sessions call at the end and has {}, for {connections} clients",
                roll.sessions, seen.attached
            ));
        }
        broken.into_iter().map(|sentence| format!("storm: {sentence}")).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn good() -> Storm {
        Storm {
            connections: 10,
            connect: Wave { live: 10, new: 10, ..Wave::default() },
            reconnect: Wave { live: 10, resumed: 10, ..Wave::default() },
            asked: Asked { answered: 10, same: 10, problem: None },
            roll: Roll { calls: 10, sessions: 10 },
            seen: Seen { attached: 10, begun: 10, resumed: 10, ..Seen::default() },
        }
    }

    #[test]
    fn each_promise_can_be_broken() {
        assert!(good().broken().is_empty());
        let spoil: [fn(&mut Storm); 9] = [
            |storm| (storm.connect.live, storm.connect.new) = (9, 9),
            |storm| storm.connect.new = 9,
            |storm| storm.reconnect.live = 9,
            |storm| storm.reconnect.resumed = 9,
            |storm| storm.seen.resumed = 9,
            |storm| storm.asked.answered = 9,
            |storm| storm.asked.same = 9,
            |storm| storm.roll.sessions = 9,
            |storm| storm.seen.attached = 9,
        ];
        for (place, spoil) in spoil.into_iter().enumerate() {
            let mut storm = good();
            spoil(&mut storm);
            assert_eq!(storm.broken().len(), 1, "{place}");
        }
    }
}
