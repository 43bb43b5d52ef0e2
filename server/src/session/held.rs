use std::pin::Pin;
use std::task::Context;
use std::time::Duration;

use bowline_middleware::SessionMetrics;
use bowline_rpc::Peer;
use bowline_runtime::{Sleep, sleep};

/// How often a session that moves is looked at. Source: our choice; counting costs a look at every call, and within this
/// time a session comes to hold no more than its own bounds allow.
const EVERY: Duration = Duration::from_secs(1);

/// Tells the server how many bytes a session holds, and metrics what it did, some time after its task ran and for as long as
/// the first of these changes. An idle session has no timer for it.
#[derive(Default)]
pub(super) struct HeldReport {
    told: usize,
    timer: Option<Sleep>,
}

impl HeldReport {
    /// Called whenever the session's task runs. Whether there is a timer now that was not there before, to be polled.
    pub(super) fn wind(&mut self) -> bool {
        let is_idle = self.timer.is_none();
        if is_idle {
            self.timer = Some(sleep(EVERY));
        }
        is_idle
    }

    /// Looks when it is time to. Called when the timer may have fired.
    pub(super) fn poll(
        &mut self,
        cx: &mut Context<'_>,
        peer: &Peer,
        metrics: &mut SessionMetrics,
        tell: impl FnOnce(usize),
    ) {
        if self.timer.as_mut().is_none_or(|timer| Pin::new(timer).poll(cx).is_pending()) {
            return;
        }
        self.timer = None;
        peer.trim();
        metrics.look(peer);
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
