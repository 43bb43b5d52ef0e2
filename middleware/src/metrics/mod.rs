//! What is counted, and under which names.

pub(crate) mod breaker;
mod emit;
#[cfg(feature = "metrics")]
mod future;
#[cfg(feature = "metrics")]
mod layer;
pub mod names;
#[cfg(feature = "metrics")]
mod record;
#[cfg(feature = "metrics")]
mod series;
#[cfg(feature = "metrics")]
mod service;
mod session;

#[cfg(feature = "metrics")]
pub use future::MetricsFuture;
#[cfg(feature = "metrics")]
pub use layer::MetricsLayer;
#[cfg(feature = "metrics")]
pub use service::Metrics;
pub use session::{Connected, SessionMetrics, link_refused};
