//! What calls, uploads and streams have in common: one client and one server of each peer, in turn.

use std::sync::Arc;

use crate::Result;
use crate::measure::{Contender, Row, Setting, Stage, interleave};
use crate::peers::{Caller, Doing, Peer};

/// Lets the clients of all peers that take part do `work`.
///
/// # Errors
///
/// The first of a peer.
pub(super) fn run<W>(setting: &Setting, peers: Vec<Box<dyn Peer>>, smallest: u64, work: W) -> Result<Vec<Row>>
where
    W: Fn(Arc<dyn Caller>, u64) -> Doing<'static, ()>,
{
    let stage = Stage::new(setting.cores())?;
    let mut contenders: Vec<Box<dyn Contender + '_>> = Vec::new();
    for peer in peers.iter().filter(|peer| setting.wants(peer.name())) {
        let named = |error: crate::Error| format!("{}: {error}", peer.name());
        let address = stage.on_server(peer.serve()).map_err(named)?;
        let caller = stage.on_client(peer.connect(address)).map_err(named)?;
        contenders.push(Box::new(One { stage: &stage, name: peer.name(), caller, smallest, work: &work }));
    }
    interleave(&mut contenders, setting)
}

struct One<'a, W> {
    stage: &'a Stage,
    name: &'static str,
    caller: Arc<dyn Caller>,
    smallest: u64,
    work: &'a W,
}

impl<W: Fn(Arc<dyn Caller>, u64) -> Doing<'static, ()>> Contender for One<'_, W> {
    fn name(&self) -> String {
        self.name.to_owned()
    }

    fn run(&mut self, n: u64) -> Result<()> {
        self.stage.on_client((self.work)(Arc::clone(&self.caller), n))
    }

    fn smallest(&self) -> u64 {
        self.smallest
    }
}
