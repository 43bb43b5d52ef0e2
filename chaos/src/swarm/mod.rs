//! Many clients in one process, each with its own session and every kind of traffic at once.

mod lanes;
mod read;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bowline::transport::Backoff;
use bowline::{Arrival, Client, State};
use futures_util::StreamExt;
use serde::{Deserialize, Serialize};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::{interval, sleep, timeout};

use crate::Outcome;
use crate::journal::{Journal, Record};
use crate::service::{ChaosClient, timing};

/// What the orchestrator tells a swarm.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Options {
    pub(crate) journal: PathBuf,
    /// Where each client connects to.
    pub(crate) ports: Vec<u16>,
    /// How much each client does; in an endless run how much at a time.
    pub(crate) work: Work,
    /// Whether lanes go on until they are told to stop, at a pace that leaves time for other things.
    pub(crate) endless: bool,
    /// The deadline of every call, in milliseconds.
    pub(crate) deadline: u64,
}

/// Messages of one client.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Work {
    pub(crate) calls: u64,
    pub(crate) effects: u64,
    pub(crate) numbers: u64,
    pub(crate) log: u64,
    pub(crate) uploaded: u64,
}

/// What the swarm says of itself, a line of JSON at a time.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Status {
    /// Messages that went up and down.
    pub(crate) sent: u64,
    pub(crate) received: u64,
    /// Clients with something still to do.
    pub(crate) busy: u64,
    /// The newest life of the server that any client talked to, and how many clients did last.
    pub(crate) life: u64,
    pub(crate) live: u64,
    /// Sessions that went on over a new link, and those that could not. A state between two looks is not seen, so there may
    /// be more.
    pub(crate) resumed: u64,
    pub(crate) replaced: u64,
    /// The last line: everybody was asked once more, and `live` answered.
    pub(crate) finished: bool,
}

/// What all tasks of one client share.
pub(crate) struct One {
    number: u32,
    stub: ChaosClient,
    client: Client,
    swarm: Arc<Swarm>,
    /// The life of the server that answered last; 0 before the first answer and while nobody answers.
    life: AtomicU64,
}

struct Swarm {
    options: Options,
    journal: Journal,
    sent: AtomicU64,
    received: AtomicU64,
    busy: AtomicU64,
    resumed: AtomicU64,
    replaced: AtomicU64,
    stop: watch::Receiver<bool>,
}

impl Swarm {
    fn deadline(&self) -> Duration {
        Duration::from_millis(self.options.deadline)
    }

    /// When something that has a deadline is given up as hanging.
    fn guard(&self) -> Duration {
        self.deadline() + Duration::from_secs(15)
    }

    fn is_stopping(&self) -> bool {
        *self.stop.borrow()
    }

    async fn stopped(&self) {
        let mut stop = self.stop.clone();
        // An error means that the process ends.
        let _ = stop.wait_for(|&stop| stop).await;
    }

    fn write(&self, record: Record) {
        self.journal.write(record);
    }
}

/// Runs all clients to their end. `orders` are the lines that the orchestrator writes: `stop` ends an endless run, `finish`
/// asks everybody once more and closes.
pub(crate) async fn run(options: Options, mut orders: mpsc::UnboundedReceiver<String>) -> Outcome<()> {
    let journal = Journal::create(&options.journal).map_err(|error| format!("the journal: {error}"))?;
    let (stopper, stop) = watch::channel(false);
    let ports = options.ports.clone();
    let swarm = Arc::new(Swarm {
        options,
        journal,
        sent: AtomicU64::new(0),
        received: AtomicU64::new(0),
        busy: AtomicU64::new(ports.len() as u64),
        resumed: AtomicU64::new(0),
        replaced: AtomicU64::new(0),
        stop,
    });
    let mut clients = Vec::new();
    let mut tasks = JoinSet::new();
    for (number, port) in (0..).zip(ports) {
        let client = Client::builder(format!("ws://127.0.0.1:{port}/?client={number}"))
            .timing(timing())
            .backoff(Backoff::new(Duration::from_millis(20), Duration::from_millis(500)))
            .connect_lazy();
        let life = AtomicU64::new(0);
        let one = Arc::new(One { number, stub: client.client(), client, swarm: swarm.clone(), life });
        tasks.spawn(lanes::all(one.clone()));
        tasks.spawn(probe(one.clone()));
        tasks.spawn(look(one.clone()));
        clients.push(one);
    }
    let mut tick = interval(Duration::from_millis(200));
    loop {
        tokio::select! {
            _ = tick.tick() => say(&status(&swarm, &clients)),
            order = orders.recv() => match order.as_deref() {
                Some("stop") => drop(stopper.send_replace(true)),
                Some("finish") => break,
                Some(other) => return Err(format!("no such order: `{other}`")),
                None => return Ok(()),
            },
        }
    }
    let live = ask_all(&clients).await;
    tasks.shutdown().await;
    let mut closing = JoinSet::new();
    for one in &clients {
        let client = one.client.clone();
        closing.spawn(async move { timeout(Duration::from_secs(10), client.close()).await });
    }
    closing.join_all().await;
    say(&Status { finished: true, live, ..status(&swarm, &clients) });
    Ok(())
}

/// How many clients answer when everything is over.
async fn ask_all(clients: &[Arc<One>]) -> u64 {
    let mut asked = JoinSet::new();
    for one in clients {
        let one = one.clone();
        asked.spawn(async move { one.ask().await });
    }
    asked.join_all().await.into_iter().filter(|&life| life > 0).count() as u64
}

/// Asks again and again which life of the server this is.
async fn probe(one: Arc<One>) {
    loop {
        let life = one.ask().await;
        one.life.store(life, Ordering::Relaxed);
        sleep(Duration::from_millis(300)).await;
    }
}

/// Counts what became of the session at each new link.
async fn look(one: Arc<One>) {
    let mut states = one.client.states();
    while let Some(state) = states.next().await {
        match state {
            State::Live(Arrival::Resumed) => {
                one.swarm.resumed.fetch_add(1, Ordering::Relaxed);
            }
            State::Live(Arrival::Gap(reason)) => {
                one.swarm.replaced.fetch_add(1, Ordering::Relaxed);
                if !one.swarm.options.endless {
                    eprintln!("client {}: its session did not go on: {reason:?}", one.number);
                }
            }
            State::Refused { code, reason } => eprintln!("client {}: refused, {code}: {reason}", one.number),
            _ => {}
        }
    }
}

impl One {
    async fn ask(&self) -> u64 {
        let within = Duration::from_secs(10);
        // Twice: a deadline that does not hold is not to stop the asking.
        let call = timeout(2 * within, self.stub.life().deadline(within)).await;
        call.ok().and_then(Result::ok).unwrap_or(0)
    }
}

fn status(swarm: &Swarm, clients: &[Arc<One>]) -> Status {
    let lives = || clients.iter().map(|one| one.life.load(Ordering::Relaxed));
    let life = lives().max().unwrap_or(0);
    Status {
        sent: swarm.sent.load(Ordering::Relaxed),
        received: swarm.received.load(Ordering::Relaxed),
        busy: swarm.busy.load(Ordering::Relaxed),
        life,
        resumed: swarm.resumed.load(Ordering::Relaxed),
        replaced: swarm.replaced.load(Ordering::Relaxed),
        live: if life == 0 { 0 } else { lives().filter(|&of| of == life).count() as u64 },
        finished: false,
    }
}

fn say(status: &Status) {
    println!("{}", serde_json::to_string(status).expect("numbers become JSON"));
}
