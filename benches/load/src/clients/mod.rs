//! Many clients in one process: Bowline's, with the default configuration.

mod dialer;
mod reader;
mod stampede;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bowline::prelude::*;
use bowline::{Arrival, Client, State};
use futures_util::stream::{self, FuturesUnordered};
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::time::{Instant as Deadline, timeout_at};

use crate::Outcome;
use crate::child::{Counter, Said, say};
use crate::latencies::Recorder;
use crate::machine::Usage;
use crate::orders::{Arrivals, Asked, ClientsOrder};
use crate::service::{Item, LoadClient};
use dialer::Dialer;

/// What the conductor tells a process with clients at its start.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Options {
    /// The number of the first client; it has a number of its own in all processes.
    pub(crate) first: u64,
    pub(crate) clients: u64,
    pub(crate) seed: u64,
    /// Whether their links are to be cut. Those that are not are the connector's own.
    pub(crate) cuttable: bool,
}

/// How many calls of a roll call, and streams that are opened, are under way at one time.
const AT_ONCE: usize = 256;

/// One client.
struct One {
    number: u64,
    client: Client,
    stub: LoadClient,
    /// What it was answered at the last roll call.
    session: Option<u128>,
    items: Option<Streaming<Item>>,
    /// The next item that is to come.
    next: u64,
}

/// All of them.
struct Crowd {
    options: Options,
    dialer: Arc<Dialer>,
    all: Vec<One>,
}

/// Does what it is told until the orders end.
pub(crate) async fn run(options: Options, mut orders: UnboundedReceiver<String>) -> Outcome<()> {
    let dialer = Arc::new(Dialer::new(options.cuttable));
    let mut crowd = Crowd { options, dialer, all: Vec::new() };
    while let Some(line) = orders.recv().await {
        let order = serde_json::from_str(&line).map_err(|error| format!("`{line}`: {error}"))?;
        let within = |seconds| Deadline::now() + Duration::from_secs(seconds);
        match order {
            ClientsOrder::Connect { to, at_once, within_s } => {
                say(&Said::Done(crowd.connect(to, at_once, within(within_s)).await));
            }
            ClientsOrder::Cut { within_s } => say(&Said::Done(crowd.cut(within(within_s)).await)),
            ClientsOrder::Look => say(&Said::Done(Usage::now()?)),
            ClientsOrder::Ask => say(&Said::Done(crowd.ask().await)),
            ClientsOrder::Call { in_flight, millis } => {
                let length = Duration::from_millis(millis);
                say(&Said::Done(stampede::run(&crowd.all, crowd.options.seed, in_flight, length).await));
            }
            ClientsOrder::Subscribe => match crowd.subscribe().await {
                Ok(streams) => say(&Said::Done(streams)),
                Err(sentence) => say(&Said::<u64>::Failed(sentence)),
            },
            ClientsOrder::Read { until, within_s } => {
                let seed = crowd.options.seed;
                say(&Said::Done(reader::run(&mut crowd.all, seed, until, within(within_s)).await));
            }
        }
    }
    Ok(())
}

impl Crowd {
    /// Connects everybody, so many at a time.
    async fn connect(&mut self, to: SocketAddr, at_once: u64, until: Deadline) -> Arrivals {
        let Options { first, clients, .. } = self.options;
        let before = self.dialer.dials();
        let mut counter = Counter::begin(clients);
        let begin = Instant::now();
        let (dialer, latencies) = (&self.dialer, Recorder::new());
        let arriving = stream::iter(first..first + clients).map(|number| {
            // Of all at once none begins later than the others.
            let start = if at_once < clients { Instant::now() } else { begin };
            let endpoint = format!("ws://{to}/?client={number}");
            let client = Client::builder(endpoint).connector(dialer.clone()).connect_lazy();
            async move {
                let arrival = live(&mut client.states()).await;
                (number, client, arrival, start.elapsed())
            }
        });
        let mut arriving = arriving.buffer_unordered(usize::try_from(at_once).unwrap_or(usize::MAX));
        let mut arrivals = Arrivals { of: clients, ..Arrivals::default() };
        while let Ok(Some((number, client, arrival, took))) = timeout_at(until, arriving.next()).await {
            latencies.record(0, took);
            arrivals.count(arrival);
            let stub = client.client();
            self.all.push(One { number, client, stub, session: None, items: None, next: 0 });
            counter.count();
        }
        arrivals.finish(begin, &latencies, self.dialer.dials().since(before))
    }

    /// Cuts all links and waits until everybody is live again.
    async fn cut(&mut self, until: Deadline) -> Arrivals {
        let before = self.dialer.dials();
        let mut counter = Counter::begin(self.all.len() as u64);
        let mut arriving = FuturesUnordered::new();
        for one in &self.all {
            let mut states = one.client.states();
            // What it is now, so that the next one is of the time after the cut.
            states.next().await;
            arriving.push(async move { live(&mut states).await });
        }
        self.dialer.cut();
        let (begin, latencies) = (Instant::now(), Recorder::new());
        let mut arrivals = Arrivals { of: self.all.len() as u64, ..Arrivals::default() };
        while let Ok(Some(arrival)) = timeout_at(until, arriving.next()).await {
            latencies.record(0, begin.elapsed());
            arrivals.count(arrival);
            counter.count();
        }
        arrivals.finish(begin, &latencies, self.dialer.dials().since(before))
    }

    /// Asks at each session which one it is.
    async fn ask(&mut self) -> Asked {
        let mut counter = Counter::begin(self.all.len() as u64);
        let mut asked = Asked::default();
        let asking = stream::iter(&mut self.all).map(|one| async move {
            let answer = one.stub.here(one.number).await;
            (one, answer)
        });
        let mut asking = asking.buffer_unordered(AT_ONCE);
        while let Some((one, answer)) = asking.next().await {
            counter.count();
            match answer {
                Ok(here) if here.number == one.number => {
                    let known = one.session.replace(here.session);
                    asked.answered += 1;
                    asked.same += u64::from(known.is_none_or(|known| known == here.session));
                }
                other => drop(asked.problem.get_or_insert(format!("client {}: {other:?}", one.number))),
            }
        }
        asked
    }

    /// Opens the stream of items at each client.
    async fn subscribe(&mut self) -> Outcome<u64> {
        let mut counter = Counter::begin(self.all.len() as u64);
        let opening = stream::iter(&mut self.all).map(|one| async move {
            let opened = one.stub.items().await;
            (one, opened)
        });
        let mut opening = opening.buffer_unordered(AT_ONCE);
        let mut streams = 0;
        while let Some((one, opened)) = opening.next().await {
            one.items = Some(opened.map_err(|error| format!("client {}: {error}", one.number))?);
            streams += 1;
            counter.count();
        }
        Ok(streams)
    }
}

/// Waits until a client is live; `None` when it has stopped trying.
async fn live(states: &mut (impl Stream<Item = State> + Unpin)) -> Option<Arrival> {
    while let Some(state) = states.next().await {
        match state {
            State::Live(arrival) => return Some(arrival),
            state if state.is_stopped() => return None,
            _ => {}
        }
    }
    None
}

impl Arrivals {
    fn count(&mut self, arrival: Option<Arrival>) {
        let Some(arrival) = arrival else { return };
        self.live += 1;
        match arrival {
            Arrival::New => self.new += 1,
            Arrival::Resumed => self.resumed += 1,
            _ => self.replaced += 1,
        }
    }

    fn finish(self, begin: Instant, latencies: &Recorder, dials: crate::orders::Dials) -> Self {
        let took_us = u64::try_from(begin.elapsed().as_micros()).unwrap_or(u64::MAX);
        Self { took_us, latencies: latencies.finish(), dials, ..self }
    }
}
