//! A server and its clients, as the conductor has them.

use std::cell::{Cell, RefCell};
use std::net::SocketAddr;
use std::time::Duration;

use futures_util::future::{try_join, try_join_all};
use serde::de::DeserializeOwned;

use crate::Outcome;
use crate::arguments::Options;
use crate::child::Child;
use crate::machine::Usage;
use crate::orders::{Arrivals, Asked, ClientsOrder, Delivered, Roll, Seen, ServerOrder};
use crate::progress::Progress;
use crate::service::PER_ADDRESS;
use crate::{clients, server};

/// How long a process may take for what it does at once.
const PATIENCE: Duration = Duration::from_secs(20);

/// Clients that connect at one time where that is not what is looked at.
const GENTLE: u64 = 64;

/// What kind of clients.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Clients {
    /// Anonymous, with links of the connector's own.
    Plain,
    /// Known by name, so that all sessions may be kept without a link, and with links that can be cut.
    Cuttable,
}

/// The processes of one scene. They end with it.
#[derive(Debug)]
pub(super) struct Stage {
    pub(super) connections: u64,
    server: Child,
    /// One for each address of the server's.
    clients: Vec<Child>,
    addresses: Vec<SocketAddr>,
}

impl Stage {
    pub(super) async fn start(connections: u64, asked: &Options, kind: Clients) -> Outcome<Self> {
        let processes = connections.div_ceil(PER_ADDRESS);
        let is_cuttable = kind == Clients::Cuttable;
        let Options { backlog, seed, .. } = *asked;
        let options = server::Options { listeners: processes, backlog, seed, identified: is_cuttable };
        let mut server = Child::start("server", &options)?;
        let addresses: Vec<SocketAddr> = server.ask(&ServerOrder::Listen, PATIENCE, |_| ()).await?;
        let clients = (0..processes).map(|process| {
            let first = process * PER_ADDRESS;
            let clients = PER_ADDRESS.min(connections - first);
            Child::start("clients", &clients::Options { first, clients, seed, cuttable: is_cuttable })
        });
        let clients = clients.collect::<Outcome<Vec<_>>>()?;
        Ok(Self { connections, server, clients, addresses })
    }

    /// What the server sees.
    pub(super) async fn look(&mut self) -> Outcome<Seen> {
        self.server.ask(&ServerOrder::Look, PATIENCE, |_| ()).await
    }

    /// What the processes with clients use, together.
    pub(super) async fn clients(&mut self) -> Outcome<Usage> {
        let looks: Vec<Usage> = self.everybody(|_| ClientsOrder::Look, PATIENCE, None).await?;
        Ok(looks.iter().fold(Usage::default(), |sum, look| Usage {
            rss_kib: sum.rss_kib + look.rss_kib,
            cpu_us: sum.cpu_us + look.cpu_us,
        }))
    }

    /// Connects everybody without a crowd at the door.
    pub(super) async fn connect_gently(&mut self) -> Outcome<Arrivals> {
        let arrivals = self.connect(GENTLE).await?;
        match arrivals.live == arrivals.of {
            true => Ok(arrivals),
            false => {
                Err(format!("{} of {} clients never became live", arrivals.of - arrivals.live, arrivals.of))
            }
        }
    }

    /// Connects everybody, so many at a time in each process.
    pub(super) async fn connect(&mut self, at_once: u64) -> Outcome<Arrivals> {
        let (within_s, addresses) = (self.patience(), self.addresses.clone());
        let order = |process: usize| ClientsOrder::Connect { to: addresses[process], at_once, within_s };
        let within = Duration::from_secs(within_s) + PATIENCE;
        self.everybody(order, within, Some("connecting")).await.map(together)
    }

    /// Cuts all links and waits for the clients to come back.
    pub(super) async fn cut(&mut self) -> Outcome<Arrivals> {
        let within_s = self.patience();
        let within = Duration::from_secs(within_s) + PATIENCE;
        let order = |_| ClientsOrder::Cut { within_s };
        self.everybody(order, within, Some("all links are cut; coming back")).await.map(together)
    }

    /// Lets each client call once; what came of it there, and at the server.
    pub(super) async fn roll_call(&mut self) -> Outcome<(Asked, Roll)> {
        let within = Duration::from_secs(self.patience());
        let asked: Vec<Asked> = self.everybody(|_| ClientsOrder::Ask, within, Some("roll call")).await?;
        let roll = self.server.ask(&ServerOrder::RollCall, PATIENCE, |_| ()).await?;
        let asked = asked.into_iter().fold(Asked::default(), |sum, part| Asked {
            answered: sum.answered + part.answered,
            same: sum.same + part.same,
            problem: sum.problem.or(part.problem),
        });
        Ok((asked, roll))
    }

    /// Opens a stream of items at each client.
    pub(super) async fn subscribe(&mut self) -> Outcome<()> {
        let within = Duration::from_secs(self.patience());
        let streams: Vec<u64> =
            self.everybody(|_| ClientsOrder::Subscribe, within, Some("subscribing")).await?;
        let (opened, seen) = (streams.iter().sum::<u64>(), self.look().await?.subscribers);
        if opened == seen && seen == self.connections {
            return Ok(());
        }
        Err(format!(
            "{opened} streams were opened, and the server has {seen}, for {} clients",
            self.connections
        ))
    }

    /// Publishes, and waits until everybody has read up to item `until`.
    pub(super) async fn deliver(
        &mut self,
        publish: ServerOrder,
        until: u64,
        within: Duration,
        what: &str,
    ) -> Outcome<Vec<Delivered>> {
        let order = ClientsOrder::Read { until, within_s: within.as_secs() };
        for child in &mut self.clients {
            child.tell(&order).await?;
            child.begun(PATIENCE).await?;
        }
        let publishing = self.server.ask::<()>(&publish, within, |_| ());
        let progress = Bar::new(self.connections, self.clients.len(), Some(what));
        let reading = self.clients.iter_mut().enumerate().map(|(process, child)| {
            let progress = &progress;
            child.hear(within + PATIENCE, move |done| progress.at(process, done))
        });
        try_join(publishing, try_join_all(reading)).await.map(|((), delivered)| delivered)
    }

    /// Gives an order to every process with clients, and waits for all answers.
    pub(super) async fn everybody<T: DeserializeOwned>(
        &mut self,
        order: impl Fn(usize) -> ClientsOrder,
        within: Duration,
        what: Option<&str>,
    ) -> Outcome<Vec<T>> {
        let progress = Bar::new(self.connections, self.clients.len(), what);
        let asking = self.clients.iter_mut().enumerate().map(|(process, child)| {
            let (order, progress) = (order(process), &progress);
            async move { child.ask(&order, within, |done| progress.at(process, done)).await }
        });
        try_join_all(asking).await
    }

    /// Seconds that something may take which everybody does once.
    fn patience(&self) -> u64 {
        60 + self.connections / 100
    }
}

fn together(parts: Vec<Arrivals>) -> Arrivals {
    parts.into_iter().fold(Arrivals::default(), |sum, part| sum.and(part))
}

/// How far several processes are together.
struct Bar {
    of: Vec<Cell<u64>>,
    progress: Option<RefCell<Progress>>,
}

impl Bar {
    fn new(whole: u64, processes: usize, what: Option<&str>) -> Self {
        let progress = what.map(|what| RefCell::new(Progress::new(what, whole)));
        Self { of: vec![Cell::new(0); processes], progress }
    }

    fn at(&self, process: usize, done: u64) {
        self.of[process].set(done);
        if let Some(progress) = &self.progress {
            progress.borrow_mut().at(self.of.iter().map(Cell::get).sum());
        }
    }
}
