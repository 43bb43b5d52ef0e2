use std::fmt;
use std::sync::Arc;

use futures_core::Stream;

use super::BreakerState;
use super::shared::Shared;

/// Shows what the breakers of a [`BreakerLayer`](super::BreakerLayer) do. Cheap to clone.
#[derive(Clone)]
pub struct BreakerHandle {
    shared: Arc<Shared>,
}

impl BreakerHandle {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        Self { shared }
    }

    /// What happens to a call to `service`, the name of its trait; [`BreakerState::Closed`] for one that was never called.
    pub fn state(&self, service: &str) -> BreakerState {
        self.shared.state(service)
    }

    /// The state now, and then each change of it.
    ///
    /// Breakers move when calls come and end, so [`BreakerState::Open`] stays in the stream until the first call after
    /// its `until`. A reader that is slow skips states and sees the newest. The stream ends when the layer, its
    /// services and its handles are gone; it keeps none of them.
    pub fn states(&self, service: &str) -> impl Stream<Item = BreakerState> + Send + Unpin + use<> {
        let service = service.to_owned();
        let mut changes = self.shared.changes();
        changes.mark_changed();
        let shared = Arc::downgrade(&self.shared);
        let start = (shared, changes, service, None);
        Box::pin(futures_util::stream::unfold(start, async |(shared, mut changes, service, known)| {
            loop {
                changes.changed().await.ok()?;
                changes.mark_unchanged();
                let state = shared.upgrade()?.state(&service);
                // Another service's breaker may be what changed.
                if known != Some(state) {
                    return Some((state, (shared, changes, service, Some(state))));
                }
            }
        }))
    }

    /// Closes all breakers and forgets what they counted: the next calls pass.
    ///
    /// For an application that knows better, say because the client has moved to another server.
    pub fn reset(&self) {
        self.shared.reset();
    }
}

impl fmt::Debug for BreakerHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BreakerHandle").field("config", &self.shared.config).finish_non_exhaustive()
    }
}
