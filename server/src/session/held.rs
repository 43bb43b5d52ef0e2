use std::pin::Pin;
use std::task::Context;
use std::time::Duration;

use bowline_rpc::Peer;
use bowline_runtime::{Sleep, sleep};

/// How often a session that moves tells what it holds. Source: our choice; counting costs a look at every call, and
/// within this time a session comes to hold no more than its own bounds allow.
const EVERY: Duration = Duration::from_secs(1);

/// Tells the server how many bytes a session holds, some time after its task ran and for as long as that changes. An
/// idle session has no timer for it.
#[derive(Default)]
pub(super) struct HeldReport {
    told: usize,
    timer: Option<Sleep>,
}

impl HeldReport {
    /// Called whenever the session's task runs.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>, peer: &Peer, tell: impl FnOnce(usize)) {
        let timer = self.timer.get_or_insert_with(|| sleep(EVERY));
        if Pin::new(timer).poll(cx).is_pending() {
            return;
        }
        self.timer = None;
        peer.trim();
        let held = peer.held_bytes();
        if std::mem::replace(&mut self.told, held) != held {
            tell(held);
            let mut timer = sleep(EVERY);
            // Not ready yet: this leaves the waker.
            let _ = Pin::new(&mut timer).poll(cx);
            self.timer = Some(timer);
        }
    }
}
