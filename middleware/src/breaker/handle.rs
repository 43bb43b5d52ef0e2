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

    /// What happens to a call to `service`, the name of its trait, at the endpoint where calls go now;
    /// [`BreakerState::Closed`] for one that was never called there.
    pub fn state(&self, service: &str) -> BreakerState {
        self.shared.state(service)
    }

    /// The state now, and then each change of it; going to another endpoint may be one.
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

    /// Says where calls go from now on: from here each service has another breaker, and what calls that were let through
    /// before end with says nothing any more.
    ///
    /// A client with the layer (`ClientBuilder::breaker`) does so by itself. Breakers of endpoints that were left are kept.
    pub fn set_endpoint(&self, endpoint: &str) {
        self.shared.set_endpoint(endpoint);
    }

    /// Whether there is a service at `endpoint` whose breaker is open, and not yet due to let a probe through.
    ///
    /// The client asks this when it chooses where to connect.
    pub fn is_open_at(&self, endpoint: &str) -> bool {
        self.shared.is_open_at(endpoint)
    }

    /// Closes all breakers and forgets what they counted: the next calls pass.
    ///
    /// For an application that knows better.
    pub fn reset(&self) {
        self.shared.reset();
    }
}

impl fmt::Debug for BreakerHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BreakerHandle").field("config", &self.shared.config).finish_non_exhaustive()
    }
}
