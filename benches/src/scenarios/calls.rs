//! Echo calls of 64 bytes over one connection, some of them in flight at any time.

use std::sync::Arc;
use std::time::Duration;

use crate::Result;
use crate::measure::{Contender, Row, Stage, interleave};
use crate::peers::{Caller, Peer};

/// What is sent and comes back.
const TEXT: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

/// Measures all peers with so many calls in flight.
///
/// # Errors
///
/// The first of a peer.
pub fn run(stage: &Stage, peers: &[Box<dyn Peer>], in_flight: usize, rounds: usize) -> Result<Vec<Row>> {
    let mut contenders: Vec<Box<dyn Contender + '_>> = Vec::new();
    for peer in peers {
        let address = stage.on_server(peer.serve())?;
        let caller = stage.on_client(peer.connect(address))?;
        contenders.push(Box::new(Calls { stage, name: peer.name(), caller, in_flight }));
    }
    interleave(&mut contenders, rounds, Duration::from_millis(300))
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
