//! A bad network: what carries bytes between two sockets and knows nothing of them.
//!
//! [`carry`] is one link, with faults at bytes that were chosen before ([`Plan`]). [`Relay`] is a port in front of a server whose
//! links are cut and held by hand, while a test looks at what either end makes of it.

mod link;
mod plan;
#[cfg(test)]
mod tests;

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

pub use link::{Ended, Held, carry};
pub use plan::{Cut, Direction, Plan, Stall};

/// A port of its own in front of a server that may move, be away, or be out of reach.
///
/// Every connection becomes one to the server, as long as there is one; else it is closed as it comes. Dropping the relay ends all
/// links and stops listening.
#[derive(Debug)]
pub struct Relay {
    address: SocketAddr,
    shared: Arc<Shared>,
    /// Owns the listener, which owns its links.
    _listener: JoinSet<()>,
}

#[derive(Debug)]
struct Shared {
    upstream: watch::Sender<Option<SocketAddr>>,
    held: watch::Sender<Held>,
    /// How many times all links were cut.
    cuts: watch::Sender<u64>,
    links: watch::Sender<Links>,
}

/// What a [`Relay`] carries.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Links {
    /// Links that there are.
    pub open: u64,
    /// Links that were made, since the start.
    pub made: u64,
    /// Connections that were closed as they came.
    pub refused: u64,
}

impl Relay {
    /// Listens at a free port on loopback, in front of the server at `upstream`.
    ///
    /// # Errors
    ///
    /// When there is no port.
    pub async fn start(upstream: Option<SocketAddr>) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared {
            upstream: watch::Sender::new(upstream),
            held: watch::Sender::default(),
            cuts: watch::Sender::default(),
            links: watch::Sender::default(),
        });
        let mut tasks = JoinSet::new();
        tasks.spawn(listen(listener, shared.clone()));
        Ok(Self { address, shared, _listener: tasks })
    }

    /// Where clients connect to.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where the server is from now on; `None`: out of reach. Links that are there stay with the one they have.
    pub fn lead_to(&self, server: Option<SocketAddr>) {
        self.shared.upstream.send_replace(server);
    }

    /// Ends every link that there is, at both ends; what is held back is lost.
    pub fn cut(&self) {
        self.shared.cuts.send_modify(|cuts| *cuts += 1);
    }

    /// Holds back what goes in a direction, on links that there are and on new ones; what waits goes on when it is no longer held.
    pub fn hold(&self, held: Held) {
        self.shared.held.send_replace(held);
    }

    /// What is carried.
    pub fn links(&self) -> Links {
        *self.shared.links.borrow()
    }

    /// Waits until what is carried is as wanted.
    ///
    /// # Errors
    ///
    /// With what there is, after 30 s.
    pub async fn until(&self, wanted: impl FnMut(&Links) -> bool) -> Result<Links, crate::Error> {
        let mut links = self.shared.links.subscribe();
        let waited = timeout(Duration::from_secs(30), links.wait_for(wanted)).await;
        match waited {
            Ok(Ok(links)) => Ok(*links),
            _ => Err(format!("the relay never carried what was waited for, but {:?}", self.links()).into()),
        }
    }
}

async fn listen(listener: TcpListener, shared: Arc<Shared>) {
    let mut links = JoinSet::new();
    loop {
        while links.try_join_next().is_some() {}
        let Ok((client, _)) = listener.accept().await else {
            // Out of files, say: it passes.
            sleep(Duration::from_millis(50)).await;
            continue;
        };
        let shared = shared.clone();
        links.spawn(async move {
            let mut cuts = shared.cuts.subscribe();
            let upstream = *shared.upstream.borrow();
            let server = match upstream {
                Some(address) => timeout(Duration::from_secs(5), TcpStream::connect(address)).await.ok(),
                None => None,
            };
            let Some(Ok(server)) = server else {
                shared.links.send_modify(|links| links.refused += 1);
                return;
            };
            // Dropped last of all, and so after the sockets.
            let _open = Open::new(&shared.links);
            tokio::select! {
                biased;
                _ = cuts.changed() => {}
                _ = carry(client, server, Plan::CLEAN, Some(shared.held.subscribe()), |_| ()) => {}
            }
        });
    }
}

/// Counts a link for as long as it is there.
struct Open<'a>(&'a watch::Sender<Links>);

impl<'a> Open<'a> {
    fn new(links: &'a watch::Sender<Links>) -> Self {
        links.send_modify(|links| {
            links.open += 1;
            links.made += 1;
        });
        Self(links)
    }
}

impl Drop for Open<'_> {
    fn drop(&mut self) {
        self.0.send_modify(|links| links.open -= 1);
    }
}
