use std::fmt;
use std::sync::Arc;

use tower_layer::Layer;

use super::shared::Shared;
use super::{Breaker, BreakerConfig, BreakerHandle, InvalidBreakerConfig};

/// Refuses calls to a service that fails, before they are sent, until it is back: a circuit breaker for each service at
/// each endpoint.
///
/// A breaker is **closed** at first: calls pass, and it counts how they end. When at least half of those of the last 30 s
/// failed or were slow, and they were at least 20, it **opens**: calls are refused for 5 s. Then it is **half-open**: three
/// calls are let through as probes. If all succeed it closes; if one fails, or still runs after 10 s, it opens again for
/// twice as long, up to 60 s. The numbers are in [`BreakerConfig`].
///
/// | The call ended with | For the breaker |
/// |---|---|
/// | its value, the method's own error, a stream that was accepted | a success, or a slow one |
/// | deadline exceeded, unavailable, internal, a panic, an error of a layer that nobody knows | a failure |
/// | at the callee, a deadline that left it less time than [`BreakerConfig::slow`] | nothing: its caller chose it |
/// | any other status: invalid argument, authentication, a limit, cancelled | nothing |
/// | the session lost, the connection closed, a deadline before the call was sent | nothing: the link is no service |
/// | the refusal of another breaker | nothing |
///
/// A probe that says nothing, or is dropped, gives its place to the next call. What began before a transition says
/// nothing after it.
///
/// The caller of a refused call gets `CallError::Unavailable` with the wait. [`handle`](Self::handle) shows the state.
///
/// All services that one layer makes, and those of its clones, share their breakers: at a server all sessions, at a
/// client all links. A client takes it by `ClientBuilder::breaker` and tells it where calls go
/// ([`set_endpoint`](BreakerHandle::set_endpoint)), so that a service that fails at one server is still called at another.
/// Give each client a layer of its own: there is one place where the calls of a layer go.
///
/// For a stream the outcome counts when it is accepted, or refused. Holds nothing in `poll_ready`, and works in a
/// browser. A layer further in that takes a permit in `poll_ready`, such as tower's concurrency limit, keeps it while
/// calls are refused; add the breaker after it to have it further in.
///
/// # Examples
///
/// ```
/// use bowline_middleware::{BreakerConfig, BreakerLayer, BreakerState};
/// use std::time::Duration;
///
/// let config = BreakerConfig { min_calls: 50, open: Duration::from_secs(1), ..BreakerConfig::default() };
/// let layer = BreakerLayer::new(config)?;
/// let handle = layer.handle();
/// assert_eq!(handle.state("Chat"), BreakerState::Closed);
/// # Ok::<(), bowline_middleware::InvalidBreakerConfig>(())
/// ```
#[derive(Clone)]
pub struct BreakerLayer {
    shared: Arc<Shared>,
}

impl BreakerLayer {
    /// Makes a layer whose breakers follow `config`; [`Default`] follows the default one.
    ///
    /// # Errors
    ///
    /// [`InvalidBreakerConfig`] for numbers that no breaker can follow.
    pub fn new(config: BreakerConfig) -> Result<Self, InvalidBreakerConfig> {
        config.check()?;
        Ok(Self { shared: Arc::new(Shared::new(config)) })
    }

    /// Shows what the breakers do, also after the layer was given away.
    pub fn handle(&self) -> BreakerHandle {
        BreakerHandle::new(self.shared.clone())
    }
}

impl Default for BreakerLayer {
    fn default() -> Self {
        Self { shared: Arc::new(Shared::new(BreakerConfig::default())) }
    }
}

impl<S> Layer<S> for BreakerLayer {
    type Service = Breaker<S>;

    fn layer(&self, inner: S) -> Breaker<S> {
        Breaker::new(inner, self.shared.clone())
    }
}

impl fmt::Debug for BreakerLayer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BreakerLayer").field("config", &self.shared.config).finish_non_exhaustive()
    }
}
