use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use bowline_runtime::BoxFuture;
use futures_channel::mpsc;
use futures_util::StreamExt;

use super::{Faults, MemoryLink, pair};
use crate::{BoxLink, Connect, ConnectError};

/// Links that wait to be accepted; a further attempt is refused, as by a listener whose backlog is full.
const BACKLOG: usize = 1024;

/// Makes a listener and a connector for it, with one [`Faults`] over all of their links.
pub fn network() -> (MemoryListener, MemoryConnector) {
    let (links, incoming) = mpsc::channel(BACKLOG);
    let faults = Faults::default();
    (
        MemoryListener { incoming, faults: faults.clone() },
        MemoryConnector { links: Arc::new(Mutex::new(links)), faults },
    )
}

/// The server's side of a [`network`].
#[derive(Debug)]
pub struct MemoryListener {
    incoming: mpsc::Receiver<MemoryLink>,
    faults: Faults,
}

impl MemoryListener {
    /// The next link; `None` once every connector was dropped.
    ///
    /// # Cancel safety
    ///
    /// A dropped future loses no link.
    pub async fn accept(&mut self) -> Option<MemoryLink> {
        self.incoming.next().await
    }

    /// The faults of this network.
    pub fn faults(&self) -> &Faults {
        &self.faults
    }
}

/// The clients' side of a [`network`]. It ignores the endpoint. A clone connects to the same listener.
#[derive(Debug, Clone)]
pub struct MemoryConnector {
    /// Shared, since each clone of a sender would have a place of its own in the backlog.
    links: Arc<Mutex<mpsc::Sender<MemoryLink>>>,
    faults: Faults,
}

impl MemoryConnector {
    /// The faults of this network.
    pub fn faults(&self) -> &Faults {
        &self.faults
    }
}

impl Connect for MemoryConnector {
    fn connect(&self, _: &str) -> BoxFuture<'static, Result<BoxLink, ConnectError>> {
        let Self { links, faults } = self.clone();
        Box::pin(async move {
            if faults.is_unplugged() {
                return Err(refused("the network is unplugged"));
            }
            let (ours, theirs) = pair(&faults);
            let mut links = links.lock().unwrap_or_else(PoisonError::into_inner);
            links.try_send(theirs).map_err(|_| refused("nobody accepts links"))?;
            Ok(Box::new(ours) as BoxLink)
        })
    }
}

fn refused(why: &'static str) -> ConnectError {
    ConnectError::Refused(io::Error::new(io::ErrorKind::ConnectionRefused, why))
}
