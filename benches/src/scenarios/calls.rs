//! Echo calls of 64 bytes over one connection, some of them in flight at any time.

use std::sync::Arc;

use crate::Result;
use crate::measure::{Contender, Setting, Stage, interleave};
use crate::peers::{self, Caller, Peer};
use crate::report::{Line, metrics};

/// What is sent and comes back.
const TEXT: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

/// Measures all peers with so many calls in flight.
///
/// # Errors
///
/// The first of a peer.
pub fn run(setting: &Setting, in_flight: usize) -> Result<Vec<Line>> {
    measure(setting, &peers::all(), in_flight)
}

fn measure(setting: &Setting, peers: &[Box<dyn Peer>], in_flight: usize) -> Result<Vec<Line>> {
    let stage = Stage::new()?;
    let mut contenders: Vec<Box<dyn Contender + '_>> = Vec::new();
    for peer in peers.iter().filter(|peer| setting.wants(peer.name())) {
        let address = stage.on_server(peer.serve())?;
        let caller = stage.on_client(peer.connect(address))?;
        contenders.push(Box::new(Calls { stage: &stage, name: peer.name(), caller, in_flight }));
    }
    let rows = interleave(&mut contenders, setting)?;
    let line = |row: crate::measure::Row| {
        Line::new(row.peer).with(&metrics::CPU, row.cost.cpu).with(&metrics::RATE, row.cost.rate)
    };
    Ok(rows.into_iter().map(line).collect())
}

struct Calls<'a> {
    stage: &'a Stage,
    name: &'static str,
    caller: Arc<dyn Caller>,
    in_flight: usize,
}

impl Contender for Calls<'_> {
    fn name(&self) -> String {
        self.name.to_owned()
    }

    fn run(&mut self, n: u64) -> Result<()> {
        let (caller, in_flight) = (Arc::clone(&self.caller), self.in_flight);
        self.stage.on_client(async move { caller.calls(TEXT.into(), in_flight, n).await })
    }
}
