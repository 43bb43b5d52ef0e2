//! The server: Bowline's, with the default configuration, and what it sees of its sessions.

use std::collections::HashSet;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bowline::prelude::*;
use bowline::{Refused, Server};
use http::request::Parts;
use serde::{Deserialize, Serialize};
use tokio::net::{TcpListener, TcpSocket};
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::time::{MissedTickBehavior, interval};

use crate::Outcome;
use crate::child::{Said, say};
use crate::machine::{Usage, clock};
use crate::orders::{Roll, Seen, ServerOrder};
use crate::service::{Here, Item, Load, LoadServer, Parcel, Who, address, filling};

/// What the conductor tells a server at its start.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Options {
    /// Addresses to listen at.
    pub(crate) listeners: u64,
    /// Connections that the kernel keeps for each of them until they are accepted.
    pub(crate) backlog: u32,
    pub(crate) seed: u64,
    /// Whether clients say who they are. Of anonymous ones from one address a server keeps 128 without a link.
    pub(crate) identified: bool,
}

/// Serves until the orders end.
pub(crate) async fn run(options: Options, mut orders: UnboundedReceiver<String>) -> Outcome<()> {
    let desk = Arc::new(Desk::default());
    let topic = Topic::new();
    let service = LoadServer::new(Service { desk: desk.clone(), topic: topic.clone() });
    let mut builder = Server::builder().service(service);
    if options.identified {
        builder = builder.identify(by_query);
    }
    let server = builder.build();
    let mut addresses = Vec::new();
    for number in 0..options.listeners {
        let listener = listen(SocketAddr::from((address(number), 0)), options.backlog);
        let listener = listener.map_err(|error| format!("{}: {error}", address(number)))?;
        addresses.push(listener.local_addr().map_err(|error| error.to_string())?);
        tokio::spawn(bowline::serve(listener, server.clone()).into_future());
    }
    let mut published = 0;
    while let Some(line) = orders.recv().await {
        let order = serde_json::from_str(&line).map_err(|error| format!("`{line}`: {error}"))?;
        match order {
            ServerOrder::Listen => say(&Said::<Vec<SocketAddr>>::Done(addresses.clone())),
            ServerOrder::Look => say(&Said::Done(desk.look(&server, &topic)?)),
            ServerOrder::RollCall => say(&Said::Done(desk.roll_call())),
            ServerOrder::Publish { bursts, burst, every_us } => {
                let every = Duration::from_micros(every_us.max(1));
                let publisher =
                    Publisher { topic: topic.clone(), seed: options.seed, number: published, burst };
                // On a worker, where handlers publish.
                let publishing = tokio::spawn(publisher.run(bursts, every));
                published = publishing.await.map_err(|error| error.to_string())?;
                say(&Said::Done(()));
            }
        }
    }
    Ok(())
}

/// What `TcpListener::bind` does, which asks for a backlog of 1,024.
fn listen(address: SocketAddr, backlog: u32) -> std::io::Result<TcpListener> {
    let socket = TcpSocket::new_v4()?;
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(backlog)
}

async fn by_query(parts: &Parts) -> Result<Who, Refused> {
    let query = parts.uri.query().unwrap_or_default();
    let client = query.strip_prefix("client=").and_then(|number| number.parse().ok());
    client.map(Who).ok_or_else(|| Refused::unauthenticated("`?client=` and a number"))
}

struct Publisher {
    topic: Topic<Item>,
    seed: u64,
    number: u64,
    burst: u64,
}

impl Publisher {
    /// Publishes, and returns the number of the next item.
    async fn run(mut self, bursts: u64, every: Duration) -> u64 {
        let mut ticks = interval(every);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        for _ in 0..bursts {
            ticks.tick().await;
            for _ in 0..self.burst {
                let (number, filling) = (self.number, filling(self.seed, self.number));
                self.topic.publish(Item { number, at: clock(), filling });
                self.number += 1;
            }
        }
        self.number
    }
}

/// What the handlers have seen.
#[derive(Debug, Default)]
struct Desk {
    calls: AtomicU64,
    roll: Mutex<(u64, HashSet<u128>)>,
}

impl Desk {
    fn look(&self, server: &Server, topic: &Topic<Item>) -> Outcome<Seen> {
        let bowline_stats = server.stats();
        let (held, counted) = (bowline_stats.held, bowline_stats.counted);
        Ok(Seen {
            usage: Usage::now()?,
            attached: held.attached as u64,
            detached: held.detached as u64,
            begun: counted.begun,
            resumed: counted.resumed,
            ended: counted.expired + counted.evicted,
            refused: counted.turned_away + counted.floods + counted.fenced + counted.tokens_refused,
            calls: self.calls.load(Ordering::Relaxed),
            subscribers: topic.subscribers() as u64,
        })
    }

    fn roll_call(&self) -> Roll {
        let (calls, sessions) = std::mem::take(&mut *self.roll());
        Roll { calls, sessions: sessions.len() as u64 }
    }

    fn roll(&self) -> MutexGuard<'_, (u64, HashSet<u128>)> {
        self.roll.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

struct Service {
    desk: Arc<Desk>,
    topic: Topic<Item>,
}

impl Load for Service {
    async fn here(&self, cx: &Context, number: u64) -> Here {
        let session = cx.session_id();
        let mut roll = self.desk.roll();
        roll.0 += 1;
        roll.1.insert(session);
        Here { session, number }
    }

    async fn echo(&self, parcel: Parcel) -> Parcel {
        self.desk.calls.fetch_add(1, Ordering::Relaxed);
        parcel
    }

    fn items(&self, cx: &Context) -> impl Stream<Item = Shared<Item>> {
        self.topic.subscribe(cx)
    }
}
