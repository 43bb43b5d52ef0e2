//! Connections that do nothing: what each costs the server in memory.
//!
//! The server is a process of its own. Each connection has made one small call before, so that it is known to live; then
//! the server's memory is looked at when it stands still.

use crate::apart::{Child, anonymous, standing_still};
use crate::measure::{Setting, Spread};
use crate::peers::{self, Caller, Peer};
use crate::report::{Line, metrics};
use crate::{Result, files};
use futures_util::{StreamExt, TryStreamExt, stream};
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::runtime::Runtime;

/// Connections that are made at one time.
const AT_ONCE: usize = 32;

/// Connections before the memory is looked at first: what the first ones alone need is not each one's.
const FIRST: usize = 16;

/// Measures all peers; each round of each is a new server.
///
/// # Errors
///
/// The first of a peer, and when there are not enough files for the connections.
pub fn run(setting: &Setting) -> Result<Vec<Line>> {
    let (connections, rounds) = setting.pick((50, 1), (1000, 2), (4000, 3));
    files::reserve(FIRST + connections)?;
    let client = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    let peers: Vec<_> = peers::callers().into_iter().filter(|peer| setting.wants(peer.name())).collect();
    let mut measured = vec![Vec::new(); peers.len()];
    for round in 1..=rounds {
        for (peer, measured) in peers.iter().zip(&mut measured) {
            setting.progress.doing(format!("{}, round {round} of {rounds}", peer.name()));
            let grown = measure(&client, peer.as_ref(), connections);
            measured.push(grown.map_err(|error| format!("{}: {error}", peer.name()))?);
        }
    }
    let lines = peers.iter().zip(measured);
    Ok(lines.map(|(peer, kib)| Line::new(peer.name()).with(&metrics::MEMORY, Spread::of(kib))).collect())
}

/// KiB that the server's memory grew by for each connection.
fn measure(runtime: &Runtime, peer: &dyn Peer, connections: usize) -> Result<f64> {
    let mut server = Child::start(&["serve", peer.name()])?;
    let (process, address) = (server.id(), server.line()?.parse()?);
    let first = connect(runtime, peer, address, FIRST)?;
    let (before, _) = standing_still(|| anonymous(process))?;
    let more = connect(runtime, peer, address, connections)?;
    let (after, _) = standing_still(|| anonymous(process))?;
    // All of them were there until now.
    drop((first, more));
    server.finish()?;
    Ok(after.saturating_sub(before) as f64 / connections as f64)
}

fn connect(
    runtime: &Runtime,
    peer: &dyn Peer,
    server: SocketAddr,
    count: usize,
) -> Result<Vec<Arc<dyn Caller>>> {
    let connecting: Vec<_> = (0..count).map(|_| peer.connect(server)).collect();
    let work = stream::iter(connecting)
        .map(|connecting| async {
            let caller = connecting.await?;
            caller.calls("are you there?".into(), 1, 1).await?;
            Ok(caller)
        })
        .buffer_unordered(AT_ONCE)
        .try_collect();
    runtime.block_on(runtime.spawn(work))?
}
