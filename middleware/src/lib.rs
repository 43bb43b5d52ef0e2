//! Tower layers over one call, the same on server and client.
//!
//! A [`Call`](bowline_rpc::Call) goes through a stack of `tower` services on its way, at the caller and at the
//! callee. Layers that ask nothing of their request fit unchanged: tower's own `timeout`, `concurrency_limit`,
//! `load_shed`, `rate_limit`. Those that keep time with tokio don't run in a browser; the layers of this crate do.
//!
//! | Layer | What it does | For a stream |
//! |---|---|---|
//! | [`BreakerLayer`] | refuses calls to a service that fails, until it is back | looks how it is accepted |
//! | `MetricsLayer` (feature `metrics`) | counts calls and takes their time | follows it to its end |
//! | [`TraceLayer`] | a span around the call, and the trace of the caller | follows it to its end |
//!
//! [`names`] lists what is counted, in these layers and elsewhere in Bowline. Without the feature `metrics`
//! nothing is.
//!
//! [`status_from_error`] says what a caller gets to see of a layer's error.
//!
//! What this crate never knows: sockets and sessions. Applications use the `bowline` crate, which re-exports what
//! they need.

mod breaker;
mod error;
mod metrics;
mod trace;

pub use crate::metrics::{Connected, SessionMetrics, link_refused, names};
#[cfg(feature = "metrics")]
pub use crate::metrics::{Metrics, MetricsFuture, MetricsLayer};
pub use breaker::{
    Breaker, BreakerConfig, BreakerFuture, BreakerHandle, BreakerLayer, BreakerOpen, BreakerState,
    InvalidBreakerConfig,
};
pub use error::status_from_error;
pub use trace::{Trace, TraceFuture, TraceLayer};
