//! The bad network: a TCP proxy that knows nothing of what it carries and ends links at random bytes.
//!
//! Each client has an address of its own, so that its faults can be counted and come again with the same seed. The
//! server behind it may change its address, or not be there for a while: links are then closed as they come.

mod plan;
#[cfg(test)]
mod tests;

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bowline_test_support::relay::{Cut, Plan, carry};
use serde::Serialize;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use crate::random::Random;
use plan::draw;

/// What the proxy has done so far.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Serialize)]
pub(crate) struct Done {
    /// Links that reached the server.
    pub(crate) links: u64,
    /// Links ended by an orderly close.
    pub(crate) closed: u64,
    /// Links ended by a reset.
    pub(crate) reset: u64,
    /// Links that swallow everything.
    pub(crate) black_holes: u64,
    /// Links that swallow everything one way.
    pub(crate) one_way: u64,
    /// Links with a first part in writes of one byte.
    pub(crate) sliced: u64,
    /// Links that stood still for a while.
    pub(crate) stalled: u64,
    /// Connections closed at once because no server was there.
    pub(crate) no_server: u64,
}

impl Done {
    /// All links that the network ended.
    pub(crate) fn cuts(&self) -> u64 {
        self.closed + self.reset + self.black_holes + self.one_way
    }
}

/// What all links share.
#[derive(Debug, Default)]
struct Shared {
    upstream: Mutex<Option<SocketAddr>>,
    done: Mutex<Done>,
}

impl Shared {
    fn count(&self, change: impl FnOnce(&mut Done)) {
        change(&mut self.done.lock().expect("no holder panics"));
    }
}

/// What clients are to go through.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Faults {
    pub(crate) seed: u64,
    /// How many links of each client are cut; those after them are left alone.
    pub(crate) cuts: u64,
    /// Within how many bytes of a link.
    pub(crate) reach: u64,
}

/// A running proxy; dropping it ends every link and stops listening.
#[derive(Debug)]
pub(crate) struct Proxy {
    shared: Arc<Shared>,
    addresses: Vec<SocketAddr>,
    /// Owns the listeners, each of which owns its links.
    _listeners: JoinSet<()>,
}

impl Proxy {
    /// Listens for `clients` clients, each at a free port of its own on loopback.
    pub(crate) async fn start(clients: u64, faults: Faults) -> io::Result<Self> {
        let shared = Arc::new(Shared::default());
        let mut listeners = JoinSet::new();
        let mut addresses = Vec::new();
        for client in 0..clients {
            let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
            addresses.push(listener.local_addr()?);
            listeners.spawn(listen(listener, shared.clone(), faults, client));
        }
        Ok(Self { shared, addresses, _listeners: listeners })
    }

    /// Where the server is from now on. Links that are there stay with the one they have.
    pub(crate) fn lead_to(&self, server: Option<SocketAddr>) {
        *self.shared.upstream.lock().expect("no holder panics") = server;
    }

    /// Where each client is to connect to.
    pub(crate) fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// What was done so far.
    pub(crate) fn done(&self) -> Done {
        *self.shared.done.lock().expect("no holder panics")
    }
}

/// Takes the connections of one client.
async fn listen(listener: TcpListener, shared: Arc<Shared>, faults: Faults, client: u64) {
    let mut random = Random::new(faults.seed, client);
    let mut links = JoinSet::new();
    // Counted at the cut and not when it is planned: a link that its own end closes first is no cut.
    let cuts = Arc::new(AtomicU64::new(0));
    loop {
        while links.try_join_next().is_some() {}
        let Ok((socket, _)) = listener.accept().await else {
            // Out of files, say: it passes.
            sleep(Duration::from_millis(50)).await;
            continue;
        };
        let upstream = *shared.upstream.lock().expect("no holder panics");
        let connected = match upstream {
            Some(address) => timeout(Duration::from_secs(5), TcpStream::connect(address)).await.ok(),
            None => None,
        };
        let Some(Ok(server)) = connected else {
            shared.count(|done| done.no_server += 1);
            continue;
        };
        let plan = if cuts.load(Ordering::Relaxed) < faults.cuts {
            draw(&mut random, faults.reach)
        } else {
            Plan::CLEAN
        };
        shared.count(|done| {
            done.links += 1;
            done.sliced += u64::from(plan.sliced > 0);
            done.stalled += u64::from(plan.stall.is_some());
        });
        let (shared, cuts) = (shared.clone(), cuts.clone());
        links.spawn(async move {
            carry(socket, server, plan, None, |cut| {
                cuts.fetch_add(1, Ordering::Relaxed);
                shared.count(|done| match cut {
                    Cut::Close => done.closed += 1,
                    Cut::Reset => done.reset += 1,
                    Cut::BlackHole => done.black_holes += 1,
                    Cut::OneWay => done.one_way += 1,
                });
            })
            .await;
        });
    }
}
